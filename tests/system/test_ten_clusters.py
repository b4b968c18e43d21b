"""Ten clusters at once on one machine: all answer, and nothing is left of them after their end (`make soak`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster_rig import processes_of
from tests.support.studio import Studio, until

COUNT = 10
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


def memory_of(pids: Iterable[int]) -> int:
    """What processes take of the machine's memory, shared pages by their share, in MB."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total // 1024


def timed(what: str, act: Callable[[], object]) -> None:
    """Do it and say how long it took."""
    begun = time.monotonic()
    act()
    print(f"{what}: {time.monotonic() - begun:.1f} s", flush=True)


def request(studio: Studio, number: int) -> dict[str, Any]:
    """RunJobFlow of one node with one step."""
    return {
        "Name": f"ten-{number}",
        "ReleaseLabel": "emr-8.0.0",
        "Applications": [{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
        "ServiceRole": "EMR_DefaultRole_V2",
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "Instances": {
            "InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}],
            "KeepJobFlowAliveWhenNoSteps": True,
            "Ec2SubnetId": studio.json["network"]["subnet_ids"][0],
        },
        "Steps": [
            {
                "Name": "pi",
                "ActionOnFailure": "CONTINUE",
                "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-example", "pi", "2"]},
            }
        ],
    }


def test_ten_clusters_at_once(studio: Studio) -> None:
    emr = studio.client("emr")

    def statuses() -> dict[str, dict[str, Any]]:
        return {one["Id"]: one["Status"] for one in emr.list_clusters()["Clusters"] if one["Id"] in made}

    def all_are(*states: str) -> bool:
        found = statuses()
        failed = [status for status in found.values() if status["State"] == "TERMINATED_WITH_ERRORS"]
        assert not failed
        return all(status["State"] in states for status in found.values())

    def processes() -> list[int]:
        return [pid for one in made for pid in processes_of(one)]

    made = [str(emr.run_job_flow(**request(studio, number))["JobFlowId"]) for number in range(COUNT)]
    timed("all ten run", lambda: until("all run", lambda: all_are("RUNNING", "WAITING"), 900))
    timed("all ten steps are done", lambda: until("all wait", lambda: all_are("WAITING"), 600))
    steps = [emr.list_steps(ClusterId=one)["Steps"][0]["Status"]["State"] for one in made]
    print(f"{len(processes())} processes, {memory_of(processes())} MB")
    emr.terminate_job_flows(JobFlowIds=made)
    timed("all ten have ended", lambda: until("all end", lambda: all_are("TERMINATED"), 300))
    until("no process is left", lambda: not processes())
    assert steps == ["COMPLETED"] * COUNT
