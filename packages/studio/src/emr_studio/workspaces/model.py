"""The Workspace's table (AWS calls it an editor), its states, and what other rooms may ask of it.

Status and target are two columns: a request writes `target` (and `wanted_cluster_id`), the
controller moves `status` towards it, one saved step at a time (emr-studio.md 6.2, 6.10).

    Starting ──> Ready ──> Attaching ──> Attached          target READY, compute wanted or not
        ^          │  ^────────┴────────────┘
        │          v
      Idle <── Stopping                                    target IDLE
        └──────────┴──> Deleting ──> (row gone)            target GONE
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, exists, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base, Database
from emr_studio.tagging import emr_arn

KIND = "workspace"
_UID_BASE = 200_000
_ACTIVITY_STEP = dt.timedelta(seconds=30)


class Status(StrEnum):
    """What DescribeEditor shows."""

    STARTING = "Starting"
    READY = "Ready"
    ATTACHING = "Attaching"
    ATTACHED = "Attached"
    IDLE = "Idle"
    STOPPING = "Stopping"
    DELETING = "Deleting"


class Target(StrEnum):
    """What the last request wants."""

    READY = "READY"
    IDLE = "IDLE"
    GONE = "GONE"


RUNNING = (Status.READY, Status.ATTACHING, Status.ATTACHED)


class Editor(Base):
    """A Workspace."""

    __tablename__ = "editors"
    __table_args__ = (
        Index("ix_editors_listing", "account_id", "region", "creation_time", "id"),
        Index("ix_editors_unsettled", "unsettled", "id"),
        Index("ix_editors_activity_due", "activity_due"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    region: Mapped[str]
    studio_id: Mapped[str] = mapped_column(index=True)
    """Not a foreign key: a Workspace outlives its Studio."""
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    notebook_name: Mapped[str | None] = mapped_column(default=None)
    """Its first notebook's file, once the Workspace has another name than it."""
    creator_user_id: Mapped[str]
    collaboration: Mapped[bool] = mapped_column(default=False)
    """On: its owner and collaborators use it at the same time, and nobody else sees it."""
    creation_time: Mapped[dt.datetime]
    last_modified_time: Mapped[dt.datetime]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)

    # Kept from the Studio as it was when the Workspace was made: both outlive the Studio.
    s3_location: Mapped[str]
    service_role_arn: Mapped[str]
    encryption_key_arn: Mapped[str | None] = mapped_column(default=None)
    """The Studio's KMS key, as the running server's mirror knows it; follows the Studio's while that is there."""

    status: Mapped[str]
    target: Mapped[str]
    unsettled: Mapped[bool] = mapped_column(default=True)
    """The controller has work: status is not the target, or a running Workspace needs a look."""
    state_code: Mapped[str | None] = mapped_column(default=None)
    state_message: Mapped[str | None] = mapped_column(default=None)

    uid: Mapped[int]
    """The Workspace's own user on its host; never used twice."""
    subnet_id: Mapped[str]
    availability_zone: Mapped[str]
    crashes: Mapped[int] = mapped_column(default=0)
    """Unasked ends of the server since the last start that a user asked for."""
    files_unsaved: Mapped[bool] = mapped_column(default=False)
    """The last stop could not save everything to S3: the host's folder holds more."""
    retry_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    address: Mapped[str] = mapped_column(default="")
    """What the edge dials; empty unless the server runs."""
    launched_at: Mapped[dt.datetime | None] = mapped_column(default=None)

    idle_seconds: Mapped[int | None] = mapped_column(default=None)
    """Its own limit (0: never stopped); None: `settings.workspace_idle_seconds`."""
    active_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    """When something was last seen at work in it."""
    activity_due: Mapped[dt.datetime | None] = mapped_column(default=None)
    """When to look again; None unless it runs."""
    idle_stop_at: Mapped[dt.datetime | None] = mapped_column(default=None)
    """The warning: it is stopped then unless something happens."""

    wanted_cluster_id: Mapped[str | None] = mapped_column(default=None)
    wanted_role_arn: Mapped[str | None] = mapped_column(default=None)
    """The runtime role of its kernels; None for the cluster's own."""
    role_user_id: Mapped[str | None] = mapped_column(default=None)
    """Who attached it with a runtime role: nobody else may use it."""
    attached_cluster_id: Mapped[str | None] = mapped_column(default=None)
    """The cluster that the running server's gateway points to."""

    open_by_user_id: Mapped[str | None] = mapped_column(default=None)
    open_by_name: Mapped[str | None] = mapped_column(default=None)
    open_since: Mapped[dt.datetime | None] = mapped_column(default=None)
    open_seen_at: Mapped[dt.datetime | None] = mapped_column(default=None)


