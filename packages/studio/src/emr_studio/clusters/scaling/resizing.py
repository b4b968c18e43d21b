"""Growing and shrinking: a running cluster gets as many instances as its groups ask for.

    joins    AWAITING_FULFILLMENT ── address ──> PROVISIONING ── bootstrap actions, worker ──> BOOTSTRAPPING
             ── the worker is registered ──> RUNNING
    leaves   no new tasks ── what runs there has finished, or its time is over ──> TERMINATED

An instance that cannot join ends, and its group is not grown any more until it is changed again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.aws.errors import AwsError
from emr_studio.clusters.bootstrapping import ActionFailed, Bootstrapping
from emr_studio.clusters.model import (
    Cluster,
    Instance,
    InstanceGroup,
    Role,
    groups_of,
    instances_of,
    new_instance,
    workload_owner,
)
from emr_studio.clusters.nodes import WORKER, Layout, Program, needed_memory, specification
from emr_studio.clusters.tools import Tools
from emr_studio.network.model import allocate_address, loopback_address, release_address
from emr_studio.runtime.contract import WorkloadState

log = logging.getLogger(__name__)

JOIN_SECONDS = 300.0
"""An instance that has not joined by then will not."""
DECOMMISSION_SECONDS = 3600.0
"""How long what runs on a leaving instance may take (YARN's own default on EMR is an hour)."""
_TURN_SECONDS = 0.5
_GRACE_SECONDS = 5.0
_LOG_LINES = 5
_AWAITING, _PROVISIONING, _BOOTSTRAPPING = "AWAITING_FULFILLMENT", "PROVISIONING", "BOOTSTRAPPING"
_RUNNING, _TERMINATED = "RUNNING", "TERMINATED"


class Resizing:
    """Moves instances of running clusters in and out. Every turn begins from the rows."""

    def __init__(self, tools: Tools, actions: Bootstrapping) -> None:
        self._database = tools.database
        self._clock = tools.clock
        self._runtime = tools.runtime
        self._settings = tools.settings
        self._probe = tools.probe
        self._actions = actions

    def turn(self, layout: Layout) -> float | None:
        """One step with every instance that comes or goes; seconds until the next, None if none does.

        Raises:
            RuntimeUnavailable: the host does not answer.
        """
        if not layout.workers:
            return None
        self._match(layout)
        moving = [node for node in self._living(layout) if node.leaving_since or node.state != _RUNNING]
        for node in moving:
            if node.leaving_since:
                self._leave(layout, node)
            else:
                self._join(layout, node)
        return _TURN_SECONDS if moving else None

    # How many.

    def _match(self, layout: Layout) -> None:
        """Rows for instances that are wanted, marks on those that are not."""
        with self._database.read() as session:
            unbalanced = [g for g in groups_of(session, layout.cluster.id) if _missing(g, layout.instances)]
        if not unbalanced:
            return
        with self._database.write() as session:
            cluster = session.get_one(Cluster, layout.cluster.id, with_for_update=True)
            everyone = instances_of(session, cluster.id)
            for group in groups_of(session, cluster.id):
                missing = _missing(group, everyone)
                for number in range(missing):
                    position = len(everyone) + number
                    session.add(new_instance(group, position, self._clock.now()))
                for node in leavers(group, everyone, -missing):
                    node.leaving_since = self._clock.now()

    def _living(self, layout: Layout) -> list[Instance]:
        with self._database.read() as session:
            found = instances_of(session, layout.cluster.id)
        return [node for node in found if node.role != Role.MASTER and node.state != _TERMINATED]

    # In.

    def _join(self, layout: Layout, node: Instance) -> None:
        try:
            if node.state == _AWAITING:
                self._provision(layout, node)
            elif self._is_prepared(layout, node) and self._works(layout, node):
                self._change(node, state=_RUNNING, ready_time=self._clock.now())
            elif (self._clock.now() - node.creation_time).total_seconds() > JOIN_SECONDS:
                raise ActionFailed(f"The instance {node.ec2_id} was not ready after {JOIN_SECONDS:.0f} seconds.", ())
        except (ActionFailed, AwsError) as error:
            self._give_up(node, error.message)

    def _provision(self, layout: Layout, node: Instance) -> None:
        needed, free = needed_memory(WORKER), self._probe.free_memory()
        if free < needed:
            raise ActionFailed(f"The machine has too little memory for another instance: {free} MB are free.", ())
        with self._database.write() as session:
            row = session.get_one(Instance, node.id, with_for_update=True)
            row.private_ip = allocate_address(session, layout.cluster.subnet_id, workload_owner(layout.cluster.id))
            row.bind_ip = loopback_address(self._settings, row.private_ip)
            row.state = _PROVISIONING

    def _is_prepared(self, layout: Layout, node: Instance) -> bool:
        return self._actions.look(layout, node) is None

    def _works(self, layout: Layout, node: Instance) -> bool:
        """Start its worker; True once that is registered."""
        program = Program(WORKER, node)
        seen = self._runtime.observe(program.workload_id)
        if seen.state is WorkloadState.EXITED:
            lines = self._runtime.logs(program.workload_id, _LOG_LINES)
            last = f" Last line of its log: {lines[-1]}" if lines else ""
            raise ActionFailed(f"On the instance {node.ec2_id} the Spark worker ended.{last}", tuple(lines))
        if seen.state is WorkloadState.ABSENT:
            self._runtime.launch(specification(self._settings, layout, program))
            self._change(node, state=_BOOTSTRAPPING)
            return False
        return seen.state is WorkloadState.RUNNING and node.bind_ip in self._probe.alive_workers(layout.primary)

    def _give_up(self, node: Instance, message: str) -> None:
        log.warning("%s cannot join %s: %s", node.id, node.cluster_id, message)
        with self._database.write() as session:
            group = session.get_one(InstanceGroup, node.group_id)
            group.suspended = message
            row = session.get_one(Instance, node.id)
            row.leaving_since, row.end_reason = self._clock.now(), message

    # Out.

    def _leave(self, layout: Layout, node: Instance) -> None:
        workloads = [Program(WORKER, node).workload_id, self._actions.workload_id(node)]
        seen = [self._runtime.observe(workload_id) for workload_id in workloads]
        going = [one for one in seen if not one.state.is_over]
        if not going:
            for one in seen:
                if one.state is WorkloadState.EXITED:
                    self._runtime.forget(one.workload_id)
            self._end(node)
        elif self._is_free(layout, node):
            for one in going:
                if one.state.is_going:
                    self._runtime.stop(one.workload_id, _GRACE_SECONDS)

    def _is_free(self, layout: Layout, node: Instance) -> bool:
        """True if nothing runs there, or its time is over; asks for no new tasks there."""
        assert node.leaving_since is not None
        waited = (self._clock.now() - node.leaving_since).total_seconds()
        if node.end_reason or waited >= self._patience(node):
            return True
        if node.bind_ip in self._probe.alive_workers(layout.primary):
            self._probe.decommission(layout.primary, node)
        return self._probe.executors(node) == 0

    def _patience(self, node: Instance) -> float:
        with self._database.read() as session:
            policy: Mapping[str, Any] = session.get_one(InstanceGroup, node.group_id).shrink_policy
        named = policy.get("InstanceResizePolicy") or {}
        return float(
            named.get("InstanceTerminationTimeout") or policy.get("DecommissionTimeout") or DECOMMISSION_SECONDS
        )

    def _end(self, node: Instance) -> None:
        with self._database.write() as session:
            row = session.get_one(Instance, node.id)
            row.state, row.end_time = _TERMINATED, self._clock.now()
            release_address(session, row.private_ip)

    def _change(self, node: Instance, **changes: Any) -> None:
        with self._database.write() as session:
            row: Instance = session.get_one(Instance, node.id)
            for name, value in changes.items():
                setattr(row, name, value)


def _missing(group: InstanceGroup, everyone: Sequence[Instance]) -> int:
    """How many instances the group lacks; negative for how many it has too many."""
    if group.role == Role.MASTER:
        return 0
    missing = group.requested_count - len(_staying(group, everyone))
    return 0 if missing > 0 and group.suspended else missing


def _staying(group: InstanceGroup, everyone: Sequence[Instance]) -> list[Instance]:
    return [
        node
        for node in everyone
        if node.group_id == group.id and node.state != _TERMINATED and node.leaving_since is None
    ]


def leavers(group: InstanceGroup, everyone: Sequence[Instance], count: int) -> list[Instance]:
    """Which of the group's instances leave: those that were named, then the newest that are not protected."""
    if count <= 0:
        return []
    policy = group.shrink_policy.get("InstanceResizePolicy") or {}
    named = {*(policy.get("InstancesToTerminate") or ()), *(group.shrink_policy.get("Named") or ())}
    protected = set(policy.get("InstancesToProtect") or ())
    staying = [node for node in _staying(group, everyone) if node.ec2_id not in protected]
    staying.sort(key=lambda node: (node.ec2_id not in named, -node.position))
    return staying[:count]
