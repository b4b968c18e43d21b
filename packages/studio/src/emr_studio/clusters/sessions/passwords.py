"""Passwords that say what they open: sealed, so that any replica reads them and nobody can make one.

They are for programs' Basic authentication, at the ways that the edge asks about.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TypeVar

import msgspec
from starlette.datastructures import Headers

from emr_studio.edge.decisions import EdgeAnswer
from emr_studio.iam.sealing import BadSeal, Sealer

NOT_VALID = "The credentials are not valid any more. GetClusterSessionCredentials gives new ones."
_LONGEST = 1024
_NO_BROWSERS = ("origin", "sec-fetch-site", "sec-fetch-mode")


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a password says; `expires` is in seconds since 1970."""

    expires: int


_Claims = TypeVar("_Claims", bound=Claims)


def seal_claims(sealer: Sealer, claims: Claims, purpose: str) -> str:
    """The password that says this."""
    return base64.urlsafe_b64encode(sealer.seal(msgspec.msgpack.encode(claims), purpose)).decode().rstrip("=")


def claims_of(headers: Headers, sealer: Sealer, purpose: str, kind: type[_Claims], now: dt.datetime) -> _Claims | None:
    """What the client's password says; None if it was not made here for that purpose, or has expired."""
    password = _password_of(headers)
    try:
        sealed = base64.b64decode((password + "=" * (-len(password) % 4))[:_LONGEST], altchars=b"-_", validate=True)
        claims = msgspec.msgpack.decode(sealer.open(sealed, purpose), type=kind)
    except (ValueError, BadSeal, msgspec.DecodeError):
        return None
    return claims if now.timestamp() < claims.expires else None


def no_browsers(headers: Headers) -> bool:
    """Whether a browser asks on behalf of a page, with whatever password it remembers."""
    return any(name in headers for name in _NO_BROWSERS)


def _password_of(headers: Headers) -> str:
    """The password of Basic authentication, or where Jupyter's clients have a token (`GatewayClient.auth_token`)."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return given.strip() if kind.lower() == "token" else ""
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def refusal(status: int, message: str) -> EdgeAnswer:
    """The answer that the client gets instead."""
    headers = {401: {"WWW-Authenticate": 'Basic realm="kernels"'}, 503: {"Retry-After": "1"}}.get(status, {})
    body = msgspec.json.encode({"message": message, "reason": message, "msg": message})
    return EdgeAnswer(status, body=body, content_type="application/json", response_headers=headers)
