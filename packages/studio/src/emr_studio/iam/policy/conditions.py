"""Conditions as closures over the request's context.

Let P be the policy's values, V the context's. AND over operators and keys; OR over P, NOR for the
negated operators. A key that is absent is false, but true for negated operators, `IfExists` and
`ForAllValues`; `ForAnyValue` of nothing is false. A multivalued key without a set operator never
matches. A number or date that cannot be read never matches, negated or not; an address that cannot be
read is outside of every network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import eq, ge, gt, le, lt

from emr_studio.iam.policy import values as read
from emr_studio.iam.policy.glob import (
    TextMatcher,
    Tokens,
    any_of,
    literal_of,
    match_arn_tokens,
    matcher,
    split_colons,
)
from emr_studio.iam.policy.grammar import Condition
from emr_studio.iam.policy.variables import ContextValue, RequestContext, Template, TemplateMatcher, read_pattern

Predicate = Callable[[RequestContext], bool]
Test = Callable[[str, RequestContext], object]
"""True if any P matches the value; None (unreadable value) is false for negated operators too."""

_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "Equals": eq,
    "LessThan": lt,
    "LessThanEquals": le,
    "GreaterThan": gt,
    "GreaterThanEquals": ge,
}


def compile_condition(condition: Condition, *, variables: bool) -> Predicate:
    """Return the condition as a function of the context (keys in lower case)."""
    operator = condition.operator
    if operator.base == "Null":
        return _null(condition.key, condition.values)
    matches, test = _test(operator.base, condition.values, variables=variables)
    absent = operator.if_exists or operator.negated
    if matches is not None and not operator.quantifier:
        return _single_static(condition.key, matches, absent=absent, negated=operator.negated)
    if operator.negated:
        test = _negate(test)
    if operator.quantifier == "all":
        return _for_all(condition.key, test)
    if operator.quantifier == "any":
        return _for_any(condition.key, test, absent=operator.if_exists)
    return _single(condition.key, test, absent=absent)


def _single_static(key: str, matches: TextMatcher, *, absent: bool, negated: bool) -> Predicate:
    """One value, patterns without variables: by far the most frequent, so without detours."""

    def positive(context: RequestContext) -> bool:
        value = context.get(key)
        if value is None:
            return absent
        return isinstance(value, str) and bool(matches(value))

    def negative(context: RequestContext) -> bool:
        value = context.get(key)
        if value is None:
            return absent
        return isinstance(value, str) and not matches(value)

    return negative if negated else positive


def _single(key: str, test: Test, *, absent: bool) -> Predicate:
    def predicate(context: RequestContext) -> bool:
        value = context.get(key)
        if value is None:
            return absent
        return isinstance(value, str) and bool(test(value, context))

    return predicate


def _for_all(key: str, test: Test) -> Predicate:
    def predicate(context: RequestContext) -> bool:
        value = context.get(key)
        if value is None:
            return True
        return all(test(one, context) for one in _as_set(value))

    return predicate


def _for_any(key: str, test: Test, *, absent: bool) -> Predicate:
    def predicate(context: RequestContext) -> bool:
        value = context.get(key)
        if value is None:
            return absent
        return any(test(one, context) for one in _as_set(value))

    return predicate


def _as_set(value: ContextValue) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _negate(test: Test) -> Test:
    def negated(value: str, context: RequestContext) -> object:
        found = test(value, context)
        return found is not None and not found

    return negated


def _null(key: str, values: tuple[str, ...]) -> Predicate:
    wanted = {read.boolean(value) for value in values}

    def predicate(context: RequestContext) -> bool:
        return (context.get(key) is None) in wanted

    return predicate


Tests = tuple[TextMatcher | None, Test]
"""The test of a value; before it the same without the context where no variable needs it."""


def _test(base: str, values: tuple[str, ...], *, variables: bool) -> Tests:
    if base.startswith("String"):
        return _string(base, values, variables=variables)
    if base.startswith("Arn"):
        return _arn(values, variables=variables)
    if base.startswith("Numeric"):
        return None, _ordered(values, read.number, _COMPARISONS[base.removeprefix("Numeric")])
    if base.startswith("Date"):
        return None, _ordered(values, read.date, _COMPARISONS[base.removeprefix("Date")])
    return _static({"Bool": _bool, "BinaryEquals": _binary, "IpAddress": _ip}[base](values))


def _static(matches: TextMatcher) -> Tests:
    return matches, lambda value, _context: bool(matches(value))  # an expression answers None


def _string(base: str, values: tuple[str, ...], *, variables: bool) -> Tests:
    like = base == "StringLike"
    patterns = [read_pattern(value, variables=variables, wildcards=like) for value in values]
    static = [pattern for pattern in patterns if not isinstance(pattern, Template)]
    dynamic = [pattern for pattern in patterns if isinstance(pattern, Template)]
    if base == "StringEqualsIgnoreCase":
        return _ignore_case(static, dynamic)
    plain = matcher(static) if like else any_of([literal_of(one) or "" for one in static], (), ())
    return _combine(plain, [one.matcher() for one in dynamic])


def _ignore_case(static: Iterable[Tokens], dynamic: Iterable[Template]) -> Tests:
    known = frozenset((literal_of(one) or "").lower() for one in static)

    def filled(template: Template) -> TemplateMatcher:
        def test(value: str, context: RequestContext) -> bool:
            tokens = template.fill(context)
            return tokens is not None and (literal_of(tokens) or "").lower() == value.lower()

        return test

    return _combine(lambda value: value.lower() in known, [filled(one) for one in dynamic])


def _arn(values: tuple[str, ...], *, variables: bool) -> Tests:
    patterns = [read_pattern(value, variables=variables) for value in values]
    static = [tuple(split_colons(one, 6)) for one in patterns if not isinstance(one, Template)]
    plain = any_of((), (), [parts for parts in static if len(parts) == 6])

    def filled(template: Template) -> TemplateMatcher:
        def test(value: str, context: RequestContext) -> bool:
            tokens = template.fill(context)
            return tokens is not None and match_arn_tokens(tokens, value)

        return test

    return _combine(plain, [filled(one) for one in patterns if isinstance(one, Template)])


def _combine(plain: TextMatcher | None, templates: Sequence[TemplateMatcher]) -> Tests:
    """Patterns known now, then those whose variables are filled in at each request."""
    if not templates:
        return _static(plain or (lambda _text: False))
    if plain is None and len(templates) == 1:
        return None, templates[0]

    def test(value: str, context: RequestContext) -> object:
        if plain is not None and plain(value):
            return True
        return any(template(value, context) for template in templates)

    return None, test


def _ordered(
    values: tuple[str, ...], reader: Callable[[str], Decimal | None], compare: Callable[[Decimal, Decimal], bool]
) -> Test:
    wanted = [number for number in map(reader, values) if number is not None]

    def test(value: str, _context: RequestContext) -> object:
        actual = reader(value)
        if actual is None:
            return None
        return any(compare(actual, one) for one in wanted)

    return test


def _bool(values: tuple[str, ...]) -> TextMatcher:
    wanted = {read.boolean(value) for value in values} - {None}
    return lambda value: read.boolean(value) in wanted


def _binary(values: tuple[str, ...]) -> TextMatcher:
    wanted = {data for data in map(read.base64_bytes, values) if data is not None}
    # The context holds the bytes themselves or, as the simulator passes them, their base64.
    return lambda value: value.encode() in wanted or read.base64_bytes(value) in wanted


def _ip(values: tuple[str, ...]) -> TextMatcher:
    networks = [network for network in map(read.network, values) if network is not None]

    def test(value: str) -> bool:
        parsed = read.address(value)
        if parsed is None:
            return False
        version, number = parsed
        return any(version == family and number >> shift == prefix for family, prefix, shift in networks)

    return test
