"""A store and an edge that speak in bytes, and somebody who decides: what the lane has around it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from emr_studio.edge.config import edge_socket
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.lane.straight import Inside
from emr_studio.loopback import free_port
from emr_studio.settings import Settings
from tests.support.lane_rig import lane

SIGNED = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261126/us-east-1/s3/aws4_request, Signature=0"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: weed\r\nSeaweed-X-Amz-Owner: me\r\nETag: x\r\n\r\nok"


@dataclass
class Backend:
    """Listens on a unix socket; `answer` says what comes back to a request, None closes the connection."""

    path: Path
    answer: Callable[[bytes, bytes], bytes | None] = lambda _head, _body: OK
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    refuses: bytes = b""
    """Said instead of reading a body; then the connection ends."""
    torn: threading.Event = field(default_factory=threading.Event)
    """Set when a connection ended in the middle of a body."""
    cut: threading.Event = field(default_factory=threading.Event)
    """Set when a connection ended in the middle of an answer."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Until the end of the block."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            accepting.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)  # ends the accept that waits
                accepting.join()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A lane that gives the connection up may do it with a reset.
        with closing(connection), closing(connection.makefile("rb")) as file, suppress(ConnectionError):
            while head := self._head(file):
                if self.refuses:
                    connection.sendall(self.refuses)
                    return
                length = re.search(rb"(?i)content-length: (\d+)", head)
                wanted = int(length[1]) if length else 0
                body = file.read(wanted)
                if len(body) < wanted:
                    self.torn.set()
                    return
                self.heads.append(head)
                self.bodies.append(body)
                said = self.answer(head, body)
                if said is None:
                    return
                try:
                    connection.sendall(said)
                except ConnectionError:
                    self.cut.set()
                    return

    def _head(self, file: BinaryIO) -> bytes:
        """The lines before the empty one; nothing if the connection has ended."""
        lines: list[bytes] = []
        while (line := file.readline()) != b"\r\n":
            if not line:
                return b""
            lines.append(line)
        return b"".join(lines)


class Deciding:
    """Lets all pass that is not below `/lake/no`."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.asked: list[EdgeRequest] = []

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        self.asked.append(asked)
        if asked.path.startswith("/lake/no"):
            return EdgeAnswer(403, body=b"<Error/>", content_type="application/xml")
        if asked.path == "/lake/slow":
            return None
        return EdgeAnswer(upstream=self.store, headers={"X-Amz-Acl": "-", "X-Amz-Tagging": "a=b"}, ask_if_missing=True)

    def __call__(self, asked: EdgeRequest) -> EdgeAnswer:
        return EdgeAnswer(upstream=self.store, uri="/lake/slowly?x-id=S3", identity="s3.ticket")

    def missing(self, asked: EdgeRequest) -> EdgeAnswer:
        return EdgeAnswer(403, body=b"<Hidden/>", content_type="application/xml")

    def missing_quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        return None


@dataclass
class Rig:
    port: int
    store: Backend
    edge: Backend
    deciding: Deciding

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@contextmanager
def lane_between(
    folder: Path,
    decides: Callable[[Backend], Deciding] | None = None,
    inside: Callable[[], Inside | None] = lambda: None,
) -> Iterator[Rig]:
    """A lane with a store and an edge behind it."""
    settings = Settings(data_dir=folder, port=free_port())
    store, edge = Backend(settings.run_dir / "store.sock"), Backend(edge_socket(settings))
    deciding = decides(store) if decides else Deciding(f"unix/{store.path}")
    with store.listening(), edge.listening(), lane(settings, deciding, inside):
        yield Rig(settings.port, store, edge, deciding)


def request(line: str, *lines: str, body: bytes = b"", signed: bool = True) -> bytes:
    """A request as a client sends it."""
    more = [SIGNED] if signed else []
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *more, *lines, "", ""]).encode() + body


def reply(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    # Unbuffered: what comes behind belongs to the next reply.
    with closing(connection.makefile("rb", buffering=0)) as file:
        status, headers = int(file.readline().split()[1]), {}
        while line := file.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body, length = b"", int(headers.get("content-length", "0"))
        while len(body) < length:
            body += file.read(length - len(body)) or pytest.fail("the reply was cut off")
        return status, headers, body
