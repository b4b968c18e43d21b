"""JupyterLab of a Workspace, as a person sees and uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import nbformat.v4
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from emr_studio.cli.demo.browser import Workspace
from tests.support.studio import until

KERNEL = {"display_name": "PySpark", "language": "python", "name": "pysparkkernel"}
_LONG = 120_000


def link(emr: Any, editor_id: str) -> str:
    """A link that signs the client's user in at the Workspace, once."""
    url: str = emr.open_editor_in_console(EditorId=editor_id)["Url"]
    return url


def write_notebook(emr: Any, editor_id: str, name: str, *cells: str) -> None:
    """Put a notebook with these cells into the Workspace."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells], metadata={"kernelspec": KERNEL}
    )
    opened = Workspace(link(emr, editor_id))
    opened.save_notebook(name, notebook)
    opened.close()


class Lab:
    """One notebook in one page."""

    def __init__(self, page: Page, emr: Any, editor_id: str, name: str) -> None:
        self.page, self.name = page, name
        page.goto(link(emr, editor_id))
        wait_patiently(page)
        origin = re.match(r"http://[^/]*", page.url)
        assert origin, page.url
        page.goto(f"{origin[0]}/lab/tree/{name}")
        # What was open before opens first.
        tabs = page.locator("#jp-main-dock-panel .lm-TabBar-tab.lm-mod-current")
        expect(tabs.filter(has_text=name)).to_be_visible(timeout=_LONG)
        expect(self.cell(0)).to_be_visible(timeout=_LONG)

    @property
    def panel(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cell(self, index: int) -> Locator:
        return self.panel.locator(".jp-CodeCell").nth(index)

    def outputs(self, index: int) -> str:
        """All that the cell shows."""
        return "\n".join(self.cell(index).locator(".jp-OutputArea-output").all_inner_texts())

    def lines(self, index: int) -> list[str]:
        return [line for line in self.outputs(index).splitlines() if line]

    def prompt(self, index: int) -> str:
        return self.cell(index).locator(".jp-InputPrompt").inner_text()

    def has_kernel(self) -> None:
        """Wait until the kernel is there: JupyterLab passes over what is run before."""
        expect(self.panel.locator(".jp-Toolbar-kernelName")).to_contain_text("PySpark", timeout=_LONG)
        expect(self.panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
            "data-status", "idle", timeout=_LONG
        )

    def write(self, index: int, source: str) -> None:
        """Type at the end of a cell."""
        self._focus(index)
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(source)

    def source(self, index: int) -> str:
        return self.cell(index).locator(".cm-content").inner_text()

    def run(self, index: int) -> None:
        self._focus(index)
        self.page.keyboard.press("Control+Enter")

    def _focus(self, index: int) -> None:
        """A menu that closes takes the focus for a moment."""
        editor = self.cell(index).locator(".jp-InputArea-editor .cm-content")
        editor.click()
        expect(editor).to_be_focused()

    def menu(self, name: str, item: str) -> None:
        self.page.get_by_role("menuitem", name=name, exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile(f"^{item}")).click()

    def shows(self, index: int, text: str, seconds: float = 120.0) -> None:
        """Wait until the cell shows it."""
        until(f"cell {index} shows {text!r}, not {self.outputs(index)!r}", lambda: text in self.outputs(index), seconds)


def wait_patiently(page: Page) -> None:
    """Put aside what JupyterLab says by itself: that a document takes long to load, that the line was lost."""
    patience = page.get_by_role("button", name="Continue waiting")
    lost = page.get_by_role("dialog").filter(has_text="Server Connection Error").get_by_role("button", name="Close")
    for button in (patience, lost):
        page.add_locator_handler(button, lambda found: found.click(), no_wait_after=True)


def unfold(page: Page, name: str, opened: Locator) -> None:
    """Double-click an item of the file browser until it is open: one half is lost where the list is drawn anew."""
    item = page.locator(".jp-DirListing-item").filter(has=page.get_by_text(name, exact=True))

    def is_open() -> bool:
        if not opened.is_visible():
            # It may be gone by now, with the list that it was in.
            with suppress(PlaywrightTimeout):
                item.dblclick(timeout=5_000)
            page.wait_for_timeout(500)
        return opened.is_visible()

    until(f"{name} is open", is_open)


def listen(page: Page) -> Callable[[str], None]:
    """From now on keep what the page says and takes away again; the answer waits until something was said."""
    page.evaluate(
        """() => {
            const said = (window.saidByThePage = []);
            const keep = () => document.querySelectorAll('.Toastify__toast').forEach(one => said.push(one.innerText));
            new MutationObserver(keep).observe(document.body, {childList: true, subtree: true, characterData: true});
        }"""
    )

    def hears(text: str) -> None:
        said = "text => window.saidByThePage.some(one => one.includes(text))"
        until(f"the page says {text!r}", lambda: page.evaluate(said, text))

    return hears


def stored(s3: Any, location: str, name: str) -> bytes:
    """A file of a Workspace as S3 has it; empty if it has none."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return b""
    return body


def show(page: Page, panel: str) -> Locator:
    """Open a panel by its icon, which says what it is; returns the panel."""
    tab = page.locator(f".jp-SideBar [role=tab][title^='{panel}: ']")
    if tab.get_attribute("aria-selected") != "true":
        tab.click()
    found = page.get_by_role("region", name=panel, exact=True)
    expect(found).to_be_visible()
    return found
