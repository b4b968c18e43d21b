"""The table of Spark Connect sessions and their states.

    SUBMITTED ──> STARTING ──> STARTED ──> BUSY <─> IDLE          target STARTED
        └────────────┴────────────┴──────────┴───────┴──> TERMINATING ──> TERMINATED   asked for, idle, too old
                                                               └────────> FAILED       ended by itself

A session is STARTED until it is first used. Its Spark is its own: a driver and executors that run as a
user of their own, with the credentials of its role alone. Rows stay after the end.

The kernels of a Workspace that is attached with a runtime role live on such a session too, one that the
API does not show (`Purpose.KERNELS`): beside its Spark it has a kernel gateway.
"""

from __future__ import annotations

import datetime as dt
import secrets
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, and_, exists, not_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio import ids
from emr_studio.aws.errors import InvalidRequest
from emr_studio.clusters.model import Cluster, next_uid
from emr_studio.clusters.nodes import CONNECT, GATEWAY, KERNELS
from emr_studio.db import Base, Database
from emr_studio.tagging import TagTarget, emr_arn

KIND = "session"


class SessionState(StrEnum):
    """What GetSession shows."""

    SUBMITTED = "SUBMITTED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    IDLE = "IDLE"
    BUSY = "BUSY"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    FAILED = "FAILED"


class Purpose(StrEnum):
    """What a session is for."""

    CLIENTS = "CLIENTS"
    """Spark Connect clients: what StartSession makes."""
    KERNELS = "KERNELS"


ENDED = (SessionState.TERMINATED, SessionState.FAILED)
LIVING = (SessionState.STARTED, SessionState.IDLE, SessionState.BUSY)
"""Those that take connections."""
WANTED = (SessionState.SUBMITTED, SessionState.STARTING, *LIVING)


class SparkSession(Base):
    """A session on a cluster."""

    __tablename__ = "cluster_sessions"
    __table_args__ = (
        Index("ix_cluster_sessions_listing", "cluster_id", "created_at", "id"),
        Index("ix_cluster_sessions_token", "cluster_id", "client_token", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"))
    purpose: Mapped[str] = mapped_column(default=Purpose.CLIENTS, server_default=Purpose.CLIENTS.value)
    holder: Mapped[str] = mapped_column(default="", server_default="", index=True)
    """Whose kernels it is for: a Workspace's id, or `<user id>/<role>` of who asked for credentials."""
    expires_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    """When the last credentials for its kernels end, and it with them; None for a Workspace's."""
    account_id: Mapped[str]
    region: Mapped[str]
    name: Mapped[str | None]
    execution_role_arn: Mapped[str | None]
    """As asked for; without one it has the role of the cluster's instance profile."""
    engine_configurations: Mapped[list[Any]]
    idle_minutes: Mapped[int]
    client_token: Mapped[str | None]
    tags: Mapped[dict[str, str]]
    creator_user_id: Mapped[str]

    state: Mapped[str] = mapped_column(index=True)
    message: Mapped[str] = mapped_column(default="")
    end_state: Mapped[str] = mapped_column(default="")
    """What it becomes after TERMINATING."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    """When its state changed last."""
    started_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    ended_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    idle_since: Mapped[dt.datetime | None] = mapped_column(default=None)
    used_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    """When a client last asked something of it, to within some seconds."""

    uid: Mapped[int]
    """The user that its programs run as, where the host may change users; never used twice."""
    role_token: Mapped[str] = mapped_column(default="")
    """Fetches credentials of its role; empty until granted and after the end."""
    private_ip: Mapped[str] = mapped_column(default="")
    bind_ip: Mapped[str] = mapped_column(default="")
    """Where its driver listens on this machine; both are empty until allocated."""
    secret: Mapped[str]
    """What its Spark's processes, and who asks its UI, prove themselves with."""
    connect_token: Mapped[str]
    """What the edge, or a kernel, proves itself with to the Spark Connect server. No client ever has it."""
    gateway_token: Mapped[str] = mapped_column(default="", server_default="")

    @property
    def programs(self) -> tuple[str, ...]:
        """Kinds of its programs; the first is its Spark."""
        return (CONNECT, GATEWAY, KERNELS) if self.purpose == Purpose.KERNELS else (CONNECT,)

    def workload_id(self, kind: str) -> str:
        """`ss-…/connect`."""
        return f"{self.id}/{kind}"


def new_session(session: Session, cluster: Cluster, now: dt.datetime, **columns: Any) -> SparkSession:
    """Add a session that is to start; call in a writing session."""
    row = SparkSession(
        id=ids.session_id(),
        cluster_id=cluster.id,
        account_id=cluster.account_id,
        region=cluster.region,
        state=SessionState.SUBMITTED,
        created_at=now,
        updated_at=now,
        secret=secrets.token_urlsafe(32),
        connect_token=secrets.token_urlsafe(32),
        **columns,
    )
    row.uid = next_uid(session, row.id)
    session.add(row)
    session.flush()
    return row


def session_owner(session_id: str) -> str:
    """Owner of a session's workload, address and grant."""
    return f"session/{session_id}"


def session_arn(row: SparkSession) -> str:
    """`arn:aws:elasticmapreduce:<region>:<account>:cluster/<id>/session/<id>`."""
    return arn_of_id(row.region, row.account_id, row.cluster_id, row.id)


def arn_of_id(region: str, account_id: str, cluster_id: str, session_id: str) -> str:
    """The ARN that a session has, or would have."""
    return emr_arn(region, account_id, f"cluster/{cluster_id}/session/{session_id}")


def find_session(session: Session, account_id: str, session_id: str, cluster_id: str | None = None) -> SparkSession:
    """Return the account's session; of that cluster, if one is named.

    Raises:
        InvalidRequest: "Session id 'ss-X' is not valid."
    """
    row = session.get(SparkSession, session_id)
    found = row is not None and row.account_id == account_id and cluster_id in (None, row.cluster_id)
    if row is None or not found or row.purpose != Purpose.CLIENTS:
        raise InvalidRequest(f"Session id '{session_id}' is not valid.")
    return row


SESSIONS = TagTarget("session", find_session, session_arn)


def has_sessions(database: Database, cluster_id: str) -> bool:
    """Whether the cluster has sessions that have not ended."""
    with database.read() as session:
        return (
            session.scalar(
                select(exists().where(SparkSession.cluster_id == cluster_id, SparkSession.state.not_in(ENDED)))
            )
            is True
        )


def is_in_use(database: Database, cluster_id: str) -> bool:
    """Whether somebody has a session on the cluster, or a live kernel with a runtime role."""
    going = and_(SparkSession.cluster_id == cluster_id, SparkSession.state.in_(WANTED))
    without_kernel = and_(SparkSession.purpose == Purpose.KERNELS, SparkSession.state == SessionState.IDLE)
    with database.read() as session:
        return session.scalar(select(exists().where(going, not_(without_kernel)))) is True
