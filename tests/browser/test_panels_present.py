"""All that EMR Studio's JupyterLab has around a notebook (emr-studio.md 6.7) is there, and says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.test_panels import workspace
from tests.support.lab import Lab, write_notebook
from tests.support.studio import Studio

SIDE = {
    "File Browser": ".jp-FileBrowser",
    "Running Terminals and Kernels": "#jp-running-sessions",
    "Git": "#jp-git-sessions",
    "Git repositories: ": "#emr-studio-repositories",
    "Compute: ": "#emr-studio-compute",
    "SQL explorer: ": "#emr-studio-sql",
    "Notebook examples: ": "#emr-studio-examples",
    "Collaboration: ": "#emr-studio-collaboration",
    "Commands (Ctrl": "#command-palette",
    "Property Inspector": ".jp-PropertyInspector",
}
"""How the tooltip of each side panel begins, and what it opens."""


@pytest.fixture(scope="module")
def lab(studio: Studio, browser: Browser) -> Iterator[Lab]:
    emr = studio.client("emr", "sample")
    editor_id = workspace(emr, studio, "all panels")
    write_notebook(emr, editor_id, "work.ipynb", "1")
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    no_kernel = page.locator(".jp-Dialog").filter(has_text="Kernel").locator("button.jp-mod-accept")
    page.add_locator_handler(no_kernel, lambda button: button.click(), no_wait_after=True)
    yield Lab(page, emr, editor_id, "work.ipynb")
    context.close()
    emr.delete_editor(EditorId=editor_id)


def opened(page: Page, tooltip: str) -> None:
    """Open a side panel by the icon with this tooltip."""
    exact = f"[title='{tooltip}']" if tooltip == "Git" else f"[title^='{tooltip}']"
    tab = page.locator(f".jp-SideBar [role=tab]{exact}")
    expect(tab).to_have_count(1)
    if tab.get_attribute("aria-selected") != "true":
        tab.click()
    expect(page.locator(SIDE[tooltip])).to_be_visible()


@pytest.mark.capability("WS-16")
def test_every_panel_is_there_with_a_tooltip(lab: Lab, artifacts: Path) -> None:
    page = lab.page
    for tooltip in SIDE:
        opened(page, tooltip)
        page.screenshot(path=artifacts / f"ws16-{tooltip.split(':')[0].lower().replace(' ', '-').replace('(', '')}.png")
    # Of a notebook the tools are its cells' tags and metadata; open tabs are a part of what runs.
    opened(page, "Property Inspector")
    tools = page.locator(".jp-PropertyInspector")
    expect(tools).to_contain_text("Common Tools")
    opened(page, "Running Terminals and Kernels")
    expect(page.locator("#jp-running-sessions")).to_contain_text("Open Tabs")
    expect(page.locator("#jp-running-sessions")).to_contain_text("work.ipynb")


@pytest.mark.capability("WS-16")
def test_the_launcher_has_cards_with_tooltips(lab: Lab, artifacts: Path) -> None:
    page = lab.page
    page.keyboard.press("Control+Shift+L")
    launcher = page.locator(".jp-Launcher:visible")
    expect(launcher).to_be_visible()
    for name in ("Compute", "SQL Explorer", "Git Repositories", "Notebook Examples", "Collaboration", "Terminal"):
        card = launcher.locator(".jp-LauncherCard").filter(has_text=name)
        expect(card.first).to_have_attribute("title", re.compile(".+"))
    page.screenshot(path=artifacts / "ws16-launcher.png")
