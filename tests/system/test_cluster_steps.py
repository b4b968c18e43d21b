"""Steps and bootstrap actions of a real cluster: scripts, data and logs in S3, results of real Spark."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import Studio, until
from tests.support.venv_pack import packed

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")
BOOTSTRAP = """#!/bin/bash
set -e
echo "on $(hostname) with $1"
env
mkdir -p "$PYTHONPATH"
echo "ANSWER = 42" > "$PYTHONPATH/installed_by_bootstrap.py"
sudo -E touch ready
"""
COUNT = """
import sys
import installed_by_bootstrap
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("count").getOrCreate()
source, target = sys.argv[1:]
spark.range(0, 1000, 1, 4).selectExpr("id", "id % 10 as g").write.mode("overwrite").parquet(source)
def answer(rows):
    import installed_by_bootstrap
    yield installed_by_bootstrap.ANSWER
everywhere = set(spark.sparkContext.parallelize(range(4), 4).mapPartitions(answer).collect())
counts = spark.read.parquet(source).groupBy("g").count()
counts.write.mode("overwrite").csv(target)
print("answers", everywhere, "groups", counts.count(), "master", spark.sparkContext.master.split(":")[0])
"""
WHERE = """
import sys
import pear_of_mine
from pyspark.sql import SparkSession
def where(rows):
    import sys, pear_of_mine
    yield f"executors {sys.prefix} {pear_of_mine.VERSION}"
context = SparkSession.builder.getOrCreate().sparkContext
print("driver", sys.prefix, pear_of_mine.VERSION, *set(context.parallelize(range(2), 2).mapPartitions(where).collect()))
"""
SCRIPT = "#!/bin/bash\necho out of $0: $1\necho this goes beside >&2\nexit $2\n"


class Job:
    """A cluster with scripts and logs in the sample bucket."""

    def __init__(self, studio: Studio) -> None:
        self.emr = studio.client("emr", "sample")
        self.s3 = studio.client("s3")
        self.bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
        for name, text in (("boot.sh", BOOTSTRAP), ("count.py", COUNT), ("script.sh", SCRIPT)):
            self.s3.put_object(Bucket=self.bucket, Key=f"steps/{name}", Body=text.encode())
        self.cluster_id = self._create(studio)

    def uri(self, path: str) -> str:
        return f"s3://{self.bucket}/steps/{path}"

    def _create(self, studio: Studio) -> str:
        group = {"InstanceType": "m5.xlarge", "Market": "ON_DEMAND", "InstanceCount": 1}
        answer = self.emr.run_job_flow(
            Name="steps",
            ReleaseLabel="emr-8.0.0",
            LogUri=self.uri("logs/"),
            Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
            ServiceRole="EMR_DefaultRole_V2",
            JobFlowRole="EMR_EC2_DefaultRole",
            BootstrapActions=[
                {"Name": "libraries", "ScriptBootstrapAction": {"Path": self.uri("boot.sh"), "Args": ["an argument"]}}
            ],
            Steps=[self.step("pi", "spark-example", "SparkPi", "4")],
            Instances={
                "InstanceGroups": [group | {"InstanceRole": "MASTER"}, group | {"InstanceRole": "CORE"}],
                "Ec2SubnetId": studio.json["network"]["subnet_ids"][0],
                "KeepJobFlowAliveWhenNoSteps": True,
            },
        )
        return str(answer["JobFlowId"])

    @staticmethod
    def step(name: str, *arguments: str, jar: str = "command-runner.jar") -> dict[str, Any]:
        runner = {"Jar": jar, "Args": list(arguments)}
        return {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": runner}

    def add(self, *steps: dict[str, Any]) -> list[str]:
        answer = self.emr.add_job_flow_steps(JobFlowId=self.cluster_id, Steps=list(steps))
        return [str(step_id) for step_id in answer["StepIds"]]

    def status(self, step_id: str) -> dict[str, Any]:
        return dict(self.emr.describe_step(ClusterId=self.cluster_id, StepId=step_id)["Step"]["Status"])

    def ended(self, step_id: str, seconds: float = 400) -> dict[str, Any]:
        """The status of a step that has ended."""
        until(f"{step_id} has ended", lambda: self.status(step_id)["State"] in ENDED, seconds)
        return self.status(step_id)

    def log(self, path: str) -> str:
        key = f"steps/logs/{self.cluster_id}/{path}.gz"
        return gzip.decompress(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()).decode()

    def out(self, step_id: str) -> str:
        """All that the step wrote, for the message of a failing test."""
        return "\n".join(self.log(f"steps/{step_id}/{name}") for name in ("stdout", "stderr", "controller"))


@pytest.fixture(scope="module")
def job(studio: Studio) -> Iterator[Job]:
    made = Job(studio)
    yield made
    made.emr.terminate_job_flows(JobFlowIds=[made.cluster_id])
    made.emr.get_waiter("cluster_terminated").wait(
        ClusterId=made.cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 400}
    )


def test_the_step_of_the_request_runs_after_the_bootstrap_action(job: Job) -> None:
    (step,) = job.emr.list_steps(ClusterId=job.cluster_id)["Steps"]
    status = job.ended(step["Id"], 400)
    assert status["State"] == "COMPLETED", (status, job.emr.describe_cluster(ClusterId=job.cluster_id))
    assert "Pi is roughly 3." in job.log(f"steps/{step['Id']}/stdout")
    for instance in job.emr.list_instances(ClusterId=job.cluster_id)["Instances"]:
        log = job.log(f"node/{instance['Ec2InstanceId']}/bootstrap-actions/1/stdout")
        assert "with an argument" in log
        assert "AWS_CONTAINER_AUTHORIZATION_TOKEN=****" in log


def test_spark_submit_with_script_and_data_in_s3(job: Job) -> None:
    arguments = ("--deploy-mode", "cluster", "--master", "yarn", "--conf", "spark.app.x=1", job.uri("count.py"))
    (step_id,) = job.add(job.step("count", "spark-submit", *arguments, job.uri("data"), job.uri("counts")))
    job.emr.get_waiter("step_complete").wait(
        ClusterId=job.cluster_id, StepId=step_id, WaiterConfig={"Delay": 1, "MaxAttempts": 400}
    )
    assert "answers {42} groups 10 master spark" in job.log(f"steps/{step_id}/stdout"), job.out(step_id)
    (copied,) = job.add(job.step("copy", "s3-dist-cp", "--src", job.uri("counts"), "--dest", job.uri("copied/")))
    assert job.ended(copied)["State"] == "COMPLETED", job.out(copied)
    (listed,) = job.add(job.step("list", "hadoop", "fs", "-ls", job.uri("copied")))
    assert job.ended(listed)["State"] == "COMPLETED", job.out(listed)
    assert "copied/_SUCCESS" in job.log(f"steps/{listed}/stdout")


@pytest.mark.capability("KN-06")
def test_driver_and_executors_run_the_python_of_an_archive(job: Job, studio: Studio, tmp_path: Path) -> None:
    """As AWS has it in its guide: the archive in S3, and YARN's variables."""
    body = packed(studio.settings.env_python("emr-8.0.0"), tmp_path)
    job.s3.put_object(Bucket=job.bucket, Key="steps/venv.tar.gz", Body=body)
    job.s3.put_object(Bucket=job.bucket, Key="steps/where.py", Body=WHERE.encode())
    python = "PYSPARK_PYTHON=./environment/bin/python"
    conf = [f"spark.{place}.{python}" for place in ("yarn.appMasterEnv", "executorEnv")]
    options = ["--deploy-mode", "cluster", "--archives", job.uri("venv.tar.gz#environment")]
    options += [word for one in conf for word in ("--conf", one)]
    (step_id,) = job.add(job.step("where", "spark-submit", *options, job.uri("where.py")))
    assert job.ended(step_id)["State"] == "COMPLETED", job.out(step_id)
    said = job.log(f"steps/{step_id}/stdout")
    found = re.search(r"driver (\S+)/environment 3 executors (\S+)/environment 3\n", said)
    assert found, job.out(step_id)
    assert found[1] != found[2]
    (step_id,) = job.add(job.step("none", "spark-submit", *options[2:], "--archives", job.uri("no.zip#e"), "x.py"))
    assert job.ended(step_id)["State"] == "FAILED"
    assert "is in none of the archives" in job.log(f"steps/{step_id}/stderr")


