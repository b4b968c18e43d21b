"""Signatures against botocore's own signers: odd paths and queries, presigned, S3's rules, and each way to be wrong."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from emr_studio.aws import sigv4
from emr_studio.aws.auth import for_protocol
from emr_studio.aws.errors import AuthError, AuthFailure
from emr_studio.aws.wire import WireRequest

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "http://localhost:8080"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _signed_at(request: WireRequest) -> dt.datetime:
    """The moment that was signed: whole seconds, so up to one before the clock's."""
    stamp = request.headers.get("x-amz-date") or parse_qs(request.query)["X-Amz-Date"][0]
    return dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)


def _signed(
    signer: Any,
    target: str = "/",
    *,
    method: str = "POST",
    body: bytes = b"{}",
    service: str = "elasticmapreduce",
    headers: dict[str, str] | None = None,
    token: str | None = None,
    **options: Any,
) -> WireRequest:
    request = AWSRequest(method, HOST + target, headers={"Host": "localhost:8080"} | (headers or {}), data=body)
    signer(Credentials(KEY, SECRET, token), service, "us-east-1", **options).add_auth(request)
    parts = urlsplit(str(request.url))
    return WireRequest(
        method, parts.path, parts.query, {name.lower(): value for name, value in request.headers.items()}, body
    )


def _verify(
    request: WireRequest, *, secret: str = SECRET, now: dt.datetime | None = None, s3: bool = False
) -> sigv4.Signature:
    signature = sigv4.find_signature(request)
    assert signature is not None
    sigv4.verify(request, signature, secret, now or _now(), s3=s3)
    return signature


def _failure(request: WireRequest, **options: Any) -> AuthError:
    with pytest.raises(AuthError) as raised:
        _verify(request, **options)
    return raised.value


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/tags/arn%3Aaws%3Aemr-containers%3Aus-east-1%3A123456789012%3A%2Fvirtualclusters%2Fabc",
        "/a//b/./c/../d/",
        "/a%20b/c~d/%E2%82%AC",
        "/?b=2&a=1&a=0&empty=&c%20d=%2B~%2F",
        "/virtualclusters?states=RUNNING&states=ARRESTED&createdAfter=2026-01-01T00%3A00%3A00Z",
    ],
)
def test_what_botocore_signs_is_verified(target: str) -> None:
    signature = _verify(_signed(SigV4Auth, target))
    assert (signature.access_key_id, signature.service, signature.region) == (KEY, "elasticmapreduce", "us-east-1")
    assert not signature.presigned


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=6), max_size=4),
    st.lists(st.tuples(st.text(min_size=1, max_size=4), st.text(max_size=4)), max_size=4),
    st.binary(max_size=20),
)
def test_any_path_and_query_that_botocore_signs_is_verified(
    segments: list[str], pairs: list[tuple[str, str]], body: bytes
) -> None:
    # botocore takes a raw query as it stands, so it is encoded here as SDKs encode it.
    path = "/" + "/".join(quote(segment.encode("utf-8", "replace"), safe="~") for segment in segments)
    query = "&".join(
        f"{quote(k.encode('utf-8', 'replace'), safe='~')}={quote(v.encode('utf-8', 'replace'), safe='~')}"
        for k, v in pairs
    )
    _verify(_signed(SigV4Auth, path + (f"?{query}" if query else ""), body=body))


def test_headers_are_folded_and_repeated_ones_joined() -> None:
    request = _signed(SigV4Auth, headers={"X-Amz-Target": "  ElasticMapReduce.ListStudios   and   blanks "})
    _verify(request)


@pytest.mark.parametrize("key", ["a/b c.txt", "a//b", "./x", "plus+and%25", "ü/€", "(paren)!*'"])
def test_s3_signs_the_path_as_sent(key: str) -> None:
    request = _signed(S3SigV4Auth, "/bucket/" + quote(key), method="PUT", body=b"data", service="s3")
    assert _verify(request, s3=True).service == "s3"


def test_s3_takes_the_clients_word_for_the_payload_and_needs_no_body() -> None:
    for declared in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):

        class Signer(S3SigV4Auth):
            word = declared

            def payload(self, request: Any) -> str:
                return self.word

        request = _signed(Signer, "/b/k", method="PUT", body=b"never hashed", service="s3")
        headers = dict(request.headers) | {"x-amz-content-sha256": declared}
        _verify(WireRequest("PUT", "/b/k", "", headers), s3=True)


def test_s3_without_a_declared_payload_is_refused() -> None:
    request = _signed(SigV4Auth, "/b/k", method="GET", body=b"", service="s3")
    assert _failure(request, s3=True).failure is AuthFailure.PAYLOAD


def test_presigned_for_s3_and_for_sts() -> None:
    s3 = _signed(S3SigV4QueryAuth, "/b/k%20x?versionId=1", method="GET", body=b"", service="s3", expires=60)
    assert _verify(s3, s3=True).presigned
    sts = _signed(
        SigV4QueryAuth,
        "/?Action=GetCallerIdentity&Version=2011-06-15",
        method="GET",
        body=b"",
        service="sts",
        expires=60,
        token="a/token==",
    )
    assert _verify(sts).session_token == "a/token=="


def test_presigned_ends() -> None:
    request = _signed(S3SigV4QueryAuth, "/b/k", method="GET", body=b"", service="s3", expires=60)
    assert _verify(request, s3=True, now=_signed_at(request) + dt.timedelta(seconds=50)).presigned
    error = _failure(request, s3=True, now=_signed_at(request) + dt.timedelta(seconds=70))
    assert error.failure is AuthFailure.EXPIRED_REQUEST
    assert for_protocol(error, "rest-xml").message == "Request has expired"


