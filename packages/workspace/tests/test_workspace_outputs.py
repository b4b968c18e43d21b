"""What a kernel says becomes the outputs of a cell, as JupyterLab would show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Array, Doc, Map

from emr_studio_workspace.outputs import CellOutputs, Displays, overprint


@pytest.mark.parametrize(
    ("shown", "text", "back", "after"),
    [
        ("", "a\nb", 0, ("a\nb", 0)),
        ("10%", "\r20%", 0, ("20%", 0)),
        ("100%", "\r5%", 0, ("5%0%", 2)),
        ("5%0%", "x", 2, ("5%x%", 1)),
        ("ab", "\b\bc", 0, ("cb", 1)),
        ("done\n10%", "\r20%\n", 0, ("done\n20%\n", 0)),
        ("a", "\b\b\b\b", 0, ("a", 1)),
        ("é€", "\rü", 0, ("ü€", 1)),
    ],
)
def test_a_terminal_goes_back(shown: str, text: str, back: int, after: tuple[str, int]) -> None:
    assert overprint(shown, text, back) == after


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"header": {"msg_type": kind}, "content": content, "metadata": {}}


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return message("stream", name=name, text=text)


def show(text: str, display_id: str) -> dict[str, Any]:
    transient = {"display_id": display_id} if display_id else {}
    return message("display_data", data={"text/plain": text}, metadata={}, transient=transient)


def cells(count: int) -> Any:
    """Cells of a shared notebook."""
    document: Doc[Any] = Doc()
    found = document.get("cells", type=Array)
    for index in range(count):
        cell = {"id": str(index), "outputs": Array([]), "execution_count": None, "execution_state": "idle"}
        found.append(Map(cell))
    return found


def played(*kept: bool, play: Callable[[list[CellOutputs]], None]) -> list[list[dict[str, Any]]]:
    """The outputs of each cell after `play`; of those that are True in a document, of the others outside of one."""

    async def run() -> list[list[dict[str, Any]]]:
        displays: Displays = {}
        shared = cells(len(kept))
        made = [CellOutputs(shared[i] if is_shared else None, displays) for i, is_shared in enumerate(kept)]
        play(made)
        return [outputs.to_python() for outputs in made]

    return asyncio.run(run())


def _text(output: dict[str, Any]) -> str:
    text = output["text"]
    return "".join(text) if isinstance(text, list) else str(text)


@pytest.mark.parametrize("shared", [True, False])
def test_streams_are_one_output_until_another_comes(shared: bool) -> None:
    def play(made: list[CellOutputs]) -> None:
        for text in ("a", "b\n"):
            made[0].take(stream(text))
        made[0].take(stream("bad", "stderr"))
        made[0].take(stream("c"))

    outputs = played(shared, play=play)[0]
    assert [(output["name"], _text(output)) for output in outputs] == [
        ("stdout", "ab\n"),
        ("stderr", "bad"),
        ("stdout", "c"),
    ]


@pytest.mark.parametrize("shared", [True, False])
def test_a_display_is_updated_by_a_later_cell(shared: bool) -> None:
    def play(made: list[CellOutputs]) -> None:
        made[0].take(show("first", "d1"))
        made[0].take(show("other", ""))
        update = {"data": {"text/plain": "second"}, "metadata": {}, "transient": {"display_id": "d1"}}
        made[1].take(message("update_display_data", **update))

    first, second = played(shared, shared, play=play)
    assert [output["data"]["text/plain"] for output in first] == ["second", "other"]
    assert second == []


@pytest.mark.parametrize("shared", [True, False])
def test_outputs_are_cleared_at_once_or_with_the_next(shared: bool) -> None:
    def play(made: list[CellOutputs]) -> None:
        made[0].take(stream("a"))
        made[0].take(message("clear_output", wait=True))
        assert [_text(output) for output in made[0].to_python()] == ["a"]
        made[0].take(stream("b"))
        assert [_text(output) for output in made[0].to_python()] == ["b"]
        made[0].take(message("clear_output", wait=False))

    assert played(shared, play=play) == [[]]


def test_a_cell_says_that_it_runs_and_has_run() -> None:
    async def run() -> None:
        cell = cells(1)[0]
        outputs = CellOutputs(cell)
        outputs.take(stream("of the last run"))
        outputs.begin()
        assert (cell["execution_state"], len(cell["outputs"])) == ("running", 0)
        outputs.take(stream("new"))
        outputs.end(7)
        assert (cell["execution_state"], cell["execution_count"]) == ("idle", 7)

    asyncio.run(run())


def test_what_a_deleted_cell_prints_harms_nobody() -> None:
    async def run() -> None:
        found = cells(2)
        outputs = CellOutputs(found[0])
        outputs.take(stream("a"))
        del found[0]
        outputs.take(stream("b"))
        outputs.take(show("c", "d"))
        outputs.end(1)
        assert len(found[0]["outputs"]) == 0

    asyncio.run(run())


class Page:
    """An open page: what JupyterLab makes of the changes of a cell's outputs, `@jupyterlab/cells` 4.6."""

    def __init__(self, outputs: Any) -> None:
        self.shown: list[Any] = []
        self.subscription = outputs.observe(self.change)

    def change(self, event: Any) -> None:
        place = 0
        for part in event.delta:
            place += part.get("retain", 0)
            for _ in range(part.get("delete", 0)):
                del self.shown[place]
            # "Inserting an output always results in appending it."
            self.shown += [output.to_py() for output in part.get("insert", [])]


