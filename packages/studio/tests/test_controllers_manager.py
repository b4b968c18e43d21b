"""The shared loop: waking, polling, leases, backoff, orphans."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emr_studio.clock import FakeClock, SystemClock
from emr_studio.controllers import (
    WORKLOAD,
    ControllerManager,
    OrphanSweep,
    SocketWaker,
    backoff_seconds,
)
from emr_studio.db import Base, Database
from emr_studio.leases import LEASE_SECONDS, Leases
from emr_studio.runtime.contract import ProcessSpec, WorkloadState
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.settings import Settings

KEY = ("thing", "t-1")


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a condition, fail after `seconds`."""
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        tick.wait(0.005)


@pytest.fixture
def settings() -> Iterator[Settings]:
    # Short: a unix socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory() as folder:
        yield Settings(data_dir=Path(folder))


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


class Things:
    """A reconciler that does what the test says."""

    kind = "thing"

    def __init__(self, act: Callable[[str], float | None] = lambda _id: None, pending: list[str] | None = None) -> None:
        self.seen: list[str] = []
        self._act = act
        self._pending = pending or []

    def pending(self) -> list[str]:
        return list(self._pending)

    def reconcile(self, resource_id: str) -> float | None:
        self.seen.append(resource_id)
        return self._act(resource_id)


def manager(things: Things, database: Database, settings: Settings, **options: float) -> ControllerManager:
    poll = options.get("poll_seconds", 600.0)
    return ControllerManager([things], database, SystemClock(), settings.controller_socket, 4, poll_seconds=poll)


def test_a_datagram_wakes_at_once(database: Database, settings: Settings) -> None:
    things = Things()
    running = manager(things, database, settings)
    running.start()
    SocketWaker(settings).wake("thing", "t-1")
    until(lambda: things.seen == ["t-1"])
    running.stop()
    assert not settings.controller_socket.exists()


def test_a_workloads_wake_reaches_its_owner(database: Database, settings: Settings) -> None:
    workspaces, clusters = Things(), Things()
    workspaces.kind, clusters.kind = "workspace", "cluster"
    running = ControllerManager([workspaces, clusters], database, SystemClock(), settings.controller_socket)
    running.start()
    waker = SocketWaker(settings)
    for workload_id in ("e-1", "j-1/ci-1/master", "x-1"):
        waker.wake(WORKLOAD, workload_id)
    until(lambda: workspaces.seen == ["e-1"] and clusters.seen == ["j-1"])
    running.stop()


def test_waking_nobody_is_no_error(settings: Settings) -> None:
    SocketWaker(settings).wake("thing", "t-1")


def test_rubbish_on_the_socket_is_ignored(database: Database, settings: Settings) -> None:
    things = Things()
    running = manager(things, database, settings)
    running.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for rubbish in (b"", b"\xff", b"[]", b"3", b'{"kind": "thing"}', json.dumps({"kind": "x", "id": "y"}).encode()):
            sender.sendto(rubbish, str(settings.controller_socket))
    SocketWaker(settings).wake("thing", "t-2")
    until(lambda: things.seen == ["t-2"])
    running.stop()


def test_polling_finds_what_no_wake_told(database: Database, settings: Settings) -> None:
    things = Things(pending=["t-1", "t-2"])
    running = manager(things, database, settings, poll_seconds=0.05)
    running.start()
    until(lambda: {"t-1", "t-2"} <= set(things.seen))
    running.stop()


def test_steps_follow_at_once_until_nothing_is_left(database: Database, settings: Settings) -> None:
    answers = iter([0.0, 0.0, 0.01, None])
    things = Things(lambda _id: next(answers))
    running = manager(things, database, settings)
    running.start()
    running.wake("thing", "t-1")
    until(lambda: len(things.seen) == 4)
    running.stop()
    assert len(things.seen) == 4


def test_an_exception_is_tried_again(database: Database, settings: Settings) -> None:
    def fail_twice(_id: str) -> float | None:
        if len(things.seen) < 3:
            raise RuntimeError("no")
        return None

    things = Things(fail_twice)
    running = manager(things, database, settings)
    running.start()
    running.wake("thing", "t-1")
    until(lambda: len(things.seen) == 3)
    running.stop()


