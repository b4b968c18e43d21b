"""The database: engine, sessions, declarative base and the lease that controllers hold.

Synchronous on purpose: SQLite's driver is, psycopg's threads are as quick as its loop, and an
operation then is a plain function. The pipeline runs operations in worker threads.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, Engine, TypeDecorator, create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from emr_studio.db.known import Watch, attach

_MOST_SPARE = 16


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware UTC datetime; SQLite has none of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dt.datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        dict[str, str]: JSON,
        list[str]: JSON,
    }


class Database:
    """One engine and its two kinds of transaction."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        file = self.engine.url.database
        self._spare: list[Session] = []
        self._watch = Watch(Path(file)) if self.engine.dialect.name == "sqlite" and file else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; whatever it holds is rolled back."""
        with self._sessions() as session:
            yield session

    def glance(self) -> AbstractContextManager[Session]:
        """A session for reading in which `known.remembered` need not ask again what stands since the last commit."""
        return _Glance(self._sessions, self._watch, self._spare)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on any exception.

        On SQLite the transaction takes the write lock at its start, so that what it read still
        holds when it writes.
        """
        with self._sessions() as session:
            if self.engine.dialect.name == "sqlite":
                session.connection(execution_options={"emr_studio_immediate": True})
            with session.begin() if not session.in_transaction() else _commit(session):
                yield session

    def dispose(self) -> None:
        """Close all connections (before a fork, at the end)."""
        self.engine.dispose()
        if self._watch is not None:
            self._watch.close()


class _Glance:
    """One that read nothing leaves its session to the next: to make and close one takes longer than a decision."""

    def __init__(self, sessions: sessionmaker[Session], watch: Watch | None, spare: list[Session]) -> None:
        self._sessions, self._watch, self._spare = sessions, watch, spare

    def __enter__(self) -> Session:
        try:
            self._session = self._spare.pop()
        except IndexError:
            self._session = self._sessions()
        if self._watch is not None:
            attach(self._session, self._watch.known())
        return self._session

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._session.in_transaction():
            self._session.close()
        if len(self._spare) < _MOST_SPARE:
            self._spare.append(self._session)


@contextmanager
def _commit(session: Session) -> Iterator[None]:
    try:
        yield
    except BaseException:
        session.rollback()
        raise
    session.commit()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=20, max_overflow=20)
    path = url.removeprefix("sqlite:///")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, pool_size=20, max_overflow=20)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # Transactions are ours to begin: see SQLAlchemy's notes on pysqlite and serializable isolation.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    immediate = connection.get_execution_options().get("emr_studio_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def is_reachable(database: Database) -> bool:
    """True if the database answers."""
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except Exception:  # any driver error means "no"
        return False
    return True
