"""Register and deregister clusters from outside. EMR has no such operations: ours are in the overlay of its model."""

from __future__ import annotations

from collections.abc import Iterable

from emr_studio import ids
from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest, ValidationError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clusters.access import find, on_cluster, wake
from emr_studio.clusters.catalog.releases import releases
from emr_studio.clusters.ending import end_at_request
from emr_studio.clusters.model import (
    ENDED,
    OUTSIDE,
    Cluster,
    InstanceGroup,
    Role,
    State,
    Target,
    cluster_arn,
    is_outside,
    new_instance,
)
from emr_studio.clusters.outside.model import Kind, OutsideCluster, seal, shape_of
from emr_studio.clusters.outside.targets import check_target, target
from emr_studio.clusters.spares import identify
from emr_studio.iam.sealing import Sealer
from emr_studio.network.model import Subnet, ensure_default_network, get_subnets
from emr_studio.settings import Settings
from emr_studio.tagging import read_tags, request_tag_context

CONNECTING = "Connecting to the cluster"


def _on_register(_context: Context, request: Request) -> Iterable[Check]:
    tags = read_tags(request.get("Tags"))
    yield Check("elasticmapreduce:RegisterCluster", "*", request_tag_context(tags))


@operation("emr", "RegisterCluster", checks=_on_register)
def register_cluster(context: Context, request: Request) -> Response:
    """Make a cluster from outside known; whether it answers is seen in its state."""
    settings = context.port(Settings)
    kind = Kind(request["Type"])
    wanted = target(kind, request["Url"], request.get("Token"), request.get("UserName"), request.get("Password"))
    check_target(wanted.url, settings.outside_targets)
    if not request["Name"].strip():
        raise InvalidRequest("Name must not be blank.")
    now, subnet = context.now(), _subnet(context, request)
    cluster = Cluster(
        account_id=context.account_id,
        region=context.region,
        name=request["Name"],
        release_label=releases()[0].label,
        applications=[],
        service_role="",
        job_flow_role="",
        role_arn="",
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        availability_zone=subnet.availability_zone,
        keep_alive=True,
        configurations=[],
        details={OUTSIDE: shape_of(kind, wanted.url, wanted.authentication)},
        tags=read_tags(request.get("Tags")),
        creator_user_id=context.caller.user_id,
        state=State.STARTING,
        target=Target.RUNNING,
        state_message=CONNECTING,
        creation_time=now,
        phase_since=now,
    )
    identify(context.session, cluster)
    context.session.add(cluster)
    context.session.flush()
    _add_place(context, cluster)
    sealed = seal(context.port(Sealer), cluster.id, wanted.proof)
    context.session.add(OutsideCluster(cluster_id=cluster.id, sealed=sealed))
    wake(context, cluster)
    return {"ClusterId": cluster.id, "ClusterArn": cluster_arn(cluster)}


def _subnet(context: Context, request: Request) -> Subnet:
    """The subnet whose VPC's Studios can attach it."""
    wanted = request.get("Ec2SubnetId")
    if not wanted:
        wanted = ensure_default_network(context.session, context.port(Settings), context.account_id).subnet_ids[0]
    return get_subnets(context.session, context.account_id, [wanted])[0]


def _add_place(context: Context, cluster: Cluster) -> None:
    """Where it is reached on this machine: as the primary of one of our own would be."""
    group = InstanceGroup(
        id=ids.instance_group_id(),
        cluster_id=cluster.id,
        position=0,
        name="",
        role=Role.MASTER,
        instance_type="",
        requested_count=1,
    )
    context.session.add(group)
    context.session.flush()
    context.session.add(new_instance(group, 0, cluster.creation_time))
    context.session.flush()


@operation("emr", "DeregisterCluster", checks=on_cluster("elasticmapreduce:DeregisterCluster"))
def deregister_cluster(context: Context, request: Request) -> Response:
    """Forget a cluster from outside and its credentials. It goes on; Workspaces are detached, their sessions end."""
    cluster = find(context, request)
    if not is_outside(cluster):
        raise InvalidRequest(f"Cluster id '{cluster.id}' was not registered: TerminateJobFlows ends it.")
    if cluster.termination_protected and cluster.state not in ENDED:
        raise ValidationError(f"Cluster {cluster.id} is termination protected.")
    if end_at_request(cluster, context.now()):
        wake(context, cluster)
    return {}
