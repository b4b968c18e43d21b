"""All processes of a workload, however they forked: by control group, session and environment marker."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from emr_studio.runtime import cgroups

MARKER = "EMR_STUDIO_WORKLOAD"
"""Environment variable that every process of a workload inherits."""
_POLL = 0.02


def tree(pid: int, workload_id: str, groups: list[str]) -> set[int]:
    """Living processes of the workload whose first process is (or was) `pid`."""
    found = cgroups.members(groups)
    marker = f"{MARKER}={workload_id}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _belongs(entry, pid, marker):
            found.add(int(entry.name))
    return {member for member in found if not _is_dead(member)}


def _belongs(entry: Path, pid: int, marker: bytes) -> bool:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
        if pid and int(fields[3]) == pid:
            return True
        return marker in (entry / "environ").read_bytes().split(b"\0")
    except (OSError, IndexError, ValueError):
        return False


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True


def send(members: set[int], number: signal.Signals) -> None:
    """Signal each; gone ones are fine."""
    for pid in members:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end(pid: int, workload_id: str, groups: list[str], grace_seconds: float) -> bool:
    """SIGTERM to all, SIGKILL to what is left after `grace_seconds`; False if something stayed."""
    send(tree(pid, workload_id, groups), signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        if not tree(pid, workload_id, groups):
            return True
        time.sleep(_POLL)
    return kill(pid, workload_id, groups)


def kill(pid: int, workload_id: str, groups: list[str], seconds: float = 10.0) -> bool:
    """SIGKILL all until none is left; False if something stayed (a process stuck in the kernel)."""
    deadline = time.monotonic() + seconds
    while left := tree(pid, workload_id, groups):
        cgroups.kill(groups)
        send(left, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
