"""The policy of a browser's upload: what it says, and whether a form keeps to it.

Source: "Creating a POST policy" and "Authenticating requests in browser-based uploads using POST" (S3
API reference).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emr_studio.aws.errors import ClientError

LARGEST_FILE = 5 << 30
"""Bytes that one POST may upload."""
# Fields that a condition need not mention.
_FREE = frozenset({"x-amz-signature", "file", "policy", "awsaccesskeyid", "signature"})
_IGNORED = "x-ignore-"
_EXPIRATION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


@dataclass(frozen=True)
class FormPolicy:
    """A policy that a form was found to keep to; `smallest` and `largest` are the file's sizes in bytes."""

    smallest: int = 0
    largest: int = LARGEST_FILE


def check_form(fields: Mapping[str, str], now: dt.datetime) -> FormPolicy:
    """Return if `fields` (lower-case names, `bucket` among them) keep to their own `policy`.

    Raises:
        ClientError: AccessDenied ("Invalid according to Policy: …"), InvalidPolicyDocument.
    """
    document = _read(fields["policy"])
    if _expiration(document) <= now:
        raise _against("Policy expired.")
    sizes, covered = FormPolicy(), set(_FREE)
    for condition in document["conditions"]:
        kind, name, value, highest = _condition(condition)
        if kind == "content-length-range":
            sizes = FormPolicy(max(sizes.smallest, int(value)), min(sizes.largest, int(highest)))
            continue
        _check(kind, name, value, fields, condition)
        covered.add(name)
    extra = [name for name in fields if name not in covered and not name.startswith(_IGNORED) and name != "bucket"]
    if extra:
        raise _against(f"Extra input fields: {extra[0]}")
    return sizes


def _read(encoded: str) -> dict[str, Any]:
    try:
        document = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    if not isinstance(document.get("expiration"), str):
        raise _invalid("Policy missing expiration.")
    if not isinstance(document.get("conditions"), list):
        raise _invalid("Policy missing conditions.")
    return document


def _expiration(document: Mapping[str, Any]) -> dt.datetime:
    text = document["expiration"]
    if not _EXPIRATION.fullmatch(text):
        raise _invalid(f"Invalid 'expiration' value: '{text[:64]}'")
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{text[:64]}'") from None


def _condition(condition: Any) -> tuple[str, str, str, str]:
    """Kind, field (lower case), value, and of a range its end."""
    if isinstance(condition, dict) and len(condition) == 1:
        [(name, value)] = condition.items()
        if isinstance(value, str):
            return "eq", name.lower(), value, ""
    if isinstance(condition, list) and len(condition) == 3:
        kind, first, second = condition
        if kind == "content-length-range" and _is_size(first) and _is_size(second):
            return kind, "", str(first), str(second)
        texts = isinstance(first, str) and isinstance(second, str)
        if kind in {"eq", "starts-with"} and texts and first.startswith("$"):
            return kind, first[1:].lower(), second, ""
    raise _invalid(f"Invalid Condition: {json.dumps(condition)[:200]}")


def _is_size(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool) and value >= 0) or (
        isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16
    )


def _check(kind: str, name: str, value: str, fields: Mapping[str, str], condition: Any) -> None:
    given = fields.get(name)
    if given is not None:
        if kind == "eq" and given == value:
            return
        # "Content-Types values for a starts-with condition … each value in the list must meet it."
        parts = [part.strip() for part in given.split(",")] if name == "content-type" else [given]
        if kind == "starts-with" and all(part.startswith(value) for part in parts):
            return
    elif kind == "starts-with" and value == "" and name not in {"key", "bucket"}:
        return
    shown = condition if isinstance(condition, list) else ["eq", f"${name}", value]
    raise _against(f"Policy Condition failed: {json.dumps(shown)[:300]}")


def _against(reason: str) -> ClientError:
    return ClientError("AccessDenied", f"Invalid according to Policy: {reason}", 403)


def _invalid(reason: str) -> ClientError:
    return ClientError("InvalidPolicyDocument", f"Invalid Policy: {reason}", 400)
