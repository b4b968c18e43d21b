"""Tables of IAM. All are of one account; ARNs are kept as AWS shows them, partition included.

Every write to one of these tables bumps the account's `generation` in the same transaction (see
`generation.py`): replicas keep compiled policies for as long as that number stands.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emr_studio.db import Base


class Account(Base):
    """An account. `generation` counts the changes of its identities and policies."""

    __tablename__ = "iam_account"

    account_id: Mapped[str] = mapped_column(String(12), primary_key=True)
    partition: Mapped[str] = mapped_column(String(16), default="aws")
    alias: Mapped[str | None] = mapped_column(String(63), unique=True)
    generation: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[dt.datetime]


class Governed:
    """Marks tables whose rows decide who may do what: writing one bumps the account's generation."""

    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"), index=True)


class Entity(Governed):
    """What users, groups, roles, policies and instance profiles have in common."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """IAM unique id (AIDA..., AROA...)."""
    name: Mapped[str] = mapped_column(String(128))
    name_key: Mapped[str] = mapped_column(String(128))
    """The name in lower case: names are unique ignoring case."""
    path: Mapped[str] = mapped_column(String(512), default="/")
    arn: Mapped[str] = mapped_column(String(2048), index=True)
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]


class User(Entity, Base):
    """An IAM user."""

    __tablename__ = "iam_user"
    __table_args__ = (UniqueConstraint("account_id", "name_key"),)

    boundary_arn: Mapped[str | None] = mapped_column(String(2048))
    password_last_used: Mapped[dt.datetime | None]


class Group(Entity, Base):
    """A group of users."""

    __tablename__ = "iam_group"
    __table_args__ = (UniqueConstraint("account_id", "name_key"),)


class GroupMember(Governed, Base):
    """A user in a group."""

    __tablename__ = "iam_group_member"

    group_id: Mapped[str] = mapped_column(String(32), ForeignKey("iam_group.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("iam_user.id"), primary_key=True, index=True)


class Role(Entity, Base):
    """A role. `max_session_duration` in seconds."""

    __tablename__ = "iam_role"
    __table_args__ = (UniqueConstraint("account_id", "name_key"),)

    trust_policy: Mapped[str]
    description: Mapped[str | None] = mapped_column(String(1000))
    max_session_duration: Mapped[int] = mapped_column(default=3600)
    boundary_arn: Mapped[str | None] = mapped_column(String(2048))


class Policy(Entity, Base):
    """A customer managed policy; its text is in its versions."""

    __tablename__ = "iam_policy"
    __table_args__ = (UniqueConstraint("account_id", "name_key"),)

    description: Mapped[str | None] = mapped_column(String(1000))
    default_version: Mapped[int] = mapped_column(default=1)
    latest_version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[dt.datetime]


class PolicyVersion(Governed, Base):
    """One version (`v<number>`) of a managed policy."""

    __tablename__ = "iam_policy_version"

    policy_id: Mapped[str] = mapped_column(String(32), ForeignKey("iam_policy.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[str]
    created_at: Mapped[dt.datetime]


class Attachment(Governed, Base):
    """A managed policy (ours or AWS's) attached to a user, group or role."""

    __tablename__ = "iam_attachment"
    __table_args__ = (Index("ix_iam_attachment_policy", "account_id", "policy_arn"),)

    entity_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    policy_arn: Mapped[str] = mapped_column(String(512), primary_key=True)
    attached_at: Mapped[dt.datetime]


class InlinePolicy(Governed, Base):
    """A policy that is part of a user, group or role."""

    __tablename__ = "iam_inline_policy"

    entity_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    document: Mapped[str]


class InstanceProfile(Entity, Base):
    """What an EC2 instance carries: at most one role."""

    __tablename__ = "iam_instance_profile"
    __table_args__ = (UniqueConstraint("account_id", "name_key"),)

    role_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("iam_role.id"), index=True)


class AccessKey(Governed, Base):
    """A long-term access key of a user, or of root (`user_id` None). The secret is sealed."""

    __tablename__ = "iam_access_key"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("iam_user.id"), index=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[str] = mapped_column(String(16), default="Active")
    created_at: Mapped[dt.datetime]


class AccessKeyUse(Base):
    """When and for what a key was last used; apart, so that a use is no change of an identity."""

    __tablename__ = "iam_access_key_use"

    access_key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    used_at: Mapped[dt.datetime]
    service: Mapped[str] = mapped_column(String(64))
    region: Mapped[str] = mapped_column(String(32))


class LoginProfile(Base):
    """A user's (or root's: the account id) console password, hashed with Argon2id."""

    __tablename__ = "iam_login_profile"

    owner_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    password_hash: Mapped[str]
    reset_required: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime]


