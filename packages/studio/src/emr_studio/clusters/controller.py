"""The clusters' controller: moves `state` to `target`, one saved step at a time.

    STARTING        build the release's environment if it lacks, wait for its turn (`admission.py`), take addresses and
                    the role's grant, start what needs no other
    BOOTSTRAPPING   run bootstrap actions, start the rest, wait until every node takes part and the gateway answers
    RUNNING         run steps (`steps/`); then on to WAITING, or to the end if the cluster is not kept alive
    WAITING         back to RUNNING for a new step
                    in both: start again what ended unasked; too often, and the cluster ends
    TERMINATING     stop everything, give back addresses and grant, remove the folder (logs stay)

Every turn begins from the rows and from what the runtime observes, so it may be cut anywhere: a
program that was launched but not noted is found running, one that was noted is not started twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from emr_studio.aws.errors import AwsError
from emr_studio.clock import Clock
from emr_studio.clusters.admission import Admission
from emr_studio.clusters.bootstrapping import RUNNING_ACTIONS, ActionFailed, Bootstrapping
from emr_studio.clusters.ending import forget_credentials, mark
from emr_studio.clusters.failure import Failure
from emr_studio.clusters.logs.appinfo import AppInfo
from emr_studio.clusters.logs.archive import LogArchive
from emr_studio.clusters.model import (
    ENDED,
    KIND,
    USABLE,
    Cluster,
    Instance,
    Reason,
    Role,
    State,
    Target,
    governed_at_rest,
    instances_of,
    is_outside,
    is_unbalanced,
    living_instances_of,
    workload_owner,
)
from emr_studio.clusters.nodes import DOORS, MASTER, WORKER, Layout, Program, folder_of, specification
from emr_studio.clusters.outside.model import find_outside, has_kernels_here, registered
from emr_studio.clusters.outside.program import OutsideWatch
from emr_studio.clusters.preparing import Preparing
from emr_studio.clusters.probe import NodeProbe, Probe
from emr_studio.clusters.roles import grant_nodes
from emr_studio.clusters.scaling.automatic import AutomaticScaling
from emr_studio.clusters.scaling.idle import IdleWatch
from emr_studio.clusters.scaling.managed import ManagedScaling
from emr_studio.clusters.scaling.resizing import Resizing
from emr_studio.clusters.sessions.model import has_sessions
from emr_studio.clusters.spares import is_spare
from emr_studio.clusters.steps.model import has_unfinished_steps
from emr_studio.clusters.steps.progress import Outcome, StepProgress
from emr_studio.clusters.tools import Tools
from emr_studio.db import Database
from emr_studio.iam.services import revoke_grants
from emr_studio.network.model import allocate_address, loopback_address, release_addresses
from emr_studio.runtime.contract import AGENT_AWAY_SECONDS, Observation, Runtime, RuntimeUnavailable, WorkloadState
from emr_studio.settings import Settings

log = logging.getLogger(__name__)

START_SECONDS = 120.0
BOOTSTRAP_SECONDS = 300.0
ACTIONS_SECONDS = 3600.0
"""A state that is not left in that time ends the cluster; so do bootstrap actions that last an hour, as on EMR."""
LOGS_SECONDS = 60.0
"""So long a cluster that has ended waits for S3 to take its logs."""
MAX_RESTARTS = 5
"""Unasked ends of one node's programs, within `_RESTART_WINDOW`, that are made good."""
_RESTART_WINDOW = dt.timedelta(minutes=10)
_LOOK_SECONDS = 2.0
_WAIT_SECONDS = 1.0
_SOON = 0.1
_TURN_SECONDS = 0.5
"""How often one that waits for its turn to start is looked at."""
_STEP_SECONDS = 1.0
"""A step's end wakes the controller; this is for a wake that was lost."""
_GRACE_SECONDS, _FAR_GRACE_SECONDS = 5.0, 20.0
_LOG_LINES = 20
_STARTING = "Starting Spark on all instances"
_NAMES = {
    "master": "the Spark master",
    "worker": "the Spark worker",
    "connect": "the Spark Connect server",
    "gateway": "the kernel gateway",
    "kernels": "the kernels' host",
    "livy": "Livy",
    "door": "the way to the cluster",
    "connect-door": "the way to Spark Connect",
    "livy-door": "the way to Livy",
}


