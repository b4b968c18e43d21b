"""What the agent remembers of each workload: a file each, so that a killed agent finds them again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emr_studio.runtime import trees, wire
from emr_studio.runtime.contract import Gateway, Observation, Spec, WorkloadState

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_SUFFIX = ".workload.json"


def safe_id(workload_id: str) -> str:
    """A file name for a workload id: readable, and different for different ids."""
    plain = _UNSAFE.sub("_", workload_id)
    if plain == workload_id and not plain.startswith("."):
        return plain
    return f"_{plain[:80]}-{hashlib.sha256(workload_id.encode()).hexdigest()[:10]}"


@dataclass
class Record:
    """One workload. `pid` and `started` (clock ticks since boot) name its first process."""

    spec: dict[str, Any]
    state: WorkloadState = WorkloadState.STARTING
    pid: int = 0
    started: int = 0
    exit_code: int | None = None
    reason: str = ""
    cause: str = ""
    progress: str = ""
    address: str = ""
    log_path: str = ""
    grace_seconds: float = 10.0
    isolation: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    gateway: dict[str, str] | None = None
    secret: str = ""

    @property
    def workload_id(self) -> str:
        found: str = self.spec["workload_id"]
        return found

    def typed_spec(self) -> Spec:
        """The spec that it was launched with."""
        return wire.load_spec(self.spec)

    def typed_gateway(self) -> Gateway | None:
        """The gateway that it is attached to."""
        return wire.load_gateway(self.gateway)

    @property
    def root(self) -> trees.Root:
        """How its processes are found."""
        return trees.Root(self.pid, self.started, self.workload_id, tuple(self.groups))

    @property
    def active(self) -> bool:
        """Whether it runs, or is about to, or is about to stop."""
        return self.state in (WorkloadState.STARTING, WorkloadState.RUNNING, WorkloadState.STOPPING)

    def observation(self, log_tail: tuple[str, ...] = ()) -> Observation:
        """What a controller is told."""
        return Observation(
            workload_id=self.workload_id,
            owner=self.spec["owner"],
            state=self.state,
            address=self.address if self.state is WorkloadState.RUNNING else "",
            exit_code=self.exit_code,
            reason=self.reason,
            log_tail=log_tail,
            progress=self.progress if self.state is WorkloadState.STARTING else "",
            pid=self.pid,
            cause=self.cause,
        )


class RecordStore:
    """Records in a folder (mode 700: specs hold credentials tokens)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, record: Record) -> None:
        """Write it; a reader sees the old file or the new one."""
        path = self._path(record.workload_id)
        # A name of its own: an agent that is about to be killed may write at the same time.
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(asdict(record), file)
        temporary.replace(path)

    def delete(self, workload_id: str) -> None:
        """Forget it."""
        with suppress(FileNotFoundError):
            self._path(workload_id).unlink()

    def load(self) -> list[Record]:
        """All that can be read; a file that was cut is left aside."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with suppress(OSError, ValueError, TypeError, KeyError):
                values = json.loads(path.read_text())
                values["state"] = WorkloadState(values["state"])
                found.append(Record(**values))
        return found

    def _path(self, workload_id: str) -> Path:
        return self._folder / (safe_id(workload_id) + _SUFFIX)
