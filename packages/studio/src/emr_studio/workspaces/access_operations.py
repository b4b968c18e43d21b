"""Operations that say what a Workspace is called and who works in it (emr-studio.md 3.2, 6.4)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.workspaces import collaboration, idling
from emr_studio.workspaces.checks import find, on_editor
from emr_studio.workspaces.model import RUNNING, Collaborator, Editor, Status, default_notebook
from emr_studio.workspaces.rules import check_name, require_status

_PAGE = 50
_CHANGEABLE = ("Name", "Description", "CollaborationEnabled", "IdleTimeoutSeconds")
_LIVING = tuple(status for status in Status if status != Status.DELETING)


@operation("emr", "UpdateEditor", checks=on_editor("elasticmapreduce:UpdateEditor"))
def update_editor(context: Context, request: Request) -> Response:
    """Change a Workspace's name, description, collaboration or idle time; what is absent stays.

    Turning collaboration off brings back one user at a time, and all see it again; who was added is
    kept for the next time.
    """
    editor = find(context, request)
    require_status(editor, _LIVING, "update")
    changes = {member: request[member] for member in _CHANGEABLE if request.get(member) is not None}
    if not changes:
        raise InvalidRequest(f"Give at least one of {', '.join(_CHANGEABLE)}.")
    if "Name" in changes:
        _rename(editor, changes["Name"])
    if "Description" in changes:
        editor.description = changes["Description"] or None
    if "CollaborationEnabled" in changes:
        if changes["CollaborationEnabled"] and editor.role_user_id:
            raise InvalidRequest("Collaboration is not available while the Workspace is attached with a runtime role.")
        editor.collaboration = changes["CollaborationEnabled"]
    if "IdleTimeoutSeconds" in changes:
        _set_limit(context, editor, changes["IdleTimeoutSeconds"])
    editor.last_modified_time = context.now()
    return {}


def _set_limit(context: Context, editor: Editor, seconds: int) -> None:
    if seconds != 0 and not idling.SHORTEST <= seconds <= idling.LONGEST:
        raise InvalidRequest(f"IdleTimeoutSeconds must be 0 (never) or between {idling.SHORTEST} and {idling.LONGEST}.")
    editor.idle_seconds = seconds
    if editor.status in RUNNING:
        # A warning that was given by the old limit is void.
        editor.activity_due, editor.idle_stop_at = context.now(), None


def _rename(editor: Editor, name: str) -> None:
    check_name(name)
    editor.notebook_name = default_notebook(editor)
    editor.name = name


@operation("emr", "PutWorkspaceAccess", checks=on_editor("elasticmapreduce:PutWorkspaceAccess"))
def put_workspace_access(context: Context, request: Request) -> Response:
    """Add a collaborator of the owner's kind: a user of the account, a role, or one session of a role."""
    editor = find(context, request)
    require_status(editor, _LIVING, "change collaborators")
    name = request["IdentityName"]
    identity = collaboration.resolve(context.session, editor, name, request.get("IdentityType"))
    collaboration.add(context, editor, identity)
    return {}


@operation("emr", "DeleteWorkspaceAccess", checks=on_editor("elasticmapreduce:DeleteWorkspaceAccess"))
def delete_workspace_access(context: Context, request: Request) -> Response:
    """Remove a collaborator, who is out within a second."""
    editor = find(context, request)
    require_status(editor, _LIVING, "change collaborators")
    collaboration.remove(context.session, editor, request["IdentityName"])
    return {}


@operation("emr", "ListWorkspaceAccessIdentities", checks=on_editor("elasticmapreduce:ListWorkspaceAccessIdentities"))
def list_workspace_access_identities(context: Context, request: Request) -> Response:
    """List who was added to a Workspace; its owner is not in the list."""
    editor = find(context, request)
    page, marker = paginate(
        context,
        select(Collaborator).where(Collaborator.editor_id == editor.id),
        (Collaborator.creation_time, Collaborator.principal_id, Collaborator.session_name),
        _PAGE,
        request.get("Marker"),
        bound_to=f"ListWorkspaceAccessIdentities {editor.id}",
    )
    answer: dict[str, Any] = {"WorkspaceAccessIdentities": [_described(row) for row in page]}
    return answer if marker is None else {**answer, "Marker": marker}


def _described(row: Collaborator) -> dict[str, Any]:
    return {
        "IdentityType": row.identity_type,
        "IdentityName": row.identity_name,
        "CreationTime": row.creation_time,
    }
