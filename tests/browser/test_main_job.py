"""The main job as a person does it: with a mouse and a keyboard, in Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.support.lab import unfold, wait_patiently
from tests.support.studio import Studio, until

LONG = 400_000


def sign_in(page: Page, url: str, user_name: str, password: str) -> None:
    page.goto(url)
    page.get_by_label("IAM user name").fill(user_name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def choose_new_cluster(page: Page) -> None:
    """In the dialog for a new Workspace: a new cluster, to which it is attached."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Advanced configuration").click()
    dialog.get_by_role("radio", name="Create an EMR cluster").check()
    expect(dialog.get_by_label("Cluster name")).to_be_visible()


def opener(page: Page, label: str) -> Locator:
    """What opens a list in the dialog; it says what is chosen, too."""
    return page.get_by_role("dialog").get_by_role("button", name=re.compile(f"^{label}"))


def choose(page: Page, label: str, option: str) -> None:
    """An option of a list in the dialog."""
    opener(page, label).click()
    page.get_by_role("option").filter(has_text=option).click()


def create_workspace(page: Page, name: str, subnet: str, logs: str) -> None:
    """One with a new cluster named "browser", and a description."""
    page.get_by_role("link", name="Workspaces").first.click()
    page.get_by_role("button", name="Create Workspace").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Workspace name").fill(name)
    choose_new_cluster(page)
    dialog.get_by_label("Cluster name").fill("browser")
    dialog.get_by_label("Core instances").fill("2")
    dialog.get_by_label("S3 location for logs").fill(logs)
    choose(page, "EMR release", "emr-8.0.0")
    choose(page, "Primary instance type", "r5.xlarge")
    choose(page, "Subnet", subnet)
    dialog.get_by_role("button", name="Create Workspace").click()
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("Attached", timeout=LONG)


def is_as_described(emr: Any, cluster_id: str, subnet: str, logs: str) -> None:
    """What was chosen in the dialog."""
    cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
    place = cluster["Ec2InstanceAttributes"]["Ec2SubnetId"]
    assert (cluster["ReleaseLabel"], place, cluster["LogUri"]) == ("emr-8.0.0", subnet, logs)
    assert {one["Name"] for one in cluster["Applications"]} >= {"Spark", "Livy", "JupyterEnterpriseGateway"}
    groups = emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    counts = {one["InstanceGroupType"]: (one["InstanceType"], one["RequestedInstanceCount"]) for one in groups}
    assert (counts["MASTER"], counts["CORE"][1]) == (("r5.xlarge", 1), 2)


def open_workspace(context: BrowserContext, page: Page, name: str) -> Page:
    with context.expect_page() as opened:
        page.get_by_role("row").filter(has_text=name).get_by_role("link", name=name).click()
    lab = opened.value
    wait_patiently(lab)
    lab.wait_for_url(re.compile(r"http://e-[a-z0-9]{25}\.workspace\.localhost:\d+/lab"), timeout=LONG)
    expect(lab.get_by_role("tab", name=f"{name}.ipynb")).to_be_visible(timeout=LONG)
    return lab


def run_all_cells(lab: Page) -> None:
    lab.get_by_role("menuitem", name="Run", exact=True).click()
    lab.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def run_all(lab: Page, artifacts: Path) -> None:
    """Open the sample notebook and run it to its last cell."""
    unfold(lab, "examples", lab.locator(".jp-BreadCrumbs").get_by_text("examples", exact=True))
    unfold(lab, "flights.ipynb", lab.get_by_role("tab", name="flights.ipynb", exact=True))
    notebook = lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(notebook.locator(".jp-Cell").nth(5)).to_be_visible()
    expect(notebook.get_by_text("PySpark").first).to_be_visible(timeout=LONG)
    # Cells that are run while the kernel still starts are passed over by JupyterLab.
    expect(lab.get_by_text("PySpark | Idle")).to_be_visible(timeout=LONG)
    run_all_cells(lab)
    expect(notebook.get_by_text("336,776 flights")).to_be_visible(timeout=LONG)
    plot = notebook.locator(".jp-OutputArea-output img")
    expect(plot).to_be_visible(timeout=LONG)
    plot.scroll_into_view_if_needed()
    if not notebook.get_by_text("executors: 2").count():  # the second one had not come up yet
        run_all_cells(lab)
    expect(notebook.get_by_text("executors: 2")).to_be_attached(timeout=LONG)
    lab.keyboard.press("Control+s")
    lab.screenshot(path=artifacts / "workspace.png")


