"""One client's connection: its requests to S3 one after the other, until something else comes."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import httptools

from emr_studio.edge.config import NOT_AVAILABLE, NOT_THE_STORES, SANDBOX, STORES_NOTES
from emr_studio.edge.decisions import DELETE, IDENTITY, EdgeAnswer, EdgeRequest
from emr_studio.lane import head as heads
from emr_studio.lane.head import RequestHead, ResponseHead
from emr_studio.lane.sockets import Gone, Splicer, join, receive, send
from emr_studio.lane.store_pool import Pool

IDLE_SECONDS = 300.0
HEAD_SECONDS = 30.0
_DRAINED_BYTES = 256 * 1024
"""So much of a refused body is read, so that the connection can be used again."""
_LINGER_SECONDS = 1.0
_EDGE_SECONDS = 5.0
"""While the edge restarts, connections wait for it."""
_AGAIN_SECONDS = 0.1
_UNKNOWN = 1 << 62
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NOT_PASSED_ON = frozenset(name.lower().encode() for name in NOT_THE_STORES)
_SAFE = [(name.lower().encode(), value.encode()) for name, value in SANDBOX.items()]
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


class _Away(Exception):
    """The store does not answer."""


class _ClientGone(Exception):
    """The client has gone in the middle of its request."""


class Connection:
    """Serves one client."""

    def __init__(self, lane: Lane, client: socket.socket, peer: tuple[str, int]) -> None:
        self._lane = lane
        self._client = client
        self._peer = peer
        self._buffer = b""
        self._splicer = Splicer()
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
            more = await receive(self._client)
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
            with edge:
                await send(edge, self._introduction() + self._buffer)
                await join(self._client, edge)

    def _introduction(self) -> bytes:
        """Who is there, as the PROXY protocol (version 1) says it: the edge's policies speak of addresses."""
        host, port = self._client.getsockname()[:2]
        return f"PROXY TCP4 {self._peer[0]} {host} {self._peer[1]} {port}\r\n".encode()

    async def _dial_edge(self) -> socket.socket:
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
        objects = self._lane.objects
        answer = await self._decided(asked, objects.quickly, objects)
        begun = self._take(request.length)
        if answer.status != HTTPStatus.OK or answer.final:
            return await self._tell(request, answer, request.length - len(begun))
        try:
            return await self._pass_on(request, asked, answer, begun)
        except _Away as problem:
            log.warning("the store does not answer: %s", problem.__cause__)
            return await self._tell(request, _unavailable(), _UNKNOWN if request.length else 0)

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
        keeps = request.keeps and not (request.expects and unread) and unread <= _DRAINED_BYTES
        said = {"cache-control": "no-store", "date": formatdate(usegmt=True), **answer.response_headers}
        said["content-length"] = str(len(answer.body))
        if answer.body:
            said["content-type"] = answer.content_type
        if not keeps:
            said["connection"] = "close"
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in said.items()]
        first = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}"
        await send(self._client, heads.write(first, fields + _SAFE) + answer.body)
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
            data = await receive(self._client, min(count, _DRAINED_BYTES))
            if not data:
                raise Gone
            count -= len(data)

    async def _linger(self) -> None:
        """Close so that the answer arrives, although the client is still sending."""
        with suppress(OSError, TimeoutError):
            self._client.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER_SECONDS):
                while await receive(self._client):
                    pass

    # --- To the store and back

    async def _pass_on(self, request: RequestHead, asked: EdgeRequest, answer: EdgeAnswer, begun: bytes) -> bool:
        rest = request.length - len(begun)
        if request.expects and rest:
            await send(self._client, _CONTINUE)
        way = _Way(self._lane.pool, answer.upstream)
        try:
            first = await self._sent(way, request, answer, begun)
            response, more = await _answered(way.socket, request.method, first)
            keeps = request.keeps and not way.is_torn
            if response.status == HTTPStatus.NOT_FOUND and answer.ask_if_missing:
                way.is_done = await _read_over(way.socket, response, more)
                objects = self._lane.objects
                told = await self._decided(asked, objects.missing_quickly, objects.missing)
                return await self._tell(request, told, 0 if keeps else _UNKNOWN)
            keeps = keeps and response.keeps
            await self._bring_back(way.socket, response, more, keeps=keeps)
            way.is_done = response.keeps
            return keeps
        finally:
            way.leave()

    async def _sent(self, way: _Way, request: RequestHead, answer: EdgeAnswer, begun: bytes) -> bytes:
        """Send the request to the store; returns the first of what the store says.

        Raises:
            _Away: the store does not take it.
            Gone: the client ended before its body did.
        """
        message, rest = _for_the_store(request, answer) + begun, request.length - len(begun)
        # What was sent on a connection that was closed in that moment is sent again; a POST is not to be done twice.
        if request.method != "POST" and way.take_kept():
            with suppress(ConnectionError):
                await send(way.socket, message)
                if rest:
                    return await self._body_sent(way, rest)
                if first := await receive(way.socket):
                    return first
        try:
            await way.take_new()
            await send(way.socket, message)
        except (OSError, TimeoutError) as error:
            raise _Away from error
        return await self._body_sent(way, rest)

    async def _body_sent(self, way: _Way, rest: int) -> bytes:
        """Send what is to come of the body; returns the first of what the store says."""
        try:
            await self._splicer.move(self._client, way.socket, rest)
        except Gone:
            raise _ClientGone from None
        except ConnectionError:
            # A store that refuses a body stops reading it: what it has to say may be there nevertheless. What the
            # client still sends is read by nobody.
            way.is_torn = True
            self._splicer.close()
        try:
            return await receive(way.socket)
        except ConnectionError as error:
            raise _Away from error

    async def _bring_back(self, store: socket.socket, response: ResponseHead, more: bytes, *, keeps: bool) -> None:
        fields = [one for one in response.fields if one[0] not in _NOT_TOLD]
        fields += _SAFE if keeps else [*_SAFE, (b"connection", b"close")]
        head = heads.write(f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}", fields)
        await send(self._client, head + more)
        if response.length is not None:
            await self._splicer.move(store, self._client, max(0, response.length - len(more)))
            return
        end = _End(response) if response.chunked else None
        while not (end and end.reached(more)) and (more := await receive(store)):
            await send(self._client, more)
        if end is not None and not end.whole:
            raise Gone


