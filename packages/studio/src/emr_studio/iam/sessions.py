"""Temporary credentials without a table: the session token is its own record, sealed.

A token holds who the session is, the secret and the end, under AES-GCM; any replica opens it. It
ends exactly at its expiry, and at once when its role or user is deleted.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from emr_studio import ids
from emr_studio.aws.context import Caller, ContextValue
from emr_studio.iam.model import Role
from emr_studio.iam.sealing import BadSeal, Sealer

_PURPOSE = "iam:session-token"


class Claims(msgspec.Struct, frozen=True):
    """What a session token says.

    `kind` is `role-session`, `federated-user`, or `user` and `root` for their own temporary credentials;
    `entity_…` and `name` are of the role, or of the user (root: the account) behind it all; `session` is
    the session's or federated user's name; `tags` are the session's own; `policies` are texts, or ARNs of
    managed policies, which act as they are at each request.
    """

    key: str
    secret: str
    account: str
    kind: str
    entity_id: str
    entity_arn: str
    name: str
    session: str | None
    issued: int
    expires: int
    policies: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    mfa: int | None = None
    keys: dict[str, str | list[str]] = {}
    grant: str | None = None
    """The grant (`RoleGrant.token_hash`) that it came from: it ends with it."""


@dataclass(frozen=True)
class TemporaryCredentials:
    """What STS hands out."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: dt.datetime
    caller: Caller


@dataclass(frozen=True)
class SessionOptions:
    """What may be asked of a session. `keys` are condition keys that it keeps (`saml:sub`)."""

    policies: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: Sequence[str] = ()
    source_identity: str | None = None
    keys: Mapping[str, ContextValue] = field(default_factory=dict)
    grant: str | None = None
    """See `Claims.grant`."""


_PLAIN = SessionOptions()


def issue_role_session(
    sealer: Sealer,
    role: Role,
    session_name: str,
    *,
    now: dt.datetime,
    seconds: int,
    options: SessionOptions = _PLAIN,
) -> TemporaryCredentials:
    """Make credentials of a session of `role`. Who may have them is the caller's business."""
    claims = Claims(
        **_new_key(role.account_id, now, seconds),
        **_wishes(options),
        kind="role-session",
        entity_id=role.id,
        entity_arn=role.arn,
        name=role.name,
        session=session_name,
    )
    return _issue(sealer, claims, role.tags)


def issue_own_session(
    sealer: Sealer, caller: Caller, *, now: dt.datetime, seconds: int, with_mfa: bool
) -> TemporaryCredentials:
    """Make temporary credentials of an IAM user or root (`GetSessionToken`)."""
    key = _new_key(caller.account_id, now, seconds)
    claims = Claims(
        **key,
        kind=caller.kind,
        entity_id=caller.user_id,
        entity_arn=caller.arn,
        name=caller.user_name or "",
        session=None,
        mfa=key["issued"] if with_mfa else None,
    )
    return _issue(sealer, claims, caller.tags)


def issue_federated_session(
    sealer: Sealer, caller: Caller, name: str, *, now: dt.datetime, seconds: int, options: SessionOptions
) -> TemporaryCredentials:
    """Make credentials of somebody in the name of an IAM user or root (`GetFederationToken`)."""
    claims = Claims(
        **_new_key(caller.account_id, now, seconds),
        **_wishes(options),
        kind="federated-user",
        entity_id=caller.user_id,
        entity_arn=caller.arn,
        name=caller.user_name or "",
        session=name,
    )
    return _issue(sealer, claims, caller.tags)


def _new_key(account_id: str, now: dt.datetime, seconds: int) -> dict[str, Any]:
    issued = int(now.timestamp())
    return {
        "key": ids.access_key_id("ASIA", account_id),
        "secret": ids.secret_access_key(),
        "account": account_id,
        "issued": issued,
        "expires": issued + seconds,
    }


def _wishes(options: SessionOptions) -> dict[str, Any]:
    return {
        "policies": tuple(options.policies),
        "tags": dict(options.tags),
        "transitive": tuple(options.transitive),
        "source_identity": options.source_identity,
        "keys": dict(options.keys),
        "grant": options.grant,
    }


