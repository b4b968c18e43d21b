"""The Studio's panels in JupyterLab, in Chromium: compute, SQL, examples."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.test_main_job import choose, sign_in
from tests.chaos.test_kill_parts import cluster_state, editor_status, start_cluster
from tests.support.lab import Lab, listen, show, stored, wait_patiently, write_notebook
from tests.support.studio import Studio, until

LONG = 120_000
PANELS = ("Compute", "SQL explorer", "Backup", "Notebook examples", "Collaboration")
ROWS = 1500


@dataclass
class World:
    """A Workspace of the sample user, who has two clusters."""

    studio: Studio
    emr: Any
    editor_id: str
    clusters: dict[str, str]

    @property
    def editor(self) -> dict[str, Any]:
        found: dict[str, Any] = self.emr.describe_editor(EditorId=self.editor_id)["Editor"]
        return found

    @property
    def attached(self) -> str | None:
        editor = self.editor
        return editor["ExecutionEngine"]["Id"] if editor["Status"] == "Attached" else None


def workspace(emr: Any, studio: Studio, name: str) -> str:
    editor_id: str = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name=name)["EditorId"]
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    return editor_id


@pytest.fixture(scope="module")
def world(studio: Studio) -> Iterator[World]:
    emr = studio.client("emr", "sample")
    clusters = {name: start_cluster(emr, studio, name, core=0) for name in ("alpha", "beta")}
    editor_id = workspace(emr, studio, "panels")
    write_notebook(emr, editor_id, "work.ipynb", "print('rows', spark.range(5).count())", "")
    until("the clusters wait", lambda: {cluster_state(emr, found) for found in clusters.values()} == {"WAITING"}, 400)
    yield World(studio, emr, editor_id, clusters)
    emr.delete_editor(EditorId=editor_id)
    emr.terminate_job_flows(JobFlowIds=list(clusters.values()))


@pytest.fixture(scope="module")
def lab(world: World, browser: Browser) -> Iterator[Lab]:
    """The notebook in one page for all tests here. Nothing is attached: what JupyterLab says of it is put aside."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    no_kernel = page.locator(".jp-Dialog").filter(has_text="Kernel").locator("button.jp-mod-accept")
    page.add_locator_handler(no_kernel, lambda button: button.click(), no_wait_after=True)
    yield Lab(page, world.emr, world.editor_id, "work.ipynb")
    context.close()


def bar(page: Page, text: str) -> Any:
    return page.locator(".emrs-statusbar").get_by_role("button", name=text)


def test_every_panel_has_a_tooltip_and_a_place_in_the_palette(lab: Lab, artifacts: Path) -> None:
    page = lab.page
    for panel in PANELS:
        show(page, panel)
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("Show SQL Explorer")
    # Enter takes the one that is marked: not before the list is that of what was typed.
    expect(page.locator(".lm-CommandPalette-item.lm-mod-active")).to_contain_text("Show SQL Explorer")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="SQL explorer")).to_contain_text("No compute attached")
    page.screenshot(path=artifacts / "panel-sql-empty.png")


@pytest.mark.capability("CL-03", "WS-06")
def test_it_opens_quickly_or_with_options_on_the_way_attached(world: World, context: BrowserContext) -> None:
    page, emr, sample = context.new_page(), world.emr, world.studio.json["sample"]
    editor_id = workspace(emr, world.studio, "launched")
    sign_in(page, sample["url"], sample["user_name"], sample["password"])
    page.get_by_role("link", name="Workspaces").first.click()
    row = page.get_by_role("row").filter(has_text="launched")
    row.get_by_role("checkbox").check()

    def launch(how: str) -> None:
        page.get_by_role("button", name="Launch Workspace").click()
        page.get_by_role("menuitem", name=how).click()

    launch("Launch with options")
    choose(page, "EMR on EC2 cluster", "alpha")
    with context.expect_page() as opened:
        page.get_by_role("dialog").get_by_role("button", name="Launch Workspace").click()
    lab = opened.value
    wait_patiently(lab)
    expect(bar(lab, "Compute: alpha")).to_be_visible(timeout=LONG)
    engine = emr.describe_editor(EditorId=editor_id)["Editor"]["ExecutionEngine"]
    assert engine["Id"] == world.clusters["alpha"]
    expect(row).to_contain_text("Attached")
    lab.close()
    with context.expect_page() as opened:
        launch("Quick launch")
    wait_patiently(opened.value)
    expect(opened.value.get_by_role("tab", name="launched.ipynb")).to_be_visible(timeout=LONG)
    opened.value.close()

    # From here on as in the list alone.
    page.get_by_role("button", name="Detach", exact=True).click()
    expect(row).to_contain_text("Ready", timeout=LONG)
    page.get_by_role("button", name="Attach", exact=True).click()
    choose(page, "EMR on EC2 cluster", "beta")
    page.get_by_role("dialog").get_by_role("button", name="Attach", exact=True).click()
    expect(row).to_contain_text(re.compile(f"Attached.*{world.clusters['beta']}", re.DOTALL), timeout=LONG)
    emr.delete_editor(EditorId=editor_id)


