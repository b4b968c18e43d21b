"""What a door (`door.py`) may lead to: how each kind is asked whether it serves, and what of it is reached.

Standard library only, as the door.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PREFACE_LINE = "PRI * HTTP/2.0"
PREFACE_METHOD = "PRI"
PREFACE = f"{PREFACE_LINE}\r\n\r\n".encode()
"""How a connection of HTTP/2 begins (RFC 9113, 3.4); `SM` and the frames follow."""
GREETING = PREFACE + b"SM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""A client's, with an empty frame of SETTINGS."""
FRAME_HEAD = 9
"""Octets of a frame's head: length (3), type, flags, stream (4)."""
_SETTINGS_FRAME = 4
_TRAVERSAL = re.compile(r"(?i)(?:^|/|%2f)(?:\.|%2e){1,2}(?:/|%2f|$|\?)|\\|%5c")
_PAGE = 1000


@dataclass(frozen=True)
class Kind:
    """One of them."""

    name: str
    """In a sentence."""
    code: str
    """Of the trouble that something else answers there."""
    passes: str = ""
    """What is reached, in a sentence."""
    paths: str = r"(?!)"
    """An expression for the paths that are reached; nothing unless it is given."""
    question: str = ""
    """The path that is asked to see whether it serves."""
    mark: bytes = b""
    """What the answer has."""
    is_http2: bool = False

    def lets_pass(self, path: str) -> bool:
        """Whether a request for that path is passed on."""
        return bool(re.match(self.paths, path)) and not _TRAVERSAL.search(path.partition("?")[0])


KINDS = {
    "JUPYTER_GATEWAY": Kind(
        name="a kernel gateway",
        code="NO_GATEWAY",
        passes="kernels",
        paths=r"/(?:api/(?:kernels|kernelspecs)|kernelspecs)(?:[/?]|$)",
        question="/api/kernelspecs",
        mark=b'"kernelspecs"',
    ),
    "LIVY": Kind(
        name="Livy",
        code="NO_LIVY",
        passes="sessions",
        paths=r"/sessions(?:[/?]|$)",
        question="/sessions?size=1",
        mark=b'"sessions"',
    ),
    "SPARK_CONNECT": Kind(name="Spark Connect", code="NO_SPARK_CONNECT", passes="Spark's own calls", is_http2=True),
}
Ask = Callable[[str, str], Awaitable[tuple[int, bytes]]]
"""Method and path to status and body."""


def joined(body: bytes) -> bytes:
    """A body that was sent in chunks (RFC 9112, 7.1).

    >>> joined(b"3\\r\\nabc\\r\\n1\\r\\nd\\r\\n0\\r\\n\\r\\n")
    b'abcd'

    Raises:
        ValueError: it was not.
    """
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole


def is_http2(head: bytes) -> bool:
    """Whether the head of the first frame that a server sends is one of HTTP/2: SETTINGS, of stream 0."""
    return head[3] == _SETTINGS_FRAME and head[5:] == bytes(4)


async def end_sessions(ask: Ask, mark: str) -> None:
    """End all sessions of a Livy whose names begin with `mark`.

    Raises:
        ValueError: it does not answer as Livy does.
    """
    _, body = await ask("GET", f"/sessions?from=0&size={_PAGE}")
    found = json.loads(body)
    for one in found.get("sessions", []) if isinstance(found, dict) else []:
        if str(one.get("name") or "").startswith(mark):
            await ask("DELETE", f"/sessions/{int(one['id'])}")