def test_backoff_is_jittered_and_bounded() -> None:
    assert all(0.125 <= backoff_seconds(1) <= 0.25 for _ in range(50))
    assert all(15 <= backoff_seconds(count) <= 30 for count in (8, 100, 10_000))
    assert len({backoff_seconds(3) for _ in range(20)}) > 1


def test_a_wake_during_the_work_is_not_lost(database: Database, settings: Settings) -> None:
    started, go_on = threading.Event(), threading.Event()

    def act(_id: str) -> float | None:
        started.set()
        go_on.wait(120)
        return None

    things = Things(act)
    running = manager(things, database, settings)
    running.start()
    running.wake("thing", "t-1")
    assert started.wait(120)
    running.wake("thing", "t-1")
    assert things.seen == ["t-1"]
    go_on.set()
    until(lambda: things.seen == ["t-1", "t-1"])
    running.stop()


def test_two_managers_never_act_at_once(database: Database) -> None:
    inside, worst, turns = [0], [0], [0]
    lock = threading.Lock()

    def act(_id: str) -> float | None:
        with lock:
            inside[0] += 1
            worst[0] = max(worst[0], inside[0])
            turns[0] += 1
        threading.Event().wait(0.002)
        with lock:
            inside[0] -= 1
        return 0.0

    with tempfile.TemporaryDirectory() as folder:
        both = [
            ControllerManager([Things(act)], database, SystemClock(), Path(folder) / f"{n}.sock", 4, poll_seconds=600)
            for n in range(2)
        ]
        for one in both:
            one.start()
            one.wake(*KEY)
        until(lambda: turns[0] >= 60)
        for one in both:
            one.stop()
    assert worst[0] == 1


def test_a_lease_is_exclusive_until_it_ends(database: Database) -> None:
    clock = FakeClock()
    first, second = Leases(database, clock, "first"), Leases(database, clock, "second")
    assert first.acquire(KEY)
    assert first.acquire(KEY)
    assert not second.acquire(KEY)
    clock.advance(LEASE_SECONDS - 1)
    first.renew([KEY])
    clock.advance(LEASE_SECONDS - 1)
    assert not second.acquire(KEY)
    clock.advance(2)
    assert second.acquire(KEY)
    first.renew([KEY])
    first.release(KEY)
    assert not first.acquire(KEY)
    second.release(KEY)
    assert first.acquire(KEY)


def test_a_lease_of_a_killed_process_ends_by_itself(database: Database, settings: Settings) -> None:
    clock = FakeClock()
    assert Leases(database, clock, "killed").acquire(KEY)
    things = Things()
    manager = ControllerManager([things], database, clock, settings.controller_socket)
    assert manager.work(KEY) is not None
    assert things.seen == []
    clock.advance(LEASE_SECONDS + 1)
    assert manager.work(KEY) is None
    assert things.seen == ["t-1"]


def test_a_lease_of_a_process_that_is_gone_is_taken_over_at_once(database: Database) -> None:
    code = "from emr_studio.leases import Leases; print(Leases(None, None).owner, end='')"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    clock = FakeClock()
    mine = Leases(database, clock)
    assert Leases(database, clock, gone).acquire(KEY)
    assert mine.acquire(KEY)
    # One that runs, on this machine or perhaps on another, is left alone.
    assert not Leases(database, clock).acquire(KEY)
    mine.release(KEY)
    elsewhere = "another-boot/" + gone.partition("/")[2]
    assert Leases(database, clock, elsewhere).acquire(KEY)
    assert not mine.acquire(KEY)


class Book:
    """Owns `thing/…`; knows one."""

    def owner_exists(self, owner: str) -> bool | None:
        return owner == "thing/known" if owner.startswith("thing/") else None


def test_orphans_are_stopped_and_nothing_else() -> None:
    runtime = InProcessRuntime(instant=True)
    for owner in ("thing/known", "thing/gone", "stranger/x"):
        runtime.launch(ProcessSpec(owner + "/w", owner, ("true",), "/tmp", "/tmp/log"))
    sweep = OrphanSweep(runtime, [Book()])
    assert sweep.pending() == ["sweep"]
    assert sweep.reconcile("sweep") is None
    assert sweep.pending() == []
    states = {w: runtime.state(w) for w in runtime.workloads}
    assert states == {
        "thing/known/w": WorkloadState.RUNNING,
        "thing/gone/w": WorkloadState.EXITED,
        "stranger/x/w": WorkloadState.RUNNING,
    }
