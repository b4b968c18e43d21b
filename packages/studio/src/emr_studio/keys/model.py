"""KMS's tables: keys, their material (one row a rotation), aliases. What lies here is wrapped (`master.py`)."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.db import Base
from emr_studio.settings import partition_of


class KeyState(StrEnum):
    """What DescribeKey shows."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"


class KmsKey(Base):
    """A symmetric key for encryption. `manager` is CUSTOMER, or AWS for `alias/aws/…`."""

    __tablename__ = "kms_key"
    __table_args__ = (Index("ix_kms_key_listing", "account_id", "region", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str]
    region: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    policy: Mapped[str]
    manager: Mapped[str] = mapped_column(default="CUSTOMER")
    enabled: Mapped[bool] = mapped_column(default=True)
    created: Mapped[dt.datetime]
    deletion_date: Mapped[dt.datetime | None] = mapped_column(default=None, index=True)
    """Set while the key waits for its end; after that day its material is destroyed."""
    rotation_days: Mapped[int | None] = mapped_column(default=None)
    rotated: Mapped[dt.datetime]
    """When the period began that ends with the next rotation."""
    next_rotation: Mapped[dt.datetime | None] = mapped_column(default=None, index=True)
    current_version: Mapped[int] = mapped_column(default=1)
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)

    @property
    def arn(self) -> str:
        """`arn:aws:kms:<region>:<account>:key/<id>`."""
        return kms_arn(self.region, self.account_id, f"key/{self.id}")

    @property
    def state(self) -> KeyState:
        if self.deletion_date is not None:
            return KeyState.PENDING_DELETION
        return KeyState.ENABLED if self.enabled else KeyState.DISABLED


class KeyMaterial(Base):
    """One generation of a key's material. Old ones open what they sealed; the newest one seals."""

    __tablename__ = "kms_key_material"

    key_id: Mapped[str] = mapped_column(ForeignKey("kms_key.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    """The 32 bytes, wrapped by the master key."""
    created: Mapped[dt.datetime]
    on_demand: Mapped[bool] = mapped_column(default=False)
    """Made by RotateKeyOnDemand, not by the calendar."""


class KmsAlias(Base):
    """A name for a key; unique in account and region."""

    __tablename__ = "kms_alias"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    """With its prefix: `alias/…`."""
    key_id: Mapped[str] = mapped_column(ForeignKey("kms_key.id", ondelete="CASCADE"), index=True)
    created: Mapped[dt.datetime]
    updated: Mapped[dt.datetime]

    @property
    def arn(self) -> str:
        """`arn:aws:kms:<region>:<account>:alias/<name>`."""
        return kms_arn(self.region, self.account_id, self.name)


class SealedBucket(Base):
    """A bucket in which some object was once sealed with a KMS key: who reads there is asked for the key too."""

    __tablename__ = "kms_sealed_bucket"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)


def kms_arn(region: str, account_id: str, resource: str) -> str:
    """An ARN of KMS."""
    return f"arn:{partition_of(region)}:kms:{region}:{account_id}:{resource}"


def aliases_of(session: Session, key_id: str) -> list[KmsAlias]:
    """The aliases of a key, by name."""
    return list(session.scalars(select(KmsAlias).where(KmsAlias.key_id == key_id).order_by(KmsAlias.name)))
