"""Code suggestions in JupyterLab, with a model's server on loopback: keys, pause, who may, and off at first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PATIENCE
from tests.chaos.test_kill_parts import editor_status
from tests.support.lab import Lab, stored, write_notebook
from tests.support.model_server import ModelServer, model_server
from tests.support.studio import Studio, running, until

NAME = "code.ipynb"
FIRST, SECOND, THIRD = "sum(numbers)", "len(numbers)", "max(numbers)"
ON, PAUSED = "Suggestions on", "Suggestions paused"
DENY = {"Effect": "Deny", "Action": "codewhisperer:GenerateRecommendations", "Resource": "*"}


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with model_server() as found:
        yield found


@pytest.fixture(scope="module")
def suggesting(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[Studio]:
    """A studio whose administrator has set a model."""
    folder = tmp_path_factory.mktemp("suggesting")
    settings = {"URL": model.url, "MODEL": "coder", "COUNT": "3", "PER_MINUTE": "1000"}
    with running(folder, **{f"EMR_STUDIO_SUGGESTIONS_{name}": value for name, value in settings.items()}) as found:
        yield found


def workspace(studio: Studio, name: str) -> dict[str, Any]:
    """A Workspace with a notebook of three cells; nothing is attached."""
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name=name)["EditorId"]
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    write_notebook(emr, editor_id, NAME, "numbers = [1, 2, 3]", "", "print(total)", "%%sql\nselect 1")
    found: dict[str, Any] = emr.describe_editor(EditorId=editor_id)["Editor"]
    return found


@pytest.fixture(scope="module")
def editor(suggesting: Studio) -> dict[str, Any]:
    return workspace(suggesting, "suggestions")


@pytest.fixture
def lab(suggesting: Studio, editor: dict[str, Any], model: ModelServer, browser: Browser) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE)
    found = Lab(context.new_page(), suggesting.client("emr", "sample"), editor["EditorId"], NAME)
    model.says = lambda _: [FIRST, SECOND, THIRD]
    yield found
    clear(found)
    context.close()


def status(page: Page, text: str) -> Locator:
    return page.locator("#jp-main-statusbar").get_by_role("button", name=text, exact=True)


def ghost(lab: Lab) -> Locator:
    return lab.cell(1).locator(".jp-GhostText")


def caret_in(lab: Lab) -> Locator:
    return lab.cell(1).locator(".jp-InputArea-editor .cm-content")


def typed(lab: Lab) -> str:
    """The cell's text as the notebook has it, without what is only shown."""
    source = """() => {
        const cell = document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell')[1];
        const lines = [...cell.querySelectorAll('.cm-line')].map(line => line.cloneNode(true));
        lines.forEach(line => line.querySelectorAll('.jp-GhostText').forEach(one => one.remove()));
        return lines.map(line => line.textContent).join('\\n');
    }"""
    return str(lab.page.evaluate(source)).replace("\u200b", "")


def clear(lab: Lab) -> None:
    caret_in(lab).click()
    lab.page.keyboard.press("Escape")
    caret_in(lab).click()
    lab.page.keyboard.press("Control+A")
    lab.page.keyboard.press("Delete")
    until("the cell is empty", lambda: typed(lab) == "")


@pytest.mark.capability("EX-07")
def test_code_is_suggested_while_one_types_and_keys_take_it_or_not(
    lab: Lab, model: ModelServer, artifacts: Path
) -> None:
    page, keyboard = lab.page, lab.page.keyboard
    expect(status(page, ON)).to_be_visible()
    lab.write(1, "total = ")
    expect(ghost(lab)).to_have_text(FIRST)
    page.screenshot(path=artifacts / "suggestions.png")
    path, asked, _ = model.asked[-1]
    assert (path, asked["model"], asked["n"]) == ("/v1/chat/completions", "coder", 3)
    # The cells before and after are asked about too, and what is SQL is not.
    assert "numbers = [1, 2, 3]\n\ntotal = <CURSOR>\n\nprint(total)" in asked["messages"][-1]["content"]
    assert "select 1" not in asked["messages"][-1]["content"]

    for key, shown in (("ArrowRight", SECOND), ("ArrowDown", THIRD), ("ArrowUp", SECOND), ("ArrowLeft", FIRST)):
        keyboard.press(key)
        expect(ghost(lab)).to_have_text(shown)
    keyboard.press("Escape")
    expect(ghost(lab)).to_have_count(0)
    expect(caret_in(lab)).to_be_focused()
    assert typed(lab) == "total = "
    # What was rejected is not taken; the arrows move the caret again.
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    keyboard.type("+")
    until("the caret moved", lambda: typed(lab) == "total += ")
    keyboard.press("End")

    keyboard.press("Alt+c")
    expect(ghost(lab)).to_have_text(FIRST)
    keyboard.press("ArrowRight")
    expect(ghost(lab)).to_have_text(SECOND)
    keyboard.press("Tab")
    expect(ghost(lab)).to_have_count(0)
    assert typed(lab) == f"total += {SECOND}"
    expect(caret_in(lab)).to_be_focused()


