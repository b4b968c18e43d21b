"""All workloads of this host: the life of each, from launch to its end, across restarts of the agent.

A record is written before each step, so that an agent that was killed anywhere goes on where it
was: what still runs is adopted, what waits for our word dies by itself, what ended is told as ended.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from emr_studio.runtime import cgroups, trees, wire
from emr_studio.runtime.cgroups import ControlGroups
from emr_studio.runtime.contract import (
    Activity,
    Gateway,
    GitProgress,
    GitWork,
    Observation,
    ProcessSpec,
    RuntimeUnavailable,
    Spec,
    WorkloadKind,
    WorkloadState,
)
from emr_studio.runtime.drivers import Driver, ProcessDriver, StartFailed, append_line, tail
from emr_studio.runtime.processes import is_alive, start_time
from emr_studio.runtime.records import Record, RecordStore, safe_id
from emr_studio.runtime.watching import ExitWatcher
from emr_studio.runtime.workspaces import WorkspaceDriver
from emr_studio.runtime.writers import Writers
from emr_studio.settings import Settings
from emr_studio.storage.versions import FileVersion

log = logging.getLogger(__name__)
_READY_POLL = 0.05
_TAIL_LINES = 20
_LONGEST_LOG = 10_000_000
_HOUSEKEEPING_SECONDS = 5.0
_WATCH_SECONDS = 1.0
_SHUTDOWN_SECONDS = 110.0
_ROUND_SECONDS = 20.0
Changed = Callable[[str], None]


class Host:
    """Fulfils `Runtime` for this machine. Thread safe; a thread of its own takes each longer step."""

    def __init__(self, settings: Settings, workspaces: WorkspaceDriver | None = None) -> None:
        self._store = RecordStore(settings.agent_dir)
        self.workspaces = workspaces or WorkspaceDriver(settings)
        self._writers = Writers(settings.clusters_dir, settings.disk_reserve_mb * 1024**2)
        self._drivers: dict[str, Driver] = {
            WorkloadKind.WORKSPACE.value: self.workspaces,
            WorkloadKind.PROCESS.value: ProcessDriver(self._writers.why),
        }
        self._groups = ControlGroups(f"emr-studio-{safe_id(str(settings.data_dir.resolve()))[-24:]}")
        self._records: dict[str, Record] = {}
        self._spawned: dict[str, threading.Event] = {}
        self._winding: set[int] = set()
        self._condition = threading.Condition()
        self._watcher = ExitWatcher()
        self._keepers: list[threading.Thread] = []
        self._closing = False
        self._listeners: list[Changed] = []

    def open(self) -> None:
        """Take over what runs, start what helps."""
        self.workspaces.open()
        for record in self._store.load():
            self._records[record.workload_id] = record
            if record.active:
                self._adopt(record)
        self._keepers = [self._in_thread(self._keep_house), self._in_thread(self._keep_watch)]

    def on_change(self, listener: Changed) -> None:
        """Call `listener` with a workload id after each change of state."""
        self._listeners.append(listener)

    # The contract.
    def launch(self, spec: Spec) -> None:
        with self._condition:
            if self._closing:
                raise RuntimeUnavailable("the host agent is shutting down")
            old = self._records.get(spec.workload_id)
            if old is not None and old.active:
                return
            record = Record(wire.dump_spec(spec), secret=secrets.token_urlsafe(24), log_path=self._log_path(spec))
            self._records[spec.workload_id] = record
            self._begin(record)

    def observe(self, workload_id: str) -> Observation:
        record = self._records.get(workload_id)
        if record is None:
            return Observation(workload_id, "", WorkloadState.ABSENT)
        lines = tuple(tail(record.log_path, _TAIL_LINES)) if record.state is WorkloadState.EXITED else ()
        return record.observation(lines)

    def wait(self, workload_id: str, leave: WorkloadState, timeout: float) -> Observation:
        with self._condition:
            self._condition.wait_for(lambda: self._state(workload_id) is not leave, timeout)
        return self.observe(workload_id)

    def stop(self, workload_id: str, grace_seconds: float = 10.0) -> None:
        with self._condition:
            record = self._records.get(workload_id)
            if record is None or not record.state.is_going:
                return
            record.grace_seconds = grace_seconds
            self._change(record, WorkloadState.STOPPING)
        self._in_thread(self._end, record)

    def forget(self, workload_id: str) -> None:
        with self._condition:
            record = self._records.get(workload_id)
            if record is None or record.active:
                return  # nothing to tell: a controller that forgets at each turn would be woken for ever
            del self._records[workload_id]
            self._store.delete(workload_id)
        self._tell(workload_id)

    def list(self) -> list[Observation]:
        return [self.observe(workload_id) for workload_id in sorted(self._records)]

    def logs(self, workload_id: str, lines: int = 50) -> builtins.list[str]:
        record = self._records.get(workload_id)
        return tail(record.log_path, lines) if record else []

    def set_gateway(self, workload_id: str, gateway: Gateway | None) -> None:
        record = self._records.get(workload_id)
        if record is None or not record.active:
            return
        if wire.dump_gateway(gateway) != record.gateway:
            self._driver(record).release(record, gateway)
            self._store.save(record)

    def set_encryption(self, workload_id: str, kms_key_id: str) -> None:
        record = self._records.get(workload_id)
        if record is not None and record.active:
            self._driver(record).set_encryption(record, kms_key_id)
            self._store.save(record)

    def activity(self, workload_id: str) -> Activity | None:
        record = self._records.get(workload_id)
        running = record is not None and record.state is WorkloadState.RUNNING
        return self._driver(record).activity(record) if record is not None and running else None

    def git(self, workload_id: str, work: GitWork) -> GitProgress | None:
        return self.workspaces.git(self._running_workspace(workload_id), work)

    def flush(self, workload_id: str) -> None:
        record = self._records.get(workload_id)
        if record is not None and record.active:
            self._driver(record).flush(record)

    def versions(self, workload_id: str, path: str) -> builtins.list[FileVersion]:
        return self.workspaces.versions(self._running_workspace(workload_id), path)

    def version(self, workload_id: str, path: str, version_id: str) -> bytes:
        return self.workspaces.version(self._running_workspace(workload_id), path, version_id)

    def _running_workspace(self, workload_id: str) -> Record:
        record = self._records.get(workload_id)
        if record is None or not record.active or record.typed_spec().kind is not WorkloadKind.WORKSPACE:
            raise RuntimeUnavailable("The Workspace does not run.")
        return record

    def shutdown(self, keep: bool) -> None:
        """Nothing is launched any more. Without `keep`, all workloads are stopped, the last changes
        of Workspaces saved, and the helpers ended; with it, Workspaces are saved and go on."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        for record in list(self._records.values()):
            if not record.active:
                continue
            if keep:
                with contextlib.suppress(RuntimeUnavailable):
                    self.flush(record.workload_id)
            else:
                self.stop(record.workload_id)
        if not keep:
            with self._condition:
                self._condition.wait_for(
                    lambda: not any(record.active for record in self._records.values()), _SHUTDOWN_SECONDS
                )
        # One that is in the middle of its round would start the helpers again.
        for keeper in self._keepers:
            keeper.join(_ROUND_SECONDS)
        self.workspaces.close(keep)

    # A life.
    def _begin(self, record: Record) -> None:
        self._spawned[record.workload_id] = threading.Event()
        self._store.save(record)
        self._in_thread(self._start, record)

    def _start(self, record: Record) -> None:
        try:
            self._spawn(record)
        except StartFailed as error:
            self._ended(record, 1, str(error), error.cause)
            return
        except Exception as error:
            log.exception("workload %s could not be started", record.workload_id)
            self._ended(record, 1, f"the host agent failed: {error}")
            return
        finally:
            self._spawned[record.workload_id].set()
        self._await_ready(record)

    def _spawn(self, record: Record) -> None:
        driver = self._driver(record)
        driver.prepare(record, lambda phrase: self._report(record, phrase))
        if record.state is not WorkloadState.STARTING:
            return
        record.groups = self._groups.create(safe_id(record.workload_id), record.typed_spec().limits)
        self._store.save(record)
        started = driver.spawn(record)
        record.pid, record.started = started.pid, start_time(started.pid) or 0
        record.isolation = started.isolation
        self._store.save(record)
        with contextlib.suppress(OSError):
            started.go()
        self._watch(record)

    def _await_ready(self, record: Record) -> None:
        driver = self._driver(record)
        while record.state is WorkloadState.STARTING and is_alive(record.pid, record.started):
            if driver.ready(record):
                self._run(record)
                return
            time.sleep(_READY_POLL)

    def _run(self, record: Record) -> None:
        with self._condition:
            if record.state is not WorkloadState.STARTING:
                return
            record.address = self._driver(record).address(record)
            self._change(record, WorkloadState.RUNNING)
        self._driver(record).resume(record)

    def _watch(self, record: Record) -> None:
        def ended() -> None:
            self._in_thread(self._wind_up, record)

        self._watcher.watch(record.pid, record.started, ended)

    def _end(self, record: Record) -> None:
        """Stop: wait for a start that is under way to come to its point, then end the whole tree."""
        self._spawned[record.workload_id].wait()
        if record.pid == 0:
            self._wind_up(record)
            return
        trees.end(record.root, record.grace_seconds)
        self._wind_up(record)

    def _wind_up(self, record: Record) -> None:
        """Its first process is gone: nothing of it may stay. Once, whoever calls first."""
        with self._condition:
            if id(record) in self._winding or not record.active:
                return
            self._winding.add(id(record))
            wanted = record.state is WorkloadState.STOPPING
            if not wanted:
                self._change(record, WorkloadState.STOPPING)
        self._spawned[record.workload_id].wait()
        code = self._driver(record).exit_code(record) if record.pid else None
        cause, why = ("", "") if wanted else self._driver(record).explain(record)
        left = "" if trees.kill(record.root) else "some of its processes stay"
        cgroups.remove(record.groups)
        unsaved = self._put_away(record)
        reasons = ["" if wanted else why or _describe(code), left, unsaved]
        self._ended(record, code, ". ".join(reason for reason in reasons if reason), cause)

    def _put_away(self, record: Record) -> str:
        """Whatever fails there, the workload has ended, and nobody may take its files for saved."""
        try:
            return self._driver(record).wind_up(record)
        except Exception as error:
            log.exception("what workload %s used could not be put away", record.workload_id)
            return f"S3 does not have the last changes (they are kept on this host): the host agent failed: {error}"

    def _ended(self, record: Record, code: int | None, reason: str, cause: str = "") -> None:
        with self._condition:
            record.exit_code, record.reason, record.cause, record.address = code, reason, cause, ""
            self._change(record, WorkloadState.EXITED)
            self._winding.discard(id(record))

    def _adopt(self, record: Record) -> None:
        event = self._spawned[record.workload_id] = threading.Event()
        if record.pid == 0:
            if record.state is WorkloadState.STARTING:
                self._in_thread(self._start, record)
            else:
                event.set()
                self._in_thread(self._wind_up, record)
            return
        event.set()
        if not is_alive(record.pid, record.started):
            self._in_thread(self._wind_up, record)
            return
        if record.state is WorkloadState.STOPPING:
            self._in_thread(self._end, record)
            return
        self._watch(record)
        step = self._await_ready if record.state is WorkloadState.STARTING else self._driver(record).resume
        self._in_thread(step, record)

    # Small things.
    def _driver(self, record: Record) -> Driver:
        return self._drivers[record.spec["kind"]]

    def _log_path(self, spec: Spec) -> str:
        return spec.log_path if isinstance(spec, ProcessSpec) else str(self.workspaces.log_path(spec.workload_id))

    def _state(self, workload_id: str) -> WorkloadState:
        record = self._records.get(workload_id)
        return record.state if record else WorkloadState.ABSENT

    def _change(self, record: Record, state: WorkloadState) -> None:
        """Under the lock: save, then tell."""
        record.state = state
        self._store.save(record)
        self._condition.notify_all()
        self._tell(record.workload_id)

    def _report(self, record: Record, phrase: str) -> None:
        record.progress = phrase

    def _tell(self, workload_id: str) -> None:
        for listener in self._listeners:
            listener(workload_id)

    def _in_thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        return thread

    def _keep_house(self) -> None:
        """Keep logs short, and the helpers running."""
        while not self._closing:
            for record in list(self._records.values()):
                if record.active:
                    with _going_on(f"the log of {record.workload_id} could not be kept short"):
                        keep_short(Path(record.log_path))
            with _going_on("what helps could not be started"):
                self.workspaces.open()
            with self._condition:
                self._condition.wait_for(lambda: self._closing, _HOUSEKEEPING_SECONDS)

    def _keep_watch(self) -> None:
        """Look what presses the Workspaces; the controllers are told of what is new."""
        while not self._closing:
            for record in list(self._records.values()):
                if record.state is WorkloadState.RUNNING and record.typed_spec().kind is WorkloadKind.WORKSPACE:
                    with _going_on(f"{record.workload_id} could not be looked at"):
                        self._look(record)
            with _going_on("what fills the disk could not be looked at"):
                self._look_at_writers()
            with self._condition:
                self._condition.wait_for(lambda: self._closing, _WATCH_SECONDS)

    def _programs(self) -> builtins.list[trees.Root]:
        active = [record for record in list(self._records.values()) if record.active and record.pid]
        return [record.root for record in active if record.typed_spec().kind is WorkloadKind.PROCESS]

    def _look_at_writers(self) -> None:
        """Keep the last of the disk from what clusters' programs write."""
        for ended in self._writers.look(self._programs):
            record = self._records.get(ended.workload_id)
            if record is not None:  # its controller may have forgotten it meanwhile
                append_line(Path(record.log_path), ended.message)

    def _look(self, record: Record) -> None:
        notice = self.workspaces.look(record)
        with self._condition:
            if record.state is WorkloadState.RUNNING and (record.cause, record.reason) != notice:
                record.cause, record.reason = notice
                self._change(record, record.state)


@contextlib.contextmanager
def _going_on(failed: str) -> Iterator[None]:
    """Whatever fails within is told in the log, and ends no watch."""
    try:
        yield
    except OSError as error:
        log.warning("%s: %s", failed, error)
    except Exception:
        log.exception("%s", failed)


def keep_short(path: Path, limit: int = _LONGEST_LOG) -> None:
    """Copy a long log aside and empty it: its writers append, so they go on at its new end."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with os.fdopen(handle, "r+b") as file:
        if os.fstat(handle).st_size <= limit:
            return
        aside = path.with_name(path.name + ".1")
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
            copy = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(copy, "wb") as target:
                shutil.copyfileobj(file, target)
        file.truncate(0)


def _describe(code: int | None) -> str:
    if code is None:
        return "ended while nobody was looking"
    if code < 0:
        return f"was killed by signal {-code}"
    return f"ended with exit status {code}"
