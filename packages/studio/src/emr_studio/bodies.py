"""Bodies of requests that are never long."""

from __future__ import annotations

from starlette.requests import Request


async def short_body(request: Request, most: int) -> bytes | None:
    """The body; None if it is longer than `most` octets, whose rest is not read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
