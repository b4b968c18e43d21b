"""Reads of plain objects past the store's S3: the entry from its filer, the bytes from its volumes.

    filer   GET /buckets/<bucket>?metadata=true      does it keep versions?
            GET /buckets/<bucket>/<key>?metadata=true   sent with it
    volume  GET /<file id>                            one after the other, each asked for while the last comes

Both are asked anew for each request, so a read after a write sees it. What is not plain, not there or in the way
goes to the store's S3 as if nothing had been tried; only a piece that vanishes in the middle of a body ends the
connection, as it does there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httptools

from emr_studio.edge.decisions import DELETE, EdgeAnswer
from emr_studio.lane import head as heads
from emr_studio.lane.entry import Piece, Plain, bucket_path, is_plain_bucket, read
from emr_studio.lane.head import RequestHead
from emr_studio.lane.sockets import Gone, Peer, Splicer
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.way import Away, Way

_VERSIONS_SECONDS, _NOT_PLAIN_SECONDS = 5.0, 0.5
"""So long nothing is looked for in a bucket that keeps versions, or of which an object was not plain (where one is
encrypted, most are): a look in vain costs a tenth of a read."""
_MOST_DULL = 1000
_WHOLE, _PART = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 206 Partial Content\r\n"
_LENGTH, _CLOSES = re.compile(rb"\r\nContent-Length: (\d{1,15})\r\n"), b"\r\nConnection: close\r\n"
"""As the volumes spell it; what is spelt in another way is left to the store's S3."""
_MOST_BYTES = 4 << 20
"""Of what the filer says: an object with so many pieces is not plain."""


@dataclass(frozen=True)
class Inside:
    """The parts of an embedded store, as `Pool.new` takes addresses."""

    s3: str
    filer: str
    volume: str


class Straight:
    """What all connections share."""

    def __init__(self, pool: Pool, inside: Callable[[], Inside | None]) -> None:
        self._pool = pool
        self._inside = inside
        self._dull: dict[str, float] = {}

    def meant(self, request: RequestHead) -> Look | None:
        """A way to look for the object, if it could be a plain one."""
        bucket = bucket_path(request)
        if bucket is None or self._dull.get(bucket, 0) > time.monotonic():
            return None
        inside = self._inside()
        return None if inside is None else Look(self._pool, inside, request, bucket)

    def learn(self, look: Look) -> None:
        """Remember buckets of which nothing is plain."""
        if look.dull_seconds:
            if len(self._dull) > _MOST_DULL:
                self._dull.clear()
            self._dull[look.bucket] = time.monotonic() + look.dull_seconds


class Look:
    """A look at one object."""

    def __init__(self, pool: Pool, inside: Inside, request: RequestHead, bucket: str) -> None:
        self._pool = pool
        self._inside = inside
        self._request = request
        self.bucket = bucket
        self.dull_seconds = 0.0
        """So long its bucket has no plain objects, as it seems."""
        self.found: Plain | None = None
        """The answer, if the store's S3 need not give it."""
        self._way = Way(pool, inside.filer)
        self._asked = False

    def is_for(self, answer: EdgeAnswer) -> bool:
        """The decision changes nothing about the request."""
        return (
            answer.upstream == self._inside.s3
            and not answer.uri
            and not answer.identity
            and all(value == DELETE for value in answer.headers.values())
        )

    def ask_at_once(self) -> None:
        """Ask, if there is a connection to ask on."""
        if self._way.take_kept():
            questions = self._questions()
            with suppress(ConnectionError):
                self._asked = self._way.peer.send_at_once(questions) == len(questions)

    async def find(self) -> Plain | None:
        """Ask, if that was not done, and set `found`."""
        try:
            if not self._asked:
                await self._ask()
            said = await _replies(self._way.peer, 2)
        except (OSError, TimeoutError, httptools.HttpParserError):
            return None
        self._way.is_done = True
        (bucket_status, bucket), (status, entry) = said
        if bucket_status == 200 and not is_plain_bucket(bucket):
            self.dull_seconds = _VERSIONS_SECONDS
        elif bucket_status == status == 200:
            self.found = read(entry, self._request)
            is_range = any(name == b"range" for name, _ in self._request.fields)  # an odd one tells nothing
            self.dull_seconds = 0.0 if self.found or is_range else _NOT_PLAIN_SECONDS
        return self.found

    async def _ask(self) -> None:
        if not self._way.take_kept():
            await self._way.take_new()
        await self._way.peer.send(self._questions())

    def _questions(self) -> bytes:
        paths = (self.bucket, self._request.target)
        return b"".join(_get(f"/buckets{path}?metadata=true") for path in paths)

    async def first(self, plain: Plain) -> Body:
        """The body, of which the first piece has begun to come.

        Raises:
            Away: it does not come.
        """
        body = Body(self._pool, self._inside.volume, plain.pieces)
        try:
            await body.begin()
        except BaseException:
            body.leave()
            raise
        return body

    def leave(self) -> None:
        """Give the filer's connection back."""
        self._way.leave()


