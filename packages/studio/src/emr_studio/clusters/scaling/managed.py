"""Managed scaling: as many instances as the load asks for, within the policy's limits.

    grows    tasks wait for a core, or an application for its first executor: at once, to as many as they need
    shrinks  nothing has run for a minute: to the policy's minimum

Task groups grow before the core group beyond MaximumCoreCapacityUnits, and shrink before it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.clusters.catalog.instance_types import vcpus
from emr_studio.clusters.fleets.scaling import resize_fleets
from emr_studio.clusters.model import Cluster, Collection, InstanceGroup, Role, fleets_of, groups_of
from emr_studio.clusters.nodes import Layout
from emr_studio.clusters.probe import Load
from emr_studio.clusters.tools import Tools

TURN_SECONDS = 3.0
QUIET = dt.timedelta(seconds=60)
"""How long nothing must have run before a cluster shrinks."""
_VCPU = "VCPU"


class ManagedScaling:
    """Writes what is wanted into the groups; `Resizing` makes it so."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._quiet_since: dict[str, dt.datetime] = {}

    def turn(self, layout: Layout) -> float | None:
        """Look at the load; seconds until the next look, None without a policy."""
        limits = (layout.cluster.managed_scaling or {}).get("ComputeLimits")
        if not limits or not layout.workers:
            return None
        load = self._tools.probe.load(layout.cluster, layout.primary)
        if load is not None:
            self._adjust(layout, limits, load)
        return TURN_SECONDS

    def _adjust(self, layout: Layout, limits: Mapping[str, Any], load: Load) -> None:
        quiet = self._is_quiet(layout.cluster.id, load)
        with self._tools.database.write() as session:
            cluster = session.get_one(Cluster, layout.cluster.id, with_for_update=True)
            groups = [group for group in groups_of(session, cluster.id) if group.role != Role.MASTER]
            present = sum(group.requested_count for group in groups)
            wanted = wanted_instances(present, load, quiet=quiet)
            if cluster.collection == Collection.FLEETS:
                resize_fleets(fleets_of(session, cluster.id), groups, limits, wanted)
            else:
                resize(groups, limits, wanted)

    def _is_quiet(self, cluster_id: str, load: Load) -> bool:
        now = self._tools.clock.now()
        if load.is_busy:
            self._quiet_since.pop(cluster_id, None)
            return False
        return now - self._quiet_since.setdefault(cluster_id, now) >= QUIET


def wanted_instances(present: int, load: Load, *, quiet: bool) -> int:
    """How many core and task instances the load asks for; 0 where nothing has run for a while."""
    if load.waiting_tasks or load.waiting_applications:
        needed = math.ceil((load.running_tasks + load.waiting_tasks) / load.cores_of_a_worker)
        return max(present, needed, present + load.waiting_applications if load.waiting_applications else 0)
    return 0 if quiet else present


def resize(groups: Sequence[InstanceGroup], limits: Mapping[str, Any], wanted: int) -> None:
    """Write `wanted` instances, as far as the limits allow, into the groups."""
    core = next(group for group in groups if group.role == Role.CORE)
    tasks = [group for group in groups if group.role == Role.TASK]
    unit = vcpus(core.instance_type) if limits["UnitType"] == _VCPU else 1
    least, most = _instances(limits["MinimumCapacityUnits"], unit), limits["MaximumCapacityUnits"] // unit
    total = max(1, min(max(wanted, least), most))
    most_core = min(most, limits.get("MaximumCoreCapacityUnits", limits["MaximumCapacityUnits"]) // unit) or 1
    if not tasks:
        _set(core, min(total, most_core))
        return
    # Growth goes to task instances; the core group keeps what it has, within its limit.
    _set(core, max(1, min(core.requested_count, most_core, total)))
    rest = total - core.requested_count
    for group in tasks[1:]:
        _set(group, min(group.requested_count, rest))
        rest -= group.requested_count
    _set(tasks[0], rest)


def _instances(units: int, unit: int) -> int:
    return math.ceil(units / unit)


def _set(group: InstanceGroup, count: int) -> None:
    if group.requested_count != count:
        group.requested_count = count
