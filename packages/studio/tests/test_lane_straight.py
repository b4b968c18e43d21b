"""Plain objects past the store's S3: filer, volumes and S3 are the test's own and speak in bytes."""

from __future__ import annotations

import base64
import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.lane.straight import Inside
from emr_studio.settings import Settings
from tests.support.lane_peers import Backend, Deciding, Rig, lane_between, reply, request

PIECES = {f"3,0{number}": random.Random(number).randbytes(100_000 + number) for number in range(3)}
BODY = b"".join(PIECES.values())
PLAIN_BUCKET = {"FullPath": "/buckets/lake", "Mode": 0o20000000777, "Extended": {"s3-identity-id": ""}}


class Plainly(Deciding):
    """Its answers change nothing about the request."""

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        found = super().quickly(asked)
        return EdgeAnswer(upstream=self.store, ask_if_missing=True) if found and found.status == 200 else found


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def entry(**changed: Any) -> dict[str, Any]:
    chunks, offset = [], 0
    for name, data in PIECES.items():
        chunks.append({"file_id": name, "offset": offset, "size": len(data), "modified_ts_ns": 1, "fid": {}})
        offset += len(data)
    made = {
        "FullPath": "/buckets/lake/a",
        "Mtime": "2026-11-27T22:00:00+01:00",
        "Mode": 0o660,
        "Mime": "text/x-words",
        "FileSize": offset,
        "Extended": {"Seaweed-X-Amz-ETag": b64("0f"), "X-Amz-Meta-Two-Words": b64("v w"), "Cache-Control": b64("no")},
        "chunks": chunks,
        "Content": None,
    }
    return made | changed


@dataclass
class Store:
    """A rig with the parts of a store; what the filer says can be changed."""

    rig: Rig
    filer: Backend
    volume: Backend
    bucket: Any
    entry: Any
    gone: frozenset[str] = frozenset()
    """Pieces that the volume has no more."""

    def said_by_the_filer(self, head: bytes, _body: bytes) -> bytes:
        found = self.bucket if b" /buckets/lake?" in head else self.entry
        if found is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        said = found if isinstance(found, bytes) else json.dumps(found).encode()
        if len(said) > 400:  # as Go does it with what it does not hold back
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(said), said)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)

    def said_by_the_volume(self, head: bytes, _body: bytes) -> bytes:
        name = head.split()[1].decode()[1:]
        if name in self.gone:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        data, ranged = PIECES[name], re.search(rb"Range: bytes=(\d+)-(\d+)", head)
        if ranged is None:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        part = data[int(ranged[1]) : int(ranged[2]) + 1]
        return b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % len(part) + part


@contextmanager
def parts(folder: Path, decides: Callable[[str], Deciding]) -> Iterator[Store]:
    run = Settings(data_dir=folder).run_dir
    filer, volume = Backend(run / "filer.sock"), Backend(run / "volume.sock")
    addresses = Inside(f"unix/{run / 'store.sock'}", f"unix/{filer.path}", f"unix/{volume.path}")
    with ExitStack() as stack:
        for one in (filer, volume):
            stack.enter_context(one.listening())
        rig = stack.enter_context(
            lane_between(folder, lambda backend: decides(f"unix/{backend.path}"), lambda: addresses)
        )
        made = Store(rig, filer, volume, PLAIN_BUCKET, entry())
        filer.answer, volume.answer = made.said_by_the_filer, made.said_by_the_volume
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with parts(tmp_path, Plainly) as made:
        yield made


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Store]:
    with parts(tmp_path, Watching) as made:
        yield made


