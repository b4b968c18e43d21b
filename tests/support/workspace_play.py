"""A world with a Studio, and the Workspaces' controller in step with what a test does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AwsError, InvalidRequest
from emr_studio.runtime.contract import Gateway
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.controller import WorkspaceReconciler
from tests.support.emr_world import World


@dataclass
class Play:
    """A world with a Studio and the controller's runtime."""

    emr: World
    runtime: InProcessRuntime
    studio_id: str

    def call(self, operation: str, caller: Caller | None = None, /, **request: Any) -> dict[str, Any]:
        return self.emr.call(operation, caller, **request)

    def create(self, caller: Caller | None = None, /, **request: Any) -> str:
        """Create a Workspace; returns its id."""
        usual = {"StudioId": self.studio_id, "Name": "work"}
        return str(self.call("CreateEditor", caller, **(usual | request))["EditorId"])

    def ready(self, caller: Caller | None = None, /, **request: Any) -> str:
        """Create a Workspace and let it start."""
        editor_id = self.create(caller, **request)
        self.settle(editor_id)
        return editor_id

    def reconciler(self) -> WorkspaceReconciler:
        """A controller that knows nothing but what was saved."""
        emr = self.emr
        return WorkspaceReconciler(emr.database, emr.clock, self.runtime, emr.settings, identity_public_key="PEM")

    def settle(self, editor_id: str) -> list[str]:
        """Let the controller work until nothing is left; the statuses that a user sees meanwhile."""
        seen, reconciler = [self.status(editor_id)], self.reconciler()
        for _ in range(40):
            again = reconciler.reconcile(editor_id)
            status = self.status(editor_id)
            if status != seen[-1]:
                seen.append(status)
            if again is None:
                return seen
            self.emr.clock.advance(again)
        return seen

    def status(self, editor_id: str) -> str:
        try:
            return str(self.describe(editor_id)["Status"])
        except InvalidRequest:
            return "gone"

    def describe(self, editor_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("DescribeEditor", EditorId=editor_id)["Editor"]
        return found

    def gateway(self, editor_id: str) -> Gateway | None:
        return self.runtime.workloads[editor_id].gateway

    def refused(self, operation: str, caller: Caller | None = None, /, **request: Any) -> str:
        """It must be an InvalidRequestException; returns the message."""
        with pytest.raises(AwsError) as caught:
            self.call(operation, caller, **request)
        assert caught.value.code == "InvalidRequestException"
        return caught.value.message


def engine(cluster_id: str) -> dict[str, str]:
    """`ExecutionEngine` of a cluster."""
    return {"Id": cluster_id, "Type": "EMR"}
