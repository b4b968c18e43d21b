"""Secrets Manager's tables: secrets and their versions. Values lie sealed by a key of KMS."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.db import Base
from emr_studio.settings import partition_of

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"


class Secret(Base):
    """A secret. Its ARN ends in six random characters, so that a new one of the same name is another."""

    __tablename__ = "secret"
    __table_args__ = (Index("ix_secret_name", "account_id", "region", "name", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """The ARN."""
    account_id: Mapped[str]
    region: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    kms_key_id: Mapped[str | None] = mapped_column(default=None)
    """As the caller wrote it; None: the account's `alias/aws/secretsmanager`."""
    policy: Mapped[str | None] = mapped_column(default=None)
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    created: Mapped[dt.datetime]
    changed: Mapped[dt.datetime]
    accessed: Mapped[dt.datetime | None] = mapped_column(default=None)
    """Whole days, as AWS tells it."""
    deleted: Mapped[dt.datetime | None] = mapped_column(default=None)
    purge_at: Mapped[dt.datetime | None] = mapped_column(default=None, index=True)
    """The end of its recovery window; after it the secret is gone."""

    @property
    def arn(self) -> str:
        """`arn:aws:secretsmanager:<region>:<account>:secret:<name>-<six characters>`."""
        return self.id


class SecretVersion(Base):
    """One value. A version without stages is deprecated: it is listed on request and dropped one day."""

    __tablename__ = "secret_version"

    secret_id: Mapped[str] = mapped_column(ForeignKey("secret.id", ondelete="CASCADE"), primary_key=True)
    version_id: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes | None] = mapped_column(default=None)
    binary: Mapped[bool] = mapped_column(default=False)
    key_id: Mapped[str] = mapped_column(default="")
    """ARN or alias of the key that sealed it, as AWS lists it."""
    stages: Mapped[list[str]] = mapped_column(default=list)
    created: Mapped[dt.datetime]
    accessed: Mapped[dt.datetime | None] = mapped_column(default=None)


def secret_arn(region: str, account_id: str, name: str) -> str:
    """An ARN; `name` with or without the six characters."""
    return f"arn:{partition_of(region)}:secretsmanager:{region}:{account_id}:secret:{name}"


def versions_of(session: Session, secret: Secret) -> list[SecretVersion]:
    """All versions, newest first."""
    found = select(SecretVersion).where(SecretVersion.secret_id == secret.id)
    return list(session.scalars(found.order_by(SecretVersion.created.desc(), SecretVersion.version_id)))


def staged(session: Session, secret: Secret, stage: str) -> SecretVersion | None:
    """The version that carries a staging label."""
    return next((version for version in versions_of(session, secret) if stage in version.stages), None)
