"""The token by which a running Workspace is known when its git asks for credentials; each start has a new one."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.workspaces.model import RUNNING, Editor
from emr_studio.workspaces.repositories.model import GitToken


def new_token(session: Session, editor_id: str) -> str:
    """Make one; the one before is good for nothing any more. Call in a writing session."""
    token = secrets.token_urlsafe(32)
    row = session.get(GitToken, editor_id)
    if row is None:
        session.add(GitToken(editor_id=editor_id, token_hash=_digest(token)))
    else:
        row.token_hash = _digest(token)
    return token


def workspace_of(session: Session, token: str) -> Editor | None:
    """The running Workspace that has the token; None if there is none."""
    held = Editor.id == GitToken.editor_id, GitToken.token_hash == _digest(token), Editor.status.in_(RUNNING)
    return session.scalars(select(Editor).where(*held)).first()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
