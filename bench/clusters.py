"""Clusters and kernels beside the same Spark started by hand, a stock kernel gateway, and classic pyspark.

The peers run from the cluster's own environment, so that versions are equal; whatever a person would
start at the same time is started at the same time.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.processes import server
from bench.results import Figure, lower_is_better
from emr_studio.clusters.model import Cluster, gateway_of
from emr_studio.db import Database
from emr_studio.loopback import free_port
from emr_studio.runtime.contract import Gateway
from tests.support.cluster_rig import Kernel
from tests.support.studio import Studio, running, until

RUNS = 3
KERNEL_RUNS = 7
RELEASE = "emr-8.0.0"
BY_HAND = "Spark started by hand"
STOCK_GATEWAY = "jupyter_kernel_gateway"
CLASSIC = "classic pyspark, local mode"
SUM = "print(spark.range(1000).selectExpr('sum(id)').first()[0])"
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
_HEAP = "1g"
_SETTLED = dt.timedelta(seconds=15)


def measure(studio: Studio) -> list[Figure]:
    """Cold and warm clusters to the first result of Spark, kernels to their first result."""
    cold, by_hand, warm, classic = [], [], [], []
    python, stock = list[float](), list[float]()
    for number in range(RUNS):
        by_hand.append(_by_hand())
        begun = time.monotonic()
        cluster = _Ours(studio, number)
        cluster.first_result()
        cold.append(time.monotonic() - begun)
        warm.append(cluster.first_result())
        classic.append(_classic())
        print(f"  {number}: cold {cold[-1]:.2f} s, by hand {by_hand[-1]:.2f} s, warm {warm[-1]:.2f} s, ", end="")
        print(f"classic {classic[-1]:.2f} s", flush=True)
        if number == RUNS - 1:
            python, stock = _kernels(cluster.gateway)
        cluster.end()
    spare = _spares()
    return [
        lower_is_better("cold cluster of 3 nodes to the first Spark result", "s", cold, by_hand, BY_HAND),
        lower_is_better("warm spare: RunJobFlow to the first Spark result", "s", spare, by_hand, BY_HAND),
        lower_is_better("new kernel on a warm cluster to the first Spark result", "s", warm, classic, CLASSIC),
        lower_is_better("new Python kernel to the first result", "s", python, stock, STOCK_GATEWAY),
    ]


class _Ours:
    """A cluster of a studio, made and used through the API and the kernel gateway."""

    def __init__(self, studio: Studio, number: int, nodes: int = 3) -> None:
        self._studio = studio
        self._emr = studio.client("emr")
        self.id = str(self._emr.run_job_flow(**_request(studio, f"bench-{number}", nodes))["JobFlowId"])
        until(f"{self.id} is WAITING", lambda: self._state() == "WAITING", 120)

    def _state(self) -> str:
        return str(self._emr.describe_cluster(ClusterId=self.id)["Cluster"]["Status"]["State"])

    @property
    def gateway(self) -> Gateway:
        database = Database(self._studio.settings.sqlalchemy_url)
        try:
            with database.read() as session:
                return gateway_of(session, session.get_one(Cluster, self.id))
        finally:
            database.dispose()

    def first_result(self) -> float:
        """Seconds from asking for a new Spark kernel to the first sum."""
        begun = time.monotonic()
        kernel = Kernel(self.gateway, "pysparkkernel")
        assert "499500" in kernel.run(SUM)
        took = time.monotonic() - begun
        kernel.close()
        return took

    def end(self) -> None:
        self._emr.terminate_job_flows(JobFlowIds=[self.id])
        until(f"{self.id} is TERMINATED", lambda: self._state() == "TERMINATED", 60)


def _request(studio: Studio, name: str, nodes: int) -> dict[str, Any]:
    groups = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}]
    if nodes > 1:
        groups.append({"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": nodes - 1})
    return {
        "Name": name,
        "ReleaseLabel": RELEASE,
        "Applications": [{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
        "ServiceRole": "EMR_DefaultRole_V2",
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "Instances": {
            "InstanceGroups": groups,
            "KeepJobFlowAliveWhenNoSteps": True,
            "Ec2SubnetId": studio.json["network"]["subnet_ids"][0],
        },
    }


def _spares() -> list[float]:
    """RunJobFlow to the first result, where a spare of that size is at hand."""
    took = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running(Path(folder) / "s", EMR_STUDIO_WARM_SPARES="1") as studio,
    ):
        _Ours(studio, 0).end()
        for number in range(RUNS):
            until("a spare has waited", lambda: _spare_waits(studio), 180)
            begun = time.monotonic()
            cluster = _Ours(studio, number)
            ready = time.monotonic() - begun
            cluster.first_result()
            took.append(time.monotonic() - begun)
            print(f"  spare {number}: WAITING after {ready:.2f} s, first result after {took[-1]:.2f} s", flush=True)
            cluster.end()
    return took


def _spare_waits(studio: Studio) -> bool:
    """Whether there is one that has done with its own start: nobody comes in the second in which it is ready."""
    settled = dt.datetime.now(dt.UTC) - _SETTLED
    database = Database(studio.settings.sqlalchemy_url)
    try:
        with database.read() as session:
            spares = session.query(Cluster).filter(Cluster.account_id == "", Cluster.state == "WAITING").all()
            return any(spare.phase_since <= settled for spare in spares)
    finally:
        database.dispose()


# Peers.


def _environment() -> tuple[str, dict[str, str]]:
    """The release's Python, and what its Spark needs to find itself."""
    python = str(Path(".envs", RELEASE, "bin", "python").absolute())
    code = "import os, pyspark; print(os.path.dirname(pyspark.__file__))"
    home = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    own = {"SPARK_HOME": home, "PYSPARK_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    return python, own


def _by_hand() -> float:
    """Master, two workers, Connect server, all started at once; then a client's first sum."""
    python, own = _environment()
    master, connect = free_port(), free_port()
    url = f"spark://127.0.0.1:{master}"
    spark_class = f"{own['SPARK_HOME']}/bin/spark-class"
    deploy = "org.apache.spark.deploy"
    worker = [f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", _HEAP, "--webui-port", "0"]
    commands = [
        [spark_class, f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(master), "--webui-port", "0"],
        [spark_class, *worker, url],
        [spark_class, *worker, url],
        [
            f"{own['SPARK_HOME']}/bin/spark-submit",
            *("--class", _CONNECT, "--master", url, "--conf", "spark.ui.enabled=false"),
            *("--conf", f"spark.connect.grpc.binding.port={connect}"),
        ],
    ]
    code = f"from pyspark.sql import SparkSession as S; spark = S.builder.remote('sc://127.0.0.1:{connect}')"
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hand-") as folder, ExitStack() as stack:
        for number, command in enumerate(commands):
            stack.enter_context(_running(command, own, Path(folder) / str(number)))
        until("the Connect server listens", lambda: _listens(connect), 300)
        _sum(python, f"{code}.getOrCreate(); {SUM}", own)
        return time.monotonic() - begun


def _classic() -> float:
    """A process of classic pyspark in local mode, to its first sum."""
    python, own = _environment()
    begun = time.monotonic()
    code = "from pyspark.sql import SparkSession as S; spark = S.builder.master('local[2]').getOrCreate()"
    _sum(python, f"{code}; {SUM}", own | {"SPARK_CONF_DIR": tempfile.gettempdir()})
    return time.monotonic() - begun


def _sum(python: str, code: str, own: dict[str, str]) -> None:
    done = subprocess.run(
        [python, "-c", code], env=os.environ | own, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "499500", done.stdout + done.stderr


@contextmanager
def _running(command: Sequence[str], own: dict[str, str], folder: Path) -> Iterator[None]:
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kernels(gateway: Gateway) -> tuple[list[float], list[float]]:
    """Seconds from asking for a Python kernel to its first result: ours, and the stock gateway's."""
    python, _ = _environment()
    port, token = free_port(), uuid.uuid4().hex
    base = f"http://127.0.0.1:{port}"
    command = [
        *(python, "-m", "kernel_gateway"),
        *("--KernelGatewayApp.ip=127.0.0.1", f"--KernelGatewayApp.port={port}"),
        f"--KernelGatewayApp.auth_token={token}",
    ]
    stock = Gateway(f"127.0.0.1:{port}", token, "")
    with (
        tempfile.TemporaryDirectory(prefix="gateway-") as folder,
        server(command, lambda: _answers(base, token), Path(folder) / "gateway"),
    ):
        ours, theirs = [], []
        for number in range(KERNEL_RUNS):
            ours.append(_first_python(gateway))
            theirs.append(_first_python(stock))
            print(f"  kernel {number}: {ours[-1]:.3f} s, stock gateway {theirs[-1]:.3f} s", flush=True)
    return ours, theirs


def _answers(base: str, token: str) -> bool:
    try:
        return httpx.get(f"{base}/api/kernelspecs", headers={"Authorization": f"token {token}"}).is_success
    except httpx.HTTPError:
        return False


def _first_python(gateway: Gateway) -> float:
    begun = time.monotonic()
    kernel = Kernel(gateway, "python3")
    assert "499500" in kernel.run("print(sum(range(1000)))")
    took = time.monotonic() - begun
    kernel.close()
    return took
