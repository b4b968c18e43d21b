"""From a link to a Workspace's server: real Caddy, real sign-in, real IAM."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emr_studio.edge.identity import verify
from emr_studio.iam.callers import root_caller
from emr_studio.iam.entities import get_account
from tests.support.edge_rig import Rig, edge_rig
from tests.support.emr_world import ACCOUNT, statement
from tests.support.signin_rig import Browser, SignInRig, signin_rig


@dataclass
class Whole:
    """The edge and what stands behind it."""

    edge: Rig
    sign_in: SignInRig

    def websocket(self, browser: Browser, **headers: str) -> ClientConnection:
        plain = socket.create_connection(("127.0.0.1", self.edge.settings.port), timeout=60)
        sent = {"Cookie": browser.cookie_header} | headers
        return connect(
            f"ws://{browser.host}/api/kernels/1/channels", sock=plain, additional_headers=sent, open_timeout=60
        )


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    with signin_rig(tmp_path / "w") as rig:
        kinds = {"workspace": rig.front.workspace_edge}
        routes = rig.front.sign_in.routes()
        with edge_rig(tmp_path / "e", kinds, routes, domain=rig.world.settings.host_port) as edge:
            rig.set_editor(rig.editor_id, address=edge.upstream)
            with httpx.Client(base_url=f"http://127.0.0.1:{edge.settings.port}", timeout=90) as client:
                rig.client = client
                yield Whole(edge, rig)


def header(seen: dict[str, Any], name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key == name]


@pytest.mark.capability("AU-13")
def test_a_link_leads_to_the_workspace_as_who_made_it(whole: Whole) -> None:
    rig = whole.sign_in
    ann = rig.person("ann")
    browser = rig.opened(ann)
    seen = browser.request("GET", "/api/contents/a%2Fb?x=1").json()
    assert (seen["server"], seen["target"]) == ("upstream", "/api/contents/a%2Fb?x=1")
    (token,) = header(seen, "x-emr-studio-identity")
    claims = verify(token, rig.front.issuer.public_key_pem, rig.editor_id, rig.world.clock.now())
    assert claims["arn"] == ann.arn
    assert header(seen, "cookie") == []
    assert browser.cookie_header not in str(seen)
    host, path = rig.open_url(ann)
    assert rig.browser(host).request("GET", path).status_code == 302
    assert rig.browser(host).request("GET", path).status_code == 403


def test_without_a_session_pages_are_redirected_and_all_else_refused(whole: Whole) -> None:
    rig = whole.sign_in
    stranger = rig.browser(rig.host_of_editor(rig.editor_id))
    page = stranger.request("GET", "/lab/tree/x.ipynb", headers={"Accept": "text/html"})
    assert page.status_code == 302
    assert page.headers["location"].startswith(f"http://{rig.studio_host}/")
    script = stranger.request("GET", "/api/status", headers={"Accept": "application/json"})
    assert (script.status_code, script.headers["content-type"]) == (401, "application/json")
    with pytest.raises(InvalidStatus) as refused, whole.websocket(stranger):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.capability("EN-04")
def test_a_page_of_another_workspace_cannot_open_a_websocket(whole: Whole) -> None:
    rig = whole.sign_in
    browser = rig.opened(rig.person("ann"))
    with whole.websocket(browser, Origin=f"http://{browser.host}") as connection:
        connection.recv(timeout=60)
        connection.send("ping")
        assert connection.recv(timeout=60) == "ping"
    foreign = f"http://{rig.host_of_editor(rig.editor())}"
    with pytest.raises(InvalidStatus) as refused, whole.websocket(browser, Origin=foreign):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.capability("AU-12")
def test_root_gets_403_at_a_workspace(whole: Whole) -> None:
    rig = whole.sign_in
    with rig.world.database.read() as session:
        root = root_caller(get_account(session, ACCOUNT))
    host, path = rig.open_url(root)
    assert rig.browser(host).request("GET", path).status_code == 403


def test_a_user_without_the_permission_gets_nowhere(whole: Whole) -> None:
    rig = whole.sign_in
    ann = rig.person(
        "ann", statement("elasticmapreduce:OpenEditorInConsole", "arn:aws:elasticmapreduce:*:*:editor/e-X")
    )
    host, path = rig.open_url(ann)
    browser = rig.browser(host)
    assert browser.request("GET", path).status_code == 403
    assert browser.cookies == {}


def test_signing_in_through_the_edge(whole: Whole) -> None:
    rig = whole.sign_in
    rig.person("ann")
    browser = rig.browser(rig.studio_host)
    assert browser.sign_in("ann").status_code == 200
    assert browser.request("GET", "/_signin").json()["userName"] == "ann"
    assert browser.request("DELETE", "/_signin").status_code == 200
    assert browser.request("GET", "/_signin").status_code == 401
