"""Reads of plain objects past the store's S3: the entry from its filer, the bytes from its volumes.

    filer   GET /buckets/<bucket>/<key>?metadata=true
            GET /buckets/<bucket>?metadata=true         before it, unless it is known to keep no versions
    volume  GET /<file id>                            one after the other, each asked for while the last comes

Both are asked anew for each request, so a read after a write sees it. The volume is asked at once for the piece that
the object began with when it was last read; if the filer then says anything else of it, that piece is not taken.
What is not plain, not there or in the way goes to the store's S3 as if nothing had been tried; only a piece that
vanishes in the middle of a body ends the connection, as it does there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httptools

from emr_studio.bounded import Bounded
from emr_studio.edge.decisions import DELETE, EdgeAnswer
from emr_studio.lane import head as heads
from emr_studio.lane.entry import MOST_KNOWN_BYTES, Plain, bucket_path, is_plain_bucket, read
from emr_studio.lane.head import RequestHead
from emr_studio.lane.pieces import Body, get
from emr_studio.lane.sockets import Gone, Peer
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.way import Way

_VERSIONS_SECONDS, _NOT_PLAIN_SECONDS = 5.0, 0.5
"""So long nothing is looked for in a bucket that keeps versions, or of which an object was not plain (where one is
encrypted, most are): a look in vain costs a tenth of a read."""
_MOST_KNOWN = 1000
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
        self._dull = Bounded[str, float](_MOST_KNOWN)
        self._seen = Bounded[str, bytes](_MOST_KNOWN)
        """What the filer said last of an object."""
        self._without_versions = Bounded[str, bool](_MOST_KNOWN)
        """Buckets that never kept versions, as the last decision had it."""

    def meant(self, request: RequestHead) -> Look | None:
        """A way to look for the object, if it could be a plain one."""
        bucket = bucket_path(request)
        if bucket is None or self._dull.get(bucket, 0) > time.monotonic():
            return None
        inside = self._inside()
        if inside is None:
            return None
        look = Look(self._pool, inside, request, bucket, self._seen.get(request.target, b""))
        look.asks_bucket = bucket not in self._without_versions
        return look

    def learn(self, look: Look, answer: EdgeAnswer) -> None:
        """Remember buckets of which nothing is plain, or that keep no versions; and what was said of plain objects."""
        if answer.without_versions:
            self._without_versions[look.bucket] = True
        else:
            self._without_versions.pop(look.bucket, None)
        if look.dull_seconds:
            self._dull[look.bucket] = time.monotonic() + look.dull_seconds
        elif look.found is not None and len(look.said) < MOST_KNOWN_BYTES:
            self._seen[look.target] = look.said


class Look:
    """A look at one object."""

    def __init__(self, pool: Pool, inside: Inside, request: RequestHead, bucket: str, said_last: bytes) -> None:
        self._pool = pool
        self._inside = inside
        self._request = request
        self._said_last = said_last
        self.bucket, self.target = bucket, request.target
        self.said = b""
        """What the filer says of the object."""
        self.asks_bucket = True
        """The filer is asked whether the bucket keeps versions."""
        self.dull_seconds = 0.0
        """So long its bucket has no plain objects, as it seems."""
        self.found: Plain | None = None
        """The answer, if the store's S3 need not give it."""
        self._way = Way(pool, inside.filer)
        self._asked = False
        self._ahead: Body | None = None
        """The body, if nothing has changed since the object was last read."""

    def is_for(self, answer: EdgeAnswer) -> bool:
        """The decision changes nothing about the request."""
        return (
            answer.upstream == self._inside.s3
            and not answer.uri
            and not answer.identity
            and all(value == DELETE for value in answer.headers.values())
        )

    def ask_at_once(self) -> None:
        """Ask, if there is a connection to ask on; the volume too, if one can know what for."""
        if self._way.take_kept():
            questions = self._questions()
            with suppress(ConnectionError):
                self._asked = self._way.peer.send_at_once(questions) == len(questions)
        last = read(self._said_last, self._request) if self._asked and self._said_last else None
        if last is not None and self._request.method == "GET":
            self._ahead = Body(self._pool, self._inside.volume, last.pieces)
            self._ahead.ask_at_once()

    async def find(self, answer: EdgeAnswer) -> Plain | None:
        """Ask, if that was not done, and set `found`."""
        if self._asked and not self.asks_bucket and not answer.without_versions:
            return None  # somebody has asked for versions since
        try:
            if not self._asked:
                self.asks_bucket = not answer.without_versions
                await self._ask()
                await self._way.peer.readable()
            said = await _replies(self._way.peer, 1 + self.asks_bucket)
        except (OSError, TimeoutError, httptools.HttpParserError):
            return None
        self._way.is_done = True
        status, self.said = said[-1]
        if not self.asks_bucket or (said[0][0] == 200 and is_plain_bucket(said[0][1])):
            self._judge(status)
        elif said[0][0] == 200:
            self.dull_seconds = _VERSIONS_SECONDS
        return self.found

    def _judge(self, status: int) -> None:
        """What the filer's word on the object means."""
        if status == 200:
            self.found = read(self.said, self._request)
            is_range = any(name == b"range" for name, _ in self._request.fields)  # an odd one tells nothing
            self.dull_seconds = 0.0 if self.found or is_range else _NOT_PLAIN_SECONDS

    async def _ask(self) -> None:
        if not self._way.take_kept():
            await self._way.take_new()
        await self._way.peer.send(self._questions())

    def _questions(self) -> bytes:
        paths = (self.bucket, self.target) if self.asks_bucket else (self.target,)
        return b"".join(get(f"/buckets{path}?metadata=true") for path in paths)

    async def first(self, plain: Plain) -> Body:
        """The body, of which the first piece has begun to come.

        Raises:
            Away: it does not come.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None and self.said != self._said_last:
            ahead.leave()
            ahead = None
        body = ahead or Body(self._pool, self._inside.volume, plain.pieces)
        try:
            await body.begin()
        except BaseException:
            body.leave()
            raise
        return body

    def leave(self) -> None:
        """Give the connections back."""
        self._way.leave()
        if self._ahead is not None:
            self._ahead.leave()


def head_of(plain: Plain, safe: bytes, *, keeps: bool) -> bytes:
    """The head of the client's answer; `safe`: lines that stand in each."""
    own = b"x-amz-request-id: %s\r\ndate: %s\r\n" % (os.urandom(12).hex().upper().encode(), heads.date(time.time()))
    return plain.head + safe + own + (heads.LINE if keeps else b"connection: close\r\n\r\n")


class _Reading:
    """What the parser of answers tells."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        self.ended = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        """Called by the parser, as are the others."""
        self.statuses.append(self.parser.get_status_code())
        self.bodies.append(b"")

    def on_body(self, data: bytes) -> None:
        """More of a body."""
        self.bodies[-1] += data

    def on_message_complete(self) -> None:
        """The end of one answer."""
        self.ended += 1


async def _replies(peer: Peer, count: int) -> list[tuple[int, bytes]]:
    """Status and body of so many answers.

    Raises:
        Gone: the connection ended before.
        httptools.HttpParserError: they are none.
    """
    reading, size = _Reading(), 0
    while reading.ended < count:
        data = await peer.receive()
        size += len(data)
        if not data or size > _MOST_BYTES:
            raise Gone
        reading.parser.feed_data(data)
    return list(zip(reading.statuses, reading.bodies, strict=True))