def line(output: dict[str, Any]) -> str:
    return str(output.get("text") or output["data"]["text/plain"])


async def test_a_display_is_updated_in_its_place_in_open_pages() -> None:
    [cell] = cells(1)
    page, outputs = Page(cell["outputs"]), CellOutputs(cell)
    for said in (show("a", "1"), stream("printed\n"), show("b", "2")):
        outputs.take(said)
    outputs.take(message("update_display_data", data={"text/plain": "A"}, metadata={}, transient={"display_id": "1"}))
    outputs.take(message("update_display_data", data={"text/plain": "B"}, metadata={}, transient={"display_id": "2"}))
    assert [line(output) for output in page.shown] == ["A", "printed\n", "B"]
    assert page.shown == cell["outputs"].to_py()
    outputs.take(stream("more\n"))
    outputs.take(message("update_display_data", data={"text/plain": "C"}, metadata={}, transient={"display_id": "2"}))
    outputs.take(stream("and more\n"))
    outputs.end(1)
    assert [line(output) for output in cell["outputs"].to_py()] == ["A", "printed\n", "C", "more\nand more\n"]


async def test_what_is_long_is_not_written_again() -> None:
    [cell] = cells(1)
    outputs = CellOutputs(cell)
    for said in (show("a", "1"), show("b" * 20000, "")):
        outputs.take(said)
    long = cell["outputs"][1]
    changes: list[Any] = []
    _kept = cell["outputs"].observe(lambda event: changes.append(event.delta))
    outputs.take(message("update_display_data", data={"text/plain": "A"}, metadata={}, transient={"display_id": "1"}))
    assert [line(output)[0] for output in cell["outputs"].to_py()] == ["A", "b"]
    assert [part.get("delete", 0) for part in changes[0] if "delete" in part] == [1]
    assert long.to_py()["data"]["text/plain"] == "b" * 20000


def test_what_a_tab_brings_back_is_seen_and_goes_with_the_next_begin() -> None:
    async def play() -> None:
        cell = cells(1)[0]
        outputs = CellOutputs(cell)
        outputs.begin()
        outputs.take(show("mine", "d"))
        assert [outputs.has_more] == [False]
        cell["outputs"].append(Map({"output_type": "stream", "name": "stdout", "text": "from before"}))
        assert [outputs.has_more] == [True]
        outputs.begin()
        outputs.take(show("mine", "d"))
        assert [outputs.has_more] == [False]
        assert len(cell["outputs"]) == 1

    asyncio.run(play())
