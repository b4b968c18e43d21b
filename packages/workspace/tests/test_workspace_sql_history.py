"""What the SQL editors have run is kept with the Workspace's files, and not more of it than is good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emr_studio_workspace import sql_history
from emr_studio_workspace.sql_history import MOST, PLACE, NotKept, SqlHistory

BEGUN = {"statement": "SELECT 1", "state": "RUNNING", "started": "2026-01-01T12:00:00Z"}


def test_a_statement_is_kept_as_it_begins_and_ends(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path)
    assert history.entries() == []
    history.keep("a", BEGUN, "ana")
    history.keep("b", BEGUN | {"statement": "SELECT 2"}, "ben")
    history.keep("a", BEGUN | {"state": "SUCCEEDED", "seconds": 1.5, "rows": 3, "more": True}, "ana")
    # A server after this one, as after a restart.
    newer, older = SqlHistory(tmp_path).entries()
    assert (newer["statement"], newer["user"], newer["state"]) == ("SELECT 2", "ben", "RUNNING")
    assert older == {
        "id": "a",
        "user": "ana",
        "statement": "SELECT 1",
        "state": "SUCCEEDED",
        "started": "2026-01-01T12:00:00Z",
        "seconds": 1.5,
        "rows": 3,
        "more": True,
        "error": "",
    }
    history.clear()
    history.clear()
    assert history.entries() == []


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = SqlHistory(tmp_path)
    for number in range(MOST + 5):
        history.keep(str(number), BEGUN, "ana")
    kept = [entry["id"] for entry in history.entries()]
    assert kept == [str(number) for number in range(MOST + 4, 4, -1)]
    monkeypatch.setattr(sql_history, "MOST_CHARACTERS", 5_000)
    history.keep("long", BEGUN | {"statement": "x" * 4_000}, "ana")
    assert (tmp_path / PLACE).stat().st_size < 5_500
    assert history.entries()[0]["id"] == "long"


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {"statement": "SELECT 1"},
        BEGUN | {"statement": 1},
        BEGUN | {"state": "LOST"},
        BEGUN | {"rows": True},
        BEGUN | {"seconds": "1"},
        BEGUN | {"statement": "x" * 100_001},
    ],
)
def test_what_is_not_understood_is_not_kept(tmp_path: Path, told: Any) -> None:
    history = SqlHistory(tmp_path)
    with pytest.raises(NotKept):
        history.keep("a", told, "ana")
    assert not (tmp_path / PLACE).exists()


def test_errors_are_kept_short_and_other_members_not_at_all(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path)
    history.keep("a", BEGUN | {"state": "FAILED", "error": "e" * 5_000, "user": "eve", "other": 1}, "ana")
    (entry,) = history.entries()
    assert (len(entry["error"]), entry["user"], "other" in entry) == (2_000, "ana", False)


@pytest.mark.parametrize("text", ["", "{}", "[1, {}]", "[" * 100_000, json.dumps([{"id": 1}])])
def test_what_somebody_else_has_written_there_is_no_history(tmp_path: Path, text: str) -> None:
    (tmp_path / PLACE).parent.mkdir()
    (tmp_path / PLACE).write_text(text)
    history = SqlHistory(tmp_path)
    assert history.entries() == []
    history.keep("a", BEGUN, "ana")
    assert len(history.entries()) == 1
