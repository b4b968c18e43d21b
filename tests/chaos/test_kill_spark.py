"""kill -9 of the programs of a real cluster: it goes on, or ends with the reason and leaves nothing."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emr_studio.clusters.controller import MAX_RESTARTS
from emr_studio.clusters.probe import NodeProbe
from emr_studio.runtime.contract import WorkloadState
from tests.support.cluster_rig import ClusterRig, Kernel, cluster_rig, processes_of
from tests.support.studio import until

pytestmark = pytest.mark.soak
OWN = {"Classification": "spark-defaults", "Properties": {"spark.sql.catalogImplementation": "in-memory"}}
SUM = "print(spark.range(0, 1000, 1, 4).selectExpr('sum(id)').first()[0])"
LONG = """
from pyspark.sql.functions import udf
@udf("long")
def slow(number):
    import time
    time.sleep(1)
    return number
print(spark.range(0, 12, 1, 12).select(slow("id").alias("n")).selectExpr("sum(n)").first()[0])
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[ClusterRig]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, cluster_rig(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def cluster_id(rig: ClusterRig) -> str:
    return rig.create(core=1, Configurations=[OWN])


@pytest.fixture(scope="module")
def kernel(rig: ClusterRig, cluster_id: str) -> Iterator[Kernel]:
    made = rig.kernel(cluster_id)
    yield made
    made.close()


def kill(rig: ClusterRig, cluster_id: str, kind: str) -> int:
    """Kill a program once it runs; the process that was killed."""
    workload, runtime = rig.play.workload(cluster_id, kind), rig.agent.runtime
    deadline = time.monotonic() + 60
    while (seen := runtime.observe(workload)).state is not WorkloadState.RUNNING:
        runtime.wait(workload, seen.state, 1)
        assert time.monotonic() < deadline, seen
    os.kill(seen.pid, signal.SIGKILL)
    runtime.wait(workload, WorkloadState.RUNNING, 30)
    return seen.pid


def until_back(rig: ClusterRig, cluster_id: str, kind: str, killed: int) -> None:
    """Take turns until another process runs in its place."""
    workload, runtime = rig.play.workload(cluster_id, kind), rig.agent.runtime
    deadline = time.monotonic() + 120
    while (seen := runtime.observe(workload)).state is not WorkloadState.RUNNING or seen.pid == killed:
        rig.turn(cluster_id)
        runtime.wait(workload, seen.state, 0.5)
        assert time.monotonic() < deadline, seen
    assert rig.play.state(cluster_id) == "WAITING"


def test_a_job_goes_on_without_the_master_which_comes_back(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    assert kernel.run(SUM) == "499500\n"
    primary = rig.play.nodes(cluster_id)[0]
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(kernel.run, LONG)
        deadline = time.monotonic() + 60
        while not (load := NodeProbe().load(rig.play.row(cluster_id), primary)) or not load.running_tasks:
            assert time.monotonic() < deadline
        killed = kill(rig, cluster_id, "master")
        until_back(rig, cluster_id, "master", killed)
        assert job.result() == "66\n"
    # It knows its worker again, and the application its executors.
    (worker,) = rig.play.nodes(cluster_id)[1:]
    deadline = time.monotonic() + 90
    while NodeProbe().alive_workers(primary) != {worker.bind_ip}:
        assert time.monotonic() < deadline
    assert kernel.run(SUM) == "499500\n"


def test_a_worker_that_dies_takes_no_job_with_it(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(kernel.run, LONG)
        primary, deadline = rig.play.nodes(cluster_id)[0], time.monotonic() + 60
        while not (load := NodeProbe().load(rig.play.row(cluster_id), primary)) or not load.running_tasks:
            assert time.monotonic() < deadline
        until_back(rig, cluster_id, "worker", kill(rig, cluster_id, "worker"))
        assert job.result() == "66\n"


def test_the_connect_servers_death_is_said_and_the_next_cell_works(
    rig: ClusterRig, cluster_id: str, kernel: Kernel
) -> None:
    kernel.run("kept = 41")
    until_back(rig, cluster_id, "connect", kill(rig, cluster_id, "connect"))
    deadline = time.monotonic() + 180
    while (said := kernel.run(SUM)) != "499500\n":
        assert time.monotonic() < deadline, said[-2000:]
    assert kernel.run("print(kept + 1)") == "42\n"


def test_a_master_that_dies_again_and_again_ends_the_cluster(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    for _ in range(MAX_RESTARTS + 1):
        if rig.play.row(cluster_id).state != "WAITING":
            break
        killed = kill(rig, cluster_id, "master")
        deadline = time.monotonic() + 60
        workload = rig.play.workload(cluster_id, "master")
        while rig.play.row(cluster_id).state == "WAITING":
            rig.turn(cluster_id)
            seen = rig.agent.runtime.observe(workload)
            if seen.state is WorkloadState.RUNNING and seen.pid != killed:
                break
            assert time.monotonic() < deadline, seen
    deadline = time.monotonic() + 60
    while (state := rig.play.state(cluster_id)) != "TERMINATED_WITH_ERRORS":
        rig.turn(cluster_id)
        assert time.monotonic() < deadline, state
    reason = rig.play.describe(cluster_id)["Status"]["StateChangeReason"]
    assert "the Spark master" in reason["Message"]
    until("no process is left", lambda: not processes_of(cluster_id))
