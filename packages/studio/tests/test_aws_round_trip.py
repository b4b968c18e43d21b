"""Every operation of four services through botocore's own serialisers and parsers: the oracle of the wire."""

from __future__ import annotations

import datetime as dt
import os
import string
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emr_studio.aws.models import Shape, service_model
from emr_studio.aws.protocols import protocol_of
from emr_studio.aws.wire import WireRequest

SERVICES = ("emr", "iam", "sts", "emr-containers")
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=12,
)
# A header's value cannot be any text, a path segment of dots is not sent as such.
_PLAIN = st.text(string.ascii_letters + string.digits + "-_:/", min_size=1, max_size=12)
_TIMES = st.integers(0, 4_000_000_000).map(lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC))
_EXAMPLES = int(os.environ.get("EMR_STUDIO_FUZZ_EXAMPLES", "3"))


def _values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    kind = shape.type_name
    if kind == "structure":
        members = {name: _values(member, depth + 1) for name, member in shape.members.items() if _fits(member, depth)}
        required = {name: members.pop(name) for name in shape.required_members if name in members}
        return st.fixed_dictionaries(required, optional=members)
    if kind == "list":
        return st.lists(_values(shape.member, depth + 1), min_size=1, max_size=3)
    if kind == "map":
        return st.dictionaries(_TEXT, _values(shape.value, depth + 1), min_size=1, max_size=2)
    if kind == "string":
        return _PLAIN if shape.serialization.get("location") else _TEXT
    return {
        "boolean": st.booleans(),
        "integer": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.integers(-1000, 1000).map(float),
        "double": st.floats(-1e6, 1e6, allow_nan=False),
        "timestamp": _TIMES,
        "blob": st.binary(min_size=1, max_size=8),
    }[kind]


def _fits(shape: Shape, depth: int) -> bool:
    return depth < 4 or shape.type_name not in ("structure", "list", "map")


def _non_empty(shape: Shape, value: Any) -> Any:
    """Leave out empty structures: a form cannot say that one is there."""
    if shape.type_name == "structure":
        found = {name: _non_empty(shape.members[name], item) for name, item in value.items()}
        return {name: item for name, item in found.items() if item not in ({}, [], None)}
    if shape.type_name == "list":
        return [found for item in value if (found := _non_empty(shape.member, item)) not in ({}, [], None)]
    if shape.type_name == "map":
        found = {key: _non_empty(shape.value, item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in ({}, [], None)}
    return value


def _sent(model: Any, name: str, params: dict[str, Any]) -> WireRequest:
    """What botocore would put on the wire."""
    operation = model.operation_model(name)
    serialised = create_serializer(model.metadata["protocol"], False).serialize_to_request(params, operation)
    prepare_request_dict(serialised, "http://localhost:8080")
    prepared = create_request_object(serialised).prepare()
    parts = urlsplit(prepared.url)
    headers = {
        key.lower(): value.decode() if isinstance(value, bytes) else value for key, value in prepared.headers.items()
    }
    body = prepared.body or b""
    return WireRequest(
        prepared.method, parts.path, parts.query, headers, body.encode() if isinstance(body, str) else body
    )


def _operations() -> list[tuple[str, str]]:
    return [(service, name) for service in SERVICES for name in service_model(service).operation_names]


@pytest.fixture(scope="module")
def protocols() -> dict[str, Any]:
    return {service: protocol_of(service_model(service)) for service in SERVICES}


@pytest.mark.parametrize(("service", "name"), _operations())
def test_requests_of_botocore_are_read_as_they_were_meant(service: str, name: str, protocols: dict[str, Any]) -> None:
    protocol, model = protocols[service], service_model(service)
    shape = model.operation_model(name).input_shape

    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.just({}) if shape is None else _values(shape))
    def check(params: dict[str, Any]) -> None:
        params = params if shape is None else _non_empty(shape, params)
        try:
            request = _sent(model, name, params)
        except Exception as error:  # a value that the client itself cannot send (an endpoint's host label)
            pytest.skip(f"not sendable: {error}")
        operation = protocol.operation(request)
        assert operation.name == name
        assert protocol.parse(operation, request) == params

    check()


@pytest.mark.parametrize(("service", "name"), _operations())
def test_results_are_read_by_botocore_as_they_were_meant(service: str, name: str, protocols: dict[str, Any]) -> None:
    protocol, model = protocols[service], service_model(service)
    operation = model.operation_model(name)
    shape = operation.output_shape
    parser: Any = create_parser(model.metadata["protocol"])

    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.just({}) if shape is None else _values(shape))
    def check(output: dict[str, Any]) -> None:
        output = output if shape is None else _non_empty(shape, output)
        response = protocol.result(operation, output, "the-request-id")
        parsed = parser.parse(
            {
                "status_code": response.status,
                "headers": {key.lower(): value for key, value in response.headers},
                "body": response.body,
            },
            shape,
        )
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["RequestId"] == "the-request-id"
        assert _non_empty(shape, parsed) == output if shape is not None else not parsed

    check()
