"""Connections to the store (and to the control plane, for what it serves itself) that are kept between requests."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict, deque
from collections.abc import Callable

from emr_studio.lane.sockets import Peer

_MOST_IDLE = 64
"""Per address."""
_IDLE_SECONDS = 3.0
"""Less than the control plane's 5 s: a request must not meet a connection that is being closed."""
_DIAL_SECONDS = 5.0


class Pool:
    """Idle connections by address: `unix//path/s.sock`, `127.0.0.1:port`, or `in/…`, which `enter` connects to."""

    def __init__(self, enter: Callable[[str], socket.socket] | None = None) -> None:
        self._enter = enter
        self._idle: defaultdict[str, deque[tuple[float, Peer]]] = defaultdict(deque)

    def kept(self, address: str) -> Peer | None:
        """A connection that was used before and is still open, if there is one."""
        idle = self._idle[address]
        while idle:
            since, peer = idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS and peer.is_quiet():
                return peer
            peer.close()
        return None

    async def new(self, address: str) -> Peer:
        """Connect.

        Raises:
            OSError: nobody listens there.
        """
        loop = asyncio.get_running_loop()
        if address.startswith("in/") and self._enter is not None:
            sock = await loop.run_in_executor(None, self._enter, address.removeprefix("in/"))
            sock.setblocking(False)
            return Peer(sock)
        if address.startswith("unix/"):
            sock, target = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), address.removeprefix("unix/")
        else:
            host, _, port = address.rpartition(":")
            sock, target = socket.socket(socket.AF_INET, socket.SOCK_STREAM), (host, int(port))  # type: ignore[assignment]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                await loop.sock_connect(sock, target)
        except BaseException:
            sock.close()
            raise
        return Peer(sock)

    def keep(self, address: str, peer: Peer) -> None:
        """Take back a connection whose last answer was read to its end."""
        idle = self._idle[address]
        idle.append((time.monotonic(), peer))
        if len(idle) > _MOST_IDLE:
            idle.popleft()[1].close()

    def close(self) -> None:
        """Close them all."""
        for idle in self._idle.values():
            for _, peer in idle:
                peer.close()
        self._idle.clear()
