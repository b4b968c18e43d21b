"""Notebooks that the server owns, in Chromium: outputs outlive the browser, and people edit together."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from emr_studio.runtime.client import LocalRuntime
from tests.browser.conftest import FLAGS, PATIENCE
from tests.chaos.test_kill_parts import cluster_state, editor_status, kill, start_cluster
from tests.support.cable import cable
from tests.support.lab import Lab, stored, write_notebook
from tests.support.studio import Studio, until

LINES = int(os.environ.get("KEPT_LINES", "15"))
PRINT = f"import time\nfor i in range({LINES}):\n    print('line', i, flush=True); time.sleep(1)"
EXPECTED = [f"line {i}" for i in range(LINES)]


@dataclass
class Shared:
    """A Workspace of ana, open to ben, with a cluster."""

    studio: Studio
    editor_id: str
    ana: Any
    ben: Any
    ben_name: str
    location: str

    def notebook(self, name: str, *cells: str) -> str:
        write_notebook(self.ana, self.editor_id, name, *cells)
        return name

    def saved_lines(self, name: str) -> list[str]:
        """What the first cell shows according to S3."""
        body = stored(self.studio.client("s3"), self.location, name)
        outputs = json.loads(body)["cells"][0]["outputs"] if body else []
        return "".join("".join(output.get("text", "")) for output in outputs).splitlines()


def user(studio: Studio, name: str) -> Any:
    """An IAM user's client of `emr`."""
    iam = studio.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": ["elasticmapreduce:*", "iam:PassRole"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName=name, PolicyName="works", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    return studio.client("emr", **keys)


