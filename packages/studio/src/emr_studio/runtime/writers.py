"""The last of the host's disk is kept from what clusters' programs write.

Workspaces have disks of their own; what runs on clusters writes to the host's: results of shuffles, tables, whatever
code puts into a folder. While less than the reserve is free, the kernel's count of what each of their processes has
written (`/proc/<pid>/task/*/io`, wherever it lies) is looked at every second, and one that goes on is ended, before the
studio itself has no room to note what happens. Spark tries a task again elsewhere and gives up its job after a few
times; what the job had put aside goes with it. Everything else goes on: those who write little, other clusters,
Workspaces.
"""

from __future__ import annotations

import logging
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emr_studio.runtime import trees
from emr_studio.runtime.pressure import gigabytes
from emr_studio.runtime.processes import start_time
from emr_studio.runtime.trees import Root

log = logging.getLogger(__name__)

_MUCH_BYTES = 8 * 1024**2
"""In a second. A driver's log and a notebook's file are less, a shuffle is more."""
_LATELY_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """A process that was ended: of which workload, and the sentence that says why."""

    workload_id: str
    message: str


class Writers:
    """Looks at programs. `reserve` bytes of the host's disk (that of `folder`) are kept free."""

    def __init__(self, folder: Path, reserve: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._reserve, self._monotonic = folder, reserve, monotonic
        self._written: dict[tuple[int, int], int] = {}
        """Bytes by process: its id and the moment of its start."""
        self._ended: dict[str, tuple[float, Ended]] = {}

    def look(self, programs: Callable[[], Iterable[Root]]) -> list[Ended]:
        """End what fills the disk now, once it is low (`programs` is asked only then); what was ended."""
        free = shutil.disk_usage(self._folder).free if self._folder.exists() else self._reserve
        if free >= self._reserve:
            self._written.clear()
            return []
        before, self._written = self._written, {}
        found = [self._end(root, pid, free) for root in programs() for pid in self._eager(root, before)]
        self._ended |= {one.workload_id: (self._monotonic(), one) for one in found}
        return found

    def why(self, workload_id: str) -> str:
        """Why something of it was ended lately; else empty."""
        moment, ended = self._ended.get(workload_id, (0.0, Ended("", "")))
        return ended.message if self._monotonic() - moment < _LATELY_SECONDS else ""

    def _eager(self, root: Root, before: dict[tuple[int, int], int]) -> list[int]:
        """Its processes that have written much since the last look."""
        eager = []
        for pid in sorted(trees.tree(root)):
            with suppress(OSError, ValueError):
                key = (pid, start_time(pid) or 0)
                self._written[key] = written(pid)
                if self._written[key] - before.get(key, self._written[key]) > _MUCH_BYTES:
                    eager.append(pid)
        return eager

    def _end(self, root: Root, pid: int, free: int) -> Ended:
        message = f"The studio's host has only {gigabytes(free)} of its disk left, and process {pid} went on writing"
        log.warning("%s: it is ended. %s", root.workload_id, message)
        trees.send({pid}, signal.SIGKILL)
        return Ended(root.workload_id, f"{message}: it was ended")


def written(pid: int) -> int:
    """Bytes that a process's threads have had written to disks.

    Not what stands in the process's own `io`: in that is also what children wrote that it has waited for.

    Raises:
        OSError: it is gone.
    """
    return sum(_of_a_thread(thread) for thread in Path(f"/proc/{pid}/task").iterdir())


def _of_a_thread(folder: Path) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = (folder / "io").read_text().splitlines()
        return sum(int(line.partition(":")[2]) for line in lines if line.startswith("write_bytes:"))
    return 0
