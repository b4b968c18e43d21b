"""What a glance remembers, and that any commit makes it forget."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from emr_studio.db import Database
from emr_studio.db.known import remembered


def test_what_was_read_is_known_until_somebody_commits(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    database = Database(f"sqlite:///{file}")
    reads: list[int] = []
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (n INTEGER)")

    def load() -> int:
        reads.append(1)
        return _count(database)

    def ask() -> int:
        with database.glance() as session:
            return remembered(session, "count", load)

    assert [ask(), ask(), len(reads)] == [0, 0, 1]
    with database.write() as session:
        session.connection().exec_driver_sql("INSERT INTO t VALUES (1)")
    assert [ask(), ask(), len(reads)] == [1, 1, 2]
    # Another process is another connection.
    with sqlite3.connect(file) as other:
        other.execute("INSERT INTO t VALUES (2)")
    other.close()
    assert [ask(), len(reads)] == [2, 3]
    database.dispose()
    assert ask() == 2
    database.dispose()


def test_nothing_is_remembered_in_other_sessions(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    reads: list[int] = []
    for _ in range(2):
        with database.read() as session:
            remembered(session, "x", lambda: reads.append(1))
    assert len(reads) == 2
    database.dispose()


def test_a_session_that_is_used_again_keeps_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (n INTEGER)")
    with database.glance() as first, database.glance() as second:
        assert first is not second
    seen = []
    for number in range(3):
        with suppress(RuntimeError), database.glance() as session:
            seen.append(session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar_one())
            raise RuntimeError  # a refusal leaves no transaction behind, in which the next would read the past
        assert not session.in_transaction()
        with database.write() as session:
            session.connection().exec_driver_sql(f"INSERT INTO t VALUES ({number})")
    assert seen == [0, 1, 2]
    database.dispose()


def _count(database: Database) -> int:
    with database.read() as session:
        return int(session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar_one())
