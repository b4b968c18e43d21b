"""Tables of console sessions and of links that sign in. Neither holds a token, only its hash."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import secrets
from typing import Any

import msgspec
from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from emr_studio.aws.context import Caller
from emr_studio.db import Base


class ConsoleSession(Base):
    """A browser signed in at one origin, and at no other."""

    __tablename__ = "console_sessions"
    __table_args__ = (Index("ix_console_sessions_last_used", "last_used"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    origin: Mapped[str]
    """Host and port, lower case, as browsers send it."""
    account_id: Mapped[str] = mapped_column(String(12))
    caller: Mapped[dict[str, Any]]
    studio_id: Mapped[str | None] = mapped_column(default=None)
    """The Studio as whose user she is here; None for who opened a Workspace without access to its Studio."""
    resource_id: Mapped[str | None] = mapped_column(default=None)
    """What the origin belongs to: a Studio, a Workspace, a cluster; None for the console."""
    created: Mapped[dt.datetime]
    last_used: Mapped[dt.datetime]
    """Written at most every few seconds (`sessions.TOUCH_SECONDS`)."""


class PresignedToken(Base):
    """A link that signs its bearer in as `caller`, once, before `expires`."""

    __tablename__ = "presigned_tokens"
    __table_args__ = (Index("ix_presigned_tokens_expires", "expires"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    origin: Mapped[str]
    account_id: Mapped[str] = mapped_column(String(12))
    caller: Mapped[dict[str, Any]]
    studio_id: Mapped[str | None] = mapped_column(default=None)
    resource_id: Mapped[str]
    landing: Mapped[str] = mapped_column(default="/")
    """Path of the page to show."""
    expires: Mapped[dt.datetime]


def new_token() -> str:
    """256 random bits, safe in cookies and URLs."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token. A plain hash will do: nobody guesses 256 bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def caller_facts(caller: Caller) -> dict[str, Any]:
    """A caller as JSON. The access key with which a link was made says nothing of who opens it."""
    facts: dict[str, Any] = msgspec.to_builtins(dataclasses.replace(caller, access_key_id=None, console=True))
    return facts


def caller_of(facts: dict[str, Any]) -> Caller:
    """The caller of `caller_facts`."""
    return msgspec.convert(facts, Caller)
