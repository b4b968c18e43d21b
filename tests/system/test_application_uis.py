"""Application UIs and logs of a real cluster: live and after its end, through the edge, for those who may see them."""

from __future__ import annotations

import gzip
import json
import os
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from botocore.exceptions import ClientError

from emr_studio.clusters.model import Cluster, gateway_of
from emr_studio.db import Database
from emr_studio.runtime.contract import Gateway
from tests.support.cluster_rig import Kernel
from tests.support.studio import Studio, until


@dataclass
class Visitor:
    """A browser without scripts: one origin, its cookie, redirects followed there."""

    port: int
    host: str = ""
    cookie: str = ""
    seen: list[str] = field(default_factory=list)

    def open(self, url: str) -> httpx.Response:
        """Follow a link to its page."""
        parts = urlsplit(url)
        self.host = parts.netloc
        answer = self.get(f"{parts.path}?{parts.query}")
        if found := answer.headers.get("set-cookie", ""):
            self.cookie = found.partition(";")[0]
        return self._follow(url, answer)

    def page(self, path: str) -> httpx.Response:
        """A page of the origin, wherever it redirects to within it."""
        return self._follow(f"http://{self.host}{path}", self.get(path))

    def _follow(self, url: str, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect:
            url = urljoin(url, answer.headers["location"])
            parts = urlsplit(url)
            assert parts.netloc == self.host, url
            answer = self.get(parts.path + (f"?{parts.query}" if parts.query else ""))
        self.seen.append(url)
        return answer

    def get(self, path: str, **headers: str) -> httpx.Response:
        own = {"Host": self.host, "Cookie": self.cookie, "Accept": "text/html,*/*", **headers}
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=own, timeout=60)


