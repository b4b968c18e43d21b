"""What a statement of Livy's shows, as Jupyter shows things."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

_TEXT, _JSON, _TABLE, _PNG = "text/plain", "application/json", "application/vnd.livy.table.v1+json", "image/png"
_SHOWN_ROWS = 1000


def shown(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text that a statement printed, and what is displayed below it (empty: nothing)."""
    text = str(data.get(_TEXT) or "")
    if _PNG in data:
        return _line(text), {_PNG: data[_PNG], _TEXT: "a picture"}
    if _TABLE in data:
        found = data[_TABLE]
        return _line(text), _table([str(one["name"]) for one in found["headers"]], found["data"])
    rows = data.get(_JSON)
    if isinstance(rows, dict) and {"schema", "data"} <= rows.keys():
        return _line(text), _table([str(one["name"]) for one in rows["schema"]["fields"]], rows["data"])
    if rows is not None:
        return _line(text), {_JSON: rows, _TEXT: str(rows)}
    return _line(text), {}


def _line(text: str) -> str:
    return f"{text}\n" if text and not text.endswith("\n") else text


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """An HTML table, and the same as plain text."""
    chosen = [["" if value is None else str(value) for value in row] for row in rows[:_SHOWN_ROWS]]
    lines = ["\t".join(names), *("\t".join(row) for row in chosen)]
    if len(rows) > _SHOWN_ROWS:
        lines.append(f"The first {_SHOWN_ROWS} of {len(rows)} rows.")
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(value)}</td>' for value in row)}</tr>" for row in chosen)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return {"text/html": table, _TEXT: "\n".join(lines)}
