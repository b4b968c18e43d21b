"""A kernel's own Spark: a driver on the primary node, beside the Connect server that other kernels share.

It takes executors while it has work and gives them back when it has none: an open notebook keeps nobody waiting.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from emr_studio_cluster import libraries, tools, virtualenv
from emr_studio_cluster.config import NodeConfig

NODE_FOLDER = "EMR_STUDIO_NODE_FOLDER"
_SHELL = "shell"
_END_SECONDS = 60
# What Spark draws into a terminal would stand among what the cell prints.
_OURS = {"spark.ui.showConsoleProgress": "false"}
# Executors come with work and leave after it; what they wrote is kept track of until nobody needs it.
_AS_NEEDED = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.executorIdleTimeout": "60s",
    "spark.dynamicAllocation.cachedExecutorIdleTimeout": "600s",
}


def shell_environment(config: NodeConfig, folder: Path) -> dict[str, str]:
    """What a kernel's programs find: spark-submit and the other commands of a primary node, set up for this cluster."""
    home = os.environ.get("HOME", str(folder))
    (folder / _SHELL).mkdir(mode=0o700, exist_ok=True)
    return tools.environment(config, folder / _SHELL) | {"HOME": home}


def start(config: NodeConfig, name: str, properties: Mapping[str, str] | None = None) -> Any:
    """Start a driver and return its session.

    Raises:
        Exception: whatever hinders Spark, or the Python that it is to have.
    """
    for variable in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):
        os.environ.pop(variable, None)
    from pyspark.sql import SparkSession

    asked = virtualenv.of_python(config.spark_defaults) | dict(properties or {})
    given = virtualenv.use_driver(asked, libraries.session.pythons, local=config.master.startswith("local["))
    builder = SparkSession.builder.appName(name)
    for key, value in {**_OURS, **({} if config.local_mode else _AS_NEEDED), **given}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def stop() -> None:
    """End the driver and its JVM: the next one may have another memory, other jars."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    # The active one is known to the thread alone that made it.
    found = SparkSession._instantiatedSession
    with suppress(Exception):
        if found is not None:
            found.stop()
    gateway = SparkContext._gateway
    SparkContext._gateway = SparkContext._jvm = None
    if gateway is None:
        return
    with suppress(Exception):
        gateway.shutdown()
    # The JVM watches its input.
    gateway.proc.stdin.close()
    gateway.proc.wait(_END_SECONDS)
