"""Ports of the Workspace's own loopback that lead through a relay's socket: what has no network dials them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PIECE = 1 << 16


def listen() -> socket.socket:
    """A port of the Workspace's own loopback."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def url(listener: socket.socket) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Door:
    """One port. All that comes in goes to `relay`, a unix socket."""

    relay: Path
    listener: socket.socket = field(default_factory=listen)

    async def open(self) -> asyncio.Server:
        """Serve; call it in the server's loop and keep what it returns."""
        return await asyncio.start_server(self._pass_on, sock=self.listener)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_unix_connection(self.relay)
            with suppress(OSError):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            far_writer.close()
        writer.close()


class WayOut(Door):
    """The proxy outside, for Git and all else that heeds these variables."""

    def environment(self) -> dict[str, str]:
        """What programs look for. Only TLS goes out, so there is no `http_proxy`."""
        proxy, own = url(self.listener), "127.0.0.1,localhost,::1"
        return {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": own, "no_proxy": own}


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
