"""How Workspace operations find their Workspace and what they ask IAM about it."""

from __future__ import annotations

from collections.abc import Iterable

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import AccessDenied
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.tagging import TagTarget, register, resource_tag_context
from emr_studio.workspaces.model import Editor, editor_arn, find_editor, is_anothers, may_use

TARGET = TagTarget("editor", find_editor, editor_arn)
register("e-", TARGET)


def find(context: Context, request: Request) -> Editor:
    """The caller's Workspace `EditorId`.

    Raises:
        InvalidRequest: the account has none of that id.
    """
    return find_editor(context.session, context.account_id, request["EditorId"])


def editor_check(name: str, editor: Editor) -> Check:
    """May the caller do `name` (`elasticmapreduce:StopEditor`) with the Workspace?"""
    return Check(name, editor_arn(editor), resource_tag_context(editor.tags))


def on_editor(name: str) -> ChecksFunction:
    """The checks of an operation that asks for `name` on its `EditorId` and nothing more."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        return (TARGET.check(context, name, request["EditorId"]),)

    return checks


def is_allowed(context: Context, check: Check) -> bool:
    """True if IAM allows the caller `check`."""
    try:
        context.authorize(check)
    except AccessDenied:
        return False
    return True


def require_member(context: Context, editor: Editor, unless: str = "") -> None:
    """Refuse whoever collaboration keeps out (emr-studio.md 6.9), whatever IAM allows; not who may do `unless`.

    Raises:
        AccessDenied: collaboration is on, and the caller is neither owner nor collaborator; or somebody else has
            attached the Workspace with a runtime role.
    """
    if may_use(context.session, editor, context.caller.user_id):
        return
    if not unless or not is_allowed(context, editor_check(unless, editor)):
        who = f"User: {context.caller.arn}"
        if is_anothers(editor, context.caller.user_id):
            raise AccessDenied(
                f"{who} did not attach {editor_arn(editor)} with its runtime role, which makes it private."
            )
        raise AccessDenied(f"{who} is neither owner nor collaborator of {editor_arn(editor)}, which is private.")
