"""One client's connection: its requests to S3 one after the other, until something else comes."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from emr_studio.edge.config import NOT_AVAILABLE, SANDBOX, STORES_NOTES
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.lane import head as heads
from emr_studio.lane.foresight import Foresight, for_the_store
from emr_studio.lane.head import RequestHead, ResponseHead
from emr_studio.lane.sockets import Gone, Peer, Splicer, join
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.straight import Look, Straight, head_of
from emr_studio.lane.way import DRAINED_BYTES, UNKNOWN, Away, End, Way, answered, read_over

IDLE_SECONDS = 300.0
HEAD_SECONDS = 30.0
_LINGER_SECONDS = 1.0
_EDGE_SECONDS = 20.0
"""While the edge restarts, connections wait for it."""
_AGAIN_SECONDS = 0.1
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SAFE = [(name.lower().encode(), value.encode()) for name, value in SANDBOX.items()]
_SAFE_LINES = b"".join(name + b": " + value + heads.LINE for name, value in _SAFE)
_NOT_TOLD = frozenset(
    {b"connection", b"keep-alive", b"server", b"via"}
    | {name.lower().encode() for name in STORES_NOTES}
    | {name for name, _ in _SAFE}
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}
log = logging.getLogger(__name__)


class Objects(Protocol):
    """Decides about requests to S3 (fulfilled by `storage.s3_authorization`)."""

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        """The answer, if that is a matter of microseconds."""
        ...

    def __call__(self, asked: EdgeRequest) -> EdgeAnswer:
        """The answer, in a thread."""
        ...

    def missing(self, asked: EdgeRequest) -> EdgeAnswer:
        """What is told of an object that the store does not have; in a thread."""
        ...

    def missing_quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        """The same, if that is a matter of microseconds."""
        ...


@dataclass
class Lane:
    """What all connections share."""

    objects: Objects
    hosts: frozenset[str]
    edge: str
    """The edge's address, as `Pool.new` takes it."""
    threads: Executor
    """For answers that take time."""
    pool: Pool = field(default_factory=Pool)
    straight: Straight | None = None
    """Of an embedded store: how plain objects are read past its S3."""


class _ClientGone(Exception):
    """The client has gone in the middle of its request."""


