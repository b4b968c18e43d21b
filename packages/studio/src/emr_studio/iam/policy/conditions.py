"""Conditions as closures over the request's context.

Let P be the policy's values, V the context's. AND over operators and keys; OR over P, NOR for the
negated operators. A key that is absent is false, but true for negated operators, `IfExists` and
`ForAllValues`; `ForAnyValue` of nothing is false. A multivalued key without a set operator never
matches. A number or date that cannot be read never matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import eq, ge, gt, le, lt

from emr_studio.iam.policy import values as read
from emr_studio.iam.policy.glob import (
    TextMatcher,
    Tokens,
    any_of,
    arn_expression,
    literal_of,
    match_arn_tokens,
    match_tokens,
    matcher,
    split_colons,
)
from emr_studio.iam.policy.grammar import Condition
from emr_studio.iam.policy.variables import ContextValue, RequestContext, Template, read_pattern

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
    test = _test(operator.base, condition.values, variables=variables)
    if operator.negated:
        test = _negate(test)
    if operator.quantifier == "all":
        return _for_all(condition.key, test)
    if operator.quantifier == "any":
        return _for_any(condition.key, test, absent=operator.if_exists)
    return _single(condition.key, test, absent=operator.if_exists or operator.negated)


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


def _test(base: str, values: tuple[str, ...], *, variables: bool) -> Test:
    if base.startswith("String"):
        return _string(base, values, variables=variables)
    if base.startswith("Arn"):
        return _arn(values, variables=variables)
    if base.startswith("Numeric"):
        return _ordered(values, read.number, _COMPARISONS[base.removeprefix("Numeric")])
    if base.startswith("Date"):
        return _ordered(values, read.date, _COMPARISONS[base.removeprefix("Date")])
    return {"Bool": _bool, "BinaryEquals": _binary, "IpAddress": _ip}[base](values)


def _string(base: str, values: tuple[str, ...], *, variables: bool) -> Test:
    like = base == "StringLike"
    patterns = [read_pattern(value, variables=variables, wildcards=like) for value in values]
    if base == "StringEqualsIgnoreCase":
        return _ignore_case(patterns)
    static = [pattern for pattern in patterns if not isinstance(pattern, Template)]
    plain = matcher(static) if like else any_of([literal_of(one) or "" for one in static], (), ())
    return _combine(plain, [one for one in patterns if isinstance(one, Template)], match_tokens)


def _ignore_case(patterns: list[Tokens | Template]) -> Test:
    static = {(literal_of(one) or "").lower() for one in patterns if not isinstance(one, Template)}
    dynamic = [one for one in patterns if isinstance(one, Template)]

    def test(value: str, context: RequestContext) -> object:
        lower = value.lower()
        if lower in static:
            return True
        filled = (template.fill(context) for template in dynamic)
        return any(tokens is not None and (literal_of(tokens) or "").lower() == lower for tokens in filled)

    return test


def _arn(values: tuple[str, ...], *, variables: bool) -> Test:
    patterns = [read_pattern(value, variables=variables) for value in values]
    static = [split_colons(one, 6) for one in patterns if not isinstance(one, Template)]
    plain = any_of((), (), [arn_expression(parts) for parts in static if len(parts) == 6])
    return _combine(plain, [one for one in patterns if isinstance(one, Template)], match_arn_tokens)


def _combine(plain: TextMatcher | None, templates: list[Template], match: Callable[[Tokens, str], bool]) -> Test:
    """Patterns known now, then those whose variables are filled in at each request."""
    if not templates:
        found = plain or (lambda _text: False)
        return lambda value, _context: bool(found(value))

    def test(value: str, context: RequestContext) -> object:
        if plain is not None and plain(value):
            return True
        for template in templates:
            tokens = template.fill(context)
            if tokens is not None and match(tokens, value):
                return True
        return False

    return test


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


def _bool(values: tuple[str, ...]) -> Test:
    wanted = {read.boolean(value) for value in values} - {None}
    return lambda value, _context: read.boolean(value) in wanted


def _binary(values: tuple[str, ...]) -> Test:
    wanted = {data for data in map(read.base64_bytes, values) if data is not None}

    def test(value: str, _context: RequestContext) -> object:
        # The context holds the bytes themselves or, as the simulator passes them, their base64.
        return value.encode() in wanted or read.base64_bytes(value) in wanted

    return test


def _ip(values: tuple[str, ...]) -> Test:
    networks = [network for network in map(read.network, values) if network is not None]

    def test(value: str, _context: RequestContext) -> object:
        parsed = read.address(value)
        if parsed is None:
            return None
        version, number = parsed
        return any(version == family and number >> shift == prefix for family, prefix, shift in networks)

    return test
