"""What a Workspace's name may be, who holds it, and in which subnet it starts.

AWS publishes no rule for Workspace names; a name becomes a file's name (`<name>.ipynb`) and part of
an S3 key, so: 1 to 128 characters, at most 200 bytes in UTF-8, no control characters, none of
`/ \\ :`, no dot or space at the beginning and no space at the end.
"""

from __future__ import annotations

import datetime as dt
import unicodedata

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import InvalidRequest
from emr_studio.network.model import Subnet, get_subnets
from emr_studio.network.zones import healthy, trouble_of
from emr_studio.studios.model import Studio
from emr_studio.workspaces.model import Editor, Status, display_name

CREATOR_TAG = "creatorUserId"
_MAX_NAME = 128
_MAX_NAME_BYTES = 200  # a file name has at most 255, and Jupyter adds to it (checkpoints)
_FORBIDDEN = "/\\:"


def check_name(name: str) -> None:
    """Refuse a name that cannot be a notebook's file name."""
    if not 1 <= len(name) <= _MAX_NAME or len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        raise InvalidRequest(f"Name must have 1 to {_MAX_NAME} characters and at most {_MAX_NAME_BYTES} bytes.")
    if any(c in _FORBIDDEN or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise InvalidRequest("Name must not contain '/', '\\', ':' or control characters: it becomes a file's name.")
    if name[0] in ". " or name[-1] == " ":
        raise InvalidRequest("Name must not begin with a dot or a space or end with a space.")


def require_status(editor: Editor, allowed: tuple[Status, ...], doing: str) -> None:
    """Refuse what the present status does not allow.

    Raises:
        InvalidRequest: naming the status and those in which it can be done.
    """
    if editor.status not in allowed:
        wanted = " or ".join(allowed)
        raise InvalidRequest(f"Editor '{editor.id}' is {editor.status}; to {doing} it must be {wanted}.")


def holder(editor: Editor, now: dt.datetime, idle_seconds: int) -> str | None:
    """User id of who has the Workspace open; None if nobody has, or the holder has been idle for
    longer than a console session lasts (15 minutes by default)."""
    seen = editor.open_seen_at
    if editor.open_by_user_id is None or seen is None or (now - seen).total_seconds() > idle_seconds:
        return None
    return editor.open_by_user_id


def take_hold(editor: Editor, caller: Caller, now: dt.datetime, idle_seconds: int) -> None:
    """Let the caller be the one who has the Workspace open (emr-studio.md 6.9: one at a time).

    With collaboration on others may have it open too: the first stays the one who is shown.

    Raises:
        InvalidRequest: naming who has it open.
    """
    present = holder(editor, now, idle_seconds)
    if present not in (None, caller.user_id):
        if editor.collaboration:
            return
        raise InvalidRequest(
            f"The Workspace '{editor.name}' is in use by {editor.open_by_name}. One user at a time can open it; "
            f"it is free again when it is stopped or {idle_seconds // 60} minutes after its last use."
        )
    if present is None:
        editor.open_since = now
    editor.open_by_user_id, editor.open_by_name, editor.open_seen_at = caller.user_id, display_name(caller), now


def release_hold(editor: Editor) -> None:
    """Nobody has it open."""
    editor.open_by_user_id = editor.open_by_name = editor.open_since = editor.open_seen_at = None


def first_subnet(session: Session, studio: Studio, spread: int) -> Subnet:
    """The subnet of a new Workspace; `spread` (any number) spreads them over the Studio's subnets.

    Raises:
        InvalidRequest: all are in impaired zones.
    """
    subnets = healthy(session, get_subnets(session, studio.account_id, studio.subnet_ids))
    return subnets[spread % len(subnets)]


def other_subnet(session: Session, studio: Studio | None, editor: Editor) -> tuple[str, str]:
    """Subnet and zone of a restart: another zone if the Studio has one, else another subnet (6.5).

    A Workspace whose Studio is gone stays where it was; nothing starts in an impaired zone.

    Raises:
        InvalidRequest: all zones that it could start in are impaired.
    """
    if studio is None:
        if trouble := trouble_of(session, editor.availability_zone):
            raise InvalidRequest(trouble)
        return editor.subnet_id, editor.availability_zone
    subnets = get_subnets(session, studio.account_id, studio.subnet_ids)
    good = {subnet.id for subnet in healthy(session, subnets)} - {editor.subnet_id}
    position = next((i for i, s in enumerate(subnets) if s.id == editor.subnet_id), -1)
    others = [
        s for s in subnets[position + 1 :] + subnets[: max(position, 0)] if s.id != editor.subnet_id and s.id in good
    ]
    for subnet in others:
        if subnet.availability_zone != editor.availability_zone:
            return subnet.id, subnet.availability_zone
    return (others[0].id, others[0].availability_zone) if others else (editor.subnet_id, editor.availability_zone)
