"""Making and changing entities; shared by the operations and the bootstrap."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from emr_studio import ids
from emr_studio.iam import passwords
from emr_studio.iam.callers import secret_purpose
from emr_studio.iam.model import (
    AccessKey,
    Account,
    Attachment,
    InlinePolicy,
    InstanceProfile,
    LoginProfile,
    PasswordRecord,
    Policy,
    PolicyVersion,
    Role,
    User,
    entity_values,
)
from emr_studio.iam.sealing import Sealer

_REMEMBERED_PASSWORDS = 24
"""The most that a password policy can ask for."""


def new_user(
    session: Session, account: Account, name: str, now: dt.datetime, *, path: str = "/", tags: Mapping[str, str]
) -> User:
    """Add a user."""
    values = entity_values(account, "user", name, path)
    user = User(id=ids.iam_id("AIDA"), tags=dict(tags), created_at=now, **values)
    session.add(user)
    session.flush()
    return user


def new_role(
    session: Session,
    account: Account,
    name: str,
    trust_policy: str,
    now: dt.datetime,
    *,
    path: str = "/",
    tags: Mapping[str, str],
) -> Role:
    """Add a role."""
    values = entity_values(account, "role", name, path)
    role = Role(id=ids.iam_id("AROA"), trust_policy=trust_policy, tags=dict(tags), created_at=now, **values)
    session.add(role)
    session.flush()
    return role


def new_policy(
    session: Session,
    account: Account,
    name: str,
    document: str,
    now: dt.datetime,
    *,
    path: str = "/",
    tags: Mapping[str, str],
) -> Policy:
    """Add a managed policy with its version v1."""
    values = entity_values(account, "policy", name, path)
    policy = Policy(id=ids.iam_id("ANPA"), tags=dict(tags), created_at=now, updated_at=now, **values)
    session.add(policy)
    session.flush()
    add_version(session, policy, 1, document, now)
    return policy


def add_version(session: Session, policy: Policy, number: int, document: str, now: dt.datetime) -> PolicyVersion:
    """Add a version of a managed policy."""
    version = PolicyVersion(
        account_id=policy.account_id, policy_id=policy.id, number=number, document=document, created_at=now
    )
    session.add(version)
    session.flush()
    return version


def new_instance_profile(
    session: Session, account: Account, name: str, now: dt.datetime, *, path: str = "/", tags: Mapping[str, str]
) -> InstanceProfile:
    """Add an instance profile without a role."""
    values = entity_values(account, "instance-profile", name, path)
    profile = InstanceProfile(id=ids.iam_id("AIPA"), tags=dict(tags), created_at=now, **values)
    session.add(profile)
    session.flush()
    return profile


def attach(session: Session, account_id: str, entity_id: str, policy_arn: str, now: dt.datetime) -> None:
    """Attach a managed policy; twice is as once."""
    if session.get(Attachment, (entity_id, policy_arn)) is None:
        row = Attachment(account_id=account_id, entity_id=entity_id, policy_arn=policy_arn, attached_at=now)
        session.add(row)
        session.flush()


def put_inline(session: Session, account_id: str, entity_id: str, name: str, document: str) -> None:
    """Write an inline policy."""
    row = session.get(InlinePolicy, (entity_id, name))
    if row is None:
        session.add(InlinePolicy(account_id=account_id, entity_id=entity_id, name=name, document=document))
    else:
        row.document = document
    session.flush()


def new_access_key(
    session: Session, sealer: Sealer, account_id: str, user_id: str | None, now: dt.datetime
) -> tuple[AccessKey, str]:
    """Add a long-term key of a user (or root); returns it with its secret, which is shown only now."""
    key_id = ids.access_key_id()
    secret = ids.secret_access_key()
    sealed = sealer.seal(secret.encode(), secret_purpose(key_id))
    key = AccessKey(id=key_id, account_id=account_id, user_id=user_id, sealed_secret=sealed, created_at=now)
    session.add(key)
    session.flush()
    return key, secret


def set_password(
    session: Session, owner_id: str, password: str, now: dt.datetime, *, reset_required: bool = False
) -> LoginProfile:
    """Write the password of a user, or of root (`owner_id` is the account's), and remember it."""
    profile = session.get(LoginProfile, owner_id)
    hashed = passwords.hash_password(password)
    if profile is None:
        profile = LoginProfile(owner_id=owner_id, password_hash=hashed, reset_required=reset_required, created_at=now)
        session.add(profile)
    else:
        profile.password_hash = hashed
        profile.reset_required = reset_required
    _remember_password(session, owner_id, hashed, now)
    session.flush()
    return profile


def _remember_password(session: Session, owner_id: str, password_hash: str, now: dt.datetime) -> None:
    query = select(func.max(PasswordRecord.number)).where(PasswordRecord.owner_id == owner_id)
    number = (session.scalar(query) or 0) + 1
    session.add(PasswordRecord(owner_id=owner_id, number=number, password_hash=password_hash, set_at=now))
    old = PasswordRecord.number <= number - _REMEMBERED_PASSWORDS
    session.execute(delete(PasswordRecord).where(PasswordRecord.owner_id == owner_id, old))