class _Way:
    """A connection to the store for one request."""

    def __init__(self, pool: Pool, address: str) -> None:
        self._pool = pool
        self._address = address
        self._socket: socket.socket | None = None
        self.is_torn = False
        """The store did not take the whole body."""
        self.is_done = False
        """Its answer was read to the end, and it takes another request."""

    @property
    def socket(self) -> socket.socket:
        """The connection that was taken last."""
        assert self._socket is not None
        return self._socket

    def take_kept(self) -> bool:
        """Take one that was used before, if there is one."""
        self._socket = self._pool.kept(self._address)
        return self._socket is not None

    async def take_new(self) -> None:
        """Take a new one, in place of any other.

        Raises:
            OSError: nobody listens.
        """
        self._close()
        self._socket = await self._pool.new(self._address)

    def leave(self) -> None:
        """Give it back, or close it."""
        if self.is_done and not self.is_torn and self._socket is not None:
            self._pool.keep(self._address, self._socket)
        else:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _End:
    """Finds where a chunked body ends."""

    def __init__(self, response: ResponseHead) -> None:
        self.whole = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.whole = True

    def reached(self, data: bytes) -> bool:
        """True once the body's end was in what was given so far."""
        if data and not self.whole:
            self._parser.feed_data(data)
        return self.whole


async def _answered(store: socket.socket, method: str, data: bytes) -> tuple[ResponseHead, bytes]:
    """The store's answer, and what of its body has come."""
    try:
        while True:
            while (end := data.find(heads.END)) < 0:
                more = await receive(store)
                if not more or len(data) > heads.MOST_BYTES:
                    raise _Away from ConnectionResetError("the store closed the connection without an answer")
                data += more
            response, data = heads.read_response(data[:end], method), data[end + len(heads.END) :]
            if response.status >= HTTPStatus.OK:
                return response, data
    except (OSError, ValueError) as error:
        raise _Away from error


async def _read_over(store: socket.socket, response: ResponseHead, more: bytes) -> bool:
    """Read a body that nobody wants. False: not to its end."""
    rest = _UNKNOWN if response.length is None else response.length - len(more)
    while 0 < rest <= _DRAINED_BYTES and (data := await receive(store, rest)):
        rest -= len(data)
    return rest == 0 and response.keeps


def _for_the_store(request: RequestHead, answer: EdgeAnswer) -> bytes:
    return heads.write(f"{request.method} {answer.uri or request.target} HTTP/1.1", _changed(request, answer))


def _changed(request: RequestHead, answer: EdgeAnswer) -> Iterator[tuple[bytes, bytes]]:
    """The client's headers as the answer wants them."""
    said = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in answer.headers.items()}
    for name, value in request.fields:
        if name not in said and name not in _NOT_PASSED_ON:
            yield name, value
    yield from ((name, value) for name, value in said.items() if value != DELETE.encode())
    if answer.identity:
        yield IDENTITY.encode(), answer.identity.encode("latin-1")


def _unavailable() -> EdgeAnswer:
    return EdgeAnswer(503, body=NOT_AVAILABLE.encode(), response_headers={"Retry-After": "1"})
