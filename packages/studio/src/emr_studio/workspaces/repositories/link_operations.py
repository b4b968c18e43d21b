"""Link and unlink: they write what is wanted; the controller clones, or takes the credentials away."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.controllers import Waker
from emr_studio.workspaces.checks import find, require_member
from emr_studio.workspaces.model import RUNNING, Editor, Status
from emr_studio.workspaces.repositories.model import (
    HELD,
    KIND,
    MOST_LINKS,
    LinkStatus,
    Repository,
    RepositoryLink,
    find_repository,
    links_of,
)
from emr_studio.workspaces.rules import require_status


@operation("emr", "LinkRepository", checks=action("elasticmapreduce:LinkRepository"))
def link_repository(context: Context, request: Request) -> Response:
    """Clone a repository into a folder of its name in a running Workspace; also once more after a failure (GT-03)."""
    editor, repository = _asked(context, request)
    require_status(editor, RUNNING, "link a repository")
    link = _link(context, editor, repository)
    if link is not None and link.status in HELD:
        raise InvalidRequest(f"Repository '{repository.name}' is {link.status} with editor '{editor.id}'.")
    held = sum(other.status in HELD for other, _ in links_of(context.session, editor.id))
    if held >= MOST_LINKS:
        raise InvalidRequest(f"At most {MOST_LINKS} repositories can be linked with a Workspace. Unlink one first.")
    if link is None:
        link = RepositoryLink(id=ids.repository_link_id(), editor_id=editor.id, repository_id=repository.id)
        context.session.add(link)
    link.user_id = context.caller.user_id
    _begin(context, link, LinkStatus.LINKING)
    return {}


@operation("emr", "UnlinkRepository", checks=action("elasticmapreduce:UnlinkRepository"))
def unlink_repository(context: Context, request: Request) -> Response:
    """Take a repository's credentials from a Workspace; its files stay (GT-05). A failed link is forgotten."""
    editor, repository = _asked(context, request)
    require_status(editor, (*RUNNING, Status.IDLE), "unlink a repository")
    link = _link(context, editor, repository)
    if link is None:
        raise InvalidRequest(f"Repository '{repository.name}' is not linked with editor '{editor.id}'.")
    if link.status in (LinkStatus.LINKING, LinkStatus.UNLINKING):
        raise InvalidRequest(f"Repository '{repository.name}' is {link.status}; wait until that is done.")
    if link.status == LinkStatus.LINK_FAILED or editor.status == Status.IDLE:
        # Nothing runs that would have to be told: without a link it is given no credentials.
        context.session.delete(link)
        return {}
    _begin(context, link, LinkStatus.UNLINKING)
    return {}


def _asked(context: Context, request: Request) -> tuple[Editor, Repository]:
    editor = find(context, request)
    require_member(context, editor)
    return editor, find_repository(context.session, context.account_id, context.region, request["RepositoryName"])


def _link(context: Context, editor: Editor, repository: Repository) -> RepositoryLink | None:
    both = RepositoryLink.editor_id == editor.id, RepositoryLink.repository_id == repository.id
    return context.session.scalars(select(RepositoryLink).where(*both)).first()


def _begin(context: Context, link: RepositoryLink, status: LinkStatus) -> None:
    link.status, link.reason = status, None
    link.attempt, link.asked_at = ids.repository_link_id(), context.now()
    context.session.flush()
    waker, link_id = context.port(Waker), link.id
    context.after_commit(lambda: waker.wake(KIND, link_id))


def described_links(context: Context, editor: Editor) -> list[dict[str, Any]]:
    """`Repositories` of a Workspace: what it is linked with, and how that stands."""
    return [
        {"RepositoryName": repository.name, "Status": link.status}
        | ({"StateChangeReason": link.reason} if link.reason else {})
        for link, repository in links_of(context.session, editor.id)
    ]
