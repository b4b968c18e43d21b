"""A notebook's page takes text before JupyterLab stands, and nothing of it is lost: in Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat.v4
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from emr_studio.cli.demo.browser import Workspace
from tests.chaos.test_kill_parts import editor_status
from tests.support.lab import KERNEL, link, stored, wait_patiently, write_notebook
from tests.support.studio import Studio, until

NAME = "first"
EVIL = "</textarea></script><img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
_FIELDS = "#emrs-first textarea"
_SOURCES = """where => [...document.querySelectorAll(where)].map(
  cell => [...cell.querySelectorAll(".cm-line")].map(line => line.textContent).join("\\n"))"""
_CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell"


@dataclass
class Place:
    """A Workspace without compute."""

    studio: Studio
    emr: Any
    editor_id: str
    location: str

    def sources(self, name: str) -> list[str]:
        """Of the notebook as S3 has it."""
        body = stored(self.studio.client("s3"), self.location, name)
        return ["".join(cell["source"]) for cell in json.loads(body)["cells"]] if body else []

    def write(self, name: str, *cells: str, minor: int = 5) -> list[str]:
        """A notebook with these cells; returns their ids."""
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": KERNEL})
        if minor < 5:
            notebook["nbformat_minor"] = minor
            for cell in made:
                del cell["id"]
        self.save(name, notebook)
        return [cell.get("id", "") for cell in made]

    def save(self, name: str, notebook: Any) -> None:
        opened = Workspace(link(self.emr, self.editor_id))
        opened.save_notebook(name, notebook)
        opened.close()

    def change(self, name: str, *cells: tuple[str, str]) -> None:
        """Somebody else writes the file: these cells, by id and source."""
        made = [nbformat.v4.new_code_cell(source, id=cell_id) for cell_id, source in cells]
        self.save(name, nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": KERNEL}))


@pytest.fixture(scope="module")
def place(studio: Studio) -> Iterator[Place]:
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name=NAME)["EditorId"]
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    location = emr.describe_editor(EditorId=editor_id)["Editor"]["S3Location"]
    yield Place(studio, emr, editor_id, location)
    emr.delete_editor(EditorId=editor_id)


@pytest.fixture
def origin(context: BrowserContext, place: Place) -> str:
    """Signed in; JupyterLab is not asked for yet."""
    page = context.new_page()
    page.route("**/*", lambda way: way.continue_() if way.request.resource_type == "document" else way.abort())
    page.goto(link(place.emr, place.editor_id), wait_until="commit")
    found = re.match(r"http://[^/]*", page.url)
    assert found, page.url
    page.close()
    return found[0]


@dataclass
class Held:
    """A page whose JupyterLab does not come before it is let go."""

    page: Page
    _is_free: bool = False
    _ways: list[Route] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.route("**/jlab_core*", lambda way: way.continue_() if self._is_free else self._ways.append(way))

    def open(self, address: str) -> None:
        self.page.goto(address, wait_until="commit")
        expect(self.page.locator(_FIELDS).first).to_be_visible()

    def type(self, index: int, text: str) -> None:
        """At the end of a field."""
        field = self.page.locator(_FIELDS).nth(index)
        field.click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(text)

    def values(self) -> list[str]:
        return [one.input_value() for one in self.page.locator(_FIELDS).all()]

    def let_go(self) -> None:
        self._is_free = True
        wait_patiently(self.page)
        for way in self._ways:
            way.continue_()
        has_taken_over(self.page)


def has_taken_over(page: Page) -> None:
    expect(page.locator("#emrs-first")).to_have_count(0)
    expect(page.locator(_CELLS).first).to_be_visible()


def sources(page: Page) -> list[str]:
    found: list[str] = page.evaluate(_SOURCES, f"{_CELLS} .cm-content")
    return found


def drafts(page: Page) -> list[str]:
    found: list[str] = page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('emr-studio-draft'))")
    return found


def test_what_is_typed_before_jupyterlab_stands_is_in_the_notebook(
    place: Place, origin: str, page: Page, artifacts: Path
) -> None:
    first, second = place.write("early.ipynb", "a = 1", "b = 2")
    held = Held(page)
    held.open(f"{origin}/lab/tree/early.ipynb")
    assert held.values() == ["a = 1", "b = 2"]
    held.type(1, "\nif b:\n    c = 3\nd = 4")
    # A line begins where the one before it began.
    assert held.values()[1] == "b = 2\nif b:\n    c = 3\n    d = 4"
    page.screenshot(path=artifacts / "first-page.png")
    # Somebody else writes meanwhile: another cell, and the beginning of this one.
    place.change("early.ipynb", (first, "a = 10"), (second, "# theirs\nb = 2"))
    held.let_go()
    until("both are there", lambda: sources(page) == ["a = 10", "# theirs\nb = 2\nif b:\n    c = 3\n    d = 4"])
    # The caret has gone over too.
    page.keyboard.type("0")
    expected = ["a = 10", "# theirs\nb = 2\nif b:\n    c = 3\n    d = 40"]
    until("it is saved", lambda: place.sources("early.ipynb") == expected)
    assert drafts(page) == []
    page.screenshot(path=artifacts / "first-page-taken-over.png")


def test_a_tab_that_is_closed_early_loses_nothing(place: Place, origin: str, context: BrowserContext) -> None:
    place.write("closed.ipynb", "x = 1", "")
    held = Held(context.new_page())
    held.open(f"{origin}/lab/tree/closed.ipynb")
    held.type(1, "y = 2")
    held.page.close()
    assert place.sources("closed.ipynb") == ["x = 1", ""]
    again = Held(context.new_page())
    again.open(f"{origin}/lab/tree/closed.ipynb")
    until("the draft is in its field", lambda: again.values() == ["x = 1", "y = 2"])
    again.let_go()
    until("it is saved", lambda: place.sources("closed.ipynb") == ["x = 1", "y = 2"])
    assert drafts(again.page) == []


def test_of_a_cell_that_has_changed_meanwhile_both_are_kept(
    place: Place, origin: str, context: BrowserContext, artifacts: Path
) -> None:
    first, _gone, third = place.write("changed.ipynb", "x = 1", "y = 1", "z = 1")
    held = Held(context.new_page())
    held.open(f"{origin}/lab/tree/changed.ipynb")
    for index in (0, 1):
        held.page.locator(_FIELDS).nth(index).fill(f"mine = {index}")
    held.page.close()
    place.change("changed.ipynb", (first, "theirs"), (third, "z = 1"))
    page = context.new_page()
    page.goto(f"{origin}/lab/tree/changed.ipynb")
    wait_patiently(page)
    has_taken_over(page)
    expected = ["theirs", "mine = 0", "mine = 1", "z = 1"]
    until("both are saved", lambda: place.sources("changed.ipynb")[:2] == expected[:2])
    until("what has no cell is there", lambda: sorted(place.sources("changed.ipynb")) == sorted(expected))
    expect(page.locator(".Toastify__toast").filter(has_text="Both are kept")).to_be_visible()
    page.screenshot(path=artifacts / "first-page-both-kept.png")
    assert drafts(page) == []


def test_what_a_notebook_says_is_never_run(place: Place, origin: str, page: Page) -> None:
    place.write("evil.ipynb", EVIL, "\n\n&lt;" + EVIL)
    held = Held(page)
    held.open(f"{origin}/lab/tree/evil.ipynb")
    assert held.values() == [EVIL, "\n\n&lt;" + EVIL]
    assert page.locator("#emrs-first img, #emrs-first script").count() == 0
    held.let_go()
    until("JupyterLab shows it", lambda: sources(page) == [EVIL, "\n\n&lt;" + EVIL])
    assert page.title() != "run"


def test_a_cell_that_was_run_too_early_is_run(place: Place, origin: str, page: Page) -> None:
    place.write("run.ipynb", "print(1)", "")
    held = Held(page)
    held.open(f"{origin}/lab/tree/run.ipynb")
    held.type(0, "")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(_FIELDS).nth(1)).to_be_focused()
    expect(page.locator(".emrs-first-cell > span").first).to_have_text("[*]:")
    held.let_go()
    # There is no compute here, which running a cell says.
    advice = page.get_by_role("dialog").filter(has_text="This Workspace is not attached to a cluster.")
    expect(advice).to_be_visible()


def test_other_documents_are_jupyterlabs_alone(place: Place, origin: str, page: Page) -> None:
    place.write("old.ipynb", "x = 1", minor=4)
    page.goto(f"{origin}/lab/tree/old.ipynb", wait_until="domcontentloaded")
    assert page.locator("#emrs-first").count() == 0
    has_taken_over(page)
    for path in ("none.ipynb", "examples", "..%2f..%2fetc%2fpasswd"):
        answer = page.evaluate("async path => (await fetch(path)).text()", f"/lab/tree/{path}")
        assert "jupyter-config-data" in answer, path
        assert "emrs-first" not in answer, path


def test_without_jupyterlab_the_draft_stays(place: Place, origin: str, context: BrowserContext) -> None:
    write_notebook(place.emr, place.editor_id, "fails.ipynb", "x = 1")
    page = context.new_page()
    ways: list[Route] = []
    lost: list[bool] = []
    page.route("**/jlab_core*", lambda way: way.abort() if lost else ways.append(way))
    page.goto(f"{origin}/lab/tree/fails.ipynb", wait_until="commit")
    page.locator(_FIELDS).first.fill("x = 2")
    lost.append(True)
    for way in ways:
        way.abort()
    expect(page.locator("#emrs-first")).to_have_count(0)
    assert len(drafts(page)) == 1
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    has_taken_over(page)
    until("it is saved", lambda: place.sources("fails.ipynb") == ["x = 2"])
