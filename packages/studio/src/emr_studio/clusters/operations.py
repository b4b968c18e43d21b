"""The EMR API's operations on clusters. Each writes what is wanted; the controller makes it so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import AwsError, InvalidRequest, ValidationError
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import ChecksFunction, Request, Response, action, operation
from emr_studio.clusters.access import changeable, find, on_cluster, require, wake
from emr_studio.clusters.bootstrapping import action_shapes
from emr_studio.clusters.creation import MAX_CONCURRENCY, create_cluster
from emr_studio.clusters.describe import cluster_shape, group_shape, instance_shape, summary_shape
from emr_studio.clusters.ending import end_at_request
from emr_studio.clusters.model import (
    CLUSTERS,
    ENDED,
    USABLE,
    Cluster,
    Collection,
    Target,
    cluster_arn,
    find_cluster,
    groups_of,
    instances_of,
    is_outside,
    primary_of,
)
from emr_studio.clusters.roles import resolve_roles
from emr_studio.clusters.steps.reading import add_steps
from emr_studio.network.zones import trouble_of
from emr_studio.tagging import (
    read_tags,
    register,
    request_tag_context,
)

_PAGE = 50
_MODIFIABLE = ("StepConcurrencyLevel", "ExtendedSupport")
_OF_COLLECTION = {
    Collection.GROUPS: ("InstanceGroupId", "InstanceGroupTypes"),
    Collection.FLEETS: ("InstanceFleetId", "InstanceFleetType"),
}
register("j-", CLUSTERS)


def _on_job_flows(name: str) -> ChecksFunction:
    def checks(context: Context, request: Request) -> Iterable[Check]:
        return [CLUSTERS.check(context, name, cluster_id) for cluster_id in dict.fromkeys(request["JobFlowIds"])]

    return checks


def _job_flows(context: Context, request: Request) -> list[Cluster]:
    try:
        return [find_cluster(context.session, context.account_id, i) for i in dict.fromkeys(request["JobFlowIds"])]
    except AwsError as error:
        raise ValidationError("Specified job flow ID does not exist.") from error


# Create.


def _on_run(context: Context, request: Request) -> Iterable[Check]:
    tags = read_tags(request.get("Tags"))
    yield Check("elasticmapreduce:RunJobFlow", "*", request_tag_context(tags))
    yield from resolve_roles(context.session, context.account_id, request).checks()


@operation("emr", "RunJobFlow", checks=_on_run)
def run_job_flow(context: Context, request: Request) -> Response:
    """Create a cluster; it starts at once."""
    roles = resolve_roles(context.session, context.account_id, request)
    cluster = create_cluster(context, request, roles)
    add_steps(context, cluster, request.get("Steps") or (), request.get("StepExecutionRoleArn"))
    wake(context, cluster)
    return {"JobFlowId": cluster.id, "ClusterArn": cluster_arn(cluster)}


# Read.


@operation("emr", "DescribeCluster", checks=on_cluster("elasticmapreduce:DescribeCluster"))
def describe_cluster(context: Context, request: Request) -> Response:
    """Describe a cluster; of one that runs well, what is wrong with its Availability Zone."""
    cluster = find(context, request)
    shape = cluster_shape(cluster, primary_of(context.session, cluster.id))
    trouble = trouble_of(context.session, cluster.availability_zone) if cluster.state in USABLE else ""
    if trouble and not cluster.state_message:
        shape["Status"]["StateChangeReason"] = {"Message": trouble}
    return {"Cluster": shape}


@operation("emr", "ListClusters", checks=action("elasticmapreduce:ListClusters"))
def list_clusters(context: Context, request: Request) -> Response:
    """List clusters, newest first, 50 a page; filtered by state and time of creation (CL-01)."""
    statement = select(Cluster).where(Cluster.account_id == context.account_id, Cluster.region == context.region)
    after, before, states = (request.get(name) for name in ("CreatedAfter", "CreatedBefore", "ClusterStates"))
    if after is not None:
        statement = statement.where(Cluster.creation_time > after)
    if before is not None:
        statement = statement.where(Cluster.creation_time < before)
    if states:
        statement = statement.where(Cluster.state.in_(states))
    page, marker = paginate(
        context,
        statement,
        (Cluster.creation_time, Cluster.id),
        _PAGE,
        request.get("Marker"),
        bound_to=f"ListClusters {_text(after)} {_text(before)} {sorted(states or ())}",
        descending=True,
    )
    return _with_marker({"Clusters": [summary_shape(cluster) for cluster in page]}, marker)


def _text(moment: dt.datetime | None) -> str:
    return moment.isoformat() if moment else "-"


def _with_marker(answer: dict[str, Any], marker: str | None) -> dict[str, Any]:
    return answer if marker is None else {**answer, "Marker": marker}


@operation("emr", "ListInstanceGroups", checks=on_cluster("elasticmapreduce:ListInstanceGroups"))
def list_instance_groups(context: Context, request: Request) -> Response:
    """List a cluster's instance groups, primary first."""
    cluster = find(context, request)
    require(cluster, Collection.GROUPS, "ListInstanceGroups")
    instances = instances_of(context.session, cluster.id)
    groups = [] if is_outside(cluster) else groups_of(context.session, cluster.id)
    return {"InstanceGroups": [group_shape(group, cluster, instances) for group in groups]}


