"""What this machine lets us isolate: for `emr-studio doctor` and for the agent's own choices."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from emr_studio.runtime import disks
from emr_studio.runtime.cgroups import ControlGroups

_FLAGS = {"mount": 0x00020000, "pid": 0x20000000, "ipc": 0x08000000, "uts": 0x04000000, "network": 0x40000000}
# In a process of its own: the namespaces that it leaves must not be ours.
_PROBE = "import ctypes,sys; sys.exit(ctypes.CDLL(None).unshare(int(sys.argv[1])) != 0)"
_MEANING = {
    "mount": "a Workspace sees its own files only",
    "pid": "a Workspace sees its own processes only",
    "ipc": "no shared memory between Workspaces",
    "uts": "a host name of its own",
    "network": "a Workspace reaches its cluster's kernel gateway, and outside what its security group allows",
}


@dataclass(frozen=True)
class Fact:
    """One thing that this machine grants or refuses."""

    name: str
    available: bool
    detail: str


def namespaces() -> tuple[str, ...]:
    """Kinds of namespaces that a Workspace can have here."""
    return tuple(name for name, flag in _FLAGS.items() if _granted(flag))


def _granted(flag: int) -> bool:
    command = [sys.executable, "-I", "-S", "-c", _PROBE, str(flag)]
    try:
        return subprocess.run(command, timeout=10, capture_output=True, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def isolation_report() -> list[Fact]:
    """All that matters to how well Workspaces are kept apart."""
    root = os.geteuid() == 0
    facts = [
        Fact(
            "own user id",
            root,
            "each Workspace runs as a user of its own" if root else "not root: all Workspaces run as you",
        )
    ]
    granted = namespaces()
    for name, meaning in _MEANING.items():
        available = name in granted
        facts.append(Fact(f"{name} namespace", available, meaning if available else f"refused: not so: {meaning}"))
    groups = ControlGroups("emr-studio-probe").available
    for kind in ("memory", "cpu", "pids"):
        available = kind in groups
        detail = "limited by a control group" if available else "no writable control group: not limited"
        facts.append(Fact(f"{kind} limit", available, detail))
    own = disks.can_mount()
    detail = "a file system of its own" if own else "measured: saves are refused and programs ended when it is full"
    facts.append(Fact("disk quota", own, detail))
    return facts
