"""How far Spark is with what a cell asked for, shown below it while it runs (`lab/src/progress.tsx`).

A cell whose Spark work takes less than `_PATIENCE_SECONDS` shows nothing. Otherwise one display appears, is updated at
most twice a second (of long work less often), and at the cell's end becomes one line: that is what the saved notebook
keeps. The stages that failed stay, with Spark's reason.

    Connect    the server tells the client while a query runs (Spark 4); a query counts as one piece of work
    driver     the driver's own status is looked at: jobs, their stages, reasons of failures
"""

from __future__ import annotations

import html
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from emr_studio_cluster.background import Background
from emr_studio_cluster.cancelling import was_interrupted

MIME = "application/vnd.emr-studio.spark-progress+json"
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
_PATIENCE_SECONDS = 0.5
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0
_LOOK_SECONDS = 0.5
_LAST_SECONDS = 5.0
"""For the last look, which has some 25 calls to the driver: why a cell failed stands in it."""
_SHOWN_STAGES = 5
_LONGEST_REASON = 600
INTERRUPTED = "Interrupted."
_SPARKS = ("pyspark.", "py4j.", "grpc")
"""Modules whose errors are Spark's; a cell may fail for reasons of its own after Spark's work is done."""
_BEFORE_WORK = frozenset({"AnalysisException", "IllegalArgumentException", "ParseException"})
Publish = Callable[[dict[str, Any], str, bool], None]
"""Show data as the display of an id; True: it is there already."""


@dataclass(frozen=True)
class Stage:
    """One stage; `tasks` are all of them."""

    id: int
    state: str
    tasks: int
    done: int
    failed: int = 0
    name: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Seen:
    """What Spark tells of one cell: finished and all pieces of work, and their stages."""

    done: int = 0
    work: int = 0
    stages: tuple[Stage, ...] = ()
    suspect: Stage | None = None
    """The stage that it was if the last piece of work failed, although Spark counts it as complete."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.done == self.work and all(stage.state == DONE for stage in self.stages)


@dataclass
class Reporter:
    """Shows one cell after the other. May be told from any thread."""

    unit: str = "job"
    """What a piece of work is called."""
    ui: str = ""
    """Which of Spark's pages shows it: `live`, `history` or none."""
    clock: Callable[[], float] = time.monotonic
    _publish: Publish | None = None
    _display: str = ""
    _begun: float = 0.0
    _shown: float = 0.0
    _seen: Seen = field(default_factory=Seen)
    _told: Seen = field(default_factory=Seen)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, publish: Publish) -> None:
        """A cell runs; what was said of the one before stays as it is."""
        with self._lock:
            self._publish, self._display, self._seen, self._told = publish, "", Seen(), Seen()
            self._begun = self.clock()

    def see(self, seen: Seen) -> None:
        """How far it is now."""
        with self._lock:
            now = self.clock()
            if self._publish is None or not seen.work or now - self._begun < _PATIENCE_SECONDS:
                self._seen = seen
                return
            # What comes too soon to be shown is known nevertheless: it may be the last.
            is_new, self._seen = seen != self._told, seen
            if self._display and (not is_new or now - self._shown < self._pause(now)):
                return
            self._told, self._shown = seen, now
            self._show(RUNNING, "")

    def _pause(self, now: float) -> float:
        """Each update is kept in the document: an hour's work has no more of them than anybody looks at."""
        return min(_LONGEST_PAUSE_SECONDS, max(_PAUSE_SECONDS, (now - self._begun) / 20))

    def end(self, reason: str | None = None, *, at_work: bool = True) -> None:
        """The cell has ended; `reason`: why Spark failed, and whether that was at work or before it."""
        with self._lock:
            if self._publish is not None and self._display:
                if reason == INTERRUPTED and self._seen.is_complete:
                    reason = None
                self._seen = _ended(self._seen, reason, at_work=at_work and reason != INTERRUPTED)
                self._show(DONE if reason is None else FAILED, reason or "")
            self._publish = None

    def _show(self, state: str, reason: str) -> None:
        assert self._publish is not None
        there, self._display = bool(self._display), self._display or uuid.uuid4().hex
        told = summary(self._seen, state, reason, round(self.clock() - self._begun))
        told |= {"id": self._display, "unit": self.unit, "ui": self.ui}
        line = plain(told)
        markup = f"<div>{html.escape(line)}</div>"
        if state == RUNNING:
            done, every = told["tasks"]
            markup = f'<div>{html.escape(line)} <progress value="{done}" max="{max(every, 1)}"></progress></div>'
        self._publish({MIME: told, "text/html": markup, "text/plain": line}, self._display, there)


