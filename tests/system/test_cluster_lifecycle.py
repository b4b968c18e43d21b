"""A real cluster of three nodes: Spark on both workers, kernels, deaths, the end."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from emr_studio.clusters.probe import NodeProbe
from emr_studio.runtime.contract import WorkloadState
from tests.support.cluster_rig import ClusterRig, Kernel, cluster_rig, processes_of
from tests.support.studio import until

BOTH_WORKERS = """
from pyspark.sql.functions import udf
@udf("string")
def node(_):
    import os, time
    time.sleep(0.2)
    return os.environ["SPARK_LOCAL_IP"]
rows = spark.range(0, 16, 1, 8).select(node("id").alias("n")).groupBy("n").count().collect()
print(sorted(r["n"] for r in rows), sum(r["count"] for r in rows))
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[ClusterRig]:
    # Short: a unix socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, cluster_rig(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def cluster_id(rig: ClusterRig) -> str:
    # No S3 and no Data Catalog is here for tables to survive in.
    own = {"Classification": "spark-defaults", "Properties": {"spark.sql.catalogImplementation": "in-memory"}}
    # Long enough for a kernel that a loaded machine starts slowly: until somebody is connected it is idle.
    culling = {"MappingKernelManager.cull_idle_timeout": "40", "MappingKernelManager.cull_interval": "1"}
    return rig.create(core=2, Configurations=[own, {"Classification": "jeg-config", "Properties": culling}])


@pytest.fixture(scope="module")
def kernel(rig: ClusterRig, cluster_id: str) -> Iterator[Kernel]:
    made = rig.kernel(cluster_id)
    yield made
    made.close()


def test_it_is_up(rig: ClusterRig, cluster_id: str) -> None:
    assert [phase["Name"] for phase in rig.play.row(cluster_id).phases] == ["BOOTSTRAPPING", "RUNNING", "WAITING"]
    nodes = rig.play.nodes(cluster_id)
    # The probe gives up after two seconds, which a loaded machine may take to answer.
    until("both workers", lambda: NodeProbe().alive_workers(nodes[0]) == {node.bind_ip for node in nodes[1:]})


