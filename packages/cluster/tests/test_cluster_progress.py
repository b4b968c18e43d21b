"""Spark's progress below a cell: when it appears, what it says, what is left of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from emr_studio_cluster.background import Background
from emr_studio_cluster.progress import (
    DONE,
    INTERRUPTED,
    MIME,
    RUNNING,
    DriverWatch,
    Queries,
    Reporter,
    Seen,
    Stage,
    is_at_work,
    reason_of,
)


class SparkError(Exception):
    """As if it were pyspark's."""

    __module__ = "pyspark.errors"


HALF = Seen(0, 1, (Stage(3, DONE, 4, 4), Stage(4, RUNNING, 10, 5)))


@dataclass
class Page:
    """What a notebook shows of one cell."""

    now: float = 0.0
    displays: dict[str, Any] = field(default_factory=dict)
    messages: int = 0
    reporter: Reporter = field(default_factory=Reporter)

    def __post_init__(self) -> None:
        self.reporter = Reporter("query", "live", lambda: self.now)
        self.reporter.begin(self.publish)

    def publish(self, data: dict[str, Any], display: str, update: bool) -> None:
        assert update == (display in self.displays)
        self.displays[display] = data
        self.messages += 1

    @property
    def line(self) -> str:
        [data] = self.displays.values()
        return str(data["text/plain"])

    @property
    def told(self) -> dict[str, Any]:
        [data] = self.displays.values()
        found: dict[str, Any] = data[MIME]
        return found


def test_what_is_quick_shows_nothing() -> None:
    page = Page()
    page.now = 0.4
    page.reporter.see(HALF)
    page.now = 0.6
    page.reporter.see(Seen())
    page.reporter.end()
    assert page.displays == {}


def test_one_line_is_left() -> None:
    page = Page()
    page.now = 1.2
    page.reporter.see(HALF)
    assert page.line == "Spark is at work: 0 of 1 query, 1 of 2 stages, 9 of 14 tasks, 1 s"
    assert [stage["id"] for stage in page.told["shown"]] == [4]
    page.now = 4
    page.reporter.end()
    assert page.line == "Spark: 1 query, 2 stages, 14 tasks, 4 s"
    assert (page.told["shown"], page.told["state"], page.told["ui"]) == ([], "done", "live")
    page.reporter.see(HALF)
    assert page.told["state"] == "done"


def test_it_does_not_flicker() -> None:
    page = Page()
    page.now = 1.0
    page.reporter.see(HALF)
    page.reporter.see(Seen(0, 1, HALF.stages[:1]))
    page.now = 1.4
    page.reporter.see(Seen(0, 1, HALF.stages[:1]))
    page.now = 9.0
    page.reporter.see(HALF)
    assert page.messages == 1
    page.reporter.see(Seen(1, 2, HALF.stages))
    assert page.messages == 2


def test_a_failure_keeps_its_stages_and_reason() -> None:
    page = Page()
    page.now = 1.0
    page.reporter.see(HALF)
    page.reporter.end(reason_of(SparkError("Task 3 <failed>\nno pears\n\tat java.lang.Thread\nJVM stacktrace:\nmore")))
    assert page.line.startswith("Spark failed: 1 query, 2 stages")
    assert page.told["reason"] == "Task 3 <failed>\nno pears"
    assert [(stage["id"], stage["state"]) for stage in page.told["shown"]] == [(4, "failed")]


def test_an_interrupt_after_sparks_work_is_no_failure() -> None:
    page = Page()
    page.now = 1.0
    page.reporter.see(HALF)
    page.now = 3.0
    page.reporter.see(Seen(1, 1, HALF.stages[:1]))
    page.reporter.end(reason_of(KeyboardInterrupt()))
    assert page.told["state"] == "done"


def test_each_cell_has_a_display_of_its_own() -> None:
    page = Page()
    page.now = 1.0
    page.reporter.see(HALF)
    page.reporter.end()
    page.reporter.begin(page.publish)
    page.now = 3.0
    page.reporter.see(HALF)
    assert len(page.displays) == 2
    assert [data[MIME]["id"] for data in page.displays.values()] == [*page.displays]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, None),
        (KeyboardInterrupt(), "Interrupted."),
        (KeyError("a cell's own"), None),
        (SparkError(), "SparkError"),
        (SparkError("x" * 900 + "y" * 300), "x" * 300 + "\n…\n" + "y" * 300),
    ],
)
def test_reasons(error: BaseException | None, reason: str | None) -> None:
    assert reason_of(error) == reason


def test_a_plan_that_is_not_taken_never_was_at_work() -> None:
    refused = type("AnalysisException", (SparkError,), {})()
    assert [is_at_work(error) for error in (refused, SparkError(), None)] == [False, True, True]


def connect_stage(number: int, tasks: int, completed: int) -> SimpleNamespace:
    return SimpleNamespace(stage_id=number, num_tasks=tasks, num_completed_tasks=completed, done=completed == tasks)


def test_queries_of_a_connect_session_add_up() -> None:
    page = Page()
    page.now = 1.0
    queries = Queries(page.reporter)
    queries([connect_stage(1, 4, 4), connect_stage(2, 4, 1)], 3, "a", False)
    assert page.told["tasks"] == [5, 8]
    page.now = 2.0
    queries([connect_stage(1, 4, 4), connect_stage(2, 4, 3)], 0, "a", True)
    assert (page.told["work"], page.told["tasks"]) == ([1, 1], [7, 8])
    page.now = 3.0
    queries([connect_stage(9, 2, 0)], 2, "b", False)
    assert (page.told["work"], page.told["stages"], page.told["tasks"]) == ([1, 2], [2, 3], [8, 10])
    queries([], 0, "a command", True)
    queries.begin()
    page.now = 4.0
    queries([connect_stage(10, 1, 0)], 1, "c", False)
    assert page.told["work"] == [0, 1]


