"""Values of conditions as text: numbers, dates, booleans, addresses, bytes. Unreadable is None."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import re
from decimal import Context, Decimal
from functools import lru_cache

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[Tt](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,40}))?)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EXACT = Context(prec=60)


def number(text: str) -> Decimal | None:
    """A decimal number."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def date(text: str) -> Decimal | None:
    """Seconds since 1970 of an ISO 8601 date (W3C profile) or of epoch seconds.

    Four digits are a year. A date without a time is midnight UTC, a time without a zone is UTC.
    """
    found = _DATE.fullmatch(text)
    if not found:
        return number(text)
    return _seconds(found)


def _seconds(found: re.Match[str]) -> Decimal | None:
    part = found.groupdict()
    try:
        moment = dt.datetime(
            int(part["year"]),
            int(part["month"] or 1),
            int(part["day"] or 1),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            int(part["second"] or 0),
            tzinfo=dt.UTC,
        )
    except ValueError:
        return None
    offset = _offset(part["zone"])
    if offset is None:
        return None
    whole = (moment - _EPOCH) // dt.timedelta(seconds=1) - offset
    return _EXACT.add(Decimal(whole), Decimal(f"0.{part['fraction'] or 0}"))


def _offset(zone: str | None) -> int | None:
    """Seconds east of UTC."""
    if zone in (None, "Z", "z"):
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def boolean(text: str) -> bool | None:
    """`true` or `false`, ignoring case."""
    lower = text.lower()
    return lower == "true" if lower in ("true", "false") else None


def network(text: str) -> tuple[int, int, int] | None:
    """(version, address, shift): host bits are ignored, a bare address is a full-length prefix."""
    try:
        parsed = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    shift = parsed.max_prefixlen - parsed.prefixlen
    return parsed.version, int(parsed.network_address) >> shift, shift


@lru_cache(maxsize=4096)
def address(text: str) -> tuple[int, int] | None:
    """(version, address)."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return parsed.version, int(parsed)


def base64_bytes(text: str) -> bytes | None:
    """Bytes of a base64 text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
