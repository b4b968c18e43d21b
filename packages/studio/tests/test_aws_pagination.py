"""Pages by key: whole, stable, flat in cost, and with markers that nobody can make or move."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import String, event, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from emr_studio.aws.context import Context, RequestInfo
from emr_studio.aws.errors import ClientError, InvalidRequest
from emr_studio.aws.pagination import MarkerSealer, paginate
from emr_studio.clock import SystemClock
from emr_studio.db import Database, UtcDateTime
from tests.support.wire_world import CALLER, OneForbidden

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
COUNT = 1_005


class _Base(DeclarativeBase):
    pass


class Thing(_Base):
    __tablename__ = "things"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    creation_time: Mapped[dt.datetime] = mapped_column(UtcDateTime, index=True)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'pages.sqlite'}")
    _Base.metadata.create_all(database.engine)
    with database.write() as session:
        # Ten to a moment: the id decides among them.
        rows = [
            {"id": f"t-{i:06}", "creation_time": START + dt.timedelta(microseconds=i // 10)}
            for i in reversed(range(COUNT))
        ]
        session.execute(insert(Thing), rows)
    yield database
    database.dispose()


def _context(session: Session, sealer: MarkerSealer, region: str = "us-east-1") -> Context:
    return Context(
        CALLER, region, session, SystemClock(), "id", RequestInfo(), OneForbidden(), ports={MarkerSealer: sealer}
    )


def _page(context: Context, marker: str | None = None, **options: Any) -> tuple[list[Thing], str | None]:
    return paginate(
        context, select(Thing), (Thing.creation_time, Thing.id), marker=marker, **{"bound_to": "ListThings"} | options
    )


@pytest.mark.parametrize("descending", [False, True])
def test_all_rows_come_once_and_in_order(database: Database, descending: bool) -> None:
    with database.read() as session:
        context = _context(session, MarkerSealer(b"k" * 32))
        found: list[str] = []
        marker: str | None = None
        pages = 0
        while pages == 0 or marker:
            rows, marker = _page(context, marker, descending=descending)
            found += [row.id for row in rows]
            pages += 1
    assert pages == 21
    assert found == sorted((f"t-{i:06}" for i in range(COUNT)), reverse=descending)


def test_the_last_page_has_no_marker(database: Database) -> None:
    with database.read() as session:
        rows, marker = _page(_context(session, MarkerSealer(b"k" * 32)), size=COUNT)
    assert (len(rows), marker) == (COUNT, None)


def test_a_late_page_is_found_by_index_and_skips_nothing_row_by_row(database: Database) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with database.read() as session:
        context = _context(session, MarkerSealer(b"k" * 32))
        _, marker = _page(context, size=900)
        _page(context, marker)
    assert "OFFSET" not in statements[-1].upper().replace("LIMIT ? OFFSET ?", "")
    assert re.search(r"\(things\.creation_time, things\.id\) > ", statements[-1])


def test_markers_cannot_be_made_moved_or_changed(database: Database) -> None:
    sealer = MarkerSealer(b"k" * 32)
    with database.read() as session:
        context = _context(session, sealer)
        _, marker = _page(context)
        assert marker
        for bad in ("x", "", "é", marker[:-3], "A" + marker[1:], marker + "AAAA", "=" * 9):
            if bad:
                with pytest.raises(InvalidRequest):
                    _page(context, bad)
        with pytest.raises(InvalidRequest):
            _page(context, marker, bound_to="ListOthers")
        with pytest.raises(InvalidRequest):
            _page(_context(session, sealer, "eu-west-1"), marker)
        with pytest.raises(InvalidRequest):
            _page(_context(session, MarkerSealer(b"other")), marker)
        with pytest.raises(ClientError, match="InvalidInput"):
            _page(context, "x", invalid=lambda message: ClientError("InvalidInput", message))


def test_the_key_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    first = MarkerSealer.load(tmp_path)
    assert MarkerSealer.load(tmp_path).mac(b"x") == first.mac(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["pagination.key"]
    assert (tmp_path / "pagination.key").stat().st_mode & 0o777 == 0o600
