"""What a Workspace says of its activity: cells, kernels, terminals, files."""

from __future__ import annotations

import asyncio
import os
import pty
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from emr_studio_workspace.activity import ActivityWatch

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGAN + timedelta(hours=2)


def terminals(*times: datetime, process: Any = None) -> Any:
    shown = [{"name": str(n), "last_activity": time.isoformat()} for n, time in enumerate(times)]
    known = {"0": SimpleNamespace(ptyproc=process or SimpleNamespace(fd=-1, pid=1))} if times else {}
    return SimpleNamespace(list=lambda: shown, terminals=known)


def kernel(state: str, at: datetime) -> dict[str, str]:
    return {"id": "k", "execution_state": state, "last_activity": at.isoformat().replace("+00:00", "Z")}


def test_with_nothing_open_it_is_idle_since_the_start() -> None:
    assert ActivityWatch(BEGAN).report([], None, NOW) == {"busy": False, "idleSeconds": 7200.0}


def test_the_last_thing_counts() -> None:
    watch = ActivityWatch(BEGAN)
    kernels: list[dict[str, Any]] = [kernel("idle", BEGAN + timedelta(hours=1)), {"id": "x", "last_activity": None}]
    assert watch.report(kernels, None, NOW) == {"busy": False, "idleSeconds": 3600.0}
    busy_shell = terminals(NOW - timedelta(minutes=5))
    assert watch.report(kernels, busy_shell, NOW) == {"busy": False, "idleSeconds": 300.0}


def test_a_running_cell_is_work() -> None:
    assert ActivityWatch(BEGAN).report([kernel("busy", BEGAN)], None, NOW)["busy"] is True


def test_saving_is_work_and_reading_is_none() -> None:
    watch = ActivityWatch(BEGAN)
    asyncio.run(watch.on_files(None, "", {"action": "get", "path": "a"}))
    assert watch.report([], None, NOW)["idleSeconds"] == 7200.0
    asyncio.run(watch.on_files(None, "", {"action": "save", "path": "a"}))
    assert watch.report([], None, datetime.now(UTC))["idleSeconds"] < 60


def test_a_program_in_a_terminal_is_work_and_a_prompt_is_none() -> None:
    child, descriptor = pty.fork()
    if child == 0:
        os.execv("/bin/cat", ["cat"])
    try:
        while os.tcgetpgrp(descriptor) != child:
            os.sched_yield()
        watch = ActivityWatch(BEGAN)
        shell, other = SimpleNamespace(fd=descriptor, pid=child), SimpleNamespace(fd=descriptor, pid=child + 1)
        assert watch.report([], terminals(BEGAN, process=shell), NOW)["busy"] is False
        assert watch.report([], terminals(BEGAN, process=other), NOW)["busy"] is True
    finally:
        os.close(descriptor)
        os.kill(child, 9)
        os.waitpid(child, 0)
