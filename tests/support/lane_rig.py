"""The lane in a thread of the test, in front of whatever listens at the edge's socket.

with lane(settings, Asking(resolvers)):
    ...                                     # at settings.port
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvloop

from emr_studio.edge.config import base_domain, edge_socket
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest, Resolver
from emr_studio.lane.connection import Lane, Objects
from emr_studio.lane.server import Server, listen
from emr_studio.settings import Settings


class Asking:
    """Decides as the resolvers do that the edge would ask."""

    def __init__(self, resolvers: Mapping[str, Resolver]) -> None:
        self._resolvers = resolvers

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        return None

    def __call__(self, asked: EdgeRequest) -> EdgeAnswer:
        return self._resolvers["s3"](asked)

    def missing(self, asked: EdgeRequest) -> EdgeAnswer:
        return self._resolvers["s3-missing"](asked)

    def missing_quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        return None


@contextmanager
def lane(settings: Settings, objects: Objects) -> Iterator[None]:
    """Serve at the settings' port until the end of the block."""
    edge, hosts = f"unix/{edge_socket(settings)}", frozenset({base_domain(settings), "127.0.0.1"})
    stop, loops, runs = asyncio.Event(), list[asyncio.AbstractEventLoop](), threading.Event()

    async def serve(server: Server) -> None:
        loops.append(asyncio.get_running_loop())
        runs.set()
        await server.run(stop)

    with ThreadPoolExecutor(4) as threads, listen(settings.port) as listener:
        server = Server(Lane(objects, hosts, edge, threads), listener)
        thread = threading.Thread(target=lambda: uvloop.run(serve(server)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            assert runs.wait(60)
            loops[0].call_soon_threadsafe(stop.set)
            thread.join(timeout=60)
