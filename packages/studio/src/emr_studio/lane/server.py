"""The process that listens at the studio's port."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import uvloop

from emr_studio.edge.caddy import EdgeError, check_port
from emr_studio.edge.config import base_domain, edge_socket
from emr_studio.lane.connection import Connection, Lane, Objects
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.straight import Straight
from emr_studio.settings import Settings

_BACKLOG = 1024
_SWEEP_SECONDS = 5.0
_GRACE_SECONDS = 2.0
_THREADS = 8
_LOOPBACK = "127.0.0.1"
log = logging.getLogger(__name__)


def serve(settings: Settings, objects: Objects, pool: Pool, straight: Straight | None = None) -> None:
    """Serve until SIGTERM.

    Raises:
        SystemExit: the port cannot be listened on; the message says why.
    """
    try:
        check_port(settings)
    except EdgeError as error:
        raise SystemExit(f"The studio cannot listen. {error}") from None
    _allow_many_connections()
    gc.collect()
    gc.freeze()
    with ThreadPoolExecutor(_THREADS, "s3") as threads, listen(settings.port) as listener:
        hosts, edge = frozenset({base_domain(settings), _LOOPBACK}), f"unix/{edge_socket(settings)}"
        lane = Lane(objects, hosts, edge, threads, pool, straight)
        uvloop.run(_until_told(Server(lane, listener)))


async def _until_told(server: Server) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.run(stop)


def _allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen(port: int) -> socket.socket:
    """A socket at this port, on loopback alone."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_LOOPBACK, port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


class Server:
    """Serves all that connect to a listening socket."""

    def __init__(self, lane: Lane, listener: socket.socket) -> None:
        self._lane = lane
        self._listener = listener
        self._open: dict[asyncio.Task[None], Connection] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Accept until `stop`; then let what is being served come to its end, for a moment."""
        chores = [asyncio.create_task(self._accept()), asyncio.create_task(self._sweep())]
        await stop.wait()
        for task in chores:
            task.cancel()
        self._listener.close()
        busy = [task for task, connection in self._open.items() if connection.deadline == float("inf")]
        if busy:
            await asyncio.wait(busy, timeout=_GRACE_SECONDS)
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._lane.pool.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(self._listener)
            except OSError as error:  # too many open files: those that are open go on, and will end
                log.warning("a connection was not taken: %s", os.strerror(error.errno or 0))
                await asyncio.sleep(_GRACE_SECONDS)
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self._lane, client, peer)
            task = asyncio.create_task(connection.serve())
            self._open[task] = connection
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection failed", exc_info=error)

    async def _sweep(self) -> None:
        """End connections whose clients wait too long with a request."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for task, connection in list(self._open.items()):
                if connection.deadline < now:
                    task.cancel()
