"""What the clusters' controller does about steps: starts, watches and ends their programs.

A step's program is a workload of its own on the primary node, `j-…/s-…/step`, run by
`emr_studio_cluster.step`. How it ended stands in `result.json` in its folder, written before it
exits: an agent that was restarted meanwhile cannot learn an exit code. A step with a runtime role runs
as a user of its own, with that role's credentials and a Spark of its own (`nodes.Tenant`): the executors of
the cluster's Spark are of the cluster's user.
"""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.errors import AwsError
from emr_studio.clusters.logs.archive import LogArchive
from emr_studio.clusters.model import Cluster, next_uid, workload_owner
from emr_studio.clusters.nodes import Layout, Task, Tenant, folder_of, log_uri, task_specification
from emr_studio.clusters.results import read_result
from emr_studio.clusters.runtime_roles import grant_runtime_role
from emr_studio.clusters.steps.model import AT_WORK, ENDS_CLUSTER, OnFailure, Step, StepState, steps_of
from emr_studio.clusters.steps.reading import step_concurrency
from emr_studio.clusters.tools import Tools
from emr_studio.iam.services import revoke_grants
from emr_studio.runtime.contract import Observation, ProcessSpec, WorkloadState

_GRACE_SECONDS = 10.0
_LOG_LINES = 5
_OF_ANOTHER = "Cancelled because another step failed"
_OF_THE_CLUSTER = "The cluster was terminated"


class Outcome(Enum):
    """How the steps of a cluster stand after a turn."""

    IDLE = "nothing is left to do"
    BUSY = "a step is at work"
    FATAL = "a step failed that takes the cluster with it"


