"""Compiling: documents into closures, layers that know which statements an action can meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from emr_studio.iam.policy.conditions import Predicate, compile_condition
from emr_studio.iam.policy.errors import MalformedPolicy
from emr_studio.iam.policy.glob import ANY, Parts, TextMatcher, any_of, match_tokens, matcher, tokenize
from emr_studio.iam.policy.grammar import Document, PolicyKind, Statement, parse
from emr_studio.iam.policy.principals import Naming, Principal, PrincipalSet
from emr_studio.iam.policy.variables import RequestContext, Template, TemplateMatcher, read_pattern

ResourceTest = Callable[[str, RequestContext], bool]
_ACTIONS_REMEMBERED = 2048
_ACTIONS_TOGETHER = 32
_LONGEST_REMEMBERED = 20_480
"""Characters. Every policy that fits AWS's quotas is remembered; longer ones would fill the memory."""
_ARN_PARTS = 6


class PolicySource(NamedTuple):
    """A policy's text and the name by which a decision refers to it."""

    name: str
    text: str


class StatementRef(NamedTuple):
    """A deciding statement: which policy, which statement (from 0), its Sid if it has one."""

    policy: str
    statement: int
    sid: str | None


class CompiledStatement:
    """A statement as functions. Resource and conditions are compiled when an action first meets it."""

    __slots__ = (
        "_pending",
        "allow",
        "conditions",
        "index",
        "is_plain",
        "not_principals",
        "principals",
        "resource",
        "sid",
    )

    def __init__(self, statement: Statement, *, variables: bool) -> None:
        self._pending: tuple[Statement, bool] | None = (statement, variables)
        self.index = statement.index
        self.sid = statement.sid
        self.allow = statement.allow
        self.resource: ResourceTest | None = None
        self.conditions: tuple[Predicate, ...] = ()
        self.principals = PrincipalSet(statement.principals) if statement.principals is not None else None
        self.not_principals = statement.not_principals
        # Whether it applies follows from action and resource alone.
        self.is_plain = not statement.conditions and not (
            variables and any("${" in entry for entry in statement.resources or ())
        )

    def _compile(self, statement: Statement, variables: bool) -> None:
        # Two threads may do this at once; both make the same, and `_pending` goes last.
        self.resource = _resource_test(statement, variables=variables)
        self.conditions = tuple(compile_condition(condition, variables=variables) for condition in statement.conditions)
        self._pending = None

    def applies(self, resource: str, context: RequestContext) -> bool:
        """True if resource and conditions hold (the action is known to match)."""
        pending = self._pending
        if pending is not None:
            self._compile(*pending)
        test = self.resource
        if test is not None and not test(resource, context):
            return False
        # A plain loop: a generator would cost more than the conditions themselves.
        passed = True
        for condition in self.conditions:
            if not condition(context):
                passed = False
                break
        return passed

    def naming(self, principal: Principal, *, has_boundary: bool) -> Naming:
        """How closely the statement's principals name the caller (`DIRECT` where it has none)."""
        if self.principals is None:
            return Naming.DIRECT
        if not self.not_principals:
            return self.principals.naming(principal)
        spared = self.principals.exempts(principal, has_boundary=has_boundary)
        return Naming.NOT if spared else Naming.DIRECT


class Entry(NamedTuple):
    """A statement in a layer."""

    statement: CompiledStatement
    ref: StatementRef


class Candidates(NamedTuple):
    """The statements of a layer whose actions match."""

    denies: tuple[Entry, ...]
    allows: tuple[Entry, ...]


class _Compiled(NamedTuple):
    action: TextMatcher
    statement: CompiledStatement


class Layer:
    """All policies of one kind that speak in a decision. Immutable but for its memory of actions."""

    __slots__ = ("_entries", "_known")

    def __init__(self, entries: Sequence[tuple[TextMatcher, Entry]]) -> None:
        self._entries = tuple(entries)
        self._known: dict[str, Candidates] = {}

    def candidates(self, action: str) -> Candidates:
        """Statements that `action` (lower case) meets."""
        found = self._known.get(action)
        return found if found is not None else self._remember(action)

    def _remember(self, action: str) -> Candidates:
        matching = [entry for matches, entry in self._entries if matches(action)]
        found = Candidates(
            tuple(entry for entry in matching if not entry.statement.allow),
            tuple(entry for entry in matching if entry.statement.allow),
        )
        if len(self._known) >= _ACTIONS_REMEMBERED:
            self._known.clear()
        self._known[action] = found
        return found


def compile_layer(sources: tuple[PolicySource, ...], kind: PolicyKind) -> Layer:
    """Compile policies of one kind; those seen lately cost one look-up.

    Raises:
        MalformedPolicy: if one of them is; its `policy` names which.
    """
    if sum(len(source.text) for source in sources) > _LONGEST_REMEMBERED:
        return _compile_layer(sources, kind)
    return _remembered_layer(sources, kind)


