"""Could somebody ever do this? Asked about a user or role who is not here.

What IAM decides may hang on the session that will ask: its address, its hour, whether MFA was shown, its source
identity, a role's session tags. Of these nothing is known beforehand, so they are taken to be as the policies
want them: their conditions are left out of what allows, and what denies only under such conditions is left
out whole. What remains hangs on the identity and the resource alone. A "no" is certain; a "yes" is decided
again when she comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check
from emr_studio.iam import entities
from emr_studio.iam.callers import user_caller
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import question
from emr_studio.iam.model import Role, User
from emr_studio.iam.policy import PolicyKind, PolicySet, PolicySource, compile_layer, evaluate
from emr_studio.iam.sessions import role_caller
from emr_studio.iam.subjects import identity_sources

_ANY_SESSION = "AnySession"
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_CERTAIN = frozenset(
    (
        *("aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:principalisawsservice"),
        *("aws:username", "aws:resourceaccount", "aws:requestedregion"),
    )
)
Known = Callable[[str], bool]


def could_be_allowed(
    session: Session, entity: User | Role, check: Check, circumstances: Circumstances, session_name: str = ""
) -> bool:
    """True unless no session of the user or role (of the role's session of that name) would be allowed `check`."""
    caller = user_caller(entity) if isinstance(entity, User) else role_caller(entity, session_name or _ANY_SESSION)
    given = {key.lower() for key in check.context}

    def is_known(key: str) -> bool:
        name = key.lower()
        if name == "aws:userid":
            return isinstance(entity, User) or bool(session_name)
        if name.startswith("aws:principaltag/"):
            return isinstance(entity, User)  # a role's session may bring tags of its own
        service = check.action.partition(":")[0].lower()
        return name in _CERTAIN or name in given or name.startswith((f"{service}:", "aws:resourcetag/"))

    own = [_hopeful(source, is_known) for source in identity_sources(session, entity)]
    boundary = None
    if entity.boundary_arn is not None:
        # As in a real decision: a boundary that is gone allows nothing.
        text = entities.policy_text(session, entity.account_id, entity.boundary_arn)
        sources = () if text is None else (_hopeful(PolicySource(entity.boundary_arn, text), is_known),)
        boundary = compile_layer(sources, PolicyKind.BOUNDARY)
    policies = PolicySet(compile_layer(tuple(own), PolicyKind.IDENTITY), boundary)
    return evaluate(question(caller, check, circumstances), policies).allowed


def _hopeful(source: PolicySource, is_known: Known) -> PolicySource:
    """The policy, with what a session will bring taken to be as it wants it."""
    document = json.loads(source.text)
    statements = document["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    kept = [new for statement in listed if (new := _hopeful_statement(statement, is_known)) is not None]
    # A policy must have a statement: this one says nothing.
    nothing = {"Effect": "Allow", "NotAction": "*", "Resource": "*"}
    return PolicySource(source.name, json.dumps(document | {"Statement": kept or [nothing]}))


def _hopeful_statement(statement: dict[str, Any], is_known: Known) -> dict[str, Any] | None:
    conditions: dict[str, Any] = statement.get("Condition") or {}
    kept = {
        operator: {key: values for key, values in tests.items() if is_known(key) and _is_certain(values, is_known)}
        for operator, tests in conditions.items()
    }
    places: dict[str, Any] = {name: statement[name] for name in ("Resource", "NotResource") if name in statement}
    certain = kept == conditions and _is_certain(list(places.values()), is_known)
    if certain:
        return statement
    if statement["Effect"] == "Deny":
        return None
    made = {name: value for name, value in statement.items() if name not in ("Condition", *places)}
    made |= _opened_places(places, is_known)
    left = {operator: tests for operator, tests in kept.items() if tests}
    return made | ({"Condition": left} if left else {})


def _is_certain(values: Any, is_known: Known) -> bool:
    """True if no variable in the values is of a key that a session will bring."""
    return all(is_known(key.partition(",")[0].strip()) for key in _variables(values))


def _variables(values: Any) -> list[str]:
    found = _VARIABLE.findall(json.dumps(values))
    return [key for key in found if key not in ("*", "?", "$")]


def _opened_places(places: dict[str, Any], is_known: Known) -> dict[str, Any]:
    if "NotResource" in places and not _is_certain(places["NotResource"], is_known):
        return {"Resource": "*"}
    return {name: _opened(value, is_known) for name, value in places.items()}


def _opened(value: Any, is_known: Known) -> Any:
    """Resources with a `*` for each variable that is not known."""
    if isinstance(value, list):
        return [_opened(one, is_known) for one in value]
    return _VARIABLE.sub(lambda found: found[0] if _is_certain(found[0], is_known) else "*", value)