def test_the_kernel_computes_on_both_workers(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    assert kernel.run("print(1 + 1)") == "2\n"
    nodes = rig.play.nodes(cluster_id)
    # An executor that a loaded machine starts late may find the first job's tasks done.
    both = f"{sorted(node.bind_ip for node in nodes[1:])} 16"
    until("both compute", lambda: kernel.run(BOTH_WORKERS).strip() == both)


def test_the_kernel_has_what_a_notebook_expects(kernel: Kernel) -> None:
    shown = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert "image/png" in shown
    assert kernel.run("import os; print(os.listdir('.'))") == "[]\n"
    assert "True" in kernel.run(
        "from pyspark.sql import SparkSession\nprint(SparkSession.builder.getOrCreate() is spark)"
    )
    kernel.run("spark.range(10).write.saveAsTable('numbers')")
    assert kernel.run("print(spark.table('numbers').count())") == "10\n"
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in kernel.run("print(sorted(os.environ))")


@pytest.mark.capability("KN-08")
def test_idle_kernels_are_culled_and_no_others(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    gateway = rig.gateway(cluster_id)

    def there() -> set[str]:
        headers = {"Authorization": f"token {gateway.token}"}
        found = (
            httpx.get(f"http://{gateway.address}/api/kernels", headers=headers, timeout=60).raise_for_status().json()
        )
        return {one["id"] for one in found}

    kernel.run("kept = 40")
    idle, busy = (rig.kernel(cluster_id, "python3") for _ in range(2))
    idle.run("1 + 1")
    running = busy.begin("import time\nprint('begun', flush=True)\ntime.sleep(600)")
    busy.result(running, until="begun")
    for one in (idle, busy):
        one.leave()
    until("the idle one is gone", lambda: idle.id not in there())
    # One runs, the other is open.
    assert {busy.id, kernel.id} <= there()
    assert kernel.run("print(kept)") == "40\n"
    busy.close()


def test_another_cannot_use_the_gateway(rig: ClusterRig, cluster_id: str) -> None:
    address = rig.gateway(cluster_id).address
    assert httpx.get(f"http://{address}/api/kernels", timeout=60).status_code == 401
    assert (
        httpx.get(f"http://{address}/api/kernels", headers={"Authorization": "token x"}, timeout=60).status_code == 401
    )


def test_the_agents_death_does_not_touch_it(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    kernel.run("kept = 41")
    rig.agent.kill()
    assert kernel.run("print(kept + 1)") == "42\n"
    rig.agent.start()
    until("nothing is missed", lambda: rig.play.controller.changed() == [])
    assert kernel.run("print(spark.range(5).count())") == "5\n"


def test_a_dead_worker_is_replaced(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    runtime = rig.agent.runtime
    worker = f"{cluster_id}/{rig.play.nodes(cluster_id)[1].id}/worker"
    before = runtime.observe(worker)
    os.kill(before.pid, signal.SIGKILL)
    runtime.wait(worker, WorkloadState.RUNNING, 60)
    while (seen := runtime.observe(worker)).state is not WorkloadState.RUNNING or seen.pid == before.pid:
        rig.turn(cluster_id)
        runtime.wait(worker, seen.state, 1)
    assert rig.play.state(cluster_id) == "WAITING"
    assert kernel.run("print(spark.range(0, 1000, 1, 8).selectExpr('sum(id)').first()[0])") == "499500\n"


LONG = """
def slow(number):
    import time
    time.sleep(1)
    return number
from pyspark.sql.functions import udf, col
slow = udf(slow, "long")
print(spark.range(0, 24, 1, 24).select(slow("id").alias("n")).repartition(3).selectExpr("sum(n)").first()[0])
"""


def resize(rig: ClusterRig, cluster_id: str, count: int) -> None:
    call = rig.play.emr.call
    (core,) = [
        group
        for group in call("ListInstanceGroups", ClusterId=cluster_id)["InstanceGroups"]
        if group["InstanceGroupType"] == "CORE"
    ]
    change = {"InstanceGroupId": core["Id"], "InstanceCount": count}
    call("ModifyInstanceGroups", ClusterId=cluster_id, InstanceGroups=[change])


def until_alive(rig: ClusterRig, cluster_id: str, count: int) -> None:
    deadline = time.monotonic() + 400
    primary = rig.play.nodes(cluster_id)[0]
    while rig.turn(cluster_id) is not None or len(NodeProbe().alive_workers(primary)) != count:
        nodes = [(n.role, n.state, n.leaving_since, n.end_reason) for n in rig.play.nodes(cluster_id)]
        assert time.monotonic() < deadline, str(nodes)


def running_tasks(rig: ClusterRig, cluster_id: str) -> int:
    load = NodeProbe().load(rig.play.row(cluster_id), rig.play.nodes(cluster_id)[0])
    return load.running_tasks if load else 0


def test_it_grows_and_a_running_job_survives_that_it_shrinks(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    resize(rig, cluster_id, 3)
    until_alive(rig, cluster_id, 3)
    living = [node.bind_ip for node in rig.play.nodes(cluster_id)[1:] if node.state == "RUNNING"]
    assert len(living) == 3
    deadline = time.monotonic() + 400
    while kernel.run(BOTH_WORKERS).strip() != f"{sorted(living)} 16":
        assert time.monotonic() < deadline
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(kernel.run, LONG)
        while running_tasks(rig, cluster_id) < 3:
            # Over before it was seen to be everywhere: once more.
            job = pool.submit(kernel.run, LONG) if job.done() else job
            assert time.monotonic() < deadline + 60
        resize(rig, cluster_id, 2)
        until_alive(rig, cluster_id, 2)
        assert job.result() == "276\n"
    assert rig.play.state(cluster_id) == "WAITING"


def test_the_end_leaves_nothing(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> None:
    assert processes_of(cluster_id)
    rig.terminate(cluster_id)
    until("no process is left", lambda: not processes_of(cluster_id))
    until("its folder is gone", lambda: not (rig.play.emr.settings.clusters_dir / cluster_id).exists())
    assert list((rig.play.emr.settings.logs_dir / "clusters" / cluster_id).glob("*-master.log"))
