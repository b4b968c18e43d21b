"""What a kernel says about a place in a cell."""

from __future__ import annotations

import pytest

from emr_studio_cluster.replies import completion, inspection, word_at, word_before


@pytest.mark.parametrize(
    ("code", "position", "before", "at"),
    [
        ("", 0, "", ""),
        ("f(spark.read.csv)", 10, "spark.re", "spark.read"),
        ("SELECT pri FROM t", 10, "pri", "pri"),
        ("SELECT pri FROM t", 8, "p", "pri"),
        ("spark\n", 6, "", ""),
        ("a\nb", 3, "b", "b"),
    ],
)
def test_the_word_at_the_cursor(code: str, position: int, before: str, at: str) -> None:
    assert (word_before(code, position), word_at(code, position)) == (before, at)


def test_replies_as_the_protocol_has_them() -> None:
    told = {"status": "ok", "matches": ["price"], "cursor_start": 7, "cursor_end": 10, "metadata": {}}
    assert completion(["price"], 7, 10) == told
    assert inspection("t: Int") == {"status": "ok", "found": True, "data": {"text/plain": "t: Int"}, "metadata": {}}
    assert inspection("") == {"status": "ok", "found": False, "data": {}, "metadata": {}}
