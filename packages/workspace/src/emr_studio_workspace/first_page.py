"""A notebook's first cells in the page itself: they can be read and typed in while JupyterLab is on its way.

JupyterLab's page is empty until some megabytes of script have run. Here its page begins with the cells, as plain
fields that look like the cells to come (`first_page.css`), and a short script (`first_page.js`) that keeps what is
typed in the browser's storage. The Workspace's extension of JupyterLab (`lab/src/firstPage.ts`) carries it into the
document once that is open, and takes the fields away.

A page that cannot have them is JupyterLab's own: what goes wrong here is written to the log and stops nothing.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

MOST_BYTES = 2 * 1024 * 1024
"""Of a notebook's file; a larger one is JupyterLab's alone."""
MOST_CELLS = 40
MOST_CHARACTERS = 200_000
"""Of all sources that are shown."""
_MOST_OUTPUT = 2_000
_MOST_OUTPUTS = 10
_KINDS = {"code": "Code", "markdown": "Markdown", "raw": "Raw"}
# A field of a page changes these: what was read from it would not be what the cell has.
_CHANGED_BY_FIELDS = re.compile("[\0\r\ud800-\udfff]")
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
_THEMES = "@jupyterlab/apputils-extension/themes.jupyterlab-settings"


class Unfit(Exception):
    """This document cannot be shown so; `str()` says why."""


@dataclass(frozen=True)
class Cell:
    """What is shown of a cell."""

    id: str
    kind: str
    """`code`, `markdown` or `raw`."""
    source: str
    count: int | None = None
    output: str = ""


def read_cells(path: str) -> tuple[list[Cell], bool]:
    """The first cells of a notebook's file, and whether it has more.

    Raises:
        Unfit: it is no notebook with ids of cells (format 4.5), too large, or must not be written.
        OSError: it cannot be read.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise Unfit("no file, or too large")
    if not os.access(path, os.W_OK):
        raise Unfit("read-only")
    try:
        notebook = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unfit("no JSON") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unfit("no notebook")
    if (notebook.get("nbformat"), notebook.get("nbformat_minor", 0) >= 5) != (4, True):
        raise Unfit("cells without ids")
    return first_cells(notebook["cells"])


def first_cells(cells: Iterable[Mapping[str, Any]]) -> tuple[list[Cell], bool]:
    """Those that are shown, and whether there are more. `cells`: of a file, or of an open document (pycrdt's).

    Raises:
        Unfit: there is none, or one of them is not as it should be.
    """
    found: list[Cell] = []
    characters = 0
    for cell in cells:
        one = _cell(cell)
        characters += len(one.source)
        if len(found) == MOST_CELLS or characters > MOST_CHARACTERS:
            return _checked(found), True
        found.append(one)
    return _checked(found), False


def _checked(cells: list[Cell]) -> list[Cell]:
    if not cells:
        raise Unfit("no cells")
    if len({cell.id for cell in cells}) != len(cells):
        raise Unfit("two cells of one id")
    return cells


def _cell(cell: Mapping[str, Any]) -> Cell:
    found, kind, source = cell.get("id"), cell.get("cell_type"), _text(cell.get("source", ""))
    if not isinstance(found, str) or not found or kind not in _KINDS or _CHANGED_BY_FIELDS.search(found + source):
        raise Unfit("a cell that a field cannot show")
    count = cell.get("execution_count")
    output = _output(cell.get("outputs") or ()) if kind == "code" else ""
    return Cell(found, kind, source, int(count) if isinstance(count, int | float) else None, output)


def _text(value: Any) -> str:
    """A text in Jupyter's ways: whole or by lines, in a file or in an open document."""
    if isinstance(value, str):
        return value
    return "".join(value) if isinstance(value, list | tuple) else str(value)


def _output(outputs: Sequence[Any]) -> str:
    """The text of a cell's first outputs; images and tables come with JupyterLab."""
    texts: list[str] = []
    for output in islice(outputs, _MOST_OUTPUTS):
        one = output.to_py() if hasattr(output, "to_py") else output
        data = one.get("data") or {}
        if one.get("output_type") == "error":
            texts.append("\n".join(one.get("traceback") or ()) + "\n")
        elif "text" in one:
            texts.append(_text(one["text"]))
        elif "text/plain" in data and not any(kind.startswith("image/") for kind in data):
            texts.append(_text(data["text/plain"]) + "\n")
    return _COLOURS.sub("", "".join(texts)).rstrip("\n")[:_MOST_OUTPUT]


def theme(user_settings: str) -> str:
    """`light`, `dark`, or `auto`: as the browser's."""
    import json5

    try:
        chosen = json5.loads((Path(user_settings) / _THEMES).read_text())
    except (OSError, ValueError):
        return "light"
    if not isinstance(chosen, dict):
        return "light"
    if chosen.get("adaptive-theme"):
        return "auto"
    return "dark" if "dark" in str(chosen.get("theme", "")).lower() else "light"


def render(path: str, user: str, looks: str, cells: Sequence[Cell], *, has_more: bool) -> str:
    """The part of the page, HTML. All that comes from the notebook is text in it."""
    name = path.rpartition("/")[2]
    attributes = {
        "class": f"emrs-first emrs-first-{looks}",
        "aria-label": f"{name}, while JupyterLab loads",
        "data-path": path,
        "data-user": user,
    }
    more = '<p class="emrs-first-more">More cells come with JupyterLab.</p>' if has_more else ""
    fields = "".join(_field(at, cell) for at, cell in enumerate(cells))
    return (
        f"<style>{_own('css')}</style>"
        f'<section id="emrs-first"{_attributes(attributes)}>'
        f'<p class="emrs-first-bar" role="status">JupyterLab is loading. You can type already.</p>'
        f'<div class="emrs-first-cells">{fields}{more}</div></section>'
        f"<script>{_own('js')}</script>"
    )


def _field(at: int, cell: Cell) -> str:
    label = f"{_KINDS[cell.kind]} cell {at + 1}"
    prompt = f"[{cell.count if cell.count is not None else ' '}]:" if cell.kind == "code" else ""
    attributes = {
        "aria-label": label,
        "data-cell": cell.id,
        "data-kind": cell.kind,
        "rows": str(cell.source.count("\n") + 1),
        "wrap": "off" if cell.kind == "code" else "soft",
    }
    output = f'<pre aria-label="Output of cell {at + 1}">{escape(cell.output)}</pre>' if cell.output else ""
    # The first line's end after the tag is not the field's: without it the cell would lose one that it begins with.
    return (
        f'<div class="emrs-first-cell"><span aria-hidden="true">{prompt}</span>'
        f'<textarea spellcheck="false" autocomplete="off" autocapitalize="off"{_attributes(attributes)}>'
        f"\n{escape(cell.source)}</textarea>{output}</div>"
    )


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items())


@cache
def _own(kind: str) -> str:
    return (Path(__file__).parent / f"first_page.{kind}").read_text()


def prepare() -> None:
    """Read our own files: in the zygote, for all Workspaces that begin there."""
    _own("css"), _own("js")


def into(page: str, part: str) -> str:
    """JupyterLab's page, with the part at the beginning of its body."""
    body = re.search(r"<body\b[^>]*>", page)
    return page[: body.end()] + part + page[body.end() :] if body else page
