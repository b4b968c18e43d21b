"""What a Workspace may be attached to: EMR on EC2 clusters, for now.

Checked twice: by the operations, so that a bad cluster is refused at once with the reason (CL-07),
and by the controller, since a cluster may end between the request and the attach (CL-12).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AwsError, InvalidRequest
from emr_studio.aws.registry import Request
from emr_studio.clock import Clock
from emr_studio.clusters.attachable import compatible_for_attach
from emr_studio.clusters.model import (
    COMING,
    USABLE,
    Cluster,
    find_cluster,
    gateway_of,
    is_outside,
)
from emr_studio.network.model import GATEWAY_PORT, connection_allowed
from emr_studio.runtime.contract import Gateway
from emr_studio.studios.model import Studio
from emr_studio.studios.service_role import lacks_interface
from emr_studio.workspaces.model import RUNNING, Editor
from emr_studio.workspaces.runtime_roles import kernels_of, lost_kernels

ENGINE_TYPE = "EMR"

__all__ = ["ENGINE_TYPE", "Verdict", "check_attachable", "engine_id", "engine_of", "lost", "unfit", "verdict"]


@dataclass(frozen=True)
class Verdict:
    """Whether a cluster can be attached now: its gateway; or what to wait for; or why not."""

    gateway: Gateway | None = None
    waiting: str = ""
    refused: str = ""


def engine_id(request: Request) -> str:
    """The id in a request's `ExecutionEngine`, whatever it is; empty if there is none."""
    return str((request.get("ExecutionEngine") or {}).get("Id") or "")


def engine_of(context: Context, request: Request) -> Cluster | None:
    """The cluster that a request's `ExecutionEngine` names; None if there is none.

    Raises:
        InvalidRequest: for an unknown cluster or what this installation cannot attach.
    """
    engine = request.get("ExecutionEngine")
    if not engine:
        return None
    if engine.get("Type", ENGINE_TYPE) != ENGINE_TYPE:
        raise InvalidRequest(f"ExecutionEngine.Type '{engine['Type']}' is not supported; use {ENGINE_TYPE}.")
    return find_cluster(context.session, context.account_id, engine.get("Id", ""))


def check_attachable(session: Session, studio: Studio | None, cluster: Cluster) -> None:
    """Refuse a cluster that can never be attached, with the reason.

    Raises:
        InvalidRequest: naming what is wrong.
    """
    if reason := _mismatch(session, studio, cluster):
        raise InvalidRequest(f"Cluster id '{cluster.id}' cannot be attached: {reason}")
    if away := _away(cluster):
        raise InvalidRequest(f"Cluster id '{cluster.id}' cannot be attached now: {away}")


def unfit(session: Session, editor: Editor) -> dict[str, str]:
    """Living clusters of the Workspace's account that it can never be attached to, each with the reason."""
    alive = select(Cluster).where(
        Cluster.account_id == editor.account_id, Cluster.region == editor.region, Cluster.state.in_((*COMING, *USABLE))
    )
    studio = session.get(Studio, editor.studio_id)
    reasons = {cluster.id: _mismatch(session, studio, cluster) for cluster in session.scalars(alive)}
    return {cluster_id: reason for cluster_id, reason in reasons.items() if reason}


def verdict(session: Session, clock: Clock, editor: Editor, cluster_id: str) -> Verdict:
    """Decide for the controller. What is attached stays so while its cluster lives."""
    if editor.attached_cluster_id != cluster_id and (missing := _unreachable(session, clock, editor)):
        return Verdict(refused=missing)
    if editor.wanted_role_arn:
        return _verdict_with_role(session, editor, cluster_id)
    if editor.attached_cluster_id == cluster_id and _is_alive(session, editor):
        return Verdict(gateway=gateway_of(session, find_cluster(session, editor.account_id, cluster_id)))
    try:
        cluster = find_cluster(session, editor.account_id, cluster_id)
    except AwsError as error:
        return Verdict(refused=error.message)
    if reason := _mismatch(session, session.get(Studio, editor.studio_id), cluster):
        return Verdict(refused=f"{reason} (Cluster {cluster_id}.)")
    if cluster.state in COMING:
        return Verdict(waiting=f"Cluster {cluster_id} is {cluster.state}.")
    if away := _away(cluster):
        return Verdict(waiting=away)
    return Verdict(gateway=gateway_of(session, cluster))


def _unreachable(session: Session, clock: Clock, editor: Editor) -> str:
    """Why the service role cannot connect the Workspace with any cluster; empty if it can."""
    studio = session.get(Studio, editor.studio_id)
    return lacks_interface(session, clock, studio, editor.service_role_arn, editor.subnet_id) if studio else ""


def _away(cluster: Cluster) -> str:
    """Why a cluster from outside does not serve at present; empty if it does."""
    if is_outside(cluster) and cluster.state in USABLE and cluster.state_code:
        return f"{cluster.state_code}: {cluster.state_message}"
    return ""


def _verdict_with_role(session: Session, editor: Editor, cluster_id: str) -> Verdict:
    cluster = session.get(Cluster, cluster_id)
    if cluster is None:
        return Verdict(refused=f"Cluster id '{cluster_id}' is not valid.")
    attached = editor.attached_cluster_id == cluster_id and _is_alive(session, editor)
    reason = "" if attached else _mismatch(session, session.get(Studio, editor.studio_id), cluster)
    if reason:
        return Verdict(refused=f"{reason} (Cluster {cluster_id}.)")
    if cluster.state in COMING:
        return Verdict(waiting=f"Cluster {cluster_id} is {cluster.state}.")
    gateway, waiting, refused = kernels_of(session, editor, cluster_id)
    return Verdict(gateway, waiting, refused)


def _is_alive(session: Session, editor: Editor) -> bool:
    """True while the cluster that the Workspace is attached to can run code."""
    cluster = session.get(Cluster, editor.attached_cluster_id)
    return cluster is not None and cluster.state in USABLE


def lost(session: Session) -> list[str]:
    """Ids of Workspaces that are attached to a cluster which runs no code any more."""
    found = (
        select(Editor.id)
        .outerjoin(Cluster, Cluster.id == Editor.attached_cluster_id)
        .where(Editor.attached_cluster_id.is_not(None), Editor.status.in_(RUNNING))
        .where(or_(Cluster.id.is_(None), Cluster.state.not_in(USABLE)))
    )
    return [*session.scalars(found), *lost_kernels(session)]


def _mismatch(session: Session, studio: Studio | None, cluster: Cluster) -> str:
    """Why the cluster cannot serve this Workspace; empty if it can (now or once it is up)."""
    if reason := compatible_for_attach(session, cluster):
        return reason
    if studio is None:
        return "The Workspace's Studio no longer exists."
    if cluster.vpc_id != studio.vpc_id:
        return f"The cluster is in VPC {cluster.vpc_id}, the Studio in {studio.vpc_id}."
    if not _groups_connect(session, studio):
        return (
            f"Security group {studio.engine_security_group_id} does not let "
            f"{studio.workspace_security_group_id} in at port {GATEWAY_PORT}, or that does not let it out."
        )
    return ""


def _groups_connect(session: Session, studio: Studio) -> bool:
    source, target = studio.workspace_security_group_id, studio.engine_security_group_id
    return connection_allowed(session, source, target, GATEWAY_PORT)
