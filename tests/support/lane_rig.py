"""The lane in a thread of the test, in front of whatever listens at the edge's socket.

with lane(settings, Asking(resolvers)):
    ...                                     # at settings.port
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvloop

from emr_studio.edge.config import base_domain, edge_socket
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest, Resolver
from emr_studio.lane.connection import Lane, Objects
from emr_studio.lane.head import RequestHead
from emr_studio.lane.server import Server, listen
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.straight import Inside, Look, Straight
from emr_studio.settings import Settings
from emr_studio.storage.inside import enter


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


class WatchedStraight(Straight):
    """Keeps the looks that were taken."""

    def __init__(self, pool: Pool, inside: Callable[[], Inside | None]) -> None:
        super().__init__(pool, inside)
        self.looks: list[Look] = []

    def meant(self, request: RequestHead) -> Look | None:
        look = super().meant(request)
        if look is not None:
            self.looks.append(look)
        return look


@contextmanager
def lane(
    settings: Settings, objects: Objects, inside: Callable[[], Inside | None] = lambda: None
) -> Iterator[WatchedStraight]:
    """Serve at the settings' port until the end of the block; `inside` says where the parts of the store are."""
    edge, hosts = f"unix/{edge_socket(settings)}", frozenset({base_domain(settings), "127.0.0.1"})
    stop, loops, runs = asyncio.Event(), list[asyncio.AbstractEventLoop](), threading.Event()

    async def serve(server: Server) -> None:
        loops.append(asyncio.get_running_loop())
        runs.set()
        await server.run(stop)

    with ThreadPoolExecutor(4) as threads, listen(settings.port) as listener:
        pool = Pool(enter)
        straight = WatchedStraight(pool, inside)
        server = Server(Lane(objects, hosts, edge, threads, pool, straight), listener)
        thread = threading.Thread(target=lambda: uvloop.run(serve(server)), daemon=True)
        thread.start()
        try:
            yield straight
        finally:
            assert runs.wait(60)
            loops[0].call_soon_threadsafe(stop.set)
            thread.join(timeout=60)
