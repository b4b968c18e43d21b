"""Magics in notebooks of a Workspace: real kernels on a real cluster, through the Workspace's server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from emr_studio.cli.demo.browser import BrowserError, Workspace
from tests.chaos.test_kill_parts import cluster_state, editor_status, start_cluster
from tests.support.cluster_rig import PROGRESS
from tests.support.lab import link
from tests.support.studio import Studio, until
from tests.support.venv_pack import packed

TABLE = "application/vnd.emr-studio.table+json"
SESSION = "application/vnd.emr-studio.session+json"
ROLE = "EMR_EC2_DefaultRole"


@dataclass
class Notebooks:
    """A Workspace that is attached to a cluster, and a kernel of each kind that a test asked for."""

    studio: Studio
    cluster_id: str
    editor: dict[str, Any]
    workspace: Workspace
    kernels: dict[str, str] = field(default_factory=dict)

    def run(self, cell: str, kernel: str = "python3") -> list[dict[str, Any]]:
        if kernel not in self.kernels:
            self.kernels[kernel] = self.workspace.start_session(f"{kernel}.ipynb", kernel)
        shown = self.workspace.run(self.kernels[kernel], cell, 180)
        return [output for output in shown if PROGRESS not in output.get("data", {})]

    def execute(self, cell: str, kernel: str = "python3") -> list[dict[str, Any]]:
        """What is in the notebook after the Workspace's server has run the cell, as JupyterLab has it do."""
        self.run("1", kernel)
        origin, address = self.workspace.origin, f"/api/kernels/{self.kernels[kernel]}/execute"
        place = origin.request("POST", address, json={"code": cell, "metadata": {}}).headers["Location"]
        ended = until("it ends", lambda: done(origin.request("GET", place)), 400)
        assert ended is not None
        found: list[dict[str, Any]] = json.loads(ended.json()["outputs"])
        return found

    def said(self, cell: str) -> str:
        """What the server's run of a cell prints."""
        return "".join("".join(output.get("text", "")) for output in self.execute(cell))

    def text(self, cell: str, kernel: str = "python3") -> str:
        """What the cell prints and shows, in plain words."""
        return "".join(
            str(output.get("text") or output["data"]["text/plain"] + "\n") for output in self.run(cell, kernel)
        )

    def data(self, cell: str, mime: str, kernel: str = "pysparkkernel") -> Any:
        """What the cell shows, in this form."""
        return next(output["data"][mime] for output in self.run(cell, kernel) if mime in output.get("data", {}))

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and prefix of the Workspace's files."""
        bucket, _, prefix = self.editor["S3Location"].removeprefix("s3://").partition("/")
        return bucket, prefix


