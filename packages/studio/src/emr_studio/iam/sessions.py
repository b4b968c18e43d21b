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

import msgspec

from emr_studio import ids
from emr_studio.aws.context import Caller
from emr_studio.iam.model import Role, User
from emr_studio.iam.sealing import BadSeal, Sealer

_PURPOSE = "iam:session-token"


class Claims(msgspec.Struct, frozen=True):
    """What a session token says. `entity_id` is the role's or user's unique id, `tags` the session's own."""

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
    """What may be asked of a session of a role."""

    policies: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: Sequence[str] = ()
    source_identity: str | None = None


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
        key=ids.access_key_id("ASIA"),
        secret=ids.secret_access_key(),
        account=role.account_id,
        kind="role-session",
        entity_id=role.id,
        entity_arn=role.arn,
        name=role.name,
        session=session_name,
        issued=int(now.timestamp()),
        expires=int(now.timestamp()) + seconds,
        policies=tuple(options.policies),
        tags=dict(options.tags),
        transitive=tuple(options.transitive),
        source_identity=options.source_identity,
    )
    return _issue(sealer, claims, role.tags)


def issue_user_session(sealer: Sealer, user: User, *, now: dt.datetime, seconds: int) -> TemporaryCredentials:
    """Make temporary credentials of an IAM user (`GetSessionToken`)."""
    claims = Claims(
        key=ids.access_key_id("ASIA"),
        secret=ids.secret_access_key(),
        account=user.account_id,
        kind="user",
        entity_id=user.id,
        entity_arn=user.arn,
        name=user.name,
        session=None,
        issued=int(now.timestamp()),
        expires=int(now.timestamp()) + seconds,
    )
    return _issue(sealer, claims, user.tags)


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


def caller_of(claims: Claims, entity_tags: Mapping[str, str]) -> Caller:
    """The caller that the claims speak of; `entity_tags` are the role's or user's as they are now."""
    in_session = claims.session is not None
    arn = session_arn(claims.entity_arn, claims.name, claims.session or "") if in_session else claims.entity_arn
    return Caller(
        account_id=claims.account,
        kind=claims.kind,
        arn=arn,
        principal_arn=claims.entity_arn,
        user_id=f"{claims.entity_id}:{claims.session}" if in_session else claims.entity_id,
        user_name=None if in_session else claims.name,
        role_name=claims.name if in_session else None,
        session_name=claims.session,
        access_key_id=claims.key,
        tags=merge_tags(entity_tags, claims.tags),
        token_issued_at=dt.datetime.fromtimestamp(claims.issued, dt.UTC),
        session_policies=claims.policies,
        source_identity=claims.source_identity,
        transitive_tags=claims.transitive,
    )


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
