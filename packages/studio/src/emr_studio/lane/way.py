"""One request's way to the store and back: the connection that it takes, and the answer's head and end."""

from __future__ import annotations

from http import HTTPStatus

import httptools

from emr_studio.lane import head as heads
from emr_studio.lane.head import ResponseHead
from emr_studio.lane.sockets import Peer
from emr_studio.lane.store_pool import Pool

DRAINED_BYTES = 256 * 1024
"""So much of a body that nobody wants is read, so that its connection can be used again."""
UNKNOWN = 1 << 62


class Away(Exception):
    """The store does not answer."""


class Way:
    """A connection to the store for one request."""

    def __init__(self, pool: Pool, address: str) -> None:
        self._pool = pool
        self.address = address
        self._peer: Peer | None = None
        self.is_torn = False
        """The store did not take the whole body."""
        self.is_done = False
        """Its answer was read to the end, and it takes another request."""

    @property
    def peer(self) -> Peer:
        """The connection that was taken last."""
        assert self._peer is not None
        return self._peer

    def take_kept(self) -> bool:
        """Take one that was used before, if there is one, in place of any other."""
        self._close()
        self._peer = self._pool.kept(self.address)
        return self._peer is not None

    async def take_new(self) -> None:
        """Take a new one, in place of any other.

        Raises:
            OSError: nobody listens.
        """
        self._close()
        self._peer = await self._pool.new(self.address)

    def leave(self) -> None:
        """Give it back, or close it."""
        if self.is_done and not self.is_torn and self._peer is not None:
            self._pool.keep(self.address, self._peer)
            self._peer = None
        else:
            self._close()

    def _close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None


class End:
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


async def answered(store: Peer, method: str, data: bytes) -> tuple[ResponseHead, bytes]:
    """The store's answer, of which `data` has come, and what of its body has come.

    Raises:
        Away: it is none.
    """
    try:
        while True:
            while (end := data.find(heads.END)) < 0:
                more = await store.receive()
                if not more or len(data) > heads.MOST_BYTES:
                    raise Away from ConnectionResetError("the store closed the connection without an answer")
                data += more
            response, data = heads.read_response(data[:end], method), data[end + len(heads.END) :]
            if response.status >= HTTPStatus.OK:
                return response, data
    except (OSError, ValueError) as error:
        raise Away from error


async def read_over(store: Peer, response: ResponseHead, more: bytes) -> bool:
    """Read a body that nobody wants. False: not to its end."""
    rest = UNKNOWN if response.length is None else response.length - len(more)
    while 0 < rest <= DRAINED_BYTES and (data := await store.receive(rest)):
        rest -= len(data)
    return rest == 0 and response.keeps
