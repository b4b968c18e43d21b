"""How full this Workspace's disk is, as the host agent says; and the refusal to save what does not fit."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.web import HTTPError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_INSUFFICIENT_STORAGE = 507
_MESSAGE = (
    "The Workspace's disk is full: this was not saved. Nothing that was saved before is lost. "
    "Delete files that you no longer need, and save again."
)


def disk_state(path: Path, files: Path) -> dict[str, Any] | None:
    """`{"limitBytes", "usedBytes", "enforcedBy", "message", "refuse"}`; None if it has no quota.

    `enforcedBy` is `kernel` (a file system of its own) or `server` (measured now and then, and only what is
    saved through this server is refused). `message` says what is wrong, `refuse` that nothing can be saved.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        if found["enforcedBy"] == "kernel":
            seen = os.statvfs(files)
            found["usedBytes"] = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


class DiskGuard:
    """Stands before every write of the server. `place` says where the agent writes what it knows."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def place(self, path: Path) -> None:
        """Where the agent writes."""
        self._path = path

    def check(self) -> None:
        """Raises HTTPError 507 while nothing can be saved. Where the kernel decides it is tried."""
        try:
            found = json.loads(self._path.read_text()) if self._path else {}
        except (OSError, ValueError):
            return
        if found.get("refuse"):
            raise HTTPError(_INSUFFICIENT_STORAGE, str(found.get("message")), reason="Insufficient Storage")


guard = DiskGuard()
"""The one of this process."""


@contextmanager
def full_disk_to_507() -> Iterator[None]:
    """A write that finds no room becomes an answer that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise HTTPError(_INSUFFICIENT_STORAGE, _MESSAGE, reason="Insufficient Storage") from error
