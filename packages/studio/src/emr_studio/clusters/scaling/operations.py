"""The EMR API's operations on the size of clusters: groups, managed scaling, auto-termination."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest, ValidationError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clusters.access import changeable, find, on_cluster, require, wake
from emr_studio.clusters.creation import add_group
from emr_studio.clusters.describe import auto_scaling_shape
from emr_studio.clusters.model import (
    CLUSTERS,
    Cluster,
    Collection,
    InstanceGroup,
    Role,
    automatically_scaled,
    cluster_arn,
    find_cluster,
    groups_of,
    living_instances_of,
)
from emr_studio.clusters.reading import MAX_INSTANCES, check_auto_scaling_role, check_group, check_total
from emr_studio.clusters.scaling.policies import check_auto_termination, check_managed_scaling
from emr_studio.clusters.scaling.rules import check_policy

# Groups.


@operation("emr", "AddInstanceGroups", checks=on_cluster("elasticmapreduce:AddInstanceGroups", "JobFlowId"))
def add_instance_groups(context: Context, request: Request) -> Response:
    """Add task groups; all of them or, if one is wrong, none."""
    cluster = changeable(find(context, request, "JobFlowId"))
    require(cluster, Collection.GROUPS, "AddInstanceGroups")
    present = groups_of(context.session, cluster.id)
    given = [dict(group) for group in request["InstanceGroups"]]
    for group in given:
        check_group(group, cluster.details)
        if group["InstanceRole"] != Role.TASK:
            raise ValidationError("Only task instance groups can be added to a cluster that is there.")
    _resizable(present)
    _check_total(present, sum(group["InstanceCount"] for group in given))
    position = max(group.position for group in present) + 1
    rows = [add_group(context, cluster, group, position + number) for number, group in enumerate(given)]
    wake(context, cluster)
    ids = [row.id for row in rows]
    return {"JobFlowId": cluster.id, "InstanceGroupIds": ids, "ClusterArn": cluster_arn(cluster)}


def _cluster_id(context: Context, request: Request) -> str:
    """The cluster that ModifyInstanceGroups names, by its id or by a group's; empty if it names none of ours."""
    if request.get("ClusterId"):
        return str(request["ClusterId"])
    first: Mapping[str, Any] = next(iter(request.get("InstanceGroups") or ()), {})
    group = context.session.get(InstanceGroup, first.get("InstanceGroupId", ""))
    cluster = context.session.get(Cluster, group.cluster_id) if group else None
    return cluster.id if cluster and cluster.account_id == context.account_id else ""


def _on_modify(context: Context, request: Request) -> Iterable[Check]:
    name, cluster_id = "elasticmapreduce:ModifyInstanceGroups", _cluster_id(context, request)
    return (CLUSTERS.check(context, name, cluster_id) if cluster_id else Check(name, "*"),)


@operation("emr", "ModifyInstanceGroups", checks=_on_modify)
def modify_instance_groups(context: Context, request: Request) -> Response:
    """Change how many instances groups have; what runs on those that leave is finished first."""
    cluster_id = _cluster_id(context, request)
    if not cluster_id:
        raise InvalidRequest("ClusterId or the id of an instance group is required.")
    cluster = changeable(find_cluster(context.session, context.account_id, cluster_id))
    require(cluster, Collection.GROUPS, "ModifyInstanceGroups")
    groups = {group.id: group for group in groups_of(context.session, cluster.id)}
    changes = request.get("InstanceGroups") or ()
    _resizable(list(groups.values()))
    for change in changes:
        if change["InstanceGroupId"] not in groups:
            raise InvalidRequest(f"Instance group id '{change['InstanceGroupId']}' is not valid.")
        _check_change(context, groups[change["InstanceGroupId"]], change)
    for change in changes:
        _apply(groups[change["InstanceGroupId"]], change)
    _check_total(list(groups.values()), 0)
    wake(context, cluster)
    return None


def _resizable(groups: list[InstanceGroup]) -> None:
    if not any(group.role == Role.CORE for group in groups):
        raise ValidationError("A cluster of one node computes on its primary instance and cannot be resized.")


def _check_total(groups: list[InstanceGroup], more: int) -> None:
    check_total(sum(group.requested_count for group in groups) + more)


def _check_change(context: Context, group: InstanceGroup, change: Mapping[str, Any]) -> None:
    count, named = change.get("InstanceCount"), change.get("EC2InstanceIdsToTerminate") or ()
    if change.get("Configurations") or change.get("ReconfigurationType"):
        raise ValidationError("Configurations of a running instance group cannot be changed by this installation.")
    if group.role == Role.MASTER:
        raise ValidationError("The instance group of the primary node cannot be resized.")
    if count is not None and named:
        raise ValidationError("InstanceCount and EC2InstanceIdsToTerminate are mutually exclusive.")
    if count is not None and count < (1 if group.role == Role.CORE else 0):
        raise ValidationError(f"InstanceCount {count} of the {group.role} group is too small.")
    own = {node.ec2_id for node in living_instances_of(context.session, group.cluster_id) if node.group_id == group.id}
    if unknown := [ec2_id for ec2_id in named if ec2_id not in own]:
        raise InvalidRequest(f"Instance id '{unknown[0]}' is not one of instance group '{group.id}'.")
    if named and group.role == Role.CORE and len(set(named)) >= group.requested_count:
        raise ValidationError("The CORE group must keep one instance.")


