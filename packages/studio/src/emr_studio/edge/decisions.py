"""The questions that Caddy asks before it passes a request on, and their answers.

For a request that is not for the control plane itself, Caddy first sends its head (no body) to
`/_edge/<kind>` on the control plane's unix socket. A resolver registered for that kind answers:
200 with the address to dial, or the very response the client shall get (401, 403, a redirect).

    registry = Decisions()
    registry.register("workspace", resolve_workspace)     # app.py does this
    app = registry.serving(app)

What a question says about the client (`X-Forwarded-*`, `X-Emr-Studio-*`) is believed because only
the edge can write to the socket, and the edge strips those headers from what clients send.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

UPSTREAM = "X-Emr-Studio-Upstream"
IDENTITY = "X-Emr-Studio-Identity"
QUESTION = "X-Emr-Studio-Question"
"""Marks a question of the edge; never reaches the control plane from a client."""
REPLACE_PREFIX = "X-Emr-Studio-Set-"
"""`X-Emr-Studio-Set-<Name>` in an answer replaces the request header `<Name>` on its way upstream."""
URI = "X-Emr-Studio-Uri"
"""In an answer: path and query as the upstream shall get them, instead of those sent."""
CHANGES = "X-Emr-Studio-Changes"
"""In an answer: something of the above is in it. Without it the edge need not look for each."""
MISSING = "X-Emr-Studio-Missing"
"""In an answer: if the upstream then says 404, the edge asks `/_edge/<kind>-missing` what the client is told."""
DELETE = "-"
"""As a replacement's value: the header is removed."""
REPLACEABLE = (
    "Authorization",
    "Content-Encoding",
    "Content-Md5",
    "Cookie",
    "Host",
    "X-Amz-Acl",
    "X-Amz-Checksum-Sha256",
    "X-Amz-Content-Sha256",
    "X-Amz-Copy-Source",
    "X-Amz-Date",
    "X-Amz-Decoded-Content-Length",
    "X-Amz-Sdk-Checksum-Algorithm",
    "X-Amz-Security-Token",
    "X-Amz-Server-Side-Encryption",
    "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
    "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled",
    "X-Amz-Tagging",
    "X-Amz-Trailer",
    "X-Aws-Proxy-Auth",
)
"""Request headers that an answer may replace; Caddy needs their names beforehand."""
_UPGRADE = "X-Emr-Studio-Upgrade"
_LENGTH = "X-Emr-Studio-Content-Length"
_TLS = "X-Emr-Studio-Tls"


@dataclass(frozen=True)
class EdgeRequest:
    """A client's request as the edge received it, without its body.

    `uri` is path and query, percent-encoded as sent; `host` the Host header with its port;
    `headers` are the client's own (case-insensitive; `Content-Length` as sent, hop-by-hop headers
    and `Upgrade` gone: see `upgrade`).
    """

    method: str
    uri: str
    host: str
    headers: Headers
    source_ip: str
    upgrade: bool = False
    """True for a websocket handshake: it can be refused with 401 or 403 but never redirected."""
    tls_version: str = ""
    """`1.2` or `1.3`; empty without TLS at this edge."""

    @property
    def path(self) -> str:
        """The percent-encoded path."""
        return self.uri.partition("?")[0]

    @property
    def query(self) -> str:
        """The raw query, without `?`."""
        return self.uri.partition("?")[2]


@dataclass(frozen=True)
class EdgeAnswer:
    """Where the request goes, or what its client gets instead.

    With status 200, `upstream` is dialled (`unix//path/to.sock` or `host:port`), `identity` (a
    token of `edge.identity`, or empty) is added as `X-Emr-Studio-Identity`, `headers` replace
    request headers named in `REPLACEABLE` (`DELETE` removes one), and `uri`, if there is one, stands
    in for path and query. With any other status the client gets `status`, `body`, `content_type` and
    `response_headers` (`Location`, `WWW-Authenticate`).
    """

    status: int = 200
    upstream: str = ""
    identity: str = ""
    uri: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    response_headers: Mapping[str, str] = field(default_factory=dict)
    ask_if_missing: bool = False
    """The upstream's 404 is not for everybody's eyes."""
    final: bool = False
    """The client gets this answer although its status is 2xx (S3's ListBuckets is answered here)."""
    without_versions: bool = False
    """A read from a bucket that never kept versions, as the lane likes to know."""


