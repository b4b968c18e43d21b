"""What R asks of PySpark's objects: a line of JSON in a named pipe, a line back in another.

    {"on": 7, "do": "filter", "args": [{"ref": 9}], "named": {}, "free": [3]}
        a method of an object (or of the roots `spark`, `functions`, `Window`), `free`: objects that R needs no more
    {"op": "get" | "print" | "collect" | "create", ...}
        an attribute; what a method prints; rows into a file; rows from one
    -> {"value": ...}, where {"ref": 12, "class": "DataFrame"} stands for an object; {"error": why, "class": whose}

Both ends belong to one user and lie in the kernel's own folder. A line that comes is always answered: R waits for it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emr_studio_cluster.background import Background
from emr_studio_cluster.r import frames

ASKED, ANSWERED = "asked", "answered"
_PLAIN = (bool, int, float, str)
_LITERALS = ({"double"}, {"date"}, {"time"})
_CLOSE_SECONDS = 1.0
_STACK = "\n\nJVM stacktrace:"


class Bridge:
    """Of one R; `session` gives PySpark's session, and waits for it."""

    def __init__(self, session: Callable[[], Any], folder: Path) -> None:
        self._session, self._folder = session, folder
        self._objects: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self.is_busy = False
        """Whether R waits for an answer now."""
        self.failure: BaseException | None = None
        """The last that went wrong, until somebody takes it away."""

    def open(self) -> None:
        """Make the pipes in the folder and begin to answer."""
        self._folder.mkdir(mode=0o700)
        for name in (ASKED, ANSWERED):
            os.mkfifo(self._folder / name, 0o600)
        # Read and write: to open never waits, and it never ends before it is told to.
        self._asked = (self._folder / ASKED).open("r+b", buffering=0)
        self._answered = (self._folder / ANSWERED).open("r+b", buffering=0)
        self._serving = Background(self._serve, "r-bridge").start()

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Answer no more, and forget all objects; what is being answered is waited for so long."""
        self._asked.write(b"\n")
        self._serving.wait(seconds)
        self._objects.clear()

    def _serve(self) -> None:
        with self._answered, io.BufferedReader(self._asked) as lines:
            while (line := lines.readline()).strip():
                self.is_busy = True
                answer = json.dumps(self.answer(line)).encode() + b"\n"
                self.is_busy = False
                self._answered.write(answer)

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one question; what fails is an answer too."""
        try:
            asked = json.loads(line)
            for number in asked.get("free") or ():
                self._objects.pop(number, None)
            return {"value": self._told(self._do(asked))}
        except BaseException as error:  # R waits
            self.failure = error
            return {"error": words(error), "class": type(error).__name__}

    def _do(self, asked: Mapping[str, Any]) -> Any:
        operation = asked.get("op", "call")
        if operation == "create":
            return self._create(asked)
        target = self._object(asked["on"])
        if operation == "collect":
            return frames.write(rows_of(target), Path(asked["path"]))
        if operation == "get":
            return getattr(target, asked["do"])
        method = getattr(target, asked["do"])
        arguments = [self._argument(one) for one in asked.get("args") or ()]
        named = {name: self._argument(one) for name, one in dict(asked.get("named") or {}).items()}
        if operation == "print":
            with contextlib.redirect_stdout(io.StringIO()) as text:
                method(*arguments, **named)
            return text.getvalue()
        return method(*arguments, **named)

    def _object(self, name: int | str) -> Any:
        if isinstance(name, int):
            return self._objects[name]
        session = self._session()
        if name == "spark":
            return session
        # PySpark's own look at which kind of session there is.
        return importlib.import_module("pyspark.sql.functions") if name == "functions" else _window()

    def _argument(self, told: Any) -> Any:
        if isinstance(told, list):
            return [self._argument(one) for one in told]
        if not isinstance(told, dict):
            return told
        if "ref" in told:
            return self._objects[told["ref"]]
        if told.keys() in _LITERALS:
            return frames.literal(told)
        return {name: self._argument(one) for name, one in told["map"].items()}

    def _told(self, value: Any) -> Any:
        if value is None or isinstance(value, _PLAIN):
            return value
        if isinstance(value, list | tuple):
            return [self._told(one) for one in value]
        if isinstance(value, dict):
            return {str(name): self._told(one) for name, one in value.items()}
        number = next(self._numbers)
        self._objects[number] = value
        return {"ref": number, "class": type(value).__name__}

    def _create(self, asked: Mapping[str, Any]) -> Any:
        path = Path(asked["path"])
        rows = frames.read(asked["told"], path)
        path.unlink()
        session, schema = self._session(), asked.get("schema")
        if _takes_arrow(session):
            made = session.createDataFrame(rows)
        else:
            # Spark 3.5: by rows, which keep NaN and NULL apart.
            types = ", ".join(f"`{field.name}` {_spark_type(str(field.type))}" for field in rows.schema)
            made = session.createDataFrame([tuple(row.values()) for row in rows.to_pylist()], types)
        return _as(made, session.createDataFrame([], schema).schema) if schema else made


def _window() -> Any:
    return importlib.import_module("pyspark.sql").Window


def _as(frame: Any, schema: Any) -> Any:
    """With these names and types, in this order: R's numbers are doubles where whole ones are meant."""
    named = frame.toDF(*schema.names)
    return named.select(*(named[f"`{one.name}`"].cast(one.dataType).alias(one.name) for one in schema.fields))


def _takes_arrow(session: Any) -> bool:
    return int(str(session.version).partition(".")[0]) >= 4


def _spark_type(arrow: str) -> str:
    named = {"bool": "boolean", "int32": "int", "date32[day]": "date", "string": "string"}
    return named.get(arrow, "timestamp" if arrow.startswith("timestamp") else "double")


def rows_of(frame: Any) -> Any:
    """All rows of a DataFrame of PySpark, as Arrow has them."""
    if hasattr(frame, "toArrow"):
        return frame.toArrow()
    if hasattr(frame, "_plan"):
        # Spark 3.5 has no other way to them that keeps integers apart from numbers.
        return frame._session.client.to_table(frame._plan.to_proto(frame._session.client))[0]
    arrow = importlib.import_module("pyarrow")
    types = importlib.import_module("pyspark.sql.pandas.types")
    return arrow.Table.from_batches(frame._collect_as_arrow(), types.to_arrow_schema(frame.schema))


def words(error: BaseException) -> str:
    """Why, as Spark says it, without the JVM's stack."""
    told = error.details() if hasattr(error, "details") and callable(error.details) else str(error)
    lines = str(told or type(error).__name__).partition(_STACK)[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith("\tat ")).removesuffix("\nDriver stacktrace:")