class ClusterReconciler:
    """Reconciles one installation's clusters."""

    kind = KIND

    def __init__(
        self,
        database: Database,
        clock: Clock,
        runtime: Runtime,
        settings: Settings,
        probe: Probe | None = None,
        *,
        archive: LogArchive | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._settings = settings
        self._probe = probe or NodeProbe()
        self._archive = archive or LogArchive(settings, AppInfo(settings, database, clock))
        self._next_look = 0.0
        tools = Tools(database, clock, runtime, settings, self._probe)
        self._preparing = Preparing(tools)
        self._admission = Admission(tools)
        self._actions = Bootstrapping(database, runtime, settings)
        self._sizing = (
            ManagedScaling(tools),
            AutomaticScaling(tools),
            Resizing(tools, self._actions),
            OutsideWatch(tools),
        )
        self._idle = IdleWatch(tools)
        self._steps = StepProgress(tools, self._archive)

    # What the loop asks.

    def pending(self) -> list[str]:
        """Clusters on their way; now and then, those at rest of which something has ended."""
        with self._database.read() as session:
            moving = select(Cluster.id).where(Cluster.state.not_in((*ENDED, State.WAITING)))
            found = list(session.scalars(moving))
            # A request changed the target and the wake was lost.
            resting = select(Cluster.id).where(Cluster.state == State.WAITING)
            unsettled = or_(
                Cluster.target != Target.RUNNING, has_unfinished_steps(), is_unbalanced(), ~Cluster.keep_alive
            )
            found += session.scalars(resting.where(unsettled))
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            found += self.changed() + self._governed()
        return found

    def _governed(self) -> list[str]:
        with self._database.read() as session:
            return governed_at_rest(session) + registered(session)

    def changed(self) -> list[str]:
        """Clusters at rest with a program that does not run."""
        with self._database.read() as session:
            resting = session.scalars(select(Cluster).where(Cluster.state == State.WAITING))
            layouts = [Layout(cluster, living_instances_of(session, cluster.id)) for cluster in resting]
        if not layouts:
            return []
        try:
            going = {seen.workload_id for seen in self._runtime.list() if seen.state.is_going}
        except RuntimeUnavailable:
            return []
        return [x.cluster.id for x in layouts if any(p.workload_id not in going for p in x.settled())]

    def owner_exists(self, owner: str) -> bool | None:
        """For the orphan sweep: is the cluster that owns a workload alive?"""
        prefix = workload_owner("")
        if not owner.startswith(prefix):
            return None
        with self._database.read() as session:
            cluster = session.get(Cluster, owner.removeprefix(prefix))
            return cluster is not None and cluster.state not in ENDED

    def reconcile(self, resource_id: str) -> float | None:
        """Take one step; see the module's text."""
        layout = self._load(resource_id)
        if layout is None or layout.cluster.state in ENDED:
            return None
        try:
            return self._step(layout)
        except RuntimeUnavailable as error:
            log.info("%s waits for the host agent: %s", resource_id, error)
            return AGENT_AWAY_SECONDS
        except Failure as failure:
            return self._fail(layout.cluster, failure)

    def _step(self, layout: Layout) -> float | None:
        cluster = layout.cluster
        if cluster.target != Target.RUNNING:
            return self._terminate(layout)
        if cluster.state == State.STARTING:
            return self._start(layout)
        if cluster.state == State.BOOTSTRAPPING:
            return self._bootstrap(layout)
        turns = [self._watch(layout), *(part.turn(layout) for part in self._sizing)]
        if cluster.state == State.RUNNING:
            turns.append(self._run_steps(layout))
        elif self._steps.are_waiting(cluster) or not cluster.keep_alive:
            self._enter(cluster, State.RUNNING, message="Running step")
            return 0
        else:
            turns.append(self._end_if_idle(layout))
        return min((seconds for seconds in turns if seconds is not None), default=None)

    # Rows.

    def _load(self, cluster_id: str) -> Layout | None:
        with self._database.read() as session:
            cluster = session.get(Cluster, cluster_id)
            if cluster is None:
                return None
            return Layout(cluster, living_instances_of(session, cluster_id), find_outside(session, cluster))

    def _change(self, session: Session, seen: Cluster) -> Cluster | None:
        """The row to write to; None if a request changed what is wanted since `seen` was read."""
        cluster = session.get(Cluster, seen.id, with_for_update=True)
        unchanged = cluster is not None and (cluster.target, cluster.state) == (seen.target, seen.state)
        return cluster if unchanged else None

    def _enter(self, seen: Cluster, state: State, **changes: Any) -> None:
        """Save a new state; not if a request came in between, which the next turn sees."""
        now = self._clock.now()
        with self._database.write() as session:
            cluster = self._change(session, seen)
            if cluster is None:
                return
            cluster.state, cluster.phase_since = state, now
            cluster.state_code, cluster.state_message = changes.pop("code", None), changes.pop("message", None)
            if not (cluster.phases and cluster.phases[-1]["Name"] == State.WAITING):
                seconds = round((now - cluster.creation_time).total_seconds(), 1)
                cluster.phases = [*cluster.phases, {"Name": state.value, "Seconds": seconds}]
            for name, value in changes.items():
                setattr(cluster, name, value)
            if not (seen.state in USABLE and state in USABLE):
                mark(living_instances_of(session, cluster.id), state, now)

    # Start.

    def _start(self, layout: Layout) -> float:
        if not self._preparing.turn(layout.cluster):
            return 0
        if not all(instance.bind_ip for instance in layout.instances):
            return self._provision(layout)
        if layout.cluster.bootstrap_actions:
            self._enter(layout.cluster, State.BOOTSTRAPPING, message=RUNNING_ACTIONS)
        elif self._first_ones_run(layout, START_SECONDS):
            self._enter(layout.cluster, State.BOOTSTRAPPING, message=_STARTING)
        return 0

    def _first_ones_run(self, layout: Layout, limit: float) -> bool:
        """Start what needs no other; True once the others can come."""
        seen = self._ensure(layout, layout.first_programs())
        master = next((o for p, o in seen if p.kind == MASTER), None)
        if master is None or master.state is WorkloadState.RUNNING:
            return True
        self._check_time(layout.cluster, limit)
        self._runtime.wait(master.workload_id, WorkloadState.STARTING, _WAIT_SECONDS)
        return False

    def _provision(self, layout: Layout) -> float:
        """Addresses and the grant of the role, in one transaction."""
        # A gateway from outside takes nothing of the machine.
        if has_kernels_here(layout.cluster) and not self._admission.turn(layout):
            return _TURN_SECONDS
        with self._database.write() as session:
            cluster = self._change(session, layout.cluster)
            if cluster is None:
                return 0
            owner = workload_owner(cluster.id)
            cluster.phase_since, cluster.state_message = self._clock.now(), None
            try:
                for instance in instances_of(session, cluster.id):
                    instance.private_ip = allocate_address(session, cluster.subnet_id, owner)
                    instance.bind_ip = loopback_address(self._settings, instance.private_ip)
                    instance.state = "PROVISIONING"
                if not is_spare(cluster) and not is_outside(cluster):
                    grant_nodes(session, self._settings, cluster, layout.primary.ec2_id)
            except AwsError as error:
                raise Failure(Reason.VALIDATION_ERROR, error.message) from error
        return 0

    def _bootstrap(self, layout: Layout) -> float:
        if not self._actions_are_done(layout) or not self._first_ones_run(layout, BOOTSTRAP_SECONDS):
            return 0
        seen = self._ensure(layout, layout.programs())
        coming = next((o for _, o in seen if o.state is not WorkloadState.RUNNING), None)
        if coming is not None:
            self._check_time(layout.cluster, BOOTSTRAP_SECONDS)
            self._runtime.wait(coming.workload_id, coming.state, _WAIT_SECONDS)
            return 0
        if not self._takes_part(layout):
            self._check_time(layout.cluster, BOOTSTRAP_SECONDS)
            return _SOON
        self._enter(layout.cluster, State.RUNNING, ready_time=self._clock.now(), message="Running step")
        return 0

    def _actions_are_done(self, layout: Layout) -> bool:
        try:
            seen = self._actions.turn(layout)
        except ActionFailed as failed:
            raise Failure(Reason.BOOTSTRAP_FAILURE, failed.message, failed.lines) from failed
        if seen is None:
            if layout.cluster.state_message != RUNNING_ACTIONS:
                return True
            # Spark's own time begins now.
            self._enter(layout.cluster, State.BOOTSTRAPPING, message=_STARTING)
            return False
        if (self._clock.now() - layout.cluster.phase_since).total_seconds() > ACTIONS_SECONDS:
            raise Failure(
                Reason.BOOTSTRAP_FAILURE,
                f"The bootstrap actions were not done after {ACTIONS_SECONDS / 60:.0f} minutes.",
                tuple(self._runtime.logs(seen.workload_id, _LOG_LINES)),
            )
        self._runtime.wait(seen.workload_id, seen.state, _WAIT_SECONDS)
        return False

    def _takes_part(self, layout: Layout) -> bool:
        wanted = {instance.bind_ip for instance in layout.workers}
        if wanted and not wanted <= self._probe.alive_workers(layout.primary):
            return False
        return not has_kernels_here(layout.cluster) or self._probe.gateway_answers(layout.cluster, layout.primary)

    def _ensure(self, layout: Layout, programs: list[Program]) -> list[tuple[Program, Observation]]:
        """Start those that do not run; all that have ended on the way up are failures."""
        found = []
        for program in programs:
            seen = self._runtime.observe(program.workload_id)
            if seen.state is WorkloadState.EXITED:
                raise self._ended(program, seen)
            if seen.state is WorkloadState.ABSENT:
                self._runtime.launch(specification(self._settings, layout, program))
                seen = self._runtime.observe(program.workload_id)
            found.append((program, seen))
        return found

    def _run_steps(self, layout: Layout) -> float | None:
        outcome, why = self._steps.turn(layout)
        if outcome is Outcome.FATAL:
            raise Failure(Reason.STEP_FAILURE, why)
        return _STEP_SECONDS if outcome is Outcome.BUSY else self._settle(layout.cluster)

    def _end_if_idle(self, layout: Layout) -> float | None:
        again, over = self._idle.turn(layout)
        if over:
            reason = {"code": Reason.ALL_STEPS_COMPLETED, "message": over}
            self._enter(layout.cluster, State.TERMINATING, target=Target.TERMINATED, **reason)
            return 0
        return again

    def _settle(self, cluster: Cluster) -> float | None:
        if cluster.keep_alive:
            self._enter(cluster, State.WAITING, message="Cluster ready to run steps.")
            return None
        self._enter(
            cluster,
            State.TERMINATING,
            target=Target.TERMINATED,
            code=Reason.ALL_STEPS_COMPLETED,
            message="Steps completed",
        )
        return 0

    # Rest.

    def _watch(self, layout: Layout) -> float | None:
        for program in layout.settled():
            seen = self._runtime.observe(program.workload_id)
            if seen.state.is_going:
                continue
            if seen.state is WorkloadState.STOPPING:
                return _SOON
            self._note_restart(layout.cluster, program, seen)
            self._runtime.forget(program.workload_id)
            self._runtime.launch(specification(self._settings, layout, program))
            log.warning("%s ended (%s) and was started again", program.workload_id, seen.reason or "no reason known")
        return None

    def _note_restart(self, cluster: Cluster, program: Program, seen: Observation) -> None:
        """Count it, before it is done, so that a program that dies at once cannot go on for ever."""
        now = self._clock.now()
        with self._database.write() as session:
            instance = session.get_one(Instance, program.instance.id)
            if instance.restarts_since is None or now - instance.restarts_since > _RESTART_WINDOW:
                instance.restarts, instance.restarts_since = 0, now
            instance.restarts += 1
            count = instance.restarts
        if count > MAX_RESTARTS:
            raise self._ended(program, seen, f"ended {count} times in {_RESTART_WINDOW.seconds // 60} minutes")

    # Failure.

    def _check_time(self, cluster: Cluster, limit: float) -> None:
        if (self._clock.now() - cluster.phase_since).total_seconds() <= limit:
            return
        layout = self._load(cluster.id)
        assert layout is not None
        waiting, lines = [], tuple[str, ...]()
        for program in layout.programs():
            seen = self._runtime.observe(program.workload_id)
            if seen.state is not WorkloadState.RUNNING:
                waiting.append(f"{_NAMES[program.kind]} on {program.instance.ec2_id} is {seen.state}")
                lines = lines or self._last_lines(program)
        what = "; ".join(waiting) or "the nodes run but did not all register"
        raise Failure(Reason.BOOTSTRAP_FAILURE, f"The cluster was not ready after {limit:.0f} seconds: {what}.", lines)

    def _ended(self, program: Program, seen: Observation, how: str = "") -> Failure:
        lines = self._last_lines(program) or seen.log_tail
        where = "primary" if program.instance.role == Role.MASTER else program.instance.role.lower()
        how = how or (f"ended with exit code {seen.exit_code}" if seen.exit_code is not None else "ended")
        detail = seen.reason.rstrip(".")
        last = f" Last line of its log: {lines[-1]}" if lines else ""
        code = Reason.INSTANCE_FAILURE if program.kind == WORKER else Reason.BOOTSTRAP_FAILURE
        message = f"On the {where} instance ({program.instance.ec2_id}) {_NAMES[program.kind]} {how}"
        return Failure(code, f"{message}{': ' + detail if detail else ''}.{last}", lines)

    def _last_lines(self, program: Program) -> tuple[str, ...]:
        try:
            return tuple(self._runtime.logs(program.workload_id, _LOG_LINES))
        except RuntimeUnavailable:
            return ()

    def _fail(self, cluster: Cluster, failure: Failure) -> float:
        log.warning("%s fails: %s %s", cluster.id, failure.code, failure.message)
        self._enter(
            cluster,
            State.TERMINATING,
            target=Target.FAILED,
            code=failure.code,
            message=failure.message,
            log_lines=list(failure.lines),
        )
        return 0

    # End.

    def _terminate(self, layout: Layout) -> float | None:
        observations = [self._runtime.observe(program.workload_id) for program in layout.programs()]
        going = [seen for seen in observations if not seen.state.is_over]
        # What kernels end elsewhere they reach through the door.
        first = [seen for seen in going if not seen.workload_id.endswith(DOORS)] or going
        grace = _FAR_GRACE_SECONDS if is_outside(layout.cluster) else _GRACE_SECONDS
        for seen in first:
            if seen.state.is_going:
                self._runtime.stop(seen.workload_id, grace)
        for seen in self._actions.going(layout):
            self._runtime.stop(seen.workload_id, _GRACE_SECONDS)
            going.append(seen)
        going += self._steps.end_all(layout.cluster)
        if not going and has_sessions(self._database, layout.cluster.id):
            return _SOON
        if going:
            self._runtime.wait((first or going)[0].workload_id, WorkloadState.STOPPING, _WAIT_SECONDS)
            return 0
        for seen in observations:
            if seen.state is WorkloadState.EXITED:
                self._runtime.forget(seen.workload_id)
        if not self._logs_are_saved(layout.cluster):
            return _WAIT_SECONDS
        self._clean_up(layout.cluster)
        return None

    def _logs_are_saved(self, cluster: Cluster) -> bool:
        """Send the last of the logs; a store that stays away does not keep a cluster from its end."""
        with self._database.read() as session:
            instances = instances_of(session, cluster.id)
        waited = (self._clock.now() - cluster.phase_since).total_seconds()
        if not self._archive.push(cluster, instances) and waited < LOGS_SECONDS:
            return False
        self._archive.forget(cluster.id)
        return True

    def _clean_up(self, cluster: Cluster) -> None:
        shutil.rmtree(folder_of(self._settings, cluster.id), ignore_errors=True)
        owner, now = workload_owner(cluster.id), self._clock.now()
        state = State.TERMINATED_WITH_ERRORS if cluster.target == Target.FAILED else State.TERMINATED
        with self._database.write() as session:
            release_addresses(session, owner)
            revoke_grants(session, owner)
            row = session.get_one(Cluster, cluster.id)
            row.state, row.end_time, row.phase_since, row.role_token = state, now, now, ""
            forget_credentials(session, cluster.id)
            mark(living_instances_of(session, cluster.id), state, now)
