"""What a request may say of instance fleets, and the rows that come of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio import ids
from emr_studio.aws.errors import ValidationError
from emr_studio.clusters.fleets.capacity import MARKETS, ON_DEMAND, SPOT, chosen, needed, weight_of
from emr_studio.clusters.model import Cluster, InstanceFleet, Role
from emr_studio.clusters.reading import check_configurations, check_instance_type, check_total, refuse

MOST_TYPES = 30
"""EMR: "up to 30 EC2 instance types" in a fleet."""
_SPOT_MINUTES = (5, 1440)
_EXCLUSIVE = ("InstanceGroups", "InstanceCount", "MasterInstanceType", "SlaveInstanceType")
_SHOWN = ("LaunchSpecifications", "ResizeSpecifications", "Context")
_TARGETS = {ON_DEMAND: "TargetOnDemandCapacity", SPOT: "TargetSpotCapacity"}


def read_fleets(instances: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The instance fleets of a RunJobFlow, primary first, each with an `Id`; none if it has no such member.

    Raises:
        ValidationError: naming what is wrong.
    """
    fleets = [{**fleet, "Id": ids.instance_fleet_id()} for fleet in instances.get("InstanceFleets") or ()]
    if not fleets:
        return []
    for name in _EXCLUSIVE:
        if instances.get(name):
            raise ValidationError(f"Instances.InstanceFleets and Instances.{name} are mutually exclusive.")
    for fleet in fleets:
        check_fleet(fleet)
    count = {role: sum(1 for fleet in fleets if fleet["InstanceFleetType"] == role) for role in Role}
    if count[Role.MASTER] != 1:
        raise ValidationError("InstanceFleets must contain exactly one fleet with InstanceFleetType MASTER.")
    for role in (Role.CORE, Role.TASK):
        if count[role] > 1:
            raise ValidationError(f"InstanceFleets can contain at most one fleet with InstanceFleetType {role}.")
    if count[Role.TASK] and not count[Role.CORE]:
        raise ValidationError("InstanceFleets with InstanceFleetType TASK need a fleet with InstanceFleetType CORE.")
    found = sorted(fleets, key=lambda fleet: list(Role).index(fleet["InstanceFleetType"]))
    check_total(sum(group["InstanceCount"] for group in groups_of_fleets(found)))
    return found


def check_fleet(fleet: Mapping[str, Any]) -> None:
    """Check one fleet of a request.

    Raises:
        ValidationError: naming what is wrong.
    """
    role = fleet["InstanceFleetType"]
    targets = [fleet.get(name) or 0 for name in _TARGETS.values()]
    if role == Role.MASTER and sorted(targets) != [0, 1]:
        raise ValidationError(
            "The MASTER fleet must have one of TargetOnDemandCapacity and TargetSpotCapacity, and it must be 1."
        )
    if not any(targets):
        raise ValidationError(
            f"At least one of TargetOnDemandCapacity and TargetSpotCapacity of the {role} fleet must be greater than 0."
        )
    _check_types(role, fleet.get("InstanceTypeConfigs") or ())
    _check_launch(role, fleet.get("LaunchSpecifications") or {})


def _check_types(role: str, types: Sequence[Mapping[str, Any]]) -> None:
    if not 1 <= len(types) <= MOST_TYPES:
        raise ValidationError(f"InstanceTypeConfigs of the {role} fleet must have 1 to {MOST_TYPES} instance types.")
    names = [one["InstanceType"] for one in types]
    if len(set(names)) != len(names):
        raise ValidationError(f"InstanceTypeConfigs of the {role} fleet name an instance type more than once.")
    for one in types:
        refuse(one, ("CustomAmiId",), f"InstanceFleets: {role}: ")
        check_instance_type(one["InstanceType"], f"the {role} fleet")
        check_configurations(one.get("Configurations"), f"Configurations of the {role} fleet")
        if one.get("WeightedCapacity") == 0 or (role == Role.MASTER and weight_of(one) != 1):
            least = "must be 1" if role == Role.MASTER else "must be at least 1"
            raise ValidationError(f"WeightedCapacity of {one['InstanceType']} in the {role} fleet {least}.")
        if one.get("BidPrice") and one.get("BidPriceAsPercentageOfOnDemandPrice") is not None:
            raise ValidationError("BidPrice and BidPriceAsPercentageOfOnDemandPrice are mutually exclusive.")


def _check_launch(role: str, launch: Mapping[str, Any]) -> None:
    minutes = (launch.get("SpotSpecification") or {}).get("TimeoutDurationMinutes")
    least, most = _SPOT_MINUTES
    if minutes is not None and not least <= minutes <= most:
        raise ValidationError(f"TimeoutDurationMinutes of the {role} fleet must be between {least} and {most}.")


def groups_of_fleets(fleets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The instance groups in which checked fleets have their instances, as `add_group` takes them."""
    return [group for fleet in fleets for group in _groups(fleet)]


def _groups(fleet: Mapping[str, Any]) -> list[dict[str, Any]]:
    role, launch = fleet["InstanceFleetType"], fleet.get("LaunchSpecifications") or {}
    # There is one primary node, in one market; the others may come to have both.
    markets = [market for market in MARKETS if role != Role.MASTER or fleet.get(_TARGETS[market])]
    return [_group(fleet, market, chosen(fleet["InstanceTypeConfigs"], launch, market)) for market in markets]


def _group(fleet: Mapping[str, Any], market: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: kind[name] for name in ("Configurations", "EbsConfiguration") if kind.get(name)}
    return {
        **kept,
        "FleetId": fleet["Id"],
        "InstanceRole": fleet["InstanceFleetType"],
        "InstanceType": kind["InstanceType"],
        "InstanceCount": needed(fleet.get(_TARGETS[market]) or 0, weight_of(kind)),
        "Market": market,
        "BidPrice": kind.get("BidPrice") if market == SPOT else None,
    }


def new_fleet(cluster: Cluster, fleet: Mapping[str, Any], position: int, now: dt.datetime) -> InstanceFleet:
    """The row of a checked fleet; its groups are rows of their own."""
    return InstanceFleet(
        id=fleet["Id"],
        cluster_id=cluster.id,
        position=position,
        name=fleet.get("Name") or "",
        role=fleet["InstanceFleetType"],
        target_on_demand=fleet.get("TargetOnDemandCapacity") or 0,
        target_spot=fleet.get("TargetSpotCapacity") or 0,
        instance_types=[dict(one) for one in fleet["InstanceTypeConfigs"]],
        details={name: fleet[name] for name in _SHOWN if fleet.get(name)},
        creation_time=now,
    )
