"""Time-based one-time codes (RFC 6238: SHA-1, 6 digits, 30 seconds), as authenticator apps make them."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import io
import secrets
from urllib.parse import quote

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

SECONDS = 30
_DIGITS = 6
_SEED_BYTES = 40
"""AWS's seeds have 64 characters of base 32."""


def new_seed() -> bytes:
    """A random seed."""
    return secrets.token_bytes(_SEED_BYTES)


def base32(seed: bytes) -> str:
    """The seed as people type it."""
    return base64.b32encode(seed).decode().rstrip("=")


def step_of(moment: dt.datetime) -> int:
    """The number of the half minute that `moment` is in."""
    return int(moment.timestamp()) // SECONDS


def code(seed: bytes, step: int) -> str:
    """The code of a step."""
    return TOTP(seed, _DIGITS, SHA1(), SECONDS).generate(step * SECONDS).decode()


def matching_step(seed: bytes, given: str, around: int, within: int) -> int | None:
    """The step within `within` of `around` whose code is `given`; None if there is none.

    All are looked at, so the time it takes tells nothing.
    """
    found = None
    for step in range(around - within, around + within + 1):
        if hmac.compare_digest(code(seed, step), given):
            found = step
    return found


def uri(seed: bytes, user_name: str, issuer: str) -> str:
    """What the QR code says (`otpauth://`)."""
    return f"otpauth://totp/{quote(issuer)}:{quote(user_name)}?secret={base32(seed)}&issuer={quote(issuer)}"


def qr_png(text: str) -> bytes:
    """A QR code as PNG."""
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="png", scale=5)
    return out.getvalue()
