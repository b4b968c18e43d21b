"""The way to what is not ours: a cluster from outside (`clusters/outside/`).

`python -I -S door.py FOLDER`, with `door.json` in the folder. It listens where the program of one of our own
clusters would that it stands for, which `kind` says (`runtime/far.py`):

    JUPYTER_GATEWAY   asks for the cluster's token and passes each request on to the outside's URL with the outside's
                      credentials: no Workspace ever has those. Only kernels pass, nothing else of a Jupyter server
    LIVY              the same for Livy's sessions; at its end it ends those that kernels of the cluster have made
    SPARK_CONNECT     passes connections on as they are (HTTP/2 without TLS here, with it there if the URL says so);
                      the kernels, which are Spark's clients, have the token

It looks up the name at each connection and dials the very address that it has checked. Never dialled, whatever a
name says: this machine's own addresses, link-local ones, metadata services (`egress.py`); but for those that the
installation's administrator has listed (`outside_local_targets`).

Every few seconds it asks the outside whether it serves. `GET /_health` says how that went:

    {"code": "", "message": ""}    it answers as it should; else `code` is one of `Trouble`, `message` a sentence
    503                            it was not asked yet

Standard library only, so that it is small and starts at once.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import os
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if __name__ == "__main__":
    # Run as a plain file: the package is found by its place.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from emr_studio.runtime import egress, far
from emr_studio.runtime.relay import pipe

CONFIG_FILE = "door.json"
HEALTH = "/_health"
UNREACHABLE, REFUSED, FORBIDDEN = "UNREACHABLE", "CREDENTIALS_REFUSED", "ADDRESS_FORBIDDEN"
"""Codes of `Trouble`, with those of `far.Kind`."""
# Of a client's own: what it proves itself with here, and what another server would judge it by.
_DROPPED = ("host", "authorization", "cookie", "origin", "referer", "forwarded")
_DROPPED_PREFIXES = ("x-forwarded-", "proxy-", "x-emr-studio-")
_HEAD_BYTES = 65_536
_HEAD_SECONDS = 30.0
_DIAL_SECONDS = 10.0
_HEALTH_SECONDS = 10.0
_HEALTH_BYTES = 4 * 1024 * 1024
_MOST_CONNECTIONS = 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Trouble(Exception):
    """The outside does not serve; `code` says in which way, the text is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Door:
    """What `door.json` says."""

    listen: str
    """`host:port`."""
    token: str
    """What clients here prove themselves with."""
    url: str
    """The outside's, with its base path."""
    kind: str = "JUPYTER_GATEWAY"
    """What it leads to: a name of `far.KINDS`."""
    authorization: str = ""
    """The header of that name for the outside; empty: it asks for none."""
    local_targets: Sequence[str] = ()
    """`host:port` of this machine's own addresses that may be dialled."""
    look_seconds: float = 5.0
    """How often the outside is asked whether it serves."""
    last_seconds: float = 4.0
    """How long it serves after it was told to end."""
    authorities: str = ""
    """PEM of certificate authorities that are trusted beside the system's."""
    mark: str = ""
    """How the names of Livy sessions begin that are ended with the door."""

    def trust(self) -> ssl.SSLContext:
        """How the outside's certificate is judged."""
        context = ssl.create_default_context()
        if self.far.is_http2:
            context.set_alpn_protocols(["h2"])
        if self.authorities:
            context.load_verify_locations(cadata=self.authorities)
        return context

    @property
    def far(self) -> far.Kind:
        """What it leads to."""
        return far.KINDS[self.kind]

    @property
    def host(self) -> str:
        """Name or address of the outside."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def base(self) -> str:
        """What stands before `/api` in its paths."""
        return urlsplit(self.url).path.rstrip("/")


def check(text: str, port: int, local_targets: Sequence[str]) -> egress.Address:
    """The address, if it may be dialled.

    Raises:
        Trouble: ADDRESS_FORBIDDEN.
    """
    address = egress.plain(ipaddress.ip_address(text.partition("%")[0]))
    if egress.is_forbidden(address) and f"{address}:{port}" not in local_targets:
        raise Trouble(
            FORBIDDEN,
            f"{address} is an address of this machine or its surroundings. An administrator of the installation can "
            f"allow it: {address}:{port} in the setting outside_local_targets.",
        )
    return address


async def dial(door: Door) -> Streams:
    """A connection to the outside.

    Raises:
        Trouble: there is none.
    """
    try:
        async with asyncio.timeout(_DIAL_SECONDS):
            found = await egress.resolved(door.host, door.port)
            # One bad address among them spoils the name: it was made to lead somewhere.
            addresses = [check(text, door.port, door.local_targets) for text in found]
            return await _first(door, addresses)
    except TimeoutError as error:
        raise Trouble(UNREACHABLE, f"{door.host} does not answer at port {door.port}: timed out.") from error
    except ssl.SSLCertVerificationError as error:
        raise Trouble(
            UNREACHABLE, f"The certificate of {door.host} is not to be trusted: {error.verify_message}."
        ) from error
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        why = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise Trouble(UNREACHABLE, f"{door.host} does not answer at port {door.port}: {why}.") from error


async def _first(door: Door, addresses: Sequence[egress.Address]) -> Streams:
    secure: dict[str, Any] = (
        {"ssl": door.trust(), "server_hostname": door.host} if door.url.startswith("https:") else {}
    )
    last: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(str(address), door.port, limit=_HEAD_BYTES, **secure)
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            last = error
    raise last


@dataclass(frozen=True)
class Asked:
    """The head of a request."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]

    def header(self, name: str) -> str:
        """The first header of that name (in lower case); empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def is_preface(self) -> bool:
        """Whether HTTP/2 begins here."""
        return self.method == far.PREFACE_METHOD

    @property
    def is_upgrade(self) -> bool:
        """Whether it becomes a websocket."""
        return self.header("upgrade").lower() == "websocket"


def parse(head: bytes) -> Asked:
    """The request of these lines.

    Raises:
        ValueError: it is none.
    """
    first, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, path, version = first.split(" ")
    if first == far.PREFACE_LINE:
        return Asked(method, path, [])
    if version not in ("HTTP/1.1", "HTTP/1.0") or not path.startswith("/"):
        raise ValueError(first)
    headers = []
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise ValueError(line)
        headers.append((name, value.strip()))
    # Two ways to say where it ends: proxies on the way might disagree on it.
    lengths = [name for name, _ in headers if name.lower() in ("content-length", "transfer-encoding")]
    if len(lengths) > 1:
        raise ValueError(lengths)
    return Asked(method, path, headers)


def rewritten(door: Door, asked: Asked) -> bytes:
    """The head as the outside gets it: one request a connection, with the outside's credentials."""
    named = f"[{door.host}]" if ":" in door.host else door.host
    lines = [f"{asked.method} {door.base}{asked.path} HTTP/1.1", f"Host: {named}:{door.port}"]
    if door.authorization:
        lines.append(f"Authorization: {door.authorization}")
    for name, value in asked.headers:
        lower = name.lower()
        if lower in _DROPPED or lower.startswith(_DROPPED_PREFIXES):
            continue
        if lower in ("connection", "keep-alive") and not asked.is_upgrade:
            continue
        lines.append(f"{name}: {value}")
    if not asked.is_upgrade:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Server:
    """Serves one door."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._health: Mapping[str, str] = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve until told to stop, and a little longer: Workspaces then end their kernels."""
        host, _, port = self._door.listen.rpartition(":")
        server = await asyncio.start_server(self._accept, host.strip("[]"), int(port), limit=_HEAD_BYTES)
        looking = asyncio.create_task(self._look())
        await stopped.wait()
        looking.cancel()
        await asyncio.gather(asyncio.sleep(self._door.last_seconds), self._end_sessions())
        server.close()
        for task in list(self._connections):
            task.cancel()

    async def _end_sessions(self) -> None:
        """Nothing goes on elsewhere that was begun from here, whatever has become of its kernel."""
        if self._door.mark:
            with suppress(Trouble, OSError, TimeoutError, ValueError):
                async with asyncio.timeout(self._door.last_seconds):
                    await far.end_sessions(lambda method, path: ask(self._door, method, path), self._door.mark)

    async def _look(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_HEALTH_SECONDS):
                    await look(self._door)
                self._health = {"code": "", "message": ""}
            except Trouble as trouble:
                self._health = {"code": trouble.code, "message": str(trouble)}
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                text = f"{self._door.host} does not answer as {self._door.far.name} does: {error or 'timed out'}."
                self._health = {"code": UNREACHABLE, "message": text}
            await asyncio.sleep(self._door.look_seconds)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                asked = parse(await reader.readuntil(b"\r\n\r\n"))
        except (ValueError, asyncio.LimitOverrunError):
            return await _answer(writer, 400, {"message": "This is no request."})
        if self._door.far.is_http2 and asked.is_preface:
            return await self._pass(reader, writer, far.PREFACE)
        if not self._proves_itself(asked):
            return await _answer(writer, 401, {"message": "The token is not valid."})
        if asked.path == HEALTH:
            return await _answer(writer, 200 if self._health else 503, self._health)
        if not self._door.far.lets_pass(asked.path):
            return await _answer(writer, 404, {"message": f"Only {self._door.far.passes} are reached here."})
        return await self._pass(reader, writer, rewritten(self._door, asked))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        try:
            far_reader, far_writer = await dial(self._door)
        except Trouble as trouble:
            return await _answer(writer, 503, {"message": str(trouble), "reason": trouble.code})
        far_writer.write(head)
        return await pipe(reader, writer, far_reader, far_writer)

    def _proves_itself(self, asked: Asked) -> bool:
        given = asked.header("authorization").partition(" ")[2].strip()
        return hmac.compare_digest(given.encode(), self._door.token.encode())