def done(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 200 else None


@pytest.fixture(scope="module")
def notebooks(studio: Studio) -> Iterator[Notebooks]:
    emr = studio.client("emr", "sample")
    cluster_id = start_cluster(emr, studio, "magics", core=0)
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="magics")["EditorId"]
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    until("the cluster waits", lambda: cluster_state(emr, cluster_id) == "WAITING", 400)
    emr.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    until("it is attached", lambda: editor_status(emr, editor_id) == "Attached")
    workspace = Workspace(link(emr, editor_id))
    yield Notebooks(studio, cluster_id, emr.describe_editor(EditorId=editor_id)["Editor"], workspace)
    workspace.close()
    emr.delete_editor(EditorId=editor_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.mark.capability("MG-01")
def test_magics_are_listed(notebooks: Notebooks) -> None:
    listed = notebooks.text("%lsmagic")
    for name in ("%%sql", "%%display", "%%configure", "%%sh", "%generate_s3_download_url", "%mount_workspace_dir"):
        assert name in listed
    assert "%%sql [-o VAR]" in notebooks.text("%%help")
    assert notebooks.text("%%local\nprint('here')") == "here\n"


@pytest.mark.capability("MG-04")
def test_shell_commands_run_on_the_cluster(notebooks: Notebooks) -> None:
    assert notebooks.text('%%sh\ncat $SPARK_CONF_DIR/../../node.json | grep -o \'"cluster_id": "[^"]*"\'') != ""
    assert notebooks.cluster_id in notebooks.text("%%sh\npwd")
    assert "version 4.1" in notebooks.text("%%sh\nspark-submit --version 2>&1 | grep version")
    with pytest.raises(BrowserError, match="exit status 3"):
        notebooks.run("%%sh\nexit 3")


@pytest.mark.capability("MG-10")
@pytest.mark.parametrize(
    "cell", ["%alias x ls", "%alias_magic t timeit", "%automagic", "%macro m 1", "%%js\n1", "%%javascript\n1"]
)
def test_what_is_blocked(notebooks: Notebooks, cell: str) -> None:
    assert "is not supported in EMR Studio" in notebooks.text(cell)


@pytest.mark.capability("MG-11")
def test_kernels_know_their_workspace(notebooks: Notebooks) -> None:
    shown = notebooks.text(
        "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if 'KERNEL_' in k}))"
    )
    found = json.loads(shown)
    bucket, prefix = notebooks.place
    assert found["KERNEL_WORKSPACE_ID"] == notebooks.editor["EditorId"]
    assert found["KERNEL_WORKSPACE_DIR_S3_LOCATION"] == notebooks.editor["S3Location"]
    assert (found["KERNEL_WORKSPACE_DIR_S3_BUCKET"], found["KERNEL_WORKSPACE_DIR_S3_PREFIX"]) == (
        bucket,
        prefix.strip("/"),
    )
    assert found["KERNEL_NOTEBOOK_PATH"] == "python3.ipynb"


@pytest.mark.capability("MG-12")
def test_for_whom_it_works_cannot_be_changed(notebooks: Notebooks) -> None:
    for cell in ("%env KERNEL_USERNAME=eve", "%set_env KERNEL_USERNAME eve"):
        assert "KERNEL_USERNAME cannot be changed" in notebooks.text(cell)
    assert notebooks.text("import os; print(os.environ.get('KERNEL_USERNAME') == 'eve')") == "False\n"
    for settings in ('{"proxyUser": "eve"}', '{"proxy_user": "eve"}', '{"conf": {"spark.proxy.user": "eve"}}'):
        assert "cannot be changed" in notebooks.text(f"%%configure -f\n{settings}", "pysparkkernel")


VIEW = "CREATE OR REPLACE TEMP VIEW fruit AS SELECT * FROM VALUES ('apple; red', 3), ('pear', 4) AS t(name, pieces)"


def test_sql(notebooks: Notebooks) -> None:
    assert notebooks.run(f"%%sql\n{VIEW}", "pysparkkernel") == []
    found = notebooks.data("%%sql -o fruit\nSELECT name, pieces FROM fruit ORDER BY pieces", TABLE)
    assert found == {
        "columns": [{"name": "name", "kind": "text"}, {"name": "pieces", "kind": "number"}],
        "rows": [["apple; red", 3], ["pear", 4]],
        "more": False,
    }
    assert notebooks.text("print(type(fruit).__module__[:6], int(fruit.pieces.sum()))", "pysparkkernel") == "pandas 7\n"
    assert notebooks.run("%%sql -q -o kept\nSELECT * FROM fruit", "pysparkkernel") == []
    assert notebooks.data("%%sql -n 1\nSELECT * FROM fruit", TABLE)["more"] is True
    assert notebooks.data("%sql SELECT 1 AS one", TABLE)["rows"] == [[1]]
    with pytest.raises(BrowserError, match="TABLE_OR_VIEW_NOT_FOUND") as failed:
        notebooks.run("%%sql\nSELECT * FROM nothing", "pysparkkernel")
    assert "queries.py" not in str(failed.value)


def test_display_takes_any_frame(notebooks: Notebooks) -> None:
    notebooks.run("shown = spark.range(3).selectExpr('id', 'id * 0.5 AS half')", "pysparkkernel")
    found = notebooks.data("%%display shown", TABLE)
    assert found["rows"] == [[0, 0.0], [1, 0.5], [2, 1.0]]
    assert notebooks.data("%%display\nshown.toPandas()", TABLE) == found


@pytest.mark.capability("MG-02")
def test_a_session_is_configured(notebooks: Notebooks) -> None:
    """On a session of the Connect server, and with a driver of its own, which the memory of a JVM needs."""
    partitions = "print(spark.conf.get('spark.sql.shuffle.partitions'))"
    settings = '{"conf": {"spark.sql.shuffle.partitions": "3"}}'
    assert notebooks.text(partitions, "pysparkkernel") == "8\n"
    assert "include the -f argument" in notebooks.text(f"%%configure\n{settings}", "pysparkkernel")
    notebooks.run("spark.range(1).createOrReplaceTempView('mine')", "pysparkkernel")
    assert "spark.sql.shuffle.partitions = 3" in notebooks.text(f"%%configure -f\n{settings}", "pysparkkernel")
    assert notebooks.text(partitions, "pysparkkernel") == "3\n"
    assert notebooks.text("print(spark.catalog.tableExists('mine'))", "pysparkkernel") == "False\n"
    with pytest.raises(BrowserError, match="choose the kernel “PySpark \\(classic\\)”"):
        notebooks.run('%%configure -f\n{"executorMemory": "1g"}', "pysparkkernel")
    # What is asked right after a cell that fails is not run, as after any in a queue.
    until("the kernel answers", lambda: notebooks.text("print(1)", "pysparkkernel"))
    assert notebooks.text(partitions, "pysparkkernel") == "3\n"


@pytest.mark.capability("MG-02")
def test_a_driver_is_configured(notebooks: Notebooks) -> None:
    classic = "pysparkclassic"
    asked = (
        "print('it has', sc._jvm.java.lang.Runtime.getRuntime().maxMemory() >> 20, spark.conf.get('spark.fruit', '-'), "
        "sc.parallelize(range(4)).sum())"
    )

    def answer() -> tuple[str, ...]:
        """What it has, between what a JVM says when it starts."""
        found = re.search(r"it has (\d+) (\S+) (\d+)", notebooks.text(asked, classic))
        assert found
        return found.groups()

    before = int(answer()[0])
    notebooks.run('%%configure -f\n{"driverMemory": "700m", "conf": {"spark.fruit": "pear"}}', classic)
    memory, fruit, total = answer()
    assert (fruit, total) == ("pear", "6")
    assert int(memory) != before
    assert 600 < int(memory) <= 700


LOOK_FOR_PYTHON = """
def where(_):
    import sys, pear_of_mine
    return f"executors {sys.prefix} {pear_of_mine.VERSION}"
import pear_of_mine
from pyspark.sql.functions import udf
print(spark.range(1).select(udf(where, "string")("id")).first()[0], "driver", pear_of_mine.VERSION)
"""
YARNS = {
    "spark.yarn.dist.archives": "{}#environment",
    "spark.yarn.appMasterEnv.PYSPARK_PYTHON": "./environment/bin/python",
    "spark.executorEnv.PYSPARK_PYTHON": "./environment/bin/python",
}
SPARKS = {"spark.archives": "{}#environment", "spark.pyspark.python": "./environment/bin/python"}


@pytest.mark.capability("KN-06")
@pytest.mark.parametrize(("kernel", "conf"), [("pysparkkernel", YARNS), ("pysparkclassic", SPARKS)])
def test_spark_runs_the_python_of_an_archive(
    notebooks: Notebooks, tmp_path: Path, kernel: str, conf: dict[str, str]
) -> None:
    """As AWS has it in its guide, with a session of the Connect server; and with a driver of the notebook's own."""
    s3, (bucket, _) = notebooks.studio.client("s3"), notebooks.place
    body = packed(notebooks.studio.settings.env_python("emr-8.0.0"), tmp_path)
    s3.put_object(Bucket=bucket, Key="magics/venv.tar.gz", Body=body)
    settings = json.dumps({"conf": conf}).replace("{}", f"s3://{bucket}/magics/venv.tar.gz")
    notebooks.run(f"%%configure -f\n{settings}", kernel)
    found = re.search(r"executors (\S+)/environment 3 driver 3\n", notebooks.text(LOOK_FOR_PYTHON, kernel))
    assert found
    notebooks.run("%%configure -f\n{}", kernel)
    with pytest.raises(BrowserError, match="No module named 'pear_of_mine'"):
        notebooks.run(LOOK_FOR_PYTHON, kernel)
    until("the kernel answers", lambda: notebooks.text("print(1)", kernel))
    s3.delete_object(Bucket=bucket, Key="magics/venv.tar.gz")
    with pytest.raises(BrowserError, match=r"magics/venv\.tar\.gz cannot be read"):
        notebooks.run(f"%%configure -f\n{settings}", kernel)
    until("the kernel answers", lambda: notebooks.text("print(1)", kernel))


@pytest.mark.capability("MG-03")
def test_info_names_the_session(notebooks: Notebooks) -> None:
    found = notebooks.data("%%info", SESSION)
    facts = dict(found["facts"])
    assert (facts["Cluster"], found["ui"]) == (notebooks.cluster_id, "live")
    assert re.fullmatch(r"(app|local)-\d+(-\d+)?", facts["Application"]), facts
    assert notebooks.data("%info", SESSION, "pysparkclassic")["ui"] == "history"


@pytest.mark.capability("KN-07")
def test_two_notebooks_share_the_cluster_and_have_a_session_each(notebooks: Notebooks) -> None:
    notebooks.kernels["second"] = notebooks.workspace.start_session("second.ipynb", "pysparkkernel")
    notebooks.run("mine = 1\nspark.range(1).createOrReplaceTempView('mine')", "pysparkkernel")
    look = "print('mine' in globals(), spark.catalog.tableExists('mine'), spark.range(6).count())"
    assert notebooks.text(look, "pysparkkernel") == "True True 6\n"
    assert notebooks.text(look, "second") == "False False 6\n"
    first, second = (dict(notebooks.data("%%info", SESSION, name)["facts"]) for name in ("pysparkkernel", "second"))
    assert first["Session"] != second["Session"]
    assert (first["Cluster"], first["Application"]) == (second["Cluster"], second["Application"])
    assert first["Cluster"] == notebooks.cluster_id


@pytest.mark.capability("MG-08")
def test_a_file_in_s3_gets_a_link(notebooks: Notebooks) -> None:
    s3 = notebooks.studio.client("s3")
    bucket, _ = notebooks.place
    s3.put_object(Bucket=bucket, Key="magics/a b.txt", Body=b"content")
    url = f"'s3://{bucket}/magics/a b.txt'"
    made = notebooks.text(f"%generate_s3_download_url {url}").strip()
    answer = httpx.get(made, timeout=60)
    assert answer.text == "content"
    assert answer.headers["content-disposition"] == 'attachment; filename="a b.txt"'
    short = notebooks.text(f"%generate_s3_download_url {url} --expires-in 1").strip()
    until("it expires", lambda: httpx.get(short, timeout=60).status_code == 403)
    assert "Request has expired" in httpx.get(short, timeout=60).text
    assert "does not exist" in notebooks.text(f"%generate_s3_download_url s3://{bucket}/magics/none")
    s3.delete_object(Bucket=bucket, Key="magics/a b.txt")


@pytest.mark.capability("MG-07")
def test_the_workspaces_files_are_mounted(notebooks: Notebooks) -> None:
    write(notebooks, "lib/fruit.py", "NAME = 'pear'\n")
    assert "has no folder 'nothing'" in notebooks.said("%mount_workspace_dir nothing")
    assert "read-only" in notebooks.said("%mount_workspace_dir .")
    assert notebooks.text("import os; from lib import fruit; print(fruit.NAME, os.getuid() > 0)") == "pear True\n"
    for code in ("open('new.py', 'w')", "open('lib/fruit.py', 'w')", "os.mkdir('lib/more')"):
        assert "PermissionError" in json.dumps(notebooks.execute(code))
    write(notebooks, "lib/fruit.py", "NAME = 'apple'\n")
    assert "fetched again" in notebooks.said("%mount_workspace_dir .")
    assert "NAME = 'apple'" in notebooks.text("print(open('lib/fruit.py').read())")
    notebooks.workspace.origin.json("POST", f"/api/kernels/{notebooks.kernels['python3']}/restart")
    again = "from lib import fruit; print('still', fruit.NAME)"
    until("the mount is back in the restarted kernel", lambda: "still apple" in notebooks.said(again))
    assert "Unmounted" in notebooks.said("%umount_workspace_dir")
    assert notebooks.text("import os; print(os.path.exists('lib'))") == "False\n"


def test_files_are_given_to_no_cell_that_does_not_ask_for_them(notebooks: Notebooks) -> None:
    """Neither to code that a cell imports, nor to whoever else speaks to the kernel."""
    hidden = "get_ipython().run_line_magic('mount_' + 'workspace_dir', '.')"
    execution = notebooks.workspace.origin.request(
        "POST", f"/api/kernels/{notebooks.kernels['python3']}/execute", json={"code": hidden, "metadata": {}}
    )
    place = execution.headers["Location"]
    shown = until("it asks the user", lambda: asked(notebooks.workspace.origin.request("GET", place)))
    assert shown is not None
    assert shown["input_request"]["prompt"].startswith("emr-studio/workspace-folder")
    notebooks.workspace.origin.request("POST", f"/api/kernels/{notebooks.kernels['python3']}/interrupt")
    until("it ends", lambda: done(notebooks.workspace.origin.request("GET", place)))
    assert "cells of its notebooks only" in notebooks.text("%mount_workspace_dir .")


def asked(answer: httpx.Response) -> dict[str, Any] | None:
    found: dict[str, Any] = answer.json() if answer.status_code == 300 else {}
    return found if "input_request" in found else None


def write(notebooks: Notebooks, path: str, text: str) -> None:
    """A file of the Workspace, as JupyterLab saves it."""
    origin = notebooks.workspace.origin
    folder = path.rpartition("/")[0]
    origin.json("PUT", f"/api/contents/{folder}", json={"type": "directory"})
    origin.json("PUT", f"/api/contents/{path}", json={"type": "file", "format": "text", "content": text})


def test_scala_shares_the_session_with_python_and_sql(notebooks: Notebooks) -> None:
    classic = "pysparkclassic"
    notebooks.run("spark.range(3).createOrReplaceTempView('numbers')", classic)
    made = 'val doubled = spark.table("numbers").select($"id" * 2 as "twice")'
    cell = f'%%scalaspark\n{made}\ndoubled.createOrReplaceTempView("doubled")\nprintln(doubled.count())'
    assert "3\n" in notebooks.text(cell, classic)
    found = notebooks.data("%%sql\nSELECT sum(twice) AS total FROM doubled", TABLE, classic)
    assert found["rows"] == [[6]]
    with pytest.raises(BrowserError, match="The cell failed"):
        notebooks.run("%%scalaspark\nval x: Int = true", classic)
    assert "choose PySpark (classic)" in notebooks.text("%%scalaspark\n1", "pysparkkernel")


def test_sql_and_python_share_the_session_of_the_scala_kernel(notebooks: Notebooks) -> None:
    scala = "sparkkernel"
    made = 'spark.range(4).createOrReplaceTempView("four")'
    notebooks.run(f"%%scalaspark\n{made}", scala)
    python = "spark.table('four').selectExpr('id * 2 AS twice').createOrReplaceTempView('eight')\nprint('made')"
    assert "made" in notebooks.text(f"%%pyspark\n{python}", scala)
    rows = notebooks.data("%%sql\nSELECT sum(twice) AS total FROM eight", TABLE, scala)["rows"]
    assert rows == [[12]]
    assert "Long = 4" in notebooks.text('spark.table("eight").count()', scala)


@pytest.mark.skipif(shutil.which("R") is None, reason="R is not installed: deploy/install.sh, as root, installs it")
@pytest.mark.capability("MG-05")
def test_r_shares_the_session_of_all_languages(notebooks: Notebooks) -> None:
    scala = "sparkkernel"
    notebooks.run('%%scalaspark\nspark.range(4).createOrReplaceTempView("four")', scala)
    notebooks.run("%%pyspark\nspark.table('four').selectExpr('id * 2 AS n').createOrReplaceTempView('eight')", scala)
    made = "eight <- tableToDF('eight')\ncreateOrReplaceTempView(mutate(eight, n = eight$n * 2L), 'sixteen')"
    assert "[1] 12" in notebooks.text(f"%%rspark\n{made}\nprint(sum(collect(eight)$n))", scala)
    assert notebooks.data("%%sql\nSELECT sum(n) AS total FROM sixteen", TABLE, scala)["rows"] == [[24]]
    with pytest.raises(BrowserError, match="no such thing"):
        notebooks.run("%%rspark\nstop('no such thing')", scala)
    connect = "pysparkkernel"
    notebooks.run("spark.range(3).createOrReplaceTempView('three')", connect)
    cell = "%%rspark\ncreateOrReplaceTempView(sql('SELECT sum(id) AS total FROM three'), 'summed')\ncat('made')"
    assert "made" in notebooks.text(cell, connect)
    assert notebooks.data("%%sql\nSELECT total FROM summed", TABLE, connect)["rows"] == [[3]]


OWN_SPARK = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nspark.range(5).count()"


@pytest.mark.skipif(shutil.which("R") is None, reason="R is not installed: deploy/install.sh, as root, installs it")
@pytest.mark.capability("KN-01")
def test_the_four_kernels_count(notebooks: Notebooks) -> None:
    # A kernel's first cell may say more, where the cluster is crowded.
    assert "2\n" in notebooks.text("1 + 1", "python3")
    assert notebooks.text(OWN_SPARK, "python3").endswith("5\n")
    notebooks.run("spark.stop()", "python3")
    assert "2\n" in notebooks.text("1 + 1", "pysparkkernel")
    assert "5\n" in notebooks.text("spark.range(5).count()", "pysparkkernel")
    assert "Int = 2" in notebooks.text("1 + 1", "sparkkernel")
    assert "Long = 5" in notebooks.text("spark.range(5).count()", "sparkkernel")
    assert "[1] 2\n" in notebooks.text("1 + 1", "sparkrkernel")
    assert "[1] 5\n" in notebooks.text("count(spark$range(5))", "sparkrkernel")


SLOW_FAILURE = """import time
def broken(n):
    time.sleep(1.5)
    return 1 // (n - 3)
sc.parallelize(range(4), 4).map(broken).collect()"""


@pytest.mark.soak
@pytest.mark.capability("DB-08")
def test_scala_shows_progress(notebooks: Notebooks) -> None:
    slow = "println(sc.parallelize(1 to 4, 4).map { n => Thread.sleep(1500); n }.sum.toInt)"
    shown = notebooks.execute(slow, "sparkkernel")
    told = next(output["data"][PROGRESS] for output in shown if PROGRESS in output.get("data", {}))
    assert (told["state"], told["work"], told["tasks"]) == ("done", [1, 1], [4, 4])
    assert "10\n" in [output.get("text") for output in shown]


@pytest.mark.capability("DB-08")
def test_a_drivers_failure_is_explained_below_the_cell(notebooks: Notebooks) -> None:
    shown = notebooks.execute(SLOW_FAILURE, "pysparkclassic")
    told = next(output["data"][PROGRESS] for output in shown if PROGRESS in output.get("data", {}))
    assert (told["state"], told["unit"], told["work"], told["ui"]) == ("failed", "job", [1, 1], "history")
    [stage] = told["shown"]
    assert (stage["state"], stage["tasks"], stage["failed"] > 0) == ("failed", 4, True)
    assert "ZeroDivisionError" in told["reason"] + stage["reason"]
