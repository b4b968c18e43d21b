"""Livy's port: HTTP for those who have the token, and kernels of the gateway beside it.

Whoever asks proves himself by Basic authentication: any name, and the cluster's token. The edge puts it in place of
the credentials that the control plane gave (`GetClusterSessionCredentials`), the cluster's own programs find it
in `LIVY_URL`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketClientConnection, websocket_connect

from emr_studio_cluster.config import GATEWAY_PORT, LIVY_PORT, NodeConfig
from emr_studio_cluster.livy.api import Answer, Api, Call
from emr_studio_cluster.livy.asked import LARGEST_BODY
from emr_studio_cluster.livy.sessions import KernelGone
from emr_studio_cluster.livy.statements import Heard

_TEND_SECONDS = 5.0
_PING_SECONDS = 30.0
_START_SECONDS = 120.0
_SHORT_SECONDS = 20.0
_GONE = ("restarting", "dead")


def run(config: NodeConfig, folder: Path) -> None:
    """Serve until a signal ends it."""
    asyncio.run(_serve(config, folder))


async def _serve(config: NodeConfig, folder: Path) -> None:
    api = Api(config, folder, Gateway(config))
    api.take_over()
    application = Application([(r"/.*", Handler, {"api": api, "token": config.livy_token})])
    # A body beyond what is understood is answered, one far beyond is cut off.
    server = HTTPServer(application, max_body_size=8 * LARGEST_BODY)
    server.listen(LIVY_PORT, config.address)
    while True:
        await asyncio.sleep(_TEND_SECONDS)
        await api.tend()


class Handler(RequestHandler):  # type: ignore[misc]  # tornado is in the cluster's environment alone
    """Every request."""

    def initialize(self, api: Api, token: str) -> None:
        """What the application was given."""
        self._api = api
        self._token = token

    async def _answer(self, *_: str) -> None:
        owner = _owner(self.request.headers.get("Authorization", ""), self._token)
        if owner is None:
            self.set_header("WWW-Authenticate", 'Basic realm="livy"')
            self._write(Answer(401, {"msg": "The credentials are not valid."}))
            return
        query = {name: values[-1].decode(errors="replace") for name, values in self.request.arguments.items()}
        call = Call(self.request.method or "", self.request.path, query, self.request.body, owner)
        self._write(await self._api.answer(call))

    def _write(self, answer: Answer) -> None:
        self.set_status(answer.status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        if answer.location:
            self.set_header("Location", answer.location)
        self.finish(json.dumps(answer.document))

    get = post = put = patch = delete = options = _answer


def _owner(header: str, token: str) -> str | None:
    """The name that comes with the token; None for another token."""
    kind, _, given = header.partition(" ")
    try:
        name, _, shown = base64.b64decode(given.strip() if kind.lower() == "basic" else "", validate=True).partition(
            b":"
        )
    except (binascii.Error, ValueError):
        return None
    is_right = bool(token) and hmac.compare_digest(shown, token.encode())
    return (name.decode(errors="replace") or "livy") if is_right else None


class Gateway:
    """The kernel gateway of this node."""

    def __init__(self, config: NodeConfig) -> None:
        self._place = f"{config.address}:{GATEWAY_PORT}/api/kernels"
        self._headers = {"Authorization": f"token {config.gateway_token}"}

    async def start(self) -> GatewayKernel:
        """A new kernel of Python."""
        body = json.dumps({"name": "python3"})
        found = await self.ask("POST", "", body=body, request_timeout=_START_SECONDS)
        return await self._connected(found["id"])

    async def adopt(self, kernel_id: str) -> GatewayKernel:
        """One that runs already; the gateway may be on its way up as well."""
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            try:
                return await self._connected(kernel_id)
            except KernelGone:
                if await self._is_known(kernel_id) is False or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(1)

    async def _is_known(self, kernel_id: str) -> bool | None:
        """None if the gateway does not answer."""
        try:
            await self.ask("GET", f"/{kernel_id}")
        except KernelGone as gone:
            return False if isinstance(gone.__cause__, HTTPError) and gone.__cause__.code == 404 else None
        return True

    async def _connected(self, kernel_id: str) -> GatewayKernel:
        request = HTTPRequest(f"ws://{self._place}/{kernel_id}/channels", headers=self._headers)
        request.connect_timeout = _START_SECONDS
        try:
            stream = await websocket_connect(request, ping_interval=_PING_SECONDS)
        except (OSError, HTTPError) as error:
            raise KernelGone(f"The kernel cannot be reached: {error}") from error
        return GatewayKernel(self, kernel_id, stream)

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """One question to its API.

        Raises:
            KernelGone: it refuses or does not answer.
        """
        options.setdefault("request_timeout", _SHORT_SECONDS)
        body = options.pop("body", "" if method == "POST" else None)
        try:
            answer = await AsyncHTTPClient().fetch(
                f"http://{self._place}{path}", method=method, headers=self._headers, body=body, **options
            )
        except (OSError, HTTPError) as error:
            raise KernelGone(f"The kernel gateway refuses: {error}") from error
        return json.loads(answer.body) if answer.body else None


class GatewayKernel:
    """A kernel, and the websocket to it; one reader hands each answer to who waits for it."""

    def __init__(self, gateway: Gateway, kernel_id: str, stream: WebSocketClientConnection) -> None:
        self.id = kernel_id
        self._gateway = gateway
        self._stream = stream
        self._waiting: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._is_gone = False
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        while (text := await self._stream.read_message()) is not None:
            message = json.loads(text)
            if message["msg_type"] == "status" and message["content"]["execution_state"] in _GONE:
                break
            waiting = self._waiting.get((message.get("parent_header") or {}).get("msg_id", ""))
            if waiting is not None:
                waiting.put_nowait(message)
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
