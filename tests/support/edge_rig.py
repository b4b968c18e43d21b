"""A real Caddy between a small control plane and a small upstream, both on unix sockets; the lane before it.

    with edge_rig(folder, {"workspace": resolver}) as rig:
        rig.raw(b"GET / HTTP/1.1\\r\\n...")      # exactly these bytes
        rig.get("/x", host="e-1.workspace.localhost")

Both answer with what reached them, as JSON: `{"server", "method", "target", "headers", "length", "digest"}`.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from emr_studio.edge import caddy
from emr_studio.edge.config import edge_socket
from emr_studio.edge.decisions import Decisions, Resolver
from emr_studio.loopback import certificates, free_port
from emr_studio.settings import Settings
from tests.support.lane_rig import Asking, lane

_SECONDS = 90.0


@dataclass(frozen=True)
class Reply:
    """A response: status, headers (lower case), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Rig:
    """A running edge."""

    settings: Settings
    upstream: str
    """Address of the small upstream, as a resolver answers it."""
    process: subprocess.Popen[bytes]

    def get(self, target: str, host: str, *, method: str = "GET", **arguments: Any) -> httpx.Response:
        """A request by httpx; `host` gets the port."""
        headers = dict(arguments.pop("headers", {})) | {"Host": self.host(host)}
        url = f"http://127.0.0.1:{self.settings.port}{target}"
        return httpx.request(method, url, headers=headers, timeout=_SECONDS, verify=certificates(), **arguments)

    def host(self, name: str) -> str:
        return f"{name}:{self.settings.port}"

    def raw(self, request: bytes) -> Reply:
        """Send these bytes and read one response."""
        with closing(socket.create_connection(("127.0.0.1", self.settings.port), timeout=_SECONDS)) as connection:
            connection.sendall(request)
            file = connection.makefile("rb")
            status = int(file.readline().split()[1])
            headers: dict[str, str] = {}
            while (line := file.readline().strip()) != b"":
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            return Reply(status, headers, file.read(int(headers.get("content-length", "0"))))


def echo(server: str) -> Callable[..., Any]:
    """An ASGI application that answers with what it got; websockets get each message back."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await _echo_websocket(receive, send, scope)
            return
        digest, length, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            length, more = length + len(message.get("body", b"")), message.get("more_body", False)
        body = json.dumps(_seen(server, scope) | {"length": length, "digest": digest.hexdigest()}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _seen(server: str, scope: dict[str, Any]) -> dict[str, Any]:
    query = scope["query_string"].decode()
    return {
        "server": server,
        "method": scope.get("method", ""),
        "target": scope["raw_path"].decode() + (f"?{query}" if query else ""),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
    }


async def _echo_websocket(receive: Any, send: Any, scope: dict[str, Any]) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps(_seen("upstream", scope))})
    while (message := await receive())["type"] == "websocket.receive":
        await send(message | {"type": "websocket.send"})


@contextmanager
def serve_unix(app: Any, path: Path) -> Iterator[None]:
    """Serve an ASGI application on a unix socket, in a thread."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = uvicorn.Config(
        app,
        uds=str(path),
        log_level="error",
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=600,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _wait(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@contextmanager
def edge_rig(
    folder: Path, resolvers: Mapping[str, Resolver], routes: Sequence[BaseRoute] = (), **settings: Any
) -> Iterator[Rig]:
    """Start the three; `routes` come before the control plane's echo."""
    chosen = Settings(data_dir=folder, **({"port": free_port()} | settings))
    decisions = Decisions()
    for kind, resolver in resolvers.items():
        decisions.register(kind, resolver)
    control = decisions.serving(Starlette(routes=[*routes, Mount("/", echo("control plane"))]))
    upstream = chosen.run_dir / "u.sock"
    with ExitStack() as stack:
        stack.enter_context(serve_unix(control, chosen.api_socket))
        stack.enter_context(serve_unix(echo("upstream"), upstream))
        process = stack.enter_context(_caddy(chosen))
        if chosen.has_lane:
            stack.enter_context(lane(chosen, Asking(resolvers)))
        yield Rig(chosen, f"unix/{upstream}", process)


@contextmanager
def _caddy(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    caddy.write_config(settings)
    log = settings.data_dir / "edge.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            caddy.command(settings), env=caddy.environment(settings), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait(lambda: _listens(settings), lambda: process.poll() is not None)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait(done: Callable[[], bool], failed: Callable[[], bool] = lambda: False) -> None:
    deadline = time.monotonic() + _SECONDS
    while not done():
        if failed() or time.monotonic() > deadline:
            raise RuntimeError("a part of the edge rig did not start")
        threading.Event().wait(0.01)


def _listens(settings: Settings) -> bool:
    if settings.has_lane:
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            return probe.connect_ex(str(edge_socket(settings))) == 0
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", settings.port)) == 0
