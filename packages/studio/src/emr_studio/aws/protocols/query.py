"""query: a form with `Action` and `Version`, lists as `.member.N`, answers in XML."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import OperationModel, ServiceModel

from emr_studio.aws.errors import SerializationError, UnknownOperation
from emr_studio.aws.models import Shape
from emr_studio.aws.protocols.base import Output, PlanCache, ServiceProtocol, format_time, parse_blob, parse_time
from emr_studio.aws.wire import WireRequest, WireResponse

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
# What XML 1.0 cannot hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTENT_TYPE = "text/xml"
Node = dict[str, Any]
# The form as a tree: `Tags.member.1.Key=a` is {"Tags": {"member": {"1": {"Key": {"": "a"}}}}};
# "" holds a node's own text.


class QueryProtocol(ServiceProtocol):
    """iam, sts, cloudformation."""

    name = "query"
    validation_code = "ValidationError"
    serialization_code = "MalformedInput"
    denied = ("AccessDenied", 403)
    unknown = ("InvalidAction", 400)

    def __init__(self, model: ServiceModel) -> None:
        super().__init__(model)
        self._namespace: str = model.metadata.get("xmlNamespace", "")
        self._read_plans = PlanCache(self._reader)
        self._write_plans = PlanCache(self._writer)

    def operation_name(self, request: WireRequest) -> str:
        return _form(request).get("Action", "")

    def unknown_operation(self, name: str) -> UnknownOperation:
        return UnknownOperation(name, self.model.api_version)

    def parse(self, operation: OperationModel, request: WireRequest) -> dict[str, Any]:
        if operation.input_shape is None:
            return {}
        values: dict[str, Any] = self._read_plans.get(operation.input_shape)(_tree(_form(request)))
        return values

    # Reading

    def _reader(self, shape: Shape) -> Callable[[Node], Any]:
        if shape.type_name == "structure":
            return self._structure_reader(shape)
        if shape.type_name == "list":
            return self._list_reader(shape)
        if shape.type_name == "map":
            return self._map_reader(shape)
        convert = _SCALARS[shape.type_name]

        def read_scalar(node: Node) -> Any:
            if "" not in node:
                raise SerializationError("Start of structure or map found where not expected.")
            return convert(node[""])

        return read_scalar

    def _structure_reader(self, shape: Shape) -> Callable[[Node], Any]:
        members = [
            (name, self._wire_name(name, member), self._read_plans.get(member))
            for name, member in shape.members.items()
        ]

        def read_structure(node: Node) -> Any:
            return {name: plan(node[wire_name]) for name, wire_name, plan in members if wire_name in node}

        return read_structure

    @staticmethod
    def _wire_name(name: str, member: Shape) -> str:
        # A flattened list stands under its member's name, if that has one.
        if member.type_name == "list" and member.serialization.get("flattened"):
            inner: str | None = member.member.serialization.get("name")
            if inner:
                return inner
        found: str = member.serialization.get("name", name)
        return found

    def _list_reader(self, shape: Shape) -> Callable[[Node], Any]:
        plan = self._read_plans.get(shape.member)
        flattened = shape.serialization.get("flattened")
        inner = shape.member.serialization.get("name", "member")

        def read_list(node: Node) -> Any:
            # `X=` is a list that is there and empty.
            return [plan(item) for item in _numbered(node if flattened else node.get(inner, {}))]

        return read_list

    def _map_reader(self, shape: Shape) -> Callable[[Node], Any]:
        key_plan, value_plan = self._read_plans.get(shape.key), self._read_plans.get(shape.value)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        flattened = shape.serialization.get("flattened")

        def read_map(node: Node) -> Any:
            entries = _numbered(node if flattened else node.get("entry", {}))
            return {
                key_plan(entry[key_name]): value_plan(entry[value_name])
                for entry in entries
                if key_name in entry and value_name in entry
            }

        return read_map

    # Writing

    def result(self, operation: OperationModel, output: Output, request_id: str) -> WireResponse:
        parts = [f'<{operation.name}Response xmlns="{self._namespace}">']
        shape = operation.output_shape
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
            self._write_plans.get(shape)(wrapper, output or {}, parts)
        parts.append(
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
        )
        return _xml(200, parts, request_id)

    def write_error(self, code: str, message: str, status: int, request_id: str) -> WireResponse:
        fault = "Sender" if status < 500 else "Receiver"
        parts = [
            f'<ErrorResponse xmlns="{self._namespace}"><Error><Type>{fault}</Type><Code>{escape(code)}</Code>',
            f"<Message>{_text(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        ]
        return _xml(status, parts, request_id)

    def _writer(self, shape: Shape) -> Callable[[str, Any, list[str]], None]:
        if shape.type_name == "structure":
            return self._structure_writer(shape)
        if shape.type_name == "list":
            return self._list_writer(shape)
        if shape.type_name == "map":
            return self._map_writer(shape)
        convert = self._scalar_writer(shape)

        def write_scalar(name: str, value: Any, parts: list[str]) -> None:
            parts.append(f"<{name}>{convert(value)}</{name}>")

        return write_scalar

    def _structure_writer(self, shape: Shape) -> Callable[[str, Any, list[str]], None]:
        members = [
            (name, member.serialization.get("name", name), self._write_plans.get(member))
            for name, member in shape.members.items()
        ]

        def write_structure(element: str, value: Any, parts: list[str]) -> None:
            parts.append(f"<{element}>")
            for name, wire_name, plan in members:
                item = value.get(name)
                if item is not None:
                    plan(wire_name, item, parts)
            parts.append(f"</{element}>")

        return write_structure

    def _list_writer(self, shape: Shape) -> Callable[[str, Any, list[str]], None]:
        plan = self._write_plans.get(shape.member)
        flattened = shape.serialization.get("flattened")
        inner = shape.member.serialization.get("name")

        def write_list(element: str, value: Any, parts: list[str]) -> None:
            if flattened:
                for item in value:
                    plan(inner or element, item, parts)
                return
            parts.append(f"<{element}>")
            for item in value:
                plan(inner or "member", item, parts)
            parts.append(f"</{element}>")

        return write_list

    def _map_writer(self, shape: Shape) -> Callable[[str, Any, list[str]], None]:
        key_plan, value_plan = self._write_plans.get(shape.key), self._write_plans.get(shape.value)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        flattened = shape.serialization.get("flattened")

        def write_map(element: str, value: Any, parts: list[str]) -> None:
            entry = element if flattened else "entry"
            if not flattened:
                parts.append(f"<{element}>")
            for key, item in value.items():
                parts.append(f"<{entry}>")
                key_plan(key_name, key, parts)
                value_plan(value_name, item, parts)
                parts.append(f"</{entry}>")
            if not flattened:
                parts.append(f"</{element}>")

        return write_map

    @staticmethod
    def _scalar_writer(shape: Shape) -> Callable[[Any], str]:
        if shape.type_name == "timestamp":
            form = shape.serialization.get("timestampFormat", "iso8601")
            return lambda value: str(format_time(value, form)) if isinstance(value, dt.datetime) else _text(str(value))
        if shape.type_name == "boolean":
            return lambda value: "true" if value else "false"
        if shape.type_name == "blob":
            return lambda value: base64.b64encode(value).decode()
        return lambda value: _text(str(value))


def _form(request: WireRequest) -> dict[str, str]:
    try:
        return request.form
    except ValueError:
        raise SerializationError("The body is not a valid form.") from None


def _tree(form: dict[str, str]) -> Node:
    root: Node = {}
    for name, value in form.items():
        node = root
        for part in name.split("."):
            node = node.setdefault(part, {}) if part else node
        node[""] = value
    return root


def _numbered(node: Node) -> list[Node]:
    """The children by number (10 after 9, holes are fine), whatever order they came in."""
    numbers = sorted((int(key), key) for key in node if key.isascii() and key.isdigit() and len(key) < 10)
    return [node[key] for _, key in numbers]


def _xml(status: int, parts: list[str], request_id: str) -> WireResponse:
    body = "".join(parts).encode("utf-8")
    return WireResponse(status, _CONTENT_TYPE, body, [("x-amzn-RequestId", request_id)])


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", value)).replace("\r", "&#13;")


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise SerializationError(f"'{text[:64]}' is not a whole number.")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SerializationError(f"'{text[:64]}' is not a number.") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SerializationError(f"'{text[:64]}' is not a boolean.")
    return text.lower() == "true"


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "boolean": _boolean,
    "integer": _whole,
    "long": _whole,
    "float": _number,
    "double": _number,
    "timestamp": parse_time,
    "blob": parse_blob,
}
