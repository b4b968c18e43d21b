"""When access keys, users and roles were last used: remembered in memory, written now and then.

A write per request would cost more than the request; AWS's own figure lags by hours too. The API
process calls `flush` every minute or so and at its end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from threading import Lock
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.iam.model import AccessKeyUse, EntityUse

_LONG_TERM = "AKIA"


class Use(NamedTuple):
    """The last use of a key, or of a service by an entity."""

    used_at: dt.datetime
    service: str
    region: str


_pending: dict[str, Use] = {}
_entities: dict[tuple[str, str], Use] = {}
_lock = Lock()


def note(caller: Caller, use: Use) -> None:
    """Remember a use. Temporary keys leave no trace of their own: they are not asked after."""
    key = caller.access_key_id
    if key is not None and key.startswith(_LONG_TERM):
        _pending[key] = use
    _entities[caller.user_id.partition(":")[0], use.service] = use


def last_use(session: Session, access_key_id: str) -> Use | None:
    """The last use that is known here or was written by any process."""
    row = session.get(AccessKeyUse, access_key_id)
    written = Use(row.used_at, row.service, row.region) if row else None
    found = [use for use in (written, _pending.get(access_key_id)) if use is not None]
    return max(found, default=None)


def services_used(session: Session, entity_id: str) -> dict[str, Use]:
    """The last use of each service by a user or role."""
    rows = session.scalars(select(EntityUse).where(EntityUse.entity_id == entity_id))
    found = {row.service: Use(row.used_at, row.service, row.region) for row in rows}
    for (owner, service), use in list(_entities.items()):
        if owner == entity_id:
            found[service] = max(use, found.get(service, use))
    return found


def last_use_of(session: Session, entity_id: str) -> Use | None:
    """The last request of a user or role, whatever the service."""
    return max(services_used(session, entity_id).values(), default=None)


def forget(session: Session, entity_id: str) -> None:
    """The entity is deleted."""
    session.execute(delete(EntityUse).where(EntityUse.entity_id == entity_id))


def flush(session: Session) -> None:
    """Write what is remembered, in a session that commits; what cannot be written now is kept for the next time."""
    with _lock:
        uses, of_entities = dict(_pending), dict(_entities)
        _pending.clear()
        _entities.clear()
    try:
        _write(session, uses, of_entities)
    except SQLAlchemyError:
        for key, use in uses.items():
            _pending.setdefault(key, use)
        for pair, use in of_entities.items():
            _entities.setdefault(pair, use)
        raise


def _write(session: Session, uses: Mapping[str, Use], of_entities: Mapping[tuple[str, str], Use]) -> None:
    """Another process may have written a later use, or the same row just now (then this fails)."""
    for key, use in uses.items():
        row = session.get(AccessKeyUse, key)
        if row is None or row.used_at < use.used_at:
            session.merge(AccessKeyUse(access_key_id=key, used_at=use.used_at, service=use.service, region=use.region))
    for (entity_id, service), use in of_entities.items():
        used = session.get(EntityUse, (entity_id, service))
        if used is None or used.used_at < use.used_at:
            session.merge(EntityUse(entity_id=entity_id, service=service, used_at=use.used_at, region=use.region))
    session.flush()
