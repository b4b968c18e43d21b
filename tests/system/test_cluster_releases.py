"""A cluster of the older release: Spark 3.5 really runs: a kernel's cell, a step, S3."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from emr_studio.clusters.model import Cluster, gateway_of
from emr_studio.db import Database
from tests.support.cluster_rig import Kernel
from tests.support.studio import Studio, until

LABEL = "emr-7.12.0"
COUNT = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("spark", spark.version, "rows", spark.read.parquet("s3://{bucket}/older/numbers").count())
"""


class Older:
    """A cluster of Spark 3.5 and what was told while it came."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.emr, self.s3 = studio.client("emr"), studio.client("s3")
        self.bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
        group = {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
        self.id = self.emr.run_job_flow(
            Name="older",
            ReleaseLabel=LABEL,
            LogUri=f"s3://{self.bucket}/older/logs/",
            Applications=[{"Name": "Spark"}],
            ServiceRole="EMR_DefaultRole_V2",
            JobFlowRole="EMR_EC2_DefaultRole",
            Instances={
                "InstanceGroups": [group, group | {"InstanceRole": "CORE"}],
                "Ec2SubnetId": studio.json["network"]["subnet_ids"][0],
                "KeepJobFlowAliveWhenNoSteps": True,
            },
        )["JobFlowId"]
        self.told: list[str] = []
        until("it is ready", self._ready, 400)

    def status(self) -> dict[str, Any]:
        return dict(self.emr.describe_cluster(ClusterId=self.id)["Cluster"]["Status"])

    def _ready(self) -> bool:
        status = self.status()
        assert "TERMINAT" not in status["State"], status
        self.told.append(status["StateChangeReason"].get("Message", ""))
        return bool(status["State"] == "WAITING")

    def kernel(self, name: str) -> Kernel:
        database = Database(self.studio.settings.sqlalchemy_url)
        with database.read() as session:
            gateway = gateway_of(session, session.get_one(Cluster, self.id))
        database.dispose()
        return Kernel(gateway, name)


@pytest.fixture(scope="module")
def older(studio: Studio) -> Iterator[Older]:
    made = Older(studio)
    yield made
    made.emr.terminate_job_flows(JobFlowIds=[made.id])
    until("it is gone", lambda: made.status()["State"] == "TERMINATED")


def test_the_catalogue_tells_what_runs(older: Older) -> None:
    label = older.emr.describe_release_label(ReleaseLabel=LABEL)
    versions = {one["Name"]: one["Version"] for one in label["Applications"]}
    kernel = older.kernel("pysparkkernel")
    try:
        assert kernel.run("print(spark.version)") == f"{versions['Spark']}\n"
        path = f"s3://{older.bucket}/older/numbers"
        assert kernel.run(f"spark.range(1000).write.mode('overwrite').parquet('{path}')") == ""
        squares = "from pyspark.sql.functions import udf\nsquare = udf(lambda n: n * n, 'long')\n"
        assert kernel.run(squares + "print(spark.range(5).select(square('id')).toPandas().sum().iloc[0])") == "30\n"
    finally:
        kernel.close()
    older.s3.put_object(Bucket=older.bucket, Key="older/count.py", Body=COUNT.format(bucket=older.bucket).encode())
    runner = {"Jar": "command-runner.jar", "Args": ["spark-submit", f"s3://{older.bucket}/older/count.py"]}
    step = {"Name": "count", "ActionOnFailure": "CONTINUE", "HadoopJarStep": runner}
    (step_id,) = older.emr.add_job_flow_steps(JobFlowId=older.id, Steps=[step])["StepIds"]
    older.emr.get_waiter("step_complete").wait(
        ClusterId=older.id, StepId=step_id, WaiterConfig={"Delay": 1, "MaxAttempts": 400}
    )
    log = older.s3.get_object(Bucket=older.bucket, Key=f"older/logs/{older.id}/steps/{step_id}/stdout.gz")
    assert f"spark {versions['Spark']} rows 1000" in gzip.decompress(log["Body"].read()).decode()


@pytest.mark.skipif(shutil.which("R") is None, reason="R is not installed: deploy/install.sh, as root, installs it")
def test_r_keeps_its_values_on_s3(older: Older) -> None:
    path = f"s3://{older.bucket}/older/from-r"
    kernel = older.kernel("sparkrkernel")
    try:
        made = "createDataFrame(data.frame(n = c(1L, NA), x = c(NaN, 0.5), t = c('p\u00e4r', NA)))"
        assert kernel.run(f"write.df({made}, '{path}', mode = 'overwrite')") == ""
        rows = f"rows <- collect(arrange(read.parquet('{path}'), 'x'))"
        shown = kernel.run(f"{rows}\ncat(sapply(rows, class), rows$n, rows$x, rows$t, sep = ',')")
        assert shown == "integer,numeric,character,NA,1,0.5,NaN,NA,p\u00e4r"
        assert kernel.run("cat(sparkR.version())").startswith("3.5")
    finally:
        kernel.close()
