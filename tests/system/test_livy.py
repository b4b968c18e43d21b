"""Livy on one real cluster, through the edge: stock sparkmagic and pylivy, batches as Airflow asks for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.cluster_rig import processes_of
from tests.support.studio import Studio, clean_environment, until

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".envs" / "livyclients" / "bin" / "python"
WAIT = 400
ENDS = ("success", "dead", "error", "killed")
"""States of a batch that Airflow's operator takes for its end."""
JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("counted", spark.range(int(sys.argv[1])).count(), spark.conf.get("spark.mine"), spark.sparkContext.appName)
"""
# What an interrupt in the middle of a call may leave: the next call of the main thread fails, and raises what it likes.
BROKEN = """
import time
from pyspark import InheritableThread
def work():
    try:
        sc.parallelize(range(4), 4).map(lambda x: time.sleep(0 if x < 1 else 600)).count()
    except Exception:
        pass
InheritableThread(target=work).start()
try:
    while not sc.statusTracker().getActiveJobsIds():
        time.sleep(0.05)
    sc._gateway._gateway_client.get_thread_connection().stream.close()
    time.sleep(600)
finally:
    sc.version
"""
ASK_LIVY = """
import os, urllib.request, base64, urllib.parse
url = urllib.parse.urlsplit(os.environ["LIVY_URL"])
basic = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
headers = {"Authorization": f"Basic {basic}"}
asked = urllib.request.Request(f"http://{url.hostname}:{url.port}/version", headers=headers)
print(urllib.request.urlopen(asked).status, url.hostname, url.port)
"""


class Livy:
    """A cluster of one node and a client of its Livy."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.emr = studio, studio.client("emr")
        network = studio.json["network"]
        self.cluster_id = self.emr.run_job_flow(
            Name="livy",
            ReleaseLabel="emr-8.0.0",
            Applications=[{"Name": name} for name in ("Spark", "Livy")],
            ServiceRole="EMR_DefaultRole_V2",
            JobFlowRole="EMR_EC2_DefaultRole",
            Instances={
                "InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}],
                "KeepJobFlowAliveWhenNoSteps": True,
                "Ec2SubnetId": network["subnet_ids"][0],
            },
        )["JobFlowId"]
        until("the cluster waits", lambda: self.state() == "WAITING", WAIT)
        found = self.emr.get_cluster_session_credentials(ClusterId=self.cluster_id)["Credentials"]["UsernamePassword"]
        self.user, self.password = found["Username"], found["Password"]
        self.url = f"{studio.json['endpoint_url']}/_livy/{self.cluster_id}"
        self.http = httpx.Client(base_url=self.url, auth=(self.user, self.password), timeout=60)

    def state(self) -> str:
        return str(self.emr.describe_cluster(ClusterId=self.cluster_id)["Cluster"]["Status"]["State"])

    def ask(self, method: str, path: str, **options: Any) -> Any:
        return self.http.request(method, path, **options).raise_for_status().json()

    def pid(self) -> int:
        """Livy's own process; 0 while there is none."""
        for pid in processes_of(self.cluster_id):
            with suppress(OSError):
                if b"\0livy\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return 0

    def run(self, session: int, code: str) -> str:
        """The path of a statement that was sent."""
        made = self.ask("POST", f"/sessions/{session}/statements", json={"code": code, "kind": "pyspark"})
        return f"/sessions/{session}/statements/{made['id']}"

    def wait(self, path: str, *states: str) -> dict[str, Any]:
        """What is there, once its state is one of these."""

        def found() -> dict[str, Any] | None:
            shown: dict[str, Any] = self.ask("GET", path)
            return shown if shown["state"] in states else None

        shown = until(f"{path} is {states}", found, WAIT)
        assert shown is not None
        return shown


@pytest.fixture(scope="module")
def livy(studio: Studio) -> Iterator[Livy]:
    made = Livy(studio)
    yield made
    made.http.close()
    made.emr.terminate_job_flows(JobFlowIds=[made.cluster_id])
    until("the cluster has ended", lambda: made.state() == "TERMINATED", WAIT)