def test_an_object_of_three_pieces(store: Store) -> None:
    with store.rig.connect() as client:
        for _ in range(3):
            client.sendall(request("GET /lake/a%20b"))
            status, headers, body = reply(client)
            assert (status, body) == (200, BODY)
        del headers["date"]
        assert len(headers.pop("x-amz-request-id")) == 24
        assert headers == {
            "accept-ranges": "bytes",
            "cache-control": "no",
            "content-length": str(len(BODY)),
            "content-security-policy": headers["content-security-policy"],
            "content-type": "text/x-words",
            "etag": '"0f"',
            "last-modified": "Fri, 27 Nov 2026 21:00:00 GMT",
            "vary": "Origin",
            "x-amz-meta-two-words": "v w",
            "x-content-type-options": "nosniff",
        }
    asked = [head.split()[1] for head in store.filer.heads]
    assert asked == [b"/buckets/lake?metadata=true", b"/buckets/lake/a%20b?metadata=true"] * 3
    assert [head.split()[1].decode()[1:] for head in store.volume.heads] == [*PIECES] * 3
    assert (store.filer.connections, store.volume.connections, store.rig.store.heads) == (1, 1, [])


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, len(BODY)),
        ("bytes=5-9", 5, 10),
        ("bytes=99999-100000", 99_999, 100_001),
        ("bytes=150000-999999999", 150_000, len(BODY)),
    ],
)
def test_ranges(store: Store, asked: str, start: int, end: int) -> None:
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/a", f"Range: {asked}"))
        status, headers, body = reply(client)
    assert (status, body) == (206, BODY[start:end])
    assert headers["content-range"] == f"bytes {start}-{end - 1}/{len(BODY)}"
    assert store.rig.store.heads == []


def test_a_head_and_an_empty_object_need_no_volume(store: Store) -> None:
    with store.rig.connect() as client:
        client.sendall(request("HEAD /lake/a"))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1000)
        assert f"content-length: {len(BODY)}".encode() in head
        store.entry = entry(FileSize=0, chunks=[])
        client.sendall(request("GET /lake/a"))
        assert reply(client)[::2] == (200, b"")
    assert (store.volume.heads, store.rig.store.heads) == ([], [])


