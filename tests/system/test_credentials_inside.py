"""Inside a cluster boto3, pandas and Spark reach S3 without configuration, while their credentials expire and renew.

The credentials here live ten seconds, so that a few dozen seconds see several ends. What would be a
hiccup in twelve hours at fifteen minutes is one at each of these.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from emr_studio.clusters.model import Cluster, gateway_of
from emr_studio.db import Database
from emr_studio.runtime.contract import Gateway
from emr_studio.storage.store import read_ports
from tests.support.cluster_rig import Kernel
from tests.support.studio import Studio, running, until

SECONDS = 10
OTHER_WORKSPACE = "e-ANOTHERWORKSPACE123456789"
OTHERS_BUCKET = "another-teams-bucket"

LONG_LIVED = """
import io, time, boto3, pandas
s3 = boto3.client("s3")
keys, answers, end = set(), 0, time.time() + {seconds}
# Longer where the machine is too slow for several answers and keys in that time.
while time.time() < end or (len(keys) <= {keys} or answers <= 3) and time.time() < end + 300:
    names = [o["Key"] for o in s3.list_objects_v2(Bucket="{bucket}", Prefix="in/")["Contents"]]
    keys.add(s3._request_signer._credentials.access_key)
    rows = len(pandas.read_parquet("s3://{bucket}/in/numbers.parquet"))
    counted = spark.read.parquet("s3://{bucket}/in/").count()
    assert (rows, counted) == (100, 100), (rows, counted)
    answers += 1
print("fine", len(keys) > {keys}, answers > 3, "in/numbers.parquet" in names)
"""
WRITE = """
import pandas
pandas.DataFrame({{"n": range(100)}}).to_parquet("s3://{bucket}/in/numbers.parquet")
print("written")
"""
READ_ELSEWHERE = """
import boto3, pandas
from botocore.exceptions import ClientError
def refused(call, **place):
    try:
        call(**place)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "allowed"
s3 = boto3.client("s3")
for place in {places}:
    print(refused(s3.get_object, **place))
    try:
        pandas.read_csv("s3://" + place["Bucket"] + "/" + place["Key"])
        print("allowed")
    except PermissionError as error:
        print("PermissionError", error)
    try:
        spark.read.text("s3://" + place["Bucket"] + "/" + place["Key"]).count()
        print("allowed")
    except Exception as error:
        print("AccessDenied" if "AccessDenied" in str(error) else error)
