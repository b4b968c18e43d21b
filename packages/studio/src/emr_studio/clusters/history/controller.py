"""Starts and stops history servers.

    wanted      STOPPED ──> STARTING ──> RUNNING          again, from S3, when the cluster has ended meanwhile
                               └──> FAILED                after three attempts; the next use tries again
    not wanted, or nobody looked for ten minutes: ──> STOPPED, its files removed

Every turn begins from the row and from what the runtime observes.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path

from sqlalchemy import and_, or_, select

from emr_studio.clusters.catalog.releases import default_release
from emr_studio.clusters.history.model import IDLE, KIND, HistoryServer, ServerState, has_ended, new_key
from emr_studio.clusters.logs.appinfo import AppInfo, StoreFailed
from emr_studio.clusters.logs.archive import events_prefix
from emr_studio.clusters.model import ENDED, Cluster
from emr_studio.clusters.nodes import EVENTS, folder_of, readable_of
from emr_studio.clusters.tools import Tools
from emr_studio.loopback import HOST, free_port
from emr_studio.runtime.contract import AGENT_AWAY_SECONDS, Observation, ProcessSpec, RuntimeUnavailable, WorkloadState

log = logging.getLogger(__name__)
_ATTEMPTS = 3
_HEAP_MB = 512
_NEEDED_MB = 350
_GRACE_SECONDS = 5.0
_AGAIN_SECONDS = 0.5
_LOOK_SECONDS = 5.0


class HistoryReconciler:
    """Reconciles history servers (`controllers.Reconciler`)."""

    kind = KIND

    def __init__(self, tools: Tools, appinfo: AppInfo) -> None:
        self._database = tools.database
        self._clock = tools.clock
        self._runtime = tools.runtime
        self._settings = tools.settings
        self._probe = tools.probe
        self._appinfo = appinfo
        self._next_look = 0.0

    def pending(self) -> list[str]:
        """Those that are not as they should be."""
        row, oldest = HistoryServer, self._clock.now() - IDLE
        stale = and_(row.archived.is_(False), Cluster.state.in_(ENDED))
        to_start = and_(row.wanted, or_(row.state != ServerState.RUNNING, stale, row.last_used < oldest))
        to_stop = and_(row.wanted.is_(False), row.state.not_in((ServerState.STOPPED, ServerState.FAILED)))
        wanted = select(row.id).join(Cluster, Cluster.id == row.cluster_id).where(or_(to_start, to_stop))
        with self._database.read() as session:
            found = list(session.scalars(wanted))
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            found += self._lost()
        return found

    def _lost(self) -> list[str]:
        """Those that should run and do not: the host was restarted, or a wake was lost."""
        with self._database.read() as session:
            running = list(session.scalars(select(HistoryServer).where(HistoryServer.state == ServerState.RUNNING)))
        if not running:
            return []
        try:
            going = {seen.workload_id for seen in self._runtime.list() if not seen.state.is_over}
        except RuntimeUnavailable:
            return []
        return [row.id for row in running if _workload(row) not in going]

    def owner_exists(self, owner: str) -> bool | None:
        """For the orphan sweep."""
        if not owner.startswith("history/"):
            return None
        with self._database.read() as session:
            row = session.get(HistoryServer, owner.removeprefix("history/"))
            return row is not None and row.state != ServerState.STOPPED

    def reconcile(self, resource_id: str) -> float | None:
        """Take one step."""
        with self._database.read() as session:
            row = session.get(HistoryServer, resource_id)
            cluster = session.get(Cluster, row.cluster_id) if row else None
        if row is None or cluster is None:
            return None
        try:
            return self._step(row, cluster)
        except RuntimeUnavailable:
            return AGENT_AWAY_SECONDS

    def _step(self, row: HistoryServer, cluster: Cluster) -> float | None:
        seen = self._runtime.observe(_workload(row))
        if row.wanted and self._clock.now() - row.last_used > IDLE:
            return self._save(row, wanted=False)
        if not row.wanted:
            return self._stop(row, seen)
        if seen.state.is_over:
            return self._launch(row, cluster, seen)
        if row.archived != has_ended(cluster):
            if row.state == ServerState.RUNNING:  # who comes meanwhile is told to wait
                self._save(row, state=ServerState.STARTING)
            self._runtime.stop(seen.workload_id, _GRACE_SECONDS)
            return _AGAIN_SECONDS
        if seen.state is WorkloadState.RUNNING:
            if row.state != ServerState.RUNNING:
                if not self._probe.has_pages(row.address):
                    return _AGAIN_SECONDS
                self._save(row, state=ServerState.RUNNING, reason="", attempts=0)
            return None
        self._runtime.wait(seen.workload_id, seen.state, 1.0)
        return 0

    def _stop(self, row: HistoryServer, seen: Observation) -> float | None:
        if not seen.state.is_over:
            self._runtime.stop(seen.workload_id, _GRACE_SECONDS)
            self._runtime.wait(seen.workload_id, WorkloadState.STOPPING, 1.0)
            return _AGAIN_SECONDS
        self._runtime.forget(seen.workload_id)
        self._remove_files(row)
        if row.state != ServerState.FAILED:
            self._save(row, state=ServerState.STOPPED, address="")
        return None

    def _launch(self, row: HistoryServer, cluster: Cluster, seen: Observation) -> float | None:
        if row.attempts >= _ATTEMPTS:
            last = seen.log_tail[-1] if seen.log_tail else ""
            self._fail(row, f"The history server {seen.reason or 'did not start'}. {last}".strip())
            return None
        if self._probe.free_memory() < _NEEDED_MB:
            self._fail(row, "The machine has too little memory for a history server. Terminate a cluster.")
            return None
        archived = has_ended(cluster)
        address = f"{HOST}:{free_port()}"
        changes = {"state": ServerState.STARTING, "address": address, "archived": archived}
        self._save(row, **changes, ui_key=new_key(), attempts=row.attempts + 1)
        try:
            events = self._fetch(row, cluster) if archived else self._live_events(cluster)
        except (StoreFailed, OSError) as error:
            log.warning("event logs of %s could not be fetched: %s", cluster.id, error)
            return self._save(row, reason=f"The event logs could not be fetched from S3: {error}") or 1.0
        self._runtime.forget(seen.workload_id)
        with self._database.read() as session:
            row = session.get_one(HistoryServer, row.id)
        self._runtime.launch(self._specification(row, cluster, events))
        return 0

    def _fail(self, row: HistoryServer, reason: str) -> None:
        log.warning("%s: %s", row.id, reason)
        self._save(row, wanted=False, state=ServerState.FAILED, reason=reason, address="")

    def _save(self, row: HistoryServer, **changes: object) -> float | None:
        with self._database.write() as session:
            fresh = session.get_one(HistoryServer, row.id, with_for_update=True)
            for name, value in changes.items():
                setattr(fresh, name, value)
        return 0

    # Its files.

    def _live_events(self, cluster: Cluster) -> Path:
        return folder_of(self._settings, cluster.id) / EVENTS

    def _fetch(self, row: HistoryServer, cluster: Cluster) -> Path:
        """The event logs of an ended cluster, as S3 has them."""
        events = self._archives(row)
        shutil.rmtree(events, ignore_errors=True)
        self._appinfo.fetch(events_prefix(cluster), events)
        return events

    def _archives(self, row: HistoryServer) -> Path:
        return self._settings.history_dir / "archives" / row.id

    def _remove_files(self, row: HistoryServer) -> None:
        for folder in (self._archives(row), self._settings.history_dir / row.id):
            shutil.rmtree(folder, ignore_errors=True)

    def _specification(self, row: HistoryServer, cluster: Cluster, events: Path) -> ProcessSpec:
        release = default_release()
        python, folder = self._settings.env_python(release.environment), self._settings.history_dir / row.id
        config = {
            "cluster_id": cluster.id,
            "address": HOST,
            "primary_address": HOST,
            "local_mode": True,
            "secret": "",
            "connect_token": "",
            "driver_memory": _HEAP_MB,
            "events_dir": str(events),
            "history_port": int(row.address.rpartition(":")[2]),
            "ui_key": row.ui_key,
        }
        return ProcessSpec(
            workload_id=_workload(row),
            owner=f"history/{row.id}",
            argv=(str(python), "-m", "emr_studio_cluster.node", "history", str(folder)),
            folder=str(folder),
            log_path=str(self._settings.logs_dir / "history" / f"{row.id}.log"),
            files={"node.json": json.dumps(config)},
            # The user whose files the event logs are; of an ended cluster nobody else's.
            uid=cluster.uid,
            ready_address=row.address,
            readable=(*readable_of(self._settings, release), str(events)),
        )


def _workload(row: HistoryServer) -> str:
    return f"{row.id}/history"
