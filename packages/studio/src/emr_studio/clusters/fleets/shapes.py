"""The API's shapes of instance fleets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.clusters.describe import group_state, present, timeline
from emr_studio.clusters.fleets.capacity import ON_DEMAND, SPOT, own_groups, weight
from emr_studio.clusters.model import Cluster, Instance, InstanceFleet, InstanceGroup

_SHOWN_OF_TYPES = ("InstanceType", "BidPrice", "Configurations", "Priority")
_DEFAULT_BID = 100.0
"""Percent of the price on demand, where a request says nothing."""


def fleet_shape(
    fleet: InstanceFleet, cluster: Cluster, groups: Sequence[InstanceGroup], instances: Sequence[Instance]
) -> dict[str, Any]:
    """`InstanceFleet` of ListInstanceFleets."""
    own = own_groups(fleet, groups)
    ready = [node.ready_time for node in instances if node.ready_time and node.group_id in {group.id for group in own}]
    provisioned = {group.market: _running(group, instances) * weight(fleet, group) for group in own}
    return present(
        Id=fleet.id,
        Name=fleet.name,
        Status={
            "State": _state(cluster, own, instances),
            "StateChangeReason": _reason(own),
            "Timeline": timeline(fleet.creation_time, max(ready, default=None), cluster.end_time),
        },
        InstanceFleetType=fleet.role,
        TargetOnDemandCapacity=fleet.target_on_demand,
        TargetSpotCapacity=fleet.target_spot,
        ProvisionedOnDemandCapacity=provisioned.get(ON_DEMAND, 0),
        ProvisionedSpotCapacity=provisioned.get(SPOT, 0),
        InstanceTypeSpecifications=[_type(one) for one in fleet.instance_types],
        **fleet.details,
    )


def _running(group: InstanceGroup, instances: Sequence[Instance]) -> int:
    return sum(1 for node in instances if node.group_id == group.id and node.state == "RUNNING")


def _state(cluster: Cluster, own: Sequence[InstanceGroup], instances: Sequence[Instance]) -> str:
    """What its groups' states come to; fleets have another word for the end."""
    states = {group_state(group, cluster, [node for node in instances if node.group_id == group.id]) for group in own}
    state = next((one for one in ("SUSPENDED", "RESIZING") if one in states), None) or states.pop()
    return "TERMINATING" if state == "SHUTTING_DOWN" else state


def _reason(own: Sequence[InstanceGroup]) -> dict[str, str]:
    suspended = next((group.suspended for group in own if group.suspended), "")
    return {"Code": "INSTANCE_FAILURE", "Message": suspended} if suspended else {"Message": ""}


def _type(one: Mapping[str, Any]) -> dict[str, Any]:
    """`InstanceTypeSpecification`. No node has a volume of its own, so none is shown."""
    percentage = one.get("BidPriceAsPercentageOfOnDemandPrice")
    if percentage is None and not one.get("BidPrice"):
        percentage = _DEFAULT_BID
    return present(
        **{name: one.get(name) for name in _SHOWN_OF_TYPES},
        WeightedCapacity=one.get("WeightedCapacity") or 1,
        BidPriceAsPercentageOfOnDemandPrice=percentage,
        EbsBlockDevices=[],
    )
