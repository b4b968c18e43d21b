"""What the trail keeps of denials, for STS to decode (`iam.authorization_message.KeptMessages`)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from emr_studio.trail.collector import Collector
from emr_studio.trail.events import find_event


class KeptDenials:
    """The encoded messages in the trail, by the ids of records and of requests."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def bring_in(self) -> None:
        """Let the trail know of all that happened before now."""
        self._collector.collect(all_processes=True)

    def message(self, session: Session, account_id: str, event_or_request_id: str) -> str | None:
        """The encoded message of a denial in the account; None if there is no such record."""
        found = find_event(session, account_id, event_or_request_id)
        return found.authorization if found else None
