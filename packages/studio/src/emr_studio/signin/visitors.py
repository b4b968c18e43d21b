"""Who may be in a Workspace: asked for what the edge passes to it, and for what its page asks of us."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy.orm import Session

from emr_studio.clock import Clock
from emr_studio.settings import Settings
from emr_studio.signin.origins import Origin
from emr_studio.signin.sessions import ConsoleSessions, SignedIn
from emr_studio.workspaces.model import EdgeTarget, edge_target, held_by_other, is_anothers, may_use

SIGNED_OUT = 401
_ANOTHERS = "Somebody else has attached this Workspace with a runtime role: until it is detached it is theirs alone."


class NotAdmitted(Exception):
    """Why somebody may not be in a Workspace; `target` is the Workspace, if there is one."""

    def __init__(self, status: int, title: str, text: str, target: EdgeTarget | None = None) -> None:
        super().__init__(text)
        self.status, self.title, self.text, self.target = status, title, text, target


@dataclass(frozen=True)
class Visitor:
    """Somebody who may be in a Workspace now. `holder` is who has it open and keeps her out, if anybody does."""

    signed_in: SignedIn
    target: EdgeTarget
    holder: str | None


class Visitors:
    """Decides by session, account, IAM and collaboration, from the database as it is now."""

    def __init__(self, settings: Settings, clock: Clock, sessions: ConsoleSessions) -> None:
        self._settings = settings
        self._clock = clock
        self._sessions = sessions

    def admit(self, session: Session, origin: Origin, token: str | None, source_ip: str) -> Visitor:
        """The visitor with the session `token` at the Workspace's `origin`.

        Raises:
            NotAdmitted: 401 if nobody is signed in there, 404 or 403 as it says.
        """
        target = edge_target(session, origin.resource_id or "")
        found = self._sessions.find(session, origin, token)
        if found is None:
            raise NotAdmitted(
                SIGNED_OUT, "Signed out", "Your session has ended. Open this Workspace again from its Studio.", target
            )
        return self.judge(session, found, target, source_ip)

    def judge(self, session: Session, found: SignedIn, target: EdgeTarget | None, source_ip: str) -> Visitor:
        """As `admit`, for a session that was found.

        Raises:
            NotAdmitted: 404 or 403 as it says.
        """
        if found.caller.kind == "root":
            raise NotAdmitted(403, "403: Forbidden", "The root user of an account cannot use Workspaces.")
        if target is None or target.account_id != found.caller.account_id:
            raise NotAdmitted(404, "Not found", "There is no such Workspace.")
        access = self._sessions.access
        if not access.may_enter(session, found.caller, found.origin, source_ip):
            raise NotAdmitted(403, "Access denied", "Your permissions do not allow you to open this Workspace.")
        if access.is_shut_out(session, found.caller, found.studio_id, found.origin, source_ip):
            # She came as a user of the Studio: what she has open ends with her access to it.
            raise NotAdmitted(403, "Access denied", "Your access to this Workspace's Studio was revoked.")
        if is_anothers(target, found.caller.user_id):
            raise NotAdmitted(403, "Private Workspace", _ANOTHERS)
        if not may_use(session, target, found.caller.user_id):
            raise NotAdmitted(403, "Private Workspace", "Only its owner and collaborators may open this Workspace.")
        return Visitor(found, target, self._holder(target, found.caller.user_id, self._clock.now()))

    def _holder(self, target: EdgeTarget, user_id: str, now: dt.datetime) -> str | None:
        if target.collaboration:
            return None
        return held_by_other(target, user_id, now, self._settings.session_idle_seconds)


def in_use(holder: str) -> str:
    """What somebody is told whom `holder` keeps out."""
    return f"{holder} has this Workspace open. One user at a time may use it."
