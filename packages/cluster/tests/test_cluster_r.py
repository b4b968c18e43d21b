"""R's side of a session: rows between the two, and R itself over a session that is played."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from emr_studio_cluster.r import bridge as bridges
from emr_studio_cluster.r import frames
from emr_studio_cluster.r.bridge import Bridge

SOURCES = Path(frames.__file__).parent / "sparkr"
NOON = dt.datetime(2026, 11, 27, 12, 30, 1, 500000, dt.UTC)
EVERY = pa.table(
    {
        "yes": [True, None, False],
        "small": pa.array([1, None, -5], pa.int32()),
        "big": pa.array([2**40, None, 3], pa.int64()),
        "exact": pa.array([Decimal("1.25"), None, Decimal(-2)], pa.decimal128(10, 2)),
        "number": pa.array([0.1, None, float("nan")]),
        "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1969, 12, 31)]),
        "moment": pa.array([NOON, None, NOON], pa.timestamp("us", "UTC")),
        "text": ["naïve 🍐", None, ""],
        "octets": pa.array([b"\0a", None, b""]),
        "list": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int32())),
        "record": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    }
)
KINDS = ["logical", "integer", *["double"] * 3, "date", "timestamp", "string", "binary", *["json"] * 3]


def test_each_type_of_spark_has_one_in_r(tmp_path: Path) -> None:
    told = frames.write(EVERY, tmp_path / "rows")
    assert told["rows"] == 3
    assert [one["type"] for one in told["columns"]] == KINDS


def test_what_goes_to_r_comes_back(tmp_path: Path) -> None:
    names = ["yes", "small", "number", "day", "moment", "text"]
    rows = EVERY.select(names)
    back = frames.read(frames.write(rows, tmp_path / "rows"), tmp_path / "rows")
    assert [str(field.type) for field in back.schema] == [str(field.type) for field in rows.schema]
    # NaN is a number, and no value is none.
    number = back["number"].to_pylist()
    assert (number[:2], number[2] != number[2]) == ([0.1, None], True)
    for name in set(names) - {"number"}:
        assert back[name].to_pylist() == rows[name].to_pylist(), name


@pytest.mark.parametrize("rows", [EVERY.slice(0, 0), pa.table({"none": pa.nulls(2)})])
def test_nothing_is_something(tmp_path: Path, rows: pa.Table) -> None:
    back = frames.write(rows, tmp_path / "rows")
    assert back["rows"] == rows.num_rows


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ({"double": "0x1.8p+1"}, 3.0),
        ({"double": "inf"}, float("inf")),
        ({"date": -1.0}, dt.date(1969, 12, 31)),
        ({"time": 1.5}, dt.datetime(1970, 1, 1, 0, 0, 1, 500000, dt.UTC)),
    ],
)
def test_literals(told: dict[str, Any], value: object) -> None:
    assert frames.literal(told) == value


class Frame:
    """A DataFrame of PySpark, played."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self.columns = rows.column_names

    def toArrow(self) -> pa.Table:
        return self._rows

    def limit(self, count: int) -> Frame:
        return Frame(self._rows.slice(0, count))

    def count(self) -> int:
        return int(self._rows.num_rows)

    def printSchema(self) -> None:
        print("root")

    def drop(self, *names: str) -> Frame:
        return Frame(self._rows.drop_columns(list(names)))


class Session:
    """A session that knows a few statements."""

    version = "4.1.0"

    def __init__(self) -> None:
        self.made: pa.Table | None = None

    def sql(self, statement: str) -> Frame:
        if statement == "every":
            return Frame(EVERY)
        raise ValueError(f"[PARSE_SYNTAX_ERROR] near 'ü{statement}'\n\nJVM stacktrace:\nat java")

    def createDataFrame(self, rows: pa.Table) -> Frame:
        self.made = rows
        return Frame(rows)


