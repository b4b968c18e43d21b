"""Units and instances: which type a fleet takes, what it weighs, how many instances meet a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emr_studio.clusters.model import InstanceFleet, InstanceGroup

ON_DEMAND, SPOT = "ON_DEMAND", "SPOT"
MARKETS = {ON_DEMAND: "OnDemandSpecification", SPOT: "SpotSpecification"}
"""Markets, and the part of LaunchSpecifications that is about each."""
_BY_PRIORITY = ("prioritized", "capacity-optimized-prioritized")


def chosen(types: Sequence[Mapping[str, Any]], launch: Mapping[str, Any], market: str) -> Mapping[str, Any]:
    """The type that a fleet takes in a market: the first, or that of the highest priority (the least number)."""
    strategy = (launch.get(MARKETS[market]) or {}).get("AllocationStrategy")
    if strategy in _BY_PRIORITY:
        return min(types, key=lambda one: float(one.get("Priority", float("inf"))))
    return types[0]


def weight_of(one: Mapping[str, Any]) -> int:
    """How many units an instance of this type is."""
    return int(one.get("WeightedCapacity") or 1)


def needed(target: int, weight: int) -> int:
    """How many instances meet a target; EMR overfills rather than leave a rest."""
    return -(-target // weight)


def weight(fleet: InstanceFleet, group: InstanceGroup) -> int:
    """How many units an instance of one of the fleet's groups is."""
    return next(weight_of(one) for one in fleet.instance_types if one["InstanceType"] == group.instance_type)


def target_of(fleet: InstanceFleet, market: str) -> int:
    """The fleet's target in a market, in units."""
    return fleet.target_on_demand if market == ON_DEMAND else fleet.target_spot


def own_groups(fleet: InstanceFleet, groups: Iterable[InstanceGroup]) -> list[InstanceGroup]:
    """Those of the groups that are the fleet's, one a market."""
    return [group for group in groups if group.fleet_id == fleet.id]


def apply_targets(fleet: InstanceFleet, groups: Iterable[InstanceGroup]) -> None:
    """Write into the fleet's groups how many instances its targets need; nothing where nothing changes."""
    for group in own_groups(fleet, groups):
        count = needed(target_of(fleet, group.market), weight(fleet, group))
        if group.requested_count != count:
            group.requested_count = count
