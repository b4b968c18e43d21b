"""Sockets on an event loop, without streams between: what is read is sent on at once, or never comes to Python.

All sockets here are non-blocking. A peer that goes away raises ConnectionError.
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


class Gone(ConnectionError):
    """The peer closed its side before all was there."""


async def receive(sock: socket.socket, most: int = 64 * 1024) -> bytes:
    """Some bytes; empty at the end. A wait is only begun where nothing is there yet."""
    with suppress(BlockingIOError):
        return sock.recv(most)
    return await asyncio.get_running_loop().sock_recv(sock, most)


async def send(sock: socket.socket, data: bytes | memoryview) -> None:
    """Send all of it."""
    sent = 0
    with suppress(BlockingIOError):
        sent = sock.send(data)
    if sent < len(data):
        await asyncio.get_running_loop().sock_sendall(sock, memoryview(data)[sent:])


class Splicer:
    """Moves bytes from socket to socket through a pipe: they stay in the kernel."""

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None

    async def move(self, source: socket.socket, target: socket.socket, count: int) -> None:
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

    async def _fill(self, source: socket.socket, pipe: int, most: int) -> int:
        while True:
            try:
                return os.splice(source.fileno(), pipe, most, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
            except BlockingIOError:
                await _readable(source)
            except ConnectionError:
                return 0

    async def _drain(self, pipe: int, target: socket.socket, most: int) -> int:
        while True:
            try:
                return os.splice(pipe, target.fileno(), most, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
            except BlockingIOError:
                await _writable(target)

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


async def join(one: socket.socket, other: socket.socket) -> None:
    """Let two sockets talk to one another until both have said all they had."""
    both = [asyncio.ensure_future(_copy(one, other)), asyncio.ensure_future(_copy(other, one))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := await receive(source, _PIECE):
        await send(target, data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock.fileno(), _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock.fileno())


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(sock.fileno(), _set, ready)
    try:
        await ready
    finally:
        loop.remove_writer(sock.fileno())


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