def _ended(seen: Seen, reason: str | None, *, at_work: bool) -> Seen:
    """The last that Spark tells of work is seldom its end."""
    if reason is None:
        return Seen(seen.work, seen.work, tuple(map(_complete, seen.stages)))
    failed = [stage for stage in seen.stages if stage.state != DONE or stage.failed]
    if not failed and at_work and seen.suspect:
        failed = [seen.suspect]
    return Seen(seen.done, seen.work, tuple(_fail(stage) if stage in failed else stage for stage in seen.stages))


def _fail(stage: Stage) -> Stage:
    return Stage(stage.id, FAILED, stage.tasks, stage.done, stage.failed, stage.name, stage.reason)


def _complete(stage: Stage) -> Stage:
    return Stage(stage.id, DONE, stage.tasks, stage.tasks, stage.failed, stage.name)


def summary(seen: Seen, state: str, reason: str, seconds: int) -> dict[str, Any]:
    """What the page is told."""
    chosen = {RUNNING: (RUNNING, FAILED), FAILED: (FAILED,)}.get(state, ())
    shown = [stage for stage in seen.stages if stage.state in chosen][-_SHOWN_STAGES:]
    return {
        "state": state,
        "seconds": seconds,
        "work": [seen.done, seen.work],
        "stages": [sum(stage.state == DONE for stage in seen.stages), len(seen.stages)],
        "tasks": [sum(stage.done for stage in seen.stages), sum(stage.tasks for stage in seen.stages)],
        "shown": [vars(stage) for stage in shown],
        "reason": reason,
    }


def plain(told: Mapping[str, Any]) -> str:
    """One line."""
    running = told["state"] == RUNNING
    counted = ", ".join(
        f"{done} of {every} {_named(unit, every)}" if running else f"{every} {_named(unit, every)}"
        for unit, (done, every) in ((told["unit"], told["work"]), ("stage", told["stages"]), ("task", told["tasks"]))
    )
    said = {RUNNING: "Spark is at work", FAILED: "Spark failed"}.get(told["state"], "Spark")
    return f"{said}: {counted}, {told['seconds']} s"


def _named(unit: str, count: int) -> str:
    if count == 1:
        return unit
    return "queries" if unit == "query" else f"{unit}s"


def reason_of(error: BaseException | None) -> str | None:
    """Why Spark failed, without its stack; None if it is not Spark that failed."""
    if was_interrupted(error):
        return INTERRUPTED
    if error is None or not type(error).__module__.startswith(_SPARKS):
        return None
    lines = str(error).strip().splitlines()
    told = list(takewhile(lambda line: not line.startswith(("\tat ", "JVM stacktrace")), lines))
    return _shortened("\n".join(told).strip()) or type(error).__name__


def is_at_work(error: BaseException | None) -> bool:
    """Whether what failed had begun to run; a plan or a word that Spark does not take never does."""
    return type(error).__name__ not in _BEFORE_WORK


def _shortened(text: str) -> str:
    """The beginning, and the end, where Python has its error."""
    half = _LONGEST_REASON // 2
    return text if len(text) <= _LONGEST_REASON else f"{text[:half].rstrip()}\n…\n{text[-half:].lstrip()}"


