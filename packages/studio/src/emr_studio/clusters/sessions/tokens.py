"""The token that GetSessionEndpoint gives: sealed, so that any replica reads it and nobody can make one.

It names its session and its end. Its alphabet is that of base64url without padding, because pyspark's
connection string takes no `=` in a value.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt

import msgspec

from emr_studio.iam.sealing import BadSeal, Sealer

LIFETIME = dt.timedelta(hours=1)
_PURPOSE = "emr:spark-connect-token"
_LONGEST = 1024


class Claims(msgspec.Struct, frozen=True):
    """What a token says; `expires` is in seconds since 1970."""

    session: str
    expires: int


def issue(sealer: Sealer, session_id: str, now: dt.datetime) -> tuple[str, dt.datetime]:
    """A token for the session, and when it expires."""
    expires = (now + LIFETIME).replace(microsecond=0)
    claims = msgspec.msgpack.encode(Claims(session_id, int(expires.timestamp())))
    return base64.urlsafe_b64encode(sealer.seal(claims, _PURPOSE)).decode().rstrip("="), expires


def read(sealer: Sealer, token: str) -> Claims:
    """What a token says, whether or not it has expired.

    Raises:
        BadSeal: it was not made here.
    """
    try:
        sealed = base64.b64decode((token + "=" * (-len(token) % 4))[:_LONGEST], altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(sealer.open(sealed, _PURPOSE), type=Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise BadSeal("not a token of this installation") from None
