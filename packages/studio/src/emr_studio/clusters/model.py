"""The tables of clusters, their states, and what other rooms may ask of them.

    STARTING ──> BOOTSTRAPPING ──> RUNNING <─> WAITING        target RUNNING
        └──────────────┴──────────────┴───────────┴──> TERMINATING ──> TERMINATED             asked for
                                                            └────────> TERMINATED_WITH_ERRORS  failed

The rows stay after the end, as EMR keeps them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, exists, false, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio import ids
from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base
from emr_studio.network.model import GATEWAY_PORT
from emr_studio.runtime.contract import Gateway
from emr_studio.tagging import TagTarget, emr_arn

KIND = "cluster"
_UID_BASE = 300_000
OUTSIDE = "OutsideCluster"
"""The member of a cluster's details that only one from outside has (`outside/`)."""


class State(StrEnum):
    """What DescribeCluster shows."""

    STARTING = "STARTING"
    BOOTSTRAPPING = "BOOTSTRAPPING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    TERMINATED_WITH_ERRORS = "TERMINATED_WITH_ERRORS"


class Target(StrEnum):
    """What is wanted. FAILED is a termination that nobody asked for."""

    RUNNING = "RUNNING"
    TERMINATED = "TERMINATED"
    FAILED = "FAILED"


class Reason(StrEnum):
    """Codes of StateChangeReason (emr-studio.md 5.1)."""

    INTERNAL_ERROR = "INTERNAL_ERROR"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    INSTANCE_FAILURE = "INSTANCE_FAILURE"
    BOOTSTRAP_FAILURE = "BOOTSTRAP_FAILURE"
    USER_REQUEST = "USER_REQUEST"
    STEP_FAILURE = "STEP_FAILURE"
    ALL_STEPS_COMPLETED = "ALL_STEPS_COMPLETED"


class Role(StrEnum):
    """Roles of instance groups."""

    MASTER = "MASTER"
    CORE = "CORE"
    TASK = "TASK"


class Collection(StrEnum):
    """What a cluster's instances are organised in."""

    GROUPS = "INSTANCE_GROUP"
    FLEETS = "INSTANCE_FLEET"


ENDED = (State.TERMINATED, State.TERMINATED_WITH_ERRORS)
COMING = (State.STARTING, State.BOOTSTRAPPING)
USABLE = (State.RUNNING, State.WAITING)


