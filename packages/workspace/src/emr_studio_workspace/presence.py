"""Who has this Workspace open is asked for again: a websocket lives long, and its user may have been removed.

Every few seconds the control plane (`signin/presence.py` in the studio) is asked about the identity tokens
with which the open websockets began; those of which it says no are cut. While it does not answer they stay.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from tornado.httputil import HTTPServerRequest

_PATH = "/_workspace/presence"
_SECONDS = 10
_AT_ONCE = 100
_log = logging.getLogger(__name__)


class Presence:
    """The open websockets of this server. `relay` is the way to the edge."""

    def __init__(self, relay: Path) -> None:
        self._relay = relay
        self._streams: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def opened(self, request: HTTPServerRequest, token: str) -> None:
        """Remember the request if it opens a websocket."""
        stream = getattr(request.connection, "stream", None)
        if stream is not None and request.headers.get("Upgrade", "").lower() == "websocket":
            self._streams[stream] = token

    async def look(self) -> None:
        """Ask about all, and cut those that may not stay."""
        tokens = sorted({token for stream, token in self._streams.items() if not stream.closed()})
        refused: set[str] = set()
        for start in range(0, len(tokens), _AT_ONCE):
            some = tokens[start : start + _AT_ONCE]
            refused |= {token for token, stays in zip(some, await self._ask(some), strict=False) if stays is False}
        for stream, token in list(self._streams.items()):
            if token in refused:
                _log.warning("A websocket is closed: its user may no longer be here")
                stream.close()

    async def _ask(self, tokens: list[str]) -> list[Any]:
        """What the control plane says of each; nothing if it does not answer."""
        with suppress(OSError, ValueError, IndexError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                head, _, body = (await self._post(json.dumps(tokens).encode())).partition(b"\r\n\r\n")
            answer = json.loads(body)
            if head.split(b" ", 2)[1] == b"200" and isinstance(answer, list):
                return answer
        return []

    async def _post(self, body: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._relay)
        try:
            lines = [f"POST {_PATH} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(body)}"]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            return await reader.read(-1)
        finally:
            writer.close()
