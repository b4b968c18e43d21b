"""Cancelling the jobs of a driver whose connections an interrupt has broken."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from emr_studio_cluster import cancelling, progress
from emr_studio_cluster.background import Background


class ConnectionBroken(Exception):
    """As py4j says it."""


@dataclass
class PlayContext:
    """A SparkContext whose main thread has a broken connection, and whose other threads' first call fails, too."""

    version: str = "4.1.4"
    told: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=lambda: {threading.current_thread().name, "cancel"})

    def _call(self, what: str) -> None:
        name = threading.current_thread().name
        if name in self.broken:
            self.broken.discard(name)
            raise ConnectionBroken(what)
        self.told.append(what)

    def cancelAllJobs(self) -> None:
        self._call("all")

    def cancelJobGroup(self, group: str) -> None:
        self._call(group)

    @property
    def _jsc(self) -> Any:
        outer = self

        class Java:
            def version(self) -> None:
                outer._call("version")

            def sc(self) -> Any:
                return self

            def cancelJobGroupAndFutureJobs(self, group: str) -> None:
                outer._call(f"{group} for good")

        return Java()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "_AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(cancelling, "_LATE_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("version", "for_good", "told"),
    [
        ("4.1.4", True, ["cell-1 for good", "all"]),
        ("4.1.4", False, ["cell-1", "all"]),
        ("3.5.7", True, ["cell-1", "all"]),
    ],
)
def test_the_driver_is_told_by_another_thread_until_it_has_heard(version: str, for_good: bool, told: list[str]) -> None:
    context = PlayContext(version)
    cancelling.cancel_jobs(context, "cell-1", for_good=for_good)
    assert context.told == told
    # The next cell's first call is not the one that fails.
    context.cancelAllJobs()


def test_without_a_group_all_jobs_are_cancelled() -> None:
    context = PlayContext()
    cancelling.cancel_jobs(context)
    assert context.told == ["all"]


def test_a_driver_that_answers_late_is_told_of_the_group_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "_TOLD_SECONDS", 0.001)
    answers, done = threading.Event(), threading.Event()

    class Slow(PlayContext):
        def _call(self, what: str) -> None:
            if threading.current_thread().name == "cancel":
                answers.wait(60)
            super()._call(what)
            if what == "cell-1 for good":
                done.set()

    context = Slow(broken=set())
    cancelling.cancel_jobs(context, "cell-1")
    answers.set()
    assert done.wait(60)
    for thread in threading.enumerate():
        if thread.name == "cancel":
            thread.join(60)
    assert context.told == ["version", "cell-1 for good"]


def test_an_interrupt_is_known_though_an_error_took_its_place() -> None:
    broken = ConnectionBroken("closed")
    broken.__context__ = KeyboardInterrupt()
    assert cancelling.was_interrupted(KeyboardInterrupt())
    assert cancelling.was_interrupted(broken)
    assert progress.reason_of(broken) == progress.INTERRUPTED
    circle, other = ValueError("one"), ValueError("other")
    circle.__context__, other.__context__ = other, circle
    assert not cancelling.was_interrupted(circle)
    assert not cancelling.was_interrupted(None)


def test_a_connect_session_is_interrupted_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt that comes again hits the main thread, and a server that hangs keeps that not for long."""
    told, over = list[str](), threading.Event()

    class PlaySession:
        def interruptAll(self) -> None:
            told.append(threading.current_thread().name)
            assert over.wait(60)
            raise ConnectionBroken("the server is away")

    waited = Background.wait

    def again(self: Any, seconds: float | None = None) -> bool:
        over.set()
        waited(self, 60)
        raise KeyboardInterrupt

    monkeypatch.setattr(Background, "wait", again)
    with pytest.raises(KeyboardInterrupt):
        cancelling.interrupt_session(PlaySession())
    assert told == ["cancel"]
