"""The steps of the demo, in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions

from emr_studio.cli.demo import EXAMPLE, FLIGHTS, Demo, DemoFailed, expect, sign_in, until
from emr_studio.cli.demo.browser import Workspace

_GONE = {"TERMINATED", "TERMINATED_WITH_ERRORS"}
_PATIENCE = 180.0
"""Seconds: a bound for machines that are slow, not a measure."""
_ON_TWO = "executors: 2"


def _sign_in(demo: Demo) -> None:
    sample = demo.studio["sample"]
    origin = sign_in(sample["url"], sample["user_name"], sample["password"])
    try:
        expect(origin.json("GET", "/_signin")["userName"] == sample["user_name"], "the session is somebody else's")
    finally:
        origin.close()


def _create_workspace(demo: Demo) -> None:
    emr = demo.client("emr")
    demo.editor_id = emr.create_editor(StudioId=demo.studio["sample"]["studio_id"], Name=demo.name)["EditorId"]
    until("the Workspace is Ready", lambda: demo.editor()["Status"] == "Ready", _PATIENCE)
    demo.subnet_id = demo.editor()["SubnetId"]


def _open(demo: Demo) -> None:
    demo.workspace = Workspace(demo.client("emr").open_editor_in_console(EditorId=demo.editor_id)["Url"])
    notebook = f"{demo.name}.ipynb"
    expect(notebook in demo.workspace.landing, f"it opened {demo.workspace.landing}, not {notebook}")
    expect(demo.workspace.read(notebook)["type"] == "notebook", f"{notebook} is no notebook")


def _create_cluster(demo: Demo) -> None:
    group = {"InstanceType": "m5.xlarge", "Market": "ON_DEMAND"}
    demo.cluster_id = demo.client("emr").run_job_flow(
        Name=demo.name,
        ReleaseLabel="emr-8.0.0",
        Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
        ServiceRole="EMR_DefaultRole_V2",
        JobFlowRole="EMR_EC2_DefaultRole",
        Instances={
            "InstanceGroups": [
                group | {"InstanceRole": "MASTER", "InstanceCount": 1},
                group | {"InstanceRole": "CORE", "InstanceCount": 2},
            ],
            "Ec2SubnetId": demo.studio["network"]["subnet_ids"][0],
            "KeepJobFlowAliveWhenNoSteps": True,
        },
    )["JobFlowId"]

    def waiting() -> bool:
        status = demo.cluster()["Status"]
        expect(status["State"] not in _GONE, f"the cluster ended: {status.get('StateChangeReason')}")
        return bool(status["State"] == "WAITING")

    until("the cluster is WAITING", waiting, 400)
    instances = demo.client("emr").list_instances(ClusterId=demo.cluster_id)["Instances"]
    expect(len(instances) == 3, f"{len(instances)} instances, not 3")


def _attach(demo: Demo) -> None:
    demo.client("emr").attach_editor(EditorId=demo.editor_id, ExecutionEngine={"Id": demo.cluster_id, "Type": "EMR"})
    until("the Workspace is Attached", lambda: demo.editor()["Status"] == "Attached", _PATIENCE)


def _run_notebook(demo: Demo) -> None:
    workspace = _workspace(demo)
    expect("pysparkkernel" in workspace.kernel_specs(), f"no PySpark kernel, only {workspace.kernel_specs()}")
    notebook: dict[str, Any] = workspace.read(EXAMPLE)["content"]
    kernel = workspace.start_session(EXAMPLE, "pysparkkernel")
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        cell["outputs"], cell["execution_count"] = _run_cell(workspace, kernel, source), count
    workspace.save_notebook(EXAMPLE, notebook)
    shown = json.dumps([cell.get("outputs") for cell in notebook["cells"]])
    expect(f"{FLIGHTS:,}" in shown or str(FLIGHTS) in shown, f"Spark did not count {FLIGHTS} flights: {shown[:500]}")
    expect("image/png" in shown, "the notebook drew no plot")
    expect(_ON_TWO in shown, f"the work did not run on two executors: {shown[:500]}")


def _run_cell(workspace: Workspace, kernel: str, source: str) -> list[dict[str, Any]]:
    """Its outputs. A cluster that waits has its workers, but the second one's executor may just be starting."""
    if "executors:" not in source:
        return workspace.run(kernel, source)

    def on_two() -> list[dict[str, Any]]:
        outputs = workspace.run(kernel, source)
        return outputs if _ON_TWO in json.dumps(outputs) else []

    found: list[dict[str, Any]] = until("the work runs on two executors", on_two, _PATIENCE)
    return found


