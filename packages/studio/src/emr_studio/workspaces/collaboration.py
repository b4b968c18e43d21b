"""Who can be a collaborator of a Workspace, and how they are named (emr-studio.md 6.4).

owner                a collaborator is named
IAM user             by user name
session of a role    `RoleName` (all who assume it) or `RoleName:SessionName` (one person)
Identity Center user by user name, in a Studio with that sign-in: none is served yet
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.entities import find_by_name
from emr_studio.iam.model import Role, User
from emr_studio.iam.prospects import could_be_allowed
from emr_studio.iam.services import role_allows
from emr_studio.studios.model import Studio, entry_check
from emr_studio.workspaces.model import Collaborator, Editor

MAX_IDENTITIES = 5
"""The owner is one of them."""
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class IdentityType(StrEnum):
    IAM_USER = "IAM_USER"
    IAM_ROLE = "IAM_ROLE"
    IDENTITY_CENTER_USER = "IDENTITY_CENTER_USER"


@dataclass(frozen=True)
class Identity:
    """A user or role of the account; `name` as IAM spells it."""

    type: IdentityType
    principal_id: str
    session_name: str
    name: str
    arn: str

    @property
    def user_id(self) -> str:
        """The `aws:userid` of its sessions; of a role without session name its id alone."""
        return f"{self.principal_id}:{self.session_name}" if self.session_name else self.principal_id


_KINDS = {
    IdentityType.IAM_USER: "an IAM user",
    IdentityType.IAM_ROLE: "a role",
    IdentityType.IDENTITY_CENTER_USER: "an Identity Center user",
}


def owner_type(editor: Editor) -> IdentityType:
    """What the owner is, by the unique id.

    Raises:
        InvalidRequest: neither a user nor a role's session: such an owner has no collaborators.
    """
    if editor.creator_user_id.startswith("AIDA"):
        return IdentityType.IAM_USER
    if editor.creator_user_id.startswith("AROA"):
        return IdentityType.IAM_ROLE
    raise InvalidRequest(
        f"The owner of Editor '{editor.id}' is neither an IAM user nor a role's session: nobody can be added to it."
    )


def resolve(session: Session, editor: Editor, name: str, asked: str | None) -> Identity:
    """The identity of that name, of the owner's type.

    Raises:
        InvalidRequest: there is none, or it is of another type.
    """
    wanted = owner_type(editor)
    found = _find(session, editor.account_id, wanted, name)
    if asked in (None, wanted) and found is not None:
        return found
    actual = IdentityType(asked) if asked else _type_of(session, editor.account_id, name)
    if actual is not None and actual != wanted:
        raise InvalidRequest(
            f"The owner of Editor '{editor.id}' is {_KINDS[wanted]}, and so must its collaborators be: "
            f"'{name}' is {_KINDS[actual]}."
        )
    raise InvalidRequest(f"There is no {'user' if wanted == IdentityType.IAM_USER else 'role'} '{name}'.")


def _type_of(session: Session, account_id: str, name: str) -> IdentityType | None:
    kinds = (IdentityType.IAM_USER, IdentityType.IAM_ROLE)
    return next((kind for kind in kinds if _find(session, account_id, kind, name)), None)


def _find(session: Session, account_id: str, kind: IdentityType, name: str) -> Identity | None:
    if kind == IdentityType.IAM_USER:
        user = find_by_name(session, User, account_id, name)
        return Identity(kind, user.id, "", user.name, user.arn) if user else None
    role_name, colon, session_name = name.partition(":")
    if colon and not _SESSION_NAME.fullmatch(session_name):
        return None
    role = find_by_name(session, Role, account_id, role_name)
    return Identity(kind, role.id, session_name, f"{role.name}{colon}{session_name}", role.arn) if role else None


def collaborators(session: Session, editor_id: str) -> list[Collaborator]:
    """Those who were added, oldest first; the owner is not among them."""
    query = select(Collaborator).where(Collaborator.editor_id == editor_id)
    return list(session.scalars(query.order_by(Collaborator.creation_time, Collaborator.identity_name)))


def add(context: Context, editor: Editor, identity: Identity) -> None:
    """Add a collaborator; one who is in it already stays.

    Raises:
        InvalidRequest: collaboration is off, it is the owner, the Workspace is full, the service role
            may not look the identity up, or the identity has no access to the Studio.
    """
    _require_room(context, editor, identity)
    _require_access(context, editor, identity)
    known = collaborators(context.session, editor.id)
    if any((c.principal_id, c.session_name) == (identity.principal_id, identity.session_name) for c in known):
        return
    # One of that name who is gone by now takes no place.
    for gone in [c for c in known if c.identity_name == identity.name]:
        context.session.delete(gone)
        known.remove(gone)
    if len(known) + 1 >= MAX_IDENTITIES:
        raise InvalidRequest(f"Editor '{editor.id}' has {MAX_IDENTITIES} collaborators including its owner, the most.")
    context.session.add(
        Collaborator(
            editor_id=editor.id,
            principal_id=identity.principal_id,
            session_name=identity.session_name,
            identity_type=identity.type,
            identity_name=identity.name,
            creation_time=context.now(),
        )
    )
    context.session.flush()


def _require_room(context: Context, editor: Editor, identity: Identity) -> None:
    if not editor.collaboration:
        raise InvalidRequest(f"Collaboration is off for Editor '{editor.id}'; turn it on with UpdateEditor first.")
    if identity.user_id == editor.creator_user_id:
        raise InvalidRequest(f"'{identity.name}' is the owner of Editor '{editor.id}'.")
    action = "iam:GetUser" if identity.type == IdentityType.IAM_USER else "iam:GetRole"
    if not role_allows(context.session, context.clock, editor.service_role_arn, [Check(action, identity.arn)]):
        raise InvalidRequest(
            f"The Studio's service role {editor.service_role_arn} may not do {action} on {identity.arn}: "
            "Workspace collaboration needs it."
        )


def _require_access(context: Context, editor: Editor, identity: Identity) -> None:
    """Users with access to the Studio can be added (emr-studio.md 6.4): those who may sign in to it."""
    studio = context.session.get(Studio, editor.studio_id)
    if studio is None:
        raise InvalidRequest(f"The Studio of Editor '{editor.id}' no longer exists: nobody can be added to it.")
    entity: User | Role
    if identity.type == IdentityType.IAM_USER:
        entity = context.session.get_one(User, identity.principal_id)
    else:
        entity = context.session.get_one(Role, identity.principal_id)
    check = entry_check(studio)
    circumstances = Circumstances(context.now(), context.region)
    if not could_be_allowed(context.session, entity, check, circumstances, identity.session_name):
        raise InvalidRequest(
            f"'{identity.name}' has no access to Studio '{studio.id}' and cannot be added to its Workspaces: "
            f"no identity-based policy allows {check.action} on {check.resource}."
        )


def remove(session: Session, editor: Editor, name: str) -> None:
    """Remove the collaborator of that name, also one who is no longer in IAM.

    Raises:
        InvalidRequest: nobody of that name was added.
    """
    for row in collaborators(session, editor.id):
        if row.identity_name == name:
            session.delete(row)
            return
    raise InvalidRequest(f"'{name}' is not a collaborator of Editor '{editor.id}'.")
