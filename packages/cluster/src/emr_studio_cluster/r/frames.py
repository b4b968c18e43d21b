"""Rows between Python and R: the columns one after the other in a file, of the types that R has.

    logical, integer          int32, little endian; NA is the smallest
    double, date, timestamp   float64 (days, seconds since 1970); NA is R's own NaN
    string, json, binary      int32 for each value: its octets, -1 for NA; then all octets

Spark's bigint, decimal and float are doubles, as in SparkR. Arrays, maps and structs are JSON.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

NA_INTEGER = -(2**31)
_NA_DOUBLE = struct.unpack("<d", struct.pack("<Q", 0x7FF00000000007A2))[0]
_NA_LOW_WORD = 1954
"""What makes a NaN R's NA, in its lower half."""
_NULLABLE = {"logical": pa.bool_(), "integer": pa.int32(), "double": pa.float64(), "string": pa.string()}
_MICROSECONDS = 1_000_000
Told = dict[str, Any]
"""`{"rows": 3, "columns": [{"name": "a", "type": "double"}]}`"""


def write(table: pa.Table, path: Path) -> Told:
    """Write rows for R; what is returned tells it how to read them."""
    kinds = [_kind_of(field.type) for field in table.schema]
    with path.open("xb") as file:
        for kind, column in zip(kinds, table.columns, strict=True):
            file.write(_octets(kind, column.combine_chunks()))
    named = zip(table.column_names, kinds, strict=True)
    return {"rows": table.num_rows, "columns": [{"name": name, "type": kind} for name, kind in named]}


def read(told: Told, path: Path) -> pa.Table:
    """The rows that R has written."""
    octets, rows, columns = memoryview(path.read_bytes()), int(told["rows"]), []
    for one in told["columns"]:
        column, used = _column(one["type"], octets, rows)
        columns.append(column)
        octets = octets[used:]
    return pa.table(columns, names=[one["name"] for one in told["columns"]])


def _kind_of(kind: pa.DataType) -> str:
    is_of = pa.types
    if is_of.is_boolean(kind) or is_of.is_null(kind):
        return "logical"
    if is_of.is_integer(kind):
        return "integer" if kind.bit_width <= 32 else "double"
    if is_of.is_floating(kind) or is_of.is_decimal(kind):
        return "double"
    if is_of.is_date(kind) or is_of.is_timestamp(kind):
        return "date" if is_of.is_date(kind) else "timestamp"
    if is_of.is_binary(kind) or is_of.is_large_binary(kind):
        return "binary"
    return "json" if is_of.is_nested(kind) else "string"


def _octets(kind: str, column: pa.Array) -> bytes:
    if kind in ("logical", "integer"):
        return _numbers(column.cast(pa.int32()), "<i4", NA_INTEGER)
    if kind == "double":
        return _numbers(column.cast(pa.float64()), "<f8", _NA_DOUBLE)
    if kind == "date":
        return _numbers(column.cast(pa.int32()).cast(pa.float64()), "<f8", _NA_DOUBLE)
    if kind == "timestamp":
        counted = (
            column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
        )
        return _numbers(counted, "<f8", _NA_DOUBLE, _MICROSECONDS)
    return _texts([_text(kind, value, column.type) for value in column.to_pylist()])


def _numbers(column: pa.Array, layout: str, missing: float, divisor: int = 1) -> bytes:
    known = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    if divisor != 1:
        values = values / divisor
    found = np.array(values, dtype=layout)
    # By its octets: arithmetic would make another NaN of it.
    found.view(f"<u{found.itemsize}")[~known] = np.array([missing], dtype=layout).view(f"<u{found.itemsize}")[0]
    return found.tobytes()


def _texts(values: Sequence[bytes | None]) -> bytes:
    sizes = np.array([-1 if value is None else len(value) for value in values], dtype="<i4")
    return sizes.tobytes() + b"".join(value for value in values if value is not None)


def _text(kind: str, value: Any, of: pa.DataType) -> bytes | None:
    if value is None or kind == "binary":
        return value if value is None else bytes(value)
    text = json.dumps(_plain(value, of), ensure_ascii=False) if kind == "json" else str(value)
    # R's strings end at a NUL.
    return text.replace("\0", "").encode()


def _plain(value: Any, of: pa.DataType) -> Any:
    """A nested value as JSON has it; a map is an object."""
    if value is None:
        return None
    if pa.types.is_map(of):
        return {str(name): _plain(one, of.item_type) for name, one in value}
    if pa.types.is_struct(of):
        return {field.name: _plain(value[field.name], field.type) for field in of}
    if pa.types.is_nested(of):
        return [_plain(one, of.value_type) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, bool | int | float) else str(value)


def _column(kind: str, octets: memoryview, rows: int) -> tuple[pa.Array, int]:
    if kind in ("logical", "integer"):
        numbers = np.frombuffer(octets, "<i4", rows)
        array = pa.array(numbers, mask=numbers == NA_INTEGER)
        return array.cast(_NULLABLE[kind]), numbers.nbytes
    if kind in ("double", "date", "timestamp"):
        numbers = np.frombuffer(octets, "<f8", rows)
        return _measured(kind, numbers), numbers.nbytes
    sizes = np.frombuffer(octets, "<i4", rows)
    values, at = [], sizes.nbytes
    for size in sizes.tolist():
        values.append(None if size < 0 else bytes(octets[at : at + size]).decode())
        at += max(size, 0)
    return pa.array(values, pa.string()), at


def _measured(kind: str, numbers: np.ndarray[Any, Any]) -> pa.Array:
    if kind == "double":
        return pa.array(numbers, mask=(numbers.view("<u8") & 0xFFFFFFFF == _NA_LOW_WORD) & np.isnan(numbers))
    missing = ~np.isfinite(numbers)
    whole = np.where(missing, 0, numbers)
    if kind == "date":
        return pa.array(np.floor(whole).astype("<i4"), mask=missing).cast(pa.date32())
    moments = np.round(whole * _MICROSECONDS).astype("<i8")
    return pa.array(moments, mask=missing).cast(pa.timestamp("us", "UTC"))


def literal(told: dict[str, Any]) -> Any:
    """A single value of a type that JSON lacks: `{"double": "0x1.8p+1"}`, `{"date": 1.0}`, `{"time": 1.5}`."""
    [(kind, value)] = told.items()
    if kind == "double":
        return float.fromhex(value)
    if kind == "date":
        return dt.date(1970, 1, 1) + dt.timedelta(days=int(value))
    # A moment: what Spark understands without a look at this process's time zone.
    return dt.datetime.fromtimestamp(float(value), dt.UTC)
