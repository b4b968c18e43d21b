"""The grammar: from JSON text to a `Document` of plain data, or MalformedPolicy.

    policy    = { Version?, Id?, Statement: stmt | [stmt...] }
    stmt      = { Sid?, Effect, (Principal|NotPrincipal)?, (Action|NotAction), (Resource|NotResource)?, Condition? }
    Condition = { "[ForAllValues:|ForAnyValue:]Operator[IfExists]": { key: value | [value...] } }

What each kind of policy may hold is in `_SHAPES`. The late checks (names of vendors, forms of ARNs)
are in `validation.py`: an evaluation does without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from emr_studio.iam.policy.errors import LEGACY, MalformedPolicy, Stage, raise_first
from emr_studio.iam.policy.operators import Operator, read_operator

CURRENT_VERSION: Final = "2012-10-17"
_VERSIONS = (CURRENT_VERSION, "2008-10-17")
_POLICY_MEMBERS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_MEMBERS = frozenset(
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"]
)
_PRINCIPAL_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_LONGEST = 131_072
"""Characters: the most that a `PolicyDocument` parameter takes."""


class PolicyKind(Enum):
    """Where a policy is attached; it decides what a statement may hold."""

    IDENTITY = "identity"
    SESSION = "session"
    BOUNDARY = "boundary"
    RESOURCE = "resource"
    TRUST = "trust"


class Number(str):
    """A JSON number, read as its text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key (lower case) with its values."""

    operator: Operator
    key: str
    values: tuple[str, ...]
    spelling: str
    """The operator as written."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as written; `principals` is None where there is no principal."""

    index: int
    sid: str | None
    allow: bool
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...] | None
    not_resources: bool
    principals: tuple[tuple[str, str], ...] | None
    not_principals: bool
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A policy as written."""

    version: str | None
    identifier: str | None
    statements: tuple[Statement, ...]

    @property
    def has_variables(self) -> bool:
        """Variables exist in the newer version of the language only."""
        return self.version == CURRENT_VERSION


def parse(text: str, kind: PolicyKind) -> Document:
    """Read a policy.

    Raises:
        MalformedPolicy: with AWS's message.
    """
    document, faults = read(text, kind)
    raise_first(faults)
    return document


def read(text: str, kind: PolicyKind) -> tuple[Document, list[MalformedPolicy]]:
    """Read a policy; returns it with the faults that AWS finds only after its syntax.

    Raises:
        MalformedPolicy: for faults of syntax.
    """
    value = _load(text)
    if not isinstance(value, dict) or not value.keys() <= _POLICY_MEMBERS:
        raise MalformedPolicy
    version = _optional_text(value, "Version")
    if version is not None and version not in _VERSIONS:
        raise MalformedPolicy
    identifier = _optional_text(value, "Id")
    if identifier is not None and not _takes_principal(kind):
        raise MalformedPolicy
    faults: list[MalformedPolicy] = []
    return Document(version, identifier, _statements(value.get("Statement"), kind, faults)), faults


def _load(text: str) -> Any:
    if len(text) > _LONGEST:
        raise MalformedPolicy
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise MalformedPolicy from None


def _refuse(_name: str) -> Any:
    raise MalformedPolicy


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MalformedPolicy
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_refuse)


def _takes_principal(kind: PolicyKind) -> bool:
    return kind in (PolicyKind.RESOURCE, PolicyKind.TRUST)


def _statements(value: Any, kind: PolicyKind, faults: list[MalformedPolicy]) -> tuple[Statement, ...]:
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) for item in items):
        raise MalformedPolicy
    return tuple(_statement(index, item, kind, faults) for index, item in enumerate(items))


def _statement(index: int, value: Mapping[str, Any], kind: PolicyKind, faults: list[MalformedPolicy]) -> Statement:
    if not value.keys() <= _STATEMENT_MEMBERS:
        raise MalformedPolicy
    allow = _effect(value, faults)
    actions, not_actions = _pair(value, "Action")
    if not actions:
        faults.append(MalformedPolicy("Policy statement must contain actions.", Stage.NO_ACTIONS))
    resources, not_resources = _pair(value, "Resource")
    _check_resources(resources, kind, faults)
    principals, not_principals = _principals(value, allow=allow, kind=kind)
    return Statement(
        index=index,
        sid=_optional_text(value, "Sid"),
        allow=allow,
        actions=actions or (),
        not_actions=not_actions,
        resources=resources,
        not_resources=not_resources,
        principals=principals,
        not_principals=not_principals,
        conditions=_conditions(value.get("Condition", {})),
    )


def _effect(value: Mapping[str, Any], faults: list[MalformedPolicy]) -> bool:
    effect = value.get("Effect")
    if not isinstance(effect, str) or isinstance(effect, Number) or effect.lower() not in ("allow", "deny"):
        raise MalformedPolicy
    if effect not in ("Allow", "Deny"):
        faults.append(MalformedPolicy(LEGACY, Stage.LEGACY))
    return effect.lower() == "allow"


def _pair(value: Mapping[str, Any], name: str) -> tuple[tuple[str, ...] | None, bool]:
    """Read `name` or `Not` + name: (entries, or None where there is neither; negated)."""
    negated = f"Not{name}"
    if name in value and negated in value:
        raise MalformedPolicy
    if name not in value and negated not in value:
        return None, False
    entries = value[name] if name in value else value[negated]
    return () if entries == [] else _texts(entries), negated in value


def _check_resources(resources: tuple[str, ...] | None, kind: PolicyKind, faults: list[MalformedPolicy]) -> None:
    if kind is PolicyKind.TRUST and resources is not None:
        faults.append(MalformedPolicy("Has prohibited field Resource.", Stage.TRUST))
    elif resources == () or (resources is None and not _takes_principal(kind)):
        faults.append(MalformedPolicy("Policy statement must contain resources.", Stage.NO_RESOURCES))


def _principals(
    value: Mapping[str, Any], *, allow: bool, kind: PolicyKind
) -> tuple[tuple[tuple[str, str], ...] | None, bool]:
    given = [name for name in ("Principal", "NotPrincipal") if name in value]
    if not _takes_principal(kind):
        if given:
            raise MalformedPolicy
        return None, False
    if len(given) != 1:
        raise MalformedPolicy
    negated = given == ["NotPrincipal"]
    if negated and (allow or kind is PolicyKind.TRUST):
        raise MalformedPolicy
    return _principal_entries(value[given[0]]), negated


def _principal_entries(value: Any) -> tuple[tuple[str, str], ...]:
    if value == "*":
        return (("AWS", "*"),)
    if not isinstance(value, dict) or not value or not value.keys() <= _PRINCIPAL_TYPES:
        raise MalformedPolicy
    return tuple((kind, name) for kind, names in value.items() for name in _texts(names))


def _conditions(value: Any) -> tuple[Condition, ...]:
    if not isinstance(value, dict):
        raise MalformedPolicy
    found = []
    for spelling, keys in value.items():
        operator = read_operator(spelling)
        if operator is None or not isinstance(keys, dict):
            raise MalformedPolicy
        for key, values in keys.items():
            found.append(Condition(operator, key.lower(), _condition_values(values), spelling))
    return tuple(found)


def _condition_values(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise MalformedPolicy
    return tuple(_condition_value(item) for item in values)


def _condition_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise MalformedPolicy
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    # A `Number` is text of another type.
    if not values or set(map(type, values)) != {str}:
        raise MalformedPolicy
    return tuple(values)


def _optional_text(value: Mapping[str, Any], name: str) -> str | None:
    if name not in value:
        return None
    text = value[name]
    if not isinstance(text, str) or isinstance(text, Number):
        raise MalformedPolicy
    return text
