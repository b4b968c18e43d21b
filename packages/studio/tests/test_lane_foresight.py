"""A store that is asked while the request is being decided: the client learns only what the decision allows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from tests.support.lane_peers import Backend, Deciding, Rig, lane_between, reply, request


def echo(head: bytes, _body: bytes) -> bytes:
    said = head.split(b"\r\n")[0]
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)


class Watching(Deciding):
    """Before it decides about `/lake/b` it waits until the store has heard of it."""

    def __init__(self, store: Backend) -> None:
        super().__init__(f"unix/{store.path}")
        self.heard = threading.Event()
        self.was_ahead = False

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        if asked.path == "/lake/b":
            self.was_ahead = self.heard.wait(60)
        return super().quickly(asked)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with lane_between(tmp_path) as rig:
        rig.store.answer = echo
        yield rig


def test_the_second_read_is_asked_while_it_is_decided(tmp_path: Path) -> None:
    with lane_between(tmp_path, Watching) as rig:
        deciding = rig.deciding
        assert isinstance(deciding, Watching)

        def answer(head: bytes, body: bytes) -> bytes:
            if head.startswith(b"GET /lake/b "):
                deciding.heard.set()
            return echo(head, body)

        rig.store.answer = answer
        with rig.connect() as client:
            for key in "ab":
                client.sendall(request(f"GET /lake/{key}"))
                assert reply(client)[2] == f"GET /lake/{key} HTTP/1.1".encode()
        assert deciding.was_ahead
        assert len(rig.store.heads) == 2
        assert b"X-Amz-Tagging: a=b".lower() in rig.store.heads[1].lower()


def test_what_is_refused_is_not_given_out(rig: Rig) -> None:
    with rig.connect() as client:
        for _ in range(3):
            client.sendall(request("GET /lake/a"))
            assert reply(client)[2] == b"GET /lake/a HTTP/1.1"
            client.sendall(request("GET /lake/no"))
            status, _, body = reply(client)
            assert (status, body) == (403, b"<Error/>")


def test_what_is_decided_in_another_way_is_asked_anew(rig: Rig) -> None:
    with rig.connect() as client:
        for _ in range(2):
            client.sendall(request("GET /lake/a"))
            reply(client)
            client.sendall(request("GET /lake/slow"))
            assert reply(client)[2] == b"GET /lake/slowly?x-id=S3 HTTP/1.1"


def test_a_stranger_makes_the_store_do_nothing(rig: Rig) -> None:
    with rig.connect() as client:
        for _ in range(2):
            client.sendall(request("GET /lake/no"))
            assert reply(client)[0] == 403
    assert rig.store.heads == []


@pytest.mark.parametrize("line", ["GET /lake/no?acl", "GET /lake", "PUT /lake/no", "DELETE /lake/no"])
def test_only_reads_of_objects_are_asked_ahead(rig: Rig, line: str) -> None:
    with rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        reply(client)
        client.sendall(request(line))
        reply(client)
        client.sendall(request("GET /lake/a"))
        reply(client)
    heard = [head.split(b" ")[1] for head in rig.store.heads]
    assert b"/lake/no" not in heard
    assert b"/lake/no?acl" not in heard