def merge_tags(of_role: Mapping[str, str], of_session: Mapping[str, str]) -> dict[str, str]:
    """Session tags win over the role's of the same key, ignoring case."""
    keys = {key.lower() for key in of_session}
    return {key: value for key, value in of_role.items() if key.lower() not in keys} | dict(of_session)


def _issue(sealer: Sealer, claims: Claims, entity_tags: Mapping[str, str]) -> TemporaryCredentials:
    sealed = sealer.seal(msgspec.msgpack.encode(claims), _PURPOSE)
    expiration = dt.datetime.fromtimestamp(claims.expires, dt.UTC)
    token = base64.b64encode(sealed).decode()
    return TemporaryCredentials(claims.key, claims.secret, token, expiration, caller_of(claims, entity_tags))


@lru_cache(maxsize=4096)
def read_token(sealer: Sealer, token: str) -> Claims:
    """Open a session token.

    Raises:
        BadSeal: if we did not make it.
    """
    try:
        sealed = base64.b64decode(token, validate=True)
        return msgspec.msgpack.decode(sealer.open(sealed, _PURPOSE), type=Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise BadSeal("not a session token of this installation") from None


def caller_of(claims: Claims, entity_tags: Mapping[str, str], policies: tuple[str, ...] | None = None) -> Caller:
    """The caller that the claims speak of.

    `entity_tags` are the role's or user's as they are now, `policies` the texts of `claims.policies`. Without
    them the ARNs stay, which allow nothing: a session is never wider than it was meant to be.
    """
    facts: dict[str, Any] = {
        "account_id": claims.account,
        "kind": claims.kind,
        "access_key_id": claims.key,
        "tags": merge_tags(entity_tags, claims.tags),
        "token_issued_at": dt.datetime.fromtimestamp(claims.issued, dt.UTC),
        "session_policies": claims.policies if policies is None else policies,
        "source_identity": claims.source_identity,
        "transitive_tags": claims.transitive,
        "mfa_at": None if claims.mfa is None else dt.datetime.fromtimestamp(claims.mfa, dt.UTC),
        "session_keys": claims.keys,
    }
    return Caller(**facts, **_names(claims))


def _names(claims: Claims) -> dict[str, Any]:
    if claims.kind == "role-session":
        return {
            "arn": session_arn(claims.entity_arn, claims.name, claims.session or ""),
            "principal_arn": claims.entity_arn,
            "user_id": f"{claims.entity_id}:{claims.session}",
            "role_name": claims.name,
            "session_name": claims.session,
        }
    if claims.kind == "federated-user":
        arn = _federated_arn(claims.entity_arn, claims.session or "")
        return {
            "arn": arn,
            "principal_arn": arn,
            "user_id": f"{claims.account}:{claims.session}",
            "session_name": claims.session,
            "federating_user": claims.entity_id,
            "federating_user_arn": claims.entity_arn,
        }
    return {
        "arn": claims.entity_arn,
        "principal_arn": claims.entity_arn,
        "user_id": claims.entity_id,
        "user_name": claims.name or None,
    }


def role_caller(role: Role, session_name: str, session_policies: Sequence[str] = ()) -> Caller:
    """A session of `role` that acts inside this process, without credentials."""
    return Caller(
        account_id=role.account_id,
        kind="role-session",
        arn=session_arn(role.arn, role.name, session_name),
        principal_arn=role.arn,
        user_id=f"{role.id}:{session_name}",
        role_name=role.name,
        session_name=session_name,
        tags=dict(role.tags),
        session_policies=tuple(session_policies),
    )


def session_arn(role_arn: str, role_name: str, session_name: str) -> str:
    """ARN of a session: `arn:aws:sts::ACCT:assumed-role/ROLE/SESSION`, without the role's path."""
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{session_name}"


def federated_arn(caller: Caller, name: str) -> str:
    """ARN of somebody in the name of `caller`: `arn:aws:sts::ACCT:federated-user/NAME`."""
    return _federated_arn(caller.arn, name)


def _federated_arn(user_arn: str, name: str) -> str:
    _, partition, _, _, account, _ = user_arn.split(":", 5)
    return f"arn:{partition}:sts::{account}:federated-user/{name}"
