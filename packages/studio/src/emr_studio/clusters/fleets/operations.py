"""The EMR API's operations on instance fleets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest, ValidationError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clusters.access import changeable, find, on_cluster, require, wake
from emr_studio.clusters.creation import add_group
from emr_studio.clusters.fleets.capacity import apply_targets, own_groups
from emr_studio.clusters.fleets.reading import check_fleet, groups_of_fleets, new_fleet
from emr_studio.clusters.fleets.shapes import fleet_shape
from emr_studio.clusters.model import (
    Cluster,
    Collection,
    InstanceFleet,
    Role,
    cluster_arn,
    fleets_of,
    groups_of,
    instances_of,
)
from emr_studio.clusters.reading import check_total


@operation("emr", "ListInstanceFleets", checks=on_cluster("elasticmapreduce:ListInstanceFleets"))
def list_instance_fleets(context: Context, request: Request) -> Response:
    """List a cluster's instance fleets, primary first; there are at most three, so one page."""
    cluster = find(context, request)
    require(cluster, Collection.FLEETS, "ListInstanceFleets")
    groups, instances = groups_of(context.session, cluster.id), instances_of(context.session, cluster.id)
    fleets = fleets_of(context.session, cluster.id)
    return {"InstanceFleets": [fleet_shape(fleet, cluster, groups, instances) for fleet in fleets]}


@operation("emr", "AddInstanceFleet", checks=on_cluster("elasticmapreduce:AddInstanceFleet"))
def add_instance_fleet(context: Context, request: Request) -> Response:
    """Add the task fleet to a cluster that has none."""
    cluster = _fleet_cluster(context, request, "AddInstanceFleet")
    given = {**request["InstanceFleet"], "Id": ids.instance_fleet_id()}
    present = fleets_of(context.session, cluster.id)
    roles = {fleet.role for fleet in present}
    if given["InstanceFleetType"] != Role.TASK:
        raise InvalidRequest("Only a task instance fleet can be added to a cluster that is there.")
    if Role.TASK in roles:
        raise InvalidRequest("The cluster has a task instance fleet; it can have one.")
    _check_resizable(present)
    groups = groups_of(context.session, cluster.id)
    try:
        check_fleet(given)
        new = groups_of_fleets([given])
        check_total(sum(group.requested_count for group in groups) + sum(group["InstanceCount"] for group in new))
    except ValidationError as error:
        raise InvalidRequest(error.message) from error
    context.session.add(new_fleet(cluster, given, len(present), context.now()))
    context.session.flush()
    position = max(group.position for group in groups) + 1
    for number, group in enumerate(new):
        add_group(context, cluster, group, position + number)
    wake(context, cluster)
    return {"ClusterId": cluster.id, "InstanceFleetId": given["Id"], "ClusterArn": cluster_arn(cluster)}


@operation("emr", "ModifyInstanceFleet", checks=on_cluster("elasticmapreduce:ModifyInstanceFleet"))
def modify_instance_fleet(context: Context, request: Request) -> Response:
    """Change a fleet's targets; what runs on instances that leave is finished first."""
    cluster = _fleet_cluster(context, request, "ModifyInstanceFleet")
    change: Mapping[str, Any] = request["InstanceFleet"]
    fleets = {fleet.id: fleet for fleet in fleets_of(context.session, cluster.id)}
    fleet = fleets.get(change["InstanceFleetId"])
    if fleet is None:
        raise InvalidRequest(f"Instance fleet id '{change['InstanceFleetId']}' is not valid.")
    _check_change(fleet, change)
    fleet.target_on_demand = _or(change.get("TargetOnDemandCapacity"), fleet.target_on_demand)
    fleet.target_spot = _or(change.get("TargetSpotCapacity"), fleet.target_spot)
    if fleet.role == Role.CORE and not fleet.target_on_demand + fleet.target_spot:
        raise InvalidRequest(
            "At least one of TargetOnDemandCapacity and TargetSpotCapacity of the CORE fleet must be greater than 0."
        )
    kept = {name: change[name] for name in ("ResizeSpecifications", "Context") if change.get(name)}
    fleet.details = {**fleet.details, **kept}
    _resize(context, cluster, fleet)
    wake(context, cluster)
    return None


def _resize(context: Context, cluster: Cluster, fleet: InstanceFleet) -> None:
    groups = groups_of(context.session, cluster.id)
    apply_targets(fleet, groups)
    for group in own_groups(fleet, groups):
        group.suspended = ""
    try:
        check_total(sum(group.requested_count for group in groups))
    except ValidationError as error:
        raise InvalidRequest(error.message) from error


def _fleet_cluster(context: Context, request: Request, name: str) -> Cluster:
    cluster = find(context, request)
    require(cluster, Collection.FLEETS, name)
    try:
        return changeable(cluster)
    except ValidationError as error:
        raise InvalidRequest(error.message) from error


def _check_resizable(fleets: list[InstanceFleet]) -> None:
    if not any(fleet.role == Role.CORE for fleet in fleets):
        raise InvalidRequest("A cluster of one node computes on its primary instance and cannot be resized.")


def _check_change(fleet: InstanceFleet, change: Mapping[str, Any]) -> None:
    if fleet.role == Role.MASTER:
        raise InvalidRequest("The instance fleet of the primary node cannot be resized.")
    if change.get("InstanceTypeConfigs"):
        raise InvalidRequest("InstanceTypeConfigs of an instance fleet cannot be changed by this installation.")


def _or(value: int | None, other: int) -> int:
    return other if value is None else value
