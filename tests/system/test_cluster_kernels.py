"""The kernels of a real cluster: each runs Spark, completes, explains, is interrupted with its jobs, and restarts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidHandshake

from emr_studio.clusters.probe import Load, NodeProbe
from emr_studio.loopback import free_port
from emr_studio.runtime.contract import Gateway, WorkloadState
from tests.support.cluster_rig import ClusterRig, Kernel, cluster_rig
from tests.support.studio import until

ROOT = Path(__file__).resolve().parents[2]
SLOW = """
def slow(rows):
    import time
    for row in rows:
        time.sleep(600)
        yield row
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    with cluster_rig(tmp_path_factory.mktemp("kernels")) as made:
        yield made


@pytest.fixture(scope="module")
def cluster_id(rig: ClusterRig) -> str:
    # The rig has no Data Catalog.
    own = {"Classification": "spark-defaults", "Properties": {"spark.sql.catalogImplementation": "in-memory"}}
    return rig.create(core=1, Configurations=[own])


@contextmanager
def kernel(rig: ClusterRig, cluster_id: str, name: str) -> Iterator[Kernel]:
    made = rig.kernel(cluster_id, name)
    try:
        yield made
    finally:
        made.close()


def master(rig: ClusterRig, cluster_id: str) -> dict[str, list[dict[str, object]]]:
    primary = rig.play.nodes(cluster_id)[0]
    found: dict[str, list[dict[str, object]]] = httpx.get(f"http://{primary.bind_ip}:8080/json/", timeout=60).json()
    return found


def load(rig: ClusterRig, cluster_id: str) -> Load:
    """What runs on the cluster now."""
    primary = rig.play.nodes(cluster_id)[0]
    found = until("Spark tells", lambda: NodeProbe().load(rig.play.row(cluster_id), primary))
    assert found is not None
    return found


def specs(rig: ClusterRig, cluster_id: str) -> dict[str, dict[str, dict[str, str]]]:
    """The kernels that are offered, by name."""
    gateway = rig.gateway(cluster_id)
    headers = {"Authorization": f"token {gateway.token}"}
    answer = httpx.get(f"http://{gateway.address}/api/kernelspecs", headers=headers, timeout=60).raise_for_status()
    return dict(answer.json()["kernelspecs"])


def test_all_kinds_are_offered(rig: ClusterRig, cluster_id: str) -> None:
    found = specs(rig, cluster_id)
    names = {name: (one["spec"]["display_name"], one["spec"]["language"]) for name, one in found.items()}
    assert names == {
        "pysparkkernel": ("PySpark", "python"),
        "pysparkclassic": ("PySpark (classic)", "python"),
        "sparkkernel": ("Spark", "scala"),
        "sqlkernel": ("SQL", "sql"),
        "sparkrkernel": ("SparkR", "R"),
        "python3": ("Python 3", "python"),
    }


def test_a_kernel_is_forked_with_everything_imported(rig: ClusterRig, cluster_id: str) -> None:
    """What makes it start in no time; how long that is, `bench/clusters` measures."""
    host = rig.agent.runtime.observe(f"{cluster_id}/{rig.play.nodes(cluster_id)[0].id}/kernels")
    wanted = {"pandas", "matplotlib.pyplot", "pyspark.sql.connect.session", "ipykernel.debugger"}
    look = f"import os, sys; print(os.getppid(), {wanted} - set(sys.modules))"
    with kernel(rig, cluster_id, "python3") as python:
        assert python.run(look) == f"{host.pid} set()\n"


WHEEL = """
import json, zipfile
spec = {"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Added"}
files = {
    "ripe.py": "fruit = 'pear'",
    "added-1.data/data/share/jupyter/kernels/added/kernel.json": json.dumps(spec | {"language": "python"}),
    "added-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: added\\nVersion: 1\\n",
    "added-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "added-1.dist-info/RECORD": "",
}
with zipfile.ZipFile("added-1-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
"""


def test_a_library_and_a_kernel_are_added_to_the_cluster(rig: ClusterRig, cluster_id: str) -> None:
    """By pip, from a notebook, for all that run there; the host keeps the new kernel like any other."""
    with kernel(rig, cluster_id, "python3") as python:
        python.run(WHEEL)
        python.run("!pip install --quiet --no-index --no-deps ./added-1-py3-none-any.whl")
        assert python.run("import ripe; print(ripe.fruit)") == "pear\n"
    with kernel(rig, cluster_id, "added") as added:
        assert added.run("import ripe; mine = 1; print(ripe.fruit)") == "pear\n"
        added.restart()
        assert "NameError" in added.run("mine")
    with kernel(rig, cluster_id, "python3") as python:
        assert python.run("!pip list | grep added").split() == ["added", "1"]
        python.run("import os, shutil; shutil.rmtree(os.path.join(os.environ['PIP_TARGET'], 'share'))")
        assert "added" not in specs(rig, cluster_id)


