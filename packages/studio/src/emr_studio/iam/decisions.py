"""From a caller and a check to a decision: gathers the policies, adds the global condition keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check, ContextValue
from emr_studio.iam import entities
from emr_studio.iam.condition_keys import Circumstances, QuestionContext, iso, lowered, request_context
from emr_studio.iam.policy import (
    Decision,
    Layer,
    MalformedPolicy,
    PolicyKind,
    PolicySet,
    PolicySource,
    Principal,
    Request,
    compile_layer,
    evaluate,
)
from emr_studio.iam.subjects import SUBJECTS, session_layer, subject_of

_PRINCIPAL_TYPES = {
    "root": "Account",
    "user": "User",
    "role-session": "AssumedRole",
    "federated-user": "FederatedUser",
}
_TRUST_ACTIONS = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity")
_NOTHING = compile_layer((), PolicyKind.IDENTITY)


def decide(
    session: Session, caller: Caller, check: Check, circumstances: Circumstances, *, trace: bool = False
) -> Decision:
    """Return the decision for `caller`.

    The trust policy of the role in question takes part for `sts:AssumeRole` and what goes with it.
    """
    return evaluate(question(caller, check, circumstances), policies_of(session, caller, check), trace=trace)


def question(caller: Caller, check: Check, circumstances: Circumstances) -> Request:
    """The check as the policy language sees it: `full_context` with its keys in lower case."""
    known = _known(caller)
    owner = check.context.get("aws:ResourceAccount")
    more: dict[str, ContextValue] = {}
    if owner is None:
        owner = more["aws:resourceaccount"] = _owner(check.resource, caller)
    if caller.mfa_at is not None:
        more["aws:multifactorauthage"] = _mfa_age(caller.mfa_at, circumstances.now)
    context = QuestionContext(circumstances, known.keys, check, more)
    return Request(known.principal, check.action, check.resource, str(owner), context, lowered=True)


class _Known(NamedTuple):
    """What a caller brings to every question, made once; the keys are in lower case."""

    caller: Caller
    keys: Mapping[str, ContextValue]
    principal: Principal


_KNOWN: dict[int, _Known] = {}
_MOST_KNOWN = 4096


def _known(caller: Caller) -> _Known:
    """By identity: authentication hands out the same object while a key and its owner stay as they are."""
    found = _KNOWN.get(id(caller))
    if found is None or found.caller is not caller:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        found = _KNOWN[id(caller)] = _Known(caller, lowered(_caller_context(caller)), principal_of(caller))
    return found


def full_context(caller: Caller, check: Check, circumstances: Circumstances) -> dict[str, ContextValue]:
    """All condition keys of a check: the global ones and its own."""
    context = global_context(caller, circumstances)
    context.update(check.context)
    context.setdefault("aws:ResourceAccount", _owner(check.resource, caller))
    return context


def principal_of(caller: Caller) -> Principal:
    """The caller as the policy language sees it."""
    role_arn = caller.principal_arn if caller.kind == "role-session" else None
    return Principal(
        caller.kind, caller.arn, caller.account_id, role_arn, caller.federating_user_arn, user_id=caller.user_id
    )


def global_context(caller: Caller, circumstances: Circumstances) -> dict[str, ContextValue]:
    """The global condition keys of a request (spec: IAM evaluation, section 9)."""
    context = request_context(circumstances) | _caller_context(caller)
    if caller.mfa_at is not None:
        context["aws:MultiFactorAuthAge"] = _mfa_age(caller.mfa_at, circumstances.now)
    return context


def _mfa_age(shown_at: dt.datetime, now: dt.datetime) -> str:
    return str(int((now - shown_at).total_seconds()))


def _caller_context(caller: Caller) -> dict[str, ContextValue]:
    """The keys that speak of who asks and do not change from request to request."""
    if caller.kind == "anonymous":
        return {"aws:PrincipalType": "Anonymous", "aws:userid": "anonymous"}
    context: dict[str, ContextValue] = {
        "aws:PrincipalArn": caller.principal_arn,
        "aws:PrincipalAccount": caller.account_id,
        "aws:PrincipalType": _PRINCIPAL_TYPES.get(caller.kind, "Service"),
        "aws:userid": caller.user_id,
        "aws:PrincipalIsAWSService": "true" if caller.kind == "service" else "false",
    }
    if caller.user_name is not None:
        context["aws:username"] = caller.user_name
    if caller.token_issued_at is not None:
        context["aws:TokenIssueTime"] = iso(caller.token_issued_at)
    if caller.mfa_at is not None:
        context["aws:MultiFactorAuthPresent"] = "true"
    elif caller.token_issued_at is not None or caller.console:
        context["aws:MultiFactorAuthPresent"] = "false"
    if caller.source_identity is not None:
        context["aws:SourceIdentity"] = caller.source_identity
    context.update(caller.session_keys)
    for key, value in caller.tags.items():
        context[f"aws:PrincipalTag/{key}"] = value
    return context


def service_principal(service: str) -> Principal:
    """An AWS service as a caller."""
    return Principal("service", service)


def trust_layer(session: Session, role_arn: str) -> Layer | None:
    """The compiled trust policy of a role; None if there is no such role."""
    role = entities.find_role_by_arn(session, role_arn)
    subject = SUBJECTS.get(session, role.account_id, role.id) if role else None
    return subject.trust if subject else None


def decide_for_service(
    session: Session, service: str, role_arn: str, context: Mapping[str, ContextValue], circumstances: Circumstances
) -> Decision:
    """Whether the role's trust policy lets `service` assume it."""
    keys = {"aws:PrincipalIsAWSService": "true", **context}
    return decide_by_trust(
        session, service_principal(service), "sts:AssumeRole", role_arn, keys, circumstances=circumstances
    )


