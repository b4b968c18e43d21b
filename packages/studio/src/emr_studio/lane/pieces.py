"""The pieces of an object's body on their way out of the store's volumes."""

from __future__ import annotations

import re
from contextlib import suppress

from emr_studio.lane import head as heads
from emr_studio.lane.entry import Piece
from emr_studio.lane.sockets import FIRST, Gone, Peer, Splicer
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.way import Away, Way

_WHOLE, _PART = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 206 Partial Content\r\n"
_LENGTH, _CLOSES = re.compile(rb"\r\nContent-Length: (\d{1,15})\r\n"), b"\r\nConnection: close\r\n"
"""As the volumes spell it; what is spelt in another way is left to the store's S3."""


class Body:
    """The pieces of a body on their way out of the volumes."""

    def __init__(self, pool: Pool, address: str, pieces: tuple[Piece, ...]) -> None:
        self._way = Way(pool, address)
        self._pieces = pieces
        self._asked = 0
        self.begun = b""
        """What has come of the first piece."""

    def ask_at_once(self) -> None:
        """Ask for the first piece, if there is one and a connection to ask on."""
        if self._pieces and self._way.take_kept():
            question = _question(self._pieces[0])
            with suppress(ConnectionError):
                self._asked = int(self._way.peer.send_at_once(question) == len(question))

    async def begin(self) -> None:
        """Let the first piece come.

        Raises:
            Away: it does not.
        """
        if not self._pieces:
            return
        is_asked = self._asked > 0
        if is_asked or self._way.take_kept():
            with suppress(ConnectionError, Away):
                if not is_asked:
                    await self._ask_next()
                self.begun = await self._head(0, is_late=is_asked)
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
            self._asked += 1
            await self._way.peer.send(_question(self._pieces[self._asked - 1]))

    async def _head(self, number: int, *, is_late: bool = False) -> bytes:
        """Read the head of a piece's answer; returns what has come of its body. `is_late`: it is probably there."""
        peer, piece = self._way.peer, self._pieces[number]
        said = await (peer.receive(FIRST) if is_late else peer.answered())
        while (end := said.find(heads.END)) < 0:
            more = await peer.receive()
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


def get(target: str, more: str = "") -> bytes:
    """A request to a part of the store; `more`: header lines."""
    return f"GET {target} HTTP/1.1\r\nHost: store\r\n{more}\r\n".encode()


def _question(piece: Piece) -> bytes:
    if piece.count == piece.size:
        return get(f"/{piece.file_id}")
    return get(f"/{piece.file_id}", f"Range: bytes={piece.start}-{piece.start + piece.count - 1}\r\n")
