"""A Workspace's files in JupyterLab, in Chromium, and what S3 has of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PATIENCE
from tests.chaos.test_kill_parts import editor_status
from tests.support.lab import Lab, stored, unfold
from tests.support.studio import Studio, until

NAME = "files"
NOTEBOOK = f"{NAME}.ipynb"


@dataclass
class Files:
    """A Workspace without compute, and its place in S3."""

    studio: Studio
    emr: Any
    s3: Any
    editor_id: str
    location: str

    @property
    def place(self) -> tuple[str, str]:
        bucket, _, prefix = self.location.removeprefix("s3://").partition("/")
        return bucket, prefix

    def names(self, under: str = "") -> list[str]:
        """What S3 has, below a folder of the Workspace."""
        bucket, prefix = self.place
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix + under).get("Contents", [])
        return [item["Key"].removeprefix(prefix) for item in found]

    def read(self, name: str) -> bytes:
        return stored(self.s3, self.location, name)


@pytest.fixture(scope="module")
def files(studio: Studio) -> Iterator[Files]:
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name=NAME)["EditorId"]
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    location = emr.describe_editor(EditorId=editor_id)["Editor"]["S3Location"]
    yield Files(studio, emr, studio.client("s3"), editor_id, location)
    emr.delete_editor(EditorId=editor_id)


@pytest.fixture(scope="module")
def lab(files: Files, browser: Browser) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    no_kernel = page.locator(".jp-Dialog").filter(has_text="Kernel").locator("button.jp-mod-accept")
    page.add_locator_handler(no_kernel, lambda button: button.click(), no_wait_after=True)
    yield Lab(page, files.emr, files.editor_id, NOTEBOOK)
    context.close()


def show_notebook(lab: Lab) -> None:
    """Bring its tab to the front, whatever was opened meanwhile."""
    lab.page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=NOTEBOOK).click()
    expect(lab.cell(0)).to_be_visible()


def item(page: Page, name: str) -> Locator:
    """A file or folder in the list."""
    return page.locator(".jp-DirListing-item").filter(has=page.get_by_text(name, exact=True))


def upload(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Upload Files").click()
    choosing.value.set_files(path)


def press(page: Page, name: str, key: str, opened: Locator) -> None:
    """Choose an item and press the key until what it opens is there: a list that is drawn anew loses the focus."""

    def is_open() -> bool:
        if not opened.is_visible():
            item(page, name).click()
            page.keyboard.press(key)
            page.wait_for_timeout(500)
        return opened.is_visible()

    until(f"{key} is obeyed", is_open)


def rename(page: Page, before: str, after: str) -> None:
    editor = page.locator(".jp-DirListing-editor")
    press(page, before, "F2", editor)
    editor.fill(after)
    editor.press("Enter")
    expect(item(page, after)).to_be_visible()


def delete(page: Page, name: str) -> None:
    dialog = page.locator(".jp-Dialog")
    button = dialog.get_by_role("button", name="Delete").or_(dialog.get_by_role("button", name="Move to Trash"))
    press(page, name, "Delete", button)
    button.click()
    expect(item(page, name)).to_have_count(0)


@pytest.mark.capability("WS-18", "SG-04")
def test_files_and_folders_are_in_s3_as_they_are_here(files: Files, lab: Lab, tmp_path: Path) -> None:
    page, table = lab.page, tmp_path / "table.csv"
    table.write_text("name,pieces\npear,4\n")
    upload(page, table)
    until("the upload is in S3", lambda: files.read("table.csv") == table.read_bytes())
    item(page, "table.csv").click(button="right")
    with page.expect_download() as loading:
        page.get_by_role("menuitem", name="Download", exact=True).click()
    loading.value.save_as(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == table.read_bytes()
    rename(page, "table.csv", "fruit sales.csv")
    until("the new name is in S3", lambda: "fruit sales.csv" in files.names() and "table.csv" not in files.names())

    page.get_by_role("button", name="New Folder").click()
    editor = page.locator(".jp-DirListing-editor")
    editor.fill("data")
    editor.press("Enter")
    unfold(page, "data", page.locator(".jp-BreadCrumbs").get_by_text("data", exact=True))
    expect(item(page, "fruit sales.csv")).to_have_count(0)
    upload(page, table)
    until("it is in S3 below its folder", lambda: files.read("data/table.csv"))
    page.locator(".jp-BreadCrumbs-home").click()
    rename(page, "data", "data 2026")
    until("the folder's new name is in S3", lambda: files.read("data 2026/table.csv") and not files.names("data/"))
    delete(page, "fruit sales.csv")
    until("the file is gone from S3", lambda: "fruit sales.csv" not in files.names())
    delete(page, "data 2026")
    until("the folder is gone from S3", lambda: not files.names("data 2026/"))


@pytest.mark.capability("SG-02")
def test_a_save_by_hand_keeps_one_checkpoint(files: Files, lab: Lab) -> None:
    kept = f"checkpoints/{NOTEBOOK}"
    show_notebook(lab)
    for words in ("first", "second"):
        lab.write(0, f"# {words}\n")
        lab.page.keyboard.press("Control+s")
        until("the checkpoint is in S3", lambda: words.encode() in files.read(kept))  # noqa: B023
        assert files.names("checkpoints/") == [kept]
    until("the notebook is in S3", lambda: b"second" in files.read(NOTEBOOK))
