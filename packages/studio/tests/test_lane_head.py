"""Which requests are the lane's: those that can be read in one way only."""

from __future__ import annotations

import pytest

from emr_studio.lane.head import may_be_ours, read_request, read_response, write

HOSTS = frozenset({"localhost", "127.0.0.1"})
SIGNED = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261126/us-east-1/s3/aws4_request, Signature=0"
QUERY = "?X-Amz-Credential=AKIA%2F20261126%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0"


def head(line: str, *lines: str) -> bytes:
    return "\r\n".join([line, "Host: localhost:8080", *lines]).encode("latin-1")


def test_a_signed_request_is_read() -> None:
    sent = head(
        "PUT /lake/a%20b?partNumber=1&uploadId=x HTTP/1.1",
        SIGNED,
        "Content-Length: 12",
        "Expect: 100-continue",
        "Connection: Keep-Alive",
        "X-Emr-Studio-Identity: forged",
        "X-Forwarded-For: 6.6.6.6",
        "X-Amz-Date:  20261126T000000Z ",
    )
    found = read_request(sent, HOSTS)
    assert found is not None
    assert (found.method, found.target, found.host) == ("PUT", "/lake/a%20b?partNumber=1&uploadId=x", "localhost:8080")
    assert (found.length, found.expects, found.keeps) == (12, True, True)
    assert dict(found.fields)[b"x-amz-date"] == b"20261126T000000Z"
    assert {name for name, _ in found.fields} == {b"host", b"authorization", b"content-length", b"x-amz-date"}


def test_a_presigned_request_is_read() -> None:
    found = read_request(head(f"GET /lake/a{QUERY} HTTP/1.1", "Connection: close"), HOSTS)
    assert found is not None
    assert (found.length, found.keeps) == (0, False)


@pytest.mark.parametrize(
    "sent",
    [
        head("GET /lake/a HTTP/1.1"),
        head("GET / HTTP/1.1", SIGNED),
        head("GET //lake/a HTTP/1.1", SIGNED),
        head("GET /_edge/s3 HTTP/1.1", SIGNED),
        head("GET /lake/a HTTP/1.0", SIGNED),
        head("GET http://localhost/lake/a HTTP/1.1", SIGNED),
        head("GET /lake/a#b HTTP/1.1", SIGNED),
        head("GET /lake/a\\b HTTP/1.1", SIGNED),
        head("GET  /lake/a HTTP/1.1", SIGNED),
        head("PATCH /lake/a HTTP/1.1", SIGNED),
        head("OPTIONS /lake/a HTTP/1.1", SIGNED),
        head("GET /lake/a HTTP/1.1", SIGNED.replace("/s3/", "/iam/")),
        head(f"GET /lake/a{QUERY} HTTP/1.1", SIGNED),
        head("GET /lake/a HTTP/1.1", SIGNED, "Host: other"),
        head("PUT /lake/a HTTP/1.1", SIGNED, "Content-Length: 1", "Content-Length: 1"),
        head("PUT /lake/a HTTP/1.1", SIGNED, "Content-Length: +1"),
        head("PUT /lake/a HTTP/1.1", SIGNED, "Content-Length: 1, 1"),
        head("PUT /lake/a HTTP/1.1", SIGNED, "Content-Length: 0x1"),
        head("PUT /lake/a HTTP/1.1", SIGNED, "Transfer-Encoding: chunked"),
        head("PUT /lake/a HTTP/1.1", SIGNED, "Content-Length: 1", "Transfer-Encoding: identity"),
        head("GET /lake/a HTTP/1.1", SIGNED, "Upgrade: h2c"),
        head("GET /lake/a HTTP/1.1", SIGNED, "Connection: close, x-amz-date"),
        head("GET /lake/a HTTP/1.1", SIGNED, "Expect: a miracle"),
        head("GET /lake/a HTTP/1.1", SIGNED, "Origin: http://page.example"),
        head("GET /lake/a HTTP/1.1", SIGNED, "X-Folded: a", " b"),
        head("GET /lake/a HTTP/1.1", SIGNED, "X-Space : a"),
        head("GET /lake/a HTTP/1.1", SIGNED, "X-Null: a\x00b"),
        head("GET /lake/a HTTP/1.1", SIGNED, "X-Bare: a\nX-Other: b"),
        head("GET /lake/a HTTP/1.1", SIGNED).replace(b"localhost", b"lake.s3.localhost"),
        head("GET /lake/a HTTP/1.1", SIGNED).replace(b"localhost:8080", b"localhost:8080@evil"),
    ],
)
def test_all_else_is_the_edges(sent: bytes) -> None:
    assert read_request(sent, HOSTS) is None


def test_the_first_bytes_may_tell() -> None:
    assert may_be_ours(b"")
    assert may_be_ours(b"GET /")
    assert may_be_ours(b"DELETE /lake")
    assert not may_be_ours(b"PRI * HTTP/2.0\r\n")
    assert not may_be_ours(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    assert not may_be_ours(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("method", "lines", "length", "chunked", "keeps"),
    [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5", 5, False, True),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", None, True, True),
        ("GET", "HTTP/1.1 200 OK\r\nX: y", None, False, False),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close", 5, False, False),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5", 0, False, True),
        ("GET", "HTTP/1.1 304 Not Modified\r\nX: y", 0, False, True),
        ("DELETE", "HTTP/1.1 204 No Content", 0, False, True),
    ],
)
def test_where_an_answer_ends(method: str, lines: str, length: int | None, chunked: bool, keeps: bool) -> None:
    found = read_response(lines.encode(), method)
    assert (found.length, found.chunked, found.keeps) == (length, chunked, keeps)


def test_what_is_no_answer() -> None:
    for said in (b"HTTP/1.0 200 OK", b"SSH-2.0-x", b"HTTP/1.1 200 OK\r\nX : y"):
        with pytest.raises(ValueError, match="not the head"):
            read_response(said, "GET")


def test_a_head_is_written() -> None:
    assert write("GET /a HTTP/1.1", [(b"host", b"x")]) == b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
