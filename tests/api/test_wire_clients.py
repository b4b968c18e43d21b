"""Real boto3 clients over a real socket against the front door."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.api_server import serve
from tests.support.aws_clients import client
from tests.support.wire_world import ACCOUNT, ARN, KEY, SECRET, TEMPORARY_KEY, TEMPORARY_SECRET, TOKEN, make_application


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(make_application(tmp_path_factory.mktemp("wire"))) as url:
        yield url


def _client(service: str, endpoint: str, key: str = KEY, secret: str = SECRET, token: str | None = None) -> Any:
    return client(service, endpoint, key, secret, token)


def test_query(endpoint: str) -> None:
    answer = _client("sts", endpoint).get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == (ACCOUNT, ARN)
    assert answer["ResponseMetadata"]["RequestId"]


def test_json_with_the_overlay(endpoint: str) -> None:
    emr = _client("emr", endpoint)
    assert emr.create_editor(StudioId="es-1", Name="wörk 😀")["EditorId"] == "wörk 😀"
    assert next(iter(emr.get_paginator("list_studios").paginate()))["Studios"] == []


def test_rest_json_with_an_arn_in_the_path(endpoint: str) -> None:
    arn = f"arn:aws:emr-containers:us-east-1:{ACCOUNT}:/virtualclusters/{'a' * 25}"
    assert _client("emr-containers", endpoint).list_tags_for_resource(resourceArn=arn)["tags"] == {"arn": arn}


def test_temporary_credentials(endpoint: str) -> None:
    sts = _client("sts", endpoint, TEMPORARY_KEY, TEMPORARY_SECRET, TOKEN)
    assert sts.get_caller_identity()["Account"] == ACCOUNT


def test_presigned_caller_identity(endpoint: str) -> None:
    sts = _client("sts", endpoint, TEMPORARY_KEY, TEMPORARY_SECRET, TOKEN)
    url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    answer = httpx.get(url, timeout=60)
    assert answer.status_code == 200
    assert f"<Account>{ACCOUNT}</Account>" in answer.text
    assert httpx.get(url.replace("GetCallerIdentity", "GetSessionToken"), timeout=60).status_code == 403


@pytest.mark.parametrize(
    ("service", "method", "arguments", "expected"),
    [
        ("emr", "describe_studio", {"StudioId": "es-1"}, ("InvalidRequestException", 400)),
        ("emr", "delete_studio", {"StudioId": "es-1"}, ("AccessDeniedException", 400)),
        ("emr", "get_auto_termination_policy", {"ClusterId": "j-1"}, ("UnknownOperationException", 400)),
        ("iam", "get_user", {"UserName": "bob"}, ("NoSuchEntity", 404)),
        ("iam", "delete_user", {"UserName": "bob"}, ("AccessDenied", 403)),
        ("iam", "create_user", {"UserName": "bob"}, ("InternalFailure", 500)),
        ("iam", "list_users", {}, ("InvalidAction", 400)),
        ("emr-containers", "delete_virtual_cluster", {"id": "a" * 25}, ("AccessDeniedException", 403)),
        ("emr-containers", "list_virtual_clusters", {}, ("UnknownOperationException", 404)),
    ],
)
def test_errors_as_clients_see_them(
    endpoint: str, service: str, method: str, arguments: dict[str, str], expected: tuple[str, int]
) -> None:
    with pytest.raises(ClientError) as raised:
        getattr(_client(service, endpoint), method)(**arguments)
    answer: Any = raised.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == expected
    assert answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["RequestId"]


def test_modelled_errors_are_the_clients_own_exceptions(endpoint: str) -> None:
    iam = _client("iam", endpoint)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="bob")
    emr = _client("emr", endpoint)
    with pytest.raises(emr.exceptions.InvalidRequestException):
        emr.describe_studio(StudioId="es-1")


def test_unsigned_calls(endpoint: str) -> None:
    sts = boto3.client("sts", endpoint_url=endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    assert sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="ann", WebIdentityToken="a.b.c")
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        sts.get_caller_identity()


def test_a_connection_outlives_refusals(endpoint: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
    for body in (b"x" * 7 * 2**20, b"{", b""):
        connection.request("POST", "/", body, {"X-Amz-Target": "ElasticMapReduce.ListStudios"})
        answer = connection.getresponse()
        assert answer.getheader("x-amzn-requestid")
        assert b"__type" in answer.read()
    connection.close()


def test_a_client_that_goes_away_does_no_harm(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert _client("sts", endpoint).get_caller_identity()


def test_many_callers_at_a_time(endpoint: str) -> None:
    sts, emr = _client("sts", endpoint), _client("emr", endpoint)
    gate = threading.Barrier(8)

    def call(number: int) -> str:
        gate.wait(timeout=60)
        for i in range(5):
            sts.get_caller_identity()
            emr.create_editor(StudioId="es-1", Name=f"n{number}-{i}")
        return "done"

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {"done"}
