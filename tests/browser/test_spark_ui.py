"""From a cluster's page in the console to Spark's own pages: live, and its history after the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.studio import Studio, until

LONG = 120_000


def sign_in(page: Page, studio: Studio, place: str) -> None:
    sample = studio.json["admin"]
    page.goto(f"{studio.json['console_url'].rstrip('/')}/{place}")
    page.get_by_label("IAM user name").fill(sample["user_name"])
    page.get_by_label("Password", exact=True).fill(sample["password"])
    page.get_by_role("button", name="Sign in").click()


def tab_of(context: BrowserContext, page: Page, link: str) -> Page:
    with context.expect_page() as opened:
        page.get_by_role("link", name=link).click()
    return opened.value


@pytest.mark.capability("CL-01")
def test_the_spark_ui_opens_from_the_clusters_page(
    studio: Studio, context: BrowserContext, page: Page, artifacts: Path
) -> None:
    emr = studio.client("emr")
    group = {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
    cluster_id = emr.run_job_flow(
        Name="looked-at",
        ReleaseLabel="emr-8.0.0",
        Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
        Instances={"InstanceGroups": [group], "KeepJobFlowAliveWhenNoSteps": True},
        JobFlowRole="EMR_EC2_DefaultRole",
        ServiceRole="EMR_DefaultRole_V2",
    )["JobFlowId"]

    def state() -> str:
        return str(emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"])

    until("WAITING", lambda: state() == "WAITING", 400)
    sign_in(page, studio, "#/clusters")
    _is_found(page, cluster_id, "Waiting")
    page.screenshot(path=artifacts / "clusters-found.png")
    page.get_by_role("link", name="looked-at", exact=True).first.click()
    live = tab_of(context, page, "Spark UI")
    expect(live.get_by_role("heading", name=re.compile("Spark Jobs"))).to_be_visible(timeout=LONG)
    assert f"//{cluster_id.lower()}.appui." in live.url
    live.get_by_role("link", name="Executors").click()
    # The table is filled by a script that asks Spark's API.
    expect(live.locator("#active-executors-table").get_by_text("driver", exact=True)).to_be_visible(timeout=LONG)
    live.screenshot(path=artifacts / "spark-ui.png")

    history = tab_of(context, page, "Spark history")
    expect(history.get_by_text("History Server")).to_be_visible(timeout=LONG)
    until("the application", lambda: _listed(history))
    history.screenshot(path=artifacts / "spark-history.png")

    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    until("TERMINATED", lambda: state() == "TERMINATED")
    expect(page.get_by_role("link", name="Spark UI")).to_have_count(0)
    ended = tab_of(context, page, "Spark history")
    expect(ended.get_by_text("History Server")).to_be_visible(timeout=LONG)
    until("the application, from S3", lambda: _listed(ended))
    ended.locator("a[href*='/history/']").first.click()
    expect(ended.get_by_role("heading", name=re.compile("Spark Jobs"))).to_be_visible(timeout=LONG)
    ended.get_by_role("link", name="Executors").click()
    expect(ended.locator("#active-executors-table").get_by_text("driver", exact=True)).to_be_visible(timeout=LONG)
    ended.screenshot(path=artifacts / "spark-history-executors.png")


def _is_found(page: Page, cluster_id: str, state: str) -> None:
    """The list of clusters has it, by name, id, state and creation time, and not by others."""
    page.get_by_role("link", name="EMR on EC2 clusters").first.click()
    row, words = page.get_by_role("row").filter(has_text=cluster_id), page.get_by_label("Find clusters")
    for text, count in (("looked-at", 1), ("nothing like it", 0), (cluster_id, 1)):
        words.fill(text)
        expect(row).to_have_count(count)
    for name, count in (("Starting", 0), (state, 1)):
        _choose_state(page, name)
        expect(row).to_have_count(count)
        _choose_state(page, name)
    _choose_times(page, "Last hour", "Apply")
    expect(row).to_have_count(1)
    _choose_times(page, "Absolute range", "Apply", {"Start date": "2020/01/01", "End date": "2020/12/31"})
    expect(row).to_have_count(0)
    _choose_times(page, "", "Clear")
    expect(row).to_have_count(1)


def _choose_state(page: Page, name: str) -> None:
    """Choose it, or choose it no more."""
    page.get_by_role("button", name="Filter by state").click()
    page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")


def _choose_times(page: Page, choice: str, button: str, dates: dict[str, str] | None = None) -> None:
    page.get_by_role("button", name="Filter by creation time").click()
    dialog = page.get_by_role("dialog")
    if choice:
        dialog.get_by_text(choice, exact=True).click()
    for label, value in (dates or {}).items():
        dialog.get_by_label(label).fill(value)
    dialog.get_by_role("button", name=button, exact=True).click()


def _listed(page: Page) -> bool:
    """Whether the history server has read an application, ended or not."""
    for path in ("/shs/", "/shs/?showIncomplete=true"):
        page.goto(page.url.partition("/shs")[0] + path)
        page.wait_for_load_state("networkidle")
        if page.locator("a[href*='/history/']").count():
            return True
    return False
