"""From a click on a notebook's address to a cell that takes what is typed, in a real Chromium.

    cold    a browser that has never been there: everything is fetched
    warm    the same page again in that browser

    until a cell takes text     the first cell of the page, whatever shows it: ours has its cells in the page itself
                                (a light first page), JupyterHub's are JupyterLab's. The text must be in the saved
                                notebook in the end, and in JupyterLab's own cell, or nothing was measured
    until JupyterLab stands     JupyterLab's own cell takes text

Beside JupyterHub's single-user JupyterLab of the same run. Ours has no cluster attached, and so no kernel; JupyterHub's
has its local one, which runs already from the second browser on. In both the session's cookies are there already (they
are got past the browser's cache), the notebook exists, and the time ends when the cell shows the typed text.
"""

from __future__ import annotations

import json
import random
import shutil
import string
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat.v4
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from bench.results import Figure, lower_is_better
from bench.workspaces import Hub, await_status, hub
from emr_studio.cli.demo.browser import Workspace
from tests.browser.conftest import FLAGS
from tests.support.lab import link
from tests.support.studio import Studio, until

PEER = "JupyterHub SimpleLocalProcessSpawner"
RUNS = 5
_NAME = "page.ipynb"
_LONG = 120_000
_EDITOR = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .cm-content"
_FIRST = "#emrs-first textarea"
_SHOWN = (
    "([where, text]) => [...document.querySelectorAll(where)].some(one => (one.value ?? one.innerText).includes(text))"
)
_READ = """async address => {
  const token = /_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  return (await fetch(address, {headers: {"X-XSRFToken": token}})).json();
}"""
_UNTIL = ("until a cell takes text", "until JupyterLab stands")
_COUNT = """() => {
  const all = performance.getEntriesByType("resource");
  return [all.length, all.reduce((sum, entry) => sum + entry.transferSize, 0)];
}"""


@dataclass(frozen=True)
class Side:
    """One JupyterLab: how a browser gets its cookies, and the notebook's address."""

    sign_in: Callable[[BrowserContext], str]
    name: str


@dataclass(frozen=True)
class Visit:
    """Seconds until the page took text, and until JupyterLab's own cell did."""

    typed: float
    stands: float


def measure(studio: Studio) -> list[Figure]:
    """Cold and warm, ours and JupyterHub's in turn."""
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="page")["EditorId"]
    await_status(emr, editor_id, "Ready")
    _write(emr, editor_id)
    try:
        with tempfile.TemporaryDirectory(prefix="hub-") as folder, hub(Path(folder)) as peer, sync_playwright() as play:
            sides = Side(lambda context: _ours(context, emr, editor_id), "ours"), _theirs(peer)
            took = [[visit(play, side) for side in sides] for _ in range(RUNS)]
    finally:
        emr.delete_editor(EditorId=editor_id)
    return [
        lower_is_better(
            f"a notebook's page, {kind} browser cache, {end}",
            "s",
            [_seconds(ours[at], end) for ours, _ in took],
            [_seconds(theirs[at], end) for _, theirs in took],
            PEER,
        )
        for end in _UNTIL
        for at, kind in enumerate(("cold", "warm"))
    ]


def _seconds(visit: Visit, end: str) -> float:
    return visit.typed if end == _UNTIL[0] else visit.stands


def visit(play: Playwright, side: Side) -> tuple[Visit, Visit]:
    """The first visit of a new browser, and its second."""
    with tempfile.TemporaryDirectory(prefix="bench-browser-", ignore_cleanup_errors=True) as profile:
        context = play.chromium.launch_persistent_context(
            profile, executable_path=shutil.which("chromium"), args=FLAGS, viewport={"width": 1400, "height": 900}
        )
        try:
            address = side.sign_in(context)
            cold, warm = (_visited(context.new_page(), address, side) for _ in range(2))
        finally:
            context.close()
    return cold, warm


def _visited(page: Page, address: str, side: Side) -> Visit:
    begun = time.monotonic()
    page.goto(address, wait_until="commit")
    first = _word()
    typed = _type(page, f"{_FIRST}, {_EDITOR}", first) - begun
    page.locator(_FIRST).first.wait_for(state="detached", timeout=_LONG)
    page.wait_for_function(_SHOWN, arg=[_EDITOR, first], timeout=_LONG)
    second = _word()
    stands = _type(page, _EDITOR, second) - begun
    requests, size = page.evaluate(_COUNT)
    until(f"{side.name} has saved both", lambda: {first, second} <= _words(page, address))
    print(
        f"  {side.name}: {typed:.2f} s, JupyterLab {stands:.2f} s, {requests} requests, {size / 1e6:.2f} MB", flush=True
    )
    page.close()
    return Visit(typed, stands)


def _word() -> str:
    """Which no page has seen: five letters, so that one is not a part of another."""
    return "".join(random.choices(string.ascii_lowercase, k=5))


def _type(page: Page, where: str, text: str) -> float:
    """The moment when the cell shows what was typed."""
    editor = page.locator(where).first
    # A click is taken as soon as nothing lies above the cell.
    editor.click(timeout=_LONG)
    page.keyboard.press("Control+End")
    page.keyboard.type(f" {text}")
    page.wait_for_function(_SHOWN, arg=[where, text], timeout=_LONG)
    return time.monotonic()


def _words(page: Page, address: str) -> set[str]:
    """In the first cell of the notebook as it is saved."""
    page.keyboard.press("Control+s")
    model = page.evaluate(_READ, address.replace("/lab/tree/", "/api/contents/"))
    # An answer in the middle of a save may be a refusal.
    return set("".join(model["content"]["cells"][0]["source"]).split()) if model.get("content") else set()


def _notebook(kernel: str, label: str) -> Any:
    spec = {"display_name": label, "language": "python", "name": kernel}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")], metadata={"kernelspec": spec})


def _write(emr: Any, editor_id: str) -> None:
    workspace = Workspace(link(emr, editor_id))
    workspace.save_notebook(_NAME, _notebook("pysparkkernel", "PySpark"))
    workspace.close()


def _ours(context: BrowserContext, emr: Any, editor_id: str) -> str:
    # Nothing but the page itself: the browser's cache stays empty.
    page = context.new_page()
    page.route("**/*", lambda way: way.continue_() if way.request.resource_type == "document" else way.abort())
    page.goto(link(emr, editor_id), wait_until="commit")
    origin = "/".join(page.url.split("/")[:3])
    page.close()
    return f"{origin}/lab/tree/{_NAME}"


def _theirs(peer: Hub) -> Side:
    user = "reader"
    peer.start(user)
    peer.write(user, _NAME, json.loads(nbformat.writes(_notebook("python3", "Python 3 (ipykernel)"))))

    def sign_in(context: BrowserContext) -> str:
        page = f"{peer.url}/hub/login"
        context.request.get(page)
        token = next(found["value"] for found in context.cookies(page) if found["name"] == "_xsrf")
        context.request.post(page, form={"username": user, "password": "any", "_xsrf": token}, max_redirects=0)
        address = f"{peer.url}/user/{user}/lab/tree/{_NAME}"
        # The server's own cookie, from the hub's OAuth.
        context.request.get(address)
        return address

    return Side(sign_in, "hub")
