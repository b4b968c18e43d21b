"""Sends the logs of running clusters now and then, and forgets event logs that are too old."""

from __future__ import annotations

import datetime as dt
import logging
import time

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.clock import Clock
from emr_studio.clusters.logs.appinfo import KEPT, StoreFailed
from emr_studio.clusters.logs.archive import LogArchive, events_prefix
from emr_studio.clusters.model import ENDED, Cluster, Target, instances_of
from emr_studio.db import Database

log = logging.getLogger(__name__)
PUSH_SECONDS = 30.0
_FORGET_SECONDS = 3600.0
_LOOKED_BACK = dt.timedelta(days=60)
"""A studio that was down for longer keeps what it should have forgotten then."""


class LogPusher:
    """Reconciler of the kind `cluster-logs`; its ids are those of clusters."""

    kind = "cluster-logs"

    def __init__(self, database: Database, clock: Clock, archive: LogArchive) -> None:
        self._database = database
        self._clock = clock
        self._archive = archive
        self._next: dict[str, float] = {}
        self._forget_next = 0.0
        self._forgotten: set[str] = set()

    def pending(self) -> list[str]:
        """Clusters whose logs were not looked at for a while, and ended ones whose logs are too old."""
        now = time.monotonic()
        wanted = select(Cluster.id).where(Cluster.state.not_in(ENDED), Cluster.target == Target.RUNNING)
        with self._database.read() as session:
            running = list(session.scalars(wanted))
            self._next = {one: self._next.get(one, now) for one in running}
            due = [one for one in running if self._next[one] <= now]
            if now >= self._forget_next:
                self._forget_next = now + _FORGET_SECONDS
                due += self._too_old(session)
        return due

    def _too_old(self, session: Session) -> list[str]:
        oldest = self._clock.now() - KEPT
        ended = select(Cluster.id).where(Cluster.end_time < oldest, Cluster.end_time > oldest - _LOOKED_BACK)
        return [one for one in session.scalars(ended) if one not in self._forgotten]

    def reconcile(self, resource_id: str) -> float | None:
        """Send what has changed, or forget what is too old."""
        with self._database.read() as session:
            cluster = session.get(Cluster, resource_id)
            instances = instances_of(session, resource_id)
        if cluster is None:
            return None
        if cluster.state in ENDED:
            self._forget(cluster)
        elif cluster.target == Target.RUNNING:
            self._next[resource_id] = time.monotonic() + PUSH_SECONDS
            self._archive.push(cluster, instances)
        return None

    def _forget(self, cluster: Cluster) -> None:
        if cluster.end_time is None or cluster.end_time >= self._clock.now() - KEPT:
            return
        try:
            self._archive.appinfo.remove(events_prefix(cluster))
            self._forgotten.add(cluster.id)
        except StoreFailed as error:
            log.warning("event logs of %s could not be removed: %s", cluster.id, error)
