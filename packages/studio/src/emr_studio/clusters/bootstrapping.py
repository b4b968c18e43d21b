"""Bootstrap actions: on every node, in order, before Spark starts there.

A node's actions are one workload, `j-…/ci-…/bootstrap`, run by `emr_studio_cluster.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.aws.errors import ValidationError
from emr_studio.clusters.model import Cluster, Instance, Role
from emr_studio.clusters.nodes import Layout, Task, folder_of, log_uri, task_specification
from emr_studio.clusters.results import read_result
from emr_studio.db import Database
from emr_studio.runtime.contract import Observation, ProcessSpec, Runtime, WorkloadState
from emr_studio.settings import Settings

MOST_ACTIONS = 16
"""EMR: "You can specify up to 16 bootstrap actions per cluster"."""
RUNNING_ACTIONS = "Running bootstrap actions"
"""The reason of a cluster that does."""


class ActionFailed(Exception):
    """A node's actions failed: a sentence, and log lines."""

    def __init__(self, message: str, lines: tuple[str, ...]) -> None:
        super().__init__(message)
        self.message = message
        self.lines = lines


def read_actions(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bootstrap actions of a RunJobFlow request, as they are shown later.

    Raises:
        ValidationError: too many, or a path that is none.
    """
    given: Sequence[Mapping[str, Any]] = request.get("BootstrapActions") or ()
    if len(given) > MOST_ACTIONS:
        raise ValidationError(f"BootstrapActions: at most {MOST_ACTIONS} are allowed.")
    for action in given:
        path = action["ScriptBootstrapAction"]["Path"]
        if not path.startswith(("s3://", "s3a://", "s3n://", "file:///", "/")):
            raise ValidationError(f"BootstrapActions: the path {path} of {action['Name']} is not one in S3.")
    return [
        {
            "Name": action["Name"],
            "ScriptPath": action["ScriptBootstrapAction"]["Path"],
            "Args": list(action["ScriptBootstrapAction"].get("Args") or ()),
        }
        for action in given
    ]


class Bootstrapping:
    """Runs the actions of clusters' nodes."""

    def __init__(self, database: Database, runtime: Runtime, settings: Settings) -> None:
        self._database = database
        self._runtime = runtime
        self._settings = settings

    def turn(self, layout: Layout) -> Observation | None:
        """Start and look at the actions; one that is still at work, or None when all nodes are done.

        Raises:
            ActionFailed: an action did.
            RuntimeUnavailable: the host does not answer.
        """
        if not layout.cluster.bootstrap_actions:
            return None
        waiting = [self.look(layout, instance) for instance in layout.instances]
        return next((seen for seen in waiting if seen is not None), None)

    def look(self, layout: Layout, instance: Instance) -> Observation | None:
        """Start and look at the actions of one node; None when they are done.

        Raises:
            ActionFailed: an action did.
            RuntimeUnavailable: the host does not answer.
        """
        if instance.bootstrapped or not layout.cluster.bootstrap_actions:
            return None
        return self._look(layout, instance)

    @staticmethod
    def workload_id(instance: Instance) -> str:
        """`j-…/ci-…/bootstrap`."""
        return f"{instance.cluster_id}/{instance.id}/bootstrap"

    def going(self, layout: Layout) -> list[Observation]:
        """What still runs, for a cluster that ends."""
        if not layout.cluster.bootstrap_actions:
            return []
        seen = [self._runtime.observe(self.workload_id(instance)) for instance in layout.instances]
        for one in seen:
            if one.state is WorkloadState.EXITED:
                self._runtime.forget(one.workload_id)
        return [one for one in seen if not one.state.is_over]

    def _look(self, layout: Layout, instance: Instance) -> Observation | None:
        seen = self._runtime.observe(self.workload_id(instance))
        if seen.state.is_over:
            result = read_result(folder_of(self._settings, layout.cluster.id) / _place(instance))
            if result is None and seen.state is WorkloadState.ABSENT:
                self._runtime.launch(self._specification(layout, instance))
                return self._runtime.observe(seen.workload_id)
            self._settle(instance, seen, result or {})
            return None
        return seen

    def _settle(self, instance: Instance, seen: Observation, result: Mapping[str, Any]) -> None:
        code = result.get("exit_code", seen.exit_code)
        if code != 0:
            what = str(result.get("message") or seen.reason or f"the bootstrap actions ended with exit code {code}")
            where = "master" if instance.role == Role.MASTER else instance.role.lower()
            raise ActionFailed(f"On the {where} instance ({instance.ec2_id}), {what}", seen.log_tail)
        with self._database.write() as session:
            session.get_one(Instance, instance.id).bootstrapped = True
        self._runtime.forget(seen.workload_id)

    def _specification(self, layout: Layout, instance: Instance) -> ProcessSpec:
        told = {
            "actions": layout.cluster.bootstrap_actions,
            "log_uri": log_uri(layout.cluster, "node", instance.ec2_id, "bootstrap-actions"),
        }
        task = Task("bootstrap", instance, self.workload_id(instance), _place(instance))
        return task_specification(self._settings, layout, task, told)


def action_shapes(cluster: Cluster) -> list[dict[str, Any]]:
    """`BootstrapActions` of ListBootstrapActions."""
    return [dict(action) for action in cluster.bootstrap_actions]


def _place(instance: Instance) -> str:
    return f"{instance.id}/bootstrap"
