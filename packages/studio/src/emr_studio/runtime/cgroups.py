"""Control groups, version 1 and 2, whichever the machine has and lets us write to; best effort.

A workload's groups limit it and tell exactly which processes are its own, however they forked.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emr_studio.runtime.contract import Limits


@dataclass(frozen=True)
class Events:
    """What the kernel has refused a workload so far."""

    out_of_memory: int = 0
    """Processes that it has ended for want of memory."""
    refused_processes: int = 0


_V1 = ("memory", "cpu", "pids", "freezer")
_PERIOD = 100_000


class ControlGroups:
    """Makes and removes groups below `<hierarchy>/<name>/`."""

    def __init__(self, name: str, mounts: Path = Path("/proc/self/mounts")) -> None:
        self._name = name
        self._v1, self._v2 = _hierarchies(mounts)

    @property
    def available(self) -> tuple[str, ...]:
        """What can be limited or tracked here: `memory`, `cpu`, `pids`, `tracking`."""
        kinds = set(self._v1) & {"memory", "cpu", "pids"}
        if self._v2:
            kinds |= set(_words(self._v2 / "cgroup.controllers")) & {"memory", "cpu", "pids"}
        tracking = ["tracking"] if self._v1 or self._v2 else []
        return tuple(sorted(kinds) + tracking)

    def create(self, workload: str, limits: Limits) -> list[str]:
        """Make the groups of a workload; folders whose `cgroup.procs` its first process must enter."""
        made = []
        if self._v2:
            made += self._create_v2(self._v2, workload, limits)
        for kind, base in self._v1.items():
            folder = base / self._name / workload
            if _make(folder):
                made.append(str(folder))
                _limit_v1(folder, kind, limits)
        return made

    def _create_v2(self, base: Path, workload: str, limits: Limits) -> list[str]:
        folder = base / self._name / workload
        if not _make(folder):
            return []
        kinds = set(_words(base / "cgroup.controllers")) & {"memory", "cpu", "pids"}
        enabled = " ".join(f"+{kind}" for kind in sorted(kinds))
        if enabled:
            for parent in (base, base / self._name):
                _write(parent / "cgroup.subtree_control", enabled)
        _limit_v2(folder, limits)
        return [str(folder)]


def members(groups: list[str]) -> set[int]:
    """Processes in these groups now."""
    found: set[int] = set()
    for group in groups:
        found |= {int(pid) for pid in _words(Path(group, "cgroup.procs")) if pid != "0"}
    return found


def kill(groups: list[str]) -> None:
    """SIGKILL all processes in these groups (the kernel's own way where there is one)."""
    for group in groups:
        if not _write(Path(group, "cgroup.kill"), "1"):
            for pid in members([group]):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def events(groups: list[str]) -> Events:
    """How often these groups have met their limits since they were made."""
    killed = refused = 0
    for group in groups:
        for name in ("memory.oom_control", "memory.events"):
            killed += _counted(Path(group, name), "oom_kill")
        refused += _counted(Path(group, "pids.events"), "max")
    return Events(killed, refused)


def limit_memory(groups: list[str]) -> bool:
    """Whether one of these groups bounds the memory of its processes together."""
    names = ("memory.max", "memory.limit_in_bytes")
    return any(Path(group, name).exists() for group in groups for name in names)


def _counted(path: Path, name: str) -> int:
    words = _words(path)
    return int(words[words.index(name) + 1]) if name in words else 0


def remove(groups: list[str]) -> None:
    """Remove empty groups; one that is not empty stays."""
    for group in groups:
        with suppress(OSError):
            Path(group).rmdir()


def _limit_v1(folder: Path, kind: str, limits: Limits) -> None:
    if kind == "memory" and limits.memory_bytes:
        _write(folder / "memory.limit_in_bytes", str(limits.memory_bytes))
        _write(folder / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))
    elif kind == "cpu" and limits.cpus:
        _write(folder / "cpu.cfs_period_us", str(_PERIOD))
        _write(folder / "cpu.cfs_quota_us", str(int(limits.cpus * _PERIOD)))
    elif kind == "pids" and limits.pids:
        _write(folder / "pids.max", str(limits.pids))


def _limit_v2(folder: Path, limits: Limits) -> None:
    if limits.memory_bytes:
        _write(folder / "memory.max", str(limits.memory_bytes))
        _write(folder / "memory.swap.max", "0")
    if limits.cpus:
        _write(folder / "cpu.max", f"{int(limits.cpus * _PERIOD)} {_PERIOD}")
    if limits.pids:
        _write(folder / "pids.max", str(limits.pids))


def _hierarchies(mounts: Path) -> tuple[dict[str, Path], Path | None]:
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in _lines(mounts):
        _source, target, kind, options = line.split(" ")[:4]
        path = Path(target)
        if kind == "cgroup2" and os.access(path, os.W_OK):
            v2 = path
        elif kind == "cgroup" and os.access(path, os.W_OK):
            v1 |= {name: path for name in _V1 if name in options.split(",")}
    return v1, v2


def _make(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return (folder / "cgroup.procs").exists()


def _write(path: Path, text: str) -> bool:
    try:
        # Never create: on a real hierarchy the file exists, or the kernel lacks the feature.
        handle = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(handle, text.encode())
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
