"""The questions' answers as Caddy reads them."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from emr_studio.edge.decisions import DELETE, Decisions, EdgeAnswer, EdgeRequest, Resolver

QUESTION = {"X-Emr-Studio-Question": "1", "X-Forwarded-Uri": "/a%2Fb?c", "X-Forwarded-Method": "PUT"}


async def ask(resolver: Resolver, headers: dict[str, str] | None = None, kind: str = "s3") -> httpx.Response:
    decisions = Decisions()
    decisions.register("s3", resolver)
    transport = httpx.ASGITransport(decisions.serving(Starlette()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(f"/_edge/{kind}", headers=QUESTION if headers is None else headers)


async def test_a_yes_carries_address_identity_and_replacements() -> None:
    changes = {"x-amz-copy-source": "/b/k", "Cookie": DELETE}
    reply = await ask(lambda _request: EdgeAnswer(upstream="127.0.0.1:1", identity="jwt", headers=changes))
    assert reply.status_code == 200
    assert reply.headers["x-emr-studio-upstream"] == "127.0.0.1:1"
    assert reply.headers["x-emr-studio-identity"] == "jwt"
    assert reply.headers["x-emr-studio-set-x-amz-copy-source"] == "/b/k"
    assert reply.headers["x-emr-studio-set-cookie"] == "-"


async def test_the_resolver_sees_the_clients_own_request() -> None:
    seen: list[EdgeRequest] = []

    def resolver(request: EdgeRequest) -> EdgeAnswer:
        seen.append(request)
        return EdgeAnswer(403, body=b"no")

    extra = {"X-Emr-Studio-Content-Length": "7", "X-Forwarded-For": "10.0.0.1", "Range": "bytes=0-1"}
    reply = await ask(resolver, QUESTION | extra)
    assert (reply.status_code, reply.content) == (403, b"no")
    (request,) = seen
    assert (request.method, request.uri, request.path, request.query) == ("PUT", "/a%2Fb?c", "/a%2Fb", "c")
    assert (request.source_ip, request.upgrade) == ("10.0.0.1", False)
    assert request.headers["content-length"] == "7"
    assert request.headers["range"] == "bytes=0-1"
    assert not [name for name in request.headers if name.startswith(("x-emr-studio", "x-forwarded"))]


@pytest.mark.parametrize(("kind", "headers"), [("s3", {}), ("unknown", QUESTION)])
async def test_only_the_edge_is_answered(kind: str, headers: dict[str, str]) -> None:
    reply = await ask(lambda _request: EdgeAnswer(upstream="127.0.0.1:1"), headers, kind)
    assert reply.status_code == 404


@pytest.mark.parametrize("answer", [EdgeAnswer(), EdgeAnswer(upstream="h:1", headers={"Via": "x"}), None])
async def test_a_resolver_that_fails_is_a_503_and_never_a_yes(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        reply = await ask(lambda _request: answer)
    assert reply.status_code == 503
    assert "upstream" not in reply.text