@pytest.fixture(scope="module")
def shared(studio: Studio) -> Iterator[Shared]:
    emr = studio.client("emr", "sample")
    cluster_id = start_cluster(emr, studio, "documents", core=0)
    ana, ben = user(studio, "ana"), user(studio, "ben")
    editor_id = ana.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="together")["EditorId"]
    ana.update_editor(EditorId=editor_id, CollaborationEnabled=True)
    ana.put_workspace_access(EditorId=editor_id, IdentityName="ben")
    until("the cluster waits", lambda: cluster_state(emr, cluster_id) == "WAITING", 400)
    until("the Workspace is ready", lambda: editor_status(ana, editor_id) == "Ready")
    ana.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    until("it is attached", lambda: editor_status(ana, editor_id) == "Attached")
    location = ana.describe_editor(EditorId=editor_id)["Editor"]["S3Location"]
    yield Shared(studio, editor_id, ana, ben, "ben", location)
    ana.delete_editor(EditorId=editor_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


@contextmanager
def another_browser(browser: Browser, *flags: str) -> Iterator[Page]:
    """A page in another Chromium, which ends as a whole."""
    program = shutil.which("chromium")
    other = browser.browser_type.launch(executable_path=program, args=[*FLAGS, *flags])
    try:
        page = other.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
    finally:
        other.close()


def test_outputs_outlive_the_browser(shared: Shared, browser: Browser, page: Page, artifacts: Path) -> None:
    name = shared.notebook("long.ipynb", PRINT, "print('next')")
    with another_browser(browser) as first:
        lab = Lab(first, shared.ana, shared.editor_id, name)
        lab.has_kernel()
        lab.run(0)
        lab.run(1)
        lab.shows(0, "line 1")
    # No tab is open now, and no browser runs that ever knew of it.
    until("S3 has every line", lambda: shared.saved_lines(name) == EXPECTED, LINES + 120)
    again = Lab(page, shared.ana, shared.editor_id, name)
    until("the cells have ended", lambda: (again.prompt(0), again.prompt(1)) == ("[1]:", "[2]:"))
    assert (again.lines(0), again.lines(1)) == (EXPECTED, ["next"])
    page.screenshot(path=artifacts / "outputs-kept.png")


@pytest.mark.capability("SG-01")
def test_an_open_page_goes_on_when_parts_are_killed(shared: Shared, page: Page, artifacts: Path) -> None:
    name = shared.notebook("killed.ipynb", PRINT, "")
    lab = Lab(page, shared.ana, shared.editor_id, name)
    lab.has_kernel()
    lab.run(0)
    lab.shows(0, "line 1")
    kill(shared.studio, "edge")
    lab.write(1, "# while it was away")
    kill(shared.studio, "api")
    lab.shows(0, f"line {LINES - 1}", LINES + 120)
    until("the cell has ended", lambda: re.fullmatch(r"\[\d+\]:", lab.prompt(0)))
    assert lab.lines(0) == EXPECTED
    until("S3 has every line", lambda: shared.saved_lines(name) == EXPECTED)
    s3 = shared.studio.client("s3")
    until("what was typed is in S3", lambda: b"# while it was away" in stored(s3, shared.location, name))
    lab.write(1, "\nprint(6 * 7)")
    lab.run(1)
    lab.shows(1, "42")
    page.screenshot(path=artifacts / "outputs-after-kills.png")


def test_an_open_page_goes_on_when_the_server_itself_is_killed(shared: Shared, page: Page, artifacts: Path) -> None:
    often = f"import time\nfor i in range({LINES * 5}):\n    print('line', i, flush=True); time.sleep(0.2)"
    name = shared.notebook("server.ipynb", often, "print('i was', i)")
    lab = Lab(page, shared.ana, shared.editor_id, name)
    lab.has_kernel()
    lab.run(0)
    lab.run(1)
    lab.shows(0, "line 3")
    runtime = LocalRuntime(shared.studio.settings)
    before = runtime.observe(shared.editor_id).pid
    os.kill(before, signal.SIGKILL)
    # Nobody starts it by hand.
    until("another server runs", lambda: runtime.observe(shared.editor_id).pid not in (0, before))
    expected = [f"line {i}" for i in range(LINES * 5)]
    until("S3 has every line", lambda: shared.saved_lines(name) == expected, LINES + 120)
    lab.shows(1, f"i was {LINES * 5 - 1}")
    until(f"the page has every line, not {lab.lines(0)}", lambda: lab.lines(0) == expected)
    page.screenshot(path=artifacts / "outputs-after-the-servers-death.png")
    lab.write(1, "\nprint('it is the same kernel', i)")
    lab.run(1)
    lab.shows(1, f"it is the same kernel {LINES * 5 - 1}")


def test_a_laptop_that_sleeps_for_an_hour_loses_nothing(shared: Shared, browser: Browser, artifacts: Path) -> None:
    name = shared.notebook("asleep.ipynb", PRINT, "")
    with (
        cable(shared.studio.settings.port) as line,
        another_browser(browser, f"--host-resolver-rules=MAP * 127.0.0.1:{line.port}") as page,
    ):
        page.clock.install()
        lab = Lab(page, shared.ana, shared.editor_id, name)
        lab.has_kernel()
        lab.run(0)
        lab.shows(0, "line 1")
        line.cut()
        lab.write(1, "# typed without a network")
        until("S3 has every line", lambda: shared.saved_lines(name) == EXPECTED, LINES + 120)
        assert lab.lines(0) != EXPECTED, "the page still has a line"
        assert b"typed without" not in stored(shared.studio.client("s3"), shared.location, name)
        page.clock.fast_forward("01:00:00")
        line.mend()
        until(f"the page has every line, not {lab.lines(0)}", lambda: lab.lines(0) == EXPECTED)
        page.screenshot(path=artifacts / "outputs-after-a-sleep.png")
        s3 = shared.studio.client("s3")
        until("what was typed is saved", lambda: b"typed without" in stored(s3, shared.location, name))
        lab.write(1, "\nprint('awake', i)")
        lab.run(1)
        lab.shows(1, f"awake {LINES - 1}")
        until("all is in S3", lambda: shared.saved_lines(name) == EXPECTED)


def test_the_kernel_obeys_the_page(shared: Shared, page: Page) -> None:
    sleep = "print('begun', flush=True)\nimport time; time.sleep(600)"
    name = shared.notebook("kernel.ipynb", "print('hello', input('who? '))", sleep, "print(1 / 1)", "1 / 0", "print(9)")
    lab = Lab(page, shared.ana, shared.editor_id, name)
    lab.has_kernel()
    lab.run(0)
    page.locator(".jp-Stdin-input").fill("ana")
    page.keyboard.press("Enter")
    lab.shows(0, "hello ana")

    lab.run(1)
    lab.shows(1, "begun")
    lab.menu("Kernel", "Interrupt Kernel")
    lab.shows(1, "KeyboardInterrupt")

    lab.run(1)
    until("it runs again", lambda: lab.lines(1) == ["begun"])
    lab.menu("Kernel", "Restart Kernel…")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    lab.shows(1, "The kernel was restarted.")
    lab.has_kernel()

    lab.cell(2).locator(".jp-InputArea-editor").click()
    lab.menu("Run", "Run Selected Cell and All Below")
    lab.shows(2, "1.0")
    lab.shows(3, "ZeroDivisionError")
    # As in every notebook: what follows a failure is not run.
    until("the last cell no longer waits", lambda: lab.prompt(4) == "[ ]:")
    assert lab.lines(4) == []


@pytest.mark.capability("CO-06", "CO-07")
def test_two_people_edit_one_notebook(shared: Shared, browser: Browser, page: Page, artifacts: Path) -> None:
    name = shared.notebook("both.ipynb", "a = 1", "b = 2")
    one = Lab(page, shared.ana, shared.editor_id, name)
    with another_browser(browser) as other:
        lines: list[WebSocket] = []
        # Playwright marks the functions that it is given, and a built-in one cannot be marked.
        other.on("websocket", lambda line: lines.append(line))  # noqa: PLW0108
        two = Lab(other, shared.ben, shared.editor_id, name)
        one.has_kernel()
        one.write(0, "\nprint('from ana', flush=True)")
        until("ben sees what ana types", lambda: "from ana" in two.source(0))
        two.write(1, "  # from ben")
        until("ana sees what ben types", lambda: "from ben" in one.source(1))
        # Where the other is, and who it is.
        for lab, cell, who in ((two, 0, "ana"), (one, 1, "ben")):
            expect(lab.cell(cell).locator(".jp-remote-cursor")).to_be_attached()
            expect(lab.page.locator(".jp-remote-userFlag-name").filter(has_text=who)).to_be_attached()
        expect(page.locator(".emrs-statusbar").get_by_role("button", name="Also here: ben")).to_be_visible()
        other.screenshot(path=artifacts / "together.png")
        one.run(0)
        two.shows(0, "from ana")
        _remove_ben(shared, other, lines)
        numbers, s3 = iter(range(100)), shared.studio.client("s3")

        def is_out() -> bool:
            text = f"without ben, {next(numbers)}."
            one.write(1, f"  # {text}")
            until("it is saved", lambda: text.encode() in stored(s3, shared.location, name))
            return text not in two.source(1)

        # His lines end one after the other, and his page tries to come back.
        until("what ana types reaches ben no more", is_out)


def _remove_ben(shared: Shared, page: Page, lines: list[WebSocket]) -> None:
    """He is no collaborator any more; his page loses what it had open."""

    def last() -> list[WebSocket]:
        # The last of each kind: a page that was left never says that its lines are closed.
        page.wait_for_timeout(50)  # events come in while Playwright waits
        found = {line.url.split("/api/")[1].split("/")[0]: line for line in lines}
        return [found[kind] for kind in ("collaboration", "kernels") if kind in found]

    until("his lines are open", lambda: [line.is_closed() for line in last()] == [False, False])
    kept = last()
    shared.ana.delete_workspace_access(EditorId=shared.editor_id, IdentityName="ben")

    def cut() -> bool:
        page.wait_for_timeout(50)  # events come in while Playwright waits
        return all(line.is_closed() for line in kept)

    until("his websockets are closed", cut)


@pytest.mark.capability("KN-03")
def test_without_compute(shared: Shared, page: Page, artifacts: Path) -> None:
    ben, studio_id = shared.ben, shared.studio.json["sample"]["studio_id"]
    editor_id = ben.create_editor(StudioId=studio_id, Name="alone")["EditorId"]
    until("the Workspace is ready", lambda: editor_status(ben, editor_id) == "Ready")
    location = ben.describe_editor(EditorId=editor_id)["Editor"]["S3Location"]
    lab = Lab(page, ben, editor_id, "alone.ipynb")
    advice = page.get_by_role("dialog").filter(has_text="This Workspace is not attached to a cluster.")
    said = page.locator(".Toastify__toast").filter(has_text="This Workspace is not attached to a cluster.")
    expect(said).to_be_visible()
    page.screenshot(path=artifacts / "no-compute.png")
    said.get_by_title("Hide notification").click()
    expect(said).to_have_count(0)
    expect(lab.panel.locator(".jp-Toolbar-kernelName")).to_contain_text("No Kernel")
    lab.write(0, "x = 1")
    until("what was typed is saved", lambda: b"x = 1" in stored(shared.studio.client("s3"), location, "alone.ipynb"))
    # Running it says again what to do.
    lab.run(0)
    expect(advice).to_be_visible()
    ben.delete_editor(EditorId=editor_id)
