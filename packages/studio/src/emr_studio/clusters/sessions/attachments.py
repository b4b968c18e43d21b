"""Kernels with a runtime role: what a Workspace that is attached with one has instead of the cluster's gateway."""

from __future__ import annotations

import datetime as dt
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.clusters.model import Cluster
from emr_studio.clusters.sessions.model import Purpose, SparkSession, new_session
from emr_studio.network.model import GATEWAY_PORT
from emr_studio.runtime.contract import Gateway


def newest_attachment(session: Session, cluster_id: str, holder: str) -> SparkSession | None:
    """What the holder has, or had last, on the cluster."""
    chosen = select(SparkSession).where(SparkSession.holder == holder, SparkSession.cluster_id == cluster_id)
    return session.scalars(chosen.order_by(SparkSession.created_at.desc(), SparkSession.id).limit(1)).first()


def new_attachment(
    session: Session, cluster: Cluster, role_arn: str, *, holder: str, user_id: str, now: dt.datetime
) -> SparkSession:
    """Start a Spark and a kernel gateway with the role; call in a writing session."""
    return new_session(
        session,
        cluster,
        now,
        purpose=Purpose.KERNELS,
        holder=holder,
        execution_role_arn=role_arn,
        creator_user_id=user_id,
        engine_configurations=[],
        idle_minutes=0,
        tags={},
        gateway_token=secrets.token_urlsafe(32),
    )


def gateway_of_attachment(row: SparkSession) -> Gateway:
    """Where its kernels live."""
    return Gateway(f"{row.bind_ip}:{GATEWAY_PORT}", row.gateway_token, row.cluster_id, row.role_token)
