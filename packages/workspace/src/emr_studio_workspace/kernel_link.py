"""The server's own line to a kernel behind the gateway; it is dialled again when it is lost."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import uuid
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayClient, gateway_request
from jupyter_server.services.kernels.connection.base import deserialize_binary_message
from jupyter_server.utils import url_path_join
from tornado.escape import url_escape
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, websocket_connect

from emr_studio_workspace.gateway import RelayResolver, pointer

# Outputs may be large; tornado's default of 10 MiB would cut the connection.
LARGEST_MESSAGE = 512 * 1024 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
_NO_JOURNAL = 404


class KernelGone(Exception):
    """The kernel has ended, or its cluster is no longer attached."""


class Reconnected(Exception):
    """The line was lost and is up again: messages of the time between may be missing."""


class NoJournal(Exception):
    """The gateway does not keep what kernels have said (another than ours), or does not know the kernel."""


async def dial(kernel_id: str, session_id: str, subprotocols: list[str] | None = None) -> Any:
    """A websocket to the kernel's channels.

    Raises:
        HTTPClientError: 404, the gateway does not know the kernel.
        OSError: the gateway was not reached.
    """
    client = GatewayClient.instance()
    url = url_path_join(client.ws_url or "", client.kernels_endpoint, url_escape(kernel_id), "channels")
    if session_id:
        url += f"?session_id={url_escape(session_id)}"
    request = HTTPRequest(url, **client.load_connection_args())
    return await websocket_connect(
        request, subprotocols=subprotocols, max_message_size=LARGEST_MESSAGE, resolver=RelayResolver()
    )


class KernelLink:
    """Sends requests to one kernel and reads all that it says."""

    def __init__(self, kernel_id: str, session: str = "", cluster_id: str = "") -> None:
        self.kernel_id = kernel_id
        self.session = session or uuid.uuid4().hex
        self._stream: Any = None
        target = pointer.target
        self.cluster_id = cluster_id or (target.cluster_id if target else "")

    async def open(self) -> None:
        """Dial until it answers.

        Raises:
            KernelGone: it never will.
        """
        pause = FIRST_PAUSE
        while self._stream is None:
            if not pointer.may_lead_to(self.cluster_id):
                raise KernelGone("The cluster of this kernel is no longer attached.")
            try:
                if pointer.target is not None:
                    self._stream = await dial(self.kernel_id, self.session)
            except HTTPClientError as error:
                if error.code == 404:
                    raise KernelGone("The kernel has ended.") from error
            except OSError:
                pass
            if self._stream is None:
                await asyncio.sleep(pause * (0.5 + random.random()))
                pause = min(pause * 2, LONGEST_PAUSE)

    async def send(
        self, channel: str, kind: str, content: dict[str, Any], parent: Any = None, message_id: str = ""
    ) -> str:
        """Send a message; its id.

        Raises:
            KernelGone: see `open`.
        """
        header = {
            "msg_id": message_id or uuid.uuid4().hex,
            "msg_type": kind,
            "username": "",
            "session": self.session,
            "date": dt.datetime.now(dt.UTC).isoformat(),
            "version": "5.3",
        }
        frame = {"header": header, "parent_header": parent or {}, "metadata": {}, "content": content}
        text = json.dumps(frame | {"channel": channel, "buffers": []})
        while True:
            await self.open()
            try:
                await self._stream.write_message(text)
            except WebSocketClosedError:
                self._stream = None
                continue
            return str(header["msg_id"])

    @property
    def is_open(self) -> bool:
        """Whether it has been dialled."""
        return self._stream is not None

    async def read(self, seconds: float | None = None) -> dict[str, Any]:
        """The next message.

        Raises:
            Reconnected: the line was lost meanwhile.
            KernelGone: for good.
            TimeoutError: no message within `seconds`, with the line up.
        """
        if self._stream is None:
            await self.open()
            raise Reconnected
        frame = await asyncio.wait_for(self._stream.read_message(), seconds)
        if frame is None:
            self._stream = None
            await self.open()
            raise Reconnected
        found: dict[str, Any] = json.loads(frame) if isinstance(frame, str) else deserialize_binary_message(frame)
        return found

    async def recall(self, execution: str, start: int, wait: float) -> tuple[list[dict[str, Any]], int]:
        """What the kernel has said of an execution from `start` on, and the `start` of what follows.

        The first `start` is 0, and what follows stays 0 while the kernel knows nothing of the execution.
        The answer comes as soon as there is something to tell, or after `wait` seconds.

        Raises:
            NoJournal: this kernel's gateway keeps nothing.
            OSError, HTTPError: the gateway was not reached.
        """
        client = GatewayClient.instance()
        path = f"{url_escape(self.kernel_id)}/executions/{url_escape(execution)}?from={start}&wait={wait}"
        try:
            answer = await gateway_request(url_path_join(client.url or "", client.kernels_endpoint, path), method="GET")
        except HTTPError as error:
            if error.status_code == _NO_JOURNAL:
                raise NoJournal from error
            raise
        found = json.loads(answer.body)
        return found["messages"], found["next"]

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
