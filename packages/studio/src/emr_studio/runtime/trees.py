"""All processes of a workload, however they forked: by control group, session and environment marker."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emr_studio.runtime import cgroups

MARKER = "EMR_STUDIO_WORKLOAD"
"""Environment variable that every process of a workload inherits."""
_POLL = 0.02


@dataclass(frozen=True)
class Root:
    """A workload's first process, its id, and its control groups. `pid` 0: there was none."""

    pid: int
    started: int
    workload_id: str
    groups: tuple[str, ...] = ()


def tree(root: Root) -> set[int]:
    """Living processes of the workload."""
    found = cgroups.members(list(root.groups))
    marker = f"{MARKER}={root.workload_id}".encode()
    session = 0 if _was_reused(root) else root.pid
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _belongs(entry, session, marker):
            found.add(int(entry.name))
    return {member for member in found if not _is_dead(member)}


def _was_reused(root: Root) -> bool:
    """Whether the pid is somebody else's by now: then so is the session of that number."""
    stat = _stat(Path(f"/proc/{root.pid}"))
    return bool(stat) and int(stat[19]) != root.started


def _belongs(entry: Path, session: int, marker: bytes) -> bool:
    stat = _stat(entry)
    if session and stat and int(stat[3]) == session:
        return True
    try:
        return marker in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _is_dead(pid: int) -> bool:
    stat = _stat(Path(f"/proc/{pid}"))
    return not stat or stat[0] in "ZX"


def _stat(entry: Path) -> list[str]:
    """Fields of `/proc/<pid>/stat` from the state on (proc(5) counts it as the third); empty if gone."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def send(members: set[int], number: signal.Signals) -> None:
    """Signal each; gone ones are fine."""
    for pid in members:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end(root: Root, grace_seconds: float) -> bool:
    """SIGTERM to all, SIGKILL to what is left after `grace_seconds`; False if something stayed."""
    send(tree(root), signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        if not tree(root):
            return True
        time.sleep(_POLL)
    return kill(root)


def kill(root: Root, seconds: float = 10.0) -> bool:
    """SIGKILL all until none is left; False if something stayed (a process stuck in the kernel)."""
    deadline = time.monotonic() + seconds
    while left := tree(root):
        cgroups.kill(list(root.groups))
        send(left, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
