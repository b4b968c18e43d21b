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
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import websocket_connect

from emr_studio_cluster.config import GATEWAY_PORT, LIVY_PORT, NodeConfig
from emr_studio_cluster.livy.api import Answer, Api, Call
from emr_studio_cluster.livy.asked import LARGEST_BODY
from emr_studio_cluster.livy.channels import GatewayKernel
from emr_studio_cluster.livy.sessions import KernelGone

_TEND_SECONDS = 5.0
_PING_SECONDS = 30.0
_START_SECONDS = 120.0
_SHORT_SECONDS = 20.0
_LARGEST_MESSAGE = 512 * 1024 * 1024
"""One that is larger ends the session: a picture or a table may be of some."""


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
            stream = await websocket_connect(request, ping_interval=_PING_SECONDS, max_message_size=_LARGEST_MESSAGE)
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
