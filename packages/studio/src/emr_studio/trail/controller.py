"""Keeps trails: cuts log files, writes them and their digests to S3, forgets what is too old.

One saved step a turn: a file is made in one transaction together with the trail's cursor, then put (the
same bytes however often), then marked as delivered. Nothing is lost or delivered twice under two
contents, wherever a turn is cut.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Mapping
from typing import Protocol

import httpx
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Authorizer
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.settings import Settings
from emr_studio.storage.store import store_client
from emr_studio.trail.bucket_access import FULL_CONTROL, BucketAccess
from emr_studio.trail.collector import Collector, last_batch
from emr_studio.trail.delivery import Period, cut_file, make_digest, undigested
from emr_studio.trail.lines import milliseconds
from emr_studio.trail.model import Digest, EventResource, EventRow, LogFile, Trail
from emr_studio.trail.operations.common import arn_of
from emr_studio.trail.signing import DigestKey

_AGAIN_SECONDS = 30.0
_HOUSE_SECONDS = 5.0
_PAUSE_SECONDS = 0.005
_FORGET_SECONDS = 300.0
_HOUSE_ROWS = 1000
log = logging.getLogger(__name__)


class Refused(Exception):
    """S3 does not take the file; `str()` is the code that GetTrailStatus shows."""


class Bucketeer(Protocol):
    """Puts an object; fulfilled by `StoreWriter`."""

    def put(self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str]) -> None: ...


class StoreWriter:
    """Puts objects into the embedded store, as CloudTrail: whether it may was asked before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def put(self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Put an object.

        Raises:
            Refused: with S3's code.
        """
        headers = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        headers |= {"Content-Type": "application/json", "Content-Encoding": "gzip", "x-amz-acl": FULL_CONTROL}
        try:
            with store_client(self._settings, timeout=60) as client:
                answer = client.put(f"/{bucket}/{key}", content=body, headers=headers)
        except (OSError, httpx.HTTPError) as error:
            raise Refused("ServiceUnavailable") from error
        if answer.status_code != httpx.codes.OK:
            raise Refused("NoSuchBucket" if answer.status_code == httpx.codes.NOT_FOUND else "InternalError")


class TrailReconciler:
    """Delivers (`controllers.Reconciler`, of the kind `trail`; its ids are those of trails)."""

    kind = "trail"

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, authorizer: Authorizer, bucketeer: Bucketeer
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._authorizer = authorizer
        self._bucketeer = bucketeer

    def pending(self) -> list[str]:
        """Trails that have something to deliver now."""
        with self._database.read() as session:
            newest = last_batch(session)
            return [trail.id for trail in session.scalars(select(Trail)) if self._due(session, trail, newest)]

    def reconcile(self, resource_id: str) -> float | None:
        """One step. Returns 0 while there is more."""
        with self._database.read() as session:
            trail = session.get(Trail, resource_id)
            waiting = _waiting(session, trail) if trail else None
            newest = last_batch(session)
            if trail is None:
                return None
            if waiting is not None and not self._rests(trail):
                return self._deliver(trail, waiting)
            due = self._due(session, trail, newest)
        if not due or waiting is not None:
            return None
        self._make(resource_id)
        return 0

    # What is due.

    def _due(self, session: Session, trail: Trail, newest: int) -> bool:
        if _waiting(session, trail) is not None:
            return not self._rests(trail)
        return self._file_is_due(trail, newest) or self._digest_is_due(session, trail)

    def _rests(self, trail: Trail) -> bool:
        """After a refusal the next attempt waits."""
        failed = trail.delivery_error or trail.digest_error
        return bool(failed and trail.attempted and _seconds(self._clock.now() - trail.attempted) < _AGAIN_SECONDS)

    def _file_is_due(self, trail: Trail, newest: int) -> bool:
        if trail.started is None:
            return False
        end = newest if trail.last_batch is None else min(newest, trail.last_batch)
        if trail.cursor >= end:
            return False
        since = max(trail.started, trail.attempted or trail.started)
        return not trail.is_logging or _seconds(self._clock.now() - since) >= self._settings.trail_delivery_seconds

    def _digest_is_due(self, session: Session, trail: Trail) -> bool:
        if not trail.validates or trail.started is None:
            return False
        start = trail.digest_start or trail.started
        if _seconds(self._clock.now() - start) < self._settings.trail_digest_seconds:
            return False
        return trail.is_logging or bool(undigested(session, trail))

    # The steps.

    def _make(self, trail_id: str) -> None:
        """Make the next log file, or else the digest that is due."""
        with self._database.write() as session:
            trail = session.get(Trail, trail_id)
            if trail is None or _waiting(session, trail) is not None:
                return
            now = self._clock.now().replace(microsecond=0)
            if self._file_is_due(trail, last_batch(session)):
                if cut_file(session, trail, now) is None:
                    trail.attempted = now
            elif self._digest_is_due(session, trail) and trail.started is not None:
                period = Period(trail.digest_start or trail.started, now)
                make_digest(session, trail, period, DigestKey.load(self._settings.keys_dir))

    def _deliver(self, trail: Trail, waiting: LogFile | Digest) -> float | None:
        error = self._put(trail, waiting)
        with self._database.write() as session:
            self._note(session, trail.id, waiting, error)
        return _AGAIN_SECONDS if error else 0

    def _put(self, trail: Trail, waiting: LogFile | Digest) -> str | None:
        """Put the file; returns S3's code if it was refused."""
        metadata = {}
        if isinstance(waiting, Digest):
            metadata = {"signature": waiting.signature, "signature-algorithm": "SHA256withRSA"}
        try:
            self._check(trail, waiting)
            self._bucketeer.put(waiting.bucket, waiting.key, waiting.body or b"", metadata)
        except Refused as refused:
            log.warning("trail %s: %s was not delivered: %s", trail.name, waiting.key, refused)
            return str(refused)
        return None

    def _check(self, trail: Trail, waiting: LogFile | Digest) -> None:
        """Raises Refused if the bucket is gone or its policy does not let CloudTrail in."""
        with self._database.read() as session:
            access = BucketAccess(session, self._authorizer, self._clock, arn_of(trail), trail.region)
            bucket = access.find(waiting.bucket)
            if bucket is None:
                raise Refused("NoSuchBucket")
            if not access.may_write(bucket, waiting.key):
                raise Refused("AccessDenied")

    def _note(self, session: Session, trail_id: str, waiting: LogFile | Digest, error: str | None) -> None:
        trail, now = session.get(Trail, trail_id), self._clock.now()
        if trail is None:
            return
        if isinstance(waiting, LogFile):
            trail.attempted, trail.delivery_error = now, error
            trail.delivered = trail.delivered if error else now
        else:
            trail.attempted, trail.digest_error = (now if error else trail.attempted), error
            trail.digested = trail.digested if error else now
        row = session.merge(waiting, load=True)
        if not error:
            row.delivered, row.body = now, None


def _waiting(session: Session, trail: Trail) -> LogFile | Digest | None:
    """What is made and not delivered yet: one at most."""
    file = session.scalars(
        select(LogFile).where(LogFile.trail_id == trail.id, LogFile.delivered.is_(None)).limit(1)
    ).first()
    if file is not None:
        return file
    return session.scalars(
        select(Digest).where(Digest.trail_id == trail.id, Digest.delivered.is_(None)).limit(1)
    ).first()


def _seconds(span: dt.timedelta) -> float:
    return span.total_seconds()


class TrailHousekeeping:
    """Brings in the journals of ended processes, and forgets records that are too old, a thousand a turn."""

    kind = "trail-house"

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._retention = dt.timedelta(days=settings.trail_retention_days)
        self._collector = Collector(database, settings.trail_dir)
        self._next = self._forget_next = 0.0

    def pending(self) -> list[str]:
        return ["house"] if time.monotonic() >= self._next else []

    def reconcile(self, resource_id: str) -> float | None:
        self._next = time.monotonic() + _HOUSE_SECONDS
        self._collector.collect(pause=_PAUSE_SECONDS)
        if time.monotonic() < self._forget_next:
            return None
        if self.forget():
            return 0
        self._forget_next = time.monotonic() + _FORGET_SECONDS
        return None

    def forget(self) -> bool:
        """Remove some of what is too old; True if there may be more."""
        oldest = self._clock.now() - self._retention
        with self._database.write() as session:
            full = [one for one in _accounts(session) if self._forget(session, one, milliseconds(oldest))]
            session.execute(delete(LogFile).where(LogFile.delivered < oldest, LogFile.digest_id.is_not(None)))
            session.execute(delete(Digest).where(Digest.delivered < oldest))
        return bool(full)

    def _forget(self, session: Session, account_id: str, oldest: int) -> bool:
        wanted = select(EventRow.event_id).where(EventRow.account_id == account_id, EventRow.moment < oldest)
        old = session.scalars(wanted.limit(_HOUSE_ROWS)).all()
        if old:
            session.execute(delete(EventResource).where(EventResource.event_id.in_(old)))
            session.execute(delete(EventRow).where(EventRow.event_id.in_(old)))
        return len(old) == _HOUSE_ROWS


def _accounts(session: Session) -> list[str]:
    """Accounts that have records: one look into the index for each."""
    found: list[str] = []
    while True:
        following = select(func.min(EventRow.account_id)).where(EventRow.account_id > (found[-1] if found else ""))
        account = session.scalar(following)
        if account is None:
            return found
        found.append(account)
