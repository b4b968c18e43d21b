"""Reaps orphans. A Workspace's server is process 1 of its namespace, so they become its children."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Reaper:
    """Waits for zombies that nobody else has waited for between two looks."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._seen: set[int] = set()

    def reap(self) -> None:
        """Reap zombies that were already there at the last look (their maker has had its time)."""
        zombies = self._zombies()
        for pid in zombies & self._seen:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._seen = zombies

    def _zombies(self) -> set[int]:
        me = os.getpid()
        try:
            children = (self._proc / str(me) / "task" / str(me) / "children").read_text().split()
        except OSError:
            return set()
        return {int(pid) for pid in children if self._is_zombie(pid)}

    def _is_zombie(self, pid: str) -> bool:
        try:
            return (self._proc / pid / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (OSError, IndexError):
            return False
