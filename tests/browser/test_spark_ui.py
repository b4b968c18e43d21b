"""From a cluster's page in the console to Spark's own pages: live, and its history after the end."""

from __future__ import annotations

import re
from pathlib import Path

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
    sign_in(page, studio, f"#/clusters/{cluster_id}")
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


def _listed(page: Page) -> bool:
    """Whether the history server has read an application, ended or not."""
    for path in ("/shs/", "/shs/?showIncomplete=true"):
        page.goto(page.url.partition("/shs")[0] + path)
        page.wait_for_load_state("networkidle")
        if page.locator("a[href*='/history/']").count():
            return True
    return False
