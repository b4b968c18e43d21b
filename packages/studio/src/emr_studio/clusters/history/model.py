"""Tables of history servers and persistent application UIs, and what other rooms may ask of them.

A cluster has at most one history server. It runs while somebody looks (`last_used`), shows the live
cluster's event logs or, after its end, those kept in S3, and is stopped when nobody looks any more.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio import ids
from emr_studio.aws.errors import InvalidRequest
from emr_studio.clusters.logs.appinfo import KEPT
from emr_studio.clusters.model import ENDED, USABLE, Cluster, primary_of
from emr_studio.clusters.ui_keys import ui_key
from emr_studio.db import Base, Database

KIND = "history"
IDLE = dt.timedelta(minutes=10)
"""A history server that nobody used for so long is stopped; the next use starts it again."""
MOST_ACTIVE = 50
"""Persistent application UIs of an account that may be active at a time (AWS's quota)."""
TOUCH = dt.timedelta(seconds=30)
LIVE_PORT = 4040


class ServerState(StrEnum):
    """Of a history server."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    FAILED = "FAILED"


class HistoryServer(Base):
    """The history server of a cluster."""

    __tablename__ = "history_servers"

    id: Mapped[str] = mapped_column(primary_key=True)
    """`h-` and what follows `j-` in the cluster's id."""
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    wanted: Mapped[bool]
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    """`host:port`; set before it is started there."""
    ui_key: Mapped[str] = mapped_column(default="")
    """Signs the tokens that it asks for (base64url)."""
    archived: Mapped[bool] = mapped_column(default=False)
    """It shows what S3 has of an ended cluster."""
    attempts: Mapped[int] = mapped_column(default=0)
    last_used: Mapped[dt.datetime]


class PersistentAppUi(Base):
    """A persistent application UI: somebody's right to look at the history of a cluster, while it is kept."""

    __tablename__ = "persistent_app_uis"
    __table_args__ = (Index("ix_persistent_app_uis_owner", "account_id", "author_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    account_id: Mapped[str]
    author_id: Mapped[str]
    tags: Mapped[dict[str, Any]] = mapped_column(default=dict)
    creation_time: Mapped[dt.datetime]
    modified_time: Mapped[dt.datetime]


def server_id(cluster_id: str) -> str:
    """`h-…` of `j-…`."""
    return "h-" + cluster_id.removeprefix("j-")


def use_server(session: Session, cluster: Cluster, now: dt.datetime) -> HistoryServer:
    """The cluster's history server, wanted and used now; in a writing session."""
    row = session.get(HistoryServer, server_id(cluster.id), with_for_update=True)
    if row is None:
        row = HistoryServer(
            id=server_id(cluster.id),
            cluster_id=cluster.id,
            wanted=True,
            state=ServerState.STOPPED,
            last_used=now,
            attempts=0,
        )
        session.add(row)
    if not row.wanted:
        row.wanted, row.attempts = True, 0
    row.last_used = now
    session.flush()
    return row


def is_kept(cluster: Cluster, now: dt.datetime) -> bool:
    """False 30 days after the cluster's end."""
    return cluster.end_time is None or now - cluster.end_time <= KEPT


def find_ui(session: Session, account_id: str, ui_id: str) -> PersistentAppUi:
    """Return the account's persistent UI.

    Raises:
        InvalidRequest: there is none.
    """
    row = session.get(PersistentAppUi, ui_id)
    if row is None or row.account_id != account_id:
        raise InvalidRequest(f"Persistent application UI id '{ui_id}' is not valid.")
    return row


def add_ui(
    session: Session, cluster: Cluster, author_id: str, tags: dict[str, str], now: dt.datetime
) -> PersistentAppUi:
    """The author's persistent UI of the cluster: the one that is there, or a new one.

    Raises:
        InvalidRequest: 50 are active in the account.
    """
    own = select(PersistentAppUi).where(
        PersistentAppUi.cluster_id == cluster.id, PersistentAppUi.author_id == author_id
    )
    row = session.scalars(own).first()
    server = session.get(HistoryServer, server_id(cluster.id))
    if (server is None or not server.wanted) and active_servers(session, cluster.account_id) >= MOST_ACTIVE:
        raise InvalidRequest(f"The limit of {MOST_ACTIVE} active persistent application UIs is reached.")
    if row is None:
        row = PersistentAppUi(
            id=ids.persistent_ui_id(),
            cluster_id=cluster.id,
            account_id=cluster.account_id,
            author_id=author_id,
            tags=tags,
            creation_time=now,
            modified_time=now,
        )
        session.add(row)
        session.flush()
    return row


def active_servers(session: Session, account_id: str) -> int:
    """How many history servers of an account run or are wanted."""
    count = select(func.count()).select_from(HistoryServer).join(Cluster, Cluster.id == HistoryServer.cluster_id)
    return session.scalar(count.where(Cluster.account_id == account_id, HistoryServer.wanted)) or 0


# What the edge asks.


@dataclass(frozen=True)
class UiTarget:
    """A cluster's application UIs, for the edge."""

    cluster_id: str
    account_id: str
    region: str
    tags: dict[str, str]
    state: str
    live: str
    """`host:port` of the live Spark UI; empty if it does not run."""
    live_key: str
    """Signs the tokens that it asks for."""
    kept: bool
    history: HistoryServer | None


def ui_target(session: Session, cluster_id: str, now: dt.datetime) -> UiTarget | None:
    """Where the UIs of a cluster are."""
    cluster = session.get(Cluster, cluster_id)
    if cluster is None:
        return None
    live = f"{primary_of(session, cluster.id).bind_ip}:{LIVE_PORT}" if cluster.state in USABLE else ""
    return UiTarget(
        cluster.id,
        cluster.account_id,
        cluster.region,
        dict(cluster.tags),
        cluster.state,
        live,
        ui_key(cluster.secret),
        is_kept(cluster, now),
        session.get(HistoryServer, server_id(cluster.id)),
    )


def note_use(database: Database, cluster_id: str, now: dt.datetime) -> None:
    """The history server is used, or wanted again."""
    with database.write() as session:
        cluster = session.get(Cluster, cluster_id)
        if cluster is not None and is_kept(cluster, now):
            use_server(session, cluster, now)


def has_ended(cluster: Cluster) -> bool:
    """Whether its event logs are in S3 alone."""
    return cluster.state in ENDED


def new_key() -> str:
    """A key for tokens."""
    return secrets.token_urlsafe(32) + "="
