"""Uses a Connect server as notebooks do, so that what they need is in the archives."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from pyspark.errors import PySparkException

from emr_studio_cluster.config import read_config
from emr_studio_cluster.session import connect
from emr_studio_cluster.warming import practise


def main(folder: Path) -> None:
    """`folder` holds the server's `node.json`; files are written beside it."""
    config = read_config(folder)
    spark = connect(config)
    from pyspark.sql import functions as f

    numbers = spark.range(0, 1000, 1, 4).withColumn("group", f.col("id") % 7)
    print(numbers.count())
    for form in ("parquet", "csv"):
        path = str(folder.parent / form)
        getattr(numbers.write.mode("overwrite"), form)(path)
        getattr(spark.read, form)(path).limit(5).show()
    numbers.groupBy("group").agg(f.avg("id"), f.max("id")).orderBy("group").toPandas()
    numbers.alias("a").join(numbers.alias("b"), "id").count()
    numbers.createOrReplaceTempView("numbers")
    spark.sql("SELECT group, count(*) FROM numbers GROUP BY group").show()
    print(numbers.select(f.udf(str, "string")("id").alias("text")).limit(3).collect())
    if config.s3_jars:
        # Nothing answers there; the classes are loaded all the same.
        with suppress(PySparkException):
            spark.read.parquet("s3://archives/none").count()
    if config.has_catalog:
        # What was loaded until then is worth having.
        with suppress(PySparkException):
            practise(spark)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
