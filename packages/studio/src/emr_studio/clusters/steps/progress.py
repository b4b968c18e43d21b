"""What the clusters' controller does about steps: starts, watches and ends their programs.

A step's program is a workload of its own on the primary node, `j-…/s-…/step`, run by
`emr_studio_cluster.step`. How it ended stands in `result.json` in its folder, written before it
exits: an agent that was restarted meanwhile cannot learn an exit code.
"""

from __future__ import annotations

import datetime as dt
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.clock import Clock
from emr_studio.clusters.model import Cluster
from emr_studio.clusters.nodes import Layout, Task, folder_of, log_uri, task_specification
from emr_studio.clusters.results import read_result
from emr_studio.clusters.steps.model import AT_WORK, ENDS_CLUSTER, OnFailure, Step, StepState, steps_of
from emr_studio.clusters.steps.reading import step_concurrency
from emr_studio.db import Database
from emr_studio.runtime.contract import Observation, ProcessSpec, Runtime, WorkloadState
from emr_studio.settings import Settings

_GRACE_SECONDS = 10.0
_LOG_LINES = 5
_GOING = (WorkloadState.STARTING, WorkloadState.RUNNING)
_OF_ANOTHER = "Cancelled because another step failed"
_OF_THE_CLUSTER = "The cluster was terminated"


class Outcome(Enum):
    """How the steps of a cluster stand after a turn."""

    IDLE = "nothing is left to do"
    BUSY = "a step is at work"
    FATAL = "a step failed that takes the cluster with it"


class StepProgress:
    """Moves the steps of clusters. Every turn begins from the rows and from what the runtime observes."""

    def __init__(self, database: Database, clock: Clock, runtime: Runtime, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._settings = settings

    def are_waiting(self, cluster: Cluster) -> bool:
        """True if the cluster has steps to run."""
        with self._database.read() as session:
            return bool(steps_of(session, cluster.id))

    def turn(self, layout: Layout) -> tuple[Outcome, str]:
        """Take a step with each step; the outcome, and why if it is fatal.

        Raises:
            RuntimeUnavailable: the host does not answer.
        """
        with self._database.read() as session:
            unfinished = steps_of(session, layout.cluster.id)
        for step in unfinished:
            if step.state in AT_WORK and (why := self._look_after(layout, step)):
                return Outcome.FATAL, why
        return (Outcome.BUSY if self._start_next(layout) else Outcome.IDLE), ""

    def end_all(self, cluster: Cluster) -> list[Observation]:
        """End what runs, for a cluster that ends; what is still going."""
        with self._database.read() as session:
            unfinished = steps_of(session, cluster.id)
        going = []
        for step in unfinished:
            seen = self._runtime.observe(step.workload_id)
            if seen.state in _GOING:
                self._runtime.stop(step.workload_id, _GRACE_SECONDS)
            if seen.state not in (WorkloadState.ABSENT, WorkloadState.EXITED):
                going.append(seen)
                continue
            state = StepState.INTERRUPTED if step.state in AT_WORK else StepState.CANCELLED
            self._end(step, state, message=_OF_THE_CLUSTER)
        return going

    # One step.

    def _look_after(self, layout: Layout, step: Step) -> str:
        """See how a step at work stands; a text if it failed and the cluster must end."""
        seen = self._runtime.observe(step.workload_id)
        if seen.state is WorkloadState.ABSENT and not step.launched:
            if step.state == StepState.CANCEL_PENDING:
                self._end(step, StepState.CANCELLED, message="Cancelled by user")
            else:
                self._launch(layout, step)
            return ""
        if seen.state in (WorkloadState.ABSENT, WorkloadState.EXITED):
            return self._ended(layout, step, seen)
        if step.state == StepState.CANCEL_PENDING and seen.state in _GOING:
            self._runtime.stop(step.workload_id, 0 if step.forced else _GRACE_SECONDS)
        return ""

    def _ended(self, layout: Layout, step: Step, seen: Observation) -> str:
        result = read_result(self._folder(step)) or {"exit_code": seen.exit_code, "message": seen.reason}
        if step.state == StepState.CANCEL_PENDING:
            self._end(step, StepState.CANCELLED, message="Cancelled by user")
            return ""
        if result.get("exit_code") == 0:
            self._end(step, StepState.COMPLETED)
            return ""
        failure = self._failure(layout, step, result, seen)
        fatal = step.action_on_failure in ENDS_CLUSTER
        others = step.action_on_failure != OnFailure.CONTINUE
        self._end(step, StepState.FAILED, failure=failure, cancel_others=others)
        return f"Shut down as step failed: {step.name}" if fatal else ""

    def _failure(self, layout: Layout, step: Step, result: dict[str, Any], seen: Observation) -> dict[str, str]:
        code = result.get("exit_code")
        how = f"exit code {code}" if code is not None else "no exit code is known"
        lines = [str(line) for line in result.get("lines") or seen.log_tail][-_LOG_LINES:]
        message = str(result.get("message") or "\n".join(lines) or f"The step ended with {how}.")
        failure = {"Reason": str(result.get("reason") or "Unknown Error."), "Message": message}
        if uri := log_uri(layout.cluster, "steps", step.id, "stderr.gz"):
            failure["LogFile"] = uri
        return failure

    def _end(self, step: Step, state: StepState, *, cancel_others: bool = False, **changes: Any) -> None:
        """Save the end, then drop the record: a cut in between is made good by the next end of the cluster."""
        now = self._clock.now()
        with self._database.write() as session:
            row = session.get_one(Step, step.id, with_for_update=True)
            row.state, row.end_time = state, now
            for name, value in changes.items():
                setattr(row, name, value)
            if cancel_others:
                _cancel_waiting(session, row, now)
        self._runtime.forget(step.workload_id)

    # The next ones.

    def _start_next(self, layout: Layout) -> bool:
        """Start as many as may run; True if any is at work or waits."""
        cluster = layout.cluster
        with self._database.write() as session:
            unfinished = steps_of(session, cluster.id)
            free = step_concurrency(cluster) - sum(step.state in AT_WORK for step in unfinished)
            chosen = [step for step in unfinished if step.state == StepState.PENDING][: max(0, free)]
            for step in chosen:
                step.state, step.start_time = StepState.RUNNING, self._clock.now()
        for step in chosen:
            self._launch(layout, step)
        return bool(unfinished)

    def _launch(self, layout: Layout, step: Step) -> None:
        self._runtime.launch(self._specification(layout, step))
        with self._database.write() as session:
            session.get_one(Step, step.id).launched = True

    def _folder(self, step: Step) -> Path:
        return folder_of(self._settings, step.cluster_id) / _place(step)

    def _specification(self, layout: Layout, step: Step) -> ProcessSpec:
        told = {
            "jar": step.jar,
            "main_class": step.main_class,
            "arguments": step.arguments,
            "properties": step.properties,
            "log_uri": log_uri(layout.cluster, "steps", step.id),
        }
        task = Task("step", layout.primary, step.workload_id, _place(step))
        return task_specification(self._settings, layout, task, told)


def _place(step: Step) -> str:
    return f"steps/{step.id}"


def _cancel_waiting(session: Session, failed: Step, now: dt.datetime) -> None:
    for step in steps_of(session, failed.cluster_id, (StepState.PENDING,)):
        step.state, step.end_time, step.message = StepState.CANCELLED, now, _OF_ANOTHER
