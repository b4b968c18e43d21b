"""The supervisor: starts the parts of an embedded studio, restarts what dies, stops all cleanly.

A part that exits, however it exits, is started again after a short, growing pause. Workloads
(Workspaces, Spark) are not its children: the agent starts them in sessions of their own, so that
they outlive any part. As a subreaper it inherits and reaps whatever its parts leave behind.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emr_studio.runtime.processes import become_subreaper, is_alive, start_time

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_STEADY_AFTER = 30.0


@dataclass
class Part:
    """One process of the studio. `ready` answers whether it serves; it must be quick."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    stop_seconds: float = 10.0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    pause: float = _FIRST_PAUSE
    started_at: float = 0.0
    restart_at: float = 0.0
    restarts: int = 0


UMASK = 0o022
"""Whatever that of whoever started the studio is."""


class PartFailed(Exception):
    """A part did not become ready; `str()` says which, why and what its log ends with."""


class Supervisor:
    """Runs `parts` in order; stops them in reverse order."""

    def __init__(self, parts: list[Part], run_dir: Path, logs_dir: Path, environment: dict[str, str]) -> None:
        self.parts = parts
        self._run_dir = run_dir
        self._logs_dir = logs_dir
        self._environment = environment
        self._stopping = False
        self.keep_workloads = False

    def start(self, names: set[str], timeout: float) -> None:
        """Start the named parts and return when all of them are ready.

        Raises:
            PartFailed: one exited for good or was not ready within `timeout` seconds.
        """
        chosen = [part for part in self.parts if part.name in names]
        for part in chosen:
            self._spawn(part)
        deadline = time.monotonic() + timeout
        waiting = list(chosen)
        while waiting and not self._stopping:
            waiting = [part for part in waiting if not part.ready()]
            self._check(waiting, deadline)
            if waiting:
                time.sleep(0.03)

    def _check(self, waiting: list[Part], deadline: float) -> None:
        for part in waiting:
            process = part.process
            code = process.poll() if process else None
            if code is not None:
                raise PartFailed(f"{part.name} ended with exit status {code}.\n{self.log_tail(part)}")
            if time.monotonic() > deadline:
                raise PartFailed(f"{part.name} did not answer in time.\n{self.log_tail(part)}")

    def log_tail(self, part: Part, lines: int = 12) -> str:
        """The last lines of a part's log, indented."""
        try:
            text = (self._logs_dir / f"{part.name}.log").read_text(errors="replace")
        except OSError:
            return "  (no log)"
        return "\n".join("  | " + line for line in text.splitlines()[-lines:]) or "  (its log is empty)"

    def run(self) -> None:
        """Watch until told to stop by SIGTERM or SIGINT (SIGUSR1: leave workloads running).

        `prepare` must have been called, from the main thread.
        """
        awake, wake = os.pipe()
        os.set_blocking(awake, False)
        os.set_blocking(wake, False)
        # Any signal writes a byte here, so that the loop wakes at once and sleeps otherwise.
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        while not self._stopping:
            for part in self.parts:
                self._tend(part)
            self._reap()
            select.select([awake], [], [], self._nap())
            with suppress(BlockingIOError):
                os.read(awake, 4096)

    def prepare(self) -> None:
        """Become a subreaper and take the stop signals; call before the first part starts."""
        become_subreaper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_keep)

    def _nap(self) -> float:
        due = [part.restart_at for part in self.parts if part.process is None and part.restart_at]
        return max(0.0, min([due_at - time.monotonic() for due_at in due] + [1.0]))

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _on_keep(self, _number: int, _frame: object) -> None:
        self.keep_workloads = True
        self._stopping = True

    def _tend(self, part: Part) -> None:
        now = time.monotonic()
        if part.process is None:
            if part.restart_at and now >= part.restart_at:
                part.restarts += 1
                self._spawn(part)
            return
        if part.process.poll() is None:
            return
        steady = now - part.started_at > _STEADY_AFTER
        part.pause = _FIRST_PAUSE if steady else min(part.pause * 2, _LONGEST_PAUSE)
        part.process, part.restart_at = None, now + part.pause
        self._record()

    def _spawn(self, part: Part) -> None:
        self._logs_dir.mkdir(parents=True, exist_ok=True)
        log_path = self._logs_dir / f"{part.name}.log"
        _keep_short(log_path)
        with log_path.open("ab") as log:
            part.process = subprocess.Popen(
                part.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                # Users of Workspaces and clusters go through folders of ours; what is secret has a mode of its own.
                umask=UMASK,
            )
        part.started_at, part.restart_at = time.monotonic(), 0.0
        self._record()

    def _record(self) -> None:
        """Write who runs, for `status`, and for an `up` after this process was killed."""
        parts = {
            part.name: {
                "pid": part.process.pid,
                "started": start_time(part.process.pid) or 0,
                "restarts": part.restarts,
            }
            for part in self.parts
            if part.process
        }
        record = {"pid": os.getpid(), "started": start_time(os.getpid()) or 0, "parts": parts}
        path = self._run_dir / "supervisor.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(record))
        temporary.replace(path)

    def _reap(self) -> None:
        """Reap adopted orphans; our own children are polled by their handles, so leave those."""
        own = {part.process.pid for part in self.parts if part.process}
        for pid in _zombie_children(os.getpid()):
            if pid not in own:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def stop(self, names: set[str] | None = None) -> None:
        """Stop the named parts, or all, the last started first."""
        for part in reversed(self.parts):
            if names is None or part.name in names:
                _terminate(part)
        if names is not None:
            return
        with suppress(FileNotFoundError):
            (self._run_dir / "supervisor.json").unlink()


def _terminate(part: Part) -> None:
    process = part.process
    if process is None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(part.stop_seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    part.process = None


def _zombie_children(parent: int) -> list[int]:
    found = []
    children = Path(f"/proc/{parent}/task/{parent}/children")
    for pid in children.read_text().split() if children.exists() else []:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state == "Z":
            found.append(int(pid))
    return found


def _keep_short(log_path: Path, limit: int = 10_000_000) -> None:
    """Move a long log aside, so that two files of `limit` bytes are the most there is."""
    if log_path.exists() and log_path.stat().st_size > limit:
        log_path.replace(log_path.with_suffix(".log.1"))


@dataclass(frozen=True)
class Record:
    """What `supervisor.json` says; `alive` is whether that very supervisor still runs."""

    pid: int
    started: int
    parts: dict[str, dict[str, int]]

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.started)


def read_record(run_dir: Path) -> Record | None:
    """The record of the last supervisor of this installation; None if it was stopped cleanly."""
    try:
        found = json.loads((run_dir / "supervisor.json").read_text())
        return Record(found["pid"], found["started"], found["parts"])
    except (OSError, ValueError, KeyError):
        return None