class Body:
    """The pieces of a body on their way out of the volumes."""

    def __init__(self, pool: Pool, address: str, pieces: tuple[Piece, ...]) -> None:
        self._way = Way(pool, address)
        self._pieces = pieces
        self._asked = 0
        self.begun = b""
        """What has come of the first piece."""

    async def begin(self) -> None:
        """Let the first piece come.

        Raises:
            Away: it does not.
        """
        if not self._pieces:
            return
        if self._way.take_kept():
            with suppress(ConnectionError, Away):
                await self._ask_next()
                self.begun = await self._head(0)
                return
        self._asked = 0
        try:
            await self._way.take_new()
            await self._ask_next()
            self.begun = await self._head(0)
        except (OSError, TimeoutError) as error:
            raise Away from error

    async def bring(self, client: Peer, splicer: Splicer) -> None:
        """Move all that is not in `begun` to the client.

        Raises:
            Gone: a piece is not there any more.
        """
        more = self.begun
        for number, piece in enumerate(self._pieces):
            await self._ask_next()
            if number:
                try:
                    more = await self._head(number)
                except (Away, OSError) as error:
                    raise Gone from error
                await client.send(more)
            await splicer.move(self._way.peer, client, piece.count - len(more))
        self._way.is_done = True

    async def _ask_next(self) -> None:
        if self._asked < len(self._pieces):
            piece = self._pieces[self._asked]
            self._asked += 1
            span = "" if piece.count == piece.size else f"bytes={piece.start}-{piece.start + piece.count - 1}"
            await self._way.peer.send(_get(f"/{piece.file_id}", span))

    async def _head(self, number: int) -> bytes:
        """Read the head of a piece's answer; returns what has come of its body."""
        said, piece = await self._way.peer.answered(), self._pieces[number]
        while (end := said.find(heads.END)) < 0:
            more = await self._way.peer.receive()
            if not more or len(said) > heads.MOST_BYTES:
                raise Away from ConnectionResetError("a volume ended its answer in the head")
            said += more
        head = said[: end + len(heads.LINE)]
        wanted = _WHOLE if piece.count == piece.size else _PART
        length = _LENGTH.search(head)
        if not head.startswith(wanted) or length is None or int(length[1]) != piece.count or _CLOSES in head:
            raise Away from ValueError(f"a piece was not given: {head[:200]!r}")
        return said[end + len(heads.END) :]

    def leave(self) -> None:
        """Give the connection back, or close it."""
        self._way.leave()


def head_of(plain: Plain, safe: bytes, *, keeps: bool) -> bytes:
    """The head of the client's answer; `safe`: lines that stand in each."""
    own = b"x-amz-request-id: %s\r\ndate: %s\r\n" % (os.urandom(12).hex().upper().encode(), heads.date(time.time()))
    return plain.head + safe + own + (heads.LINE if keeps else b"connection: close\r\n\r\n")


def _get(target: str, span: str = "") -> bytes:
    ranged = f"Range: {span}\r\n" if span else ""
    return f"GET {target} HTTP/1.1\r\nHost: store\r\n{ranged}\r\n".encode()


class _Reading:
    """What the parser of answers tells."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())
        self.bodies.append(b"")

    def on_body(self, data: bytes) -> None:
        self.bodies[-1] += data

    def on_message_complete(self) -> None:
        self.ended = len(self.bodies)

    ended = 0


async def _replies(peer: Peer, count: int) -> list[tuple[int, bytes]]:
    """Status and body of so many answers.

    Raises:
        Gone: the connection ended before.
        httptools.HttpParserError: they are none.
    """
    reading, size = _Reading(), 0
    await peer.readable()
    while reading.ended < count:
        data = await peer.receive()
        size += len(data)
        if not data or size > _MOST_BYTES:
            raise Gone
        reading.parser.feed_data(data)
    return list(zip(reading.statuses, reading.bodies, strict=True))
