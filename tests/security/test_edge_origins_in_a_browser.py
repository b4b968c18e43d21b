"""What a real browser keeps apart: the pages of a Workspace can do nothing at its Studio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from emr_studio.loopback import free_port
from tests.support.edge_rig import edge_rig
from tests.support.signin_rig import PASSWORD, SignInRig, signin_rig

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInRig]:
    folder, port = tmp_path_factory.mktemp("origins"), free_port()
    with signin_rig(folder / "w", port=port) as rig:
        kinds = {"workspace": rig.front.workspace_edge}
        with edge_rig(folder / "e", kinds, rig.front.sign_in.routes(), port=port) as edge:
            rig.address = edge.upstream
            rig.set_editor(rig.editor_id, address=edge.upstream)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as client:
                rig.client = client
                yield rig


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = Path("/usr/bin/chromium")
    if not executable.exists():
        pytest.skip("Chromium is not installed (/usr/bin/chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    yield context
    context.close()


SIGN_IN = """async ([userName, password]) => {
  const body = JSON.stringify({userName, password});
  return (await fetch("/_signin", {method: "POST", headers: {"Content-Type": "application/json"}, body})).status;
}"""
# What a script in a notebook's output may try at another origin, with the browser's cookies.
TRY = """async (origin) => {
  const tell = async (path, options) => {
    try { const reply = await fetch(origin + path, {credentials: "include", ...options}); return reply.type; }
    catch (error) { return String(error); }
  };
  return {
    read: await tell("/_signin", {}),
    json: await tell("/", {method: "POST", headers: {"X-Amz-Target": "ElasticMapReduce.ListStudios"}, body: "{}"}),
    out: await tell("/_signin", {method: "DELETE"}),
    cookie: document.cookie,
  };
}"""
SOCKET = """(url) => new Promise((done) => {
  const socket = new WebSocket(url);
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})"""


@pytest.mark.capability("EN-04", "ST-09")
def test_a_workspaces_page_reaches_nothing_of_its_studio(rig: SignInRig, context: BrowserContext) -> None:
    ann = rig.person("ann")
    studio, page = f"http://{rig.studio_host}", context.new_page()
    page.goto(studio)
    assert page.evaluate(SIGN_IN, ["ann", PASSWORD]) == 200
    host, path = rig.open_url(ann, notebook="")
    workspace = context.new_page()
    workspace.goto(f"http://{host}{path}")
    assert '"server": "upstream"' in workspace.content()
    blocked = "TypeError: Failed to fetch"
    tried = workspace.evaluate(TRY, studio)
    assert tried == {"read": blocked, "json": blocked, "out": blocked, "cookie": ""}
    assert page.evaluate("async () => (await fetch('/_signin')).status") == 200
    cookies = {str(cookie.get("domain")): cookie for cookie in context.cookies()}
    assert set(cookies) == {rig.studio_host.partition(":")[0], host.partition(":")[0]}
    for cookie in cookies.values():
        assert (cookie.get("name"), cookie.get("path")) == ("__Host-emr-studio", "/")
        assert cookie.get("secure")
        assert cookie.get("httpOnly")
        assert cookie.get("sameSite") == "Lax"


@pytest.mark.capability("EN-04")
def test_a_workspaces_page_reaches_nothing_of_another_workspace(rig: SignInRig, context: BrowserContext) -> None:
    # To the browser all Workspaces may be one site: cookies are sent, and only the edge says no.
    ben, pages = rig.person("ben"), []
    for editor_id in (rig.editor(), rig.editor()):
        host, path = rig.open_url(ben, editor_id, notebook="")
        page = context.new_page()
        page.goto(f"http://{host}{path}")
        pages.append((host, page))
    (own_host, own), (other_host, other) = pages
    assert own.evaluate(SOCKET, f"ws://{own_host}/api/kernels/1/channels") == "open"
    assert own.evaluate(SOCKET, f"ws://{other_host}/api/kernels/1/channels") == "refused"
    assert other.evaluate(SOCKET, f"ws://{other_host}/api/kernels/1/channels") == "open"
    status = own.evaluate(
        "async (url) => { try { await fetch(url) } catch (e) { return String(e) } }", f"http://{other_host}/files/x"
    )
    assert status == "TypeError: Failed to fetch"
