"""Encoded authorization messages: why a request was denied, readable only through STS.

    encode(sealer, account_id, explanation) -> str     given with the denial
    decode(sealer, account_id, text) -> str            the JSON, for sts:DecodeAuthorizationMessage

The message is sealed for the account of who was denied, so it can be read by those of that account who
may call `sts:DecodeAuthorizationMessage`, and by nobody else. `explaining.py` says what is in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy.orm import Session

from emr_studio.iam.sealing import BadSeal, Sealer


class KeptMessages(Protocol):
    """Where the messages of past denials are: the audit trail. A port that `app.py` fills."""

    def bring_in(self) -> None:
        """Let it know of all that happened before now."""
        ...

    def message(self, session: Session, account_id: str, event_or_request_id: str) -> str | None:
        """The encoded message of a denial in the account; None if there is none."""
        ...


MOST_CHARACTERS = 10_240
"""AWS's limit of `EncodedMessage`."""
_MOST_DECODED = 2**20
# What is left out, in this order, from a message that would be too long.
_LESS = (("failures", "items"), ("context", "conditions", "items"), ("matchedStatements", "items"))


def encode(sealer: Sealer, account_id: str, explanation: Mapping[str, Any]) -> str:
    """Seal an explanation; what makes it too long is left out, the least telling first."""
    text = _encoded(sealer, account_id, explanation)
    shorter = json.loads(json.dumps(explanation)) if len(text) > MOST_CHARACTERS else {}
    for *path, last in _LESS:
        if len(text) <= MOST_CHARACTERS:
            break
        part = shorter
        for name in path:
            part = part.get(name, {})
        part[last], part["truncated"] = [], True
        text = _encoded(sealer, account_id, shorter)
    return text


def decode(sealer: Sealer, account_id: str, text: str) -> str:
    """The JSON text in a message that was made for `account_id`.

    Raises:
        BadSeal: if it was not made here, or for another account.
    """
    try:
        sealed = base64.urlsafe_b64decode(text.encode("ascii"))
        packed = sealer.open(sealed, _purpose(account_id))
        return zlib.decompressobj().decompress(packed, _MOST_DECODED).decode()
    except (binascii.Error, ValueError, zlib.error):
        raise BadSeal("not an authorization message for this account") from None


def _encoded(sealer: Sealer, account_id: str, explanation: Mapping[str, Any]) -> str:
    packed = zlib.compress(json.dumps(explanation, separators=(",", ":")).encode(), 1)
    return base64.urlsafe_b64encode(sealer.seal(packed, _purpose(account_id))).decode()


def _purpose(account_id: str) -> str:
    return f"iam:authorization-message:{account_id}"
