"""A file is replaced as a whole, and on request only if it is still the one that its writer knows.

Between a look at a file and the moment when another one takes its place a terminal may write it: a document's
save expects the file that the document was last the same as, and does not take the place of any other.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

Mark = tuple[int, int, int]
"""Which file it is, and which state of it: inode, time of its last change in nanoseconds, size."""


class ChangedMeanwhile(Exception):
    """The file is not the expected one; nothing was written."""


@dataclass
class Expected:
    """What a save inside of `expecting` may replace, and how it went."""

    path: str
    mark: Mark
    missed: bool = False
    """Another file was there: nothing was written."""
    written: Mark | None = None
    """What was written."""


_expected: ContextVar[Expected | None] = ContextVar("expected", default=None)


def mark_of(path: str) -> Mark | None:
    """None if there is no such file."""
    with suppress(OSError):
        return _mark(os.stat(path))
    return None


def _mark(found: os.stat_result) -> Mark:
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def expecting(path: str, mark: Mark | None) -> Iterator[Expected | None]:
    """What is written to `path` inside takes the place of this file only; None: of any."""
    expected = Expected(path, mark) if mark is not None else None
    token = _expected.set(expected)
    try:
        yield expected
    finally:
        _expected.reset(token)


@contextmanager
def replacing(path: str, beside: str, note: Callable[[int], None], mode: str, **options: Any) -> Iterator[Any]:
    """Write to `beside`, then take the place of `path` and keep its permission bits.

    `note` is given the descriptor of the file when all is written.

    Raises:
        ChangedMeanwhile: another file was expected there.
    """
    expected = _expected.get()
    if expected is not None and expected.path != path:
        expected = None
    try:
        with open(beside, mode, **options) as file:
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            note(file.fileno())
            os.fsync(file.fileno())
            written = _mark(os.fstat(file.fileno()))
        _take_place(beside, path, expected)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    if expected is not None:
        expected.written = written


def _take_place(beside: str, path: str, expected: Expected | None) -> None:
    if expected is not None and mark_of(path) != expected.mark:
        expected.missed = True
        raise ChangedMeanwhile(path)
    os.replace(beside, path)
