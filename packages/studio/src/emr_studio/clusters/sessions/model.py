"""The table of Spark Connect sessions and their states.

    SUBMITTED ──> STARTING ──> STARTED ──> BUSY <─> IDLE          target STARTED
        └────────────┴────────────┴──────────┴───────┴──> TERMINATING ──> TERMINATED   asked for, idle, too old
                                                               └────────> FAILED       ended by itself

A session is STARTED until it is first used. Its Spark is its own: a driver and executors that run as a
user of their own, with the credentials of its role alone. Rows stay after the end.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.errors import InvalidRequest
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
    """What the edge proves itself with to the Spark Connect server. No client ever has it."""

    @property
    def workload_id(self) -> str:
        """`ss-…/connect`."""
        return f"{self.id}/connect"


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
    if row is None or row.account_id != account_id or cluster_id not in (None, row.cluster_id):
        raise InvalidRequest(f"Session id '{session_id}' is not valid.")
    return row


def sessions_of(session: Session, cluster_id: str, states: tuple[SessionState, ...] = WANTED) -> list[SparkSession]:
    """The cluster's sessions in these states, oldest first."""
    chosen = select(SparkSession).where(SparkSession.cluster_id == cluster_id, SparkSession.state.in_(states))
    return list(session.scalars(chosen.order_by(SparkSession.created_at)))


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
