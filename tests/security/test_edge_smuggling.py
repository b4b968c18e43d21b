"""What a client may try at the edge, against a real Caddy."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.edge.decisions import Resolver as DecisionResolver
from tests.support.edge_rig import Reply, Rig, edge_rig

HOST = "e-abc.workspace.localhost"


class Resolver:
    """Lets all pass but those without the cookie, and remembers what it was asked."""

    def __init__(self) -> None:
        self.upstream = ""
        self.asked: list[EdgeRequest] = []

    def __call__(self, request: EdgeRequest) -> EdgeAnswer:
        self.asked.append(request)
        if "let=in" not in request.headers.get("cookie", ""):
            return EdgeAnswer(401, body=b"who are you?", response_headers={"X-Reason": "no cookie"})
        return EdgeAnswer(upstream=self.upstream, identity="signed-by-us", headers={"Cookie": DELETE})


@pytest.fixture(scope="module")
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, resolver: Resolver) -> Iterator[Rig]:
    def store(request: EdgeRequest) -> EdgeAnswer:
        resolver.asked.append(request)
        return EdgeAnswer(upstream=resolver.upstream, headers={"x-amz-copy-source": "/b/renamed"})

    kinds: dict[str, DecisionResolver] = {"workspace": resolver, "appui": resolver, "s3": store}
    with edge_rig(tmp_path_factory.mktemp("edge"), kinds) as rig:
        resolver.upstream = rig.upstream
        yield rig


def values(seen: dict[str, Any], name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key == name]


def raw(rig: Rig, line: str, *headers: str, host: str = HOST) -> Reply:
    lines = [line, f"Host: {rig.host(host)}", *headers, "Connection: close"]
    return rig.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")


def test_a_client_cannot_name_its_upstream_or_its_identity(rig: Rig) -> None:
    forged = (
        "X-Emr-Studio-Identity: forged",
        "X-Emr-Studio-Upstream: unix//tmp/other.sock",
        "x-emr-studio-question: 1",
        "X-EMR-Studio-Set-Cookie: forged",
        "X-Forwarded-Uri: /forged",
        "X-Forwarded-For: 6.6.6.6",
        "Cookie: let=in",
    )
    seen = raw(rig, "GET /api/status HTTP/1.1", *forged).json()
    assert seen["server"] == "upstream"
    assert values(seen, "x-emr-studio-identity") == ["signed-by-us"]
    assert values(seen, "x-forwarded-for") == ["127.0.0.1"]
    ours = {name for name, _ in seen["headers"] if name.startswith("x-emr-studio")}
    assert ours <= {"x-emr-studio-identity", "x-emr-studio-upstream"}
    assert "forged" not in str(seen)
    assert "other.sock" not in str(seen)
    assert values(seen, "cookie") == []


def test_the_control_plane_gets_no_claims_of_a_client(rig: Rig) -> None:
    seen = raw(rig, "GET / HTTP/1.1", "X-Emr-Studio-Question: 1", "X-Forwarded-Uri: /x", host="localhost").json()
    assert seen["server"] == "control plane"
    assert values(seen, "x-emr-studio-question") == []
    assert values(seen, "x-forwarded-uri") == []


@pytest.mark.parametrize("host", ["localhost", "es-abc.studio.localhost", HOST, "j-abc.appui.localhost", "127.0.0.1"])
@pytest.mark.parametrize(
    "path", ["/_edge/workspace", "/_edge", "/_EDGE/s3", "/%5fedge/s3", "//_edge/s3", "/_internal/x", "/./_edge/s3"]
)
def test_inner_paths_are_not_there(rig: Rig, resolver: Resolver, host: str, path: str) -> None:
    before = len(resolver.asked)
    reply = raw(rig, f"GET {path} HTTP/1.1", "X-Emr-Studio-Question: 1", "Cookie: let=in", host=host)
    assert reply.status == 404
    assert len(resolver.asked) == before


def test_what_the_edge_hides_by_cleaning_is_no_question(rig: Rig) -> None:
    # Caddy matches the cleaned path; the control plane sees the raw one, and asks for its own mark.
    reply = raw(rig, "GET /_edge/../x HTTP/1.1", "X-Emr-Studio-Question: 1", host="localhost")
    assert reply.status in (200, 404)
    assert reply.headers.get("x-emr-studio-upstream") is None


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "a.b.workspace.localhost", "workspace.localhost"]
)
def test_unknown_hosts_get_404(rig: Rig, host: str) -> None:
    assert raw(rig, "GET / HTTP/1.1", "Cookie: let=in", host=host).status == 404


def test_a_doubled_host_is_refused(rig: Rig) -> None:
    assert raw(rig, "GET / HTTP/1.1", f"Host: {rig.host('localhost')}", "Cookie: let=in").status == 400


def test_the_target_and_not_the_host_header_names_the_host_of_an_absolute_request(rig: Rig, resolver: Resolver) -> None:
    target = f"http://{rig.host('e-other.workspace.localhost')}/x"
    seen = raw(rig, f"GET {target} HTTP/1.1", "Cookie: let=in").json()
    # Question and upstream agree, so what was allowed for one host is not done at another.
    assert resolver.asked[-1].host == rig.host("e-other.workspace.localhost")
    assert values(seen, "host") == [rig.host("e-other.workspace.localhost")]
    assert seen["target"] == "/x"


@pytest.mark.parametrize(
    "target",
    ["/a%2Fb/c%20d?x=%2F&y=a+b", "/a//b", "/a/../b", "/%E2%82%AC", "/a%252Fb", "/a;b=1?c;d", "/?", "/x?a=1&a=2"],
)
def test_paths_reach_question_and_upstream_as_they_were_sent(rig: Rig, resolver: Resolver, target: str) -> None:
    seen = raw(rig, f"GET {target} HTTP/1.1", "Cookie: let=in").json()
    assert seen["target"] == target.removesuffix("?")
    assert resolver.asked[-1].uri.removesuffix("?") == target.removesuffix("?")


def test_the_host_reaches_the_upstream_unchanged(rig: Rig) -> None:
    seen = raw(rig, "GET / HTTP/1.1", "Cookie: let=in").json()
    assert values(seen, "host") == [rig.host(HOST)]


def test_a_refusal_is_handed_on_with_its_headers(rig: Rig) -> None:
    reply = raw(rig, "GET / HTTP/1.1")
    assert (reply.status, reply.body) == (401, b"who are you?")
    assert reply.headers["x-reason"] == "no cookie"


def test_64_mib_stream_through_and_the_question_has_no_body(rig: Rig, resolver: Resolver) -> None:
    chunk, count = b"0123456789abcdef" * 65536, 64
    digest = hashlib.sha256(chunk * count).hexdigest()
    body = (chunk for _ in range(count))
    reply = rig.get("/api/contents/big", HOST, method="PUT", content=body, headers={"Cookie": "let=in"})
    assert reply.json()["length"] == 64 * 1024 * 1024
    assert reply.json()["digest"] == digest
    assert resolver.asked[-1].method == "PUT"


def test_two_framings_of_one_body_are_not_taken_apart(rig: Rig) -> None:
    smuggled = "GET /_edge/s3 HTTP/1.1\r\nHost: x\r\n\r\n"
    body = f"0\r\n\r\n{smuggled}".encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: {rig.host(HOST)}\r\nCookie: let=in\r\nConnection: close\r\n"
        f"Transfer-Encoding: chunked\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    reply = rig.raw(head + body)
    assert reply.status == 400 or reply.json()["length"] == 0


def test_s3_signed_requests_go_to_the_store_without_their_signature(rig: Rig, resolver: Resolver) -> None:
    signed = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host"
    seen = raw(rig, "PUT /b/k HTTP/1.1", signed, "Content-Length: 0", host="localhost").json()
    assert seen["server"] == "upstream"
    assert values(seen, "authorization") == []
    assert values(seen, "x-amz-copy-source") == ["/b/renamed"]
    asked = resolver.asked[-1]
    assert asked.headers["authorization"].startswith("AWS4")
    assert asked.headers["content-length"] == "0"
    assert (asked.method, asked.uri) == ("PUT", "/b/k")


def test_s3_presigned_requests_are_asked_about(rig: Rig, resolver: Resolver) -> None:
    target = "/b/k?X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=1"
    assert raw(rig, f"GET {target} HTTP/1.1", host="localhost").json()["server"] == "upstream"
    assert resolver.asked[-1].uri == target


def test_requests_for_other_services_go_to_the_control_plane(rig: Rig) -> None:
    signed = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/sts/aws4_request"
    seen = raw(rig, "POST / HTTP/1.1", signed, "Content-Length: 0", host="localhost").json()
    assert seen["server"] == "control plane"
    assert values(seen, "authorization") != []


@pytest.mark.parametrize("host", ["localhost", HOST])
def test_no_upgrade_but_websockets_passes(rig: Rig, host: str) -> None:
    upgrade = ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
    lines = ["GET / HTTP/1.1", f"Host: {rig.host(host)}", "Cookie: let=in", *upgrade]
    seen = rig.raw("\r\n".join(lines).encode() + b"\r\n\r\n").json()
    assert values(seen, "upgrade") == []
    assert values(seen, "http2-settings") == []


def test_a_websocket_is_none_where_there_are_none(rig: Rig) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
    lines = ["GET / HTTP/1.1", f"Host: {rig.host('localhost')}", *upgrade]
    seen = rig.raw("\r\n".join(lines).encode() + b"\r\n\r\n").json()
    assert values(seen, "upgrade") == []


def socket_to(rig: Rig, path: str, **headers: str) -> ClientConnection:
    url = f"ws://{rig.host(HOST)}{path}"
    plain = socket.create_connection(("127.0.0.1", rig.settings.port), timeout=60)
    return connect(url, sock=plain, additional_headers=headers, open_timeout=60)


def test_websockets_pass_after_the_question(rig: Rig, resolver: Resolver) -> None:
    with socket_to(rig, "/api/kernels/1/channels", Cookie="let=in") as connection:
        assert "signed-by-us" in str(connection.recv(timeout=60))
        for message in ("text", b"\x00\xff" * 100_000):
            connection.send(message)
            assert connection.recv(timeout=60) == message
    assert resolver.asked[-1].upgrade
    assert resolver.asked[-1].method == "GET"


def test_a_websocket_without_a_session_gets_401(rig: Rig) -> None:
    with pytest.raises(InvalidStatus) as refused, socket_to(rig, "/api/kernels/1/channels"):
        pass
    assert refused.value.response.status_code == 401


def test_a_dead_upstream_is_a_plain_503(rig: Rig, resolver: Resolver, tmp_path: Path) -> None:
    alive, resolver.upstream = resolver.upstream, f"unix/{tmp_path}/gone.sock"
    try:
        reply = raw(rig, "GET / HTTP/1.1", "Cookie: let=in")
    finally:
        resolver.upstream = alive
    assert reply.status == 503
    assert reply.headers["retry-after"] == "1"
    assert b"gone.sock" not in reply.body


def test_many_clients_are_not_mixed_up(rig: Rig) -> None:
    wrong: list[str] = []

    def ask(number: int) -> None:
        for turn in range(5):
            target = f"/{number}/{turn}"
            seen = rig.get(target, HOST, headers={"Cookie": "let=in"}).json()
            if seen["target"] != target:
                wrong.append(target)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_no_method_is_refused_with_its_body(rig: Rig) -> None:
    for _ in range(20):
        lines = f"GETT /x HTTP/1.1\r\nHost: {rig.host('localhost')}\r\nConnection: close\r\nContent-Length: 54\r\n\r\n"
        assert rig.raw(lines.encode() + b"x" * 54).status == 405
