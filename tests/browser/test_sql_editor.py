"""The SQL editor: a statement is completed, run, cancelled, saved and found again; what was run is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PATIENCE
from tests.chaos.test_kill_parts import cluster_state, editor_status, start_cluster
from tests.support.lab import Lab, show, stored, write_notebook
from tests.support.studio import Studio, until

LONG = 120_000
SLOW = "SELECT count(*) FROM range(100000000000000) WHERE id % 7 = 3"
_STAGES = """async () => {
    const ask = async place => await (await fetch('/api/v1/applications' + place)).json();
    const [application] = await ask('');
    return (await ask(`/${application.id}/stages?status=active`)).length;
}"""

# A list that has just opened takes no key: CodeMirror's `interactionDelay`, 75 ms.
_STANDS = """offered => {
    const first = document.querySelector('.cm-tooltip-autocomplete li[aria-selected]')?.textContent ?? '';
    if (!first.includes(offered)) window.offeredSince = undefined;
    else window.offeredSince ??= performance.now();
    return performance.now() - window.offeredSince > 150;
}"""

# The explorer's session, as the list of running kernels has it.
_INTERRUPT = """async () => {
    const sessions = await (await fetch('/api/sessions')).json();
    const { kernel } = sessions.find(session => session.path === 'SQL explorer');
    const headers = { 'X-XSRFToken': document.cookie.match(/_xsrf=([^;]+)/)?.[1] ?? '' };
    const done = await fetch(`/api/kernels/${kernel.id}/interrupt`, { method: 'POST', headers });
    if (!done.ok) throw new Error(await done.text());
}"""

_LAYOUT = "async () => JSON.stringify(await (await fetch('/lab/api/workspaces/default')).json())"


@dataclass
class Tab:
    """A SQL editor's tab, the one in front."""

    page: Page

    @property
    def body(self) -> Locator:
        return self.page.locator(".emrs-editor:visible")

    @property
    def field(self) -> Locator:
        return self.body.get_by_label("SQL statement")

    def button(self, name: str) -> Locator:
        return self.body.get_by_role("button", name=name, exact=True)

    def pane(self, name: str) -> Locator:
        self.body.get_by_role("tab", name=name).click()
        return self.body.get_by_role("tabpanel", name=name)

    def run(self, statement: str, shown: str) -> None:
        self.field.fill(statement)
        expect(self.button("Run")).to_be_enabled(timeout=LONG)
        self.field.press("Control+Enter")
        expect(self.body.get_by_text(shown).first).to_be_visible(timeout=LONG)


@dataclass
class World:
    """A Workspace that is attached to a cluster, open in a page."""

    studio: Studio
    emr: Any
    editor_id: str
    page: Page
    spark: Page
    """The cluster's Spark UI."""

    def active_stages(self) -> int:
        """Stages that the cluster's Spark works at, as its own pages tell."""
        return int(self.spark.evaluate(_STAGES))

    @property
    def location(self) -> str:
        return str(self.emr.describe_editor(EditorId=self.editor_id)["Editor"]["S3Location"])


