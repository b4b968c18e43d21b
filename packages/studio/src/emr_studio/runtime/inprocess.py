"""A runtime that lives in the process of a test: deterministic, no clock, fails where it is told to.

A workload moves one step each time somebody looks (`observe`, `list` do not skip steps: the first
look after `launch` shows STARTING, the next RUNNING; after `stop` STOPPING, then EXITED); `wait`
moves it until it has left the given state. `hold()` stops that, for tests that drive by hand.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from emr_studio.runtime.contract import (
    Activity,
    Gateway,
    GitProgress,
    GitWork,
    Observation,
    RuntimeUnavailable,
    Spec,
    WorkloadState,
    WorkspaceSpec,
)
from emr_studio.storage.versions import FileVersion


class Stage(StrEnum):
    """Where `fail` makes the runtime fail."""

    LAUNCH = "launch"
    """`launch` raises RuntimeUnavailable and nothing starts."""
    LAUNCHED = "launched"
    """`launch` starts the workload, then raises RuntimeUnavailable: the answer was lost."""
    START = "start"
    """The workload exits with code 1 before it is RUNNING."""
    OBSERVE = "observe"
    STOP = "stop"
    GATEWAY = "gateway"
    FLUSH = "flush"
    GIT = "git"
    """These raise RuntimeUnavailable and change nothing."""


_AT_WORK = Activity(busy=True)


@dataclass(frozen=True)
class KeptFile:
    """A version of a file, as S3 would keep it."""

    version: FileVersion
    content: bytes


@dataclass
class Workload:
    """What the in-process runtime keeps of a workload; tests may read it."""

    spec: Spec
    observation: Observation
    gateway: Gateway | None = None
    kms_key_id: str = ""
    flushes: int = 0
    activity: Activity | None = _AT_WORK
    kept: dict[str, list[KeptFile]] = field(default_factory=dict)
    """Versions by path, newest first."""


@dataclass
class _Failure:
    stage: Stage
    matches: Callable[[str], bool]
    times: int
    reason: str


class InProcessRuntime:
    """Fulfils `Runtime` without starting anything. Not thread safe beyond single calls."""

    def __init__(self, *, instant: bool = False) -> None:
        """`instant`: a launched workload is RUNNING, a stopped one EXITED, at the first look."""
        self.workloads: dict[str, Workload] = {}
        self.calls: list[tuple[str, str]] = []
        """Every changing call in order: (method, workload id)."""
        self.graces: dict[str, float] = {}
        """The grace that the last `stop` of a workload asked for, in seconds."""
        self.git_works: list[tuple[str, GitWork]] = []
        self.git_says: GitProgress | None = GitProgress("working")
        """What every Workspace's server says of Git work."""
        self._instant = instant
        self._held = False
        self._failures: list[_Failure] = []

    # What tests use.
    def fail(self, stage: Stage, containing: str = "", times: int = 1, reason: str = "made to fail") -> None:
        """Fail the next `times` calls at `stage` for workload ids that contain `containing`."""
        self._failures.append(_Failure(stage, lambda workload_id: containing in workload_id, times, reason))

    def hold(self, held: bool = True) -> None:
        """Keep every workload in its present state until `hold(False)`."""
        self._held = held

    def crash(self, workload_id: str, exit_code: int = -9, reason: str = "killed by signal 9") -> None:
        """Let a workload die by itself."""
        workload = self.workloads[workload_id]
        workload.observation = replace(
            workload.observation, state=WorkloadState.EXITED, exit_code=exit_code, reason=reason, address="", pid=0
        )

    def state(self, workload_id: str) -> WorkloadState:
        """The state, without moving it."""
        workload = self.workloads.get(workload_id)
        return workload.observation.state if workload else WorkloadState.ABSENT

    # The contract.
    def launch(self, spec: Spec) -> None:
        workload_id = spec.workload_id
        self._check(Stage.LAUNCH, workload_id)
        self.calls.append(("launch", workload_id))
        if self.state(workload_id).is_over:
            observation = Observation(
                workload_id, spec.owner, WorkloadState.STARTING, pid=1000 + len(self.calls), progress="starting"
            )
            self.workloads[workload_id] = Workload(spec, observation)
            if self._instant:
                self._advance(workload_id)
        self._check(Stage.LAUNCHED, workload_id)

    def observe(self, workload_id: str) -> Observation:
        self._check(Stage.OBSERVE, workload_id)
        return self._look(workload_id)

    def wait(self, workload_id: str, leave: WorkloadState, timeout: float) -> Observation:
        self._check(Stage.OBSERVE, workload_id)
        if timeout > 0 and self.state(workload_id) == leave:
            self._advance(workload_id)
        return self._peek(workload_id)

    def stop(self, workload_id: str, grace_seconds: float = 10.0) -> None:
        self._check(Stage.STOP, workload_id)
        self.calls.append(("stop", workload_id))
        self.graces[workload_id] = grace_seconds
        if self.state(workload_id).is_going:
            workload = self.workloads[workload_id]
            workload.observation = replace(workload.observation, state=WorkloadState.STOPPING, address="")
            if self._instant:
                self._advance(workload_id)

    def forget(self, workload_id: str) -> None:
        self._check(Stage.STOP, workload_id)
        self.calls.append(("forget", workload_id))
        if self.state(workload_id) is WorkloadState.EXITED:
            del self.workloads[workload_id]

    def list(self) -> list[Observation]:
        self._check(Stage.OBSERVE, "")
        return [self._look(workload_id) for workload_id in sorted(self.workloads)]

    def logs(self, workload_id: str, lines: int = 50) -> builtins.list[str]:
        self._check(Stage.OBSERVE, workload_id)
        return list(self._peek(workload_id).log_tail[-lines:])

    def set_gateway(self, workload_id: str, gateway: Gateway | None) -> None:
        self._check(Stage.GATEWAY, workload_id)
        self.calls.append(("set_gateway", workload_id))
        if workload_id in self.workloads:
            self.workloads[workload_id].gateway = gateway

    def set_encryption(self, workload_id: str, kms_key_id: str) -> None:
        self._check(Stage.GATEWAY, workload_id)
        self.calls.append(("set_encryption", workload_id))
        if workload_id in self.workloads:
            self.workloads[workload_id].kms_key_id = kms_key_id

    def activity(self, workload_id: str) -> Activity | None:
        self._check(Stage.OBSERVE, workload_id)
        workload = self.workloads.get(workload_id)
        return workload.activity if workload else None

    def git(self, workload_id: str, work: GitWork) -> GitProgress | None:
        self._check(Stage.GIT, workload_id)
        self.git_works.append((workload_id, work))
        return self.git_says

    def flush(self, workload_id: str) -> None:
        self._check(Stage.FLUSH, workload_id)
        self.calls.append(("flush", workload_id))
        if workload_id in self.workloads:
            self.workloads[workload_id].flushes += 1

    def versions(self, workload_id: str, path: str) -> builtins.list[FileVersion]:
        return [found.version for found in self._kept(workload_id, path)]

    def version(self, workload_id: str, path: str, version_id: str) -> bytes:
        for found in self._kept(workload_id, path):
            if found.version.version_id == version_id:
                return found.content
        raise ValueError(f"S3 has no version {version_id} of {path}.")

    # Inside.
    def _kept(self, workload_id: str, path: str) -> builtins.list[KeptFile]:
        if workload_id not in self.workloads:
            raise RuntimeUnavailable("The Workspace does not run.")
        return self.workloads[workload_id].kept.get(path, [])

    def _check(self, stage: Stage, workload_id: str) -> None:
        failure = self._take(stage, workload_id)
        if failure:
            raise RuntimeUnavailable(failure.reason)

    def _take(self, stage: Stage, workload_id: str) -> _Failure | None:
        for failure in self._failures:
            if failure.stage is stage and failure.times > 0 and failure.matches(workload_id):
                failure.times -= 1
                return failure
        return None

    def _peek(self, workload_id: str) -> Observation:
        workload = self.workloads.get(workload_id)
        return workload.observation if workload else Observation(workload_id, "", WorkloadState.ABSENT)

    def _look(self, workload_id: str) -> Observation:
        seen = self._peek(workload_id)
        self._advance(workload_id)
        return seen

    def _advance(self, workload_id: str) -> None:
        workload = self.workloads.get(workload_id)
        if workload is None or self._held:
            return
        now = workload.observation
        if now.state is WorkloadState.STARTING:
            workload.observation = self._started(workload)
        elif now.state is WorkloadState.STOPPING:
            workload.observation = replace(now, state=WorkloadState.EXITED, exit_code=0, address="", pid=0)

    def _started(self, workload: Workload) -> Observation:
        now, spec = workload.observation, workload.spec
        failure = self._take(Stage.START, now.workload_id)
        if failure:
            return replace(
                now,
                state=WorkloadState.EXITED,
                exit_code=1,
                reason=failure.reason,
                log_tail=(failure.reason,),
                progress="",
                pid=0,
            )
        address = f"unix//run/{now.workload_id}/s.sock" if isinstance(spec, WorkspaceSpec) else spec.ready_address
        return replace(now, state=WorkloadState.RUNNING, address=address, progress="")
