"""The stream between a browser tab and its kernel; it survives the loss of the gateway's side."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any

from jupyter_server.gateway.connections import GatewayWebSocketConnection
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClosedError
from traitlets import Unicode

from emr_studio_workspace.frames import V1, Frame, translate
from emr_studio_workspace.gateway import pointer
from emr_studio_workspace.kernel_link import FIRST_PAUSE, LONGEST_PAUSE, dial

_MOST_WAITING = 100_000


class AttachedWebSocketConnection(GatewayWebSocketConnection):
    """One tab's stream. While the gateway is away, what the tab sends waits here."""

    # None: whichever the tab prefers (the parent allows only the old one, which browsers must retry).
    kernel_ws_protocol = Unicode(None, allow_none=True, config=True)
    ws: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._waiting: deque[Frame] = deque(maxlen=_MOST_WAITING)
        target = pointer.target
        self._cluster_id = target.cluster_id if target else ""
        self._task: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Begin: connect, and connect again after each loss, until the tab or the kernel is gone."""
        self._task = asyncio.create_task(self._stay_connected())

    def disconnect(self) -> None:
        """The tab is gone."""
        self.disconnected = True
        if self._task is not None:
            self._task.cancel()
        if self.ws is not None:
            self.ws.close()

    async def _stay_connected(self) -> None:
        pause = FIRST_PAUSE
        while not self.disconnected and self._still_attached():
            try:
                self.ws = await self._dial()
            except HTTPClientError as error:
                if error.code == 404:
                    break
            except OSError:
                pass
            else:
                pause = FIRST_PAUSE
                await self._read()
            self.ws = None
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 2, LONGEST_PAUSE)
        # The kernel is gone for good: the tab asks anew and learns it.
        self.websocket_handler.close()

    async def _dial(self) -> Any:
        wanted = [V1] if self._tab_protocol == V1 else None
        return await dial(self.kernel_id, self.session_id, wanted)

    async def _read(self) -> None:
        """Pass on what the kernel says until the gateway's side is lost."""
        stream = self.ws
        self._start_sending()
        while (frame := await stream.read_message()) is not None:
            frame = translate(frame, stream.selected_subprotocol, self._tab_protocol)
            try:
                await self.websocket_handler.write_message(frame, binary=isinstance(frame, bytes))
            except WebSocketClosedError:
                return

    @property
    def _tab_protocol(self) -> str | None:
        protocol: str | None = self.websocket_handler.selected_subprotocol
        return protocol

    def _still_attached(self) -> bool:
        target = pointer.target
        return target is not None and target.cluster_id == self._cluster_id

    def handle_incoming_message(self, message: Frame) -> None:
        """Pass a message of the tab on, in order; keep it while the gateway is away."""
        self._waiting.append(message)
        self._start_sending()

    def _start_sending(self) -> None:
        if self.ws is not None and (self._sender is None or self._sender.done()):
            self._sender = asyncio.create_task(self._send(self.ws))

    async def _send(self, stream: Any) -> None:
        while self._waiting:
            frame = translate(self._waiting[0], self._tab_protocol, stream.selected_subprotocol)
            try:
                await stream.write_message(frame, binary=isinstance(frame, bytes))
            except WebSocketClosedError:
                return
            self._waiting.popleft()