class Scene:
    """A cluster of two nodes with logs in S3, on which a step has run."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.emr = studio.client("emr")
        self.s3 = studio.client("s3")
        self.bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
        self.cluster_id = self.create("MASTER", "CORE")
        arguments = ["spark-example", "SparkPi", "4"]
        step = {"Jar": "command-runner.jar", "Args": arguments}
        (step_id,) = self.emr.add_job_flow_steps(
            JobFlowId=self.cluster_id, Steps=[{"Name": "pi", "ActionOnFailure": "CONTINUE", "HadoopJarStep": step}]
        )["StepIds"]
        self.emr.get_waiter("step_complete").wait(
            ClusterId=self.cluster_id, StepId=step_id, WaiterConfig={"Delay": 1, "MaxAttempts": 400}
        )

    def create(self, *roles: str) -> str:
        """A cluster with an instance of each role, once it is WAITING."""
        groups = [{"InstanceRole": role, "InstanceType": "m5.xlarge", "InstanceCount": 1} for role in roles]
        answer = self.emr.run_job_flow(
            Name="uis",
            ReleaseLabel="emr-8.0.0",
            LogUri=f"s3://{self.bucket}/uis/",
            Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
            Instances={"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": True},
            JobFlowRole="EMR_EC2_DefaultRole",
            ServiceRole="EMR_DefaultRole_V2",
        )
        cluster_id = str(answer["JobFlowId"])
        until("WAITING", lambda: self.state(cluster_id) == "WAITING", 400)
        return cluster_id

    def gateway(self, cluster_id: str) -> Gateway:
        with Database(self.studio.settings.sqlalchemy_url).read() as session:
            return gateway_of(session, session.get_one(Cluster, cluster_id))

    @property
    def arn(self) -> str:
        return str(self.emr.describe_cluster(ClusterId=self.cluster_id)["Cluster"]["ClusterArn"])

    def state(self, cluster_id: str = "") -> str:
        return str(self.emr.describe_cluster(ClusterId=cluster_id or self.cluster_id)["Cluster"]["Status"]["State"])

    def visit(self, url: str) -> Visitor:
        visitor = Visitor(urlsplit(self.studio.json["endpoint_url"]).port or 0)
        assert visitor.open(url).status_code == 200, visitor.seen
        return visitor

    def persistent(self, **more: str) -> Visitor:
        ui = self.emr.create_persistent_app_ui(TargetResourceArn=self.arn)["PersistentAppUIId"]
        return self.visit(self.ready(ui, **more))

    def ready(self, ui: str, **more: str) -> str:
        """The link, once there is one."""

        def link() -> str:
            answer = self.emr.get_persistent_app_ui_presigned_url(PersistentAppUIId=ui, **more)
            assert ("PresignedURL" in answer) == answer["PresignedURLReady"]
            return str(answer.get("PresignedURL", ""))

        return until("the history server", link)

    def applications(self, visitor: Visitor, count: int) -> list[Any]:
        """What the history server has read."""

        def listed() -> list[Any]:
            answer = visitor.get("/shs/api/v1/applications")
            # While it starts, its front page answers for its API.
            is_api = answer.status_code == 200 and "json" in answer.headers["content-type"]
            found: list[Any] = answer.json() if is_api else []
            return found if len(found) >= count else []

        return until(f"{count} applications", listed)


@pytest.fixture(scope="module")
def scene(studio: Studio) -> Scene:
    return Scene(studio)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_the_live_ui_opens_on_its_own_origin(scene: Scene) -> None:
    answer = scene.emr.get_on_cluster_app_ui_presigned_url(ClusterId=scene.cluster_id)
    assert answer["PresignedURLReady"]
    assert f"://{scene.cluster_id.lower()}.appui." in answer["PresignedURL"]
    visitor = scene.visit(answer["PresignedURL"])
    assert urlsplit(visitor.seen[-1]).path == "/jobs/"
    for page in ("/stages/", "/executors/", "/environment/", "/SQL/"):
        assert visitor.page(page).status_code == 200, page
    (application,) = visitor.page("/api/v1/applications").json()
    executors = visitor.page(f"/api/v1/applications/{application['id']}/executors").json()
    assert {one["id"] for one in executors} >= {"driver", "0"}
    # Secrets of the cluster stand in no page.
    assert "redacted" in visitor.page("/environment/").text


def test_a_link_is_good_once_and_for_its_own_cluster(scene: Scene) -> None:
    url = scene.emr.get_on_cluster_app_ui_presigned_url(ClusterId=scene.cluster_id)["PresignedURL"]
    scene.visit(url)
    again = Visitor(urlsplit(url).port or 0)
    assert again.open(url).status_code == 403
    assert Visitor(urlsplit(url).port or 0, host=urlsplit(url).netloc).get("/jobs/").status_code == 401
    foreign = url.replace(scene.cluster_id.lower(), "j-0000000000000")
    assert Visitor(urlsplit(url).port or 0).open(foreign).status_code == 403


def test_another_page_cannot_use_it(scene: Scene) -> None:
    url = scene.emr.get_on_cluster_app_ui_presigned_url(ClusterId=scene.cluster_id)["PresignedURL"]
    visitor = scene.visit(url)
    headers = {"Origin": "http://evil.example.com", "Sec-Fetch-Site": "cross-site"}
    assert visitor.get("/jobs/", **headers).status_code == 403


def test_who_may_not_is_refused_and_who_may_no_longer_too(scene: Scene) -> None:
    iam = scene.studio.client("iam")
    iam.create_user(UserName="uri")
    key = iam.create_access_key(UserName="uri")["AccessKey"]
    keys = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    emr = scene.studio.client("emr", **keys)
    with pytest.raises(ClientError) as denied:
        emr.get_on_cluster_app_ui_presigned_url(ClusterId=scene.cluster_id)
    assert code(denied) == "AccessDeniedException"
    with pytest.raises(ClientError) as denied:
        emr.create_persistent_app_ui(TargetResourceArn=scene.arn)
    assert code(denied) == "AccessDeniedException"
    document = {"Effect": "Allow", "Action": "elasticmapreduce:*AppUI*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    iam.put_user_policy(UserName="uri", PolicyName="uis", PolicyDocument=policy)
    visitor = scene.visit(emr.get_on_cluster_app_ui_presigned_url(ClusterId=scene.cluster_id)["PresignedURL"])
    iam.delete_user_policy(UserName="uri", PolicyName="uis")
    until("refused", lambda: visitor.get("/jobs/").status_code == 403)
    iam.delete_access_key(UserName="uri", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="uri")


def test_what_is_not_there_is_said(scene: Scene) -> None:
    calls = [
        (scene.emr.create_persistent_app_ui, {"TargetResourceArn": "arn:aws:s3:::not-a-cluster"}),
        (scene.emr.create_persistent_app_ui, {"TargetResourceArn": scene.arn[:-1] + "0"}),
        (scene.emr.create_persistent_app_ui, {"TargetResourceArn": scene.arn, "ProfilerType": "TEZUI"}),
        (scene.emr.describe_persistent_app_ui, {"PersistentAppUIId": "p-0000000000000"}),
        (scene.emr.get_persistent_app_ui_presigned_url, {"PersistentAppUIId": "p-0000000000000"}),
        (scene.emr.get_on_cluster_app_ui_presigned_url, {"ClusterId": "j-0000000000000"}),
        (
            scene.emr.get_on_cluster_app_ui_presigned_url,
            {"ClusterId": scene.cluster_id, "OnClusterAppUIType": "ResourceManager"},
        ),
    ]
    for call, request in calls:
        with pytest.raises(ClientError) as refused:
            call(**request)
        assert code(refused) == "InvalidRequestException", request


@pytest.mark.capability("DB-04")
def test_the_persistent_ui_of_a_live_cluster(scene: Scene) -> None:
    ui = scene.emr.create_persistent_app_ui(TargetResourceArn=scene.arn, ProfilerType="SHS")["PersistentAppUIId"]
    assert not scene.emr.get_persistent_app_ui_presigned_url(PersistentAppUIId=ui)["PresignedURLReady"]
    visitor = scene.visit(scene.ready(ui, PersistentAppUIType="SHS"))
    described = scene.emr.describe_persistent_app_ui(PersistentAppUIId=ui)["PersistentAppUI"]
    assert (described["PersistentAppUIStatus"], described["PersistentAppUITypeList"]) == ("RUNNING", ["SHS"])

    def ended() -> list[bool]:
        return sorted(one["attempts"][0]["completed"] for one in scene.applications(visitor, 2))

    until("the step's has ended, that of the notebooks goes on", lambda: ended() == [False, True])
    applications = scene.applications(visitor, 2)
    step = next(one for one in applications if one["attempts"][0]["completed"])
    page = scene.visit(scene.ready(ui, ApplicationId=step["id"]))
    assert urlsplit(page.seen[-1]).path == f"/shs/history/{step['id']}/jobs/"
    text = page.page(f"/shs/history/{step['id']}/executors/").text
    assert f'href="/shs/history/{step["id"]}/stages/"' in text


WRITE = """
spark.range(7).write.mode("overwrite").saveAsTable("kept")
spark.sql("CREATE TABLE parts (id INT) PARTITIONED BY (year INT)")
spark.sql("INSERT INTO parts VALUES (1, 2025), (2, 2026)")
print(spark.table("kept").count())
"""
READ = """
print(spark.table("kept").count(), spark.sql("SELECT id FROM parts WHERE year = 2026").collect())
gone = spark.sql("DROP TABLE kept")
"""


def tables(glue: Any) -> set[str]:
    """The default database is all clusters' of the account."""
    return {one["Name"] for one in glue.get_tables(DatabaseName="default")["TableList"]}