_CHUNK = {"file_id": "3,00", "size": 5}
NOT_PLAIN = {
    "none": None,
    "not JSON": b"<html>",
    "a folder": entry(Mode=0o20000000777),
    "a link": entry(SymlinkTarget="/etc/passwd"),
    "with an end": entry(TtlSec=60),
    "in the entry itself": entry(Content="aGVsbG8=", chunks=[], FileSize=5),
    "far away": entry(Remote={"storage_name": "x"}),
    "locked": entry(WORMEnforcedAtTsNs=1),
    "tagged": entry(Extended=entry()["Extended"] | {"X-Amz-Tagging-a": b64("b")}),
    "of a class": entry(Extended=entry()["Extended"] | {"X-Amz-Storage-Class": b64("GLACIER")}),
    "without an ETag": entry(Extended={}),
    "with an odd header": entry(Extended=entry()["Extended"] | {"X-Amz-Meta-A": b64("b\r\nSet-Cookie: c")}),
    "of something new": entry(Novelty=1),
    "compressed": entry(FileSize=5, chunks=[_CHUNK | {"is_compressed": True}]),
    "sealed": entry(FileSize=5, chunks=[_CHUNK | {"cipher_key": "eA=="}]),
    "encrypted": entry(FileSize=5, chunks=[_CHUNK | {"sse_type": 3}]),
    "a list of lists": entry(FileSize=5, chunks=[_CHUNK | {"is_chunk_manifest": True}]),
    "with a hole": entry(FileSize=9, chunks=[_CHUNK | {"offset": 4}]),
    "with a piece upon another": entry(FileSize=9, chunks=[_CHUNK, _CHUNK | {"offset": 4}]),
    "longer than its pieces": entry(FileSize=6, chunks=[_CHUNK]),
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_is_not_plain_is_the_stores(store: Store, kind: str) -> None:
    store.entry = NOT_PLAIN[kind]
    with store.rig.connect() as client:
        for _ in range(2):
            client.sendall(request("GET /lake/a"))
            assert reply(client)[::2] == (200, b"ok")
    assert (len(store.rig.store.heads), store.volume.heads) == (2, [])
    assert len(store.filer.heads) in {2, 4}  # for a moment it is not asked again


@pytest.mark.parametrize(
    "bucket", [None, PLAIN_BUCKET | {"Extended": {"Seaweed-X-Amz-Versioning": b64("Suspended")}}, entry()]
)
def test_a_bucket_that_is_not_plain(store: Store, bucket: Any) -> None:
    store.bucket = bucket
    with store.rig.connect() as client:
        for _ in range(3):
            client.sendall(request("GET /lake/a"))
            assert reply(client)[::2] == (200, b"ok")
    # One that keeps versions is not asked about again at once; one that is not there may come.
    assert len(store.filer.heads) == (6 if bucket is None else 2)
    assert store.volume.heads == []


@pytest.mark.parametrize(
    "line",
    [
        "GET /lake/a?versionId=1",
        "GET /lake/.uploads/a",
        "GET /lake/a/../b",
        "GET /lake/a//b",
        "GET /lake/a/",
        "GET /lake/%2e%2e/b",
        "GET /lake/a%2fb",
        "GET /lake/a.versions/v_1",
        "GET /lake/a.versions",
        "GET /la/b%00",
        "GET /lake",
        "DELETE /lake/a",
    ],
)
def test_requests_that_the_filer_does_not_hear_of(store: Store, line: str) -> None:
    with store.rig.connect() as client:
        client.sendall(request(line))
        assert reply(client)[0] == 200
    assert store.filer.heads == []


@pytest.mark.parametrize(
    "header",
    [
        "If-None-Match: x",
        "If-Modified-Since: Fri, 27 Nov 2026 21:00:00 GMT",
        "Range: bytes=-5",
        "Range: bytes=9999999-",
        "Range: bytes=0-1,3-4",
        "X-Amz-Checksum-Mode: SOMETIMES",
        "X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256",
    ],
)
def test_headers_that_are_the_stores(store: Store, header: str) -> None:
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/a", header))
        assert reply(client)[::2] == (200, b"ok")
    assert (store.volume.heads, len(store.rig.store.heads)) == ([], 1)


def test_what_is_refused_shows_nothing(store: Store) -> None:
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/no"))
        assert reply(client)[::2] == (403, b"<Error/>")
        assert store.filer.heads == []  # who was allowed nothing makes the store do nothing
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == BODY
        client.sendall(request("GET /lake/no"))
        assert reply(client)[::2] == (403, b"<Error/>")
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == BODY
    assert len(store.volume.heads) == 6


class Knowing(Plainly):
    """Knows whether the bucket may keep versions."""

    may_keep_versions = False

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        found = super().quickly(asked)
        return replace(found, without_versions=not self.may_keep_versions) if found else None


def test_a_bucket_that_never_kept_versions_is_not_asked(tmp_path: Path) -> None:
    with parts(tmp_path, Knowing) as store, store.rig.connect() as client:
        deciding = store.rig.deciding
        assert isinstance(deciding, Knowing)
        for _ in range(2):
            client.sendall(request("GET /lake/a"))
            assert reply(client)[2] == BODY
        assert [head.split()[1] for head in store.filer.heads] == [b"/buckets/lake/a?metadata=true"] * 2
        deciding.may_keep_versions = True
        store.bucket = PLAIN_BUCKET | {"Extended": {"Seaweed-X-Amz-Versioning": b64("Enabled")}}
        for _ in range(2):  # in the midst of the first it turns out; the second asks
            client.sendall(request("GET /lake/a"))
            assert reply(client)[::2] == (200, b"ok")
    assert b" /buckets/lake?" in store.filer.heads[-2]
    assert len(store.volume.heads) <= 6 + 1


class Watching(Plainly):
    """Before it decides about a second read it waits until the volume has heard of it."""

    def __init__(self, store: str) -> None:
        super().__init__(store)
        self.heard = threading.Event()
        self.was_ahead: list[bool] = []

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        if self.asked and asked.path == "/lake/a":
            self.was_ahead.append(self.heard.wait(60))
            self.heard.clear()
        return super().quickly(asked)


def test_an_object_that_was_read_before_comes_while_its_read_is_decided(watched: Store) -> None:
    deciding = watched.rig.deciding
    assert isinstance(deciding, Watching)

    def answer(head: bytes, body: bytes) -> bytes:
        deciding.heard.set()
        return watched.said_by_the_volume(head, body)

    with watched.rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == BODY
        watched.volume.answer = answer
        for asked, expected in (
            ("", BODY),
            ("Range: bytes=7-70", BODY[7:71]),
            ("Range: bytes=150000-", BODY[150_000:]),
        ):
            client.sendall(request("GET /lake/a", *([asked] if asked else [])))
            assert reply(client)[2] == expected
    assert deciding.was_ahead == [True] * 3
    assert (watched.volume.connections, len(watched.volume.heads)) == (1, 3 + 3 + 1 + 2)


def test_a_piece_of_what_the_object_was_before_is_not_taken(watched: Store) -> None:
    deciding = watched.rig.deciding
    assert isinstance(deciding, Watching)
    deciding.heard.set()
    with watched.rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == BODY
        name, size = "3,01", len(PIECES["3,01"])
        watched.entry = entry(FileSize=size, chunks=[{"file_id": name, "size": size}])
        deciding.heard.set()
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == PIECES[name]
        watched.bucket = None  # nor when the bucket has gone
        deciding.heard.set()
        client.sendall(request("GET /lake/a"))
        assert reply(client)[::2] == (200, b"ok")
        watched.bucket = PLAIN_BUCKET
        deciding.heard.set()
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == PIECES[name]


def test_a_request_that_the_decision_changes_is_the_stores(tmp_path: Path) -> None:
    run = Settings(data_dir=tmp_path).run_dir
    filer = Backend(run / "filer.sock")
    addresses = Inside(f"unix/{run / 'store.sock'}", f"unix/{filer.path}", "unix//nowhere")
    with filer.listening(), lane_between(tmp_path, None, lambda: addresses) as rig, rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[::2] == (200, b"ok")
        assert filer.heads == []


def test_a_piece_that_has_gone_already(store: Store) -> None:
    store.gone = frozenset({"3,00"})
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[::2] == (200, b"ok")


def test_a_piece_that_goes_meanwhile_ends_the_connection(store: Store) -> None:
    store.gone = frozenset({"3,02"})
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        seen = b""
        while data := client.recv(1 << 20):
            seen += data
    assert seen.partition(b"\r\n\r\n")[2] == PIECES["3,00"] + PIECES["3,01"]
    assert store.rig.store.heads == []


def test_a_client_that_goes_in_the_middle_of_a_body(store: Store) -> None:
    large = random.Random(9).randbytes(16 << 20)  # more than all the buffers on its way hold
    store.volume.answer = lambda _head, _body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large
    store.entry = entry(FileSize=len(large), chunks=[{"file_id": "3,09", "size": len(large)}])
    for _ in range(3):
        with store.rig.connect() as client:
            client.sendall(request("GET /lake/a"))
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert store.volume.cut.wait(60)  # what nobody takes is not brought
        store.volume.cut.clear()
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[2] == large
    assert store.volume.connections == 4


def test_clients_that_go_before_the_answer(store: Store) -> None:
    with store.rig.connect() as client:
        for _ in range(20):
            with store.rig.connect() as hasty:
                hasty.sendall(request("GET /lake/a"))
            client.sendall(request("GET /lake/a"))
            assert reply(client)[2] == BODY
    assert store.rig.store.heads == []


def test_parts_that_are_away(tmp_path: Path) -> None:
    addresses = Inside(f"unix/{Settings(data_dir=tmp_path).run_dir / 'store.sock'}", "unix//nowhere", "in/1:/nowhere")
    with (
        lane_between(tmp_path, lambda backend: Plainly(f"unix/{backend.path}"), lambda: addresses) as rig,
        rig.connect() as client,
    ):
        client.sendall(request("GET /lake/a"))
        assert reply(client)[::2] == (200, b"ok")


def test_volumes_that_are_away(store: Store) -> None:
    store.volume.path.unlink()
    with store.rig.connect() as client:
        client.sendall(request("GET /lake/a"))
        assert reply(client)[::2] == (200, b"ok")