@pytest.fixture(scope="module")
def world(studio: Studio, browser: Browser) -> Iterator[World]:
    emr = studio.client("emr", "sample")
    cluster_id = start_cluster(emr, studio, "sql", core=0)
    editor_id = str(emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="sql")["EditorId"])
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    write_notebook(emr, editor_id, "work.ipynb", "print(1)")
    until("the cluster waits", lambda: cluster_state(emr, cluster_id) == "WAITING", 400)
    emr.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    until("it is attached", lambda: editor_status(emr, editor_id) == "Attached")
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    spark = context.new_page()
    spark.goto(studio.client("emr").get_on_cluster_app_ui_presigned_url(ClusterId=cluster_id)["PresignedURL"])
    lab = Lab(context.new_page(), emr, editor_id, "work.ipynb")
    lab.has_kernel()
    yield World(studio, emr, editor_id, lab.page, spark)
    context.close()
    emr.delete_editor(EditorId=editor_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


def new_tab(page: Page) -> Tab:
    """Another tab, from the explorer."""
    # Not by their number: those of before a reload may still be on their way back.
    page.evaluate("document.querySelectorAll('.emrs-editor').forEach(one => { one.dataset.before = 'yes'; })")
    show(page, "SQL explorer").get_by_role("button", name="Open editor").click()
    expect(page.locator(".emrs-editor:not([data-before]):visible")).to_have_count(1)
    tab = Tab(page)
    expect(tab.field).to_be_visible()
    return tab


@pytest.mark.capability("EX-06")
def test_a_statement_is_completed_by_the_catalog_and_run(world: World, artifacts: Path) -> None:
    tab = new_tab(world.page)
    assert tab.body.get_by_text("Nothing was run in this tab yet").is_visible()
    expect(tab.button("Run")).to_be_disabled()
    tab.run("CREATE DATABASE rides", "The statement has no rows")
    tab.run("CREATE TABLE rides.trips AS SELECT id, id * 2 AS fare FROM range(150)", "The statement has no rows")
    catalog = tab.body.get_by_role("complementary", name="Catalog")
    expect(catalog.get_by_title("`rides`.`trips`")).to_be_visible(timeout=LONG)

    # Typed as a person does: a keyword, a database, its table, a column of it; Tab takes each.
    options, keyboard = world.page.locator(".cm-tooltip-autocomplete"), world.page.keyboard
    tab.field.fill("")
    tab.field.click()
    for typed, offered in (("SEL", "SELECT"), (" * FROM rid", "rides"), (".tr", "trips"), (" WHERE far", "fare")):
        keyboard.type(typed)
        expect(options.locator("li[aria-selected]")).to_contain_text(offered, timeout=LONG)
        world.page.wait_for_function(_STANDS, arg=offered)
        world.page.screenshot(path=artifacts / f"sql-completion-{offered}.png")
        keyboard.press("Tab")
    keyboard.type(" < 10")
    expect(tab.field).to_have_text("SELECT * FROM rides.trips WHERE fare < 10")
    keyboard.press("Shift+Enter")
    expect(tab.body.get_by_text("5 rows in")).to_be_visible(timeout=LONG)
    expect(tab.body.locator("tbody tr")).to_have_count(5)
    expect(tab.body.locator(".cm-line span").first).to_have_text("SELECT")
    world.page.screenshot(path=artifacts / "sql-editor.png")

    # What is selected runs alone.
    tab.field.fill("SELECT 7 AS seven")
    keyboard.press("Control+End")
    keyboard.type("\nSELEC nonsense")
    keyboard.press("Control+Home")
    keyboard.press("Shift+End")
    keyboard.press("Control+Enter")
    expect(tab.body.get_by_text("1 row in")).to_be_visible(timeout=LONG)
    expect(tab.body.locator("tbody tr")).to_have_text(["7"])
    keyboard.press("Control+End")
    keyboard.press("Control+Enter")
    expect(tab.body.get_by_role("alert")).to_contain_text("PARSE_SYNTAX_ERROR", timeout=LONG)

    catalog.get_by_title("`rides`.`trips`").click()
    tab.field.fill("")
    catalog.get_by_role("button", name="Insert rides.trips").click()
    expect(tab.field).to_have_text("rides.trips")


@pytest.mark.capability("EX-06")
def test_columns_that_come_late_are_offered_in_the_open_list(world: World, artifacts: Path) -> None:
    page = world.page
    tab = new_tab(page)
    tab.run("CREATE DATABASE IF NOT EXISTS late", "The statement has no rows")
    # Not a table: what names one has its columns asked for as soon as there is one.
    tab.run("CREATE OR REPLACE VIEW late.rides AS SELECT id AS fare FROM range(3)", "The statement has no rows")
    catalog = tab.body.get_by_role("complementary", name="Catalog")
    expect(catalog.get_by_title("`late`.`rides`")).to_be_visible(timeout=LONG)
    tab.field.fill(SLOW)
    tab.button("Run").click()
    until("Spark works at it", lambda: world.active_stages() > 0)

    # The session is at work: nobody waits for the table's columns to see what is known.
    other = new_tab(page)
    options = page.locator(".cm-tooltip-autocomplete")
    other.field.click()
    page.keyboard.type("SELECT * FROM late.rides WHERE far")
    expect(options).to_contain_text("weekofyear", timeout=LONG)
    assert "fare" not in options.inner_text()
    page.evaluate(_INTERRUPT)
    expect(options.locator("li[aria-selected]")).to_contain_text("fare", timeout=LONG)
    page.wait_for_function(_STANDS, arg="fare")
    page.screenshot(path=artifacts / "sql-completion-late.png")
    page.keyboard.press("Tab")
    expect(other.field).to_have_text("SELECT * FROM late.rides WHERE fare")
    # A list that was closed stays closed.
    expect(options).to_have_count(0)


@pytest.mark.capability("EX-06")
def test_cancel_stops_what_spark_does(world: World, artifacts: Path) -> None:
    tab = new_tab(world.page)
    tab.field.fill(SLOW)
    expect(tab.button("Cancel")).to_be_disabled()
    title = world.page.locator("#jp-main-dock-panel .lm-TabBar-tab.lm-mod-current").last.inner_text().strip()
    tab.button("Run").click()
    expect(tab.body.get_by_text("Running…")).to_be_visible(timeout=LONG)
    until("Spark works at it", lambda: world.active_stages() > 0)
    # A second tab's statement waits for the first, and is cancelled without harm to it.
    other = new_tab(world.page)
    other.field.fill("SELECT 1")
    other.button("Run").click()
    expect(other.body.get_by_text("Waiting for its turn…")).to_be_visible()
    other.button("Cancel").click()
    expect(other.body.get_by_role("status").filter(has_text="Cancelled")).to_be_visible()
    assert world.active_stages() > 0
    world.page.get_by_role("tab", name=title, exact=True).click()
    expect(tab.field).to_contain_text("range")
    tab.button("Cancel").click()
    expect(tab.body.get_by_role("status").filter(has_text="Cancelled")).to_be_visible(timeout=LONG)
    until("Spark has stopped", lambda: world.active_stages() == 0)
    world.page.screenshot(path=artifacts / "sql-cancelled.png")
    tab.run("SELECT 'after' AS word", "1 row in")


@pytest.mark.capability("EX-06")
def test_queries_are_saved_found_renamed_and_deleted(world: World, artifacts: Path) -> None:
    page, s3 = world.page, world.studio.client("s3")
    tab = new_tab(page)
    tab.field.fill("SELECT 41 + 1 AS answer")
    tab.button("Save").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("Weekly answer")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("tab", name="Weekly answer")).to_be_visible()
    until("S3 has it", lambda: stored(s3, world.location, "queries/Weekly answer.sql") == b"SELECT 41 + 1 AS answer")
    tab.field.fill("SELECT 43 - 1 AS answer")
    expect(tab.body.get_by_text("Weekly answer, not saved")).to_be_visible()
    tab.button("Save").click()
    expect(tab.body.get_by_text("Weekly answer, not saved")).to_have_count(0)
    until("S3 has the change", lambda: b"43" in stored(s3, world.location, "queries/Weekly answer.sql"))

    fresh = new_tab(page)
    saved = fresh.pane("Saved queries")
    expect(saved.get_by_role("listitem")).to_have_count(1)
    page.screenshot(path=artifacts / "sql-saved.png")
    saved.get_by_role("button", name="Rename Weekly answer").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("answers")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(saved.get_by_role("listitem")).to_contain_text(["queries/answers.sql"])
    # The tab that has it follows.
    expect(page.get_by_role("tab", name="answers", exact=True)).to_be_visible()
    saved.get_by_role("button", name="Open answers").click()
    expect(tab.field).to_have_text("SELECT 43 - 1 AS answer")
    tab.run("SELECT 43 - 1 AS answer", "1 row in")
    saved = tab.pane("Saved queries")
    saved.get_by_role("button", name="Delete answers").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(saved).to_contain_text("No saved query")
    until("S3 has lost it", lambda: not stored(s3, world.location, "queries/answers.sql"))


