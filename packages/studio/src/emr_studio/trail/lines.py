"""A line of the journal: a record and what it is looked up by. See `model.EventRow` for the members."""

from __future__ import annotations

import datetime as dt
import os
import re
from functools import lru_cache
from typing import Any

import msgspec

from emr_studio.trail.elements import LARGEST

_LONGEST_TEXT = 1024
_UNWANTED = re.compile(r"[\x00\ud800-\udfff]")


class Line(msgspec.Struct, omit_defaults=True):
    """One record on its way into the database; the database itself takes it apart (`collector.py`)."""

    event_id: str
    account_id: str
    moment: int
    event_name: str
    event_source: str
    request_id: str
    event: str
    username: str | None = None
    access_key_id: str | None = None
    is_read_only: int = 0
    is_shown: int = 1
    is_denied: int = 0
    authorization: str | None = None
    resources: list[tuple[str, str]] = []


_encode = msgspec.json.Encoder(enc_hook=str).encode


def write_line(line: Line) -> bytes:
    """The line, with its end."""
    return _encode(line) + b"\n"


def write_event(event: dict[str, Any]) -> str:
    """The record as JSON; a block that is too large is left out, as CloudTrail does."""
    encoded = _encode(event)
    if len(encoded) > LARGEST:
        for name in ("requestParameters", "responseElements"):
            size = len(_encode(event.get(name)))
            if size > LARGEST:
                event[name] = {"omitted": True, "originalSize": size, "reason": f"{name} too large"}
        encoded = _encode(event)
    return encoded.decode()


def clean(text: str | None, longest: int = _LONGEST_TEXT) -> str | None:
    """Text that every database takes, cut."""
    return None if text is None else _UNWANTED.sub("", text[:longest])


def new_event_id() -> str:
    """An event's id: a random UUID, put together faster than by `uuid`, as each request needs one."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def event_time(moment: dt.datetime) -> str:
    """`2026-11-26T11:48:00Z`."""
    return _written(int(moment.timestamp()))


@lru_cache(maxsize=16)
def _written(seconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def milliseconds(moment: dt.datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