Resolver = Callable[[EdgeRequest], EdgeAnswer]
"""Synchronous; called in a worker thread."""
QuickResolver = Callable[[EdgeRequest], EdgeAnswer | None]
"""Synchronous; called on the event loop. None: this question is for the thread."""
_PATH = "/_edge/"


class Decisions:
    """The resolvers, by kind (`workspace`, `appui`, `s3`)."""

    def __init__(self) -> None:
        self._resolvers: dict[str, tuple[Resolver, QuickResolver | None]] = {}

    def register(self, kind: str, resolver: Resolver, quick: QuickResolver | None = None) -> None:
        """Let `resolver` answer the questions at `/_edge/<kind>`; `quick`, if there is one, is asked first."""
        self._resolvers[kind] = (resolver, quick)

    def serving(self, app: ASGIApp) -> ASGIApp:
        """Wrap the control plane: the edge's questions are answered here, all else is left to `app`.

        No framework is on this way: it is taken before every request that is not for the control plane.
        """

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            sent = Headers(raw=scope.get("headers", []))
            if scope["type"] != "http" or not scope["path"].startswith(_PATH) or QUESTION not in sent:
                await app(scope, receive, send)
                return
            response = await self._answer(scope["path"].removeprefix(_PATH), sent)
            await response(scope, receive, send)

        return serve

    async def _answer(self, kind: str, sent: Headers) -> Response:
        if kind not in self._resolvers:
            return Response(status_code=404)
        resolver, quick = self._resolvers[kind]
        try:
            asked = question(sent)
            answer = quick(asked) if quick else None
            return _response(await run_in_threadpool(resolver, asked) if answer is None else answer)
        except Exception:
            log.exception("a question about %s failed", kind)
            return Response("The studio could not decide about this request.\n", 503, {"Cache-Control": "no-store"})


def question(sent: Headers) -> EdgeRequest:
    """Read the edge's question from its headers."""
    return EdgeRequest(
        method=sent.get("x-forwarded-method", "GET"),
        uri=sent.get("x-forwarded-uri", "/"),
        host=sent.get("host", ""),
        headers=_client_headers(sent),
        source_ip=sent.get("x-forwarded-for", "").rpartition(",")[2].strip() or "127.0.0.1",
        upgrade=bool(sent.get(_UPGRADE)),
        tls_version=sent.get(_TLS, "").removeprefix("tls"),
    )


_OURS = (b"x-emr-studio-", b"x-forwarded-")


def _client_headers(sent: Headers) -> Headers:
    kept = [(name, value) for name, value in sent.raw if not name.startswith(_OURS)]
    if length := sent.get(_LENGTH):
        kept = [(name, value) for name, value in kept if name != b"content-length"]
        kept.append((b"content-length", length.encode("latin-1")))
    return Headers(raw=kept)


def _response(answer: EdgeAnswer) -> Response:
    headers = {"Cache-Control": "no-store"} | dict(answer.response_headers)
    if answer.status != 200 or answer.final:
        return Response(answer.body, answer.status, headers, answer.content_type)
    if not answer.upstream:
        raise ValueError("a resolver answered 200 without an upstream")
    headers[UPSTREAM] = answer.upstream
    if answer.ask_if_missing:
        headers[MISSING] = "1"
    if answer.identity or answer.uri or answer.headers:
        headers[CHANGES] = "1"
    if answer.identity:
        headers[IDENTITY] = answer.identity
    if answer.uri:
        headers[URI] = answer.uri
    for name, value in answer.headers.items():
        if name.title() not in REPLACEABLE:
            raise ValueError(f"the edge does not replace the header {name}: add it to REPLACEABLE")
        headers[REPLACE_PREFIX + name.title()] = value
    return Response(status_code=200, headers=headers)