@pytest.mark.capability("EX-06")
def test_what_was_run_is_there_after_a_restart_and_runs_again(world: World, artifacts: Path) -> None:
    page, emr = world.page, world.emr
    tab = new_tab(page)
    tab.run("SELECT 'remembered' AS word", "1 row in")
    tab.run("SELECT * FROM nowhere.nothing", "TABLE_OR_VIEW_NOT_FOUND")
    expect(tab.button("Run")).to_be_enabled(timeout=LONG)  # it is kept
    history = tab.pane("History")
    entries = history.get_by_role("list", name="History").get_by_role("listitem")
    who = world.studio.json["sample"]["user_name"]
    expect(entries.first).to_contain_text("Failed")
    expect(entries.first).to_contain_text("TABLE_OR_VIEW_NOT_FOUND")
    expect(entries.nth(1)).to_contain_text("Succeeded · 1 row")
    expect(entries.nth(1)).to_contain_text(who)
    page.screenshot(path=artifacts / "sql-history.png")

    cluster_id = emr.describe_editor(EditorId=world.editor_id)["Editor"]["ExecutionEngine"]["Id"]
    emr.stop_editor(EditorId=world.editor_id)
    until("it is stopped", lambda: editor_status(emr, world.editor_id) == "Idle")
    emr.start_editor(EditorId=world.editor_id)
    until("it runs", lambda: editor_status(emr, world.editor_id) == "Ready")
    emr.attach_editor(EditorId=world.editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    until("it is attached", lambda: editor_status(emr, world.editor_id) == "Attached")
    Lab(page, emr, world.editor_id, "work.ipynb")
    tab = new_tab(page)
    entries = tab.pane("History").get_by_role("list", name="History").get_by_role("listitem")
    again = entries.filter(has_text="remembered")
    again.get_by_role("button", name="Edit").click()
    expect(tab.field).to_have_text("SELECT 'remembered' AS word")
    again.get_by_role("button", name="Run").click()
    expect(tab.body.get_by_text("1 row in")).to_be_visible(timeout=LONG)
    expect(tab.body.locator("tbody tr")).to_have_text(["remembered"])


@pytest.mark.capability("EX-06")
def test_it_opens_from_palette_and_launcher_and_is_there_after_a_reload(world: World) -> None:
    page = world.page
    count = page.locator(".emrs-editor").count()
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("Open SQL Editor")
    expect(page.locator(".lm-CommandPalette-item.lm-mod-active")).to_contain_text("Open SQL Editor")
    page.keyboard.press("Enter")
    expect(page.locator(".emrs-editor")).to_have_count(count + 1)
    tab = Tab(page)
    tab.field.fill("SELECT 'kept' AS word")
    until("what is open is kept", lambda: "kept" in page.evaluate(_LAYOUT))
    page.reload()
    expect(page.locator(".emrs-editor")).to_have_count(count + 1, timeout=LONG)
    expect(page.locator(".emrs-editor").filter(has_text="kept")).to_be_attached(timeout=LONG)
    page.keyboard.press("Control+Shift+L")
    page.locator(".jp-LauncherCard[title='Ask the attached cluster with SQL, in a tab']").click()
    expect(page.locator(".emrs-editor")).to_have_count(count + 2)
