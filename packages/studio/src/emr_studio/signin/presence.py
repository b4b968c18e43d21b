"""A Workspace asks about those who have it open: may they still be there?

    POST /_workspace/presence   [identity token, …]  ->  [true | false, …]

The edge asks us about each request, but a websocket is one request that lives for hours. So a Workspace's
server sends, every few seconds, the tokens with which its websockets were opened, and closes those of
which the answer is no: of a collaborator who was removed, a user who is gone, whom a policy no longer
lets in, or whom somebody else's turn keeps out. The tokens are as good as a signature and give away
nothing: with one of them a Workspace learns about its own visitor, yes or no.

A session that has been idle for long lets nobody in any more, but is still known until its time is over: such a
page (of a laptop that slept) keeps what it has open as long as its user may be there.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emr_studio.bodies import short_body
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.edge.identity import IdentityError, IdentityIssuer
from emr_studio.settings import Settings
from emr_studio.signin.model import ConsoleSession
from emr_studio.signin.origins import parse_host
from emr_studio.signin.pages import SECURITY_HEADERS, refused
from emr_studio.signin.sessions import LONGEST, ConsoleSessions
from emr_studio.signin.visitors import NotAdmitted, Visitors
from emr_studio.workspaces.model import edge_target, may_use

PATH = "/_workspace/presence"
_MOST = 200
_MAX_BODY = 262_144


@dataclass(frozen=True)
class Presence:
    """Answers the question above."""

    settings: Settings
    database: Database
    clock: Clock
    sessions: ConsoleSessions
    issuer: IdentityIssuer

    def routes(self) -> list[BaseRoute]:
        """The address above."""
        return [Route(PATH, self._ask, methods=["POST"])]

    async def _ask(self, request: Request) -> Response:
        body = await short_body(request, _MAX_BODY)
        if body is None:
            return refused(413, "That is too much to ask at once.")
        try:
            tokens = msgspec.json.decode(body, type=list[str])
        except msgspec.DecodeError:
            return refused(400, "Send a list of identity tokens.")
        if len(tokens) > _MOST:
            return refused(413, "That is too much to ask at once.")
        return JSONResponse(await run_in_threadpool(self.of, tokens), headers=SECURITY_HEADERS)

    def of(self, tokens: list[str]) -> list[bool]:
        """For each token, whether its user may still be in the Workspace that it was made out to."""
        with self.database.read() as session:
            return [self._may_stay(session, token) for token in tokens]

    def _may_stay(self, session: Session, token: str) -> bool:
        try:
            claims = self.issuer.read(token)
        except IdentityError:
            return False
        if self.clock.now() - dt.datetime.fromtimestamp(claims["iat"], dt.UTC) > LONGEST:
            return False
        return self._is_admitted(session, claims)

    def _is_admitted(self, session: Session, claims: dict[str, Any]) -> bool:
        target = edge_target(session, claims["aud"])
        if target is None or not may_use(session, target, claims["sub"]):
            return False
        row = session.get(ConsoleSession, claims.get("sid", ""))
        origin = parse_host(self.settings, row.origin) if row is not None else None
        if row is None or origin is None:
            return True
        found = self.sessions.as_now(session, row, origin)
        if found is None or origin.resource_id != target.editor_id:
            return False
        try:
            visitor = Visitors(self.settings, self.clock, self.sessions).judge(
                session, found, target, claims.get("ip", "")
            )
        except NotAdmitted:
            return False
        return visitor.holder is None