@dataclass
class Tracker:
    """A driver with two jobs, one of which failed in its second stage and skipped its first."""

    def getJobIdsForGroup(self, group: str) -> list[int]:
        return [7] if group == "mine" else []

    def getActiveJobsIds(self) -> list[int]:
        return [8]

    def getJobInfo(self, number: int) -> Any:
        job = {7: ([1, 2], "FAILED"), 8: ([3, 4], "RUNNING")}[number]
        return SimpleNamespace(stageIds=job[0], status=job[1])

    def getStageInfo(self, number: int) -> Any:
        counts = {1: (4, 0, 0, 0), 2: (4, 0, 3, 1), 3: (2, 1, 1, 0)}.get(number)
        if counts is None:
            return None
        names = ("numTasks", "numActiveTasks", "numCompletedTasks", "numFailedTasks")
        return SimpleNamespace(name=f"count at {number}", **dict(zip(names, counts, strict=True)))


def context(tracker: Tracker) -> Any:
    """Spark's own, as far as it is asked."""
    told = SimpleNamespace(isDefined=lambda: True, get=lambda: "Task 0 failed: no pears\n\tat x")
    store = SimpleNamespace(lastStageAttempt=lambda _id: SimpleNamespace(failureReason=lambda: told))
    java = SimpleNamespace(sc=lambda: SimpleNamespace(statusStore=lambda: store))
    return SimpleNamespace(statusTracker=lambda: tracker, _jsc=java)


def test_a_driver_is_looked_at() -> None:
    seen = DriverWatch(context(Tracker()), "mine", Reporter()).look()
    assert (seen.done, seen.work) == (1, 2)
    assert seen.stages == (
        Stage(2, "failed", 4, 3, 1, "count at 2", "Task 0 failed: no pears"),
        Stage(3, "running", 2, 1, 0, "count at 3"),
    )


class SlowDriver(Tracker):
    """One whose answers take `seconds` from when the cell has ended; it plays what `stop` waits for as well."""

    def __init__(self, seconds: float, page: Page) -> None:
        self.seconds = seconds
        self.asked, self.answers = threading.Event(), threading.Event()
        self.watch = DriverWatch(context(self), "mine", page.reporter)
        self.watch.start()
        assert self.watch._watching is not None
        self.watching, self.watch._watching = self.watch._watching, cast(Background, self)
        assert self.asked.wait(60)

    def getJobIdsForGroup(self, group: str) -> list[int]:
        self.asked.set()
        self.answers.wait()
        return super().getJobIdsForGroup(group)

    def wait(self, seconds: float) -> bool:
        if seconds >= self.seconds:
            self.answer()
        return self.watching.wait(0)

    def answer(self) -> None:
        self.answers.set()
        assert self.watching.wait(60)


def test_the_last_look_at_a_slow_driver_is_waited_for() -> None:
    page = Page()
    page.now = 1.0
    SlowDriver(2.0, page).watch.stop()
    page.reporter.end("no pears")
    assert (page.told["shown"][0]["id"], page.told["shown"][0]["reason"]) == (2, "Task 0 failed: no pears")


def test_a_look_that_comes_too_late_is_not_shown_in_the_next_cell() -> None:
    page = Page()
    driver = SlowDriver(600.0, page)
    driver.watch.stop()
    page.reporter.end("no pears")
    page.reporter.begin(page.publish)
    page.now = 1.0
    driver.answer()
    page.reporter.end()
    assert page.displays == {}


def after_one_that_is_counted_as_complete() -> tuple[Page, Queries]:
    """Spark counts a failed task, and its stage, as complete; what comes within half a second is not shown."""
    page = Page()
    page.now = 1.0
    queries = Queries(page.reporter)
    queries([connect_stage(1, 4, 4), connect_stage(2, 4, 3)], 1, "a", False)
    page.now = 1.1
    queries([connect_stage(1, 4, 4), connect_stage(2, 4, 4)], 0, "a", True)
    return page, queries


def test_a_stage_that_failed_though_it_is_counted_as_complete() -> None:
    page, _ = after_one_that_is_counted_as_complete()
    page.reporter.end("no pears")
    assert [(stage["id"], stage["state"]) for stage in page.told["shown"]] == [(2, "failed")]


def test_what_failed_without_a_stage_blames_none() -> None:
    """A plan that Spark does not take, an interrupt after its work, and a later query that never came to a stage."""
    page, _ = after_one_that_is_counted_as_complete()
    page.reporter.end("no such column", at_work=False)
    assert (page.told["state"], page.told["shown"]) == ("failed", [])
    page, _ = after_one_that_is_counted_as_complete()
    page.reporter.end(INTERRUPTED)
    assert (page.told["state"], page.told["shown"]) == ("done", [])
    page, queries = after_one_that_is_counted_as_complete()
    queries([], 0, "b", True)
    page.reporter.end("no pears")
    assert (page.told["state"], page.told["shown"]) == ("failed", [])


def test_a_query_that_fails_keeps_its_last_stage() -> None:
    page = Page()
    page.now = 1.0
    queries = Queries(page.reporter)
    queries([connect_stage(1, 4, 4), connect_stage(2, 4, 3)], 1, "a", False)
    page.now = 2.0
    queries([connect_stage(1, 4, 4), connect_stage(2, 4, 3)], 1, "a", True)
    page.reporter.end(reason_of(SparkError("no pears")))
    assert [(stage["id"], stage["state"], stage["done"]) for stage in page.told["shown"]] == [(2, "failed", 3)]
