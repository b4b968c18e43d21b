"""The lane between a client and a store, both of the test's own and speaking in bytes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.lane_peers import OK, Rig, lane_between, reply, request

BODY = bytes(range(256)) * 8192  # 2 MB


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with lane_between(tmp_path) as rig:
        yield rig


def test_many_requests_on_one_connection(rig: Rig) -> None:
    with rig.connect() as client:
        for _ in range(3):
            client.sendall(request("GET /lake/a", "X-Amz-Acl: private", "Cookie: c=1"))
            status, headers, body = reply(client)
            assert (status, body, headers["etag"]) == (200, b"ok", "x")
            assert not {"server", "seaweed-x-amz-owner"} & set(headers)
            assert headers["content-security-policy"].startswith("sandbox")
    assert rig.store.connections == 1
    sent = rig.store.heads[0].lower()
    assert b"x-amz-tagging: a=b" in sent
    assert not any(name in sent for name in (b"authorization", b"cookie", b"x-amz-acl"))
    assert rig.deciding.asked[0].source_ip == "127.0.0.1"


def test_two_requests_sent_at_once(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(request("PUT /lake/a", "Content-Length: 3", body=b"abc") + request("GET /lake/b"))
        assert reply(client)[0] == 200
        assert reply(client)[0] == 200
    assert rig.store.bodies == [b"abc", b""]


def test_bodies_of_megabytes(rig: Rig) -> None:
    rig.store.answer = lambda _head, body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with rig.connect() as client:
        for _ in range(2):
            client.sendall(request("PUT /lake/a", f"Content-Length: {len(BODY)}", body=BODY))
            assert hashlib.sha256(reply(client)[2]).digest() == hashlib.sha256(BODY).digest()
    assert rig.store.connections == 1


def test_a_client_that_reads_late_holds_up_nobody_and_misses_nothing(rig: Rig) -> None:
    large = random.Random(1).randbytes(24 << 20)

    def answer(head: bytes, _body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large if b"/large " in head else OK

    rig.store.answer = answer
    with rig.connect() as late, rig.connect() as other:
        late.sendall(request("GET /lake/large"))
        for _ in range(50):
            other.sendall(request("GET /lake/small"))
            assert reply(other)[2] == b"ok"
        for _ in range(2):
            assert hashlib.sha256(reply(late)[2]).digest() == hashlib.sha256(large).digest()
            late.sendall(request("GET /lake/large"))
        assert reply(late)[0] == 200


def test_a_client_that_waits_for_a_word(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(request("PUT /lake/a", "Content-Length: 3", "Expect: 100-continue"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert reply(client)[0] == 200
    assert b"expect" not in rig.store.heads[0].lower()


def test_a_refusal_spares_the_connection(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(request("PUT /lake/no", "Content-Length: 5", body=b"he"))
        assert reply(client)[0] == 403
        client.sendall(b"llo" + request("GET /lake/a"))
        assert reply(client)[0] == 200
    assert rig.store.bodies == [b""]


def test_a_refusal_ends_the_connection_of_who_waits_with_a_body(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(request("PUT /lake/no", "Content-Length: 5", "Expect: 100-continue"))
        status, headers, body = reply(client)
        assert (status, headers["connection"], body) == (403, "close", b"<Error/>")
        assert client.recv(10) == b""


def test_what_takes_time_is_decided_in_a_thread(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(request("GET /lake/slow", "X-Emr-Studio-Identity: forged"))
        assert reply(client)[0] == 200
    assert rig.store.heads[0].startswith(b"GET /lake/slowly?x-id=S3 HTTP/1.1\r\n")
    assert rig.store.heads[0].count(b"Identity") == 1
    assert b"X-Emr-Studio-Identity: s3.ticket" in rig.store.heads[0]


def test_what_is_not_there_is_told_by_ourselves(rig: Rig) -> None:
    rig.store.answer = lambda _head, _body: b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nNoSuch"
    with rig.connect() as client:
        for _ in range(2):
            client.sendall(request("GET /lake/a"))
            assert reply(client)[::2] == (403, b"<Hidden/>")
    assert rig.store.connections == 1


def test_a_chunked_answer(rig: Rig) -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    rig.store.answer = lambda _head, _body: said
    with rig.connect() as client:
        for _ in range(2):
            client.sendall(request("GET /lake/a"))
            seen = b""
            while not seen.endswith(b"0\r\n\r\n"):
                seen += client.recv(1000)
            assert b"3\r\nabc\r\n" in seen
    assert rig.store.connections == 1


def test_an_answer_that_ends_with_its_connection(rig: Rig) -> None:
    def answer(_head: bytes, _body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

    rig.store.answer = answer
    with rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        _, headers, body = reply(client)
        assert (headers["connection"], body) == ("close", b"ok")
        assert client.recv(10) == b""


def test_a_store_that_closed_in_between_is_asked_again(rig: Rig) -> None:
    answers = iter([OK, None, OK])
    rig.store.answer = lambda _head, _body: next(answers)
    with rig.connect() as client:
        for _ in range(2):
            client.sendall(request("GET /lake/a"))
            assert reply(client)[0] == 200
    assert len(rig.store.heads) == 3


def test_a_store_that_never_answers(rig: Rig) -> None:
    rig.store.answer = lambda _head, _body: None
    with rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        status, headers, _ = reply(client)
        assert (status, headers["retry-after"]) == (503, "1")
        rig.store.answer = lambda _head, _body: OK
        client.sendall(request("GET /lake/a"))
        assert reply(client)[0] == 200


def test_a_client_that_goes_in_the_middle_leaves_nothing_whole(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(request("PUT /lake/a", "Content-Length: 100000", body=b"x" * 50000))
    assert rig.store.torn.wait(60)
    assert rig.store.bodies == []


def test_a_store_that_stops_reading_ends_the_connection(rig: Rig) -> None:
    """What is left of the body must never be taken for a request."""
    said = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
    rig.store.refuses = said
    forged = request("DELETE /lake/b")
    with rig.connect() as client:
        body = forged * (len(BODY) // len(forged))
        with suppress(ConnectionError):
            client.sendall(request("PUT /lake/a", f"Content-Length: {len(body)}", body=body))
        with suppress(ConnectionError):
            assert b"HTTP/1.1 " in client.recv(65536)
            while client.recv(65536):
                pass
    assert [asked.method for asked in rig.deciding.asked] == ["PUT"]


def test_the_rest_of_a_connection_is_the_edges(rig: Rig) -> None:
    rig.edge.answer = lambda _head, _body: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nedge"
    with rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == b"ok"
        client.sendall(request("GET /index.html", "X-Mine: 1", signed=False))
        assert reply(client)[2] == b"edge"
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == b"edge"
        port = client.getsockname()[1]
    introduced, page = rig.edge.heads[0].split(b"\r\n", 1)
    assert introduced == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d" % (port, rig.port)
    assert page == request("GET /index.html", "X-Mine: 1", signed=False).removesuffix(b"\r\n")


def test_an_endless_head_is_the_edges(rig: Rig) -> None:
    with rig.connect() as client:
        client.sendall(b"GET /lake/a HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n")
        assert reply(client)[2] == b"ok"
    assert len(rig.edge.heads) == 1
    assert rig.store.heads == []
