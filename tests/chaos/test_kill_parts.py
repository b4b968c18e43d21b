"""kill -9 of each part in the middle of the main job: after it is back, everything continues."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from emr_studio.cli.demo.browser import BrowserError, Workspace
from tests.support.cluster_rig import hosts
from tests.support.studio import Studio, until

PARTS = ["api", "controller", "edge", "lane", "agent", "store"]


@dataclass
class Open:
    """A Workspace attached to a running cluster, with a kernel that remembers."""

    studio: Studio
    editor_id: str
    cluster_id: str
    workspace: Workspace
    kernel_id: str
    counter: int = 0

    def text(self, code: str) -> str:
        """What the cell printed."""
        outputs = self.workspace.run(self.kernel_id, code, timeout=60)
        return "".join(str(output.get("text", "")) for output in outputs)


def start_cluster(emr: Any, studio: Studio, name: str, core: int = 1) -> str:
    group = {"InstanceType": "m5.xlarge"}
    cluster_id: str = emr.run_job_flow(
        Name=name,
        ReleaseLabel="emr-8.0.0",
        Applications=[{"Name": n} for n in ("Spark", "Livy", "JupyterEnterpriseGateway")],
        ServiceRole="EMR_DefaultRole_V2",
        JobFlowRole="EMR_EC2_DefaultRole",
        Instances={
            "InstanceGroups": [
                group | {"InstanceRole": "MASTER", "InstanceCount": 1},
                *([group | {"InstanceRole": "CORE", "InstanceCount": core}] if core else []),
            ],
            "Ec2SubnetId": studio.json["network"]["subnet_ids"][1],
            "KeepJobFlowAliveWhenNoSteps": True,
        },
    )["JobFlowId"]
    return cluster_id


def cluster_state(emr: Any, cluster_id: str) -> str:
    status = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]
    assert status["State"] != "TERMINATED_WITH_ERRORS", status
    return str(status["State"])


def editor_status(emr: Any, editor_id: str) -> str:
    return str(emr.describe_editor(EditorId=editor_id)["Editor"]["Status"])


@pytest.fixture(scope="module")
def opened(studio: Studio) -> Iterator[Open]:
    emr = studio.client("emr", "sample")
    cluster_id = start_cluster(emr, studio, "chaos", core=0)
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="chaos")["EditorId"]
    until("the cluster waits", lambda: cluster_state(emr, cluster_id) == "WAITING", 400)
    emr.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    until("the Workspace is attached", lambda: editor_status(emr, editor_id) == "Attached")
    workspace = Workspace(emr.open_editor_in_console(EditorId=editor_id)["Url"])
    kernel_id = workspace.start_session("chaos.ipynb", "pysparkkernel")
    found = Open(studio, editor_id, cluster_id, workspace, kernel_id)
    found.text("counter = 0")
    yield found
    workspace.close()
    emr.delete_editor(EditorId=editor_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    until("the cluster ended", lambda: cluster_state(emr, cluster_id) == "TERMINATED")


def kill(studio: Studio, part: str) -> None:
    """kill -9 `part` and wait until the supervisor has it back."""
    # 0 while it is away, which to kill() would be us.
    before = until(f"{part} runs", lambda: studio.pid_of(part))
    os.kill(before, signal.SIGKILL)
    until(f"{part} is another process", lambda: studio.pid_of(part) not in (0, before))
    until(f"{part} is back", lambda: studio.status()["state"] == "running")


@pytest.mark.capability("AD-03")
def test_a_notebook_leaves_nothing_in_the_audit_trail(opened: Open) -> None:
    instances = opened.studio.client("emr").list_instances(ClusterId=opened.cluster_id)["Instances"]
    ours = [opened.editor_id, opened.cluster_id, "trail-test", *(one["Ec2InstanceId"] for one in instances)]

    def recorded() -> list[str]:
        # What other files' Workspaces and clusters end with comes in meanwhile.
        pages = opened.studio.client("cloudtrail").get_paginator("lookup_events").paginate()
        events = [event for page in pages for event in page["Events"]]
        return [str(event["EventId"]) for event in events if any(name in event["CloudTrailEvent"] for name in ours)]

    # A cluster without kernels is warmed after a while, which lists tables.
    until("of the kernels' host only the one kernel is left", lambda: hosts(opened.cluster_id) == 2)
    before: list[str] = []

    def settled() -> bool:
        nonlocal before
        last, before = before, recorded()
        return bool(before) and before == last

    until("making Workspace and cluster is in it, and nothing comes any more", settled)
    location = opened.studio.json["s3"]["default_location"].rpartition("/")[0]
    code = f"""