@pytest.mark.parametrize("name", ["python3", "pysparkkernel"])
def test_a_gateway_that_is_killed_finds_its_kernels_again(rig: ClusterRig, cluster_id: str, name: str) -> None:
    workload = f"{cluster_id}/{rig.play.nodes(cluster_id)[0].id}/gateway"
    gateway = rig.gateway(cluster_id)
    with kernel(rig, cluster_id, name) as python:
        python.run("import random; kept = 41")
        other = rig.kernel(cluster_id, name)
        assert python.run("random.random()") != other.run("import random; random.random()")
        before = rig.agent.runtime.observe(workload)
        os.kill(before.pid, signal.SIGKILL)
        while (
            seen := rig.agent.runtime.observe(workload)
        ).pid == before.pid or seen.state is not WorkloadState.RUNNING:
            rig.turn(cluster_id)
        until(
            "the gateway answers",
            lambda: NodeProbe().kernels(rig.play.row(cluster_id), rig.play.nodes(cluster_id)[0]) == 2,
        )
        again = until("it is connected", lambda: connected(gateway, python.id))
        assert again is not None
        assert again.run("print(kept + 1)") == "42\n"
        again.restart()
        assert "NameError" in again.run("kept")
        again.close()
        other.close()
    until("both are gone", lambda: NodeProbe().kernels(rig.play.row(cluster_id), rig.play.nodes(cluster_id)[0]) == 0)


def test_a_host_that_is_killed_takes_its_kernels_along_and_they_start_anew(rig: ClusterRig, cluster_id: str) -> None:
    workload = f"{cluster_id}/{rig.play.nodes(cluster_id)[0].id}/kernels"
    python = rig.kernel(cluster_id, "python3")
    python.run("kept = 41")
    before = rig.agent.runtime.observe(workload)
    os.kill(before.pid, signal.SIGKILL)
    while (seen := rig.agent.runtime.observe(workload)).pid == before.pid or seen.state is not WorkloadState.RUNNING:
        rig.turn(cluster_id)
    again = until("it is connected", lambda: connected(rig.gateway(cluster_id), python.id))
    assert again is not None
    assert "NameError" in again.run("kept")
    again.close()
    python.leave()


def connected(gateway: Gateway, kernel_id: str) -> Kernel | None:
    try:
        return Kernel(gateway, "python3", kernel_id)
    except (InvalidHandshake, OSError):
        return None