@pytest.mark.capability("CL-04", "CL-06")
def test_compute_is_attached_and_switched_beside_open_work(world: World, lab: Lab, artifacts: Path) -> None:
    page = lab.page
    compute = show(page, "Compute")
    expect(compute).to_contain_text("No compute attached")
    expect(bar(page, "No compute")).to_be_visible()
    expect(bar(page, "Saved to S3")).to_be_visible()
    compute.get_by_label("Filter clusters").fill("ALPHA waiting")
    expect(compute.get_by_role("list", name="Clusters").get_by_role("listitem")).to_have_count(1)
    expect(compute).to_contain_text("emr-8.0.0")
    compute.get_by_label("Filter clusters").fill("nothing like it")
    expect(compute).to_contain_text("No cluster matches")
    compute.get_by_label("Filter clusters").fill("")
    page.screenshot(path=artifacts / "panel-compute-none.png")

    hears = listen(page)
    compute.get_by_role("button", name="Attach alpha").click()
    hears("Attached to alpha.")
    expect(compute).to_contain_text("Attached to alpha")
    assert world.attached == world.clusters["alpha"]
    lab.has_kernel()
    expect(page.get_by_text("PySpark | Idle")).to_be_visible()
    lab.run(0)
    lab.shows(0, "rows 5", 120)

    lab.write(1, "# not saved by hand")
    compute.get_by_role("button", name="Switch beta").press("Enter")
    expect(compute).to_contain_text("Attached to beta")
    assert world.attached == world.clusters["beta"]
    assert "# not saved by hand" in lab.source(1)
    assert "rows 5" in lab.outputs(0)
    expect(bar(page, "Compute: beta")).to_be_visible()
    lab.has_kernel()
    lab.write(1, "\nprint('here', spark.range(42).count())")
    lab.run(1)
    lab.shows(1, "here 42", 120)
    page.screenshot(path=artifacts / "panel-compute.png")