class Queries:
    """What a Connect session's server tells of its queries: a handler for `spark.registerProgressHandler`."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._stages: dict[str, tuple[Stage, ...]] = {}
        self._done: set[str] = set()

    def begin(self) -> None:
        """Another cell."""
        self._stages.clear()
        self._done.clear()

    def __call__(self, stages: Iterable[Any], inflight_tasks: int, operation_id: str, done: bool) -> None:
        """Spark's interface; `stages` are those of one query, its `operation_id`."""
        # A query must not fail because of how it is shown.
        with suppress(Exception):
            found = tuple(_stage(stage) for stage in stages or ())
            if found:
                self._stages[operation_id] = found
            if done:
                self._done.add(operation_id)
            # Of its end the server tells nothing; what another query follows has ended well. The last may have failed.
            last = next(reversed(self._stages), "")
            ended = [name for name in self._done & self._stages.keys() if name != last]
            self._stages |= {name: tuple(map(_complete, self._stages[name])) for name in ended}
            every = tuple(stage for one in [*self._stages.values()] for stage in one)
            # A task and a stage that fail are counted as complete, too.
            suspect = self._stages[last][-1] if last == operation_id else None
            self._reporter.see(Seen(len(self._done & self._stages.keys()), len(self._stages), every, suspect))


def _stage(told: Any) -> Stage:
    complete = told.done or told.num_completed_tasks >= told.num_tasks > 0
    state = DONE if complete else RUNNING if told.num_completed_tasks else WAITING
    return Stage(told.stage_id, state, told.num_tasks, told.num_tasks if complete else told.num_completed_tasks)


class DriverWatch:
    """Looks at a driver of the kernel's own while a cell runs: every job that begins meanwhile is the cell's."""

    def __init__(self, context: Any, group: str, reporter: Reporter) -> None:
        self._context, self._group, self._reporter = context, group, reporter
        self._tracker = context.statusTracker()
        self._jobs: set[int] = set()
        self._over = threading.Event()
        self._watching: Background | None = None
        self._is_left = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to look."""
        self._watching = Background(self._watch, "spark-progress").start()

    def stop(self) -> None:
        """Look once more, and no more; a driver that hangs keeps nobody waiting for long."""
        self._over.set()
        try:
            if self._watching is not None:
                self._watching.wait(_LAST_SECONDS)
        finally:
            # What is seen later is of a cell that has ended: the reporter is the next one's.
            with self._lock:
                self._is_left = True

    def _watch(self) -> None:
        # The driver may end with the cell.
        with suppress(Exception):
            while not self._over.wait(_LOOK_SECONDS):
                self._tell(self.look())
            self._tell(self.look())

    def _tell(self, seen: Seen) -> None:
        with self._lock:
            if not self._is_left:
                self._reporter.see(seen)

    def look(self) -> Seen:
        """How far it is."""
        self._jobs |= {*self._tracker.getJobIdsForGroup(self._group), *self._tracker.getActiveJobsIds()}
        jobs = [job for number in sorted(self._jobs) if (job := self._tracker.getJobInfo(number))]
        stages: dict[int, Stage] = {}
        for job in jobs:
            found = [stage for number in job.stageIds if (stage := self._stage(number, job.status))]
            stages |= {stage.id: stage for stage in found}
        return Seen(sum(job.status != "RUNNING" for job in jobs), len(jobs), tuple(stages.values()))

    def _stage(self, number: int, job_status: str) -> Stage | None:
        found = self._tracker.getStageInfo(number)
        # What an earlier stage has computed already is skipped; nothing is known of it, or nothing was done.
        if found is None or (job_status != "RUNNING" and not found.numCompletedTasks and not found.numFailedTasks):
            return None
        complete = found.numCompletedTasks >= found.numTasks > 0
        state = DONE if complete else RUNNING if found.numActiveTasks or found.numCompletedTasks else WAITING
        reason = ""
        if job_status == "FAILED" and not complete:
            state, reason = FAILED, self._reason(number)
        counted = (found.numTasks, found.numCompletedTasks, found.numFailedTasks)
        return Stage(number, state, *counted, str(found.name), reason)

    def _reason(self, number: int) -> str:
        attempt = self._context._jsc.sc().statusStore().lastStageAttempt(number)
        told = attempt.failureReason()
        return str(told.get()).partition("\n")[0][:_LONGEST_REASON] if told.isDefined() else ""


def publisher(kernel: Any) -> Publish:
    """Displays of the cell that this kernel runs now, from whatever thread."""
    parent = kernel.get_parent("shell")

    def publish(data: dict[str, Any], display: str, update: bool) -> None:
        content = {"data": data, "metadata": {}, "transient": {"display_id": display}}
        kind = "update_display_data" if update else "display_data"
        kernel.session.send(kernel.iopub_socket, kind, content, parent=parent, ident=b"display_data")

    return publish
