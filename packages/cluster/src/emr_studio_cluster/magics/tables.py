"""Rows as a table that JupyterLab shows with charts: `application/vnd.emr-studio.table+json` (lab/src/table.tsx).

    {"columns": [{"name": "price", "kind": "number"}, …], "rows": [[1.5, …], …], "more": true}

Other pages, and mails, show the HTML or the text beside it.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from IPython.display import display

MIME = "application/vnd.emr-studio.table+json"
MOST_ROWS = 1000
"""A notebook keeps what it shows: more rows than anybody reads would only make it slow."""
_PLAIN_ROWS = 20


def show(frame: Any, more: bool = False) -> None:
    """Show a pandas DataFrame; `more`: there are rows beyond it."""
    display(bundle(frame, more), raw=True)


def bundle(frame: Any, more: bool = False) -> dict[str, Any]:
    """A pandas DataFrame in each form, by MIME type."""
    shown = frame.head(MOST_ROWS)
    cut = more or len(frame) > len(shown)
    short = shown.head(_PLAIN_ROWS)
    return {
        MIME: table(shown, cut),
        "text/html": short.to_html(index=False),
        "text/plain": f"{short.to_string(index=False)}\n[{len(shown)} rows{', and more' if cut else ''}]",
    }


def table(frame: Any, more: bool) -> dict[str, Any]:
    """The shape above. Numbers that JSON does not have are null; of what is neither number nor text, its text."""
    columns = [[_plain(value) for value in frame.iloc[:, index].tolist()] for index in range(frame.shape[1])]
    named = [
        {"name": str(name), "kind": _kind(frame.iloc[:, index].tolist())} for index, name in enumerate(frame.columns)
    ]
    return {"columns": named, "rows": [list(row) for row in zip(*columns, strict=True)], "more": more}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        # JavaScript's numbers are exact so far and no further.
        return value if abs(value) <= 2**53 else str(value)
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dt.date | dt.datetime):
        text = value.isoformat()
        return None if text == "NaT" else text
    return None if str(value) in ("NaT", "<NA>") else str(value)


def _kind(values: list[Any]) -> str:
    """`number`, `time` or `text`: what all values that are there have in common."""
    kinds = {_kind_of(value) for value in values if _plain(value) is not None}
    return kinds.pop() if len(kinds) == 1 else "text"


def _kind_of(value: Any) -> str:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return "number"
    return "time" if isinstance(value, dt.date | dt.datetime) else "text"
