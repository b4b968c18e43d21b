"""The Studio's list of Workspaces in Chromium: what it shows, and how one is found in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_main_job import LONG, choose_new_cluster, opener, sign_in
from tests.support.studio import Studio, held, until

COLUMNS = ("Name", "Status", "Creation time", "Last modified", "User")


@pytest.mark.capability("WS-01", "WS-03", "WS-04")
def test_a_workspace_is_made_listed_and_found(studio: Studio, page: Page, artifacts: Path) -> None:
    sample, emr = studio.json["sample"], studio.client("emr", "sample")
    page_of = {"StudioId": sample["studio_id"]}
    other = emr.create_editor(**page_of, Name="needle other")["EditorId"]
    sign_in(page, sample["url"], sample["user_name"], sample["password"])
    page.get_by_role("link", name="Workspaces").first.click()
    page.get_by_role("button", name="Create Workspace").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Workspace name").fill("needle one")
    dialog.get_by_label("Description").fill("flights of 2013")
    dialog.get_by_label("Allow Workspace collaboration").check()
    one, two = (page.get_by_role("row").filter(has_text=name) for name in ("needle one", "needle other"))
    with held(studio, "agent"):
        dialog.get_by_role("button", name="Create Workspace").click()
        expect(page.get_by_text("Workspace needle one is being created.").first).to_be_visible()
        expect(one).to_contain_text("Starting")
    expect(one).to_contain_text("Ready", timeout=LONG)
    expect(two).to_contain_text("Ready", timeout=LONG)
    for column in COLUMNS:
        expect(page.get_by_role("columnheader").filter(has_text=column)).to_have_count(1)

    editor = next(found for found in emr.list_editors(**page_of)["Editors"] if found["Name"] == "needle one")
    assert (editor["Description"], editor["CollaborationEnabled"]) == ("flights of 2013", True)
    emr.open_editor_in_console(EditorId=editor["EditorId"])
    until("it has a user", lambda: "User" in emr.describe_editor(EditorId=editor["EditorId"])["Editor"])
    page.get_by_role("button", name="Refresh Workspaces").click()
    expect(one).to_contain_text(sample["user_name"])
    expect(one).to_contain_text(str(editor["CreationTime"].year))

    found = page.get_by_role("row").filter(has_text="needle")
    search = page.get_by_label("Find Workspaces")
    search.fill("needle")
    expect(found).to_have_count(2)
    search.fill("flights of")  # only its description has it
    expect(found).to_have_count(1)
    expect(one).to_be_visible()
    page.get_by_role("button", name="Search in").click()
    page.get_by_role("option", name="Name", exact=True).click()
    expect(found).to_have_count(0)
    search.fill("other")
    expect(found).to_have_count(1)
    expect(two).to_be_visible()
    page.screenshot(path=artifacts / "workspaces-filtered.png")
    for editor_id in (editor["EditorId"], other):
        emr.delete_editor(EditorId=editor_id)


@pytest.mark.capability("CL-11")
def test_a_new_clusters_subnet_is_one_of_the_studios(studio: Studio, page: Page) -> None:
    emr, admin, network = studio.client("emr"), studio.json["admin"], studio.json["network"]
    sample = emr.describe_studio(StudioId=studio.json["sample"]["studio_id"])["Studio"]
    only = network["subnet_ids"][1]
    assert len(network["subnet_ids"]) > 1, "there are others, which are not offered"
    alike = ("AuthMode", "VpcId", "ServiceRole", "WorkspaceSecurityGroupId", "EngineSecurityGroupId")
    place = {"DefaultS3Location": f"{sample['DefaultS3Location']}/one-subnet", "SubnetIds": [only]}
    made = emr.create_studio(Name="one-subnet", **{member: sample[member] for member in alike}, **place)
    try:
        sign_in(page, made["Url"], admin["user_name"], admin["password"])
        for link, button in (("Workspaces", "Create Workspace"), ("EMR on EC2 clusters", "Create cluster")):
            page.get_by_role("link", name=link).first.click()
            page.get_by_role("button", name=button).first.click()
            if link == "Workspaces":
                choose_new_cluster(page)
            opener(page, "Subnet").click()
            expect(page.get_by_role("option")).to_have_count(1)
            expect(page.get_by_role("option")).to_contain_text(only)
            page.get_by_role("option").click()
            page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
            expect(page.get_by_role("dialog")).to_have_count(0)
    finally:
        emr.delete_studio(StudioId=made["StudioId"])
