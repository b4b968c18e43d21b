"""Who may pass to a Workspace, and where it is: the answer to the edge's question.

Asked on every request to a Workspace, so a "yes" is remembered for a second; a "no" never is. A websocket, which
lives for hours, is decided about anew: whoever is cut off from one comes back at once.
What a Workspace runs is its users' code: it gets an identity token made out to it alone, and never
the session's cookie.
"""

from __future__ import annotations

import datetime as dt
import logging
import stat
from dataclasses import dataclass
from pathlib import Path

from emr_studio.aws.context import Caller
from emr_studio.bounded import Bounded
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.edge.identity import IdentityIssuer
from emr_studio.settings import Settings
from emr_studio.signin.edge_answers import edge_page, edge_refusal, from_elsewhere, is_page_load, other_cookies
from emr_studio.signin.model import hash_token
from emr_studio.signin.origins import Kind, Origin, parse_host
from emr_studio.signin.pages import SECURITY_HEADERS
from emr_studio.signin.sessions import ConsoleSessions, SignedIn, cookie_of
from emr_studio.signin.visitors import SIGNED_OUT, NotAdmitted, Visitors, in_use
from emr_studio.workspaces.model import EdgeTarget, held_by_other, keep_hold

log = logging.getLogger(__name__)

REMEMBER = dt.timedelta(seconds=1)
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class _Yes:
    until: dt.datetime
    upstream: str
    identity: str


class WorkspaceEdge:
    """The resolver of kind `workspace`."""

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, sessions: ConsoleSessions, issuer: IdentityIssuer
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._issuer = issuer
        self._visitors = Visitors(settings, clock, sessions)
        self._remembered: Bounded[tuple[str, str], _Yes] = Bounded(_MOST_REMEMBERED)

    def __call__(self, request: EdgeRequest) -> EdgeAnswer:
        """Decide about one request."""
        origin = parse_host(self._settings, request.host)
        if origin is None or origin.kind != Kind.WORKSPACE:
            return edge_page(404, "Not found", "There is nothing at this address.")
        if from_elsewhere(request, origin):
            return edge_refusal(403, "Another page may not use this Workspace on your behalf.")
        token = cookie_of(request.headers)
        known = self._remembered.get((token, origin.host)) if token else None
        if known is not None and self._clock.now() < known.until and not request.upgrade:
            return _pass(request, known)
        return self._decide(request, origin, token)

    def _decide(self, request: EdgeRequest, origin: Origin, token: str | None) -> EdgeAnswer:
        try:
            with self._database.read() as session:
                visitor = self._visitors.admit(session, origin, token, request.source_ip)
        except NotAdmitted as refusal:
            if refusal.status == SIGNED_OUT:
                return self._sign_in(request, refusal.text, refusal.target)
            return edge_page(refusal.status, refusal.title, refusal.text)
        target = visitor.target
        if not target.address:
            return self._not_running(request, target)
        self._note_use(target, visitor.signed_in.caller)
        if visitor.holder is not None:
            return edge_page(403, "In use", in_use(visitor.holder))
        return self._yes(request, visitor.signed_in, target)

    def _note_use(self, target: EdgeTarget, caller: Caller) -> None:
        """Who comes to a Workspace that nobody else holds becomes its holder."""
        now = self._clock.now()
        if held_by_other(target, caller.user_id, now, self._settings.session_idle_seconds) is None:
            keep_hold(self._database, target, caller, now)

    def _yes(self, request: EdgeRequest, found: SignedIn, target: EdgeTarget) -> EdgeAnswer:
        if not _is_plain_socket(target.address):
            log.error("the address %s of %s is not a socket of its own", target.address, target.editor_id)
            return edge_refusal(503, "The Workspace does not answer.")
        now = self._clock.now()
        session, ip = hash_token(found.token), request.source_ip
        identity = self._issuer.issue(target.editor_id, found.caller, now, session=session, source_ip=ip)
        yes = self._remembered[found.token, found.origin.host] = _Yes(now + REMEMBER, target.address, identity)
        return _pass(request, yes)

    def _sign_in(self, request: EdgeRequest, why: str, target: EdgeTarget | None) -> EdgeAnswer:
        if not is_page_load(request):
            # A redirect breaks a websocket, and a script would follow it to a page it cannot read.
            return edge_refusal(401, why)
        if target is None:
            return edge_page(404, "Not found", "There is no such Workspace.")
        studio = self._settings.studio_url(target.studio_id)
        headers = SECURITY_HEADERS | {"Location": f"{studio}/#/open/{target.editor_id}"}
        return EdgeAnswer(302, response_headers=headers)

    def _not_running(self, request: EdgeRequest, target: EdgeTarget) -> EdgeAnswer:
        if not is_page_load(request):
            return edge_refusal(503, f"The Workspace is not running (it is {target.status}).")
        if target.status == "Starting":
            return edge_page(503, "Starting your Workspace", "It opens here as soon as it is ready.", refresh=True)
        link = (f"{self._settings.studio_url(target.studio_id)}/#/open/{target.editor_id}", "Go to its Studio")
        return edge_page(503, "This Workspace is stopped", "Start it in its Studio, then open it again.", link=link)


def _pass(request: EdgeRequest, yes: _Yes) -> EdgeAnswer:
    headers = {"Cookie": other_cookies(request), "Authorization": DELETE}
    return EdgeAnswer(upstream=yes.upstream, identity=yes.identity, headers=headers)


def _is_plain_socket(address: str) -> bool:
    """False for a socket that is a symbolic link: its folder belongs to the Workspace's own user."""
    path = address.removeprefix("unix/")
    if path == address:
        return True
    try:
        return stat.S_ISSOCK(Path(path).lstat().st_mode)
    except OSError:
        return True  # gone for the moment: the edge says so
