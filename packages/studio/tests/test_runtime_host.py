"""The host's life cycle with a Workspace driver that fails, dawdles or vanishes where a test says."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.runtime import host as host_module
from emr_studio.runtime.contract import Gateway, Observation, RuntimeUnavailable, WorkloadState, WorkspaceSpec
from emr_studio.runtime.drivers import Report, Started, StartFailed
from emr_studio.runtime.host import Host
from emr_studio.runtime.records import Record, RecordStore
from emr_studio.runtime.workspaces import WorkspaceDriver
from emr_studio.runtime.writers import Ended, Writers
from emr_studio.settings import Settings
from tests.support.agent_rig import until

SPEC = WorkspaceSpec("e-1", "e-1", "n", "", "", "r", "", "", "pem", 0, "http://o", "n.ipynb")


class Driver(WorkspaceDriver):
    """Runs `sleep` in place of a Workspace."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.problem: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.unsaved = ""
        self.fault: Exception | None = None
        self.children: list[subprocess.Popen[bytes]] = []
        self.gateways: list[Gateway | None] = []

    def open(self) -> None:
        """No zygote, no relay."""

    def close(self, keep: bool) -> None:
        """Nothing was opened."""

    def prepare(self, record: Record, report: Report) -> None:
        report("restoring 1 of 2 files")
        assert self.hold.wait(120)
        if self.problem:
            raise self.problem

    def spawn(self, record: Record) -> Started:
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        self.children.append(child)
        return Started(child.pid, ["pid"], lambda: None)

    def ready(self, record: Record) -> bool:
        return True

    def resume(self, record: Record) -> None:
        """No mirror."""

    def exit_code(self, record: Record) -> int | None:
        return self.children[-1].wait() if self.children else None

    def wind_up(self, record: Record) -> str:
        if self.fault:
            raise self.fault
        return self.unsaved

    def look(self, record: Record) -> tuple[str, str]:
        return "", ""

    def release(self, record: Record, gateway: Gateway | None) -> None:
        self.gateways.append(gateway)
        record.gateway = {**vars(gateway)} if gateway else None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    settings.logs_dir.mkdir()
    return settings


@pytest.fixture
def driver(settings: Settings) -> Iterator[Driver]:
    driver = Driver(settings)
    yield driver
    driver.hold.set()
    for child in driver.children:
        child.kill()
        child.wait()


@contextlib.contextmanager
def opened(settings: Settings, driver: Driver) -> Iterator[Host]:
    host = Host(settings, driver)
    host.open()
    try:
        yield host
    finally:
        # Its threads write into a folder that goes with the test.
        driver.hold.set()
        host.shutdown(keep=False)


@pytest.fixture
def host(settings: Settings, driver: Driver) -> Iterator[Host]:
    with opened(settings, driver) as host:
        yield host


def leaves(host: Host, state: WorkloadState) -> Observation:
    return host.wait("e-1", state, 120)


def test_a_life(host: Host, driver: Driver) -> None:
    told: list[Any] = []
    host.on_change(told.append)
    host.launch(SPEC)
    seen = leaves(host, WorkloadState.STARTING)
    assert (seen.state, seen.pid) == (WorkloadState.RUNNING, driver.children[0].pid)
    gateway = Gateway("h:1", "t", "j-1")
    host.set_gateway("e-1", gateway)
    host.set_gateway("e-1", gateway)
    host.set_gateway("e-1", None)
    assert driver.gateways == [gateway, None]
    host.stop("e-1")
    host.stop("e-1")
    assert leaves(host, WorkloadState.STOPPING).state is WorkloadState.EXITED
    host.forget("e-1")
    assert host.observe("e-1").state is WorkloadState.ABSENT
    assert set(told) == {"e-1"}
    # A controller that forgets what is gone in each of its turns is not woken by that for another.
    told.clear()
    host.forget("e-1")
    assert told == []


def test_a_failed_start_has_its_reason(host: Host, driver: Driver) -> None:
    driver.problem = StartFailed("S3 does not answer")
    host.launch(SPEC)
    seen = leaves(host, WorkloadState.STARTING)
    assert (seen.state, seen.exit_code, seen.reason) == (WorkloadState.EXITED, 1, "S3 does not answer")
    driver.problem = None
    host.launch(SPEC)
    assert leaves(host, WorkloadState.STARTING).state is WorkloadState.RUNNING


def test_even_an_unforeseen_failure_ends_the_start(host: Host, driver: Driver) -> None:
    driver.problem = RuntimeError("a bug")
    host.launch(SPEC)
    assert "a bug" in leaves(host, WorkloadState.STARTING).reason


