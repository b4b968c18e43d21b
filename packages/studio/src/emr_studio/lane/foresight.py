"""What the store is asked: once a request is decided, or for a read already while it is being decided.

A client whose last read of an object was allowed is likely to be allowed the next one, too. So the store is asked
at once, in the way that the last decision had, and looks for the object while its request is being decided. What it
answers is given to the client only if the decision allows exactly what was asked; else nobody reads it. A client
that has not been allowed anything makes the store do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from emr_studio.edge.config import NOT_THE_STORES
from emr_studio.edge.decisions import DELETE, IDENTITY, EdgeAnswer
from emr_studio.lane import head as heads
from emr_studio.lane.head import RequestHead
from emr_studio.lane.store_pool import Pool
from emr_studio.lane.way import Way

_NOT_PASSED_ON = frozenset(name.lower().encode() for name in NOT_THE_STORES)


class Foresight:
    """What the next read of one connection will probably be told."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._usual: EdgeAnswer | None = None

    @property
    def hopes(self) -> bool:
        """This client's last read was allowed."""
        return self._usual is not None

    def ask(self, request: RequestHead) -> Way | None:
        """Ask the store already, if one can know how; its answer will come by that way."""
        if self._usual is None or not _is_plain_read(request):
            return None
        way = Way(self._pool, self._usual.upstream)
        if way.take_kept():
            message = for_the_store(request, self._usual)
            try:
                if way.peer.send_at_once(message) == len(message):
                    return way
            except ConnectionError:
                pass  # it is asked again, by another
        way.leave()
        return None

    def learn(self, request: RequestHead, answer: EdgeAnswer) -> bool:
        """Remember how an allowed read goes. True if `ask` asked the store just so."""
        if not _is_plain_read(request):
            return False
        usual, self._usual = self._usual, None if answer.uri or answer.identity else answer
        return usual is not None and usual == answer


def for_the_store(request: RequestHead, answer: EdgeAnswer) -> bytes:
    """The head of a request as its answer wants it."""
    return heads.write(f"{request.method} {answer.uri or request.target} HTTP/1.1", _changed(request, answer))


def _is_plain_read(request: RequestHead) -> bool:
    """Of an object, with nothing in the query: whatever else there is takes more than the store to answer."""
    return (
        request.method in {"GET", "HEAD"}
        and not request.length
        and "?" not in request.target
        and request.target.find("/", 1) > 0
    )


def _changed(request: RequestHead, answer: EdgeAnswer) -> Iterator[tuple[bytes, bytes]]:
    """The client's headers as the answer wants them."""
    said = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in answer.headers.items()}
    for name, value in request.fields:
        if name not in said and name not in _NOT_PASSED_ON:
            yield name, value
    yield from ((name, value) for name, value in said.items() if value != DELETE.encode())
    if answer.identity:
        yield IDENTITY.encode(), answer.identity.encode("latin-1")
