"""When access keys were last used: remembered in memory, written now and then.

A write per request would cost more than the request; AWS's own figure lags by hours too. The API
process calls `flush` every minute or so and at its end.
"""

from __future__ import annotations

import datetime as dt
from threading import Lock
from typing import NamedTuple

from sqlalchemy.orm import Session

from emr_studio.iam.model import AccessKeyUse


class Use(NamedTuple):
    """The last use of a key."""

    used_at: dt.datetime
    service: str
    region: str


_pending: dict[str, Use] = {}
_lock = Lock()


def note(access_key_id: str, use: Use) -> None:
    """Remember a use."""
    _pending[access_key_id] = use


def last_use(session: Session, access_key_id: str) -> Use | None:
    """The last use that is known here or was written by any process."""
    row = session.get(AccessKeyUse, access_key_id)
    written = Use(row.used_at, row.service, row.region) if row else None
    found = [use for use in (written, _pending.get(access_key_id)) if use is not None]
    return max(found, default=None)


def flush(session: Session) -> None:
    """Write what is remembered, in a session that commits."""
    with _lock:
        uses = dict(_pending)
        _pending.clear()
    for key, use in uses.items():
        session.merge(AccessKeyUse(access_key_id=key, used_at=use.used_at, service=use.service, region=use.region))