class Cluster(Base):
    """A cluster. Members that the caller left out are None or absent, so that they are left out again."""

    __tablename__ = "clusters"
    __table_args__ = (
        Index("ix_clusters_listing", "account_id", "region", "creation_time", "id"),
        Index("ix_clusters_state", "state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    region: Mapped[str]
    name: Mapped[str]
    release_label: Mapped[str]
    applications: Mapped[list[str]]
    service_role: Mapped[str]
    job_flow_role: Mapped[str]
    """As the caller wrote it: an instance profile's name or ARN."""
    role_arn: Mapped[str]
    """The role of the instance profile: whose credentials the nodes have."""
    vpc_id: Mapped[str]
    subnet_id: Mapped[str]
    availability_zone: Mapped[str]
    collection: Mapped[str] = mapped_column(default=Collection.GROUPS, server_default=Collection.GROUPS.value)
    keep_alive: Mapped[bool] = mapped_column(default=False)
    termination_protected: Mapped[bool] = mapped_column(default=False)
    visible_to_all_users: Mapped[bool] = mapped_column(default=True)
    configurations: Mapped[list[Any]] = mapped_column(default=list)
    bootstrap_actions: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """`{"Name", "ScriptPath", "Args"}`, in the order in which every node runs them before Spark starts."""
    security: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """What its security configuration said when it was created; empty without one."""
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Members of the request that are kept and shown as they are, by their name in DescribeCluster."""
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    creator_user_id: Mapped[str]

    state: Mapped[str]
    target: Mapped[str]
    state_code: Mapped[str | None] = mapped_column(default=None)
    state_message: Mapped[str | None] = mapped_column(default=None)
    creation_time: Mapped[dt.datetime]
    ready_time: Mapped[dt.datetime | None] = mapped_column(default=None)
    end_time: Mapped[dt.datetime | None] = mapped_column(default=None)
    phase_since: Mapped[dt.datetime]
    """When the present state began; what is not reached in time ends the cluster."""
    phases: Mapped[list[Any]] = mapped_column(default=list)
    """Steps of the start with their times: `{"Name", "Seconds"}`, seconds after the creation."""
    log_lines: Mapped[list[str]] = mapped_column(default=list)
    """The last lines of the log of what failed."""

    managed_scaling: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """`ManagedScalingPolicy` of the API; empty for none."""
    idle_timeout: Mapped[int | None] = mapped_column(default=None)
    """Seconds after which an idle cluster ends (AutoTerminationPolicy); None for never."""
    idle_since: Mapped[dt.datetime | None] = mapped_column(default=None)
    """Since when nobody used it; None while somebody does, or without an idle timeout."""

    uid: Mapped[int]
    """The user that the nodes run as, where the host may change users; never used twice."""
    role_token: Mapped[str] = mapped_column(default="")
    """Fetches credentials of `role_arn`; empty until granted and after the end."""
    secret: Mapped[str]
    """What the processes of this cluster prove themselves with to each other (Spark's RPC)."""
    gateway_token: Mapped[str]
    connect_token: Mapped[str]


class InstanceFleet(Base):
    """Capacity of one role, in units: what its instances weigh. The instances are those of its groups, one a market."""

    __tablename__ = "instance_fleets"

    id: Mapped[str] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    position: Mapped[int]
    name: Mapped[str]
    role: Mapped[str]
    target_on_demand: Mapped[int]
    target_spot: Mapped[int]
    instance_types: Mapped[list[Any]]
    """`InstanceTypeConfigs` of the API."""
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Members of the request that are kept and shown as they are."""
    creation_time: Mapped[dt.datetime]


class InstanceGroup(Base):
    """Instances of one role and market, all alike; on their own, or what a fleet has in one market."""

    __tablename__ = "instance_groups"

    id: Mapped[str] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    fleet_id: Mapped[str | None] = mapped_column(ForeignKey("instance_fleets.id"), default=None)
    position: Mapped[int]
    name: Mapped[str]
    role: Mapped[str]
    instance_type: Mapped[str]
    market: Mapped[str] = mapped_column(default="ON_DEMAND")
    bid_price: Mapped[str | None] = mapped_column(default=None)
    requested_count: Mapped[int]
    """How many are wanted; the controller adds and removes instances until there are as many."""
    shrink_policy: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    suspended: Mapped[str] = mapped_column(default="", server_default="")
    """Why the group is not grown any more, until it is changed again."""
    configurations: Mapped[list[Any]] = mapped_column(default=list)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    auto_scaling: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """`AutoScalingPolicy` of the API; empty for none."""
    cooled_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    """When its policy may change its size again."""


class Instance(Base):
    """A node: an address in the cluster's subnet and the processes that run there."""

    __tablename__ = "instances"

    id: Mapped[str] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("instance_groups.id"))
    position: Mapped[int]
    ec2_id: Mapped[str]
    role: Mapped[str]
    instance_type: Mapped[str]
    private_ip: Mapped[str] = mapped_column(default="")
    bind_ip: Mapped[str] = mapped_column(default="")
    """Where the node's processes really listen on this machine; both are empty until allocated."""
    state: Mapped[str]
    """AWAITING_FULFILLMENT, PROVISIONING, BOOTSTRAPPING, RUNNING, TERMINATED."""
    creation_time: Mapped[dt.datetime]
    ready_time: Mapped[dt.datetime | None] = mapped_column(default=None)
    end_time: Mapped[dt.datetime | None] = mapped_column(default=None)
    leaving_since: Mapped[dt.datetime | None] = mapped_column(default=None)
    """Its group shrinks: it finishes what it does, then it ends."""
    end_reason: Mapped[str] = mapped_column(default="", server_default="")
    """Why it ended before its cluster."""
    bootstrapped: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Its bootstrap actions have run."""
    restarts: Mapped[int] = mapped_column(default=0)
    """Unasked ends of its processes since `restarts_since`."""
    restarts_since: Mapped[dt.datetime | None] = mapped_column(default=None)


class ClusterUid(Base):
    """Numbers handed out to clusters; the row stays, so that no user id is used twice."""

    __tablename__ = "cluster_uids"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    cluster_id: Mapped[str]


def find_cluster(session: Session, account_id: str, cluster_id: str) -> Cluster:
    """Return the account's cluster.

    Raises:
        InvalidRequest: "Cluster id 'j-X' is not valid."
    """
    cluster = session.get(Cluster, cluster_id)
    if cluster is None or cluster.account_id != account_id:
        raise InvalidRequest(f"Cluster id '{cluster_id}' is not valid.")
    return cluster


def cluster_arn(cluster: Cluster) -> str:
    """`arn:aws:elasticmapreduce:<region>:<account>:cluster/<id>`."""
    return emr_arn(cluster.region, cluster.account_id, f"cluster/{cluster.id}")


CLUSTERS = TagTarget("cluster", find_cluster, cluster_arn)


def groups_of(session: Session, cluster_id: str) -> list[InstanceGroup]:
    """The cluster's instance groups, primary first."""
    found = select(InstanceGroup).where(InstanceGroup.cluster_id == cluster_id).order_by(InstanceGroup.position)
    return list(session.scalars(found))


def automatically_scaled(session: Session, cluster_ids: Sequence[str]) -> set[str]:
    """Those of the clusters of which a group has an automatic scaling policy."""
    found = session.scalars(select(InstanceGroup).where(InstanceGroup.cluster_id.in_(cluster_ids)))
    return {group.cluster_id for group in found if group.auto_scaling}


def governed_at_rest(session: Session) -> list[str]:
    """Clusters at rest whose load or idleness is to be looked at."""
    resting = list(session.scalars(select(Cluster).where(Cluster.state == State.WAITING)))
    scaled = automatically_scaled(session, [one.id for one in resting])
    return [one.id for one in resting if one.managed_scaling or one.idle_timeout is not None or one.id in scaled]


def fleets_of(session: Session, cluster_id: str) -> list[InstanceFleet]:
    """The cluster's instance fleets, primary first; none if it has groups."""
    found = select(InstanceFleet).where(InstanceFleet.cluster_id == cluster_id).order_by(InstanceFleet.position)
    return list(session.scalars(found))


def instances_of(session: Session, cluster_id: str) -> list[Instance]:
    """The cluster's instances, ended ones too, primary first."""
    found = select(Instance).where(Instance.cluster_id == cluster_id).order_by(Instance.position)
    return list(session.scalars(found))


def living_instances_of(session: Session, cluster_id: str) -> list[Instance]:
    """Those of the cluster's instances that have not ended, primary first."""
    return [instance for instance in instances_of(session, cluster_id) if instance.state != "TERMINATED"]


def primary_of(session: Session, cluster_id: str) -> Instance:
    """The cluster's primary node."""
    found = select(Instance).where(Instance.cluster_id == cluster_id, Instance.role == Role.MASTER)
    return session.scalars(found).one()


def gateway_of(session: Session, cluster: Cluster) -> Gateway:
    """Where the kernels of a Workspace live that is attached to the cluster."""
    address = primary_of(session, cluster.id).bind_ip
    return Gateway(f"{address}:{GATEWAY_PORT}", cluster.gateway_token, cluster.id, cluster.role_token)


def is_outside(cluster: Cluster) -> bool:
    """True for a cluster that was registered, not made by us."""
    return OUTSIDE in (cluster.details or {})


def new_instance(group: InstanceGroup, position: int, now: dt.datetime) -> Instance:
    """An instance of a group that is not there yet."""
    return Instance(
        id=ids.instance_id(),
        cluster_id=group.cluster_id,
        group_id=group.id,
        position=position,
        ec2_id=ids.ec2_id("i"),
        role=group.role,
        instance_type=group.instance_type,
        state="AWAITING_FULFILLMENT",
        creation_time=now,
    )


def workload_owner(cluster_id: str) -> str:
    """Owner of a cluster's workloads, addresses and grants."""
    return f"cluster/{cluster_id}"


def next_uid(session: Session, cluster_id: str) -> int:
    """A user id of its own for a cluster: 300001 and up; call in a writing session."""
    row = ClusterUid(cluster_id=cluster_id)
    session.add(row)
    session.flush()
    return _UID_BASE + row.number


def is_unbalanced() -> ColumnElement[bool]:
    """A condition on clusters: an instance comes or goes, or a group has not as many as it asks for."""
    own = Instance.cluster_id == Cluster.id
    moving = (
        exists()
        .where(own, Instance.state != "TERMINATED")
        .where(or_(Instance.state != "RUNNING", Instance.leaving_since.is_not(None)))
    )
    staying = select(func.count()).where(Instance.group_id == InstanceGroup.id, Instance.state != "TERMINATED")
    counted = staying.where(Instance.leaving_since.is_(None)).scalar_subquery()
    wrong = exists().where(
        InstanceGroup.cluster_id == Cluster.id, InstanceGroup.suspended == "", InstanceGroup.requested_count != counted
    )
    return or_(moving, wrong)
