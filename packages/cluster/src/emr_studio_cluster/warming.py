"""Warms the Connect server: a few small queries before anybody asks one, so that the first of a notebook is quick.

A server that has just started loads and compiles classes in its first queries, asks for executors and starts their
Python: seconds that a user would wait for. The kernels' host forks a client that does what notebooks do: of a warm
spare at once, since nobody waits for it; of a cluster that somebody asked for when nobody has used it for a while, so
that who comes at once has the machine for himself. It ends without a word whatever happens.
"""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from emr_studio_cluster.config import CONNECT_PORT, GATEWAY_PORT, PRACTICE, NodeConfig

_CONNECT_SECONDS = 0.2
_ASK_SECONDS = 1.0
_GIVEN, _REFUSED = 200, 403
PATIENCE_SECONDS = 15.0
_TAG = "warm-up"


class Moment:
    """When to warm. Asked again and again, quickly; it never raises."""

    def __init__(self, config: NodeConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._since: float | None = None
        self._spare = False

    def has_come(self) -> bool:
        """Whether server and gateway answer, the last that a cluster waits for, and nobody is likely to come now."""
        # Nothing is asked of a Spark that is not ours.
        if self._config.outside:
            return False
        if self._since is None:
            if not all(_answers(self._config.primary_address, port) for port in (CONNECT_PORT, GATEWAY_PORT)):
                return False
            self._since, self._spare = self._clock(), _credentials() == _REFUSED
        return self._spare or self._clock() - self._since >= PATIENCE_SECONDS


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), _CONNECT_SECONDS):
        return True
    return False


def run(config: NodeConfig) -> None:
    """Ask the queries, the most common first; each may fail for reasons of its own."""
    from emr_studio_cluster.session import connect

    spark = connect(config)
    if hasattr(spark, "addTag"):
        # Spark's pages show whose they were.
        spark.addTag(_TAG)
    for query in _queries(config):
        with suppress(Exception):
            query(spark)
    spark.stop()


def _queries(config: NodeConfig) -> Sequence[Callable[[Any], object]]:
    return (
        _first,
        _shuffle,
        _own_rows,
        _python,
        *([practise] if config.has_catalog else []),
        *([_tables] if config.has_catalog and _credentials() == _GIVEN else []),
    )


def _first(spark: Any) -> object:
    return spark.range(1000).selectExpr("sum(id)").first()


def _shuffle(spark: Any) -> object:
    from pyspark.sql import functions as f

    grouped = spark.range(0, 100, 1, 2).groupBy((f.col("id") % 7).alias("g")).agg(f.count("*"), f.avg("id"))
    return grouped.orderBy("g").toPandas()


def _own_rows(spark: Any) -> object:
    spark.createDataFrame([(1, "a"), (2, "b")], ["n", "s"]).createOrReplaceTempView("warm")
    return spark.sql("SELECT a.n, b.s FROM warm a JOIN warm b ON a.n = b.n WHERE a.s <> 'c'").collect()


def _python(spark: Any) -> object:
    from pyspark.sql import functions as f

    return spark.range(2).select(f.udf(str, "string")("id")).collect()


def practise(spark: Any) -> None:
    """What notebooks do with tables, in the database that is in no catalog."""
    table = f"{PRACTICE}.t"
    spark.sql(f"CREATE TABLE {table} USING parquet AS SELECT id AS a, 'x' AS b FROM range(2)").collect()
    spark.table(table).where("a > 0").groupBy("b").count().collect()
    spark.sql(f"INSERT INTO {table} VALUES (3, 'y')").collect()
    spark.sql(f"SHOW TABLES IN {PRACTICE}").collect()
    spark.sql(f"DESCRIBE TABLE EXTENDED {table}").collect()
    spark.sql(f"DROP TABLE {table}").collect()


def _tables(spark: Any) -> object:
    return spark.sql("SHOW TABLES").collect()


def _credentials() -> int | None:
    """What the endpoint of the node's role answers, as HTTP's status. A spare has no role before it is somebody's."""
    url, token = (
        os.environ.get(f"AWS_CONTAINER_{name}", "") for name in ("CREDENTIALS_FULL_URI", "AUTHORIZATION_TOKEN")
    )
    try:
        asked = urllib.request.Request(url, headers={"Authorization": token})
        with urllib.request.urlopen(asked, timeout=_ASK_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except (OSError, ValueError):
        return None
