"""Facts about processes, from /proc: who is alive, and is it still the same one."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that they can be reaped (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_time(pid: int) -> int | None:
    """Start time of `pid` in clock ticks since boot (field 22 of /proc/pid/stat); None if gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """True if the process that had `pid` and started at `started` still runs (a pid may be reused)."""
    return pid > 0 and start_time(pid) == started


def signal_if_alive(pid: int, started: int, number: signal.Signals) -> None:
    """Send a signal to exactly that process; a gone one is fine."""
    if is_alive(pid, started):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
