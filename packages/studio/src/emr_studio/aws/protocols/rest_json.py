"""rest-json: the operation in method and path, members in path, query, headers and a JSON body."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.model import OperationModel, ServiceModel

from emr_studio.aws.errors import SerializationError
from emr_studio.aws.models import Shape
from emr_studio.aws.protocols.base import Output, ServiceProtocol, format_time, parse_blob, parse_time
from emr_studio.aws.protocols.json_values import JsonReader, JsonWriter, decode_body, encode_body
from emr_studio.aws.wire import WireRequest, WireResponse

_PLACE = re.compile(r"\{([^}+]+)(\+?)\}")
_HTTP_LOCATIONS = frozenset({"uri", "querystring", "header", "headers", "statusCode"})


class _Rule:
    """One operation's method, path template and fixed query arguments."""

    def __init__(self, operation: OperationModel) -> None:
        self.name: str = operation.name
        self.method: str = operation.http["method"]
        path, _, query = operation.http["requestUri"].partition("?")
        self.fixed_query = {part.partition("=")[0] for part in query.split("&") if part}
        self.places = [place.group(1) for place in _PLACE.finditer(path)]
        self.weight = (len(_PLACE.sub("", path)), len(self.fixed_query))
        expression, at = "", 0
        for place in _PLACE.finditer(path):
            expression += re.escape(path[at : place.start()]) + ("(.+)" if place.group(2) else "([^/]+)")
            at = place.end()
        self.pattern = re.compile(expression + re.escape(path[at:]) + "/?")


class RestJsonProtocol(ServiceProtocol):
    """emr-containers and its like. Routes on the raw path: an ARN in it arrives with %2F."""

    name = "rest-json"
    unknown = ("UnknownOperationException", 404)

    def __init__(self, model: ServiceModel) -> None:
        super().__init__(model)
        self._rules = sorted((_Rule(o) for o in self._operations.values()), key=lambda rule: rule.weight, reverse=True)
        self._by_name = {rule.name: rule for rule in self._rules}
        self._reader = JsonReader("unixTimestamp")
        self._writer = JsonWriter("unixTimestamp")

    def operation_name(self, request: WireRequest) -> str:
        for rule in self._rules:
            if rule.method == request.method and rule.pattern.fullmatch(request.path):
                if rule.fixed_query and not rule.fixed_query <= request.query_parameters.keys():
                    continue
                return rule.name
        return f"{request.method} {request.path}"

    def parse(self, operation: OperationModel, request: WireRequest) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None:
            return {}
        values = self._parse_http(operation, shape, request)
        payload = shape.serialization.get("payload")
        if payload is not None:
            member = shape.members[payload]
            if member.type_name in ("blob", "string"):
                values[payload] = (
                    request.body if member.type_name == "blob" else request.body.decode("utf-8", "replace")
                )
            elif request.body:
                values[payload] = self._reader.read(member, decode_body(request.body))
            return values
        if request.method in ("GET", "HEAD") and not request.body:
            return values
        body = self._reader.read(shape, decode_body(request.body))
        for name, value in body.items():
            if shape.members[name].serialization.get("location") not in _HTTP_LOCATIONS:
                values[name] = value
        return values

    def _parse_http(self, operation: OperationModel, shape: Shape, request: WireRequest) -> dict[str, Any]:
        rule = self._by_name[operation.name]
        match = rule.pattern.fullmatch(request.path)
        places = dict(zip(rule.places, match.groups(), strict=True)) if match else {}
        query: dict[str, list[str]] = {}
        for key, text in parse_qsl(request.query, keep_blank_values=True):
            query.setdefault(key, []).append(text)
        values: dict[str, Any] = {}
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            wire_name = member.serialization.get("name", name)
            if location == "uri" and wire_name in places:
                values[name] = _scalar(member, unquote(places[wire_name]))
            elif location == "querystring":
                found = _from_query(member, wire_name, query)
                if found is not None:
                    values[name] = found
            elif location == "header" and wire_name.lower() in request.headers:
                values[name] = _scalar(member, request.headers[wire_name.lower()])
        return values

    def result(self, operation: OperationModel, output: Output, request_id: str) -> WireResponse:
        status = operation.http.get("responseCode", 200)
        headers = [("x-amzn-RequestId", request_id)]
        shape, values = operation.output_shape, dict(output or {})
        body: Any = {}
        if shape is not None:
            for name, member in shape.members.items():
                location = member.serialization.get("location")
                if location not in _HTTP_LOCATIONS or values.get(name) is None:
                    continue
                value = values.pop(name)
                if location == "header":
                    headers.append((member.serialization.get("name", name), _text(member, value)))
                elif location == "statusCode":
                    status = value
            payload = shape.serialization.get("payload")
            if payload is None:
                body = self._writer.write(shape, values)
            elif values.get(payload) is not None:
                body = self._writer.write(shape.members[payload], values[payload])
        return WireResponse(status, "application/json", encode_body(body), headers)

    def write_error(self, code: str, message: str, status: int, request_id: str) -> WireResponse:
        headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", code)]
        return WireResponse(status, "application/json", encode_body({"message": message}), headers)


def _from_query(member: Shape, wire_name: str, query: dict[str, list[str]]) -> Any:
    if member.type_name == "list":
        return [_scalar(member.member, text) for text in query[wire_name]] if wire_name in query else None
    if member.type_name == "map":
        return {key: texts[-1] for key, texts in query.items()} or None
    return _scalar(member, query[wire_name][-1]) if wire_name in query else None


def _scalar(shape: Shape, text: str) -> Any:
    kind = shape.type_name
    try:
        if kind in ("integer", "long"):
            if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
                raise ValueError(text)
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise SerializationError(f"'{text[:64]}' can not be converted to {kind.capitalize()}") from None
    if kind == "timestamp":
        return parse_time(text)
    return parse_blob(text) if kind == "blob" else text


def _text(shape: Shape, value: Any) -> str:
    if shape.type_name == "timestamp":
        return str(format_time(value, shape.serialization.get("timestampFormat", "rfc822")))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
