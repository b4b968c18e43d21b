"""Tables of the audit trail. Moments are milliseconds since 1970."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from emr_studio.db import Base


class EventRow(Base):
    """One record, with what it is looked up by.

    `batch` numbers the transactions that brought records in, in the order of their commits: a trail
    that has delivered all up to a batch has missed none.
    """

    __tablename__ = "trail_event"
    __table_args__ = (
        Index("ix_trail_event_moment", "account_id", "moment", "event_id"),
        Index("ix_trail_event_name", "account_id", "event_name", "moment"),
        Index("ix_trail_event_username", "account_id", "username", "moment"),
        Index("ix_trail_event_key", "account_id", "access_key_id", "moment"),
        Index("ix_trail_event_batch", "account_id", "batch"),
        Index("ix_trail_event_request", "request_id"),
        Index(
            "ix_trail_event_denied",
            "account_id",
            "moment",
            sqlite_where=text("is_denied = 1"),
            postgresql_where=text("is_denied = 1"),
        ),
    )

    event_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    batch: Mapped[int]
    account_id: Mapped[str] = mapped_column(String(12))
    moment: Mapped[int] = mapped_column(BigInteger)
    event_name: Mapped[str] = mapped_column(String(128))
    event_source: Mapped[str] = mapped_column(String(128))
    username: Mapped[str | None] = mapped_column(String(256))
    access_key_id: Mapped[str | None] = mapped_column(String(128))
    is_read_only: Mapped[int]
    is_shown: Mapped[int]
    """1 if LookupEvents shows it: management events, and whatever was refused."""
    is_denied: Mapped[int]
    request_id: Mapped[str] = mapped_column(String(64))
    authorization: Mapped[str | None] = mapped_column(Text)
    """Of a denial: the encoded authorization message. No operation returns it."""
    event: Mapped[str] = mapped_column(Text)
    """The record, JSON."""


class EventResource(Base):
    """A resource that a record speaks of."""

    __tablename__ = "trail_resource"
    __table_args__ = (
        Index("ix_trail_resource_name", "account_id", "name", "moment"),
        Index("ix_trail_resource_type", "account_id", "type", "moment"),
    )

    event_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12))
    moment: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(2048))


class BatchCounter(Base):
    """The last batch; who brings records in holds this row until the commit."""

    __tablename__ = "trail_batch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class Trail(Base):
    """A trail. While it is logging, what comes in after batch `cursor` is to be delivered."""

    __tablename__ = "trail_trail"
    __table_args__ = (UniqueConstraint("account_id", "region", "name"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12))
    region: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(128))
    bucket: Mapped[str] = mapped_column(String(63))
    prefix: Mapped[str | None] = mapped_column(String(200))
    includes_global: Mapped[bool] = mapped_column(default=True)
    is_multi_region: Mapped[bool] = mapped_column(default=False)
    validates: Mapped[bool] = mapped_column(default=False)
    """Whether digest files are made (`EnableLogFileValidation`)."""
    selectors: Mapped[list[Any] | None]
    advanced_selectors: Mapped[list[Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    created: Mapped[dt.datetime]
    is_logging: Mapped[bool] = mapped_column(default=False)
    started: Mapped[dt.datetime | None]
    stopped: Mapped[dt.datetime | None]
    cursor: Mapped[int] = mapped_column(default=0)
    last_batch: Mapped[int | None]
    """Where the logging was stopped; None while it goes on."""
    attempted: Mapped[dt.datetime | None]
    delivered: Mapped[dt.datetime | None]
    delivery_error: Mapped[str | None] = mapped_column(String(256))
    digested: Mapped[dt.datetime | None]
    digest_error: Mapped[str | None] = mapped_column(String(256))
    digest_start: Mapped[dt.datetime | None]
    """Where the next digest's period begins; None while there is no chain of digests."""


class LogFile(Base):
    """A file that was or is to be written to S3. Its bytes are kept until they are there."""

    __tablename__ = "trail_file"
    __table_args__ = (Index("ix_trail_file_waiting", "trail_id", "digest_id", "delivered"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    trail_id: Mapped[str] = mapped_column(String(36), ForeignKey("trail_trail.id", ondelete="CASCADE"))
    bucket: Mapped[str] = mapped_column(String(63))
    key: Mapped[str] = mapped_column(String(1024))
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the file's content before it was compressed, as digests have it."""
    oldest: Mapped[int] = mapped_column(BigInteger)
    newest: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[dt.datetime]
    delivered: Mapped[dt.datetime | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest_id: Mapped[str | None] = mapped_column(String(36))


class Digest(Base):
    """A digest file: what was delivered in a period, signed, chained to the one before."""

    __tablename__ = "trail_digest"
    __table_args__ = (Index("ix_trail_digest_end", "trail_id", "end"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    trail_id: Mapped[str] = mapped_column(String(36), ForeignKey("trail_trail.id", ondelete="CASCADE"))
    bucket: Mapped[str] = mapped_column(String(63))
    key: Mapped[str] = mapped_column(String(1024))
    end: Mapped[dt.datetime]
    sha256: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(Text)
    delivered: Mapped[dt.datetime | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
