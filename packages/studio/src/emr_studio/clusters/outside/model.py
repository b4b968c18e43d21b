"""What is kept of a cluster from outside beside its row: where it is, and its credentials, sealed.

Its row in `clusters` has one instance: a place on this machine where the program listens that leads to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.clusters.model import ENDED, OUTSIDE, Cluster
from emr_studio.db import Base
from emr_studio.iam.sealing import Sealer


class Kind(StrEnum):
    """What answers at the URL; kernels of the last two run here."""

    JUPYTER_GATEWAY = "JUPYTER_GATEWAY"
    SPARK_CONNECT = "SPARK_CONNECT"
    LIVY = "LIVY"


class Authentication(StrEnum):
    """What it asks for."""

    NONE = "NONE"
    TOKEN = "TOKEN"
    BASIC = "BASIC"


class OutsideCluster(Base):
    """Its credentials. The row goes when the cluster is deregistered."""

    __tablename__ = "outside_clusters"

    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """What it is proved with, sealed for this cluster alone: an Authorization header; of Spark Connect the parameters
    of the connection string."""


@dataclass(frozen=True)
class Outside:
    """A cluster from outside, as its program needs it."""

    kind: str
    url: str
    sealed: bytes


def shape_of(kind: Kind, url: str, authentication: Authentication) -> Mapping[str, Any]:
    """`OutsideCluster` of DescribeCluster, which is kept in the cluster's details."""
    return {"Type": kind.value, "Url": url, "AuthenticationType": authentication.value}


def seal(sealer: Sealer, cluster_id: str, proof: str) -> bytes:
    """The credentials, as they are kept."""
    return sealer.seal(proof.encode(), _purpose(cluster_id))


def unseal(sealer: Sealer, cluster_id: str, sealed: bytes) -> str:
    """What proves us to the outside (`OutsideCluster.sealed`); empty if it asks for nothing.

    Raises:
        BadSeal: they were not sealed here.
    """
    return sealer.open(sealed, _purpose(cluster_id)).decode()


def _purpose(cluster_id: str) -> str:
    return f"emr:outside-cluster:{cluster_id}"


def kind_of(cluster: Cluster) -> Kind | None:
    """What a cluster from outside is; None for one of ours."""
    shown = (cluster.details or {}).get(OUTSIDE)
    return Kind(shown["Type"]) if shown else None


def has_kernels_here(cluster: Cluster) -> bool:
    """Whether programs of ours run its kernels: for all but a gateway from outside."""
    return kind_of(cluster) is not Kind.JUPYTER_GATEWAY


def find_outside(session: Session, cluster: Cluster) -> Outside | None:
    """What is known of a cluster from outside; None of one that is ours, or deregistered."""
    row = session.get(OutsideCluster, cluster.id) if OUTSIDE in cluster.details else None
    if row is None:
        return None
    shown = cluster.details[OUTSIDE]
    return Outside(shown["Type"], shown["Url"], row.sealed)


def registered(session: Session) -> list[str]:
    """Ids of all clusters from outside that have not ended."""
    found = select(OutsideCluster.cluster_id).join(Cluster, Cluster.id == OutsideCluster.cluster_id)
    return list(session.scalars(found.where(Cluster.state.not_in(ENDED))))
