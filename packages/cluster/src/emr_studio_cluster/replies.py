"""Replies of Jupyter's kernel protocol about a place in a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_BEFORE = re.compile(r"[\w.]*\Z")
_AFTER = re.compile(r"\w*")


def word_before(code: str, position: int) -> str:
    """The name, with its dots, that ends at the cursor.

    >>> word_before("f(spark.re", 10), word_before("spark\\n", 6)
    ('spark.re', '')
    """
    found = _BEFORE.search(code[:position])
    return found.group() if found else ""


def word_at(code: str, position: int) -> str:
    """The name in which the cursor is.

    >>> word_at("f(spark.read.csv)", 10)
    'spark.read'
    """
    after = _AFTER.match(code[position:])
    return word_before(code, position) + (after.group() if after else "")


def completion(matches: Sequence[str], start: int, end: int) -> dict[str, Any]:
    """The reply to a question of what may stand from `start` to `end`."""
    return {"status": "ok", "matches": list(matches), "cursor_start": start, "cursor_end": end, "metadata": {}}


def inspection(text: str) -> dict[str, Any]:
    """The reply to a question of what something is; empty if it is not known."""
    return {"status": "ok", "found": bool(text), "data": {"text/plain": text} if text else {}, "metadata": {}}
