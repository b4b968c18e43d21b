"""Questions to the audit trail: for LookupEvents, and for those who explain denials."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from emr_studio.trail.lines import milliseconds
from emr_studio.trail.model import EventResource, EventRow

_COLUMN_OF = {
    "EventId": EventRow.event_id,
    "EventName": EventRow.event_name,
    "EventSource": EventRow.event_source,
    "Username": EventRow.username,
    "AccessKeyId": EventRow.access_key_id,
}
_RESOURCE_COLUMN_OF = {"ResourceName": EventResource.name, "ResourceType": EventResource.type}


def shown_events(
    account_id: str,
    attribute: tuple[str, str] | None = None,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
) -> Select[EventRow]:
    """The records of an account that LookupEvents shows; `attribute` is one of its keys and the value."""
    statement = select(EventRow).where(EventRow.account_id == account_id, EventRow.is_shown == 1)
    if start is not None:
        statement = statement.where(EventRow.moment >= milliseconds(start))
    if end is not None:
        # A record's time has whole seconds: those of the last one belong to it.
        statement = statement.where(EventRow.moment < milliseconds(end.replace(microsecond=0)) + 1000)
    if attribute is None:
        return statement
    key, value = attribute
    if key == "ReadOnly":
        return statement.where(EventRow.is_read_only == int(value.lower() == "true"))
    if key in _COLUMN_OF:
        return statement.where(_COLUMN_OF[key] == value)
    having = select(EventResource.event_id).where(
        EventResource.account_id == account_id, _RESOURCE_COLUMN_OF[key] == value
    )
    return statement.where(EventRow.event_id.in_(having))


def resources_of(session: Session, event_ids: Iterable[str]) -> dict[str, list[EventResource]]:
    """The resources of some records, by record."""
    found: dict[str, list[EventResource]] = {}
    wanted = select(EventResource).where(EventResource.event_id.in_(list(event_ids)))
    for resource in session.scalars(wanted.order_by(EventResource.event_id, EventResource.position)):
        found.setdefault(resource.event_id, []).append(resource)
    return found


def find_denials(session: Session, account_id: str, limit: int = 50) -> Sequence[EventRow]:
    """The last denials of an account, the newest first. `authorization` says why, encoded."""
    wanted = select(EventRow).where(EventRow.account_id == account_id, EventRow.is_denied == 1)
    return session.scalars(wanted.order_by(EventRow.moment.desc(), EventRow.event_id).limit(limit)).all()


def find_event(session: Session, account_id: str, event_or_request_id: str) -> EventRow | None:
    """The record of an event's id or a request's id; None if the account has none such."""
    named = or_(EventRow.event_id == event_or_request_id, EventRow.request_id == event_or_request_id)
    return session.scalars(select(EventRow).where(EventRow.account_id == account_id, named).limit(1)).first()