import os
frame = spark.range(1000).selectExpr("id", "id % 7 AS day")
frame.write.mode("overwrite").parquet("{location}/trail-test")
print("rows", spark.read.parquet("{location}/trail-test").groupBy("day").count().count(), len(os.listdir("/")) > 0)
"""
    assert "rows 7 True" in opened.text(code)
    opened.workspace.save_notebook("quiet.ipynb", {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    assert recorded() == before


@pytest.mark.parametrize("part", PARTS)
def test_the_open_notebook_continues(opened: Open, part: str) -> None:
    kill(opened.studio, part)
    opened.counter += 1

    def ran() -> str:
        # A browser reconnects a broken websocket by itself; so does this.
        try:
            return opened.text("counter += 1\nprint('counter', counter)")
        except (BrowserError, httpx.HTTPError):
            return ""

    shown = until("the kernel answers", ran)
    assert shown.strip().startswith("counter ")
    opened.counter = int(shown.split()[1])
    assert opened.counter >= 1, "the kernel has forgotten"

    name, empty = f"after-{part}.ipynb", {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}

    def is_saved() -> bool:
        try:
            opened.workspace.save_notebook(name, empty)
        except (BrowserError, httpx.HTTPError):
            return False
        return True

    until("it takes a save", is_saved)
    emr = opened.studio.client("emr", "sample")
    location = emr.describe_editor(EditorId=opened.editor_id)["Editor"]["S3Location"]
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    s3 = opened.studio.client("s3")

    def saved() -> bool:
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
        return prefix + name in keys

    until(f"{name} is in S3", saved)
    assert editor_status(emr, opened.editor_id) == "Attached"
    assert cluster_state(emr, opened.cluster_id) == "WAITING"


def test_the_kernel_still_computes_on_spark(opened: Open) -> None:
    assert "499500" in opened.text("print(spark.range(1000).selectExpr('sum(id)').first()[0])")


@pytest.mark.parametrize("part", ["controller", "agent", "api"])
def test_a_cluster_start_survives(studio: Studio, part: str) -> None:
    emr = studio.client("emr", "sample")
    cluster_id = start_cluster(emr, studio, f"chaos-{part}", core=0)
    until("it has begun", lambda: cluster_state(emr, cluster_id) in {"STARTING", "BOOTSTRAPPING"})
    kill(studio, part)
    until("it waits", lambda: cluster_state(emr, cluster_id) == "WAITING", 400)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    until("it ended", lambda: cluster_state(emr, cluster_id) == "TERMINATED")


@pytest.mark.parametrize("part", ["controller", "agent", "api"])
def test_a_workspace_start_survives(studio: Studio, part: str) -> None:
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name=f"chaos-{part}")["EditorId"]
    kill(studio, part)
    until("it is ready", lambda: editor_status(emr, editor_id) == "Ready")
    emr.delete_editor(EditorId=editor_id)
    until("no orphan is left", lambda: not _observed(studio, editor_id))


def _observed(studio: Studio, editor_id: str) -> bool:
    from emr_studio.runtime.client import LocalRuntime

    return any(editor_id in (o.owner, o.workload_id) for o in LocalRuntime(studio.settings).list())
