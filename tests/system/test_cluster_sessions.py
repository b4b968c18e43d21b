"""Sessions and runtime roles on one real cluster: stock pyspark through the edge, and whose credentials Spark has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from emr_studio.runtime.contract import Gateway
from tests.support.cluster_rig import Kernel
from tests.support.studio import Studio, clean_environment, until

LIVING = ("STARTED", "IDLE", "BUSY")
SCOPED = {"AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}}}
READ = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
for uri in sys.argv[2:]:
    try:
        print("read", spark.read.text(uri).collect()[0][0])
    except Exception as error:
        print("refused" if "403" in str(error) else error)
"""
# What code on an executor can reach of credentials.
WHO = """
import sys
import pyspark.sql.connect.functions as f
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType
spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
def who(_):
    import boto3, os
    return f"{os.getuid()} {boto3.client('sts').get_caller_identity()['Arn']}"
rows = spark.range(0, 4, 1, 4).select(f.udf(who, StringType())("id")).distinct().collect()
print("\\n".join(row[0] for row in rows))
"""
REFUSED = """
import sys
import grpc
from pyspark.sql import SparkSession
try:
    SparkSession.builder.remote(sys.argv[1]).getOrCreate().range(3).count()
    print("worked")
except Exception as error:
    cause = error if isinstance(error, grpc.RpcError) else error.__context__ or error
    print(type(error).__name__, str(error).replace("\\n", " ")[:300])
"""


# A step: what it may read, what it may not, who it is on an executor; told in a file that only its role may write.
JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
own, out, other = sys.argv[1:]
found = [spark.read.text(own).collect()[0][0]]
try:
    found.append(spark.read.text(other).collect()[0][0])
except Exception as error:
    found.append("refused" if "403" in str(error) else str(error))
def who(rows):
    import boto3
    yield boto3.client("sts").get_caller_identity()["Arn"]
