"""Is anybody, or anything, at work in this Workspace? The host agent asks, to stop what is long idle.

Running cells and programs in a terminal count, and so does the last message of a kernel, the last
key or output of a terminal and the last change of a file. An open page by itself does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

_BUSY = ("busy", "starting", "restarting")


class ActivityWatch:
    """Remembers when files last changed through the server."""

    def __init__(self, now: datetime | None = None) -> None:
        self._last = now or datetime.now(UTC)

    async def on_files(self, logger: Any, schema_id: str, data: Mapping[str, Any]) -> None:
        """A listener of Jupyter's contents events; reading a file is not work."""
        del logger, schema_id
        if data.get("action") != "get":
            self._last = datetime.now(UTC)

    def report(self, kernels: Iterable[Mapping[str, Any]], terminals: Any, now: datetime) -> dict[str, Any]:
        """`{"busy", "idleSeconds"}`: whether something runs, and how long ago the last thing happened."""
        models = list(kernels)
        known = [] if terminals is None else terminals.list()
        times = [self._last, *filter(None, (_time(m.get("last_activity")) for m in [*models, *known]))]
        busy = any(m.get("execution_state") in _BUSY for m in models) or _has_job(terminals)
        return {"busy": busy, "idleSeconds": max(0.0, (now - max(times)).total_seconds())}


def _time(text: Any) -> datetime | None:
    if isinstance(text, datetime):
        return text
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _has_job(terminals: Any) -> bool:
    """True if a program runs in the foreground of a terminal: its shell has handed the terminal over."""
    return terminals is not None and any(_runs(terminal.ptyproc) for terminal in terminals.terminals.values())


def _runs(process: Any) -> bool:
    try:
        return bool(os.tcgetpgrp(process.fd) not in (process.pid, 0))
    except OSError:
        return False
