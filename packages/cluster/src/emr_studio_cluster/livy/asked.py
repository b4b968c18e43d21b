"""Bodies of requests: checked, and as Spark's properties."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST_BODY = 1 << 20
"""Bytes of a request: code that is larger belongs into a file."""
SPARK, PYSPARK, SQL, SHARED = "spark", "pyspark", "sql", "shared"
KINDS = (SPARK, PYSPARK, SQL, SHARED)
_OLD_NAMES = {"pyspark3": PYSPARK}
_LISTS = {"jars": "spark.jars", "pyFiles": "spark.submit.pyFiles", "files": "spark.files", "archives": "spark.archives"}
_SIZES = {"driverMemory": "spark.driver.memory", "executorMemory": "spark.executor.memory"}
_NUMBERS = {"driverCores": "spark.driver.cores", "executorCores": "spark.executor.cores"}
_COMMON = {*_LISTS, *_SIZES, *_NUMBERS, "numExecutors", "conf", "name", "queue", "proxyUser"}
_OF_SESSIONS = _COMMON | {"kind", "heartbeatTimeoutInSecond", "ttl"}
_OF_BATCHES = _COMMON | {"file", "className", "args"}
# Livy's own list has the first two; the others would take the application out of the cluster.
_NOT_THEIRS = re.compile(
    r"spark\.(master|submit\.deployMode|authenticate(\..*)?|driver\.(host|bindAddress)|ui\.filters|eventLog\.dir)"
)
_MEMORY = re.compile(r"\d+[bkmgt]?b?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+)\s*(ms|s|m|min|h|d|us)?")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class Refused(Exception):
    """A request that gets an answer of the 400s; the text is for its sender."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """What a session or a batch is asked to be."""

    kind: str = SHARED
    name: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    """Spark's."""
    idle_seconds: float | None = None
    """`ttl`: instead of the server's own."""
    heartbeat_seconds: int = 0
    file: str = ""
    class_name: str = ""
    arguments: tuple[str, ...] = ()
    echoed: Mapping[str, Any] = field(default_factory=dict)
    """Members that Livy shows again."""


def body_of(body: bytes) -> dict[str, Any]:
    """The members of a body; none for an empty one.

    Raises:
        Refused: too large, or not an object in JSON.
    """
    if len(body) > LARGEST_BODY:
        raise Refused(f"The request is larger than {LARGEST_BODY} bytes.", 413)
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refused(f"The body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refused("The body must be an object.")
    return found


def session_of(body: Mapping[str, Any], owner: str) -> Asked:
    """What POST /sessions asks for.

    Raises:
        Refused: with the member that is wrong.
    """
    _known(body, _OF_SESSIONS)
    return Asked(
        kind=kind_of(body.get("kind", SHARED)),
        name=_text(body, "name"),
        properties=_properties(body, owner),
        idle_seconds=seconds_of(str(body["ttl"])) if body.get("ttl") else None,
        heartbeat_seconds=_number(body, "heartbeatTimeoutInSecond", least=0) or 0,
        echoed=_echoed(body),
    )


def batch_of(body: Mapping[str, Any], owner: str) -> Asked:
    """What POST /batches asks for.

    Raises:
        Refused: with the member that is wrong.
    """
    _known(body, _OF_BATCHES)
    file = _text(body, "file")
    if not file:
        raise Refused("requirement failed: File is required.")
    if file.startswith("-"):
        raise Refused("file must be a path.")
    return Asked(
        name=_text(body, "name"),
        properties=_properties(body, owner),
        file=file,
        class_name=_text(body, "className") or "",
        arguments=tuple(_texts(body, "args")),
        echoed=_echoed(body),
    )


def kind_of(value: Any) -> str:
    """A kind of session or statement, by its present name.

    Raises:
        Refused: there is no such kind here.
    """
    kind = _OLD_NAMES.get(str(value).lower(), str(value).lower())
    if kind == "sparkr":
        raise Refused("SparkR is not available on this cluster: use spark, pyspark or sql.")
    if kind not in KINDS:
        raise Refused(f"Invalid kind: {value}")
    return kind


def seconds_of(text: str) -> float:
    """A duration of Spark's form: `90s`, `1h`; without a unit in milliseconds.

    Raises:
        Refused: it is none.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise Refused(f"Invalid time string: {text}")
    return float(found[1]) * _SECONDS[found[2] or "ms"]


def _known(body: Mapping[str, Any], names: set[str]) -> None:
    unknown = sorted(set(body) - names)
    if unknown:
        raise Refused(f'Unrecognized field "{unknown[0]}"; known are {", ".join(sorted(names))}.')


def _properties(body: Mapping[str, Any], owner: str) -> dict[str, str]:
    if (other := _text(body, "proxyUser")) not in (None, "", owner):
        raise Refused(f"User '{owner}' not allowed to impersonate '{other}'.", 403)
    found = _conf(body)
    for member, name in _LISTS.items():
        if values := _texts(body, member):
            found[name] = ",".join(values)
    for member, name in _SIZES.items():
        size = _text(body, member)
        if size is not None and not _MEMORY.fullmatch(size):
            raise Refused(f"{member} must be a size such as 512m or 2g.")
        found |= {name: size} if size is not None else {}
    for member, name in _NUMBERS.items():
        if (number := _number(body, member, least=1)) is not None:
            found[name] = str(number)
    if (count := _number(body, "numExecutors", least=1)) is not None:
        found |= _executors(count, int(found.get("spark.executor.cores", "1")))
    if title := _text(body, "name"):
        found["spark.app.name"] = title
    return found


def _executors(count: int, cores: int) -> dict[str, str]:
    """So many: Spark's standalone master counts cores."""
    return {
        "spark.executor.instances": str(count),
        "spark.cores.max": str(count * cores),
        "spark.dynamicAllocation.enabled": "false",
    }


def _conf(body: Mapping[str, Any]) -> dict[str, str]:
    conf = body.get("conf") or {}
    if not isinstance(conf, dict):
        raise Refused("conf must be an object.")
    taken = sorted(name for name in conf if _NOT_THEIRS.fullmatch(name))
    if taken:
        raise Refused(f"requirement failed: Blacklisted configuration values in session config: {', '.join(taken)}")
    return {str(name): _scalar(f"conf.{name}", value) for name, value in conf.items()}


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise Refused(f"{name} must be a text.")
    return str(value)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise Refused(f"{name} must be a text.")
    return value


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    values = body.get(name) or []
    if not isinstance(values, list):
        raise Refused(f"{name} must be a list.")
    return [_scalar(name, value) for value in values]


def _number(body: Mapping[str, Any], name: str, *, least: int) -> int | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise Refused(f"{name} must be a whole number of {least} or more.")
    return value


def _echoed(body: Mapping[str, Any]) -> dict[str, Any]:
    shown = {*_SIZES, *_NUMBERS, *_LISTS, "numExecutors", "conf", "queue", "ttl", "heartbeatTimeoutInSecond"}
    return {name: body[name] for name in sorted(shown & set(body))}