def test_progress_is_told_and_a_stop_during_the_start_starts_nothing(host: Host, driver: Driver) -> None:
    driver.hold.clear()
    host.launch(SPEC)
    while not (seen := host.observe("e-1")).progress:
        assert seen.state is WorkloadState.STARTING
    assert seen.progress == "restoring 1 of 2 files"
    host.stop("e-1")
    driver.hold.set()
    assert leaves(host, WorkloadState.STOPPING).state is WorkloadState.EXITED
    assert driver.children == []


def test_what_could_not_be_saved_is_told(host: Host, driver: Driver) -> None:
    host.launch(SPEC)
    leaves(host, WorkloadState.STARTING)
    driver.unsaved = "S3 does not have the last changes"
    host.stop("e-1")
    assert leaves(host, WorkloadState.STOPPING).reason == driver.unsaved


def test_even_an_unforeseen_failure_at_the_end_ends_it_and_counts_as_unsaved(host: Host, driver: Driver) -> None:
    host.launch(SPEC)
    leaves(host, WorkloadState.STARTING)
    driver.fault = RuntimeError("a bug")
    host.stop("e-1")
    seen = leaves(host, WorkloadState.STOPPING)
    assert seen.state is WorkloadState.EXITED
    assert seen.reason.startswith("S3 does not have the last changes")
    assert seen.reason.endswith("a bug")


def test_an_agent_killed_before_it_spawned_goes_on(host: Host, settings: Settings, driver: Driver) -> None:
    driver.hold.clear()
    host.launch(SPEC)
    second = Driver(settings)
    with opened(settings, second) as again:
        assert again.wait("e-1", WorkloadState.STARTING, 120).pid == second.children[0].pid
        second.children[0].kill()
        assert again.wait("e-1", WorkloadState.RUNNING, 120).state is not WorkloadState.RUNNING
    for child in second.children:
        child.wait()


def test_a_dead_one_is_told_as_ended_after_a_restart(settings: Settings, driver: Driver) -> None:
    from emr_studio.runtime import wire

    gone = Record(wire.dump_spec(SPEC), WorkloadState.RUNNING, pid=2**22 - 1, started=1)
    RecordStore(settings.agent_dir).save(gone)
    with opened(settings, driver) as host:
        host.wait("e-1", WorkloadState.RUNNING, 120)
        assert leaves(host, WorkloadState.STOPPING).state is WorkloadState.EXITED


def test_after_shutdown_nothing_is_launched(host: Host) -> None:
    host.launch(SPEC)
    leaves(host, WorkloadState.STARTING)
    host.shutdown(keep=False)
    assert host.observe("e-1").state is WorkloadState.EXITED
    with pytest.raises(RuntimeUnavailable):
        host.launch(SPEC)


class Helped(Driver):
    """Notes when its helpers are started and ended; the keeper's start of them takes as long as a test says."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.calls: list[str] = []
        self.starting = threading.Event()

    def open(self) -> None:
        if self.calls:
            self.starting.set()
            assert self.hold.wait(120)
        self.calls.append("open")

    def close(self, keep: bool) -> None:
        self.calls.append("close")


def test_no_helper_is_started_after_a_shutdown(settings: Settings) -> None:
    driver = Helped(settings)
    driver.hold.clear()
    with opened(settings, driver) as host:
        assert driver.starting.wait(120)
        ending = threading.Thread(target=host.shutdown, args=(True,))
        ending.start()
        until(lambda: host._closing)
        ending.join(0.1)  # an end that does not wait comes first
        driver.hold.set()
        ending.join(120)
    assert driver.calls == ["open", "open", "close", "close"]


class Faulty(Driver):
    """Nothing of it can be looked at, and its helpers do not start again."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.looks = self.opens = 0

    def open(self) -> None:
        self.opens += 1
        if self.opens > 1:
            raise RuntimeError("a bug")

    def look(self, record: Record) -> tuple[str, str]:
        self.looks += 1
        raise RuntimeError("a bug") if self.looks == 1 else OSError("no room to note it")


def test_no_failure_ends_a_watch(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, asked = Faulty(settings), []

    def look(_writers: Writers, _programs: object) -> list[Ended]:
        asked.append(driver.looks)
        return [Ended("j-1/forgotten", "it was ended")]

    monkeypatch.setattr(Writers, "look", look)
    monkeypatch.setattr(host_module, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(host_module, "_HOUSEKEEPING_SECONDS", 0.01)
    try:
        with opened(settings, driver) as host:
            host.launch(SPEC)
            until(lambda: driver.looks >= 3 and driver.opens >= 3 and asked[-1] >= 3)
    finally:
        for child in driver.children:
            child.kill()
            child.wait()
