"""The `userIdentity` block of a record.

Source: "CloudTrail userIdentity element" (CloudTrail user guide).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from emr_studio.aws.context import Caller

Json = dict[str, Any]
_TYPES = {"root": "Root", "user": "IAMUser", "role-session": "AssumedRole", "federated-user": "FederatedUser"}


def user_identity(caller: Caller) -> Json:
    """Who a caller is, as CloudTrail writes it."""
    if caller.kind == "service":
        return {"type": "AWSService", "invokedBy": caller.arn}
    found: Json = {
        "type": _TYPES.get(caller.kind, "Unknown"),
        "principalId": _principal_id(caller),
        "arn": caller.arn,
        "accountId": caller.account_id,
    }
    if caller.access_key_id is not None:
        found["accessKeyId"] = caller.access_key_id
    if caller.kind == "user" and caller.user_name is not None:
        found["userName"] = caller.user_name
    context = _session_context(caller)
    if context:
        found["sessionContext"] = context
    return found


def _principal_id(caller: Caller) -> str:
    if caller.kind == "federated-user":
        return f"{caller.account_id}:{caller.arn.rpartition('/')[2]}"
    return caller.user_id


def _session_context(caller: Caller) -> Json:
    """How a session came to be; empty for a long-term key."""
    if caller.token_issued_at is None and caller.kind not in {"role-session", "federated-user"} and not caller.console:
        return {}
    context: Json = {}
    if issuer := _issuer(caller):
        context["sessionIssuer"] = issuer
    if federation := _web_federation(caller.session_keys):
        context["webIdFederationData"] = federation
    attributes: Json = {"mfaAuthenticated": "true" if caller.mfa_at is not None else "false"}
    if caller.token_issued_at is not None:
        attributes = {"creationDate": _seconds(caller.token_issued_at)} | attributes
    context["attributes"] = attributes
    if caller.source_identity is not None:
        context["sourceIdentity"] = caller.source_identity
    return context


def _issuer(caller: Caller) -> Json:
    if caller.kind == "role-session":
        return {
            "type": "Role",
            "principalId": caller.user_id.partition(":")[0],
            "arn": caller.principal_arn,
            "accountId": caller.account_id,
            "userName": caller.role_name,
        }
    if caller.kind == "federated-user" and caller.federating_user is not None:
        arn = caller.federating_user_arn or ""
        is_root = arn.endswith(":root")
        issuer = {"type": "Root" if is_root else "IAMUser", "principalId": caller.federating_user, "arn": arn}
        return issuer | {"accountId": caller.account_id} | ({} if is_root else {"userName": arn.rpartition("/")[2]})
    return {}


def _web_federation(keys: Mapping[str, Any]) -> Json:
    """Who vouched for a session made by AssumeRoleWithWebIdentity."""
    provider = keys.get("aws:FederatedProvider")
    if not isinstance(provider, str) or ":oidc-provider/" not in provider:
        return {}
    attributes = {name: value for name, value in keys.items() if name.endswith((":sub", ":aud", ":amr"))}
    return {"federatedProvider": provider, "attributes": attributes}


def from_another_account(caller: Caller) -> Json:
    """The caller as the records of another account show it."""
    principal = caller.user_id or caller.account_id
    return {"type": "AWSAccount", "principalId": principal, "accountId": caller.account_id}


def anonymous() -> Json:
    """A request to S3 that nobody signed."""
    return {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}


def unknown(account_id: str = "", access_key_id: str = "") -> Json:
    """Somebody who did not prove who he is; `account_id` is that of the key he named."""
    found = {"type": "Unknown", "principalId": "", "accountId": account_id}
    return found | ({"accessKeyId": access_key_id} if access_key_id else {})


def by_web_identity(output: Mapping[str, Any]) -> Json:
    """The caller of AssumeRoleWithWebIdentity, from its answer; after a refusal nobody is known."""
    subject, provider = output.get("SubjectFromWebIdentityToken", ""), output.get("Provider", "")
    found = {"type": "WebIdentityUser"}
    if not subject:
        return found
    principal = f"{provider}:{output.get('Audience', '')}:{subject}"
    return found | {"principalId": principal, "userName": str(subject), "identityProvider": str(provider)}


def by_saml(output: Mapping[str, Any]) -> Json:
    """The caller of AssumeRoleWithSAML, from its answer."""
    subject, qualifier = output.get("Subject", ""), output.get("NameQualifier", "")
    found = {"type": "SAMLUser"}
    if not subject:
        return found
    provider = str(output.get("Issuer", ""))
    return found | {"principalId": f"{qualifier}:{subject}", "userName": str(subject), "identityProvider": provider}


def username(caller: Caller) -> str:
    """What LookupEvents calls the caller: user, session, `root`, or the service."""
    if caller.kind == "root":
        return "root"
    return caller.user_name or caller.session_name or caller.arn.rpartition("/")[2]


def _seconds(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
