"""Who passes to a cluster's application UIs, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from emr_studio.aws.context import Caller
from emr_studio.clusters.history.model import HistoryServer, ServerState, server_id
from emr_studio.clusters.model import Cluster, State, instances_of
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.signin.sessions import COOKIE
from tests.support.emr_world import OTHER_ACCOUNT, statement
from tests.support.signin_rig import Browser, SignInRig, signin_rig

LIVE = "elasticmapreduce:GetOnClusterAppUIPresignedURL"
HISTORY = "elasticmapreduce:GetPersistentAppUIPresignedURL"


@dataclass
class Uis:
    """A cluster that runs, and its application UIs."""

    rig: SignInRig
    cluster_id: str

    @property
    def host(self) -> str:
        return self.rig.world.settings.app_ui_url(self.cluster_id).removeprefix("http://")

    def opened(self, caller: Caller, landing: str = "/") -> Browser:
        """A browser that has followed a link."""
        with self.rig.world.database.write() as session:
            url, _ = self.rig.front.presigned.presign_app_ui(session, caller, self.cluster_id, landing)
        browser = self.rig.browser(self.host)
        reply = browser.request("GET", "/" + url.removeprefix("http://").partition("/")[2])
        assert (reply.status_code, reply.headers["location"]) == (302, landing), reply.text
        return browser

    def ask(self, browser: Browser, uri: str, **headers: str) -> EdgeAnswer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = Headers({"Cookie": browser.cookie_header, "Accept": "text/html"} | named)
        return self.rig.front.app_ui_edge(EdgeRequest("GET", uri, browser.host, sent, "127.0.0.1"))

    def set_server(self, state: ServerState, **columns: object) -> None:
        with self.rig.world.database.write() as session:
            row = session.get_one(HistoryServer, server_id(self.cluster_id))
            row.state = state
            for name, value in columns.items():
                setattr(row, name, value)

    def server(self) -> HistoryServer:
        with self.rig.world.database.read() as session:
            return session.get_one(HistoryServer, server_id(self.cluster_id))

    def end(self) -> None:
        with self.rig.world.database.write() as session:
            cluster = session.get_one(Cluster, self.cluster_id)
            cluster.state, cluster.end_time = State.TERMINATED, self.rig.world.clock.now()


@pytest.fixture
def uis(tmp_path: Path) -> Iterator[Uis]:
    with signin_rig(tmp_path) as rig:
        found = Uis(rig, rig.world.cluster())
        with rig.world.database.write() as session:
            session.get_one(Cluster, found.cluster_id).state = State.WAITING
            instances_of(session, found.cluster_id)[0].bind_ip = "127.31.0.9"
        yield found


def test_the_live_ui_gets_the_request_without_the_session(uis: Uis) -> None:
    browser = uis.opened(uis.rig.person("ann"))
    browser.cookies["theme"] = "dark"
    answer = uis.ask(browser, "/jobs/?x=1", Authorization="Bearer mine")
    assert (answer.status, answer.upstream, answer.uri) == (200, "127.31.0.9:4040", "")
    assert answer.headers["Cookie"] == "theme=dark"
    assert answer.headers["Authorization"].startswith("Bearer ey")


def test_the_history_server_is_started_by_who_looks_and_gets_a_token(uis: Uis) -> None:
    browser = uis.opened(uis.rig.person("ann"), "/shs/")
    first = uis.ask(browser, "/shs/")
    assert (first.status, b"Starting" in first.body) == (503, True)
    assert uis.server().wanted
    uis.set_server(ServerState.RUNNING, address="127.0.0.1:12345", ui_key="QUFB" * 10 + "QUE=")
    answer = uis.ask(browser, "/shs/history/app-1/jobs/?id=2")
    assert (answer.status, answer.upstream, answer.uri) == (200, "127.0.0.1:12345", "/history/app-1/jobs/?id=2")
    assert answer.headers["Authorization"].startswith("Bearer ey")
    assert uis.ask(browser, "/shs").uri == "/"
    # It is not the live UI that begins with these letters.
    assert uis.ask(browser, "/shsx").upstream == "127.31.0.9:4040"


def test_that_it_failed_is_said(uis: Uis) -> None:
    browser = uis.opened(uis.rig.person("ann"), "/shs/")
    uis.ask(browser, "/shs/")
    uis.set_server(ServerState.FAILED, reason="too little memory")
    assert b"too little memory" in uis.ask(browser, "/shs/").body


def test_nobody_signed_in(uis: Uis) -> None:
    stranger = uis.rig.browser(uis.host)
    assert uis.ask(stranger, "/jobs/").status == 401
    stranger.cookies[COOKIE] = "made-up"
    assert uis.ask(stranger, "/jobs/").status == 401
    assert uis.ask(stranger, "/api/v1/applications", Sec_Fetch_Mode="cors").content_type == "application/json"


def test_a_session_is_good_for_its_cluster_alone(uis: Uis) -> None:
    browser = uis.opened(uis.rig.person("ann"))
    other = uis.rig.browser(uis.rig.world.settings.app_ui_url(uis.rig.world.cluster()).removeprefix("http://"))
    other.cookies = dict(browser.cookies)
    assert uis.ask(other, "/jobs/").status == 401
    workspace = uis.rig.opened(uis.rig.person("bob"))
    thief = uis.rig.browser(uis.host)
    thief.cookies = dict(workspace.cookies)
    assert uis.ask(thief, "/jobs/").status == 401


def test_another_account_sees_nothing(uis: Uis) -> None:
    stranger = uis.rig.person("eve", account_id=OTHER_ACCOUNT)
    with uis.rig.world.database.write() as session:
        url, _ = uis.rig.front.presigned.presign_app_ui(session, stranger, uis.cluster_id, "/")
    browser = uis.rig.browser(uis.host)
    assert browser.request("GET", "/" + url.removeprefix("http://").partition("/")[2]).status_code == 403


def test_what_policies_allow_is_asked_again(uis: Uis) -> None:
    ann = uis.rig.person("ann", statement(LIVE))
    browser = uis.opened(ann)
    assert uis.ask(browser, "/jobs/").status == 200
    uis.rig.change_policy(ann, statement(HISTORY))
    uis.rig.world.clock.advance(2)
    assert uis.ask(browser, "/jobs/").status == 403
    assert uis.ask(browser, "/shs/").status == 503
    uis.rig.change_policy(ann, statement("s3:GetObject"))
    uis.rig.world.clock.advance(2)
    assert uis.ask(browser, "/shs/").status == 403


def test_another_page_may_link_but_not_ask(uis: Uis) -> None:
    browser = uis.opened(uis.rig.person("ann"))
    elsewhere = {"Sec_Fetch_Site": "cross-site"}
    assert uis.ask(browser, "/jobs/", **elsewhere, Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty").status == 403
    assert uis.ask(browser, "/jobs/", Origin="http://evil.example.com").status == 403
    link = uis.ask(browser, "/jobs/", **elsewhere, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert link.status == 200


def test_after_the_end_there_is_the_history_for_thirty_days(uis: Uis) -> None:
    browser = uis.opened(uis.rig.person("ann"))
    uis.end()
    home = uis.ask(browser, "/", Sec_Fetch_Mode="navigate")
    assert (home.status, home.response_headers["Location"]) == (302, "/shs/")
    assert uis.ask(browser, "/jobs/").status == 404
    assert uis.ask(browser, "/shs/").status == 503
    with uis.rig.world.database.write() as session:
        session.get_one(Cluster, uis.cluster_id).end_time = uis.rig.world.clock.now().replace(year=2020)
    uis.rig.world.clock.advance(2)
    assert uis.ask(browser, "/shs/").status == 410