@pytest.mark.capability("AU-01", "AU-14", "WS-01", "WS-02", "WS-05", "WS-17", "SG-03", "CL-10")
def test_the_main_job(studio: Studio, context: BrowserContext, page: Page, artifacts: Path) -> None:
    sample = studio.json["sample"]
    page.goto(sample["url"])
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.screenshot(path=artifacts / "sign-in.png")
    sign_in(page, sample["url"], sample["user_name"], sample["password"])
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.screenshot(path=artifacts / "dashboard.png")

    subnet = studio.json["network"]["subnet_ids"][-1]
    logs = f"s3://{sample_bucket(studio)}/browser-logs/"
    create_workspace(page, "trip", subnet, logs)
    page.screenshot(path=artifacts / "workspaces.png")
    page.get_by_role("link", name="EMR on EC2 clusters").first.click()
    row = page.get_by_role("row").filter(has_text="browser")
    expect(row).to_contain_text("Waiting", timeout=LONG, ignore_case=True)
    page.screenshot(path=artifacts / "clusters.png")
    page.get_by_role("link", name="Workspaces").first.click()
    lab = open_workspace(context, page, "trip")
    lab.screenshot(path=artifacts / "lab.png")
    run_all(lab, artifacts)

    emr, s3 = studio.client("emr", "sample"), studio.client("s3", "sample")
    editors = emr.list_editors(StudioId=sample["studio_id"])["Editors"]
    editor = next(e for e in editors if e["Name"] == "trip")
    bucket, _, prefix = editor["S3Location"].removeprefix("s3://").partition("/")

    def saved() -> bool:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}examples/flights.ipynb").get("Contents", [])
        return bool(found) and b"image/png" in s3.get_object(Bucket=bucket, Key=found[0]["Key"])["Body"].read()

    until("the notebook with its plot is in S3", saved)

    lab.close()
    clusters = emr.list_clusters(ClusterStates=["WAITING"])["Clusters"]
    ours = next(c["Id"] for c in clusters if c["Name"] == "browser")
    is_as_described(studio.client("emr"), ours, subnet, logs)
    page.get_by_role("row").filter(has_text="trip").get_by_role("checkbox").check()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="trip")).to_contain_text("Idle", timeout=LONG)
    page.get_by_role("row").filter(has_text="trip").get_by_role("checkbox").check()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="trip")).to_contain_text(re.compile("Ready|Attached"), timeout=LONG)
    lab = open_workspace(context, page, "trip")
    # It is not attached now, which a person is told for each open notebook, and can put aside.
    lab.add_locator_handler(
        lab.locator(".jp-Dialog button.jp-mod-accept"), lambda button: button.click(), no_wait_after=True
    )
    expect(lab.get_by_role("tab", name="flights.ipynb")).to_be_visible()
    inside = lab.locator(".jp-BreadCrumbs").get_by_text("examples", exact=True)
    lab.get_by_role("button", name="Home").or_(lab.locator(".jp-BreadCrumbs-home")).first.click()
    expect(inside).to_have_count(0)
    unfold(lab, "examples", inside)
    expect(lab.get_by_role("listitem", name=re.compile(r"^Name: flights\.ipynb"))).to_be_visible()
    lab.close()
    emr.delete_editor(EditorId=editor["EditorId"])
    emr.terminate_job_flows(JobFlowIds=[ours])


def sample_bucket(studio: Studio) -> str:
    location: str = studio.json["s3"]["default_location"]
    return location.removeprefix("s3://").partition("/")[0]


def test_a_wrong_password_is_refused(studio: Studio, page: Page) -> None:
    sample = studio.json["sample"]
    sign_in(page, sample["url"], sample["user_name"], "not-the-password")
    expect(page.get_by_text("authentication information is incorrect")).to_be_visible()


@pytest.mark.capability("AU-11")
def test_sign_out(studio: Studio, page: Page) -> None:
    sample = studio.json["sample"]
    sign_in(page, sample["url"], sample["user_name"], sample["password"])
    page.get_by_role("button", name=sample["user_name"]).click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_console_shows_studios(studio: Studio, page: Page, artifacts: Path) -> None:
    admin, sample = studio.json["admin"], studio.json["sample"]
    sign_in(page, studio.json["console_url"], admin["user_name"], admin["password"])
    row = page.get_by_role("row").filter(has_text="sample")
    expect(row).to_contain_text(sample["url"].removeprefix("http://"))
    page.screenshot(path=artifacts / "studios.png")


@pytest.mark.capability("EN-04")
def test_a_studio_cookie_opens_no_workspace(studio: Studio, context: BrowserContext, page: Page) -> None:
    sample = studio.json["sample"]
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=sample["studio_id"], Name="private")["EditorId"]
    until("ready", lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Ready")
    sign_in(page, sample["url"], sample["user_name"], sample["password"])
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    cookies = [c for c in context.cookies() if c["name"] == "__Host-emr-studio"]
    assert [(c["secure"], c["httpOnly"], c["path"]) for c in cookies] == [(True, True, "/")]
    origin = studio.settings.workspace_url(editor_id)
    # A browser does not send it there; whoever does is asked to sign in.
    stolen = {"Host": origin.removeprefix("http://"), "Cookie": f"__Host-emr-studio={cookies[0]['value']}"}
    door = f"http://127.0.0.1:{studio.settings.port}"
    page_load = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = httpx.get(f"{door}/lab", headers=stolen | page_load, follow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["location"]) == (302, f"{sample['url']}/#/open/{editor_id}")
    assert httpx.get(f"{door}/api/contents", headers=stolen, timeout=60).status_code == 401
    emr.delete_editor(EditorId=editor_id)
