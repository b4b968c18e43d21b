"""What was read stays known until somebody commits: for questions that come thousands of times a second.

SQLite tells a connection by one number (`PRAGMA data_version`) whether any other connection, of this
process or another, has committed since it last asked. While that number stands, what an earlier
transaction read is what a new one would read, so a question need not begin one. Another database has no
such number: there everything is read anew, each time.

    with database.glance() as session:
        bucket = remembered(session, ("bucket", name), lambda: session.get(Bucket, name))
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")
_KNOWN = "emr_studio_known"
_MOST = 20_000


class Watch:
    """Sees commits to an SQLite file. It never commits itself, so none escapes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._known: dict[Hashable, Any] = {}

    def known(self) -> dict[Hashable, Any]:
        """What is known of the present version; empty after any commit."""
        with self._lock:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version != self._version or len(self._known) > _MOST:
                # A new one: a transaction that is still under way may only add to the old.
                self._version, self._known = version, {}
            return self._known

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection, self._version = None, -1


def attach(session: Session, known: dict[Hashable, Any]) -> None:
    """Let `remembered` use it in this session, which only reads."""
    session.info[_KNOWN] = known


def recall(session: Session, key: Hashable) -> Any:
    """What was kept by that key since the last commit; None if nothing was."""
    known: dict[Hashable, Any] | None = session.info.get(_KNOWN)
    return None if known is None else known.get(key)


def keep(session: Session, key: Hashable, value: Any) -> None:
    """Keep a value that follows from the database alone and is not to be changed, until somebody commits."""
    known: dict[Hashable, Any] | None = session.info.get(_KNOWN)
    if known is not None:
        known[key] = value


def remembered(session: Session, key: Hashable, load: Callable[[], T]) -> T:
    """What `load` gave since the last commit, or gives now; rows in it are not to be changed."""
    known: dict[Hashable, Any] | None = session.info.get(_KNOWN)
    if known is None:
        return load()
    if key not in known:
        known[key] = load()
    found: T = known[key]
    return found
