"""A body is read up to its bound and no further."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from emr_studio.bodies import short_body


class Sent:
    """A request's body as it comes in; counts what was taken of it."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts, self.taken = list(parts), 0

    async def receive(self) -> Message:
        part = self.parts[self.taken]
        self.taken += 1
        return {"type": "http.request", "body": part, "more_body": self.taken < len(self.parts)}


@pytest.mark.parametrize(
    ("parts", "read", "taken"),
    [
        ([b""], b"", 1),
        ([b"1234", b"5678"], b"12345678", 2),
        ([b"1234", b"5678", b"9", b"never"], None, 3),
        ([b"123456789", b"never"], None, 1),
    ],
)
async def test_up_to_eight_octets(parts: list[bytes], read: bytes | None, taken: int) -> None:
    sent = Sent(parts)
    assert await short_body(Request({"type": "http"}, sent.receive), 8) == read
    assert sent.taken == taken