@pytest.fixture
def lab(rig: ClusterRig, cluster_id: str, tmp_path: Path) -> Iterator[Gateway]:
    """Stock JupyterLab, told of the cluster's gateway by its own options."""
    gateway, port = rig.gateway(cluster_id), free_port()
    places = {name: str(tmp_path) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=lab"]
    options += [f"--gateway-url=http://{gateway.address}", f"--GatewayClient.auth_token={gateway.token}"]
    with (tmp_path / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            [str(ROOT / ".envs/workspace/bin/jupyter-lab"), *options],
            cwd=tmp_path,
            env=os.environ | places,
            stdout=log,
            stderr=log,
        )
    try:
        address = f"127.0.0.1:{port}"
        until("JupyterLab answers", lambda: answers(address))
        yield Gateway(address, "lab", cluster_id)
    finally:
        server.terminate()
        server.wait(120)


def answers(address: str) -> bool:
    try:
        return (
            httpx.get(f"http://{address}/api/status", headers={"Authorization": "token lab"}, timeout=60).status_code
            == 200
        )
    except httpx.HTTPError:
        return False


def test_a_stock_jupyterlab_works_against_the_gateway(lab: Gateway) -> None:
    specs = httpx.get(
        f"http://{lab.address}/api/kernelspecs", headers={"Authorization": f"token {lab.token}"}, timeout=60
    ).json()
    assert {"python3", "pysparkkernel", "sqlkernel"} <= set(specs["kernelspecs"])
    python = Kernel(lab, "python3")
    assert python.run("kept = 6; print(kept * 7)") == "42\n"
    assert python.complete("kep") == ["kept"]
    running = python.begin("import time\nprint('begun', flush=True)\ntime.sleep(600)")
    python.result(running, until="begun")
    python.interrupt()
    assert "KeyboardInterrupt" in python.result(running)
    python.restart()
    assert "NameError" in python.run("kept")
    python.close()


def test_python_has_the_commands_of_the_node(rig: ClusterRig, cluster_id: str) -> None:
    with kernel(rig, cluster_id, "python3") as python:
        assert python.run("1 + 1").startswith("2")
        assert "version 4.1" in python.run("!spark-submit --version 2>&1 | grep version")


@pytest.mark.soak
def test_classic_pyspark(rig: ClusterRig, cluster_id: str, tmp_path: Path) -> None:
    with kernel(rig, cluster_id, "pysparkclassic") as classic:
        assert "45\n" in classic.run("print(sc.parallelize(range(10), 2).map(lambda n: n).sum())", 180)
        assert "spark://" in classic.run("print(sc.master, spark.range(5).count())")
        assert "parallelize" in classic.complete("sc.para")
        assert "SparkContext" in classic.inspect("sc")
        running = classic.begin(f"{SLOW}\nprint('begun', flush=True)\nsc.parallelize([1], 1).mapPartitions(slow).sum()")
        classic.result(running, until="begun")
        jobs = "print(len(sc.statusTracker().getActiveJobsIds()))"
        primary = rig.play.nodes(cluster_id)[0]
        load = NodeProbe().load
        until(
            "it has an executor",
            lambda: (found := load(rig.play.row(cluster_id), primary)) and found.running_applications > 0,
            60,
        )
        classic.interrupt()
        assert "KeyboardInterrupt" in classic.result(running, 120)
        until("its job is cancelled", lambda: classic.run(jobs).strip() == "0")
        classic.restart()
        assert "NameError" in classic.run("slow")
    until("its driver is gone", lambda: len(master(rig, cluster_id)["activeapps"]) == 1)


def test_an_interrupt_stops_the_job_of_a_connect_session(rig: ClusterRig, cluster_id: str) -> None:
    def running_tasks() -> int:
        return load(rig, cluster_id).running_tasks

    with kernel(rig, cluster_id, "pysparkkernel") as connect:
        connect.run("spark.range(1).count()")
        running = connect.begin(
            "import time\nfrom pyspark.sql.functions import udf\n"
            "spark.range(0, 4, 1, 4).select(udf(lambda n: time.sleep(600), 'long')('id')).collect()"
        )
        until("its tasks run", lambda: running_tasks() > 0)
        connect.interrupt()
        assert "KeyboardInterrupt" in connect.result(running, 120)
        until("its tasks are gone", lambda: running_tasks() == 0)
        assert connect.run("print(spark.range(7).count())") == "7\n"
        assert "needs a driver of this notebook" in connect.run("sc.parallelize([1])")


def test_sql(rig: ClusterRig, cluster_id: str) -> None:
    with kernel(rig, cluster_id, "sqlkernel") as sql:
        made = "CREATE TEMP VIEW fruit AS SELECT * FROM VALUES ('apple; red', 3), ('pear', 4) AS t(name, pieces);"
        shown = sql.run(f"-- a comment;\n{made}\nSELECT name, pieces FROM fruit ORDER BY pieces")
        assert "apple; red" in shown
        assert "text/html" in shown
        assert "TABLE_OR_VIEW_NOT_FOUND" in sql.run("SELECT * FROM nothing")
        assert "fruit" in sql.complete("SELECT * FROM fru")
        assert "pieces" in sql.complete("SELECT name FROM fruit WHERE pie")
        assert "pieces" in sql.inspect("SELECT * FROM fruit")
        running = sql.begin("SELECT count(*) FROM range(1000000000000) WHERE sin(id) > 2")
        sql.begun(running)
        until("its tasks run", lambda: load(rig, cluster_id).running_tasks > 0)
        sql.interrupt()
        assert "interrupted" in sql.result(running, 120)
        until("its tasks are gone", lambda: load(rig, cluster_id).running_tasks == 0)
        assert "apple; red" in sql.run("SELECT name FROM fruit")
        sql.restart()
        assert "TABLE_OR_VIEW_NOT_FOUND" in sql.run("SELECT * FROM fruit")


@pytest.mark.soak
def test_scala(rig: ClusterRig, cluster_id: str) -> None:
    with kernel(rig, cluster_id, "sparkkernel") as scala:
        assert "Long = 3" in scala.run(
            "case class Row(a: Int)\nval n = Seq(Row(1), Row(2), Row(3)).toDS().count()", 180
        )
        assert "12\n" in scala.run("println(sc.parallelize(1 to 3).map(_ * 2).sum.toInt)")
        assert "parallelize" in scala.complete("sc.paralle")
        assert "n: Long" in scala.inspect("n")
        assert "error" in scala.run("val x: Int = true")
        running = scala.begin("println(1)\nsc.parallelize(1 to 1, 1).map { n => Thread.sleep(600000); n }.sum")
        scala.result(running, until="1\n")
        scala.interrupt()
        assert "interrupted" in scala.result(running, 120)
        assert "9" in scala.run("4 + 5")
        scala.restart()
        assert "not found: value n" in scala.run("n", 180)
        assert "6.0" in scala.run("sc.parallelize(1 to 3).sum")


R_ROWS = """
made <- createDataFrame(data.frame(id = c(1L, NA), name = c("p\u00e4r", "fig"), price = c(0.5, NaN)))
createOrReplaceTempView(made, "fruit")
rows <- collect(arrange(filter(made, made$name != "none"), "name"))
cat(sapply(rows, class), rows$name, rows$id, rows$price, sep = ",")
"""
R_GROUPS = """
df <- sql("SELECT id, id % 2 AS odd, DATE'2024-02-29' AS day FROM range(10)")
sums <- collect(arrange(agg(groupBy(df, df$odd), total = sum(df$id), n = n(df$id)), "odd"))
cat(sums$total, sums$n, format(head(df, 1)$day), count(df[df$id > 6, ]), nrow(df))
"""


@pytest.mark.skipif(shutil.which("R") is None, reason="R is not installed: deploy/install.sh, as root, installs it")
def test_sparkr(rig: ClusterRig, cluster_id: str) -> None:
    with kernel(rig, cluster_id, "sparkrkernel") as r:
        assert "[1] 2" in r.run("1 + 1")
        assert r.run("cat(nrow(collect(spark$range(5))), count(sql('SELECT * FROM range(7)')))") == "5 7"
        assert r.run(R_ROWS) == "integer,character,numeric,fig,p\u00e4r,NA,1,NaN,0.5"
        assert r.run(R_GROUPS) == "20 25 5 5 2024-02-29 3 10"
        assert "SparkDataFrame[id:int, name:string, price:double]" in r.run("sql('SELECT * FROM fruit')")
        assert "TABLE_OR_VIEW_NOT_FOUND" in r.run("sql('SELECT * FROM nothing')")
        assert "createDataFrame" in r.complete("createDataF")
        assert "standard deviation" in r.inspect("sd")
        running = r.begin(
            "cat('begun')\ncollect(sql('SELECT count(*) FROM range(1000000000000) WHERE sin(id) > 2'))\ncat('on')"
        )
        until("its tasks run", lambda: load(rig, cluster_id).running_tasks > 0)
        r.interrupt()
        interrupted = r.result(running, 120)
        assert "interrupted" in interrupted
        assert "on" not in interrupted
        until("its tasks are gone", lambda: load(rig, cluster_id).running_tasks == 0)
        assert "n\n" in r.run("%%sql\nSELECT count(*) AS n FROM fruit")
        assert r.run("%%pyspark\nspark.table('fruit').count()") == "2text/plain\n"
        assert "choose Spark" in r.run("%%scalaspark\n1")
        assert "R has ended" in r.run("tools::pskill(Sys.getpid(), 9)")
        assert r.run("cat(count(tableToDF('fruit')))") == "2"
        r.restart()
        assert "TABLE_OR_VIEW_NOT_FOUND" in r.run("tableToDF('fruit')")
        assert r.run("cat(Sys.getenv('AWS_CONTAINER_CREDENTIALS_FULL_URI') != '')") == "TRUE"


LIBRARY = "colorama==0.4.6"
LOOK = """
def version(rows):
    try:
        import colorama
        yield colorama.__version__
    except ImportError:
        yield "none"
"""
CONNECT_LOOK = (
    LOOK + "from pyspark.sql.functions import udf\n"
    "print(spark.range(1).select(udf(lambda _: next(version([])), 'string')('id')).first()[0])"
)
CLASSIC_LOOK = LOOK + "print(sc.parallelize([1], 1).mapPartitions(version).first())"


@pytest.mark.soak
@pytest.mark.capability("KN-05")
@pytest.mark.parametrize(("name", "look"), [("pysparkkernel", CONNECT_LOOK), ("pysparkclassic", CLASSIC_LOOK)])
def test_libraries_of_one_notebook(rig: ClusterRig, cluster_id: str, name: str, look: str) -> None:
    with kernel(rig, cluster_id, name) as mine, kernel(rig, cluster_id, "pysparkkernel") as other:
        assert "none" in mine.run(look, 180)
        assert "Successfully installed colorama-0.4.6" in mine.run(f"sc.install_pypi_package('{LIBRARY}')", 180)
        assert mine.run("import colorama; print(colorama.__version__)") == "0.4.6\n"
        assert "0.4.6" in mine.run(look)
        assert "colorama" in mine.run("sc.list_packages()")
        assert "none" in other.run(CONNECT_LOOK)
        assert "none" not in other.run("%pip install --quiet " + LIBRARY, 180)
        assert "0.4.6" in other.run(CONNECT_LOOK)
        assert "Removed colorama" in mine.run("sc.uninstall_package('colorama')")
        assert "only such packages" in mine.run("sc.uninstall_package('numpy')")
        other.restart()
        assert "none" in other.run(CONNECT_LOOK, 180)
