"""What the rest of the studio hands its calls to: makes records, writes them to the journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from emr_studio.aws.pipeline import Call
from emr_studio.db import Database
from emr_studio.settings import Settings
from emr_studio.storage.s3_recording import S3Call
from emr_studio.trail import selectors
from emr_studio.trail.api_record import ApiRecords
from emr_studio.trail.journal import Journal
from emr_studio.trail.lines import Line, write_line
from emr_studio.trail.model import Trail
from emr_studio.trail.s3_record import S3Records, is_data_event
from emr_studio.trail.signin_record import ConsoleSignIn, sign_in_line

_INTEREST_SECONDS = 2.0
log = logging.getLogger(__name__)


class Allowance:
    """So many a second, with a reserve: what anybody on the network can cause must not fill the disk."""

    def __init__(self, per_second: float = 100.0, reserve: float = 1000.0) -> None:
        self._per_second = per_second
        self._reserve = self._left = reserve
        self._then = time.monotonic()
        self.refused = 0

    def take(self) -> bool:
        """True if there is still some."""
        now = time.monotonic()
        self._left = min(self._reserve, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1:
            self.refused += 1
            if self.refused % 1000 == 1:
                log.warning("%d requests of unknown callers were too many to record", self.refused)
            return False
        self._left -= 1
        return True


class Interest(Protocol):
    """Which data events anybody wants."""

    def exists(self) -> bool: ...

    def wants(self, account_id: str, event: Mapping[str, Any]) -> bool: ...


class DataInterest:
    """The trails that take data events, read again every two seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until = 0.0
        self._trails: Sequence[Trail] = ()

    def exists(self) -> bool:
        """True if there is any such trail."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + _INTEREST_SECONDS
            self._refresh()
        return bool(self._trails)

    def wants(self, account_id: str, event: Mapping[str, Any]) -> bool:
        """True if a trail of the account takes the record."""
        return any(
            trail.account_id == account_id and selectors.takes(trail.selectors, trail.advanced_selectors, event)
            for trail in self._trails
        )

    def _refresh(self) -> None:
        try:
            with self._database.read() as session:
                found = session.scalars(select(Trail).where(Trail.is_logging)).all()
        except SQLAlchemyError:
            log.warning("the trails could not be read: those known go on", exc_info=True)
            return
        self._trails = [trail for trail in found if selectors.takes_data(trail.selectors, trail.advanced_selectors)]


class TrailRecorder:
    """Fulfils `aws.pipeline.Recorder` and `storage.s3_recording.S3Recorder`. Never raises."""

    def __init__(self, settings: Settings, journal: Journal, interest: Interest) -> None:
        self._journal = journal
        self._interest = interest
        self._region = settings.region
        self._api = ApiRecords(settings.account_id)
        secure = settings.scheme == "https"
        self._s3 = S3Records(settings.account_id, settings.region, settings.partition, secure)
        self._strangers = Allowance()

    def record(self, call: Call) -> None:
        """A call of the AWS API."""
        try:
            party = self._api.party(call)
            if party.is_proven or self._strangers.take():
                self._append(self._api.lines(call, party))
        except Exception:  # a request never fails because of its record
            log.exception("%s is not in the audit trail", call.request_id)

    def record_s3(self, call: S3Call) -> None:
        """A request to S3: allowed data events only if a trail takes them."""
        try:
            if call.error is None and is_data_event(call) and not self._interest.exists():
                return
            parties = self._s3.parties(call)
            if not parties[0].is_proven and not self._strangers.take():
                return
            events = zip(self._s3.events(call, parties), parties, strict=True)
            self._append(
                [
                    self._s3.line(call, event, party)
                    for event, party in events
                    if event["managementEvent"] or call.error or self._interest.wants(party.account_id, event)
                ]
            )
        except Exception:
            log.exception("%s is not in the audit trail", call.request_id)

    def record_sign_in(self, sign_in: ConsoleSignIn) -> None:
        """A sign-in at the console, or an attempt."""
        try:
            if sign_in.caller is not None or self._strangers.take():
                self._append([sign_in_line(sign_in, self._region)])
        except Exception:
            log.exception("a sign-in is not in the audit trail")

    def _append(self, lines: Sequence[Line]) -> None:
        if lines:
            self._journal.append(b"".join(write_line(line) for line in lines))
