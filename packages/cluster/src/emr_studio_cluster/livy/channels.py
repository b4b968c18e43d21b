"""A kernel of the gateway, and the websocket with all that it says."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import uuid
from contextlib import suppress
from typing import Any, Protocol

from emr_studio_cluster.livy.sessions import KernelGone
from emr_studio_cluster.livy.statements import Heard

log = logging.getLogger(__name__)

_GONE = ("restarting", "dead")


class Asks(Protocol):
    """The gateway's API."""

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """One question; raises `KernelGone`."""
        ...


class GatewayKernel:
    """A kernel, and the websocket to it; one reader hands each answer to who waits for it."""

    def __init__(self, gateway: Asks, kernel_id: str, stream: Any) -> None:
        self.id = kernel_id
        self._gateway = gateway
        self._stream = stream
        self._waiting: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._is_gone = False
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self._reader.add_done_callback(self._end)

    async def _read(self) -> None:
        while (frame := await self._stream.read_message()) is not None:
            message = _message(frame)
            if message["msg_type"] == "status" and message["content"]["execution_state"] in _GONE:
                break
            waiting = self._waiting.get((message.get("parent_header") or {}).get("msg_id", ""))
            if waiting is not None:
                waiting.put_nowait(message)

    def _end(self, reader: asyncio.Task[None]) -> None:
        """Whatever ended the reader: nobody is told anything any more."""
        if not reader.cancelled() and (error := reader.exception()) is not None:
            log.error("what kernel %s says is not understood", self.id, exc_info=error)
        self._is_gone = True
        for waiting in self._waiting.values():
            waiting.put_nowait({"msg_type": "gone", "content": {}})

    async def run(self, code: str, *, silent: bool = False) -> Heard:
        """Run one cell to its end."""
        content = {"code": code, "silent": silent, "store_history": not silent, "user_expressions": {}}
        heard = Heard()
        async with _Conversation(self, "execute_request", content | {"allow_stdin": False}) as messages:
            # The end is told twice, on two channels; nothing comes after both.
            ends = set[str]()
            while len(ends) < 2:
                message = await messages.get()
                kind, found = message["msg_type"], message["content"]
                if kind == "gone":
                    raise KernelGone("The session's kernel ended.")
                if kind == "execute_reply" or (kind == "status" and found["execution_state"] == "idle"):
                    ends.add(kind)
                else:
                    heard.take(kind, found)
        return heard

    async def complete(self, code: str, cursor: int) -> list[str]:
        """What could stand at the cursor."""
        content = {"code": code, "cursor_pos": cursor}
        async with _Conversation(self, "complete_request", content) as messages:
            while True:
                message = await messages.get()
                if message["msg_type"] == "gone":
                    raise KernelGone("The session's kernel ended.")
                if message["msg_type"] == "complete_reply":
                    return list(message["content"]["matches"])

    async def interrupt(self) -> None:
        """Interrupt what runs."""
        with suppress(KernelGone):
            await self._gateway.ask("POST", f"/{self.id}/interrupt")

    async def close(self) -> None:
        """End it."""
        self._reader.cancel()
        self._stream.close()
        with suppress(KernelGone):
            await self._gateway.ask("DELETE", f"/{self.id}")

    async def send(self, message_id: str, kind: str, content: dict[str, Any]) -> None:
        """Send a message on the shell's channel."""
        header = {"msg_id": message_id, "msg_type": kind, "version": "5.3", "username": "livy", "session": self.id}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        await self._stream.write_message(json.dumps(request))


class _Conversation:
    """A request to a kernel and what it says to that."""

    def __init__(self, kernel: GatewayKernel, kind: str, content: dict[str, Any]) -> None:
        self._kernel, self._kind, self._content = kernel, kind, content
        self._id = uuid.uuid4().hex

    async def __aenter__(self) -> asyncio.Queue[dict[str, Any]]:
        if self._kernel._is_gone:
            raise KernelGone("The session's kernel ended.")
        messages = self._kernel._waiting[self._id] = asyncio.Queue()
        try:
            await self._kernel.send(self._id, self._kind, self._content)
        except Exception as error:  # the stream has closed meanwhile
            del self._kernel._waiting[self._id]
            raise KernelGone(f"The session's kernel cannot be reached: {error}") from error
        return messages

    async def __aexit__(self, *_: object) -> None:
        self._kernel._waiting.pop(self._id, None)


def _message(frame: str | bytes) -> dict[str, Any]:
    """What a frame says; one with buffers, as a widget's, is binary: their number, their places, JSON first."""
    if isinstance(frame, bytes):
        (count,) = struct.unpack_from("!i", frame)
        places = struct.unpack_from(f"!{count}I", frame, 4)
        frame = frame[places[0] : places[1] if count > 1 else None]
    found: dict[str, Any] = json.loads(frame)
    return found