def decide_by_trust(
    session: Session,
    principal: Principal,
    action: str,
    role_arn: str,
    context: Mapping[str, ContextValue],
    *,
    circumstances: Circumstances,
) -> Decision:
    """Whether the role's trust policy allows somebody who is of no account: a service, a federated person."""
    account = role_arn.split(":", 5)[4]
    full = {**request_context(circumstances), **context}
    request = Request(principal, action, role_arn, account, full)
    return evaluate(request, PolicySet(_NOTHING, resource=trust_layer(session, role_arn)))


def _owner(resource: str, caller: Caller) -> str:
    """The account in an ARN; the caller's own where there is none (S3) or it is AWS's own (`iam::aws:policy`)."""
    parts = resource.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[4].isdecimal() else caller.account_id


def policies_of(session: Session, caller: Caller, check: Check) -> PolicySet:
    """All policies that speak in a decision."""
    resource = _resource_layer(session, check)
    passed = session_layer(caller.session_policies) if caller.session_policies else None
    subject = subject_of(session, caller)
    # Without a word of the key's policy not even its own account may use the key ("Key policies in KMS").
    must_allow = resource is not None and check.action.lower().startswith("kms:")
    if subject is not None:
        return PolicySet(subject.identity, subject.boundary, passed, resource, must_allow)
    return PolicySet(_NOTHING, None, passed, resource, must_allow)


def resource_policy(session: Session, check: Check) -> PolicySource | None:
    """The policy on the resource with its name: a role's trust policy, or what the check brought along."""
    if check.action.lower().startswith(_TRUST_ACTIONS):
        role = entities.find_role_by_arn(session, check.resource)
        return PolicySource(role.arn, role.trust_policy) if role else None
    if check.resource_policy is None:
        return None
    # Objects share the policy of their bucket: one name, so that it is compiled once.
    name = check.resource.partition("/")[0] if ":s3:::" in check.resource else check.resource
    return PolicySource(f"{name}#policy", check.resource_policy)


def _resource_layer(session: Session, check: Check) -> Layer | None:
    if check.resource_policy is None and check.action[:4].lower() != "sts:":
        return None
    if check.action.lower().startswith(_TRUST_ACTIONS):
        return trust_layer(session, check.resource)
    source = resource_policy(session, check)
    if source is None:
        return None
    try:
        return compile_layer((source,), PolicyKind.RESOURCE)
    except MalformedPolicy:
        # It was checked when it was saved; what cannot be read allows nothing.
        return _NOTHING
