"""The journal and the collector: nothing is lost, nothing comes twice, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from emr_studio.db import Base, Database
from emr_studio.settings import Settings
from emr_studio.trail.collector import Collector, last_batch
from emr_studio.trail.events import find_denials, find_event
from emr_studio.trail.journal import Journal, abandoned
from emr_studio.trail.lines import Line, write_line
from emr_studio.trail.model import EventResource, EventRow
from emr_studio.trail.recorder import Allowance


def line(number: int, **changes: object) -> bytes:
    values: dict[str, object] = {
        "event_id": f"event-{number}",
        "account_id": "123456789012",
        "moment": 1_700_000_000_000 + number,
        "event_name": "ListStudios",
        "event_source": "elasticmapreduce.amazonaws.com",
        "request_id": f"request-{number}",
        "event": json.dumps({"n": number, "text": 'quoted "é" \\u0000 \n'}),
        "resources": [("AWS::EMR::Studio", f"es-{number}")],
    }
    return write_line(Line(**(values | changes)))  # type: ignore[arg-type]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(Settings(data_dir=tmp_path).sqlalchemy_url)
    Base.metadata.create_all(made.engine)
    yield made
    made.dispose()


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(EventRow)) or 0


def test_lines_come_into_the_database_once(tmp_path: Path, database: Database) -> None:
    journal = Journal(tmp_path / "trail")
    collector = Collector(database, tmp_path / "trail", journal)
    journal.append(line(1) + line(2, username="ann", is_denied=1, authorization="why", is_read_only=1, is_shown=0))
    assert collector.collect()
    journal.append(line(2) + line(3))
    assert collector.collect()
    assert count(database) == 3
    with database.read() as session:
        row = session.get_one(EventRow, "event-2")
        assert (row.username, row.is_denied, row.authorization, row.is_read_only, row.is_shown) == (
            "ann", 1, "why", 1, 0,
        )  # fmt: skip
        assert row.event == json.dumps({"n": 2, "text": 'quoted "é" \\u0000 \n'})
        first = session.get_one(EventRow, "event-1")
        assert (first.username, first.is_denied, first.is_read_only, first.is_shown) == (None, 0, 0, 1)
        assert (first.batch, session.get_one(EventRow, "event-3").batch, last_batch(session)) == (1, 2, 2)
        named = session.scalars(select(EventResource).order_by(EventResource.event_id)).all()
        assert [(one.type, one.name, one.moment) for one in named] == [
            ("AWS::EMR::Studio", f"es-{n}", 1_700_000_000_000 + n) for n in (1, 2, 3)
        ]
        assert [one.event_id for one in find_denials(session, "123456789012")] == ["event-2"]
        assert find_denials(session, "210987654321") == []
        for name in ("event-1", "request-1"):
            found = find_event(session, "123456789012", name)
            assert found is not None
            assert found.event_id == "event-1"
        assert find_event(session, "210987654321", "event-1") is None
    journal.close()


def test_a_journal_does_not_grow_for_ever(tmp_path: Path, database: Database) -> None:
    journal = Journal(tmp_path)
    collector = Collector(database, tmp_path, journal)
    for number in range(3000):
        journal.append(line(number))
        if number % 1000 == 999:
            collector.collect()
    assert count(database) == 3000
    assert sum(path.stat().st_size for path in tmp_path.glob("*.lines")) < 300_000
    journal.append(line(5000))
    collector.collect()
    assert count(database) == 3001
    journal.close()


_CHILD = """
import sys, time
from pathlib import Path
from emr_studio.trail.journal import Journal
journal = Journal(Path(sys.argv[1]))
line = sys.stdin.buffer.readline()
while line.strip():
    journal.append(line)
    sys.stdout.write("written\\n"); sys.stdout.flush()
    line = sys.stdin.buffer.readline()
time.sleep(600)
"""


def test_the_journal_of_a_killed_process_is_adopted(tmp_path: Path, database: Database) -> None:
    argv = [sys.executable, "-c", _CHILD, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for number in range(5):
            child.stdin.write(line(number))
            child.stdin.flush()
            assert child.stdout.readline() == b"written\n"
        with abandoned(tmp_path) as found:
            assert found == [], "it lives: nobody else reads it"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    Collector(database, tmp_path).collect()
    assert count(database) == 5
    assert list(tmp_path.glob("*.lines")) == []


def test_torn_lines_do_not_hold_up_the_others(tmp_path: Path, database: Database) -> None:
    whole, torn = line(1), line(2)[:40]
    (tmp_path / "1-a.1.lines").write_bytes(whole + torn + b"\n" + line(3) + torn)
    Collector(database, tmp_path).collect()
    assert count(database) == 2


def test_two_collectors_at_once(tmp_path: Path, database: Database) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    other = Journal(tmp_path)
    other.append(line(2))
    Collector(database, tmp_path, journal).collect()
    assert count(database) == 1, "the other process's journal is its own"
    other.close()
    Collector(database, tmp_path, journal).collect()
    assert count(database) == 2
    journal.close()


def test_a_database_that_is_away_costs_nothing(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    collector = Collector(database, tmp_path, journal)
    journal.append(line(1))
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", _away)
        assert not collector.collect()
    assert count(database) == 0
    assert collector.collect()
    assert count(database) == 1
    journal.close()


def _away() -> None:
    raise OperationalError("", {}, Exception("away"))


def test_a_full_disk_fails_nobody(tmp_path: Path, database: Database) -> None:
    """/dev/full takes no byte."""
    journal = Journal(tmp_path)
    journal.append(line(1))
    kept, journal._descriptor = journal._descriptor, os.open("/dev/full", os.O_WRONLY)
    journal.append(line(2))
    assert journal.lost == 1
    os.close(journal._descriptor)
    journal._descriptor = kept
    journal.append(line(3))
    Collector(database, tmp_path, journal).collect()
    assert count(database) == 2
    journal.close()


def test_half_a_line_is_taken_back(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(line(1))
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
        journal.append(line(2))
    journal.append(line(3))
    assert journal.lost == 1
    Collector(database, tmp_path, journal).collect()
    assert count(database) == 2
    journal.close()


def test_strangers_have_an_allowance() -> None:
    allowance = Allowance(per_second=0.0, reserve=3)
    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]
    assert allowance.refused == 2


def test_lookups_use_an_index(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("SQLite's plan")
    query = "SELECT * FROM trail_event WHERE account_id = 'a' AND is_shown = 1"
    with database.read() as session:
        for more in ("", " AND username = 'x'", " AND event_name = 'x'", " AND access_key_id = 'x'"):
            plan = session.execute(
                text(f"EXPLAIN QUERY PLAN {query}{more} ORDER BY moment DESC, event_id DESC LIMIT 51")
            ).all()
            assert "USING INDEX ix_trail_event" in str(plan), plan
