"""Cells of SQL and Python in the Scala kernel, on a session that is played."""

from __future__ import annotations

from typing import Any

import pandas
import pytest

from emr_studio_cluster import r
from emr_studio_cluster.guests import Cell, GuestError, Guests, read
from emr_studio_cluster.magics.tables import MIME


class Rows:
    """What a session answers."""

    def __init__(self, frame: pandas.DataFrame) -> None:
        self._frame, self.columns = frame, list(frame.columns)

    def limit(self, count: int) -> Rows:
        return Rows(self._frame.head(count))

    def toPandas(self) -> pandas.DataFrame:
        return self._frame


class Session:
    """Knows one statement that has rows."""

    sparkContext = "the context"

    def __init__(self) -> None:
        self.ran: list[str] = []

    def sql(self, statement: str) -> Rows:
        self.ran.append(statement)
        if statement == "SELECT nothing":
            raise ValueError("[UNRESOLVED_COLUMN] nothing\n\nJVM stacktrace:\nat java")
        return Rows(pandas.DataFrame({"n": range(1500)} if statement.startswith("SELECT") else {}))


class Page:
    """A kernel's page: what was shown and printed."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.said = ""
        self.session = Session()
        self.guests = Guests(self.session, self.shown.append, self.tell)

    def tell(self, text: str) -> None:
        self.said += text

    def run(self, code: str) -> None:
        self.guests.run(read(code))


@pytest.fixture
def page() -> Page:
    return Page()


def test_the_first_line_says_the_language() -> None:
    assert read("val x = 1") == Cell("scalaspark", "val x = 1")
    assert read("\n%%scalaspark\nval x = 1") == Cell("scalaspark", "val x = 1")
    assert read("%%sql -q\nSELECT 1") == Cell("sql", "SELECT 1")
    assert read("%%pyspark").body == ""
    assert read("%%sqlx\n1").language == read("x\n%%sql\n").language == "scalaspark"


def test_sql_shows_rows_as_in_python_kernels(page: Page) -> None:
    page.run("%%sql\nCREATE TEMP VIEW v AS SELECT 1; SELECT n FROM v")
    assert page.session.ran == ["CREATE TEMP VIEW v AS SELECT 1", "SELECT n FROM v"]
    [shown] = page.shown
    assert (len(shown[MIME]["rows"]), shown[MIME]["more"]) == (1000, True)


def test_python_keeps_its_names_prints_and_shows_its_last_value(page: Page) -> None:
    page.run("%%pyspark\nx = 41\nprint('x is', x)")
    page.run("%%pyspark\nx + 1")
    page.run("%%pyspark\nsc")
    assert page.said == "x is 41\n"
    assert [shown["text/plain"] for shown in page.shown] == ["42", "'the context'"]


@pytest.mark.parametrize(
    ("code", "name", "lines"),
    [
        ("%%pyspark\nx = 1\n1 / 0", "ZeroDivisionError", ["line 2: 1 / 0", "ZeroDivisionError: division by zero"]),
        ("%%sql\nSELECT nothing", "ValueError", ["ValueError: [UNRESOLVED_COLUMN] nothing"]),
        ("%%pyspark\nexit()", "SystemExit", ["A cell cannot end its kernel."]),
    ],
)
def test_failures_tell_where_and_why(page: Page, code: str, name: str, lines: list[str]) -> None:
    with pytest.raises(GuestError) as failed:
        page.run(code)
    assert (failed.value.name, failed.value.lines) == (name, lines)


def test_a_cell_is_in_the_kernels_own_language() -> None:
    assert read("1 + 1", "rspark") == Cell("rspark", "1 + 1")
    assert read("%%sql\nSELECT 1", "rspark") == Cell("sql", "SELECT 1")


def test_broken_python_and_a_machine_without_r_say_so(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r, "has_r", lambda: False)
    with pytest.raises(GuestError) as broken:
        page.run("%%pyspark\ndef f(:")
    assert broken.value.name == "SyntaxError"
    with pytest.raises(GuestError, match="needs R"):
        page.run("%%rspark\nhead(df)")