found += spark.sparkContext.parallelize([1], 1).mapPartitions(who).collect()
spark.createDataFrame([("\\n".join(found),)], "text string").coalesce(1).write.mode("overwrite").text(out)
"""


class Sessions:
    """A cluster with sessions and runtime roles, two such roles, and a file that each may read."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.emr = studio.client("emr")
        self.s3, self.iam = studio.client("s3"), studio.client("iam")
        self.bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
        self.account = "123456789012"
        self.roles = {name: self._role(name) for name in ("red", "blue")}
        self._may_assume()
        self.emr.create_security_configuration(Name="scoped", SecurityConfiguration=json.dumps(SCOPED))
        self.cluster_id = self._create()

    def _role(self, name: str) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=f"roles/{name}/a.txt", Body=f"of {name}".encode())
        nodes = f"arn:aws:iam::{self.account}:role/EMR_EC2_DefaultRole"
        trust = {"Effect": "Allow", "Principal": {"AWS": nodes}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        bucket = f"arn:aws:s3:::{self.bucket}"
        own = {"StringLike": {"s3:prefix": [f"roles/{name}", f"roles/{name}/*"]}}
        rights = (
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": f"{bucket}/roles/{name}/*",
            },
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket, "Condition": own},
        )
        self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_policy(*rights))
        return str(arn)

    def _may_assume(self) -> None:
        rights = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": list(self.roles.values())}
        self.iam.put_role_policy(RoleName="EMR_EC2_DefaultRole", PolicyName="use", PolicyDocument=_policy(rights))

    def _create(self) -> str:
        group = {"InstanceType": "m5.xlarge", "Market": "ON_DEMAND", "InstanceCount": 1}
        answer = self.emr.run_job_flow(
            Name="sessions",
            ReleaseLabel="emr-8.0.0",
            LogUri=self.uri("logs/"),
            Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
            ServiceRole="EMR_DefaultRole_V2",
            JobFlowRole="EMR_EC2_DefaultRole",
            SecurityConfiguration="scoped",
            SessionEnabled=True,
            Instances={
                "InstanceGroups": [group | {"InstanceRole": "MASTER"}, group | {"InstanceRole": "CORE"}],
                "Ec2SubnetId": self.studio.json["network"]["subnet_ids"][0],
                "KeepJobFlowAliveWhenNoSteps": True,
            },
        )
        return str(answer["JobFlowId"])

    def uri(self, path: str) -> str:
        return f"s3://{self.bucket}/{path}"

    def cluster_state(self) -> str:
        return str(self.emr.describe_cluster(ClusterId=self.cluster_id)["Cluster"]["Status"]["State"])

    def start(self, role: str = "", **more: Any) -> str:
        """Start a session; its id once it takes connections."""
        until("the cluster is up", lambda: self.cluster_state() in ("RUNNING", "WAITING"), 400)
        own = {"ExecutionRoleArn": self.roles[role]} if role else {}
        session_id = str(self.emr.start_session(ClusterId=self.cluster_id, **own, **more)["Id"])
        until(f"{session_id} takes connections", lambda: self._lives(session_id), 400)
        return session_id

    def _lives(self, session_id: str) -> bool:
        found = self.session(session_id)
        assert found["State"] not in ("FAILED", "TERMINATED"), f"{found}\n{self.log(session_id)}"
        return found["State"] in LIVING

    def log(self, name: str) -> str:
        """The ends of the logs that have the name in theirs, for the message of a failing test."""
        logs = (self.studio.data_dir / "logs" / "clusters" / self.cluster_id).glob(f"*{name}*")
        return "\n".join(path.read_text()[-3000:] for path in logs)

    def session(self, session_id: str) -> dict[str, Any]:
        return dict(self.emr.get_session(ClusterId=self.cluster_id, SessionId=session_id)["Session"])

    def step(self, step_id: str) -> dict[str, Any]:
        return dict(self.emr.describe_step(ClusterId=self.cluster_id, StepId=step_id)["Step"])

    def endpoint(self, session_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.emr.get_session_endpoint(ClusterId=self.cluster_id, SessionId=session_id)
        return found

    def url(self, session_id: str) -> str:
        found = self.endpoint(session_id)
        return f"{found['Endpoint']};token={found['AuthToken']}"

    def laptop(self, code: str, *arguments: str) -> str:
        """What a program prints that has stock pyspark and nothing of ours."""
        python = str(self.studio.settings.env_python("emr-8.0.0"))
        done = subprocess.run(
            [python, "-I", "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
            env=clean_environment(),
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def cluster(studio: Studio) -> Iterator[Sessions]:
    made = Sessions(studio)
    yield made
    made.emr.terminate_job_flows(JobFlowIds=[made.cluster_id])
    made.emr.get_waiter("cluster_terminated").wait(
        ClusterId=made.cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 400}
    )


@pytest.fixture(scope="module")
def pair(cluster: Sessions) -> Mapping[str, str]:
    """A session of each role, side by side."""
    return {role: cluster.start(role, Name=role) for role in ("red", "blue")}


def test_each_session_reads_what_its_role_may_and_nothing_else(cluster: Sessions, pair: Mapping[str, str]) -> None:
    own, other = cluster.uri("roles/red/a.txt"), cluster.uri("roles/blue/a.txt")
    assert cluster.laptop(READ, cluster.url(pair["red"]), own, other) == "read of red\nrefused\n"
    assert cluster.laptop(READ, cluster.url(pair["blue"]), other, own) == "read of blue\nrefused\n"


def test_code_on_executors_has_the_role_of_its_session_too(cluster: Sessions, pair: Mapping[str, str]) -> None:
    found = [cluster.laptop(WHO, cluster.url(pair[role])).split() for role in ("red", "blue")]
    (red_uid, red_arn), (blue_uid, blue_arn) = found
    assert red_arn == f"arn:aws:sts::{cluster.account}:assumed-role/red/{pair['red']}"
    assert blue_arn == f"arn:aws:sts::{cluster.account}:assumed-role/blue/{pair['blue']}"
    # Without root all code is of one user.
    assert red_uid != blue_uid or red_uid != "0"


def test_tokens_are_good_for_their_session_alone_and_while_it_lives(cluster: Sessions, pair: Mapping[str, str]) -> None:
    found = cluster.endpoint(pair["red"])
    endpoint, token = found["Endpoint"], found["AuthToken"]
    # What pyspark sends without TLS to any host.
    assert cluster.laptop(REFUSED, f"{endpoint};x-aws-proxy-auth={token}") == "worked\n"
    for wrong in ("", ";token=x", f";token={token[:-8]}AAAAAAAA"):
        assert "UNAUTHENTICATED" in cluster.laptop(REFUSED, endpoint + wrong), wrong
    # Whatever it says about itself, a client sees no Spark session of the other's.
    make = (
        "import sys\nfrom pyspark.sql import SparkSession\ns = SparkSession.builder.remote(sys.argv[1]).getOrCreate()\n"
    )
    see = make + "s.range(3).createOrReplaceTempView('mine')\nprint([t.name for t in s.catalog.listTables()])"
    same = ";user_id=ann;session_id=6a0ff4c0-4f0e-4b8a-9a37-4cc2a1f3a111"
    assert cluster.laptop(see, cluster.url(pair["red"]) + same) == "['mine']\n"
    look = make + "print([t.name for t in s.catalog.listTables()])"
    assert cluster.laptop(look, cluster.url(pair["blue"]) + same) == "[]\n"


def test_a_step_has_its_runtime_role_and_no_other(cluster: Sessions) -> None:
    cluster.s3.put_object(Bucket=cluster.bucket, Key="roles/red/job.py", Body=JOB.encode())
    paths = [cluster.uri(f"roles/{name}") for name in ("red/job.py", "red/a.txt", "red/out", "blue/a.txt")]
    runner = {"Jar": "command-runner.jar", "Args": ["spark-submit", *paths]}
    step = {"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": runner}
    added = cluster.emr.add_job_flow_steps(
        JobFlowId=cluster.cluster_id, Steps=[step], ExecutionRoleArn=cluster.roles["red"]
    )
    (step_id,) = added["StepIds"]
    until("the step has ended", lambda: cluster.step(step_id)["Status"]["State"] in ("COMPLETED", "FAILED"), 400)
    found = cluster.step(step_id)
    assert found["Status"]["State"] == "COMPLETED", f"{found}\n{cluster.log(step_id)}"
    assert found["ExecutionRoleArn"] == cluster.roles["red"]
    logs = f"logs/{cluster.cluster_id}/steps/{step_id}/"
    kept = cluster.s3.list_objects_v2(Bucket=cluster.bucket, Prefix=logs)["Contents"]
    # Written by the cluster's role: the step's own may not.
    assert {one["Key"].removeprefix(logs) for one in kept} == {"controller.gz", "stderr.gz", "stdout.gz"}
    listed = cluster.s3.list_objects_v2(Bucket=cluster.bucket, Prefix="roles/red/out/part-")["Contents"]
    text = cluster.s3.get_object(Bucket=cluster.bucket, Key=listed[0]["Key"])["Body"].read().decode()
    arn = f"arn:aws:sts::{cluster.account}:assumed-role/red/{step_id}"
    assert text.split("\n")[:3] == ["of red", "refused", arn]


def test_a_session_ends_with_its_spark(cluster: Sessions, pair: Mapping[str, str]) -> None:
    url = cluster.url(pair["blue"])
    answer = cluster.emr.terminate_session(ClusterId=cluster.cluster_id, SessionId=pair["blue"])
    assert answer["State"] == "TERMINATING"
    until("it has ended", lambda: cluster.session(pair["blue"])["State"] == "TERMINATED")
    assert "UNAUTHENTICATED" in cluster.laptop(REFUSED, url)
    with pytest.raises(ClientError, match="it must be STARTED, IDLE or BUSY"):
        cluster.endpoint(pair["blue"])
    listed = cluster.emr.list_sessions(ClusterId=cluster.cluster_id, SessionStates=["TERMINATED"])["Sessions"]
    assert [one["Id"] for one in listed] == [pair["blue"]]


def test_kernels_have_their_runtime_role_and_no_other(cluster: Sessions) -> None:
    found = cluster.emr.get_cluster_session_credentials(
        ClusterId=cluster.cluster_id, ExecutionRoleArn=cluster.roles["blue"]
    )
    pair = found["Credentials"]["UsernamePassword"]
    pair = (pair["Username"], pair["Password"])
    # As `jupyter lab --gateway-url`: through the edge.
    endpoint = cluster.studio.json["endpoint_url"].removeprefix("http://")
    gateway = Gateway(f"{endpoint}/_gateway/{cluster.cluster_id}", pair[1], cluster.cluster_id)
    url = f"http://{gateway.address}/api/kernelspecs"
    assert httpx.get(url, timeout=60).status_code == 401
    until("it answers", lambda: httpx.get(url, auth=pair, timeout=60).status_code == 200, 400)
    kernel = Kernel(gateway, "pysparkkernel")
    try:
        arn = kernel.run("import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])")
        assert f"arn:aws:sts::{cluster.account}:assumed-role/blue/" in arn
        read = "print(spark.read.text('{}').collect()[0][0])"
        assert kernel.run(read.format(cluster.uri("roles/blue/a.txt"))) == "of blue\n"
        assert "403" in kernel.run(read.format(cluster.uri("roles/red/a.txt")))
    finally:
        kernel.close()
