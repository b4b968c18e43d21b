"""What `%%configure` is given, as Spark's properties.

    %%configure -f
    {"conf": {"spark.sql.shuffle.partitions": "4"}, "driverMemory": "2g", "executorMemory": "1g"}

The members are those of Livy's sessions, which EMR's notebooks have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

_NAMES = {
    "driverMemory": "spark.driver.memory",
    "driverCores": "spark.driver.cores",
    "executorMemory": "spark.executor.memory",
    "executorCores": "spark.executor.cores",
    "numExecutors": "spark.executor.instances",
    "name": "spark.app.name",
    "jars": "spark.jars",
    "pyFiles": "spark.submit.pyFiles",
    "files": "spark.files",
    "archives": "spark.archives",
}
_MEANINGLESS = ("kind", "queue", "heartbeatTimeoutInSecond", "ttl", "driverMemoryOverhead")
"""Of Livy and YARN, which are not here; old notebooks name them, and lose nothing."""


def properties_of(text: str) -> dict[str, str]:
    """The properties.

    Raises:
        UsageError: it is no JSON object, a member is not known, or changes for whom Spark works.
    """
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise UsageError(f"%%configure takes a JSON object: {error}") from error
    if not isinstance(given, dict):
        raise UsageError('%%configure takes a JSON object, such as {"conf": {"spark.sql.shuffle.partitions": "4"}}')
    own = given.pop("conf", {})
    if not isinstance(own, dict):
        raise UsageError('"conf" is an object of Spark properties.')
    _check_proxy([*given, *own])
    named = {_name(key): _text(value) for key, value in given.items() if key not in _MEANINGLESS}
    return named | {str(key): _text(value) for key, value in own.items()}


def _check_proxy(names: list[str]) -> None:
    for name in names:
        if name.lower().replace("_", "").replace("-", "").replace(".", "").endswith("proxyuser"):
            raise UsageError(f"{name} cannot be changed: Spark works for the user who has attached the Workspace.")


def _name(key: str) -> str:
    if key not in _NAMES:
        known = ", ".join(["conf", *_NAMES])
        raise UsageError(f"%%configure does not know {key!r}. It takes: {known}.")
    return _NAMES[key]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def shown(properties: Mapping[str, str]) -> str:
    """One property a line."""
    return "\n".join(f"    {name} = {value}" for name, value in sorted(properties.items()))