def _compile_layer(sources: tuple[PolicySource, ...], kind: PolicyKind) -> Layer:
    entries = []
    for name, text in sources:
        compile_ = _compile_text if len(text) > _LONGEST_REMEMBERED else _remembered_text
        try:
            compiled = compile_(text, kind)
        except MalformedPolicy as error:
            error.policy = name
            raise
        for action, statement in compiled:
            ref = StatementRef(name, statement.index, statement.sid)
            entries.append((action, Entry(statement, ref)))
    return Layer(entries)


def _compile_text(text: str, kind: PolicyKind) -> tuple[_Compiled, ...]:
    return compile_document(parse(text, kind))


_remembered_layer = lru_cache(maxsize=4096)(_compile_layer)
_remembered_text = lru_cache(maxsize=4096)(_compile_text)


def compile_document(document: Document) -> tuple[_Compiled, ...]:
    """Compile the statements of one document."""
    variables = document.has_variables
    return tuple(
        _Compiled(
            _action_test(statement.actions, statement.not_actions), CompiledStatement(statement, variables=variables)
        )
        for statement in document.statements
    )


def _action_test(actions: tuple[str, ...], negated: bool) -> TextMatcher:
    if len(actions) > _ACTIONS_TOGETHER:
        return _make_action_test(actions, negated)
    return _remembered_action_test(actions, negated)


def _make_action_test(actions: tuple[str, ...], negated: bool) -> TextMatcher:
    found = matcher(tokenize(action.lower()) for action in actions)
    assert found is not None, "a statement has actions: the grammar sees to it"
    if not negated:
        return found
    return lambda action: not found(action)


_remembered_action_test = lru_cache(maxsize=1024)(_make_action_test)


def _resource_test(statement: Statement, *, variables: bool) -> ResourceTest | None:
    """Test of Resource or NotResource; None if every resource passes."""
    entries = statement.resources
    if entries is None:
        return None
    test = _resource_matcher(entries, variables=variables)
    if statement.not_resources:
        return (lambda _resource, _context: False) if test is None else _inverse(test)
    return test


def _inverse(test: ResourceTest) -> ResourceTest:
    return lambda resource, context: not test(resource, context)


def _resource_matcher(entries: Iterable[str], *, variables: bool) -> ResourceTest | None:
    exact, prefixes, patterns, dynamic = [], [], [], []
    for entry in entries:
        tokens = tokenize(entry)
        if tokens == (ANY,):
            return None
        if variables and "${" in entry and (test := _dynamic_resource(entry)):
            dynamic.append(test)
        elif ANY not in tokens and len(tokens) == 1:
            exact.append(entry)
        elif len(tokens) == 2 and tokens[1] is ANY:
            prefixes.append(str(tokens[0]))
        else:
            patterns.append(_arn_parts(entry))
    return _join(any_of(exact, prefixes, patterns), dynamic)


def _join(static: TextMatcher | None, dynamic: Sequence[ResourceTest]) -> ResourceTest:
    if not dynamic:
        plain = static or (lambda _resource: False)
        return lambda resource, _context: bool(plain(resource))

    def test(resource: str, context: RequestContext) -> bool:
        if static is not None and static(resource):
            return True
        return any(one(resource, context) for one in dynamic)

    return test


def _arn_parts(entry: str) -> Parts:
    """An ARN pattern's six parts, or fewer with a `*` at the end that covers the rest."""
    return tuple(tokenize(part) for part in entry.split(":", _ARN_PARTS - 1))


def _dynamic_resource(entry: str) -> ResourceTest | None:
    """Test of an ARN with variables in its sixth part; None if they are no variables after all."""
    parts = entry.split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        return None
    last = read_pattern(parts[-1], variables=True)
    if isinstance(last, Template):
        return _template_test(parts[:-1], last)
    # The sixth part holds `${*}` and the like only.
    matches = any_of((), (), [(*(tokenize(part) for part in parts[:-1]), last)])
    return _join(matches, ())


def _template_test(head: Sequence[str], last: Template) -> ResourceTest:
    """`head` is the ARN's first five parts, `last` the sixth."""
    matches = last.matcher()
    if not any(set(part) & {"*", "?"} for part in head):
        return _fixed_head_test(":".join((*head, "")), matches)
    patterns = tuple(tokenize(part) for part in head)

    def test(resource: str, context: RequestContext) -> bool:
        parts = resource.split(":", _ARN_PARTS - 1)
        if len(parts) < _ARN_PARTS or not all(map(match_tokens, patterns, parts)):
            return False
        return matches(parts[-1], context)

    return test


def _fixed_head_test(head: str, matches: TemplateMatcher) -> ResourceTest:
    def test(resource: str, context: RequestContext) -> bool:
        return resource.startswith(head) and matches(resource[len(head) :], context)

    return test
