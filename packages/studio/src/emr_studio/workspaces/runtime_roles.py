"""Workspaces that are attached with a runtime role (emr-studio.md 5.4, CL-15 and CL-16).

Their kernels, and the Spark of these, are nobody else's: they run as a user of their own with the
credentials of the role alone (`clusters.sessions`). So only who attached the Workspace may use it, and
collaboration is off.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.registry import Request
from emr_studio.clock import Clock
from emr_studio.clusters.model import CLUSTERS, USABLE, Cluster
from emr_studio.clusters.runtime_roles import check_kernels_role
from emr_studio.clusters.sessions.attachments import gateway_of_attachment, new_attachment, newest_attachment
from emr_studio.clusters.sessions.controller import leave
from emr_studio.clusters.sessions.model import LIVING, WANTED, Purpose, SessionState, SparkSession
from emr_studio.db import Database
from emr_studio.runtime.contract import Gateway
from emr_studio.workspaces.model import RUNNING, Editor


def role_checks(context: Context, request: Request) -> Iterable[Check]:
    """What IAM is asked beside the rest when a request's engine has a role: AWS's Studio fetches credentials of it."""
    engine = request.get("ExecutionEngine") or {}
    if engine.get("ExecutionRoleArn"):
        key = {"elasticmapreduce:ExecutionRoleArn": str(engine["ExecutionRoleArn"])}
        yield CLUSTERS.check(context, "elasticmapreduce:GetClusterSessionCredentials", engine["Id"], key)


def want(context: Context, editor: Editor, cluster: Cluster, request: Request) -> None:
    """Note which cluster a Workspace is to be attached to, with which role, by whom.

    Raises:
        InvalidRequest: the cluster's work cannot have the role, or the Workspace is shared.
    """
    role_arn = request["ExecutionEngine"].get("ExecutionRoleArn")
    if role_arn:
        check_kernels_role(context.session, context.clock, cluster, role_arn)
        if editor.collaboration:
            raise InvalidRequest("A Workspace with collaboration cannot be attached with a runtime role.")
    editor.wanted_cluster_id, editor.wanted_role_arn = cluster.id, role_arn
    editor.role_user_id = context.caller.user_id if role_arn else None


def ensure_kernels(database: Database, clock: Clock, editor: Editor) -> None:
    """Start the Spark and kernel gateway of a Workspace that is to be attached, unless they are there."""
    if not editor.wanted_role_arn or editor.attached_cluster_id or not editor.wanted_cluster_id:
        return
    with database.write() as session:
        cluster = session.get(Cluster, editor.wanted_cluster_id)
        if cluster is None or cluster.state not in USABLE:
            return
        row = newest_attachment(session, cluster.id, editor.id)
        if row is None or _is_of_before(row, editor):
            user_id, now = editor.role_user_id or "", clock.now()
            new_attachment(session, cluster, editor.wanted_role_arn, holder=editor.id, user_id=user_id, now=now)


def _is_of_before(row: SparkSession, editor: Editor) -> bool:
    """True for what another attach has left: of another role, or ended before this one was asked for."""
    ended = row.state not in WANTED and row.created_at < editor.last_modified_time
    return ended or row.execution_role_arn != editor.wanted_role_arn


def kernels_of(session: Session, editor: Editor, cluster_id: str) -> tuple[Gateway | None, str, str]:
    """The gateway of a Workspace with a role; or what to wait for; or why there is none."""
    row = newest_attachment(session, cluster_id, editor.id)
    if row is None or (not editor.attached_cluster_id and _is_of_before(row, editor)):
        return None, "Starting Spark with the runtime role.", ""
    if row.state in LIVING:
        return gateway_of_attachment(row), "", ""
    if row.state in WANTED:
        return None, f"Starting Spark with the runtime role ({row.state}).", ""
    return None, "", row.message or "The Spark of the runtime role has ended."


def lost_kernels(session: Session) -> list[str]:
    """Ids of Workspaces that are attached with a role and whose kernels have nowhere to live any more."""
    own = and_(SparkSession.holder == Editor.id, SparkSession.cluster_id == Editor.attached_cluster_id)
    alive = exists().where(own, SparkSession.state.in_(LIVING))
    attached = select(Editor.id).where(Editor.attached_cluster_id.is_not(None), Editor.wanted_role_arn.is_not(None))
    return list(session.scalars(attached.where(Editor.status.in_(RUNNING), ~alive)))


def end_unused_kernels(database: Database, clock: Clock) -> None:
    """End what Workspaces have let go of: detached, stopped, deleted, attached elsewhere."""
    kept = exists().where(
        Editor.id == SparkSession.holder,
        Editor.status.in_(RUNNING),
        Editor.wanted_cluster_id == SparkSession.cluster_id,
        Editor.wanted_role_arn == SparkSession.execution_role_arn,
    )
    # Those of who has credentials end with these.
    of_workspaces = and_(SparkSession.purpose == Purpose.KERNELS, SparkSession.expires_at.is_(None))
    unused = select(SparkSession.id).where(of_workspaces, SparkSession.state.in_(WANTED), ~kept)
    with database.read() as session:
        found = list(session.scalars(unused))
    if not found:
        return
    with database.write() as session:
        for row in session.scalars(select(SparkSession).where(SparkSession.id.in_(found))):
            leave(row, SessionState.TERMINATED, "Its Workspace was detached.", clock.now())
