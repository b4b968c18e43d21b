"""Who may pass to a cluster's application UIs, and where they are: the answer to the edge's question.

    j-….appui.<domain>/          the live Spark UI of the cluster's Connect server
    j-….appui.<domain>/shs/      its history server, of a live or an ended cluster

They are Spark's own pages. They never get the session's cookie; as any program of this machine could
ask them, they get a token that only we can make.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from emr_studio.bounded import Bounded
from emr_studio.clock import Clock
from emr_studio.clusters.history.model import TOUCH, HistoryServer, ServerState, UiTarget, note_use, ui_target
from emr_studio.clusters.history.operations import HISTORY_PATH
from emr_studio.clusters.ui_keys import token_for
from emr_studio.db import Database
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.settings import Settings
from emr_studio.signin.access import SEE_LIVE, UI_ACTIONS
from emr_studio.signin.edge_answers import edge_page, edge_refusal, from_elsewhere, is_page_load, other_cookies
from emr_studio.signin.origins import Kind, Origin, parse_host
from emr_studio.signin.pages import SECURITY_HEADERS
from emr_studio.signin.sessions import ConsoleSessions, cookie_of

REMEMBER = dt.timedelta(seconds=1)
_MOST_REMEMBERED = 1000


@dataclass(frozen=True)
class _Yes:
    until: dt.datetime
    upstream: str
    authorization: str


class AppUiEdge:
    """The resolver of kind `appui`."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, sessions: ConsoleSessions) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._remembered: Bounded[tuple[str, str, bool], _Yes] = Bounded(_MOST_REMEMBERED)
        self._touched: Bounded[str, dt.datetime] = Bounded(_MOST_REMEMBERED)

    def __call__(self, request: EdgeRequest) -> EdgeAnswer:
        """Decide about one request."""
        origin = parse_host(self._settings, request.host)
        if origin is None or origin.kind != Kind.APP_UI:
            return edge_page(404, "Not found", "There is nothing at this address.")
        if from_elsewhere(request, origin):
            return edge_refusal(403, "Another page may not use these pages on your behalf.")
        token = cookie_of(request.headers)
        if token is None:
            return _signed_out(request, self._settings)
        key = (token, origin.host, is_history(request))
        known = self._remembered.get(key)
        if known is None or self._clock.now() >= known.until:
            decided = self._decide(request, origin, token)
            if isinstance(decided, EdgeAnswer):
                return decided
            known = self._remembered[key] = decided
        return _pass(request, known)

    def _decide(self, request: EdgeRequest, origin: Origin, token: str) -> _Yes | EdgeAnswer:
        with self._database.read() as session:
            found = self._sessions.find(session, origin, token)
            if found is None:
                return _signed_out(request, self._settings)
            target = ui_target(session, origin.resource_id or "", self._clock.now())
            if target is None or target.account_id != found.caller.account_id:
                return edge_page(404, "Not found", "There is no such cluster.")
            actions = UI_ACTIONS if is_history(request) else (SEE_LIVE,)
            access = self._sessions.access
            if not any(access.may_see(session, found.caller, origin, request.source_ip, one) for one in actions):
                return edge_page(403, "Access denied", "Your permissions do not allow you to see this cluster's UIs.")
        return self._history(request, target) if is_history(request) else self._live(request, target)

    def _live(self, request: EdgeRequest, target: UiTarget) -> _Yes | EdgeAnswer:
        if target.live:
            now = self._clock.now()
            return _Yes(now + REMEMBER, target.live, f"Bearer {token_for(target.live_key, now)}")
        if request.path == "/" and is_page_load(request):
            return EdgeAnswer(302, response_headers=SECURITY_HEADERS | {"Location": f"{HISTORY_PATH}/"})
        return edge_page(404, "Not running", f"The cluster is {target.state}: there is its history.", link=_TO_HISTORY)

    def _history(self, request: EdgeRequest, target: UiTarget) -> _Yes | EdgeAnswer:
        if not target.kept:
            return edge_page(410, "No longer kept", "A cluster's history is kept for 30 days after its end.")
        self._touch(target)
        server = target.history
        if server is None or server.state != ServerState.RUNNING:
            return _not_running(request, server)
        now = self._clock.now()
        return _Yes(now + REMEMBER, server.address, f"Bearer {token_for(server.ui_key, now)}")

    def _touch(self, target: UiTarget) -> None:
        """Note that somebody looks, not with every request; a server that was stopped is started again."""
        now = self._clock.now()
        wanted = target.history is not None and target.history.wanted
        if wanted and now - self._touched.get(target.cluster_id, now - TOUCH) < TOUCH:
            return
        self._touched[target.cluster_id] = now
        note_use(self._database, target.cluster_id, now)


_TO_HISTORY = (f"{HISTORY_PATH}/", "Spark history")


def is_history(request: EdgeRequest) -> bool:
    """Whether the request is for the history server."""
    return request.path == HISTORY_PATH or request.path.startswith(f"{HISTORY_PATH}/")


def _pass(request: EdgeRequest, yes: _Yes) -> EdgeAnswer:
    headers = {"Cookie": other_cookies(request), "Authorization": yes.authorization}
    if not is_history(request):
        return EdgeAnswer(upstream=yes.upstream, headers=headers)
    # Its pages link to HISTORY_PATH (spark.ui.proxyBase), but it serves them at the root.
    return EdgeAnswer(upstream=yes.upstream, headers=headers, uri=request.uri.removeprefix(HISTORY_PATH) or "/")


def _signed_out(request: EdgeRequest, settings: Settings) -> EdgeAnswer:
    text = "Your session has ended. Open these pages again from the cluster's page."
    if not is_page_load(request):
        return edge_refusal(401, text)
    return edge_page(401, "Signed out", text, link=(settings.endpoint_url, "Go to the console"))


def _not_running(request: EdgeRequest, server: HistoryServer | None) -> EdgeAnswer:
    failed = server is not None and server.state == ServerState.FAILED
    text = server.reason if failed and server else "It opens here as soon as it is ready."
    if not is_page_load(request):
        return edge_refusal(503, text)
    return edge_page(
        503, "The history server failed" if failed else "Starting the history server", text, refresh=not failed
    )
