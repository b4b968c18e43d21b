"""Spark's S3A (hadoop-aws, Java's SDK version 2), in local mode."""

from __future__ import annotations

import os
from typing import Any

from pyspark.sql import SparkSession

from tests.support.s3_play import play
from tests.support.s3_play.play import BUCKET, MANY, MANY_BUCKET

LOCATION = f"s3a://{BUCKET}"


def session() -> SparkSession:
    builder = SparkSession.builder.master("local[2]").config("spark.jars", os.environ["S3_JARS"])
    settings = {
        "endpoint": play.URL,
        "endpoint.region": play.REGION,
        "path.style.access": "true",
        "connection.ssl.enabled": "false",
        "aws.credentials.provider": "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
        "multipart.size": "5M",
        "fast.upload.buffer": "bytebuffer",
        "attempts.maximum": "1",
    }
    for name, value in settings.items():
        builder = builder.config(f"spark.hadoop.fs.s3a.{name}", value)
    return builder.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "2").getOrCreate()


spark = session()
spark.sparkContext.setLogLevel("ERROR")


def filesystem(path: str) -> tuple[Any, Any]:
    java = spark._jvm
    where = java.org.apache.hadoop.fs.Path(path)
    return where, where.getFileSystem(spark._jsc.hadoopConfiguration())


def upload() -> None:
    spark.range(1000).selectExpr("id", "id % 7 AS team").write.partitionBy("team").parquet(f"{LOCATION}/table")
    found = spark.read.parquet(f"{LOCATION}/table")
    assert found.count() == 1000
    assert found.where("team = 3").count() == 143
    spark.range(10).write.mode("overwrite").json(f"{LOCATION}/table2")
    assert spark.read.json(f"{LOCATION}/table2").count() == 10


def multipart() -> None:
    rows = play.MEGABYTES * 1024
    frame = spark.range(rows).selectExpr("id", "repeat(sha2(cast(id AS STRING), 512), 8) AS text").coalesce(1)
    frame.write.option("compression", "none").parquet(f"{LOCATION}/large")
    summed = spark.read.parquet(f"{LOCATION}/large").selectExpr("sum(id)", "sum(length(text))").first()
    assert summed == (rows * (rows - 1) // 2, rows * 1024)
    where, files = filesystem(f"{LOCATION}/large")
    sizes = [status.getLen() for status in files.listStatus(where)]
    assert max(sizes) > 5 << 20, sizes


def ranged_read() -> None:
    spark.sparkContext.parallelize(["0123456789" * 100], 1).saveAsTextFile(f"{LOCATION}/range")
    where, files = filesystem(f"{LOCATION}/range/part-00000")
    stream = files.open(where)
    stream.seek(503)
    assert [stream.read() for _ in range(3)] == [ord(digit) for digit in "345"]
    stream.close()


def listing() -> None:
    where, files = filesystem(f"s3a://{MANY_BUCKET}/many")
    assert len(files.listStatus(where)) == MANY


def renamed_and_deleted() -> None:
    spark.range(5).coalesce(1).write.csv(f"{LOCATION}/old")
    old, files = filesystem(f"{LOCATION}/old")
    new, _ = filesystem(f"{LOCATION}/new")
    assert files.rename(old, new)
    assert spark.read.csv(f"{LOCATION}/new").count() == 5
    assert files.delete(new, True)
    # The store keeps the emptied folder for a minute or two.
    assert not files.exists(new) or not files.listStatus(new)


if __name__ == "__main__":
    play.run(upload, multipart, ranged_read, listing, renamed_and_deleted)
    spark.stop()