def test_a_table_is_written(scene: Scene) -> None:
    kernel = Kernel(scene.gateway(scene.cluster_id), "pysparkkernel")
    assert kernel.run(WRITE, 180) == "7\n"
    glue = scene.studio.client("glue")
    assert tables(glue) >= {"kept", "parts"}
    location = glue.get_table(DatabaseName="default", Name="kept")["Table"]["StorageDescriptor"]
    assert f"s3://{scene.bucket}/warehouse/kept" in json.dumps(location)
    assert len(glue.get_partitions(DatabaseName="default", TableName="parts")["Partitions"]) == 2
    kernel.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="without root all clusters run as the studio's user")
def test_nobody_elses_code_reaches_its_metastore(scene: Scene) -> None:
    host = scene.gateway(scene.cluster_id).address.partition(":")[0]
    with socket.create_connection((host, 9083), timeout=10) as connection:
        assert connection.recv(1) == b""


def test_after_the_end_its_logs_and_history_are_there(scene: Scene) -> None:
    visitor = scene.persistent()
    scene.emr.terminate_job_flows(JobFlowIds=[scene.cluster_id])
    until("TERMINATED", lambda: scene.state() == "TERMINATED")
    with pytest.raises(ClientError) as refused:
        scene.emr.get_on_cluster_app_ui_presigned_url(ClusterId=scene.cluster_id)
    assert code(refused) == "InvalidRequestException"
    assert visitor.get("/jobs/").status_code == 404
    # A link is given once the history is that from S3.
    assert len(scene.applications(scene.persistent(), 2)) == 2
    until("the history from S3", lambda: visitor.get("/shs/").status_code == 200)
    assert len(scene.applications(visitor, 2)) == 2