print(refused(s3.list_objects_v2, Bucket={places}[0]["Bucket"], Prefix={places}[0]["Key"]))
"""


@dataclass
class Inside:
    """A studio with a cluster, and a kernel on it."""

    studio: Studio
    cluster_id: str
    kernel: Kernel
    bucket: str

    @property
    def database(self) -> Database:
        return Database(self.studio.settings.sqlalchemy_url)

    def run(self, code: str, timeout: float = 120, **values: Any) -> str:
        return self.kernel.run(code.format(bucket=self.bucket, **values), timeout)

    def token(self) -> str:
        database = self.database
        with database.read() as session:
            token = session.get_one(Cluster, self.cluster_id).role_token
        database.dispose()
        return token


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    folder = tmp_path_factory.mktemp("inside")
    (folder / "emr-studio.toml").write_text(f"credentials_seconds = {SECONDS}\n")
    with running(folder) as studio:
        cluster_id = _cluster(studio)
        kernel = Kernel(_gateway(studio, cluster_id), "pysparkkernel")
        try:
            yield Inside(studio, cluster_id, kernel, _bucket(studio))
        finally:
            kernel.close()


def _bucket(studio: Studio) -> str:
    location: str = studio.json["s3"]["default_location"]
    return location.removeprefix("s3://").partition("/")[0]


def _cluster(studio: Studio) -> str:
    emr = studio.client("emr")
    group = {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
    cluster_id: str = emr.run_job_flow(
        Name="inside",
        ReleaseLabel="emr-8.0.0",
        Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
        ServiceRole="EMR_DefaultRole_V2",
        JobFlowRole="EMR_EC2_DefaultRole",
        Instances={"InstanceGroups": [group], "KeepJobFlowAliveWhenNoSteps": True},
    )["JobFlowId"]
    until("the cluster waits", lambda: _state(studio, cluster_id) == "WAITING", 400)
    return cluster_id


def _state(studio: Studio, cluster_id: str) -> str:
    state: str = studio.client("emr").describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]
    return state


def _gateway(studio: Studio, cluster_id: str) -> Gateway:
    database = Database(studio.settings.sqlalchemy_url)
    with database.read() as session:
        gateway = gateway_of(session, session.get_one(Cluster, cluster_id))
    database.dispose()
    return gateway


def test_nothing_stops_when_credentials_expire(inside: Inside) -> None:
    assert inside.run(WRITE) == "written\n"
    shown = inside.run(LONG_LIVED, 400, seconds=3.5 * SECONDS, keys=3)
    assert shown.splitlines()[-1] == "fine True True True", shown


def test_elsewhere_there_is_a_clean_denial(inside: Inside) -> None:
    s3 = inside.studio.client("s3")
    prefix = inside.studio.json["s3"]["default_location"].removeprefix(f"s3://{inside.bucket}/").strip("/")
    s3.create_bucket(Bucket=OTHERS_BUCKET)
    places = [
        {"Bucket": inside.bucket, "Key": f"{prefix}/{OTHER_WORKSPACE}/n.ipynb"},
        {"Bucket": OTHERS_BUCKET, "Key": "data.csv"},
    ]
    for place in places:
        s3.put_object(**place, Body=b"a\n1\n")
    lines = inside.run(READ_ELSEWHERE, places=places).splitlines()
    assert "allowed" not in lines
    assert len([line for line in lines if line.startswith("('AccessDenied', 'User: arn:aws:sts::")]) == 3, lines
    assert len([line for line in lines if line.startswith("PermissionError")]) == 2, lines
    assert lines.count("AccessDenied") == 2, lines


ATTACK = """
import os, socket
open_ports, open_sockets = [], []
for port in {ports}:
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            open_ports.append(port)
for path in {sockets}:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            open_sockets.append(path)
readable = [path for path in {files} if os.access(path, os.R_OK)]
print("reached", open_ports, open_sockets, readable)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the store a network, and clusters users, of their own")
def test_the_stores_own_doors_are_shut(inside: Inside) -> None:
    settings = inside.studio.settings
    ports = [*read_ports(settings).values(), 4599]
    sockets = [str(path) for path in settings.run_dir.rglob("*.sock")]
    sockets += [str(path) for path in Path("/tmp").glob("seaweedfs-*.sock")]
    files = [str(path) for path in (settings.keys_dir, settings.store_dir, settings.data_dir / "db")]
    files += [str(path) for path in settings.keys_dir.iterdir()]
    shown = inside.run(ATTACK, ports=ports, sockets=sockets, files=files)
    assert shown == "reached [] [] []\n"


def test_the_api_may_be_restarted(inside: Inside) -> None:
    before = inside.studio.pid_of("api")
    os.kill(before, signal.SIGKILL)
    health = inside.studio.json["endpoint_url"] + "/_health"
    until("the control plane is back", lambda: inside.studio.pid_of("api") not in (0, before))
    until("it answers", lambda: httpx.get(health, timeout=60).status_code == 200)
    shown = inside.run(LONG_LIVED, 400, seconds=1.5 * SECONDS, keys=1)
    assert shown.splitlines()[-1].startswith("fine"), shown


def test_a_token_is_good_for_its_own_role_only(inside: Inside) -> None:
    url = inside.studio.json["endpoint_url"] + "/_credentials"
    good = httpx.get(url, headers={"Authorization": inside.token()}, timeout=60).json()
    assert good["RoleArn"].endswith(":role/EMR_EC2_DefaultRole")
    for token in ("", "x", inside.token()[:-1], good["Token"]):
        answer = httpx.get(url, headers={"Authorization": token}, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (403, "AccessDenied")


def test_credentials_end_with_the_cluster(inside: Inside) -> None:
    url = inside.studio.json["endpoint_url"] + "/_credentials"
    token = inside.token()
    given: list[dict[str, str]] = []

    def refused() -> bool:
        # The last that were given live longer than this question takes.
        answer = httpx.get(url, headers={"Authorization": token}, timeout=60)
        given.extend([answer.json()] if answer.status_code == 200 else [])
        return answer.status_code == 403

    assert not refused()
    # Made before: it takes its time on a loaded machine, and the last credentials live ten seconds.
    sts = inside.studio.client("sts")
    inside.studio.client("emr").terminate_job_flows(JobFlowIds=[inside.cluster_id])
    until("none are given any more", refused)
    kept = given[-1]
    own = sts._request_signer._credentials
    own.access_key, own.secret_key, own.token = kept["AccessKeyId"], kept["SecretAccessKey"], kept["Token"]
    assert time.time() < _expiry(kept)
    with pytest.raises(ClientError) as caught:
        sts.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "ExpiredToken"
    until("the cluster has ended", lambda: _state(inside.studio, inside.cluster_id) == "TERMINATED")


def _expiry(kept: dict[str, str]) -> float:
    import datetime as dt

    return dt.datetime.fromisoformat(kept["Expiration"]).timestamp()