class StepProgress:
    """Moves the steps of clusters. Every turn begins from the rows and from what the runtime observes."""

    def __init__(self, tools: Tools, archive: LogArchive) -> None:
        self._database = tools.database
        self._clock = tools.clock
        self._runtime = tools.runtime
        self._settings = tools.settings
        self._archive = archive

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
        busy, why = self._start_next(layout)
        if why:
            return Outcome.FATAL, why
        return (Outcome.BUSY if busy else Outcome.IDLE), ""

    def end_all(self, cluster: Cluster) -> list[Observation]:
        """End what runs, for a cluster that ends; what is still going."""
        with self._database.read() as session:
            unfinished = steps_of(session, cluster.id)
        going = []
        for step in unfinished:
            seen = self._runtime.observe(step.workload_id)
            if seen.state.is_going:
                self._runtime.stop(step.workload_id, _GRACE_SECONDS)
            if not seen.state.is_over:
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
                return ""
            return self._launch(layout, step)
        if seen.state.is_over:
            return self._ended(layout, step, seen)
        if step.state == StepState.CANCEL_PENDING and seen.state.is_going:
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
        return self._fail(step, self._failure(layout, step, result, seen))

    def _fail(self, step: Step, failure: dict[str, str]) -> str:
        """The step failed; a text if the cluster must end with it."""
        fatal = step.action_on_failure in ENDS_CLUSTER
        others = step.action_on_failure != OnFailure.CONTINUE
        self._end(step, StepState.FAILED, failure=failure, cancel_others=others)
        return f"Shut down as step failed: {step.name}" if fatal else ""

    def _failure(self, layout: Layout, step: Step, result: dict[str, Any], seen: Observation) -> dict[str, str]:
        code = result.get("exit_code")
        how = f"exit code {code}" if code is not None else "no exit code is known"
        lines = [str(line) for line in result.get("lines") or seen.log_tail][-_LOG_LINES:]
        # Where the host knows better than the program's own last words, it says so.
        known = seen.reason if seen.cause else result.get("message")
        message = str(known or "\n".join(lines) or f"The step ended with {how}.")
        failure = {"Reason": str(result.get("reason") or "Unknown Error."), "Message": message}
        if uri := log_uri(layout.cluster, "steps", step.id, "stderr.gz"):
            failure["LogFile"] = uri
        return failure

    def _end(self, step: Step, state: StepState, *, cancel_others: bool = False, **changes: Any) -> None:
        """Save the end, then drop the record: a cut in between is made good by the next end of the cluster."""
        if step.tenant:
            self._send_logs(step)
        now = self._clock.now()
        with self._database.write() as session:
            row = session.get_one(Step, step.id, with_for_update=True)
            row.state, row.end_time = state, now
            for name, value in changes.items():
                setattr(row, name, value)
            if cancel_others:
                _cancel_waiting(session, row, now)
            revoke_grants(session, _owner(row))
            row.tenant = {}
        if step.execution_role_arn:
            shutil.rmtree(self._tenant_folder(step), ignore_errors=True)
        self._runtime.forget(step.workload_id)

    def _send_logs(self, step: Step) -> None:
        with self._database.read() as session:
            cluster = session.get_one(Cluster, step.cluster_id)
        self._archive.push_step(cluster, step.id, self._tenant_folder(step), step.tenant)

    # The next ones.

    def _start_next(self, layout: Layout) -> tuple[bool, str]:
        """Start as many as may run; whether any is at work or waits, and why the cluster must end, if it must."""
        cluster = layout.cluster
        with self._database.write() as session:
            unfinished = steps_of(session, cluster.id)
            free = step_concurrency(cluster) - sum(step.state in AT_WORK for step in unfinished)
            chosen = [step for step in unfinished if step.state == StepState.PENDING][: max(0, free)]
            for step in chosen:
                step.state, step.start_time = StepState.RUNNING, self._clock.now()
        fatal = [self._launch(layout, step) for step in chosen]
        return bool(unfinished), next((why for why in fatal if why), "")

    def _launch(self, layout: Layout, step: Step) -> str:
        """Start its program; a text if it cannot be and the cluster must end with it."""
        try:
            tenant = self._tenant(layout, step) if step.execution_role_arn else None
        except AwsError as error:
            return self._fail(step, {"Reason": "Runtime role", "Message": error.message})
        self._runtime.launch(self._specification(layout, step, tenant))
        with self._database.write() as session:
            session.get_one(Step, step.id).launched = True
        return ""

    def _tenant(self, layout: Layout, step: Step) -> Tenant:
        """The user, credentials and Spark of a step with a runtime role; made once.

        Raises:
            AwsError: the role cannot be had any more.
        """
        cluster = layout.cluster
        with self._database.write() as session:
            row = session.get_one(Step, step.id)
            if not row.tenant:
                token = grant_runtime_role(
                    session,
                    self._clock,
                    self._settings,
                    cluster,
                    role_arn=step.execution_role_arn,
                    session_name=step.id,
                    owner=_owner(step),
                )
                secret = secrets.token_urlsafe(32)
                row.tenant = {"uid": next_uid(session, step.id), "role_token": token, "secret": secret}
            own = row.tenant
        folder = str(self._tenant_folder(step))
        return Tenant(workload_owner(cluster.id), **own, folder=folder, executors=len(layout.workers))

    def _tenant_folder(self, step: Step) -> Path:
        return self._settings.clusters_dir / f"{step.cluster_id}.{step.id}"

    def _folder(self, step: Step) -> Path:
        if step.execution_role_arn:
            return self._tenant_folder(step) / _place(step)
        return folder_of(self._settings, step.cluster_id) / _place(step)

    def _specification(self, layout: Layout, step: Step, tenant: Tenant | None) -> ProcessSpec:
        told = {
            "jar": step.jar,
            "main_class": step.main_class,
            "arguments": step.arguments,
            "properties": step.properties,
            # Its own role may not write there, and need not.
            "log_uri": "" if tenant else log_uri(layout.cluster, "steps", step.id),
        }
        task = Task("step", layout.primary, step.workload_id, _place(step))
        return task_specification(self._settings, layout, task, told, tenant)


def _place(step: Step) -> str:
    return f"steps/{step.id}"


def _owner(step: Step) -> str:
    """Owner of the grant of a step with a runtime role."""
    return f"step/{step.id}"


def _cancel_waiting(session: Session, failed: Step, now: dt.datetime) -> None:
    for step in steps_of(session, failed.cluster_id, (StepState.PENDING,)):
        step.state, step.end_time, step.message = StepState.CANCELLED, now, _OF_ANOTHER
