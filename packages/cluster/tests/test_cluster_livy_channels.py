"""What a kernel of the gateway says to Livy's sessions, without a gateway."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest

from emr_studio_cluster.livy.channels import GatewayKernel
from emr_studio_cluster.livy.sessions import KernelGone

SAID: tuple[tuple[str, dict[str, str]], ...] = (
    ("stream", {"text": "a"}),
    ("execute_reply", {}),
    ("status", {"execution_state": "idle"}),
)


def binary(message: dict[str, Any], *buffers: bytes) -> bytes:
    """Jupyter's frame of a message with buffers."""
    parts = [json.dumps(message).encode(), *buffers]
    places = [4 * (1 + len(parts)) + sum(map(len, parts[:number])) for number in range(len(parts))]
    return struct.pack(f"!{1 + len(parts)}i", len(parts), *places) + b"".join(parts)


class Stream:
    """A websocket that says `before` of each request, and then that it was run."""

    def __init__(self, *before: str | bytes | None) -> None:
        self._before = before
        self._frames: asyncio.Queue[str | bytes | None] = asyncio.Queue()

    async def write_message(self, text: str) -> None:
        for frame in self._before:
            self._frames.put_nowait(frame)
        parent = {"msg_id": json.loads(text)["header"]["msg_id"]}
        for kind, content in SAID:
            message = {"msg_type": kind, "content": content, "parent_header": parent}
            self._frames.put_nowait(binary(message, b"\xff", b"") if kind == "stream" else json.dumps(message))

    async def read_message(self) -> str | bytes | None:
        return await self._frames.get()

    def close(self) -> None:
        self._frames.put_nowait(None)


class Gateway:
    """It has nothing to say."""

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        assert (method, path, options) == ("DELETE", "/k-1", {})


async def heard(stream: Stream) -> list[str]:
    kernel = GatewayKernel(Gateway(), "k-1", stream)
    try:
        async with asyncio.timeout(60):
            return (await kernel.run("1")).text
    finally:
        await kernel.close()


def test_messages_with_buffers_are_heard() -> None:
    comm = binary({"msg_type": "comm_open", "content": {}, "parent_header": {}})
    assert asyncio.run(heard(Stream(comm))) == ["a"]


@pytest.mark.parametrize("last", [None, "no message", b""])
def test_a_kernel_that_says_nothing_more_keeps_nobody_waiting(last: str | bytes | None) -> None:
    with pytest.raises(KernelGone, match="ended"):
        asyncio.run(heard(Stream(last)))


def test_a_kernel_that_is_closed_keeps_nobody_waiting() -> None:
    async def closed() -> None:
        kernel = GatewayKernel(Gateway(), "k-1", Stream())
        running = asyncio.ensure_future(kernel.run("1"))
        await kernel.close()
        async with asyncio.timeout(60):
            await running

    with pytest.raises(KernelGone, match="ended"):
        asyncio.run(closed())
