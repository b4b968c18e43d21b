"""Managed scaling of clusters with fleets: limits are in units, and growth has a market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.clusters.fleets.capacity import ON_DEMAND, apply_targets, own_groups, weight
from emr_studio.clusters.model import InstanceFleet, InstanceGroup, Role


def resize_fleets(
    fleets: Sequence[InstanceFleet], groups: Sequence[InstanceGroup], limits: Mapping[str, Any], wanted: int
) -> None:
    """Write `wanted` instances, as far as the limits allow, into the fleets' targets and their groups.

    Growth is on-demand up to MaximumOnDemandCapacityUnits, then spot; spot leaves first. It goes to the task
    fleet where there is one.
    """
    core = next(fleet for fleet in fleets if fleet.role == Role.CORE)
    task = next((fleet for fleet in fleets if fleet.role == Role.TASK), None)
    total = _total(task or core, [fleet for fleet in (core, task) if fleet], groups, limits, wanted)
    most = limits["MaximumCapacityUnits"]
    most_core, most_on_demand = limits.get("MaximumCoreCapacityUnits", most), _most_on_demand(limits)
    if task is None:
        _spread(core, min(total, most_core), most_on_demand)
    else:
        _spread(core, max(1, min(_units(core), most_core, total)), most_on_demand - task.target_on_demand)
        _spread(task, max(0, total - _units(core)), most_on_demand - core.target_on_demand)
    over = most_on_demand
    for fleet in (one for one in (core, task) if one):
        over -= _keep_within(fleet, over)
        apply_targets(fleet, groups)


def _most_on_demand(limits: Mapping[str, Any]) -> int:
    return int(limits.get("MaximumOnDemandCapacityUnits", limits["MaximumCapacityUnits"]))


def _total(
    growing: InstanceFleet,
    fleets: Sequence[InstanceFleet],
    groups: Sequence[InstanceGroup],
    limits: Mapping[str, Any],
    wanted: int,
) -> int:
    """How many units core and task fleet are to have together."""
    least, most = limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if not wanted:
        return int(least)
    own = next(group for group in own_groups(growing, groups) if group.market == ON_DEMAND)
    present = sum(group.requested_count for group in groups)
    units = sum(_units(fleet) for fleet in fleets) + (wanted - present) * weight(growing, own)
    return int(max(1, min(max(units, least), most)))


def _units(fleet: InstanceFleet) -> int:
    return fleet.target_on_demand + fleet.target_spot


def _spread(fleet: InstanceFleet, units: int, most_on_demand: int) -> None:
    """Give a fleet so many units; `most_on_demand` is what it may have of them on demand."""
    change = units - _units(fleet)
    if change > 0:
        on_demand = max(0, min(change, most_on_demand - fleet.target_on_demand))
        fleet.target_on_demand += on_demand
        fleet.target_spot += change - on_demand
    elif change < 0:
        spot = min(fleet.target_spot, -change)
        fleet.target_spot -= spot
        fleet.target_on_demand += change + spot


def _keep_within(fleet: InstanceFleet, most_on_demand: int) -> int:
    """Turn what a fleet has too much on demand into spot; returns what it has on demand then."""
    too_much = max(0, fleet.target_on_demand - most_on_demand)
    if too_much:
        fleet.target_on_demand -= too_much
        fleet.target_spot += too_much
    return fleet.target_on_demand