def _apply(group: InstanceGroup, change: Mapping[str, Any]) -> None:
    named = list(dict.fromkeys(change.get("EC2InstanceIdsToTerminate") or ()))
    group.shrink_policy = {**(change.get("ShrinkPolicy") or {}), **({"Named": named} if named else {})}
    group.suspended = ""
    if named:
        group.requested_count = max(0, group.requested_count - len(named))
    elif change.get("InstanceCount") is not None:
        group.requested_count = change["InstanceCount"]


# Managed scaling.


@operation("emr", "PutManagedScalingPolicy", checks=on_cluster("elasticmapreduce:PutManagedScalingPolicy"))
def put_managed_scaling_policy(context: Context, request: Request) -> Response:
    """Let the cluster's size follow its load."""
    cluster = changeable(find(context, request))
    _resizable(groups_of(context.session, cluster.id))
    if automatically_scaled(context.session, [cluster.id]):
        raise ValidationError("Managed scaling cannot be used with automatic scaling: remove those policies first.")
    fleets = cluster.collection == Collection.FLEETS
    cluster.managed_scaling = check_managed_scaling(request["ManagedScalingPolicy"], fleets=fleets)
    wake(context, cluster)
    return {}


@operation("emr", "GetManagedScalingPolicy", checks=on_cluster("elasticmapreduce:GetManagedScalingPolicy"))
def get_managed_scaling_policy(context: Context, request: Request) -> Response:
    """The policy; an empty answer if there is none."""
    policy = find(context, request).managed_scaling
    return {"ManagedScalingPolicy": policy} if policy else {}


@operation("emr", "RemoveManagedScalingPolicy", checks=on_cluster("elasticmapreduce:RemoveManagedScalingPolicy"))
def remove_managed_scaling_policy(context: Context, request: Request) -> Response:
    """Keep the size as it is."""
    find(context, request).managed_scaling = {}
    return {}


# Automatic scaling.


@operation("emr", "PutAutoScalingPolicy", checks=on_cluster("elasticmapreduce:PutAutoScalingPolicy"))
def put_auto_scaling_policy(context: Context, request: Request) -> Response:
    """Let the size of a group follow rules."""
    cluster, group = _group_of(context, request, "PutAutoScalingPolicy")
    if cluster.managed_scaling:
        raise ValidationError("Automatic scaling cannot be used with managed scaling: remove that policy first.")
    check_auto_scaling_role(cluster.details)
    group.auto_scaling = check_policy(request["AutoScalingPolicy"], group.role, MAX_INSTANCES - 1)
    group.cooled_at = None
    wake(context, cluster)
    shown = {"ClusterId": cluster.id, "InstanceGroupId": group.id, "ClusterArn": cluster_arn(cluster)}
    return {**shown, "AutoScalingPolicy": auto_scaling_shape(group)}


@operation("emr", "RemoveAutoScalingPolicy", checks=on_cluster("elasticmapreduce:RemoveAutoScalingPolicy"))
def remove_auto_scaling_policy(context: Context, request: Request) -> Response:
    """Keep the group's size as it is."""
    _, group = _group_of(context, request, "RemoveAutoScalingPolicy")
    group.auto_scaling, group.cooled_at = {}, None
    return {}


def _group_of(context: Context, request: Request, name: str) -> tuple[Cluster, InstanceGroup]:
    cluster = changeable(find(context, request))
    require(cluster, Collection.GROUPS, name)
    wanted = request["InstanceGroupId"]
    group = next((one for one in groups_of(context.session, cluster.id) if one.id == wanted), None)
    if group is None:
        raise InvalidRequest(f"Instance group id '{wanted}' is not valid.")
    return cluster, group


# Auto-termination.


@operation("emr", "PutAutoTerminationPolicy", checks=on_cluster("elasticmapreduce:PutAutoTerminationPolicy"))
def put_auto_termination_policy(context: Context, request: Request) -> Response:
    """End the cluster when nobody has used it for so long."""
    cluster = changeable(find(context, request))
    cluster.idle_timeout = check_auto_termination(request.get("AutoTerminationPolicy") or {})
    cluster.idle_since = None
    wake(context, cluster)
    return {}


@operation("emr", "GetAutoTerminationPolicy", checks=on_cluster("elasticmapreduce:GetAutoTerminationPolicy"))
def get_auto_termination_policy(context: Context, request: Request) -> Response:
    """The policy; an empty answer if there is none (Terraform reads it so)."""
    timeout = find(context, request).idle_timeout
    return {} if timeout is None else {"AutoTerminationPolicy": {"IdleTimeout": timeout}}


@operation("emr", "RemoveAutoTerminationPolicy", checks=on_cluster("elasticmapreduce:RemoveAutoTerminationPolicy"))
def remove_auto_termination_policy(context: Context, request: Request) -> Response:
    """Keep the cluster however idle it is."""
    cluster = find(context, request)
    cluster.idle_timeout, cluster.idle_since = None, None
    return {}