@operation("emr", "ListInstances", checks=on_cluster("elasticmapreduce:ListInstances"))
def list_instances(context: Context, request: Request) -> Response:
    """List a cluster's instances; by group or fleet, kind of group or fleet, and state."""
    cluster = find(context, request)
    _check_collection(cluster, request)
    groups = {group.id: group for group in groups_of(context.session, cluster.id)}
    wanted_group, wanted_fleet = request.get("InstanceGroupId"), request.get("InstanceFleetId")
    if wanted_group and wanted_group not in groups:
        raise InvalidRequest(f"Instance group id '{wanted_group}' is not valid.")
    if wanted_fleet and wanted_fleet not in {group.fleet_id for group in groups.values()}:
        raise InvalidRequest(f"Instance fleet id '{wanted_fleet}' is not valid.")
    kind = request.get("InstanceFleetType")
    kinds, states = [kind] if kind else request.get("InstanceGroupTypes"), request.get("InstanceStates")
    found = [
        instance_shape(instance, groups[instance.group_id], cluster)
        for instance in ([] if is_outside(cluster) else instances_of(context.session, cluster.id))
        if wanted_group in (None, instance.group_id)
        and wanted_fleet in (None, groups[instance.group_id].fleet_id)
        and (not kinds or instance.role in kinds)
        and (not states or instance.state in states)
    ]
    return {"Instances": found}


def _check_collection(cluster: Cluster, request: Request) -> None:
    for collection, names in _OF_COLLECTION.items():
        if any(request.get(name) for name in names):
            require(cluster, collection, "ListInstances")


@operation("emr", "ListBootstrapActions", checks=on_cluster("elasticmapreduce:ListBootstrapActions"))
def list_bootstrap_actions(context: Context, request: Request) -> Response:
    """List a cluster's bootstrap actions, in their order; there are at most 16, so one page."""
    return {"BootstrapActions": action_shapes(find(context, request))}


# Change.


@operation("emr", "TerminateJobFlows", checks=_on_job_flows("elasticmapreduce:TerminateJobFlows"))
def terminate_job_flows(context: Context, request: Request) -> Response:
    """Terminate clusters; all of them or, if one is protected, none. Those from outside are deregistered."""
    clusters = _job_flows(context, request)
    if any(cluster.termination_protected and cluster.state not in ENDED for cluster in clusters):
        raise ValidationError("Could not shut down one or more job flows since they are termination protected.")
    for cluster in clusters:
        if end_at_request(cluster, context.now()):
            wake(context, cluster)
    return None


@operation("emr", "SetTerminationProtection", checks=_on_job_flows("elasticmapreduce:SetTerminationProtection"))
def set_termination_protection(context: Context, request: Request) -> Response:
    """Protect clusters from TerminateJobFlows, or no longer."""
    for cluster in _alive(context, request):
        cluster.termination_protected = request["TerminationProtected"]
    return None


@operation("emr", "SetVisibleToAllUsers", checks=_on_job_flows("elasticmapreduce:SetVisibleToAllUsers"))
def set_visible_to_all_users(context: Context, request: Request) -> Response:
    """Keep and show the flag; who may see a cluster is for policies to say."""
    for cluster in _alive(context, request):
        cluster.visible_to_all_users = request["VisibleToAllUsers"]
    return None


@operation(
    "emr",
    "SetKeepJobFlowAliveWhenNoSteps",
    checks=_on_job_flows("elasticmapreduce:SetKeepJobFlowAliveWhenNoSteps"),
)
def set_keep_job_flow_alive_when_no_steps(context: Context, request: Request) -> Response:
    """Keep clusters when their steps are done, or no longer: one at rest then ends."""
    for cluster in _alive(context, request):
        cluster.keep_alive = changeable(cluster).keep_alive and request["KeepJobFlowAliveWhenNoSteps"]
        wake(context, cluster)
    return None


@operation("emr", "SetUnhealthyNodeReplacement", checks=_on_job_flows("elasticmapreduce:SetUnhealthyNodeReplacement"))
def set_unhealthy_node_replacement(context: Context, request: Request) -> Response:
    """Keep and show the flag: a program that ends unasked is always started again here."""
    for cluster in _alive(context, request):
        cluster.details = {**cluster.details, "UnhealthyNodeReplacement": request["UnhealthyNodeReplacement"]}
    return None


@operation("emr", "ModifyCluster", checks=on_cluster("elasticmapreduce:ModifyCluster"))
def modify_cluster(context: Context, request: Request) -> Response:
    """Change how many steps run at a time."""
    cluster = changeable(find(context, request))
    changes = {name: request[name] for name in _MODIFIABLE if request.get(name) is not None}
    if not changes:
        raise InvalidRequest("ModifyCluster needs StepConcurrencyLevel or ExtendedSupport.")
    if not 1 <= changes.get("StepConcurrencyLevel", 1) <= MAX_CONCURRENCY:
        raise InvalidRequest(f"StepConcurrencyLevel must be between 1 and {MAX_CONCURRENCY}.")
    cluster.details = {**cluster.details, **changes}
    wake(context, cluster)
    return changes


def _alive(context: Context, request: Request) -> list[Cluster]:
    clusters = _job_flows(context, request)
    for cluster in clusters:
        if cluster.target != Target.RUNNING:
            raise ValidationError(f"Job flow {cluster.id} is {cluster.state}: it cannot be modified.")
    return clusters