def _in_s3(demo: Demo) -> None:
    until(f"{EXAMPLE} is in S3", lambda: EXAMPLE in demo.saved(), _PATIENCE)
    location = urlsplit(demo.editor()["S3Location"])
    key = location.path.lstrip("/") + EXAMPLE

    def has_outputs() -> bool:
        body = demo.client("s3").get_object(Bucket=location.netloc, Key=key)["Body"].read().decode()
        return "image/png" in body and str(FLIGHTS) in body.replace(",", "")

    until("the S3 copy holds the outputs", has_outputs, _PATIENCE)


def _stop(demo: Demo) -> None:
    _workspace(demo).close()
    demo.client("emr").stop_editor(EditorId=demo.editor_id)
    until("the Workspace is Idle", lambda: demo.editor()["Status"] == "Idle", _PATIENCE)


def _start_again(demo: Demo) -> None:
    demo.client("emr").start_editor(EditorId=demo.editor_id)
    until("the Workspace is Ready", lambda: demo.editor()["Status"] in {"Ready", "Attached"}, _PATIENCE)
    expect(demo.editor()["SubnetId"] != demo.subnet_id, "it came back in the same subnet")
    demo.workspace = Workspace(demo.client("emr").open_editor_in_console(EditorId=demo.editor_id)["Url"])
    content = json.dumps(demo.workspace.read(EXAMPLE)["content"])
    expect("image/png" in content, "the restored notebook has lost its plot")


def _delete_file(demo: Demo) -> None:
    _workspace(demo).delete(EXAMPLE)
    until(f"the S3 copy of {EXAMPLE} is gone", lambda: EXAMPLE not in demo.saved(), _PATIENCE)


def _delete_workspace(demo: Demo) -> None:
    _workspace(demo).close()
    location = urlsplit(demo.editor()["S3Location"])
    emr = demo.client("emr")
    emr.delete_editor(EditorId=demo.editor_id)

    def listed() -> bool:
        pages = emr.get_paginator("list_editors").paginate(StudioId=demo.studio["sample"]["studio_id"])
        return any(editor["EditorId"] == demo.editor_id for page in pages for editor in page["Editors"])

    until("the Workspace vanished", lambda: not listed(), _PATIENCE)
    demo.editor_id = ""
    left = demo.keys_at(location.netloc, location.path.lstrip("/"))
    expect(f"{demo.name}.ipynb" in left, f"its files did not stay in S3: {sorted(left)}")


def _terminate(demo: Demo) -> None:
    demo.client("emr").terminate_job_flows(JobFlowIds=[demo.cluster_id])
    until("the cluster is TERMINATED", lambda: demo.cluster()["Status"]["State"] in _GONE, _PATIENCE)
    expect(demo.cluster()["Status"]["State"] == "TERMINATED", str(demo.cluster()["Status"]))
    demo.cluster_id = ""


def _workspace(demo: Demo) -> Workspace:
    if demo.workspace is None:
        raise DemoFailed("the Workspace is not open")
    return demo.workspace


STEPS: list[tuple[str, Callable[[Demo], None]]] = [
    ("sign in at the Studio's URL", _sign_in),
    ("create a Workspace", _create_workspace),
    ("open it: JupyterLab on its own origin", _open),
    ("create a cluster: 1 primary, 2 core nodes", _create_cluster),
    ("attach the Workspace to it", _attach),
    ("run the sample notebook on Spark", _run_notebook),
    ("find the notebook with its outputs in S3", _in_s3),
    ("stop the Workspace", _stop),
    ("start it again, in another subnet, files restored", _start_again),
    ("delete a file: its S3 copy goes", _delete_file),
    ("delete the Workspace: its files stay", _delete_workspace),
    ("terminate the cluster", _terminate),
]


def clean_up(demo: Demo) -> None:
    """Leave nothing running after a demo that failed half way."""
    with suppress(botocore.exceptions.ClientError):
        if demo.editor_id:
            demo.client("emr").delete_editor(EditorId=demo.editor_id)
        if demo.cluster_id:
            demo.client("emr").terminate_job_flows(JobFlowIds=[demo.cluster_id])
