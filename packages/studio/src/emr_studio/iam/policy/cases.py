"""Cases as JSON lines: one question in, one decision out (`emr-studio iam evaluate`).

In: {"id", "principal": {"type", "arn", "account", "roleArn"?, "userArn"?, "userId"?...},
     "identityPolicies": [policy...], "sessionPolicies"?, "permissionBoundaries"?, "resourcePolicy"?,
     "request": {"action", "resource", "resourceAccount", "context": {key: string or [strings]}}}
Out: {"id", "decision", "by": [{"policy", "statement"}]}, or {"id", "error"} for a malformed case.

`policy` names the place in the case (`identityPolicies[0]`), `statement` counts from 0. `context` is
the whole request context: nothing of the principal is added to it. Unknown members are ignored; null
is as absent. Policies stay raw text until they are compiled, so a policy that was seen before costs
one look-up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import msgspec

from emr_studio.iam.policy.compiler import Layer, PolicySource, compile_layer
from emr_studio.iam.policy.errors import MalformedPolicy
from emr_studio.iam.policy.evaluate import PolicySet, Request, evaluate
from emr_studio.iam.policy.grammar import PolicyKind
from emr_studio.iam.policy.principals import ACCOUNTLESS, KINDS, ROOT, Principal

_NULL = msgspec.Raw(b"null")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIRST_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)\s*[,}]')
"""The id of a line that is no JSON (cut off, say), where it stands first, as it does in the examples."""


class _Principal(msgspec.Struct, rename="camel"):
    type: str
    arn: str | None = None
    account: str | None = None
    role_arn: str | None = None
    user_arn: str | None = None
    user_id: str | None = None


class _Request(msgspec.Struct, rename="camel"):
    action: str
    resource: str
    resource_account: str | None = None
    context: dict[str, str | list[str]] | None = None


class _Case(msgspec.Struct, rename="camel"):
    principal: _Principal
    request: _Request
    id: msgspec.Raw = _NULL
    identity_policies: list[msgspec.Raw] | None = None
    session_policies: list[msgspec.Raw] | None = None
    permission_boundaries: list[msgspec.Raw] | None = None
    resource_policy: msgspec.Raw = _NULL


class _OnlyId(msgspec.Struct):
    id: msgspec.Raw = _NULL


_decoder = msgspec.json.Decoder(_Case)
_id_decoder = msgspec.json.Decoder(_OnlyId)


def decide_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Answer a stream of cases, one line (with its line feed) for each that is not blank."""
    first = True
    for line in lines:
        given = line.removeprefix(_BYTE_ORDER_MARK) if first else line
        first = False
        if given.strip():
            yield decide_line(given) + b"\n"


def decide_line(line: bytes) -> bytes:
    """Answer one case; never raises. The id comes back as it was written."""
    try:
        identifier, request, policies = _read(line)
        decision = evaluate(request, policies, trace=True)
        by = [{"policy": ref.policy, "statement": ref.statement} for ref in decision.by]
        return msgspec.json.encode({"id": identifier, "decision": decision.outcome, "by": by})
    except MalformedPolicy as error:
        place = f"{error.policy}: " if error.policy else ""
        message = f"{place}MalformedPolicyDocument: {error.message}"
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = str(error) or "malformed case"
    return msgspec.json.encode({"id": _id_of(line), "error": message.encode(errors="replace").decode()})


def _id_of(line: bytes) -> msgspec.Raw:
    try:
        identifier = _id_decoder.decode(line).id
        bytes(identifier).decode()
        return identifier
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = _FIRST_ID.match(line)
    try:
        return msgspec.Raw(json.dumps(json.loads(found[1])).encode()) if found else _NULL
    except ValueError:
        return _NULL


def read_case(line: bytes) -> tuple[Request, PolicySet]:
    """A case as `evaluate` takes it.

    Raises:
        MalformedPolicy: one of its policies is.
        ValueError: the line is no case (msgspec's errors are of this kind).
    """
    _, request, policies = _read(line)
    return request, policies


def _read(line: bytes) -> tuple[msgspec.Raw, Request, PolicySet]:
    line.decode()  # the decoder passes over what it does not read
    case = _decoder.decode(line)
    principal = _principal(case.principal)
    asked = case.request
    account = asked.resource_account or _owner(asked.resource, principal)
    request = Request(principal, asked.action, asked.resource, account, asked.context or {})
    policies = PolicySet(
        identity=_layer("identityPolicies", case.identity_policies, PolicyKind.IDENTITY) or _NOTHING,
        boundary=_layer("permissionBoundaries", case.permission_boundaries, PolicyKind.BOUNDARY),
        session=_layer("sessionPolicies", case.session_policies, PolicyKind.SESSION),
        resource=_resource_layer(case.resource_policy),
    )
    return case.id, request, policies


_NOTHING = compile_layer((), PolicyKind.IDENTITY)


def _principal(given: _Principal) -> Principal:
    if given.type not in KINDS:
        raise ValueError(f"principal.type {given.type!r} is not one of {', '.join(sorted(KINDS))}")
    if given.type not in ACCOUNTLESS and not given.account:
        raise ValueError("principal.account is missing")
    arn = given.arn or (f"arn:aws:iam::{given.account}:root" if given.type == ROOT else "")
    if given.type not in ACCOUNTLESS and not arn:
        raise ValueError("principal.arn is missing")
    return Principal(given.type, arn, given.account or "", given.role_arn, given.user_arn, given.user_id)


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
