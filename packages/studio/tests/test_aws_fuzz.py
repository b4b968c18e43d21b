"""Whatever is sent, the answer is the protocol's own and never a fault of ours."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emr_studio.aws.pipeline import AwsApplication
from emr_studio.aws.wire import WireRequest
from tests.support.wire_world import header_of, json_call, make_application, query_call, sign

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Name", "Instances", "InstanceGroups", "Configurations", "Tags", "Key", "Steps"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_WORDS = st.sampled_from(
    ["Tags", "member", "1", "2", "10", "Key", "Value", "UserName", "entry", "", "x", "99999999999"]
)
_FIELDS = st.lists(st.tuples(st.lists(_WORDS, max_size=5).map(".".join), st.text(max_size=6)), max_size=8)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> AwsApplication:
    return make_application(tmp_path_factory.mktemp("fuzz"))


def _fine(application: AwsApplication, request: WireRequest) -> None:
    response = application.answer(request)
    assert response.status < 500, response.body
    assert header_of(response, "x-amzn-RequestId")
    if response.body and "json" in response.content_type:
        msgspec.json.decode(response.body)
    elif response.body:
        assert response.body.startswith(b"<")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_as_json(application: AwsApplication, body: bytes) -> None:
    _fine(application, sign(json_call("ElasticMapReduce.RunJobFlow", body), "elasticmapreduce"))


@settings(max_examples=300, deadline=None)
@given(_JSON)
def test_any_json(application: AwsApplication, value: Any) -> None:
    _fine(application, sign(json_call("ElasticMapReduce.RunJobFlow", msgspec.json.encode(value)), "elasticmapreduce"))


@pytest.mark.parametrize("text", [r'{"Name": "\ud800"}', r'{"Name": "\u0000"}', '{"Name": 1e999}', "NaN", "1" * 5000])
def test_odd_json(application: AwsApplication, text: str) -> None:
    _fine(application, sign(json_call("ElasticMapReduce.RunJobFlow", text.encode()), "elasticmapreduce"))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_as_a_form(application: AwsApplication, body: bytes) -> None:
    _fine(application, sign(query_call(b"Action=DeleteUser&Version=2010-05-08&" + body), "iam"))


@settings(max_examples=300, deadline=None)
@given(_FIELDS)
def test_any_fields(application: AwsApplication, fields: list[tuple[str, str]]) -> None:
    pairs = [("Action", "DeleteUser"), ("Version", "2010-05-08")]
    encoded = urlencode([*pairs, *((name, value.encode("utf-8", "replace")) for name, value in fields)])
    _fine(application, sign(query_call(encoded), "iam"))


_HEADERS = st.dictionaries(
    st.sampled_from(
        ["authorization", "x-amz-date", "x-amz-target", "x-amz-security-token", "host", "cookie", "content-type"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
    | st.sampled_from(
        [
            "AWS4-HMAC-SHA256 Credential=A/20260101/r/emr-containers/aws4_request, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256 Credential=AKIA/20269999/r/s3/aws4_request,SignedHeaders=host,Signature=ü",
            "20269999T999999Z",
            "Thu, 99 Foo 2026 00:00:00 GMT",
            "ElasticMapReduce.",
            "application/x-amz-json-1.1",
        ]
    ),
    max_size=6,
)
_PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_REQUESTS = st.builds(
    WireRequest,
    st.sampled_from(["GET", "POST", "DELETE", "HEAD", "PUT"]),
    _PRINTABLE.map(lambda path: "/" + path.replace("?", "")),
    _PRINTABLE,
    _HEADERS,
    st.binary(max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(_REQUESTS)
def test_any_request(application: AwsApplication, request_: WireRequest) -> None:
    _fine(application, request_)