def test_logs_lie_in_s3_in_emrs_layout(scene: Scene) -> None:
    until("TERMINATED", lambda: scene.state() == "TERMINATED")
    listed = scene.s3.list_objects_v2(Bucket=scene.bucket, Prefix=f"uis/{scene.cluster_id}/")["Contents"]
    names = {one["Key"].removeprefix(f"uis/{scene.cluster_id}/") for one in listed}
    instances = scene.emr.list_instances(ClusterId=scene.cluster_id)["Instances"]
    primary, core = (one["Ec2InstanceId"] for one in instances)
    for program in ("master", "connect"):
        assert f"node/{primary}/applications/spark/spark-{program}.log.gz" in names
    worker = f"node/{core}/applications/spark/spark-worker.log.gz"
    body = scene.s3.get_object(Bucket=scene.bucket, Key=f"uis/{scene.cluster_id}/{worker}")["Body"].read()
    assert b"Worker" in gzip.decompress(body)
    assert [name for name in names if name.startswith("containers/app-") and name.endswith(f"{core}_0/stderr.gz")]
    assert {"controller.gz", "stdout.gz", "stderr.gz"} == {
        name.rpartition("/")[2] for name in names if name.startswith("steps/")
    }
    # Event logs are the studio's: nobody else's keys open them.
    with pytest.raises(ClientError) as denied:
        scene.s3.list_objects_v2(Bucket="emr-studio-appinfo-123456789012-us-east-1")
    assert code(denied) in ("AccessDenied", "NoSuchBucket")


def test_the_next_cluster_reads_the_table(scene: Scene) -> None:
    second = scene.create("MASTER")
    kernel = Kernel(scene.gateway(second), "pysparkkernel")
    assert kernel.run(READ, 180) == "7 [Row(id=2)]\n"
    left = scene.s3.list_objects_v2(Bucket=scene.bucket, Prefix="warehouse/kept/").get("Contents", [])
    assert left == []
    glue = scene.studio.client("glue")
    assert tables(glue) & {"kept", "parts"} == {"parts"}
    kernel.close()
    scene.emr.terminate_job_flows(JobFlowIds=[second])
    until("TERMINATED", lambda: scene.state(second) == "TERMINATED")
