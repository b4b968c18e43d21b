"""Filters and pages of lists.

A filter's value matches the beginning of a name, tag key or tag value (case counts), or of any word of
a description (case does not); `!` before it turns it round. Filters are all to hold, values of one are alternatives.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.pagination import MarkerSealer
from emr_studio.aws.registry import Request
from emr_studio.secrets.model import Secret

T = TypeVar("T")
_WORDS = re.compile(r"[\s/_+=.@!,-]+")
_MAC = 32


def filtered(secrets: Iterable[Secret], request: Request) -> list[Secret]:
    """Those that all filters of a request let through."""
    filters = request.get("Filters") or ()
    return [secret for secret in secrets if all(_holds(secret, found) for found in filters)]


def _holds(secret: Secret, found: Any) -> bool:
    values = found.get("Values") or ()
    wanted = [value for value in values if not value.startswith("!")]
    unwanted = [value[1:] for value in values if value.startswith("!")]
    texts = _texts(secret, found.get("Key", "all"))
    if any(_begins(texts, value) for value in unwanted):
        return False
    return not wanted or any(_begins(texts, value) for value in wanted)


def _texts(secret: Secret, key: str) -> list[tuple[str, bool]]:
    """The texts that a filter looks at, each with whether case counts."""
    words = [(word, False) for word in _WORDS.split(secret.description or "") if word]
    by_key: dict[str, list[tuple[str, bool]]] = {
        "name": [(secret.name, True)],
        "description": [(secret.description or "", False), *words],
        "tag-key": [(name, True) for name in secret.tags],
        "tag-value": [(value, True) for value in secret.tags.values()],
        "primary-region": [(secret.region, True)],
        "owning-service": [],
    }
    if key != "all":
        return by_key.get(key, [])
    every = [text for texts in by_key.values() for text, _ in texts]
    return [(word, False) for text in every for word in (text, *_WORDS.split(text)) if word]


def _begins(texts: Sequence[tuple[str, bool]], value: str) -> bool:
    return any(text.startswith(value) if case else text.lower().startswith(value.lower()) for text, case in texts)


def page_of(
    context: Context, rows: Sequence[T], request: Request, most: int, *, bound_to: str
) -> tuple[list[T], str | None]:
    """One page of what is in memory, and the next one's token.

    Raises:
        ClientError: InvalidNextTokenException
    """
    size = request.get("MaxResults") or most
    start = _open(context, request.get("NextToken"), bound_to)
    end = start + size
    return list(rows[start:end]), _token(context, end, bound_to) if end < len(rows) else None


def _token(context: Context, start: int, bound_to: str) -> str:
    binding = f"{context.account_id}\n{context.region}\n{bound_to}\n{start}".encode()
    mac = context.port(MarkerSealer).mac(hashlib.sha256(binding).digest()).hex()
    return f"{mac}{start}"


def _open(context: Context, token: str | None, bound_to: str) -> int:
    if token is None:
        return 0
    text = token[_MAC:]
    if not text.isdecimal() or _token(context, int(text), bound_to) != token:
        raise ClientError("InvalidNextTokenException", "Invalid token.")
    return int(text)
