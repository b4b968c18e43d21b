"""The sessions' controller: moves a session to its target, one saved step at a time.

    SUBMITTED       address, user and the grant of its role
    STARTING        its Spark Connect server, until that answers
    STARTED BUSY    what it does; idle for too long, or too old, or without its cluster, it ends
    IDLE
    TERMINATING     stop everything, give back address and grant, remove the folder (the log stays)

Every turn begins from the rows and from what the runtime observes, so it may be cut anywhere.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
from pathlib import Path

from sqlalchemy import select

from emr_studio.aws.errors import AwsError
from emr_studio.clock import Clock
from emr_studio.clusters.model import USABLE, Cluster, Target, living_instances_of
from emr_studio.clusters.nodes import (
    CONNECT,
    GATEWAY,
    KERNELS,
    Layout,
    Tenant,
    TenantProgram,
    spark_defaults,
    tenant_specification,
    warehouse_of,
)
from emr_studio.clusters.runtime_roles import grant_runtime_role
from emr_studio.clusters.sessions.model import (
    ENDED,
    KIND,
    LIVING,
    Purpose,
    SessionState,
    SparkSession,
    session_owner,
)
from emr_studio.clusters.sessions.probe import SessionProbe, SparkProbe
from emr_studio.db import Database
from emr_studio.iam.services import revoke_grants
from emr_studio.network.model import allocate_address, loopback_address, release_addresses
from emr_studio.runtime.contract import (
    AGENT_AWAY_SECONDS,
    Observation,
    ProcessSpec,
    Runtime,
    RuntimeUnavailable,
    WorkloadState,
)
from emr_studio.settings import Settings

log = logging.getLogger(__name__)

START_SECONDS = 180.0
LONGEST = dt.timedelta(hours=24)
"""A session ends after that, as those of EMR Serverless do; AWS names no figure for EMR on EC2."""
LOOK_SECONDS = 3.0
_WAIT_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_NAMES = {CONNECT: "The Spark Connect server", GATEWAY: "The kernel gateway", KERNELS: "The kernels' host"}


class SessionReconciler:
    """Reconciles one installation's Spark Connect sessions."""

    kind = KIND

    def __init__(
        self,
        database: Database,
        clock: Clock,
        runtime: Runtime,
        settings: Settings,
        probe: SessionProbe | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._settings = settings
        self._probe = probe or SparkProbe()
        self._next_look = 0.0

    # What the loop asks.

    def pending(self) -> list[str]:
        """Sessions on their way; now and then, those that take connections."""
        resting: tuple[SessionState, ...] = LIVING
        if time.monotonic() >= self._next_look:
            self._next_look, resting = time.monotonic() + LOOK_SECONDS, ()
        with self._database.read() as session:
            chosen = select(SparkSession.id).where(SparkSession.state.not_in((*ENDED, *resting)))
            return list(session.scalars(chosen))

    def owner_exists(self, owner: str) -> bool | None:
        """For the orphan sweep: is the session that owns a workload alive?"""
        prefix = session_owner("")
        if not owner.startswith(prefix):
            return None
        with self._database.read() as session:
            row = session.get(SparkSession, owner.removeprefix(prefix))
            return row is not None and row.state not in ENDED

    def reconcile(self, resource_id: str) -> float | None:
        """Take one step; see the module's text."""
        with self._database.read() as session:
            row = session.get(SparkSession, resource_id)
            if row is None or row.state in ENDED:
                return None
            cluster = session.get_one(Cluster, row.cluster_id)
            layout = Layout(cluster, living_instances_of(session, cluster.id))
        try:
            return self._step(row, layout)
        except RuntimeUnavailable as error:
            log.info("%s waits for the host agent: %s", resource_id, error)
            return AGENT_AWAY_SECONDS

    def _step(self, row: SparkSession, layout: Layout) -> float | None:
        if row.state == SessionState.TERMINATING:
            return self._terminate(row)
        cluster = layout.cluster
        if cluster.target != Target.RUNNING or cluster.state not in USABLE:
            return self._leave(row, SessionState.TERMINATED, f"The cluster {cluster.id} is {cluster.state}.")
        if row.state == SessionState.SUBMITTED:
            return self._provision(row, layout)
        if row.state == SessionState.STARTING:
            return self._start(row, layout)
        return self._watch(row)

    # Start.

    def _provision(self, row: SparkSession, layout: Layout) -> float:
        needed, free = self._tenant(row, layout).needed_memory, self._probe.free_memory()
        if free < needed:
            why = f"The machine has too little memory: a session needs about {needed} MB, {free} MB are free."
            return self._leave(row, SessionState.FAILED, why)
        cluster, owner = layout.cluster, session_owner(row.id)
        try:
            with self._database.write() as session:
                mine = session.get_one(SparkSession, row.id, with_for_update=True)
                if mine.state != SessionState.SUBMITTED:
                    return 0
                mine.role_token = grant_runtime_role(
                    session,
                    self._clock,
                    self._settings,
                    cluster,
                    role_arn=row.execution_role_arn,
                    session_name=row.id,
                    owner=owner,
                )
                mine.private_ip = allocate_address(session, cluster.subnet_id, owner)
                mine.bind_ip = loopback_address(self._settings, mine.private_ip)
                _enter(mine, SessionState.STARTING, self._clock.now())
        except AwsError as error:
            return self._leave(row, SessionState.FAILED, error.message)
        return 0

    def _start(self, row: SparkSession, layout: Layout) -> float:
        observed = [self._runtime.observe(row.workload_id(kind)) for kind in row.programs]
        for kind, seen in zip(row.programs, observed, strict=True):
            if seen.state is WorkloadState.ABSENT:
                self._runtime.launch(self._specification(row, layout, kind))
            elif seen.state is WorkloadState.EXITED:
                return self._leave(row, SessionState.FAILED, _why("did not start", seen))
        coming = next((seen for seen in observed if seen.state is not WorkloadState.RUNNING), None)
        if coming is None:
            return self._enter(row, SessionState.STARTED)
        if (self._clock.now() - row.updated_at).total_seconds() > START_SECONDS:
            why = f"The session's Spark did not answer after {START_SECONDS:.0f} seconds."
            return self._leave(row, SessionState.FAILED, why)
        self._runtime.wait(coming.workload_id, WorkloadState.STARTING, _WAIT_SECONDS)
        return 0

    def _tenant(self, row: SparkSession, layout: Layout) -> Tenant:
        folder = str(self._folder(row))
        return Tenant(session_owner(row.id), row.uid, row.role_token, row.secret, folder, len(layout.workers))

    def _specification(self, row: SparkSession, layout: Layout, kind: str) -> ProcessSpec:
        defaults = spark_defaults(layout.cluster.configurations) | spark_defaults(row.engine_configurations)
        config = {
            "cluster_id": row.id,
            "connect_token": row.connect_token,
            "gateway_token": "" if kind == CONNECT else row.gateway_token,
            "spark_defaults": defaults,
        }
        tenant = self._tenant(row, layout)
        tables = warehouse_of(self._settings, layout.cluster)
        if row.execution_role_arn is None and tables.startswith("s3"):
            # Its role is the cluster's, so its tables are; a runtime role may know nothing of the Data Catalog.
            config["warehouse_dir"] = tables
        program = TenantProgram(kind, row.workload_id(kind), row.bind_ip)
        return tenant_specification(self._settings, layout, tenant, program, config)

    def _folder(self, row: SparkSession) -> Path:
        return self._settings.clusters_dir / row.id

    # Life.

    def _watch(self, row: SparkSession) -> float:
        for kind in row.programs:
            seen = self._runtime.observe(row.workload_id(kind))
            if not seen.state.is_going:
                return self._leave(row, SessionState.FAILED, _why("ended", seen))
        if row.purpose == Purpose.KERNELS:
            if row.expires_at is not None and row.expires_at <= self._clock.now():
                return self._leave(row, SessionState.TERMINATED, "Its credentials have expired.")
            # A Workspace's ends when that lets go of it.
            return self._note(row, SessionState.IDLE if self._probe.kernels(row) == 0 else SessionState.BUSY)
        return self._watch_clients(row)

    def _watch_clients(self, row: SparkSession) -> float:
        now = self._clock.now()
        if row.started_at is not None and now - row.started_at >= LONGEST:
            return self._leave(row, SessionState.TERMINATED, f"The session reached its end after {LONGEST}.")
        # What does not answer is taken for busy: it is not ended for being slow.
        if self._probe.is_busy(row) is not False:
            return self._note(row, SessionState.BUSY)
        since = max(moment for moment in (row.started_at, row.idle_since, row.used_at) if moment is not None)
        if row.state == SessionState.BUSY:
            since = now
        if now - since >= dt.timedelta(minutes=row.idle_minutes):
            why = f"The session was idle for {row.idle_minutes} minutes."
            return self._leave(row, SessionState.TERMINATED, why)
        if row.used_at is None and row.state == SessionState.STARTED:
            return LOOK_SECONDS
        return self._note(row, SessionState.IDLE)

    def _note(self, row: SparkSession, state: SessionState) -> float:
        if row.state != state:
            self._enter(row, state)
        return LOOK_SECONDS

    # End.

    def _terminate(self, row: SparkSession) -> float | None:
        observed = [self._runtime.observe(row.workload_id(kind)) for kind in row.programs]
        for seen in observed:
            if seen.state.is_going:
                self._runtime.stop(seen.workload_id, _GRACE_SECONDS)
            elif seen.state is WorkloadState.EXITED:
                self._runtime.forget(seen.workload_id)
        going = [seen for seen in observed if not seen.state.is_over]
        if going:
            self._runtime.wait(going[0].workload_id, WorkloadState.STOPPING, _WAIT_SECONDS)
            return 0
        shutil.rmtree(self._folder(row), ignore_errors=True)
        now, owner = self._clock.now(), session_owner(row.id)
        with self._database.write() as session:
            release_addresses(session, owner)
            revoke_grants(session, owner)
            mine = session.get_one(SparkSession, row.id)
            _enter(mine, SessionState(mine.end_state or SessionState.TERMINATED), now, mine.message)
            mine.ended_at, mine.role_token, mine.private_ip, mine.bind_ip = now, "", "", ""
        return None

    # Rows.

    def _enter(self, row: SparkSession, state: SessionState) -> float:
        """Save a new state; not if a request came in between, which the next turn sees."""
        now = self._clock.now()
        with self._database.write() as session:
            mine = session.get_one(SparkSession, row.id, with_for_update=True)
            if mine.state == row.state:
                _enter(mine, state, now)
                if state == SessionState.STARTED:
                    mine.started_at = now
                mine.idle_since = now if state == SessionState.IDLE else None
        return 0

    def _leave(self, row: SparkSession, end: SessionState, why: str) -> float:
        """Begin to end it: what holds credentials and memory goes first, then the state is final."""
        log.info("%s ends (%s): %s", row.id, end, why)
        with self._database.write() as session:
            mine = session.get_one(SparkSession, row.id, with_for_update=True)
            if mine.state not in (SessionState.TERMINATING, *ENDED):
                leave(mine, end, why, self._clock.now())
        return 0


def leave(row: SparkSession, end: SessionState, why: str, now: dt.datetime) -> None:
    """Let a session end as `end`."""
    row.end_state = end
    _enter(row, SessionState.TERMINATING, now, why)


def _enter(row: SparkSession, state: SessionState, now: dt.datetime, why: str = "") -> None:
    row.state, row.updated_at, row.message = state, now, why
    if state not in LIVING:
        row.idle_since = None


def _why(what: str, seen: Observation) -> str:
    last = f" Last line of its log: {seen.log_tail[-1]}" if seen.log_tail else ""
    name = _NAMES[seen.workload_id.rpartition("/")[2]]
    return f"{name} of the session {what}{': ' + seen.reason if seen.reason else ''}.{last}"[:1000]
