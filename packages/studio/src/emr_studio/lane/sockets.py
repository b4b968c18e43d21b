"""Sockets on an event loop, without streams between: what is read is sent on at once, or never comes to Python.

A peer that goes away raises ConnectionError.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from contextlib import suppress

_PIPE_BYTES = 1 << 20
"""Most that an unprivileged user may have (`/proc/sys/fs/pipe-max-size`)."""
_PIECE = 64 * 1024
FIRST = 16 * 1024
"""Of an answer: its head and a small body. What is more need not come to Python."""


class Gone(ConnectionError):
    """The peer closed its side before all was there."""


class Peer:
    """A non-blocking socket on the running loop. One task at a time reads from it, one writes to it.

    The loop goes on watching it between two waits: to begin and to end a watch takes more system calls than all
    the rest of a small request.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._fd = sock.fileno()
        self._is_watched = False
        self._ready: asyncio.Future[None] | None = None

    async def receive(self, most: int = _PIECE) -> bytes:
        """Some bytes, at once if some are there; empty at the end."""
        while True:
            try:
                return self.sock.recv(most)
            except BlockingIOError:
                await self.readable()

    async def answered(self, most: int = FIRST) -> bytes:
        """The same, of a peer that can hardly have answered already."""
        await self.readable()
        return await self.receive(most)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        sent = self.send_at_once(data)
        if sent < len(data):
            await self._loop.sock_sendall(self.sock, memoryview(data)[sent:])

    def send_at_once(self, data: bytes) -> int:
        """Send what the kernel takes now; returns how many bytes that were."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    async def readable(self) -> None:
        """Return when there is something to read, or the end."""
        self._ready = self._loop.create_future()
        if not self._is_watched:
            self._loop.add_reader(self._fd, self._told)
            self._is_watched = True
        try:
            await self._ready
        finally:
            self._ready = None

    def _told(self) -> None:
        if self._ready is None:
            self._unwatch()  # nobody takes it now, and the loop would say it again and again
        elif not self._ready.done():
            self._ready.set_result(None)

    async def writable(self) -> None:
        """Return when the kernel takes more, or the other side has gone."""
        ready = self._loop.create_future()
        self._loop.add_writer(self._fd, _set, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._fd)

    def is_quiet(self) -> bool:
        """Open, and nothing was said on it that nobody asked for, as far as the loop has looked."""
        if self._is_watched:  # it would have been told
            return True
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        return False

    def close(self) -> None:
        """Close it."""
        self._unwatch()
        self.sock.close()

    def _unwatch(self) -> None:
        if self._is_watched:
            self._loop.remove_reader(self._fd)
            self._is_watched = False


class Splicer:
    """Moves bytes from socket to socket through a pipe: they stay in the kernel."""

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None

    async def move(self, source: Peer, target: Peer, count: int) -> None:
        """Move so many bytes.

        Raises:
            Gone: the source ended before.
            ConnectionError: the target does not take them.
        """
        out, into = self._open()
        while count:
            taken = await self._fill(source, into, min(count, _PIPE_BYTES))
            if not taken:
                raise Gone("the connection ended in the middle of a body")
            count -= taken
            while taken:
                taken -= await self._drain(out, target, taken)

    async def _fill(self, source: Peer, pipe: int, most: int) -> int:
        while True:
            try:
                return os.splice(source.sock.fileno(), pipe, most, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
            except BlockingIOError:
                await source.readable()
            except ConnectionError:
                return 0

    async def _drain(self, pipe: int, target: Peer, most: int) -> int:
        while True:
            try:
                return os.splice(pipe, target.sock.fileno(), most, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
            except BlockingIOError:
                await target.writable()

    def _open(self) -> tuple[int, int]:
        if self._pipe is None:
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            with suppress(OSError):  # it then has 64 KB
                fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return self._pipe

    def close(self) -> None:
        """Close the pipe; what a broken transfer left in it goes too."""
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None


async def join(one: Peer, other: Peer) -> None:
    """Let two peers talk to one another until both have said all they had."""
    both = [asyncio.ensure_future(_copy(one, other)), asyncio.ensure_future(_copy(other, one))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _copy(source: Peer, target: Peer) -> None:
    while data := await source.receive():
        await target.send(data)
    with suppress(OSError):
        target.sock.shutdown(socket.SHUT_WR)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