async def look(door: Door) -> None:
    """Ask the outside whether it serves.

    Raises:
        Trouble: it does not answer, refuses the credentials, or answers something else.
    """
    kind = door.far
    if kind.is_http2:
        reader, writer = await dial(door)
        try:
            writer.write(far.GREETING)
            if not far.is_http2(await reader.readexactly(far.FRAME_HEAD)):
                raise Trouble(kind.code, f"{door.host} does not speak HTTP/2, as {kind.name} does.")
        finally:
            writer.close()
        return
    status, body = await ask(door, "GET", kind.question)
    if status in (401, 403):
        raise Trouble(REFUSED, f"{door.host} refuses the credentials (HTTP {status}).")
    if status != 200 or kind.mark not in body:
        raise Trouble(kind.code, f"{door.host} does not answer as {kind.name} does (HTTP {status}).")


async def ask(door: Door, method: str, path: str) -> tuple[int, bytes]:
    """Status and body of an answer of the outside's.

    Raises:
        Trouble: it does not answer.
    """
    reader, writer = await dial(door)
    try:
        headers = [("Accept", "application/json"), ("X-Requested-By", "emr-studio")]
        writer.write(rewritten(door, Asked(method, path, headers)))
        answer = await _whole(door, reader)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    chunked = b"transfer-encoding: chunked" in head.lower()
    return int(head.split(b" ", 2)[1]), far.joined(body) if chunked else body


async def _whole(door: Door, reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while size < _HEALTH_BYTES and (piece := await reader.read(65_536)):
        pieces.append(piece)
        size += len(piece)
    answer = b"".join(pieces)
    if not answer.startswith(b"HTTP/1."):
        raise Trouble(door.far.code, "It does not speak HTTP.")
    return answer


async def _answer(writer: asyncio.StreamWriter, status: int, content: Mapping[str, str]) -> None:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    with suppress(OSError):
        await writer.drain()


async def _run(door: Door) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await Server(door).run(stopped)


def main(arguments: Sequence[str]) -> int:
    """Entry point."""
    values = json.loads((Path(arguments[0]) / CONFIG_FILE).read_text())
    asyncio.run(_run(Door(**values)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