@pytest.mark.capability("EX-02", "EX-03", "EX-04")
def test_the_catalog_is_seen_and_asked(lab: Lab, artifacts: Path, tmp_path: Path) -> None:
    page = lab.page
    explorer = show(page, "SQL explorer")
    expect(explorer.locator("summary", has_text="default")).to_be_visible(timeout=LONG)
    explorer.get_by_role("button", name="Open editor").click()
    editor = page.locator(".emrs-editor:visible")

    def run(statement: str, shown: str) -> None:
        editor.get_by_label("SQL statement").fill(statement)
        # While another one runs the keys do nothing, and what is shown is that one's.
        expect(editor.get_by_role("button", name="Run", exact=True)).to_be_enabled()
        editor.get_by_label("SQL statement").press("Control+Enter")
        expect(editor.get_by_text(shown).first).to_be_visible(timeout=LONG)

    trips = f"SELECT id, concat('trip, ', id) AS name, CAST(NULL AS string) AS note FROM range({ROWS})"
    run("CREATE DATABASE travel", "The statement has no rows")
    run(f"CREATE TABLE travel.trips AS {trips}", "The statement has no rows")
    run("SELECT * FROM travel.trips ORDER BY id;", "The first 100 rows")
    expect(editor.locator("tbody tr")).to_have_count(100)
    editor.get_by_label("Rows in the preview").select_option("1000")
    run("SELECT * FROM travel.trips ORDER BY id", "The first 1000 rows")
    expect(editor.locator("tbody tr")).to_have_count(1000)
    with page.expect_download() as loading:
        editor.get_by_role("button", name="Download results").click()
    loading.value.save_as(tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert (len(rows), rows[0], rows[-1]) == (1001, ["id", "name", "note"], ["999", "trip, 999", ""])
    run("SELEC nonsense", "PARSE_SYNTAX_ERROR")

    explorer.get_by_role("button", name="Refresh").click()
    explorer.get_by_label("Filter tables").fill("TRIP")
    explorer.get_by_title("`travel`.`trips`").click()
    columns = explorer.get_by_role("list", name="Columns of trips").get_by_role("listitem")
    expect(columns).to_have_text(["id bigint", "name string", "note string"])
    explorer.get_by_label("Filter tables").fill("no such")
    expect(explorer.get_by_title("`travel`.`trips`")).to_have_count(0)
    explorer.get_by_label("Filter tables").fill("")
    explorer.get_by_title("`travel`.`trips`").click()
    explorer.get_by_role("button", name="Preview trips").click()
    expect(editor.get_by_text("The first 100 rows")).to_be_visible(timeout=LONG)
    page.screenshot(path=artifacts / "panel-sql.png")


@pytest.mark.capability("EX-01")
def test_an_example_is_read_saved_and_changed(world: World, lab: Lab, artifacts: Path) -> None:
    page = lab.page
    examples = show(page, "Notebook examples")
    examples.get_by_role("button", name="Preview DataFrames in five minutes").click()
    preview = page.locator(".emrs-preview:visible")
    expect(preview).to_contain_text("It needs no data of yours")
    expect(preview.locator(".cm-content, [contenteditable=true]")).to_have_count(0)
    page.screenshot(path=artifacts / "panel-examples.png")
    for name in ("dataframes.ipynb", "dataframes-1.ipynb"):
        preview.get_by_role("button", name="Save to Workspace").click()
        expect(page.get_by_role("tab", name=name)).to_be_visible()
        page.get_by_role("tab", name="Example: DataFrames").click()
    page.get_by_role("tab", name="dataframes.ipynb").click()
    lab.write(0, "# mine")
    page.keyboard.press("Control+s")
    s3, location = world.studio.client("s3"), world.editor["S3Location"]
    until("S3 has the changed copy", lambda: b"# mine" in stored(s3, location, "dataframes.ipynb"))


@pytest.mark.capability("CL-04")
def test_a_denial_says_why_and_compute_is_detached(world: World, lab: Lab, artifacts: Path) -> None:
    page, iam = lab.page, world.studio.client("iam")
    who = world.studio.json["sample"]["user_name"]
    statement = {"Effect": "Deny", "Action": "elasticmapreduce:DetachEditor", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    compute = show(page, "Compute")
    if world.attached is None:
        compute.get_by_role("button", name="Attach beta").click()
        expect(compute).to_contain_text("Attached to beta")
    iam.put_user_policy(UserName=who, PolicyName="stay", PolicyDocument=policy)
    try:
        compute.get_by_role("button", name="Detach").click()
        expect(compute).to_contain_text("not authorized to perform: elasticmapreduce:DetachEditor")
        expect(compute).to_contain_text("with an explicit deny in an identity-based policy")
        page.screenshot(path=artifacts / "panel-denial.png")
    finally:
        iam.delete_user_policy(UserName=who, PolicyName="stay")
    hears = listen(page)
    compute.get_by_role("button", name="Detach").click()
    hears("Detached.")
    expect(compute).to_contain_text("No compute attached")
    expect(bar(page, "No compute")).to_be_visible()
    assert world.attached is None

    # The sample user may not take one.
    compute.get_by_text("Attach with a runtime role").click()
    compute.get_by_label("Runtime role").fill("arn:aws:iam::123456789012:role/analyst")
    compute.get_by_role("button", name="Attach alpha").click()
    expect(compute.get_by_role("alert")).to_contain_text("elasticmapreduce:GetClusterSessionCredentials")
    assert world.attached is None
    compute.get_by_label("Runtime role").fill("")
    compute.get_by_role("button", name="Attach alpha").click()
    expect(compute).to_contain_text("Attached to alpha")


def test_a_collaborator_is_added_and_removed(world: World, lab: Lab) -> None:
    page, iam = lab.page, world.studio.client("iam")
    iam.create_user(UserName="guest")
    panel = show(page, "Collaboration")
    titles = page.locator(".jp-SideBar [role=tab]").evaluate_all("tabs => tabs.map(tab => tab.title)")
    assert len([title for title in titles if title.startswith("Collaboration")]) == 1, titles
    assert any(title.startswith("People: ") for title in titles), titles
    panel.get_by_role("switch").click()
    expect(panel.get_by_role("switch")).to_be_checked()
    panel.get_by_label("Add a collaborator").fill("guest")
    panel.get_by_role("button", name="Add").click()
    expect(panel.get_by_role("alert")).to_contain_text("'guest' has no access to Studio")
    enter = {"Effect": "Allow", "Action": "elasticmapreduce:CreateStudioPresignedUrl", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": enter})
    iam.put_user_policy(UserName="guest", PolicyName="enter", PolicyDocument=policy)
    expect(panel.get_by_label("Add a collaborator")).to_have_value("guest")
    panel.get_by_role("button", name="Add").click()
    people = panel.get_by_role("list", name="Collaborators").get_by_role("listitem")
    expect(people).to_have_count(1)
    panel.get_by_label("Add a collaborator").fill("nobody-of-that-name")
    panel.get_by_role("button", name="Add").click()
    expect(panel.get_by_role("alert")).to_contain_text("nobody-of-that-name")
    panel.get_by_role("button", name="Remove guest").click()
    expect(panel).to_contain_text("Nobody was added")
    assert world.emr.list_workspace_access_identities(EditorId=world.editor_id)["WorkspaceAccessIdentities"] == []
    panel.get_by_role("switch").click()
    expect(panel.get_by_role("switch")).not_to_be_checked()
    iam.delete_user_policy(UserName="guest", PolicyName="enter")
    iam.delete_user(UserName="guest")


def test_versions_tell_who_saved_are_compared_and_restored(world: World, lab: Lab, artifacts: Path) -> None:
    page, s3, location = lab.page, world.studio.client("s3"), world.editor["S3Location"]
    bucket = location.removeprefix("s3://").partition("/")[0]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    write_notebook(world.emr, world.editor_id, "times.ipynb", "one = 1\nprint(one)", "two = 2")
    until("S3 has it", lambda: b"one = 1" in stored(s3, location, "times.ipynb"))
    then = Lab(page, world.emr, world.editor_id, "times.ipynb")
    then.write(0, "\nprint('changed')")
    until("S3 has the change", lambda: b"changed" in stored(s3, location, "times.ipynb"))
    backup = show(page, "Backup")
    versions = backup.get_by_role("list", name="Versions").get_by_role("listitem")
    who = world.studio.json["sample"]["user_name"]

    def oldest_is_shown() -> bool:
        backup.get_by_role("button", name="Refresh").click()
        return bool(versions.count())

    until("there is an earlier version", oldest_is_shown)
    expect(versions.last).to_contain_text(f"by {who}")
    versions.last.get_by_role("button", name="Compare").click()
    shown = page.locator(".emrs-preview:visible")
    expect(shown).to_contain_text("1 cells differ from now")
    expect(shown.locator(".emrs-lines [data-mark=new]")).to_have_text("+ print('changed')")
    page.screenshot(path=artifacts / "panel-versions.png")
    shown.get_by_role("button", name="Restore").click()
    expect(shown.get_by_role("status")).to_have_text("Restored.")
    until("S3 has it as it was", lambda: b"changed" not in stored(s3, location, "times.ipynb"))
    page.get_by_role("tab", name="times.ipynb", exact=True).click()
    until("the open notebook follows", lambda: "changed" not in then.source(0))
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_git_commits_from_its_panel(world: World, lab: Lab, artifacts: Path) -> None:
    page = lab.page
    page.locator(".jp-SideBar [role=tab][title='Git']").click()
    panel = page.get_by_role("region", name="side panel content")
    panel.get_by_role("button", name="Initialize a Repository").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    # Its first commit is jupyterlab-git's own, in the name of who is signed in.
    history = panel.get_by_role("listitem", name="View commit details")
    expect(history).to_contain_text(["First Commit"])
    expect(history).to_contain_text([world.studio.json["sample"]["user_name"]])
    panel.get_by_role("button", name="Untracked").hover()
    panel.locator("button[title='Track all untracked files']").first.click()
    panel.get_by_role("textbox", name="Commit message").fill("What I have")
    panel.get_by_role("button", name="Commit", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("Name").fill("Ana")
    dialog.get_by_placeholder("Email").fill("ana@example.com")
    dialog.get_by_role("button", name="OK").click()
    # It asks about outputs if there is a notebook with some: whether tests before this one ran any.
    keep, made = page.get_by_role("button", name="Keep Outputs & Commit"), history.filter(has_text="What I have")
    expect(keep.or_(made).first).to_be_visible()
    if keep.is_visible():
        keep.click()
    expect(made).to_be_visible()
    expect(history).to_have_count(2)
    page.screenshot(path=artifacts / "panel-git.png")
