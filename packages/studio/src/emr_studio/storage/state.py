"""What S3 has of a mirrored folder, remembered on disk: survives a kill at any moment."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS saved (path TEXT PRIMARY KEY, key TEXT NOT NULL, stamp TEXT NOT NULL, etag TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS mirror (writer TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Saved:
    """What S3 holds for a path: under `key`, the content that had `stamp` here and has `etag` there."""

    key: str
    stamp: str
    etag: str


class MirrorState:
    """Path -> `Saved`, in memory and in an SQLite file that is open only while there is work."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.saved: dict[str, Saved] = {}
        self.writer = ""
        """Marks objects written from this state: a write of ours that a kill kept us from noting."""
        self._load()

    def _load(self) -> None:
        try:
            self._read()
        except sqlite3.DatabaseError:
            # A power cut's work. Without a memory the contents are compared, and nothing is lost.
            self._path.unlink(missing_ok=True)
            self._read()

    def _read(self) -> None:
        with closing(self._connect()) as connection:
            connection.executescript(_SCHEMA)
            rows = connection.execute("SELECT path, key, stamp, etag FROM saved").fetchall()
            writer = connection.execute("SELECT writer FROM mirror").fetchone()
            if writer is None:
                writer = (secrets.token_hex(8),)
                connection.execute("INSERT INTO mirror VALUES (?)", writer)
        self.saved = {path: Saved(key, stamp, etag) for path, key, stamp, etag in rows}
        self.writer = writer[0]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        os.chmod(self._path, 0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the file open for the changes within."""
        self._connection = self._connect()
        try:
            yield
        finally:
            self._connection.close()
            self._connection = None

    def put(self, path: str, saved: Saved) -> None:
        """Remember; in the file when this returns. Within `opened` only."""
        row = (path, saved.key, saved.stamp, saved.etag)
        with self._lock:
            self._execute("INSERT OR REPLACE INTO saved VALUES (?, ?, ?, ?)", row)
            self.saved[path] = saved

    def remove(self, path: str) -> None:
        """Forget; in the file when this returns. Within `opened` only."""
        with self._lock:
            self._execute("DELETE FROM saved WHERE path = ?", (path,))
            self.saved.pop(path, None)

    def _execute(self, statement: str, values: tuple[str, ...]) -> None:
        if self._connection is None:
            raise RuntimeError("the mirror's state is not open")
        self._connection.execute(statement, values)
