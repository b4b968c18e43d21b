"""Pages: keyset paging (page 2,000 costs what page 1 does) and markers that nobody can forge.

A marker holds the last row's keys and an HMAC over them, the account, the region and what was asked
for, so that one query's marker is of no use in another.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Select, literal, tuple_

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AwsError, InvalidRequest

T = TypeVar("T")
_MAC_BYTES = 16
_KEY_BYTES = 32


class MarkerSealer:
    """Holds the secret of this installation's markers; register it under its own type as a port."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, keys_dir: Path) -> MarkerSealer:
        """Read `pagination.key` in that folder, or make it (mode 600) if it is not there."""
        path = keys_dir / "pagination.key"
        try:
            return cls(path.read_bytes())
        except FileNotFoundError:
            # Written aside and linked: another process sees the whole key or none.
            aside = keys_dir / f"pagination.key.{secrets.token_hex(8)}"
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
            aside.unlink()
            return cls(path.read_bytes())

    def mac(self, text: bytes) -> bytes:
        """Return the authentication code of `text`."""
        return hmac.new(self._secret, text, hashlib.sha256).digest()[:_MAC_BYTES]


def paginate(
    context: Context,
    statement: Select[T],
    keys: Sequence[Any],
    size: int = 50,
    marker: str | None = None,
    *,
    bound_to: str,
    descending: bool = False,
    invalid: Callable[[str], AwsError] = InvalidRequest,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[list[T], str | None]:
    """Return one page of a statement's entities and the next page's marker, None on the last.

    Args:
        statement: a select of one entity, filtered but not ordered.
        keys: the columns to order by; together they must be unique (`Model.creation_time, Model.id`).
        bound_to: the operation, and its filters if it has any.
        invalid: makes the error for a marker that is not ours.
        parameters: values of the statement's bound parameters; with them the statement must be one that is
            made once (a constant of its module): what follows from it is then made once too.

    Raises:
        AwsError: what `invalid` makes.
    """
    key = context.port(MarkerSealer)
    binding = f"{context.account_id}\n{context.region}\n{bound_to}\n".encode()
    if marker:
        last = _open(key, binding, marker, len(keys))
        if last is None:
            raise invalid("Marker is not valid.")
        after = tuple_(*(literal(value, column.type) for value, column in zip(last, keys, strict=True)))
        row_keys = tuple_(*keys)
        statement = statement.where(row_keys < after if descending else row_keys > after)
    make = _first_page if parameters and not marker else _page
    rows: list[T] = list(context.session.scalars(make(statement, tuple(keys), size, descending), parameters))
    if len(rows) <= size:
        return rows, None
    rows = rows[:size]
    return rows, _seal(key, binding, [getattr(rows[-1], column.key) for column in keys])


def _page(statement: Select[T], keys: tuple[Any, ...], size: int, descending: bool) -> Select[T]:
    """The statement with its order, for one row more than a page."""
    order = [column.desc() for column in keys] if descending else keys
    return statement.order_by(*order).limit(size + 1)


@lru_cache(maxsize=64)
def _first_page(statement: Select[T], keys: tuple[Any, ...], size: int, descending: bool) -> Select[T]:
    return _page(statement, keys, size, descending)


def _seal(key: MarkerSealer, binding: bytes, values: list[Any]) -> str:
    text = msgspec.json.encode([_to_json(value) for value in values])
    return base64.urlsafe_b64encode(key.mac(binding + text) + text).decode().rstrip("=")


def _open(key: MarkerSealer, binding: bytes, marker: str, count: int) -> list[Any] | None:
    try:
        sealed = base64.urlsafe_b64decode(marker + "=" * (-len(marker) % 4))
    except (binascii.Error, ValueError):
        return None
    text = sealed[_MAC_BYTES:]
    if not hmac.compare_digest(key.mac(binding + text), sealed[:_MAC_BYTES]):
        return None
    values = [_from_json(value) for value in msgspec.json.decode(text)]
    return values if len(values) == count else None


def _to_json(value: Any) -> Any:
    return {"t": value.isoformat()} if isinstance(value, dt.datetime) else value


def _from_json(value: Any) -> Any:
    return dt.datetime.fromisoformat(value["t"]) if isinstance(value, dict) else value