@pytest.fixture(scope="module")
def session(livy: Livy) -> dict[str, Any]:
    """What the stock clients saw, and the session that they left."""
    command = [str(CLIENTS), str(ROOT / "tests" / "support" / "livy_play.py"), livy.url, livy.user, livy.password]
    # sparkmagic keeps its settings and logs at home.
    home = {"HOME": str(livy.studio.data_dir / "home")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=clean_environment() | home
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_sparkmagic_works(session: dict[str, Any]) -> None:
    seen = session["sparkmagic"]
    assert seen["said"] == "SparkSession available as 'spark'."
    assert seen["command"] == [True, "5"]
    assert seen["failed"][0] is False
    assert "ZeroDivisionError: division by zero" in seen["failed"][1]
    assert seen["rows"] == [{"id": 0, "twice": 0}, {"id": 1, "twice": 2}, {"id": 2, "twice": 4}]
    assert seen["app"].startswith("local-")
    assert seen["log"]


def test_pylivy_works(session: dict[str, Any]) -> None:
    people = [{"age": 31, "name": "ann"}, {"age": 42, "name": "bob"}]
    seen = session["pylivy"]
    assert seen["downloaded"] == people
    fields = [(one["name"], one["type"]) for one in seen["sql"]["schema"]["fields"]]
    assert (fields, seen["sql"]["data"]) == ([("name", "string"), ("age", "long")], [["ann", 31], ["bob", 42]])
    assert (seen["scala"], seen["sum"], seen["version"], seen["sessions"]) == ("2", "45", "0.8.0", ["idle"])
    assert seen["error"] == "NameError: name 'undefined' is not defined"


def test_a_statement_is_cancelled_with_its_spark_jobs(livy: Livy, session: dict[str, Any]) -> None:
    slow = "import time\nsc.parallelize(range(4), 4).map(lambda x: time.sleep(0 if x < 1 else 600)).count()"
    path, after = livy.run(session["id"], slow), livy.run(session["id"], "'after'")
    until("a part is done", lambda: 0 < livy.ask("GET", path)["progress"] < 1, WAIT)
    cancelled(livy, session["id"], path, after)


def cancelled(livy: Livy, session: int, path: str, after: str) -> None:
    """Cancel a statement: its Spark jobs end, and the one after it runs."""
    assert livy.ask("POST", f"{path}/cancel") == {"msg": "canceled"}
    assert livy.wait(path, "cancelled")["output"] is None
    assert livy.wait(after, "available")["output"]["data"] == {"text/plain": "'after'"}

    def active() -> Any:
        jobs = livy.run(session, "sc.statusTracker().getActiveJobsIds()")
        return livy.wait(jobs, "available")["output"]["data"]["text/plain"]

    # The driver is told to cancel, and does so a moment later.
    until("its jobs have ended", lambda: active() == "[]", WAIT)


def test_a_cancel_reaches_spark_though_the_interrupt_broke_a_connection(livy: Livy, session: dict[str, Any]) -> None:
    path, after = livy.run(session["id"], BROKEN), livy.run(session["id"], "'after'")
    until("a part is done", lambda: 0 < livy.ask("GET", path)["progress"] < 1, WAIT)
    cancelled(livy, session["id"], path, after)
    # The next statement has its group and its progress as ever.
    told = livy.run(session["id"], "sc.getLocalProperty('spark.jobGroup.id').startswith('livy-')")
    assert livy.wait(told, "available")["output"]["data"] == {"text/plain": "True"}


def test_completion(livy: Livy, session: dict[str, Any]) -> None:
    for kind in ("pyspark", "spark"):
        body = {"code": "spark.ran", "kind": kind, "cursor": 9}
        found = livy.ask("POST", f"/sessions/{session['id']}/completion", json=body)["candidates"]
        assert any(name.endswith("range") for name in found), (kind, found)


def test_the_clusters_own_programs_find_it(livy: Livy, session: dict[str, Any]) -> None:
    seen = livy.wait(livy.run(session["id"], ASK_LIVY), "available")["output"]
    assert seen["data"]["text/plain"].split()[0::2] == ["200", "8998"], seen


def test_batches_as_airflow_asks_for_them(livy: Livy) -> None:
    """The requests of apache-airflow-providers-apache-livy: POST, poll the state, read the log, delete."""
    bucket = livy.studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
    livy.studio.client("s3").put_object(Bucket=bucket, Key="livy/job.py", Body=JOB.encode())
    asked = {"file": f"s3://{bucket}/livy/job.py", "name": "nightly", "conf": {"spark.mine": "yes"}}
    good = livy.ask("POST", "/batches", json={**asked, "args": ["7"]})["id"]
    end = livy.wait(f"/batches/{good}/state", *ENDS)["state"]
    log = livy.ask("GET", f"/batches/{good}/log", params={"from": 0, "size": 100})
    assert end == "success", log
    assert "counted 7 yes nightly" in log["log"]
    assert log["total"] == len(log["log"])
    bad = livy.ask("POST", "/batches", json={"file": "/nowhere.py"})["id"]
    assert livy.wait(f"/batches/{bad}/state", *ENDS)["state"] == "dead"
    assert "nowhere.py" in "".join(livy.ask("GET", f"/batches/{bad}/log")["log"])
    assert livy.ask("DELETE", f"/batches/{good}") == {"msg": "deleted"}
    assert [one["id"] for one in livy.ask("GET", "/batches")["sessions"]] == [bad]


def test_who_has_no_credentials_is_kept_out(livy: Livy, session: dict[str, Any]) -> None:
    address = livy.wait(livy.run(session["id"], ASK_LIVY), "available")["output"]["data"]["text/plain"].split()[1]
    own = f"http://{address}:8998/sessions"
    assert httpx.get(own, timeout=60).status_code == httpx.get(f"{livy.url}/sessions", timeout=60).status_code == 401
    # What the edge takes opens nothing at the port itself.
    assert httpx.get(own, auth=(livy.user, livy.password), timeout=60).status_code == 401
    assert httpx.get(f"{livy.url}/sessions", auth=(livy.user, "x"), timeout=60).status_code == 401
    with pytest.raises(ClientError, match="AccessDenied"):
        livy.studio.client("emr", "sample").get_cluster_session_credentials(ClusterId=livy.cluster_id)


def test_a_livy_that_is_killed_goes_on_with_its_sessions(livy: Livy, session: dict[str, Any]) -> None:
    livy.wait(livy.run(session["id"], "kept = 41"), "available")
    before = livy.pid()
    assert before
    os.kill(before, signal.SIGKILL)
    until("it is started again", lambda: livy.pid() not in (0, before), WAIT)
    until("it answers", lambda: livy.http.get("/version").status_code == 200, WAIT)
    livy.wait(f"/sessions/{session['id']}", "idle")
    after = livy.wait(livy.run(session["id"], "kept + 1"), "available")
    assert after["output"]["data"] == {"text/plain": "42"}


def test_a_session_whose_kernel_dies_is_dead(livy: Livy) -> None:
    made = livy.ask("POST", "/sessions", json={"kind": "sql", "name": "short"})["id"]
    asked = livy.ask("POST", f"/sessions/{made}/statements", json={"code": "SELECT 1 AS one, current_date() AS today"})
    rows = livy.wait(f"/sessions/{made}/statements/{asked['id']}", "available")["output"]["data"]["application/json"]
    assert [field["type"] for field in rows["schema"]["fields"]] == ["integer", "date"]
    assert rows["data"][0][0] == 1
    path = livy.run(made, "import os; os.kill(os.getpid(), 9)")
    livy.wait("/sessions/short", "dead")
    assert livy.wait(path, "available")["output"]["status"] == "error"
    refused = livy.http.post(f"/sessions/{made}/statements", json={"code": "SELECT 1"})
    assert (refused.status_code, refused.json()["msg"]) == (400, "Session is in state dead")
    livy.ask("DELETE", f"/sessions/{made}")
    assert livy.http.get(f"/sessions/{made}").status_code == 404


def test_a_cluster_that_ends_in_mid_statement(livy: Livy, session: dict[str, Any]) -> None:
    path = livy.run(session["id"], "sc.parallelize([1]).map(lambda x: __import__('time').sleep(600)).count()")
    livy.wait(path, "running")
    livy.emr.terminate_job_flows(JobFlowIds=[livy.cluster_id])
    until("the edge says so", lambda: livy.http.get(path).status_code == 503, WAIT)
    until("the cluster has ended", lambda: livy.state() == "TERMINATED", WAIT)
    until("nothing is left of it", lambda: not processes_of(livy.cluster_id), WAIT)
