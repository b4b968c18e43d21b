"""Statements of a cell of the SQL kernel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emr_studio_cluster.sql import statements


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; ;\n-- nothing; here\n;", ["SELECT 1"]),
        ("SELECT ';', \"a;b\", `c;d`; SELECT 2", ["SELECT ';', \"a;b\", `c;d`", "SELECT 2"]),
        ("SELECT 'it''s; so'; SELECT 'a\\'; b'", ["SELECT 'it''s; so'", "SELECT 'a\\'; b'"]),
        ("-- first; of two\nSELECT 1 /* a; b */ + 1;", ["-- first; of two\nSELECT 1 /* a; b */ + 1"]),
        ("SELECT 'open; end", ["SELECT 'open; end"]),
        ("SELECT 1 /* open; end", ["SELECT 1 /* open; end"]),
        ("", []),
    ],
)
def test_a_semicolon_ends_a_statement_where_it_is_one(cell: str, found: list[str]) -> None:
    assert list(statements(cell)) == found


@given(st.text(alphabet="a ;'\"`-/*\\\n"))
def test_nothing_is_lost(cell: str) -> None:
    kept = "".join(statements(cell))
    assert kept.count("a") <= cell.count("a")
    assert [one for one in statements(cell) if not one.strip()] == []
