"""What presses a running Workspace: its disk, its memory, its processes, the host's disk.

Once a second the agent looks at each. What it finds is told twice: to the controller, as a typed cause
with a sentence (`DescribeEditor`'s StateChangeReason), and to the Workspace's server, which refuses saves
that the disk could not take and shows its users why (`disk.json` in its run folder).
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emr_studio.runtime import cgroups, disks, trees
from emr_studio.runtime.contract import Cause, Limits
from emr_studio.runtime.disks import Usage
from emr_studio.runtime.relays import write_private

log = logging.getLogger(__name__)

DISK = "disk.json"
"""In a Workspace's run folder: `{"limitBytes", "usedBytes", "enforcedBy", "message", "refuse"}`."""
_NEARLY = 0.98
_FULL_BYTES = 1024**2
_TOO_MUCH = 1.05
_GROWS_BYTES = 8 * 1024**2
_MEASURE_SHARE = 10
"""Measuring folders takes at most this part (1 in …) of the time."""
_TOLD_STEP = 0.01
_LATELY_SECONDS = 5.0


@dataclass(frozen=True)
class Notice:
    """Why a running Workspace is not well; both empty: it is."""

    cause: str = ""
    message: str = ""


@dataclass(frozen=True)
class Subject:
    """The Workspace that is looked at. `run` is where its server reads what is told, `uid` its user."""

    root: trees.Root
    base: Path
    run: Path
    uid: int
    limits: Limits


@dataclass
class _Seen:
    usage: Usage = field(default_factory=lambda: Usage(0, 0, disks.SERVER))
    measured_at: float = 0.0
    took: float = 0.0
    full: bool = False
    told: str = ""
    ended_at: float = -math.inf
    """When the kernel last ended something for want of memory."""
    events: cgroups.Events = field(default_factory=cgroups.Events)
    notice: Notice = field(default_factory=Notice)


class Pressure:
    """Looks at Workspaces. `reserve` bytes of the host's disk (that of `folder`) are kept free."""

    def __init__(self, folder: Path, reserve: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._reserve, self._monotonic = folder, reserve, monotonic
        self._seen: dict[str, _Seen] = {}

    def look(self, subject: Subject) -> Notice:
        """What presses it now; ends programs that would fill the host's disk."""
        seen = self._seen.setdefault(subject.root.workload_id, _Seen())
        grown = self._measure(subject, seen)
        self._note_events(subject, seen)
        disk = self._disk(subject, seen, grown)
        self._tell(subject, seen, disk)
        return disk if disk.cause else seen.notice

    def ran_out_of_memory(self, workload_id: str, groups: list[str]) -> bool:
        """Whether the kernel has ended something of it for want of memory just now."""
        seen = self._seen.get(workload_id, _Seen())
        lately = self._monotonic() - seen.ended_at < _LATELY_SECONDS
        return lately or cgroups.events(groups).out_of_memory > seen.events.out_of_memory

    def forget(self, workload_id: str) -> None:
        """It has ended."""
        self._seen.pop(workload_id, None)

    def _measure(self, subject: Subject, seen: _Seen) -> int:
        """Look at its disk again if that is due; by how many bytes it has grown."""
        now, before = self._monotonic(), seen.usage.used
        if now < seen.measured_at + _MEASURE_SHARE * seen.took:
            return 0
        first, seen.usage = seen.measured_at == 0.0, disks.usage(subject.base, subject.limits.disk_bytes)
        seen.measured_at = self._monotonic()
        seen.took = seen.measured_at - now if seen.usage.enforced_by == disks.SERVER else 0.0
        return 0 if first else seen.usage.used - before

    def _disk(self, subject: Subject, seen: _Seen, grown: int) -> Notice:
        free = shutil.disk_usage(self._folder).free
        if free < self._reserve:
            if grown > _GROWS_BYTES:
                self._end_programs(subject, f"the host's disk has only {gigabytes(free)} left")
            return Notice(Cause.HOST_DISK_FULL, _HOST_FULL.format(free=gigabytes(free)))
        usage = seen.usage
        if not usage.limit:
            return Notice()
        if usage.enforced_by == disks.SERVER and usage.used > _TOO_MUCH * usage.limit and grown > 0:
            self._end_programs(subject, "its disk is full and they go on writing")
        # Once full, it has room again only when it has some to speak of.
        seen.full = usage.used > _NEARLY * usage.limit if seen.full else is_full(usage)
        return Notice(Cause.DISK_FULL, _FULL.format(limit=gigabytes(usage.limit))) if seen.full else Notice()

    def _end_programs(self, subject: Subject, why: str) -> None:
        """All but the server itself: what runs in its terminals."""
        others = trees.tree(subject.root) - {subject.root.pid}
        log.warning("%s: %d programs in its terminals are ended: %s", subject.root.workload_id, len(others), why)
        trees.send(others, signal.SIGKILL)

    def _note_events(self, subject: Subject, seen: _Seen) -> None:
        now = cgroups.events(list(subject.root.groups))
        if now.out_of_memory > seen.events.out_of_memory:
            seen.ended_at = self._monotonic()
            seen.notice = Notice(Cause.OUT_OF_MEMORY, out_of_memory(subject.limits))
        elif now.refused_processes > seen.events.refused_processes:
            seen.notice = Notice(Cause.PROCESS_LIMIT, _PROCESSES.format(pids=subject.limits.pids))
        seen.events = now

    def _tell(self, subject: Subject, seen: _Seen, disk: Notice) -> None:
        """Write it down for the server, if it is much different from what was told."""
        usage = seen.usage
        step = max(_TOLD_STEP * usage.limit, 1)
        rough = f"{usage.enforced_by} {usage.limit} {usage.used // step} {disk.cause}"
        if rough == seen.told or not (usage.limit or disk.cause):
            return
        seen.told = rough
        # Where the kernel counts, a smaller file may still fit: it is for the kernel to say.
        refuse = disk.cause == Cause.HOST_DISK_FULL or (bool(disk.cause) and usage.enforced_by == disks.SERVER)
        told = {"limitBytes": usage.limit, "usedBytes": usage.used, "enforcedBy": usage.enforced_by}
        with suppress(OSError):
            text = json.dumps(told | {"message": disk.message, "refuse": refuse})
            write_private(subject.run / DISK, text, group=subject.uid)


_FULL = (
    "The Workspace's disk is full: it may hold {limit}. Nothing that was saved is lost, and what is open "
    "is saved as soon as there is room: delete files, or ask an administrator for a larger quota."
)
_HOST_FULL = (
    "The disk of the studio's host is nearly full ({free} left). Nothing that was saved is lost; what is "
    "open is saved once an administrator has made room."
)
_PROCESSES = (
    "A program was refused a new process: the Workspace may have {pids}. End programs in its terminals, "
    "or stop and start it."
)


def out_of_memory(limits: Limits) -> str:
    """The sentence for a Workspace of which the kernel has ended a program."""
    return (
        f"The Workspace ran out of memory: it may use {gigabytes(limits.memory_bytes)}, and a program "
        "that asked for more was ended. Its files are safe. Run large computations on a cluster."
    )


def is_full(usage: Usage) -> bool:
    """Whether nothing worth mentioning fits any more."""
    return usage.used > usage.limit - _FULL_BYTES


def gigabytes(size: int) -> str:
    """`9.8 GB`."""
    return f"{size / 1024**3:.1f} GB"