@pytest.mark.parametrize("seconds", [299, -299])
def test_a_clock_five_minutes_off_is_good_enough(seconds: int) -> None:
    request = _signed(SigV4Auth)
    _verify(request, now=_signed_at(request) + dt.timedelta(seconds=seconds))


def test_the_clock_message_is_that_of_aws() -> None:
    request = _signed(SigV4Auth)
    stamp, signed = request.headers["x-amz-date"], _signed_at(request)
    late = _failure(request, now=signed + dt.timedelta(minutes=35))
    assert late.failure is AuthFailure.CLOCK
    limit, now = signed + dt.timedelta(minutes=30), signed + dt.timedelta(minutes=35)
    assert late.message == (
        f"Signature expired: {stamp} is now earlier than {limit:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} - 5 min.)"
    )
    early = _failure(request, now=signed - dt.timedelta(minutes=6))
    assert early.message.startswith(f"Signature not yet current: {stamp} is still later than ")


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/other"},
        {"query": "a=1"},
        {"body": b"{ }"},
        {"headers": {"host": "evil.example:8080"}},
        {"headers": {"x-amz-target": "ElasticMapReduce.DeleteStudio"}},
    ],
)
def test_any_change_breaks_the_signature(change: dict[str, Any]) -> None:
    request = _signed(SigV4Auth, headers={"X-Amz-Target": "ElasticMapReduce.ListStudios"})
    fields = {"method": request.method, "path": request.path, "query": request.query, "body": request.body}
    headers = dict(request.headers) | change.pop("headers", {})
    changed = WireRequest(headers=headers, **(fields | change))
    assert _failure(changed).failure is AuthFailure.SIGNATURE


def test_another_secret_is_another_signature() -> None:
    assert _failure(_signed(SigV4Auth), secret="other").failure is AuthFailure.SIGNATURE


def test_an_x_amz_header_added_on_the_way_is_refused() -> None:
    request = _signed(SigV4Auth)
    added = WireRequest("POST", "/", "", dict(request.headers) | {"x-amz-target": "ElasticMapReduce.X"}, request.body)
    assert _failure(added).failure is AuthFailure.UNSIGNED_HEADERS


def test_scope_of_another_day_is_refused() -> None:
    request = _signed(SigV4Auth)
    day = request.headers["x-amz-date"][:8]
    headers = dict(request.headers) | {
        "authorization": request.headers["authorization"].replace(f"/{day}/", "/20200101/")
    }
    assert _failure(WireRequest("POST", "/", "", headers, request.body)).failure is AuthFailure.SCOPE


def test_two_signatures_are_one_too_many() -> None:
    request = _signed(SigV4Auth)
    both = WireRequest("POST", "/", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", request.headers, b"")
    with pytest.raises(AuthError) as raised:
        sigv4.find_signature(both)
    assert raised.value.failure is AuthFailure.TWO_MECHANISMS


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer abc",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/sts/aws4_request",
        "AWS4-HMAC-SHA256 Credential=AKIA, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=A/B/C/D/E, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=A/20260101/r/sts/aws4_request, SignedHeaders=x-amz-date, Signature=0",
        "AWS4-ECDSA-P256-SHA256 Credential=A/20260101/sts/aws4_request, SignedHeaders=host, Signature=0",
    ],
)
def test_malformed_headers(authorization: str) -> None:
    headers = {"host": "h", "authorization": authorization, "x-amz-date": "20260101T000000Z"}
    with pytest.raises(AuthError) as raised:
        sigv4.find_signature(WireRequest("POST", "/", "", headers))
    assert raised.value.failure is AuthFailure.MALFORMED


def test_a_missing_date_is_said_as_aws_says_it() -> None:
    header = "AWS4-HMAC-SHA256 Credential=A/20260101/r/sts/aws4_request, SignedHeaders=host, Signature=0"
    with pytest.raises(AuthError) as raised:
        sigv4.find_signature(WireRequest("POST", "/", "", {"host": "h", "authorization": header}))
    assert raised.value.message.startswith(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4"
    )


@pytest.mark.parametrize("query", ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Signature=0&X-Amz-Algorithm=x"])
def test_malformed_queries(query: str) -> None:
    with pytest.raises(AuthError) as raised:
        sigv4.find_signature(WireRequest("GET", "/", query, {"host": "h"}))
    assert raised.value.failure is AuthFailure.MALFORMED


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "x", "9" * 40, "１"])
def test_presigned_for_longer_than_a_week_is_malformed(expires: str) -> None:
    request = _signed(SigV4QueryAuth, "/", method="GET", body=b"", expires=60)
    changed = WireRequest(
        "GET", "/", request.query.replace("X-Amz-Expires=60", f"X-Amz-Expires={quote(expires)}"), request.headers
    )
    with pytest.raises(AuthError) as raised:
        sigv4.find_signature(changed)
    assert raised.value.failure is AuthFailure.MALFORMED


def test_unsigned_requests_have_no_signature() -> None:
    assert sigv4.find_signature(WireRequest("POST", "/", "", {"host": "h"})) is None


@pytest.mark.parametrize("protocol", ["query", "json", "rest-json", "ec2", "rest-xml"])
@pytest.mark.parametrize("failure", list(AuthFailure))
def test_every_failure_has_a_code_in_every_protocol(failure: AuthFailure, protocol: str) -> None:
    error = for_protocol(AuthError(failure, "own words"), protocol)
    assert error.code
    assert error.message
    assert 400 <= error.status < 404
