"""Cases as JSON lines: one question in, one decision out (`emr-studio iam evaluate`).

In: {"id", "principal": {"type", "arn", "account", "roleArn"?, "userArn"?, "userId"?...},
     "identityPolicies": [policy...], "sessionPolicies"?, "permissionBoundaries"?, "resourcePolicy"?,
     "request": {"action", "resource", "resourceAccount", "context": {key: string or [strings]}}}
Out: {"id", "decision", "by": [{"policy", "statement"}]}, or {"id", "error"} for a malformed case.

`policy` names the place in the case (`identityPolicies[0]`), `statement` counts from 0. `context` is
the whole request context; unknown members are ignored. Policies stay raw text until they are
compiled, so a policy that was seen before costs one look-up.
"""

from __future__ import annotations

from typing import Any

import msgspec

from emr_studio.iam.policy.compiler import Layer, PolicySource, compile_layer
from emr_studio.iam.policy.errors import MalformedPolicy
from emr_studio.iam.policy.evaluate import Decision, PolicySet, Request, evaluate
from emr_studio.iam.policy.grammar import PolicyKind
from emr_studio.iam.policy.principals import ACCOUNTLESS, KINDS, Principal


class _Principal(msgspec.Struct, rename="camel"):
    type: str
    arn: str = ""
    account: str = ""
    role_arn: str | None = None
    user_arn: str | None = None
    user_id: str | None = None


class _Request(msgspec.Struct, rename="camel"):
    action: str
    resource: str
    resource_account: str | None = None
    context: dict[str, str | list[str]] = {}


class _Case(msgspec.Struct, rename="camel"):
    principal: _Principal
    request: _Request
    id: Any = None
    identity_policies: list[msgspec.Raw] | None = None
    session_policies: list[msgspec.Raw] | None = None
    permission_boundaries: list[msgspec.Raw] | None = None
    resource_policy: msgspec.Raw = msgspec.Raw(b"null")


class _OnlyId(msgspec.Struct):
    id: Any = None


_decoder = msgspec.json.Decoder(_Case)
_id_decoder = msgspec.json.Decoder(_OnlyId)


def decide_line(line: bytes) -> bytes:
    """Answer one case; never raises."""
    try:
        case = _decoder.decode(line)
        answer = _answer(case.id, _decide(case))
    except MalformedPolicy as error:
        answer = {"id": _id_of(line), "error": f"MalformedPolicyDocument: {error.message}"}
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        answer = {"id": _id_of(line), "error": str(error) or "malformed case"}
    return msgspec.json.encode(answer)


def _answer(identifier: Any, decision: Decision) -> dict[str, Any]:
    by = [{"policy": ref.policy, "statement": ref.statement} for ref in decision.by]
    return {"id": identifier, "decision": decision.outcome, "by": by}


def _id_of(line: bytes) -> Any:
    try:
        return _id_decoder.decode(line).id
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _decide(case: _Case) -> Decision:
    principal = _principal(case.principal)
    asked = case.request
    account = asked.resource_account if asked.resource_account is not None else _owner(asked.resource, principal)
    request = Request(principal, asked.action, asked.resource, account, dict(asked.context))
    policies = PolicySet(
        identity=_layer("identityPolicies", case.identity_policies, PolicyKind.IDENTITY) or _NOTHING,
        boundary=_layer("permissionBoundaries", case.permission_boundaries, PolicyKind.BOUNDARY),
        session=_layer("sessionPolicies", case.session_policies, PolicyKind.SESSION),
        resource=_resource_layer(case.resource_policy),
    )
    return evaluate(request, policies, trace=True)


_NOTHING = compile_layer((), PolicyKind.IDENTITY)


def _principal(given: _Principal) -> Principal:
    if given.type not in KINDS:
        raise ValueError(f"principal.type {given.type!r} is not one of {', '.join(sorted(KINDS))}")
    if given.type not in ACCOUNTLESS and not given.account:
        raise ValueError("principal.account is missing")
    return Principal(given.type, given.arn, given.account, given.role_arn, given.user_arn, given.user_id)


def _owner(resource: str, principal: Principal) -> str:
    """The account in the resource's ARN; the caller's own where it holds none."""
    parts = resource.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[4] else principal.account


def _layer(name: str, policies: list[msgspec.Raw] | None, kind: PolicyKind) -> Layer | None:
    if not policies:
        return None
    return compile_layer(tuple(PolicySource(f"{name}[{i}]", _text(raw)) for i, raw in enumerate(policies)), kind)


def _resource_layer(raw: msgspec.Raw) -> Layer | None:
    if bytes(raw) == b"null":
        return None
    # A trust policy too: what only its saving forbids (a Resource) does not matter to a decision.
    return compile_layer((PolicySource("resourcePolicy", _text(raw)),), PolicyKind.RESOURCE)


def _text(raw: msgspec.Raw) -> str:
    """The policy's JSON text; a policy may also come as a string that holds it."""
    data = bytes(raw)
    return msgspec.json.decode(data, type=str) if data[:1] == b'"' else data.decode()
