"""What all operations on clusters share: the cluster that a request names, what IAM is asked, the controller's wake."""

from __future__ import annotations

from collections.abc import Iterable

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest, ValidationError
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.clusters.model import (
    CLUSTERS,
    COMING,
    KIND,
    USABLE,
    Cluster,
    Collection,
    Target,
    find_cluster,
    is_outside,
)
from emr_studio.controllers import Waker


def find(context: Context, request: Request, member: str = "ClusterId") -> Cluster:
    """The account's cluster that a member of the request names.

    Raises:
        InvalidRequest: "Cluster id 'j-X' is not valid."
    """
    return find_cluster(context.session, context.account_id, request[member])


def on_cluster(name: str, member: str = "ClusterId") -> ChecksFunction:
    """Checks of an operation on one cluster."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        role = request.get("ExecutionRoleArn")
        own = {"elasticmapreduce:ExecutionRoleArn": str(role)} if role else {}
        return (CLUSTERS.check(context, name, request[member], own),)

    return checks


def changeable(cluster: Cluster) -> Cluster:
    """Return a cluster that can be given work and other sizes.

    Raises:
        ValidationError: it ends, or has ended, or is from outside.
    """
    inside(cluster)
    if cluster.target != Target.RUNNING or cluster.state not in (*COMING, *USABLE):
        raise ValidationError("A job flow that is shutting down, terminating, or finished may not be modified.")
    return cluster


def inside(cluster: Cluster) -> Cluster:
    """Return a cluster that is ours.

    Raises:
        ValidationError: it is from outside.
    """
    if is_outside(cluster):
        raise ValidationError(
            f"Cluster {cluster.id} is from outside: it was registered, and can only be attached to Workspaces. Its "
            "size, steps, sessions and application UIs are the business of whoever runs it."
        )
    return cluster


def require(cluster: Cluster, collection: Collection, operation: str) -> None:
    """Check that the cluster has groups (or fleets), which the operation is for.

    Raises:
        InvalidRequest: it has the other.
    """
    if cluster.collection != collection:
        other = "fleets" if collection == Collection.GROUPS else "groups"
        raise InvalidRequest(
            "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses "
            f"instance {other}. The {operation} request does not support clusters that use instance {other}."
        )


def wake(context: Context, cluster: Cluster) -> None:
    """Let the controller look at the cluster once this request is committed."""
    waker, cluster_id = context.port(Waker), cluster.id
    context.after_commit(lambda: waker.wake(KIND, cluster_id))
