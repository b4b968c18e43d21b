"""Spark that is not ours, registered by its URL: notebooks on a Spark Connect server and on a Livy elsewhere.

The servers are those of a cluster of this machine, reached by lines that the administrator has allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emr_studio.clock import SystemClock
from emr_studio.clusters.model import primary_of
from emr_studio.clusters.ui_keys import livy_token, token_for, ui_key
from tests.support.cable import Cable
from tests.support.cluster_rig import ClusterRig, cluster_rig, processes_of
from tests.support.studio import until

pytestmark = pytest.mark.soak
WAIT = 240
READY = {"Message": "Cluster ready."}
SLOW = """
from pyspark.sql import functions as f
spark.range(4).select(f.udf(lambda n: __import__("time").sleep(600), "string")("id")).collect()
"""
SLOW_RDD = "sc.parallelize(range(4), 4).map(lambda _: __import__('time').sleep(600)).count()"


class Scene:
    """A cluster with Livy, and lines to its Spark Connect server and its Livy."""

    def __init__(self, rig: ClusterRig, lines: dict[str, Cable]) -> None:
        self.rig = rig
        self.cluster_id = rig.create(core=0)
        row = rig.play.row(self.cluster_id)
        with rig.play.emr.database.read() as session:
            host = primary_of(session, self.cluster_id).bind_ip
        self.connect_token, self.livy_token = row.connect_token, livy_token(row.secret)
        lines["connect"].target, lines["livy"].target = (host, 15002), (host, 8998)
        self.connect_url = f"sc://localhost:{lines['connect'].port}"
        self.livy_url = f"http://localhost:{lines['livy'].port}"
        self.livy = httpx.Client(base_url=f"http://{host}:8998", auth=("admin", self.livy_token), timeout=60)

    def deregister(self, cluster_id: str) -> None:
        self.rig.play.emr.call("DeregisterCluster", ClusterId=cluster_id)
        self.rig.until(cluster_id, "TERMINATED")
        # The driver of a session of Livy's has the name of the session in its command line.
        until("nothing is left of it", lambda: not processes_of(cluster_id), WAIT)

    def sessions(self) -> list[dict[str, Any]]:
        """What Livy itself has."""
        return list(self.livy.get("/sessions").raise_for_status().json()["sessions"])

    def is_busy(self) -> bool:
        """Whether a session of Livy's runs a statement."""
        return any(one["state"] == "busy" for one in self.sessions())

    def active_stages(self) -> int:
        """Stages that the Connect server's Spark works on at this moment."""
        row = self.rig.play.row(self.cluster_id)
        headers = {"Authorization": f"Bearer {token_for(ui_key(row.secret), SystemClock().now())}"}
        pages = f"http://{self.livy.base_url.host}:4040/api/v1/applications"
        (application,) = httpx.get(pages, headers=headers, timeout=60).raise_for_status().json()
        stages = httpx.get(f"{pages}/{application['id']}/stages?status=active", headers=headers, timeout=60)
        return len(stages.raise_for_status().json())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("outside")
    lines = {name: Cable(0) for name in ("connect", "livy")}
    (folder / "agent").mkdir()
    allowed = ",".join(f"127.0.0.1:{line.port}" for line in lines.values())
    (folder / "agent" / "emr-studio.toml").write_text(f'outside_local_targets = "{allowed}"\n')
    with cluster_rig(folder) as rig:
        made = Scene(rig, lines)
        yield made
        made.livy.close()
    for line in lines.values():
        line.close()


@pytest.fixture(scope="module")
def connect(scene: Scene) -> str:
    """A registered Spark Connect server that is ready."""
    cluster_id = scene.rig.register("SPARK_CONNECT", f"{scene.connect_url}/;token={scene.connect_token};user_id=ana")
    until("it is ready", lambda: scene.rig.reason(cluster_id) == READY, WAIT)
    return cluster_id


@pytest.fixture(scope="module")
def livy(scene: Scene) -> str:
    """A registered Livy that is ready."""
    cluster_id = scene.rig.register("LIVY", scene.livy_url, UserName="admin", Password=scene.livy_token)
    until("it is ready", lambda: scene.rig.reason(cluster_id) == READY, WAIT)
    return cluster_id


def offered(scene: Scene, cluster_id: str) -> set[str]:
    gateway = scene.rig.gateway(cluster_id)
    headers = {"Authorization": f"token {gateway.token}"}
    answer = httpx.get(f"http://{gateway.address}/api/kernelspecs", headers=headers, timeout=60)
    return set(answer.raise_for_status().json()["kernelspecs"])


def test_a_notebook_uses_their_spark_connect(scene: Scene, connect: str) -> None:
    assert offered(scene, connect) == {"pysparkkernel", "sqlkernel", "python3"}
    kernel = scene.rig.kernel(connect)
    assert kernel.run("x = spark.range(10).count()\nprint(x)") == "10\n"
    assert scene.connect_url in kernel.run("%info")
    kernel.restart()
    assert "NameError" in kernel.run("x")
    sql = scene.rig.kernel(connect, "sqlkernel")
    assert "7" in sql.run("SELECT 3 + 4 AS seven")
    sql.close()
    kernel.begin(SLOW)
    until("it runs there", scene.active_stages, WAIT)
    kernel.leave()
    scene.deregister(connect)
    until("nothing runs there", lambda: not scene.active_stages(), WAIT)


def test_a_notebook_uses_their_livy(scene: Scene, livy: str) -> None:
    assert offered(scene, livy) == {"pysparkkernel", "sparkkernel", "sqlkernel"}
    kernel = scene.rig.kernel(livy)
    assert not scene.sessions()
    said = kernel.run("x = spark.range(10).count()\nprint(x)")
    (session,) = scene.sessions()
    assert f"Livy session {session['id']}" in said
    assert said.endswith("10\n")
    assert "2\t4" in kernel.run("%%sql\nSELECT id, id * 2 AS twice FROM range(3)")
    assert "ZeroDivisionError" in kernel.run("1/0")
    assert "range" in " ".join(kernel.complete("spark.ran"))
    cell = kernel.begin(SLOW_RDD)
    until("Livy runs it", scene.is_busy, WAIT)
    kernel.interrupt()
    assert "interrupted" in kernel.result(cell)
    jobs = "print(x + 1, sc.statusTracker().getActiveJobsIds())"
    until("its jobs are cancelled", lambda: kernel.run(jobs) == "11 []\n", WAIT)
    kernel.begin(SLOW_RDD)
    until("Livy runs it", scene.is_busy, WAIT)
    kernel.leave()
    scene.deregister(livy)
    until("nothing runs there", lambda: not scene.sessions(), WAIT)


@pytest.mark.parametrize(
    ("kind", "where", "code"),
    [
        ("SPARK_CONNECT", "connect_url", "CREDENTIALS_REFUSED"),
        ("LIVY", "livy_url", "CREDENTIALS_REFUSED"),
        ("SPARK_CONNECT", "livy_url", "NO_SPARK_CONNECT"),
    ],
)
def test_what_is_wrong_is_told(scene: Scene, kind: str, where: str, code: str) -> None:
    url = getattr(scene, where).replace("http:", "sc:" if kind == "SPARK_CONNECT" else "http:")
    cluster_id = scene.rig.register(kind, url, Token="wrong")
    until("the reason", lambda: scene.rig.reason(cluster_id).get("Code") == code, WAIT)
    scene.deregister(cluster_id)
