"""The journal: a file of its process to which each record is appended before the answer is sent.

    journals/<process>.<number>.lines      one record a line, JSON

One write of one line, no flush: what was written is in the kernel and survives kill -9 of the process
(not a power failure). The owner holds a lock on its file as long as it lives; a file without a lock is
of a process that has ended, and whoever finds it brings its lines into the database. A file is made
under another name and locked before it gets its own, so that nobody finds it without its lock.

    reader (the collector)   reads from where it was; a file that is read whole and has grown is
                             followed by a new one and removed, so no file grows for long
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".lines"
_DRAFT = ".new"
_ROTATE_BYTES = 256 * 1024
_CHUNK_BYTES = 128 * 1024
"""What is brought in at once: the database's one writer (SQLite) is held for a few milliseconds."""
_COMPLAIN_EVERY = 1000
log = logging.getLogger(__name__)


class Journal:
    """The journal that this process writes.

    `lost` counts records that could not be written (a full disk); each was logged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._number = 0
        self._descriptor = -1
        self._path = folder / "none"
        self._read = 0
        self.lost = 0

    def append(self, lines: bytes) -> None:
        """Write whole lines. Never raises: a record that cannot be written is counted."""
        try:
            with self._lock:
                self._append(lines)
        except OSError as error:
            self.lost += 1
            if self.lost % _COMPLAIN_EVERY == 1:
                log.error("a record of the audit trail is lost (%d so far): %s", self.lost, error)

    def _append(self, lines: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        written = os.write(self._descriptor, lines)
        if written != len(lines):
            # Half a line must not run into the next one.
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(f"{written} of {len(lines)} bytes were written")

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        path = self._folder / f"{self._name}.{self._number}{_SUFFIX}"
        draft = path.with_suffix(_DRAFT)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        draft.rename(path)
        self._descriptor, self._path, self._read = descriptor, path, 0

    def has(self, path: Path) -> bool:
        """True if that file is this journal's."""
        return path.name.startswith(f"{self._name}.")

    def unread(self) -> bytes:
        """Whole lines that come next, as many as are brought in at once; empty when all were read."""
        if self._descriptor < 0:
            return b""
        return _read_lines(self._path, self._read)

    def advance(self, size: int) -> None:
        """What `unread` returned is safe: never return it again."""
        self._read += size
        if self._read < _ROTATE_BYTES:
            return
        with self._lock:
            if os.fstat(self._descriptor).st_size == self._read:
                self._discard()

    def _discard(self) -> None:
        """Remove the file, read to its end; the next record begins a new one."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1

    def close(self) -> None:
        """Give the file up: what is unread is for whoever finds it."""
        with self._lock:
            if self._descriptor < 0:
                return
            if os.fstat(self._descriptor).st_size == self._read:
                self._discard()
            else:
                os.close(self._descriptor)
                self._descriptor = -1


def _read_lines(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        chunk = file.read(_CHUNK_BYTES)
        while chunk and b"\n" not in chunk:
            more = file.read(_CHUNK_BYTES)
            if not more:
                return b""
            chunk += more
    return chunk[: chunk.rfind(b"\n") + 1]


def living(folder: Path) -> list[Path]:
    """All journals that are there."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def read_on(path: Path, start: int) -> bytes:
    """Whole lines of a journal of any process, from `start`; empty if there are no more, or it is gone.

    It goes when all of its lines are in the database.
    """
    try:
        return _read_lines(path, start)
    except FileNotFoundError:
        return b""


@contextmanager
def abandoned(folder: Path) -> Iterator[list[Path]]:
    """The journals of processes that have ended, locked meanwhile so that nobody else takes them."""
    taken: list[tuple[int, Path]] = []
    try:
        for path in living(folder):
            descriptor = _take(path)
            if descriptor is not None:
                taken.append((descriptor, path))
        yield [path for _, path in taken]
    finally:
        for descriptor, _ in taken:
            os.close(descriptor)


def _take(path: Path) -> int | None:
    """Lock a file that nobody has locked; None for one that lives or is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def read_abandoned(path: Path) -> Iterator[bytes]:
    """All lines of an abandoned journal, bit by bit; a torn last line ends it."""
    start = 0
    while path.exists() and (lines := _read_lines(path, start)):
        yield lines
        start += len(lines)