class Collaborator(Base):
    """Who may use a Workspace beside its owner while collaboration is on (emr-studio.md 6.4).

    Known by the unique id of the user or role: one of the same name that is made later is somebody else.
    """

    __tablename__ = "workspace_collaborators"

    editor_id: Mapped[str] = mapped_column(ForeignKey("editors.id", ondelete="CASCADE"), primary_key=True)
    principal_id: Mapped[str] = mapped_column(primary_key=True)
    session_name: Mapped[str] = mapped_column(primary_key=True, default="")
    """Of a role's session; empty for a user, and for all sessions of the role."""
    identity_type: Mapped[str]
    identity_name: Mapped[str]
    """As it was added: user name, `RoleName` or `RoleName:SessionName`."""
    creation_time: Mapped[dt.datetime]


class UidNumber(Base):
    """Numbers handed out to Workspaces; the row stays, so that no user id is used twice."""

    __tablename__ = "workspace_uids"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    editor_id: Mapped[str]


@dataclass(frozen=True)
class EdgeTarget:
    """What the edge needs to send a request to a Workspace. `address` is empty unless it runs."""

    editor_id: str
    account_id: str
    studio_id: str
    creator_user_id: str
    collaboration: bool
    address: str
    status: str
    open_by_user_id: str | None
    open_by_name: str | None
    open_seen_at: dt.datetime | None
    role_user_id: str | None = None


DETACHED: dict[str, Any] = {"wanted_cluster_id": None, "wanted_role_arn": None, "role_user_id": None}
"""Columns of a Workspace that is to have no compute."""


def find_editor(session: Session, account_id: str, editor_id: str) -> Editor:
    """Return the account's Workspace.

    Raises:
        InvalidRequest: if the account has none of that id.
    """
    editor = session.get(Editor, editor_id)
    if editor is None or editor.account_id != account_id:
        raise InvalidRequest(f"Editor '{editor_id}' does not exist.")
    return editor


def edge_target(session: Session, editor_id: str) -> EdgeTarget | None:
    """Return where the Workspace is; None if there is none of that id (as in its ARN, `e-ABC…`)."""
    held = (Editor.open_by_user_id, Editor.open_by_name, Editor.open_seen_at)
    shared = (Editor.creator_user_id, Editor.collaboration)
    columns = (Editor.account_id, Editor.studio_id, *shared, Editor.address, Editor.status, *held, Editor.role_user_id)
    row = session.execute(select(*columns).where(Editor.id == editor_id)).one_or_none()
    return None if row is None else EdgeTarget(editor_id=editor_id, **row._mapping)


def is_anothers(editor: Editor | EdgeTarget, user_id: str) -> bool:
    """Whether somebody else has attached it with a runtime role: it is hers alone."""
    return editor.role_user_id not in (None, user_id)


def may_use(session: Session, editor: Editor | EdgeTarget, user_id: str) -> bool:
    """False for who is neither owner nor collaborator of a Workspace with collaboration on (6.9).

    `user_id` is the caller's `aws:userid`. One that is attached with a runtime role is for who attached it alone.
    """
    if is_anothers(editor, user_id):
        return False
    if not editor.collaboration or editor.creator_user_id == user_id:
        return True
    editor_id = editor.id if isinstance(editor, Editor) else editor.editor_id
    return bool(session.scalar(select(exists().where(Collaborator.editor_id == editor_id, _is(user_id)))))


