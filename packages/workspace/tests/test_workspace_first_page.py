"""A notebook's first cells in its page: what is shown, and that what a notebook has in it is never more than text."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text

from emr_studio_workspace import first_page
from emr_studio_workspace.first_page import Cell, Unfit, first_cells, into, read_cells, render
from tests.support.workspace_python import in_workspace

_EVIL = [
    "</textarea><script>alert(1)</script>",
    "</script><!--",
    "&lt;b&gt; & \"'`",
    "\n\nbegins with lines",
    "\t",
    "é😀",
    "",
]


class _Fields(HTMLParser):
    """What a browser makes of the part: the fields' texts, and every tag."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.outputs: list[str] = []
        self._into: list[str] | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        self._into = {"textarea": self.texts, "pre": self.outputs}.get(tag)
        if self._into is not None:
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data

    @property
    def values(self) -> list[str]:
        """As a field has them: a line's end right after the tag is not its own."""
        return [text.removeprefix("\n") for text in self.texts]


def _code(at: int, source: Any = "", **more: Any) -> dict[str, Any]:
    return {"id": f"c{at}", "cell_type": "code", "source": source, "outputs": [], "execution_count": None, **more}


def _file(folder: Path, *cells: dict[str, Any], minor: int = 5) -> str:
    path = folder / "a.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": minor}))
    return str(path)


def test_all_that_comes_from_a_notebook_is_text_in_the_page() -> None:
    cells = [Cell(f"c{at}", "code", source, output=source) for at, source in enumerate(_EVIL)]
    hostile = '"><script>alert(2)</script>'
    plain = _Fields(
        render("a.ipynb", "u", "light", [Cell(str(at), "code", "", output="x") for at in range(7)], has_more=True)
    )
    found = _Fields(
        render(f"{hostile}/a.ipynb", hostile, "light", [*cells[:-1], Cell(hostile, "code", "")], has_more=True)
    )
    assert found.values == _EVIL
    assert found.outputs == [text for text in _EVIL if text]
    assert [tag for tag in found.tags if tag != "pre"] == [tag for tag in plain.tags if tag != "pre"]
    fields = [attributes for attributes in found.attributes if "data-cell" in attributes]
    assert fields[-1]["data-cell"] == hostile
    assert {name for attributes in found.attributes for name in attributes if name.startswith("on")} == set()
    section = next(attributes for attributes in found.attributes if attributes.get("id") == "emrs-first")
    assert (section["data-path"], section["data-user"]) == (f"{hostile}/a.ipynb", hostile)


def test_each_field_says_what_it_is() -> None:
    cells = [Cell("a", "markdown", "# A"), Cell("b", "code", "x\ny", 7, "out")]
    found = _Fields(render("f/n.ipynb", "u", "dark", cells, has_more=False))
    fields = [attributes for attributes in found.attributes if "data-cell" in attributes]
    assert [(one["aria-label"], one["data-kind"], one["rows"]) for one in fields] == [
        ("Markdown cell 1", "markdown", "1"),
        ("Code cell 2", "code", "2"),
    ]
    assert "[7]:" in render("n", "u", "dark", cells, has_more=False)


def test_a_file_is_read_as_notebooks_are_written(tmp_path: Path) -> None:
    text = [{"output_type": "stream", "name": "stdout", "text": ["one\n", "\x1b[31mtwo\x1b[0m\n"]}]
    image = [{"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "<Figure>"}, "metadata": {}}]
    path = _file(
        tmp_path, _code(0, ["a = 1\n", "b = 2"], outputs=text, execution_count=3), _code(1, "c", outputs=image)
    )
    cells, has_more = read_cells(path)
    assert cells == [Cell("c0", "code", "a = 1\nb = 2", 3, "one\ntwo"), Cell("c1", "code", "c")]
    assert not has_more


def test_an_open_document_is_shown_as_it_is_now() -> None:
    output: Map[Any] = Map({"output_type": "stream", "name": "stdout", "text": Text("out")})
    cell: Map[Any] = Map(
        {"id": "c0", "cell_type": "code", "source": Text("a = 1"), "outputs": Array([output]), "execution_count": 2.0}
    )
    document: Doc[Any] = Doc()
    document["cells"] = cells = Array([cell])
    cells[0]["source"].insert(5, "0")
    assert first_cells(cells) == ([Cell("c0", "code", "a = 10", 2, "out")], False)


def test_only_the_first_cells_are_shown() -> None:
    cells, has_more = first_cells([_code(at) for at in range(first_page.MOST_CELLS + 1)])
    assert (len(cells), has_more) == (first_page.MOST_CELLS, True)
    half = "x" * (first_page.MOST_CHARACTERS // 2 + 1)
    assert [cell.id for cell in first_cells([_code(0, half), _code(1, half)])[0]] == ["c0"]


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [_code(0), _code(0)],
        [_code(0, "a\rb")],
        [_code(0, "a\0b")],
        [_code(0, "\ud800")],
        [_code(0) | {"id": None}],
        [_code(0) | {"cell_type": "other"}],
        [_code(0, "x" * (first_page.MOST_CHARACTERS + 1))],
    ],
)
def test_what_fields_cannot_show_is_left_to_jupyterlab(cells: list[dict[str, Any]]) -> None:
    with pytest.raises(Unfit):
        first_cells(cells)


def test_files_that_are_no_notebooks_are_left_to_jupyterlab(tmp_path: Path) -> None:
    with pytest.raises(Unfit):
        read_cells(_file(tmp_path, _code(0), minor=4))
    for text in ("no json", "[]", "{}", "[" * 100_000, '{"cells": 1, "nbformat": 4, "nbformat_minor": 5}'):
        (tmp_path / "other").write_text(text)
        with pytest.raises(Unfit):
            read_cells(str(tmp_path / "other"))
    with pytest.raises(Unfit):
        read_cells(str(tmp_path))
    with pytest.raises(OSError, match="none"):
        read_cells(str(tmp_path / "none"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unfit):
        read_cells(str(tmp_path / "pipe"))
    large = Path(_file(tmp_path, _code(0)))
    os.truncate(large, first_page.MOST_BYTES + 1)
    with pytest.raises(Unfit):
        read_cells(str(large))


def test_the_part_begins_the_body() -> None:
    page = '<html><head></head><body class="x"><script></script></body></html>'
    assert into(page, "PART") == '<html><head></head><body class="x">PART<script></script></body></html>'
    assert into(page, "") == page
    assert into("no body", "PART") == "no body"


_THEMES = """
import sys
from pathlib import Path
from emr_studio_workspace import first_page

user = Path(sys.argv[1])
assert first_page.theme(str(user)) == "light"
chosen = user / first_page._THEMES
chosen.parent.mkdir(parents=True)
for text in ('{"theme": "JupyterLab Dark", /* mine */ }', '{"adaptive-theme": true}', "{", "[]"):
    chosen.write_text(text)
    print(first_page.theme(str(user)))
"""


def test_the_theme_is_the_one_that_the_user_has_chosen(tmp_path: Path) -> None:
    assert in_workspace(_THEMES, tmp_path / "user").stdout.split() == ["dark", "auto", "light", "light"]
