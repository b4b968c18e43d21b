"""Two states of a file, compared: notebooks cell by cell (by nbdime, which finds a cell again that was edited)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

import nbformat

SAME, GONE, NEW, CHANGED = "same", "gone", "new", "changed"
Row = dict[str, Any]
"""`{"mark", "kind", "source", "outputs"}` (do outputs differ?); of a changed cell `lines` too: `[{"mark", "text"}]`."""


class Unreadable(ValueError):
    """One of the two is no notebook."""


def compare(then: str, now: str, notebook: bool) -> list[Row]:
    """What both have, what only `then` had (gone), what only `now` has (new) and what became another, in order.

    Raises:
        Unreadable: `notebook`, and one of them is none.
    """
    if not notebook:
        mark = SAME if then == now else CHANGED
        return [{"mark": mark, "kind": "code", "source": now, "lines": _lines(then, now), "outputs": False}]
    return list(_cells(_notebook(then), _notebook(now)))


def _notebook(text: str) -> Any:
    try:
        found = nbformat.from_dict(json.loads(text))
        found.cells = [nbformat.from_dict(cell) for cell in found.cells]
    except (ValueError, AttributeError, TypeError) as error:
        raise Unreadable(f"It is no notebook: {error}") from error
    return found


def _cells(then: Any, now: Any) -> Iterator[Row]:
    from nbdime import diff_notebooks

    changes: list[Any] = next((one.diff for one in diff_notebooks(then, now) if one.key == "cells"), [])
    before = after = 0
    for change in sorted(changes, key=lambda one: (one.key, one.op != "addrange")):
        while before < change.key:
            yield _row(SAME, now.cells[after])
            before, after = before + 1, after + 1
        if change.op == "addrange":
            for cell in change.valuelist:
                yield _row(NEW, cell)
                after += 1
        elif change.op == "removerange":
            for cell in then.cells[before : before + change.length]:
                yield _row(GONE, cell)
                before += 1
        else:
            yield _changed(then.cells[before], now.cells[after])
            before, after = before + 1, after + 1
    for cell in now.cells[after:]:
        yield _row(SAME, cell)


def _row(mark: str, cell: Any, **more: Any) -> Row:
    return {"mark": mark, "kind": cell.get("cell_type", "raw"), "source": _source(cell), "outputs": False, **more}


def _changed(then: Any, now: Any) -> Row:
    outputs = then.get("outputs") != now.get("outputs")
    if _source(then) == _source(now):
        return _row(SAME, now, outputs=outputs)
    return _row(CHANGED, now, lines=_lines(_source(then), _source(now)), outputs=outputs)


def _source(cell: Any) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _lines(then: str, now: str) -> list[dict[str, str]]:
    marks = {" ": SAME, "-": GONE, "+": NEW}
    found = difflib.ndiff(then.splitlines(), now.splitlines())
    return [{"mark": marks[line[0]], "text": line[2:]} for line in found if line[0] in marks]