class RoleGrant(Base):
    """A token that may fetch sessions of a role (container credentials). Only its hash is kept."""

    __tablename__ = "iam_role_grant"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12))
    role_arn: Mapped[str] = mapped_column(String(2048))
    session_name: Mapped[str] = mapped_column(String(64))
    owner: Mapped[str] = mapped_column(String(128), index=True)
    session_policy: Mapped[str | None]


class EntityUse(Base):
    """When a user or role last called a service; apart, so that a use is no change of an identity."""

    __tablename__ = "iam_entity_use"

    entity_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    service: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[dt.datetime]
    region: Mapped[str] = mapped_column(String(32))


class PasswordRecord(Base):
    """A password that somebody had: what reuse is checked against. The newest is the one in use."""

    __tablename__ = "iam_password_record"

    owner_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    set_at: Mapped[dt.datetime]


class AccountSettings(Base):
    """What an account has decided; no row: AWS's defaults.

    `password_policy` has the members of IAM's shape `PasswordPolicy`.
    """

    __tablename__ = "iam_account_settings"

    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"), primary_key=True)
    password_policy: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    global_token_version: Mapped[int] = mapped_column(default=1)


class UserCredential(Base):
    """A user's credential that IAM only keeps the books of.

    `kind` is `ssh` (SSH public key), `certificate` (signing certificate) or `service` (service-specific
    credential); `facts` holds what is particular to it. None of them signs in anywhere here.
    """

    __tablename__ = "iam_user_credential"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"))
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("iam_user.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="Active")
    created_at: Mapped[dt.datetime]
    facts: Mapped[dict[str, Any]]


class ServerCertificate(Entity, Base):
    """A certificate with its chain. The private key is checked at the upload and not kept: nothing here uses it."""

    __tablename__ = "iam_server_certificate"
    __table_args__ = (UniqueConstraint("account_id", "name_key"),)

    body: Mapped[str]
    chain: Mapped[str | None]
    expires_at: Mapped[dt.datetime]


class Task(Base):
    """Work that IAM was asked for and that is asked after later: reports, deletions of service-linked roles.

    `kind` is `credentials` (`facts`: content), `access` (`facts`: arn, granularity, services) or `role-deletion`.
    """

    __tablename__ = "iam_task"

    id: Mapped[str] = mapped_column(String(1000), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[dt.datetime]
    facts: Mapped[dict[str, Any]]


class MfaDevice(Base):
    """A virtual MFA device; of a user once it is enabled. No `Governed` table: each use changes it.

    `drift` is how many half minutes the device's clock is off, `last_step` the newest code that was used.
    """

    __tablename__ = "iam_mfa_device"

    serial: Mapped[str] = mapped_column(String(1024), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"), index=True)
    sealed_seed: Mapped[bytes] = mapped_column(LargeBinary)
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]
    user_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("iam_user.id"), index=True)
    enabled_at: Mapped[dt.datetime | None]
    drift: Mapped[int] = mapped_column(default=0)
    last_step: Mapped[int] = mapped_column(default=0)
    last_used: Mapped[dt.datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[dt.datetime | None]


class SamlProvider(Base):
    """A SAML identity provider. `private_keys` are `{id, added, sealed}`, to decrypt assertions with."""

    __tablename__ = "iam_saml_provider"

    arn: Mapped[str] = mapped_column(String(2048), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"), index=True)
    uuid: Mapped[str] = mapped_column(String(64))
    document: Mapped[str]
    """The provider's metadata, as it was given."""
    valid_until: Mapped[dt.datetime]
    created_at: Mapped[dt.datetime]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    encryption_mode: Mapped[str | None] = mapped_column(String(16))
    private_keys: Mapped[list[Any]] = mapped_column(default=list)


class OidcProvider(Base):
    """An OpenID Connect identity provider. `url` is the issuer without its scheme, as AWS shows it."""

    __tablename__ = "iam_oidc_provider"

    arn: Mapped[str] = mapped_column(String(2048), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), ForeignKey("iam_account.account_id"), index=True)
    url: Mapped[str] = mapped_column(String(255))
    issuer: Mapped[str] = mapped_column(String(255))
    """The issuer as it was registered, scheme and all."""
    client_ids: Mapped[list[str]] = mapped_column(default=list)
    thumbprints: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[dt.datetime]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)


class UsedAssertion(Base):
    """A SAML assertion that was redeemed: it is refused from then on, and forgotten once it has expired."""

    __tablename__ = "iam_used_assertion"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


def entity_values(account: Account, kind: str, name: str, path: str) -> dict[str, Any]:
    """Columns that follow from a name: `kind` is the word in the ARN (`user`, `role`)."""
    arn = f"arn:{account.partition}:iam::{account.account_id}:{kind}{path}{name}"
    return {"account_id": account.account_id, "name": name, "name_key": name.lower(), "path": path, "arn": arn}