Frame.__name__ = "DataFrame"


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def ask(session: Session, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    bridge = Bridge(lambda: session, tmp_path / "bridge")
    return lambda **question: bridge.answer(json.dumps(question).encode())


def test_objects_have_numbers_until_they_are_freed(ask: Callable[..., dict[str, Any]]) -> None:
    made = ask(on="spark", do="sql", args=["every"])
    assert made == {"value": {"ref": 1, "class": "DataFrame"}}
    assert ask(on=1, do="count") == {"value": 3}
    assert ask(op="get", on=1, do="columns")["value"][0] == "yes"
    assert ask(op="print", on=1, do="printSchema") == {"value": "root\n"}
    assert ask(on=1, do="drop", args=["yes"], free=[1])["class"] == "KeyError"
    assert ask(on="spark", do="sql", args=["every"])["value"]["ref"] == 2


def test_a_failure_is_told_without_the_jvms_stack(ask: Callable[..., dict[str, Any]]) -> None:
    assert ask(on="spark", do="sql", args=["?"]) == {"error": "[PARSE_SYNTAX_ERROR] near 'ü?'", "class": "ValueError"}
    assert bridges.words(ValueError("why\n\tat java\n\nDriver stacktrace:")).split() == ["why"]
    assert ask(on="spark", do="nothing")["class"] == "AttributeError"
    assert bridges.words(SimpleNamespace(details=lambda: "away")) == "away"  # type: ignore[arg-type]  # as gRPC's


R_CODE = """
sources <- Sys.getenv("EMR_STUDIO_R_SOURCES")
loading <- new.env()
sys.source(file.path(sources, "namespace.R"), envir = loading)
loading$load_namespace("SparkR", sources, c("bridge.R", "columns.R", "frames.R", "session.R"))
library(SparkR)
every <- SparkR::sql("every")
rows <- collect(every)
stopifnot(identical(rows$yes, c(TRUE, NA, FALSE)), identical(rows$small, c(1L, NA, -5L)))
stopifnot(identical(rows$big, c(2^40, NA, 3)), identical(rows$exact, c(1.25, NA, -2)))
stopifnot(identical(rows$number[1:2], c(0.1, NA)), is.nan(rows$number[3]), !is.nan(rows$number[2]))
stopifnot(identical(rows$day, as.Date(c("2024-02-29", NA, "1969-12-31"))))
stopifnot(inherits(rows$moment, "POSIXct"), format(rows$moment[1], "%H:%M:%OS1", tz = "UTC") == "12:30:01.5")
stopifnot(identical(rows$text, c("na\\u00efve \\U1F350", NA, "")), identical(rows$octets[[1]], as.raw(c(0, 97))))
stopifnot(identical(rows$list[[1]], 1:2), rows$map[[1]]$a == 1, rows$record[[1]]$b == "x")
stopifnot(nrow(head(every, 2)) == 2, nrow(every) == 3, ncol(every) == 12, "text" %in% colnames(every))
stopifnot(!"yes" %in% names(drop(every, "yes")), is.null(rows$record[[2]]))
failed <- tryCatch(sql("?"), SparkError = conditionMessage)
stopifnot(failed == "[PARSE_SYNTAX_ERROR] near '\\u00fc?'")
# What R has under a name of SparkR's works as ever.
stopifnot(identical(filter(1:3, 1), stats::filter(1:3, 1)), identical(union(1, 2), c(1, 2)))
stopifnot(substr("abc", 2, 3) == "bc", head(letters, 1) == "a", startsWith("ab", "a"))
stopifnot(sd(c(1, 1)) == 0, drop(matrix(1)) == 1, rank(c(2, 1))[1] == 2)
stopifnot(length(sample(1:5)) == 5, trunc(1.5) == 1, ifelse(TRUE, 1, 2) == 1)
mine <- data.frame(when = .POSIXct(c(1.5, NA), tz = "UTC"), day = as.Date(c("2024-02-29", NA)), yes = c(NA, TRUE))
mine$text <- c("p\\u00e4r", NA); mine$whole.number <- c(1L, NA); mine$kind <- factor(c("a", "b")); mine$x <- c(NaN, NA)
back <- collect(createDataFrame(mine)); attr(back$when, "tzone") <- "UTC"
names(mine)[5] <- "whole_number"; mine$kind <- as.character(mine$kind)
stopifnot(all.equal(back, mine, check.attributes = FALSE), identical(sapply(back, class)[-1], sapply(mine, class)[-1]))
stopifnot(is.nan(back$x[1]), !is.nan(back$x[2]), nrow(collect(createDataFrame(mine[0, ]))) == 0)
stopifnot(inherits(try(createDataFrame(data.frame(z = 1i)), silent = TRUE), "try-error"))
cat("all is well\\n")
"""


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_r_has_the_rows(session: Session, tmp_path: Path) -> None:
    """R itself, over the pipes, with SparkR's names; R's own functions go on working."""
    bridge = Bridge(lambda: session, tmp_path / "bridge")
    bridge.open()
    environment = {"EMR_STUDIO_R_SOURCES": str(SOURCES), "EMR_STUDIO_R_BRIDGE": str(tmp_path / "bridge")}
    try:
        ran = subprocess.run(
            ["Rscript", "-e", R_CODE],
            env=os.environ | environment | {"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        bridge.close(60)
    assert (ran.stdout, ran.returncode) == ("all is well\n", 0), ran.stderr
    assert session.made is not None