def used_by(user_id: str) -> ColumnElement[bool]:
    """The same as a condition on `Editor`, for lists."""
    added = exists().where(Collaborator.editor_id == Editor.id, _is(user_id))
    return or_(Editor.collaboration.is_(False), Editor.creator_user_id == user_id, added)


def _is(user_id: str) -> ColumnElement[bool]:
    principal_id, _, session_name = user_id.partition(":")
    named = Collaborator.session_name.in_(("", session_name))
    return (Collaborator.principal_id == principal_id) & named


def held_by_other(target: EdgeTarget, user_id: str, now: dt.datetime, idle_seconds: int) -> str | None:
    """Name of another user who has the Workspace open at present; None if the caller may use it.

    A hold ends when its holder has been idle for `idle_seconds` (`settings.session_idle_seconds`).
    """
    if target.open_by_user_id in (None, user_id) or target.open_seen_at is None:
        return None
    idle = (now - target.open_seen_at).total_seconds()
    return target.open_by_name if idle <= idle_seconds else None


def note_activity(database: Database, target: EdgeTarget, user_id: str, now: dt.datetime) -> None:
    """Remember that the holder still uses the Workspace; the edge calls it for each request.

    Writes at most twice a minute, and never for anybody but the holder.
    """
    seen = target.open_seen_at
    if target.open_by_user_id != user_id or (seen is not None and now - seen < _ACTIVITY_STEP):
        return
    with database.write() as session:
        session.execute(
            update(Editor)
            .where(Editor.id == target.editor_id, Editor.open_by_user_id == user_id)
            .values(open_seen_at=now)
        )


def keep_hold(database: Database, target: EdgeTarget, caller: Caller, now: dt.datetime) -> None:
    """Note the use of a Workspace that nobody else holds: of two who come at once, one becomes its holder."""
    if target.open_by_user_id == caller.user_id:
        note_activity(database, target, caller.user_id, now)
        return
    hold = {"open_by_user_id": caller.user_id, "open_by_name": display_name(caller)}
    with database.write() as session:
        session.execute(
            update(Editor)
            .where(Editor.id == target.editor_id, Editor.address != "")
            .where(Editor.open_by_user_id.is_not_distinct_from(target.open_by_user_id))
            .values(**hold, open_since=now, open_seen_at=now)
        )


def display_name(caller: Caller) -> str:
    """What the User column shows: the user's name, or `Role/session`."""
    if caller.role_name and caller.session_name:
        return f"{caller.role_name}/{caller.session_name}"
    return caller.user_name or caller.session_name or caller.user_id


def editor_arn(editor: Editor) -> str:
    """`arn:aws:elasticmapreduce:<region>:<account>:editor/<id>`."""
    return emr_arn(editor.region, editor.account_id, f"editor/{editor.id}")


def workload_owner(editor_id: str) -> str:
    """Owner of a Workspace's workload and grants."""
    return f"editor/{editor_id}"


def default_notebook(editor: Editor) -> str:
    """The notebook that every Workspace begins with; a new name of the Workspace does not move it."""
    return editor.notebook_name or f"{editor.name}.ipynb"


def kernel_variables(editor: Editor) -> dict[str, str]:
    """What kernels of a Workspace are told of it, by the names of EMR's (emr-studio.md 7.3)."""
    bucket, _, prefix = editor.s3_location.removeprefix("s3://").partition("/")
    return {
        "KERNEL_WORKSPACE_ID": editor.id,
        "KERNEL_WORKSPACE_DIR_S3_BUCKET": bucket,
        "KERNEL_WORKSPACE_DIR_S3_PREFIX": prefix.rstrip("/"),
        "KERNEL_WORKSPACE_DIR_S3_LOCATION": editor.s3_location,
    }


def next_uid(session: Session, editor_id: str) -> int:
    """A user id of its own for a Workspace: 200001 and up; call in a writing session."""
    row = UidNumber(editor_id=editor_id)
    session.add(row)
    session.flush()
    return _UID_BASE + row.number
