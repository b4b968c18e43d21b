"""The Workspace operations of our overlay on the EMR API (emr-studio.md 3.2, 6.2, 6.10).

Each writes what is wanted and returns; the controller is woken after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from emr_studio import ids
from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.clusters.model import CLUSTERS, cluster_arn
from emr_studio.controllers import Waker
from emr_studio.edge.presign import Presigner
from emr_studio.network import zones
from emr_studio.settings import Settings
from emr_studio.studios.model import Studio, find_studio, workspace_location
from emr_studio.studios.service_role import pass_role
from emr_studio.tagging import (
    emr_arn,
    read_tags,
    request_tag_context,
    resource_tag_context,
    tag_list,
)
from emr_studio.workspaces import access_operations, compute, idling, runtime_roles
from emr_studio.workspaces.checks import TARGET, editor_check, find, is_allowed, on_editor, require_member
from emr_studio.workspaces.model import (
    DETACHED,
    KIND,
    RUNNING,
    Editor,
    Status,
    Target,
    default_notebook,
    editor_arn,
    next_uid,
    used_by,
)
from emr_studio.workspaces.repositories.link_operations import described_links
from emr_studio.workspaces.repositories.model import is_busy
from emr_studio.workspaces.rules import (
    CREATOR_TAG,
    check_name,
    first_subnet,
    holder,
    other_subnet,
    release_hold,
    require_status,
    take_hold,
)

_PAGE = 50
_MANAGE = "elasticmapreduce:PutWorkspaceAccess"
"""Who may do this could add herself, so it hides nothing from her that collaboration hides."""
OTHERS = (access_operations,)
"""Importing them registers what else can be called."""


# Create, describe, list.


def _on_create(context: Context, request: Request) -> Iterable[Check]:
    tags = read_tags(request.get("Tags"))
    asked = request_tag_context(tags)
    if cluster_id := compute.engine_id(request):
        yield CLUSTERS.check(context, "elasticmapreduce:CreateEditor", cluster_id, asked)
    else:
        yield Check("elasticmapreduce:CreateEditor", "*", asked)
    studio = find_studio(context.session, context.account_id, request["StudioId"])
    cluster = compute.engine_of(context, request)
    yield pass_role(context, studio.service_role_arn)
    if cluster:
        # The Workspace has no id yet; its tags will be these.
        any_editor = emr_arn(context.region, context.account_id, "editor/*")
        new_tags = {**tags, CREATOR_TAG: context.caller.user_id}
        yield Check("elasticmapreduce:AttachEditor", any_editor, resource_tag_context(new_tags))
        yield Check("elasticmapreduce:AttachEditor", any_editor, resource_tag_context(cluster.tags))
        yield from runtime_roles.role_checks(context, request)


@operation("emr", "CreateEditor", checks=_on_create)
def create_editor(context: Context, request: Request) -> Response:
    """Create a Workspace: it starts at once, and attaches if compute is named (CL-02)."""
    session, settings = context.session, context.port(Settings)
    studio = find_studio(session, context.account_id, request["StudioId"])
    check_name(request["Name"])
    cluster = compute.engine_of(context, request)
    if cluster:
        compute.check_attachable(session, studio, cluster)
    editor_id, now = ids.editor_id(), context.now()
    uid = next_uid(session, editor_id)
    subnet = first_subnet(session, studio, uid)
    editor = Editor(
        id=editor_id,
        account_id=context.account_id,
        region=context.region,
        studio_id=studio.id,
        name=request["Name"],
        description=request.get("Description"),
        creator_user_id=context.caller.user_id,
        collaboration=bool(request.get("CollaborationEnabled")),
        creation_time=now,
        last_modified_time=now,
        tags=_tags_with_creator(context, request),
        s3_location=workspace_location(studio, editor_id),
        service_role_arn=studio.service_role_arn,
        encryption_key_arn=studio.encryption_key_arn,
        status=Status.STARTING,
        target=Target.READY,
        unsettled=True,
        uid=uid,
        subnet_id=subnet.id,
        availability_zone=subnet.availability_zone,
    )
    if cluster:
        runtime_roles.want(context, editor, cluster, request)
    session.add(editor)
    session.flush()
    _wake(context, editor)
    return {"EditorId": editor.id, "EditorArn": editor_arn(editor), "Url": settings.workspace_url(editor.id)}


def _tags_with_creator(context: Context, request: Request) -> dict[str, str]:
    tags, creator = read_tags(request.get("Tags")), context.caller.user_id
    if tags.setdefault(CREATOR_TAG, creator) != creator:
        raise InvalidRequest(f"Tag '{CREATOR_TAG}' is set to the caller's own user id; leave it out.")
    return tags


@operation("emr", "DescribeEditor", checks=on_editor("elasticmapreduce:DescribeEditor"))
def describe_editor(context: Context, request: Request) -> Response:
    """Describe a Workspace. A private one only to those in it, and to who could add herself (6.9)."""
    editor = find(context, request)
    require_member(context, editor, unless=_MANAGE)
    links = described_links(context, editor)
    return {"Editor": {**_described(context, editor), **({"Repositories": links} if links else {})}}


@operation("emr", "ListEditors", checks=action("elasticmapreduce:ListEditors"))
def list_editors(context: Context, request: Request) -> Response:
    """List Workspaces, 50 a page, oldest first: of one Studio (there or gone) or of the account.

    Private ones (emr-studio.md 6.9) only to their owner and collaborators; the account's list, which
    no Studio shows, has all of them for who may add collaborators to any.
    """
    statement = select(Editor).where(Editor.account_id == context.account_id, Editor.region == context.region)
    if not _sees_all(context, request.get("StudioId")):
        statement = statement.where(used_by(context.caller.user_id))
    for member, column in (("StudioId", Editor.studio_id), ("Status", Editor.status)):
        if request.get(member):
            statement = statement.where(column == request[member])
    page, marker = paginate(
        context,
        statement,
        (Editor.creation_time, Editor.id),
        _PAGE,
        request.get("Marker"),
        bound_to=f"ListEditors {request.get('StudioId')} {request.get('Status')}",
    )
    answer: dict[str, Any] = {"Editors": [_described(context, editor) for editor in page]}
    return answer if marker is None else {**answer, "Marker": marker}


def _sees_all(context: Context, studio_id: str | None) -> bool:
    """True in the lists of an administrator: of the account, and of what a Studio left behind (AD-06)."""
    if studio_id and context.session.get(Studio, studio_id) is not None:
        return False
    return is_allowed(context, Check(_MANAGE, emr_arn(context.region, context.account_id, "editor/*")))


def _described(context: Context, editor: Editor) -> Mapping[str, Any]:
    settings = context.port(Settings)
    held = holder(editor, context.now(), settings.session_idle_seconds)
    described = {
        "EditorId": editor.id,
        "EditorArn": editor_arn(editor),
        "Name": editor.name,
        "Description": editor.description,
        "StudioId": editor.studio_id,
        "Status": editor.status,
        "StateChangeReason": _reason(context, editor),
        "CreationTime": editor.creation_time,
        "LastModifiedTime": editor.last_modified_time,
        "CreatorUserId": editor.creator_user_id,
        "CollaborationEnabled": editor.collaboration,
        "User": editor.open_by_name if held else None,
        "SubnetId": editor.subnet_id,
        "AvailabilityZone": editor.availability_zone,
        "ExecutionEngine": _engine(editor),
        "IdleTimeoutSeconds": idling.limit_of(editor, settings.workspace_idle_seconds),
        "LastActivityTime": editor.active_at,
        "IdleStopTime": editor.idle_stop_at,
        "DiskQuotaMiB": settings.workspace_disk_mb or None,
        "S3Location": editor.s3_location,
        "Url": settings.workspace_url(editor.id),
        "DefaultNotebook": default_notebook(editor),
        "Tags": tag_list(editor.tags),
    }
    return {member: value for member, value in described.items() if value is not None}


def _reason(context: Context, editor: Editor) -> dict[str, str] | None:
    """Why it is in its state; of one that runs well, what is wrong with its zone."""
    if editor.state_code is None:
        trouble = zones.trouble_of(context.session, editor.availability_zone) if editor.status in RUNNING else ""
        return {"Code": zones.CODE, "Message": f"{trouble} Stop and start it to move it."} if trouble else None
    return {"Code": editor.state_code, "Message": editor.state_message or ""}


def _engine(editor: Editor) -> dict[str, str] | None:
    cluster_id = editor.wanted_cluster_id or editor.attached_cluster_id
    role = {"ExecutionRoleArn": editor.wanted_role_arn} if editor.wanted_role_arn else {}
    return {"Id": cluster_id, "Type": compute.ENGINE_TYPE, **role} if cluster_id else None


# Start, stop, delete.


def _on_start(context: Context, request: Request) -> Iterable[Check]:
    yield TARGET.check(context, "elasticmapreduce:StartEditor", request["EditorId"])
    editor = find(context, request)
    if cluster := compute.engine_of(context, request):
        # Both resources are asked for, so a condition on tags holds for both (emr-studio.md 3.6).
        yield Check("elasticmapreduce:StartEditor", cluster_arn(cluster), resource_tag_context(cluster.tags))
        yield editor_check("elasticmapreduce:AttachEditor", editor)
        yield from runtime_roles.role_checks(context, request)


@operation("emr", "StartEditor", checks=_on_start)
def start_editor(context: Context, request: Request) -> Response:
    """Start a stopped Workspace, in another zone if it can; starting one that starts is no error."""
    editor = find(context, request)
    require_status(editor, (Status.IDLE, Status.STARTING), "start")
    cluster = compute.engine_of(context, request)
    if cluster:
        studio = _studio_of(context, editor)
        compute.check_attachable(context.session, studio, cluster)
        if editor.wanted_cluster_id not in (None, cluster.id):
            raise InvalidRequest(f"Editor '{editor.id}' is already being attached to {editor.wanted_cluster_id}.")
        runtime_roles.want(context, editor, cluster, request)
    if editor.status == Status.IDLE:
        _start(context, editor)
    _wake(context, editor)
    return {}


def _start(context: Context, editor: Editor) -> None:
    place = other_subnet(context.session, _studio_of(context, editor), editor)
    editor.subnet_id, editor.availability_zone = place
    editor.crashes, editor.retry_at, editor.launched_at = 0, None, None
    _move(context, editor, Status.STARTING, Target.READY)


def _studio_of(context: Context, editor: Editor) -> Studio | None:
    return context.session.get(Studio, editor.studio_id)


@operation("emr", "StopEditor", checks=on_editor("elasticmapreduce:StopEditor"))
def stop_editor(context: Context, request: Request) -> Response:
    """Stop a Workspace: files are saved to S3, its kernels end, its compute is detached."""
    editor = find(context, request)
    require_status(editor, (Status.READY, Status.ATTACHED, Status.ATTACHING, Status.STARTING), "stop")
    if is_busy(context.session, editor.id):
        raise InvalidRequest(f"Editor '{editor.id}' cannot be stopped while a repository is being linked or unlinked.")
    _end(context, editor, Status.STOPPING, Target.IDLE)
    return {}


@operation("emr", "DeleteEditor", checks=on_editor("elasticmapreduce:DeleteEditor"))
def delete_editor(context: Context, request: Request) -> Response:
    """Delete a Workspace; its files in S3 stay."""
    editor = find(context, request)
    require_status(editor, (Status.READY, Status.ATTACHED, Status.IDLE), "delete")
    _end(context, editor, Status.DELETING, Target.GONE)
    return {}


def _end(context: Context, editor: Editor, status: Status, target: Target) -> None:
    release_hold(editor)
    editor.address = ""
    _set(editor, {**idling.ENDED, **DETACHED})
    _move(context, editor, status, target)
    _wake(context, editor)


def _set(editor: Editor, columns: Mapping[str, Any]) -> None:
    for column, value in columns.items():
        setattr(editor, column, value)


def _move(context: Context, editor: Editor, status: Status, target: Target) -> None:
    editor.status, editor.target = status, target
    editor.state_code = editor.state_message = None
    editor.last_modified_time = context.now()
    editor.unsettled = True


def _wake(context: Context, editor: Editor) -> None:
    editor.unsettled = True
    waker, editor_id = context.port(Waker), editor.id
    context.after_commit(lambda: waker.wake(KIND, editor_id))


# Attach, detach.


def _on_attach(context: Context, request: Request) -> Iterable[Check]:
    yield TARGET.check(context, "elasticmapreduce:AttachEditor", request["EditorId"])
    editor = find(context, request)
    if cluster := compute.engine_of(context, request):
        # The action's resource is the editor alone, but a condition on tags holds for both.
        yield Check("elasticmapreduce:AttachEditor", editor_arn(editor), resource_tag_context(cluster.tags))
        yield from runtime_roles.role_checks(context, request)


@operation("emr", "AttachEditor", checks=_on_attach)
def attach_editor(context: Context, request: Request) -> Response:
    """Attach a Workspace to a cluster; what is attached must be detached first (CL-05)."""
    editor = find(context, request)
    cluster = compute.engine_of(context, request)
    if cluster is None:
        raise InvalidRequest("ExecutionEngine.Id is required.")
    if editor.status == Status.ATTACHED:
        raise InvalidRequest(
            f"Editor '{editor.id}' is {editor.status} to {editor.attached_cluster_id}; detach that first."
        )
    require_status(editor, (Status.READY,), "attach")
    compute.check_attachable(context.session, _studio_of(context, editor), cluster)
    runtime_roles.want(context, editor, cluster, request)
    _move(context, editor, Status.ATTACHING, Target.READY)
    _wake(context, editor)
    return {}


@operation("emr", "DetachEditor", checks=on_editor("elasticmapreduce:DetachEditor"))
def detach_editor(context: Context, request: Request) -> Response:
    """Detach a Workspace from its compute; open files and layout stay."""
    editor = find(context, request)
    require_status(editor, (Status.ATTACHED, Status.ATTACHING), "detach")
    _set(editor, DETACHED)
    editor.last_modified_time = context.now()
    _wake(context, editor)
    return {}


# Open.


@operation("emr", "OpenEditorInConsole", checks=on_editor("elasticmapreduce:OpenEditorInConsole"))
def open_editor_in_console(context: Context, request: Request) -> Response:
    """Make a link that opens the Workspace as the caller, who then holds it.

    A stopped Workspace is started (emr-studio.md 6.2), for which the caller needs StartEditor too.
    """
    editor, settings = find(context, request), context.port(Settings)
    require_member(context, editor)
    require_status(editor, (Status.READY, Status.ATTACHING, Status.ATTACHED, Status.IDLE), "open")
    take_hold(editor, context.caller, context.now(), settings.session_idle_seconds)
    if editor.status in RUNNING:
        _set(editor, idling.begun(context.now()))
    if editor.status == Status.IDLE:
        context.authorize(editor_check("elasticmapreduce:StartEditor", editor))
        _start(context, editor)
        _wake(context, editor)
    url, expiration = context.port(Presigner).presign_editor(
        context.session, context.caller, editor.id, editor.studio_id, default_notebook(editor)
    )
    return {"Url": url, "Expiration": expiration}