class Connection:
    """Serves one client."""

    def __init__(self, lane: Lane, client: socket.socket, peer: tuple[str, int]) -> None:
        self._lane = lane
        self._client = Peer(client)
        self._peer = peer
        self._buffer = b""
        self._splicer = Splicer()
        self._foresight = Foresight(lane.pool)
        self.deadline = time.monotonic() + HEAD_SECONDS
        """After it the client has waited too long with its (next) request; infinite while one is served."""

    async def serve(self) -> None:
        """Until either side ends it."""
        try:
            while (request := await self._next()) is not None:
                self.deadline = float("inf")
                if not await self._serve(request):
                    return
                self.deadline = time.monotonic() + IDLE_SECONDS
        except (ConnectionError, _ClientGone):
            pass  # there is nobody to be told anything
        finally:
            self._splicer.close()
            self._client.close()

    # --- Which request is it?

    async def _next(self) -> RequestHead | None:
        """The next request, if it is the lane's. None: there is no more to do here."""
        while (end := self._buffer.find(heads.END)) < 0:
            if not heads.may_be_ours(self._buffer) or len(self._buffer) > heads.MOST_BYTES:
                await self._hand_on()
                return None
            more = await self._client.receive()
            if not more:
                if self._buffer:
                    await self._hand_on()
                return None
            if not self._buffer:
                self.deadline = time.monotonic() + HEAD_SECONDS
            self._buffer += more
        request = heads.read_request(self._buffer[:end], self._lane.hosts) if end <= heads.MOST_BYTES else None
        if request is None:
            await self._hand_on()
            return None
        self._buffer = self._buffer[end + len(heads.END) :]
        return request

    async def _hand_on(self) -> None:
        """Let the edge have the rest of this connection, from the request that was begun."""
        self.deadline = float("inf")
        with suppress(OSError):  # no edge: the client sees its connection end
            edge = await self._dial_edge()
            with closing(edge):
                await edge.send(self._introduction() + self._buffer)
                await join(self._client, edge)

    def _introduction(self) -> bytes:
        """Who is there, as the PROXY protocol (version 1) says it: the edge's policies speak of addresses."""
        host, port = self._client.sock.getsockname()[:2]
        return f"PROXY TCP4 {self._peer[0]} {host} {self._peer[1]} {port}\r\n".encode()

    async def _dial_edge(self) -> Peer:
        until = time.monotonic() + _EDGE_SECONDS
        while True:
            try:
                return await self._lane.pool.new(self._lane.edge)
            except OSError:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_AGAIN_SECONDS)

    # --- What becomes of it?

    async def _serve(self, request: RequestHead) -> bool:
        """Answer. False: the connection is at its end."""
        asked = EdgeRequest(
            request.method, request.target, request.host, heads.as_headers(request.fields), self._peer[0]
        )
        objects, look = self._lane.objects, self._look(request)
        ahead = None if look else self._foresight.ask(request)
        try:
            answer = await self._decided(asked, objects.quickly, objects)
            begun = self._take(request.length)
            if answer.status != HTTPStatus.OK or answer.final:
                return await self._tell(request, answer, request.length - len(begun))
            if look is not None and await self._went_straight(request, answer, look):
                return request.keeps
            is_foreseen = self._foresight.learn(request, answer) and ahead is not None
            return await self._pass_on(request, asked, answer, begun, ahead if is_foreseen else None)
        except Away as problem:
            log.warning("the store does not answer: %s", problem.__cause__)
            return await self._tell(request, _unavailable(), UNKNOWN if request.length else 0)
        finally:
            for way in (ahead, look):
                if way is not None:
                    way.leave()

    def _look(self, request: RequestHead) -> Look | None:
        """A look for a plain object, which has begun if this client may probably see it."""
        straight = self._lane.straight
        look = None if straight is None else straight.meant(request)
        if look is not None and self._foresight.hopes:
            look.ask_at_once()
        return look

    async def _went_straight(self, request: RequestHead, answer: EdgeAnswer, look: Look) -> bool:
        """Give the client the object past the store's S3. False: nothing was done."""
        self._foresight.learn(request, answer)
        plain = await look.find(answer) if look.is_for(answer) else None
        if self._lane.straight is not None:
            self._lane.straight.learn(look, answer)
        if plain is None:
            return False
        head = head_of(plain, _SAFE_LINES, keeps=request.keeps)
        if request.method == "HEAD":
            await self._client.send(head)
            return True
        try:
            body = await look.first(plain)
        except Away:  # it was written anew in this moment, perhaps
            return False
        try:
            await self._client.send(head + body.begun)
            await body.bring(self._client, self._splicer)
        finally:
            body.leave()
        return True

    async def _decided(
        self,
        asked: EdgeRequest,
        quickly: Callable[[EdgeRequest], EdgeAnswer | None],
        decide: Callable[[EdgeRequest], EdgeAnswer],
    ) -> EdgeAnswer:
        loop = asyncio.get_running_loop()
        try:
            answer = quickly(asked)
            return answer if answer is not None else await loop.run_in_executor(self._lane.threads, decide, asked)
        except Exception:
            log.exception("a request to S3 could not be decided")
            return _unavailable()

    async def _tell(self, request: RequestHead, answer: EdgeAnswer, unread: int) -> bool:
        """Give the client an answer of our own. `unread`: bytes of the request's body that are still to come."""
        # One that waits for a word before it sends its body may send it or not: nobody knows what comes next.
        keeps = request.keeps and not (request.expects and unread) and unread <= DRAINED_BYTES
        said = {"cache-control": "no-store", "date": heads.date(time.time()).decode(), **answer.response_headers}
        said["content-length"] = str(len(answer.body))
        if answer.body:
            said["content-type"] = answer.content_type
        if not keeps:
            said["connection"] = "close"
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in said.items()]
        first = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}"
        await self._client.send(heads.write(first, fields + _SAFE) + answer.body)
        if keeps:
            await self._drain(unread)
        else:
            await self._linger()
        return keeps

    def _take(self, most: int) -> bytes:
        """What of a body has come with the head."""
        taken, self._buffer = self._buffer[:most], self._buffer[most:]
        return taken

    async def _drain(self, count: int) -> None:
        while count:
            data = await self._client.receive(min(count, DRAINED_BYTES))
            if not data:
                raise Gone
            count -= len(data)

    async def _linger(self) -> None:
        """Close so that the answer arrives, although the client is still sending."""
        with suppress(OSError, TimeoutError):
            self._client.sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self._client.receive():
                    pass

    # --- To the store and back

    async def _pass_on(
        self, request: RequestHead, asked: EdgeRequest, answer: EdgeAnswer, begun: bytes, ahead: Way | None
    ) -> bool:
        rest = request.length - len(begun)
        if request.expects and rest:
            await self._client.send(_CONTINUE)
        way = ahead or Way(self._lane.pool, answer.upstream)
        try:
            first = await _said(ahead) if ahead else b""
            first = first or await self._sent(way, request, answer, begun)
            response, more = await answered(way.peer, request.method, first)
            keeps = request.keeps and not way.is_torn
            if response.status == HTTPStatus.NOT_FOUND and answer.ask_if_missing:
                way.is_done = await read_over(way.peer, response, more)
                objects = self._lane.objects
                told = await self._decided(asked, objects.missing_quickly, objects.missing)
                return await self._tell(request, told, 0 if keeps else UNKNOWN)
            keeps = keeps and response.keeps
            await self._bring_back(way.peer, response, more, keeps=keeps)
            way.is_done = response.keeps
            return keeps
        finally:
            way.leave()

    async def _sent(self, way: Way, request: RequestHead, answer: EdgeAnswer, begun: bytes) -> bytes:
        """Send the request to the store; returns the first of what the store says.

        Raises:
            Away: the store does not take it.
            Gone: the client ended before its body did.
        """
        message, rest = for_the_store(request, answer) + begun, request.length - len(begun)
        # What was sent on a connection that was closed in that moment is sent again; a POST is not to be done twice.
        if request.method != "POST" and way.take_kept():
            with suppress(ConnectionError):
                await way.peer.send(message)
                if rest:
                    return await self._body_sent(way, rest)
                if first := await way.peer.answered():
                    return first
        try:
            await way.take_new()
            await way.peer.send(message)
        except (OSError, TimeoutError) as error:
            raise Away from error
        return await self._body_sent(way, rest)

    async def _body_sent(self, way: Way, rest: int) -> bytes:
        """Send what is to come of the body; returns the first of what the store says."""
        try:
            await self._splicer.move(self._client, way.peer, rest)
        except Gone:
            raise _ClientGone from None
        except ConnectionError:
            # A store that refuses a body stops reading it: what it has to say may be there nevertheless. What the
            # client still sends is read by nobody.
            way.is_torn = True
            self._splicer.close()
        try:
            return await way.peer.answered()
        except ConnectionError as error:
            raise Away from error

    async def _bring_back(self, store: Peer, response: ResponseHead, more: bytes, *, keeps: bool) -> None:
        fields = [one for one in response.fields if one[0] not in _NOT_TOLD]
        fields += _SAFE if keeps else [*_SAFE, (b"connection", b"close")]
        head = heads.write(f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}", fields)
        await self._client.send(head + more)
        if response.length is not None:
            await self._splicer.move(store, self._client, max(0, response.length - len(more)))
            return
        end = End(response) if response.chunked else None
        while not (end and end.reached(more)) and (more := await store.receive()):
            await self._client.send(more)
        if end is not None and not end.whole:
            raise Gone


async def _said(way: Way) -> bytes:
    """The first of what the store says; empty if it closed the connection."""
    with suppress(ConnectionError):
        return await way.peer.answered()
    return b""


def _unavailable() -> EdgeAnswer:
    return EdgeAnswer(503, body=NOT_AVAILABLE.encode(), response_headers={"Retry-After": "1"})
