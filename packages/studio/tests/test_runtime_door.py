"""The way to a kernel gateway from outside, as a process of its own, before a small server that notes what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

from emr_studio.loopback import free_port
from emr_studio.runtime import door
from emr_studio.runtime import far as far_kinds
from tests.support.studio import until

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""A frame of HTTP/2."""
TOKEN = {"Authorization": "token ours"}


class Outside:
    """Answers every request with its head, as JSON; and as a gateway that knows its token."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.status = 200
        self.speaks_http2 = False
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if head.encode() == far_kinds.PREFACE and self.speaks_http2:
            await reader.readexactly(len(b"SM\r\n\r\n"))
            writer.write(SETTINGS)
            while piece := await reader.read(100):
                writer.write(piece.upper())
        elif "upgrade: websocket" in head.lower():
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            while piece := await reader.read(100):
                writer.write(piece.upper())
        else:
            livy = [{"id": 3, "name": "ours-1"}, {"id": 4, "name": "theirs"}, {"id": 5, "name": None}]
            body = json.dumps({"kernelspecs": {}, "sessions": livy, "head": head}).encode()
            writer.write(f"HTTP/1.1 {self.status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


@contextlib.asynccontextmanager
async def outside(secure: ssl.SSLContext | None = None) -> AsyncIterator[Outside]:
    found = Outside()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=secure)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
        # The door has ended: nothing more comes, and what came ends.
        await asyncio.gather(*found.tasks, return_exceptions=True)


@contextlib.contextmanager
def process(tmp_path: Path, url: str, *local: str, authorities: str = "", **more: Any) -> Iterator[str]:
    """A door to `url`; its own URL."""
    address = f"127.0.0.1:{free_port()}"
    told: dict[str, Any] = {
        "listen": address,
        "token": "ours",
        "url": url,
        "authorization": "token theirs",
        "local_targets": local,
    }
    told |= {"look_seconds": 0.1, "last_seconds": 0.0, "authorities": authorities, **more}
    (tmp_path / door.CONFIG_FILE).write_text(json.dumps(told))
    started = subprocess.Popen([sys.executable, "-I", "-S", str(door.__file__), str(tmp_path)])
    try:
        until("the door listens", lambda: _listens(address))
        yield f"http://{address}"
    finally:
        started.terminate()
        started.wait(120)


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


async def get(url: str, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(url, headers=headers)


async def health(url: str, code: str) -> dict[str, str]:
    """What it says once its code is this one."""
    async with asyncio.timeout(120):
        while True:
            answer = await get(url + door.HEALTH, TOKEN)
            if answer.status_code == 200 and answer.json()["code"] == code:
                return dict(answer.json())
            await asyncio.sleep(0.05)


def test_the_outside_gets_its_own_credentials_and_nothing_of_ours(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            with process(tmp_path, f"http://127.0.0.1:{far.port}/base", f"127.0.0.1:{far.port}") as url:
                await health(url, "")
                theirs = {"Cookie": "c=1", "Origin": "http://e", "X-Forwarded-For": "1", "X-EMR-Studio-User": "u"}
                answer = await get(f"{url}/api/kernels?a=b", TOKEN | theirs | {"X-Own": "kept"})
                head = answer.json()["head"].lower()
        lines = head.strip().split("\r\n")
        assert lines[0] == "get /base/api/kernels?a=b http/1.1"
        assert {"authorization: token theirs", "x-own: kept", "connection: close"} <= set(lines)
        assert not [line for line in lines if line.startswith(("cookie", "origin", "x-forwarded", "x-emr"))]
        assert "ours" not in head

    asyncio.run(play())


def test_who_has_no_token_or_wants_something_else_gets_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            with process(tmp_path, f"http://127.0.0.1:{far.port}", f"127.0.0.1:{far.port}") as url:
                await health(url, "")
                asked = len([head for head in far.heads if "kernelspecs" not in head])
                for headers in ({}, {"Authorization": "token theirs"}, {"Authorization": "token"}):
                    assert (await get(f"{url}/api/kernels", headers)).status_code == 401
                    assert (await get(url + door.HEALTH, headers)).status_code == 401
                paths = (
                    "/",
                    "/api/contents",
                    "/api/kernelsx",
                    "/api/kernels/%2e%2e/contents",
                    "/api/kernels/..%2fcontents",
                )
                for path in (*paths, "/api/sessions", "/terminals/websocket/1"):
                    assert (await get(url + path, TOKEN)).status_code == 404, path
                assert len([head for head in far.heads if "kernelspecs" not in head]) == asked

    asyncio.run(play())


def test_websockets_pass(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            with process(tmp_path, f"http://127.0.0.1:{far.port}", f"127.0.0.1:{far.port}") as url:
                reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                head = "GET /api/kernels/k/channels HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                writer.write(f"{head}Authorization: token ours\r\n\r\n".encode())
                assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"HELLO"
                writer.close()

    asyncio.run(play())


def test_health_is_typed(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            with process(tmp_path, f"http://127.0.0.1:{far.port}", f"127.0.0.1:{far.port}") as url:
                far.status = 401
                assert "refuses the credentials" in (await health(url, door.REFUSED))["message"]
                far.status = 500
                await health(url, "NO_GATEWAY")
                far.status = 200
                await health(url, "")

    asyncio.run(play())


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context for `localhost`, and the authority (itself) that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1)
    )
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = made.sign(key, SHA256()).public_bytes(Encoding.PEM)
    (folder / "own.pem").write_bytes(
        pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    return context, pem.decode()


def test_tls_is_checked(tmp_path: Path) -> None:
    async def play() -> None:
        secure, authority = certificate(tmp_path)
        async with outside(secure) as far:
            # The name may be of either address.
            local = (f"127.0.0.1:{far.port}", f"::1:{far.port}")
            with process(tmp_path, f"https://localhost:{far.port}", *local) as url:
                assert "is not to be trusted" in (await health(url, door.UNREACHABLE))["message"]
            assert far.heads == []
            with process(tmp_path, f"https://localhost:{far.port}", *local, authorities=authority) as url:
                await health(url, "")
                answer = await get(f"{url}/api/kernels", TOKEN)
                assert "authorization: token theirs" in answer.json()["head"].lower()

    asyncio.run(play())


def test_one_that_is_away_says_so(tmp_path: Path) -> None:
    async def play() -> None:
        port = free_port()
        with process(tmp_path, f"http://127.0.0.1:{port}", f"127.0.0.1:{port}") as url:
            assert "Connection refused" in (await health(url, door.UNREACHABLE))["message"]
            answer = await get(f"{url}/api/kernels", TOKEN)
            assert (answer.status_code, answer.json()["reason"]) == (503, door.UNREACHABLE)

    asyncio.run(play())


def test_this_machine_is_never_dialled(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            with process(tmp_path, f"http://localhost:{far.port}") as url:
                assert "outside_local_targets" in (await health(url, door.FORBIDDEN))["message"]
                assert (await get(f"{url}/api/kernels", TOKEN)).json()["reason"] == door.FORBIDDEN
            assert far.heads == []

    asyncio.run(play())


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET a HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad line\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
        b"GET / HTTP/1.1\r\n : d\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_no_requests(head: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        door.parse(head)


def test_livys_sessions_pass_and_those_of_ours_end_with_the_door(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            where = f"127.0.0.1:{far.port}"
            with contextlib.ExitStack() as stack:
                told: dict[str, Any] = {"kind": "LIVY", "mark": "ours-", "last_seconds": 5.0}
                url = stack.enter_context(process(tmp_path, f"http://{where}", where, **told))
                await health(url, "")
                head = (await get(f"{url}/sessions/1/statements", TOKEN)).json()["head"]
                assert "authorization: token theirs" in head.lower()
                for path in ("/batches", "/sessionsx", "/sessions/..%2fbatches", "/api/kernels"):
                    assert (await get(url + path, TOKEN)).status_code == 404, path
                # The outside goes on while the door ends.
                await asyncio.to_thread(stack.pop_all().close)
            ended = [head.split(" ")[1] for head in far.heads if head.startswith("DELETE")]
            assert ended == ["/sessions/3"]

    asyncio.run(play())


def test_spark_connect_passes_as_it_is(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            far.speaks_http2 = True
            where = f"127.0.0.1:{far.port}"
            with process(tmp_path, f"http://{where}", where, kind="SPARK_CONNECT") as url:
                await health(url, "")
                assert (await get(f"{url}/sessions", TOKEN)).status_code == 404
                reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                writer.write(far_kinds.PREFACE + b"SM\r\n\r\nhello")
                assert await reader.readexactly(len(SETTINGS) + 5) == SETTINGS + b"HELLO"
                writer.close()

    asyncio.run(play())


def test_what_is_no_spark_connect_is_told(tmp_path: Path) -> None:
    async def play() -> None:
        async with outside() as far:
            with process(
                tmp_path, f"http://127.0.0.1:{far.port}", f"127.0.0.1:{far.port}", kind="SPARK_CONNECT"
            ) as url:
                assert "HTTP/2" in (await health(url, "NO_SPARK_CONNECT"))["message"]

    asyncio.run(play())


def test_chunks_are_joined() -> None:
    assert far_kinds.joined(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == b"abcde"
    with pytest.raises(ValueError, match="invalid literal"):
        far_kinds.joined(b"no chunks")
