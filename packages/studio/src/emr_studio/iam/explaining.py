"""A denial explained: what was asked, which statements decided, which almost allowed it.

The form is that of AWS's decoded authorization messages (`allowed`, `explicitDeny`,
`matchedStatements`, `failures`, `context`); beside it, for people and for our own tools:

    layer, reason                          the kind of policy that decided, and why in words
    in each of matchedStatements.items     sourcePolicyId, sourcePolicyType, statementIndex, statement
    in each of failures.items              the same of an Allow that has the action but did not apply,
                                           and reason: resource, condition or principal

Made only when something was denied, so an allowed request pays nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check, ContextValue
from emr_studio.iam import denial
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import full_context, policies_of, question, resource_policy
from emr_studio.iam.policy import EXPLICITLY_DENIED, Decision, Layer, PolicySet, StatementRef
from emr_studio.iam.policy.evaluate import Request
from emr_studio.iam.subjects import Subject, session_policy_name, subject_of

Json = dict[str, Any]
_MOST_FAILURES = 10


def explain(session: Session, caller: Caller, check: Check, decision: Decision, circumstances: Circumstances) -> Json:
    """Explain a decision that was made with a trace."""
    subject = subject_of(session, caller)
    texts = _texts(session, subject, caller, check)
    effect = "ALLOW" if decision.allowed else "DENY"
    matched = [_matched(ref, effect, texts, _kind(ref, decision, subject, caller, check)) for ref in decision.by]
    request, policies = question(caller, check, circumstances), policies_of(session, caller, check)
    return {
        "allowed": decision.allowed,
        "explicitDeny": decision.outcome == EXPLICITLY_DENIED,
        "matchedStatements": {"items": matched},
        "failures": {"items": [] if matched else _failures(request, policies, decision, texts)},
        "context": _context(caller, check, full_context(caller, check, circumstances)),
        "layer": decision.layer,
        "reason": "" if decision.allowed else denial.reason(check, decision),
    }


def _context(caller: Caller, check: Check, keys: Mapping[str, ContextValue]) -> Json:
    conditions = [
        {"key": key, "values": _items([value] if isinstance(value, str) else value)} for key, value in keys.items()
    ]
    return {
        "principal": {"id": caller.user_id, "arn": caller.arn},
        "action": check.action,
        "resource": check.resource,
        "conditions": {"items": conditions},
    }


def _items(values: Iterable[Any]) -> Json:
    return {"items": [{"value": value} for value in values]}


# The statements' own texts.


def _texts(session: Session, subject: Subject | None, caller: Caller, check: Check) -> dict[str, str]:
    """The text of each policy that took part, by the name that a decision calls it."""
    texts = dict(subject.texts) if subject else {}
    texts |= {session_policy_name(index): text for index, text in enumerate(caller.session_policies)}
    if found := resource_policy(session, check):
        texts[found.name] = found.text
    return texts


def _matched(ref: StatementRef, effect: str, texts: Mapping[str, str], kind: str) -> Json:
    statement = _statement(ref, texts)
    conditions = [
        {"key": key, "operator": operator, "values": _items(_list(values))}
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    ]
    return {
        "statementId": ref.sid or "",
        "effect": effect,
        "principals": {"items": []},
        "principalGroups": {"items": []},
        "actions": _items(_list(statement.get("Action", []))),
        "resources": _items(_list(statement.get("Resource", []))),
        "conditions": {"items": conditions},
        **_source(ref, kind, statement),
    }


def _source(ref: StatementRef, kind: str, statement: Json) -> Json:
    return {
        "sourcePolicyId": ref.policy,
        "sourcePolicyType": kind,
        "statementIndex": ref.statement,
        "statement": statement,
    }


def _statement(ref: StatementRef, texts: Mapping[str, str]) -> Json:
    if ref.policy not in texts:
        return {}
    statements = _list(json.loads(texts[ref.policy]).get("Statement", []))
    found: Json = statements[ref.statement] if ref.statement < len(statements) else {}
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _kind(ref: StatementRef, decision: Decision, subject: Subject | None, caller: Caller, check: Check) -> str:
    """Which kind of policy a deciding statement is of: by the policy's name, which only one kind bears."""
    if ref.policy in {session_policy_name(index) for index in range(len(caller.session_policies))}:
        return "session"
    if subject and ref.policy == subject.boundary_arn and decision.layer == "boundary":
        return "boundary"
    if subject and ref.policy in subject.texts and ref.policy != check.resource:
        return "identity"
    return "trust" if ref.policy == check.resource else "resource"


# What almost allowed it.


def _failures(request: Request, policies: PolicySet, decision: Decision, texts: Mapping[str, str]) -> list[Json]:
    layers: dict[str, Layer | None] = {
        "identity": policies.identity,
        "boundary": policies.boundary,
        "session": policies.session,
        "resource": policies.resource,
        "trust": policies.resource,
    }
    layer = layers[decision.layer]
    entries = layer.candidates(request.action.lower()).allows if layer else ()
    return [
        {
            **_source(ref, decision.layer, _statement(ref, texts)),
            "statementId": ref.sid or "",
            "reason": _why_not(statement, request),
        }
        for statement, ref in entries[:_MOST_FAILURES]
    ]


def _why_not(statement: Any, request: Request) -> str:
    """Why an Allow with the right action did not apply."""
    if statement.applies(request.resource, request.context):
        return "principal"
    test = statement.resource
    return "condition" if test is None or test(request.resource, request.context) else "resource"