def saves(studio: Studio, editor: dict[str, Any], text: str) -> Callable[[], bool]:
    s3 = studio.client("s3")
    return lambda: text in stored(s3, editor["S3Location"].rstrip("/") + "/", NAME).decode()


@pytest.mark.capability("EX-07")
def test_a_pause_is_remembered_and_code_can_still_be_asked_for(
    lab: Lab, suggesting: Studio, editor: dict[str, Any], model: ModelServer
) -> None:
    page, keyboard = lab.page, lab.page.keyboard
    status(page, ON).click()
    expect(status(page, PAUSED)).to_be_visible()
    page.reload()
    expect(status(page, PAUSED)).to_be_visible()
    before = len(model.asked)
    lab.write(1, "paused = ")
    # A second and more after the last key: longer than suggestions wait for the next.
    until("what was typed is in S3", saves(suggesting, editor, "paused = "))
    assert len(model.asked) == before
    expect(ghost(lab)).to_have_count(0)
    keyboard.press("Alt+c")
    expect(ghost(lab)).to_have_text(FIRST)
    keyboard.press("Escape")
    expect(ghost(lab)).to_have_count(0)

    status(page, PAUSED).click()
    expect(status(page, ON)).to_be_visible()
    lab.write(1, "2 + ")
    expect(ghost(lab)).to_have_text(FIRST)


@pytest.mark.capability("EX-07")
def test_what_fails_is_told_and_typing_goes_on(lab: Lab, model: ModelServer) -> None:
    page = lab.page
    model.status = 401
    try:
        lab.write(1, "x = ")
        expect(status(page, "No suggestions")).to_have_attribute("title", re.compile("refuses the key"))
        expect(page.locator(".Toastify__toast").filter(has_text="refuses the key")).to_have_count(0)
        page.keyboard.press("Alt+c")
        expect(page.locator(".Toastify__toast").filter(has_text="suggestions_key_file")).to_be_visible()
    finally:
        model.status = 200
    page.keyboard.type("y + ")
    expect(ghost(lab)).to_have_text(FIRST)
    expect(status(page, ON)).to_be_visible()


@pytest.mark.capability("EX-07")
def test_who_may_not_sees_nothing_of_it_but_the_reason_when_asking(
    lab: Lab, suggesting: Studio, model: ModelServer
) -> None:
    page, iam = lab.page, suggesting.client("iam")
    name = suggesting.json["sample"]["user_name"]
    document = json.dumps({"Version": "2012-10-17", "Statement": DENY})
    iam.put_user_policy(UserName=name, PolicyName="no-code", PolicyDocument=document)
    try:
        page.reload(wait_until="commit")  # no answer comes any more to the page of before
        with page.expect_response(lambda reply: reply.url.endswith("/_studio/api")) as about:
            pass
        assert about.value.json()["MayGetSuggestions"] is False
        lab.write(1, "total = ")
        page.keyboard.press("Alt+c")
        # JupyterLab cuts what is longer than 140 characters.
        denied = "is not authorized to perform: codewhisperer:GenerateRecommendations on resource: *"
        expect(page.locator(".Toastify__toast").filter(has_text=denied)).to_be_visible()
        expect(status(page, ON)).to_have_count(0)
        expect(status(page, PAUSED)).to_have_count(0)
    finally:
        iam.delete_user_policy(UserName=name, PolicyName="no-code")


@pytest.mark.capability("EX-07")
def test_without_a_model_there_is_nothing_but_the_reason(studio: Studio, page: Page, artifacts: Path) -> None:
    emr = studio.client("emr", "sample")
    made = workspace(studio, "no-model")
    lab = Lab(page, emr, made["EditorId"], NAME)
    with page.expect_response(lambda reply: reply.url.endswith("/_studio/api/suggestions")):
        lab.write(1, "total = ")
        page.keyboard.press("Alt+c")
    expect(page.locator(".Toastify__toast").filter(has_text="suggestions are off")).to_contain_text("suggestions_url")
    expect(ghost(lab)).to_have_count(0)
    expect(status(page, ON)).to_have_count(0)
    page.screenshot(path=artifacts / "suggestions-off.png")
    emr.delete_editor(EditorId=made["EditorId"])
