"""JSON values by shape, both ways: shared by json 1.0/1.1 and rest-json."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from emr_studio.aws.errors import SerializationError
from emr_studio.aws.models import Shape
from emr_studio.aws.protocols.base import PlanCache, format_time, parse_blob, parse_time

_LIMITS = {"integer": 2**31, "long": 2**63}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def decode_body(body: bytes) -> Any:
    """Return the JSON value of a body; an empty one is an empty object.

    Raises:
        SerializationError
    """
    if not body:
        return {}
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise SerializationError("Unexpected token: the body is not valid JSON.") from None


def encode_body(value: Any) -> bytes:
    """Return a value as JSON."""
    return _encode(value)


def _mismatch(value: Any, wanted: str) -> SerializationError:
    if isinstance(value, Mapping):
        return SerializationError("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return SerializationError("Start of list found where not expected")
    if isinstance(value, bool):
        token = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, float):
        token = "DECIMAL_VALUE"
    else:
        token = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
    return SerializationError(f"{token} can not be converted to {wanted}")


class JsonReader:
    """Reads decoded JSON by shape. Unknown members are ignored, null ones are absent."""

    def __init__(self, default_time: str) -> None:
        self._default_time = default_time
        self._plans = PlanCache(self._make)

    def read(self, shape: Shape, value: Any) -> Any:
        """Return the value in Python's types.

        Raises:
            SerializationError: a wrong type.
        """
        return self._plans.get(shape)(value)

    def _make(self, shape: Shape) -> Callable[[Any], Any]:
        kind = shape.type_name
        maker = {"structure": self._structure, "list": self._list, "map": self._map}.get(kind)
        return maker(shape) if maker is not None else _SCALARS[kind]

    def _structure(self, shape: Shape) -> Callable[[Any], Any]:
        members = [
            (member.serialization.get("name", name), name, self._plans.get(member))
            for name, member in shape.members.items()
        ]

        def read_structure(value: Any) -> Any:
            if not isinstance(value, dict):
                raise _mismatch(value, "a structure")
            found = {}
            for wire_name, name, plan in members:
                item = value.get(wire_name)
                if item is not None:
                    found[name] = plan(item)
            return found

        return read_structure

    def _list(self, shape: Shape) -> Callable[[Any], Any]:
        plan = self._plans.get(shape.member)

        def read_list(value: Any) -> Any:
            if not isinstance(value, list):
                raise _mismatch(value, "a list")
            return [plan(item) for item in value if item is not None]

        return read_list

    def _map(self, shape: Shape) -> Callable[[Any], Any]:
        plan = self._plans.get(shape.value)

        def read_map(value: Any) -> Any:
            if not isinstance(value, dict):
                raise _mismatch(value, "a map")
            return {key: plan(item) for key, item in value.items() if item is not None}

        return read_map


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _mismatch(value, "String")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _mismatch(value, "Boolean")


def _whole(limit: int, name: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit:
            return value
        raise _mismatch(value, name)

    return read


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise _mismatch(value, "Double")


def _time(value: Any) -> dt.datetime:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return parse_time(value)
    raise _mismatch(value, "Timestamp")


def _blob(value: Any) -> bytes:
    return parse_blob(_string(value))


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "character": _string,
    "boolean": _boolean,
    "integer": _whole(_LIMITS["integer"], "Integer"),
    "long": _whole(_LIMITS["long"], "Long"),
    "float": _number,
    "double": _number,
    "timestamp": _time,
    "blob": _blob,
}


class JsonWriter:
    """Writes Python values by shape, ready for the encoder. None is left out; so is what no shape knows."""

    def __init__(self, default_time: str) -> None:
        self._default_time = default_time
        self._plans = PlanCache(self._make)

    def write(self, shape: Shape, value: Any) -> Any:
        """Return `value` as JSON's types."""
        return self._plans.get(shape)(value)

    def _make(self, shape: Shape) -> Callable[[Any], Any]:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            item_plan = self._plans.get(shape.member)
            return lambda value: [item_plan(item) for item in value]
        if kind == "map":
            value_plan = self._plans.get(shape.value)
            return lambda value: {key: value_plan(item) for key, item in value.items() if item is not None}
        if kind == "timestamp":
            form = shape.serialization.get("timestampFormat", self._default_time)
            return lambda value: format_time(value, form) if isinstance(value, dt.datetime) else value
        if kind == "blob":
            return lambda value: base64.b64encode(value).decode()
        return _same

    def _structure(self, shape: Shape) -> Callable[[Any], Any]:
        members = [
            (name, member.serialization.get("name", name), self._plans.get(member))
            for name, member in shape.members.items()
        ]

        def write_structure(value: Any) -> Any:
            written = {}
            for name, wire_name, plan in members:
                item = value.get(name)
                if item is not None:
                    written[wire_name] = plan(item)
            return written

        return write_structure


def _same(value: Any) -> Any:
    return value