def test_a_script_that_fails(job: Job) -> None:
    runner = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar"
    good, bad = job.add(
        job.step("good", job.uri("script.sh"), "hello", "0", jar=runner),
        job.step("bad", job.uri("script.sh"), "hello", "3", jar=runner),
    )
    assert job.ended(good)["State"] == "COMPLETED"
    assert ": hello" in job.log(f"steps/{good}/stdout")
    status = job.ended(bad)
    assert status["State"] == "FAILED"
    assert status["FailureDetails"]["Message"] == "this goes beside"
    assert status["FailureDetails"]["LogFile"] == job.uri(f"logs/{job.cluster_id}/steps/{bad}/stderr.gz")
    (missing,) = job.add(job.step("missing", job.uri("nothing.sh"), jar=runner))
    assert "Could not download" in job.ended(missing)["FailureDetails"]["Message"]


def test_a_step_is_cancelled(job: Job) -> None:
    running, waiting = job.add(job.step("long", "sleep", "3600"), job.step("next", "true"))
    until("it runs", lambda: job.status(running)["State"] == "RUNNING")
    job.emr.cancel_steps(ClusterId=job.cluster_id, StepIds=[running])
    assert job.ended(running)["State"] == "CANCELLED"
    assert job.ended(waiting)["State"] == "COMPLETED"
    until("it waits", lambda: _state(job) == "WAITING")


def _state(job: Job) -> str:
    return str(job.emr.describe_cluster(ClusterId=job.cluster_id)["Cluster"]["Status"]["State"])
