"""A browser's part of the main job, without a browser: sign in, open a Workspace, run a notebook.

Speaks only what a browser speaks: the Studio's sign-in, the presigned link, Jupyter's REST API and
kernel websocket, each on its own origin with that origin's own cookie.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from websockets import Origin as OriginHeader
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect


class BrowserError(Exception):
    """An answer that a person would have seen as an error page."""


class Origin:
    """One origin (scheme, host, port) with its cookies, reached on loopback whatever its name."""

    def __init__(self, origin: str, timeout: float = 60.0) -> None:
        parts = urlsplit(origin)
        self.host = parts.netloc
        self.port = parts.port or 80
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.cookies: dict[str, str] = {}
        # `*.localhost` is resolved by browsers, not by every libc: connect to loopback by address.
        address = f"http://127.0.0.1:{self.port}" if self._is_local() else self.url
        self._http = httpx.Client(base_url=address, timeout=timeout, follow_redirects=False)

    def _is_local(self) -> bool:
        return self.host.split(":")[0].endswith("localhost")

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send one request with this origin's cookies; keeps the cookies of the answer."""
        headers = dict(arguments.pop("headers", {}))
        headers |= {"Host": self.host, "Origin": self.url}
        if self.cookies:
            headers["Cookie"] = self.cookie_header()
        if "_xsrf" in self.cookies:
            headers["X-XSRFToken"] = self.cookies["_xsrf"]
        answer = self._http.request(method, path, headers=headers, **arguments)
        for value in answer.headers.get_list("set-cookie"):
            name, _, rest = value.partition("=")
            self.cookies[name.strip()] = rest.split(";")[0]
        return answer

    def cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def json(self, method: str, path: str, **arguments: Any) -> Any:
        """As `request`, for JSON.

        Raises:
            BrowserError: the status is an error.
        """
        answer = self.request(method, path, **arguments)
        if answer.is_error:
            raise BrowserError(f"{method} {self.url}{path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def websocket(self, path: str) -> ClientConnection:
        """Open a websocket with this origin's cookies."""
        target = f"ws://{self.host}{path}"
        headers = {"Cookie": self.cookie_header()}
        dialled: socket.socket | None = None
        try:
            if self._is_local():
                # As above: dial loopback, whatever the name.
                dialled = socket.create_connection(("127.0.0.1", self.port), 30)
            return connect(
                target,
                sock=dialled,
                additional_headers=headers,
                origin=OriginHeader(self.url),
                max_size=None,
                # As long as a request may take: what is behind may be starting.
                open_timeout=60,
            )
        except (WebSocketException, OSError) as error:
            if dialled:
                dialled.close()
            raise BrowserError(f"websocket {target}: {error}") from error


def sign_in(studio_url: str, user_name: str, password: str) -> Origin:
    """Sign in at a Studio's own URL with an IAM user's name and password."""
    origin = Origin(studio_url)
    origin.json("POST", "/_signin", json={"userName": user_name, "password": password})
    return origin


class Workspace:
    """An open Workspace: the Jupyter server behind a presigned link."""

    def __init__(self, presigned_url: str) -> None:
        parts = urlsplit(presigned_url)
        self.origin = Origin(f"{parts.scheme}://{parts.netloc}")
        answer = self.origin.request("GET", f"{parts.path}?{parts.query}")
        if answer.status_code not in {httpx.codes.FOUND, httpx.codes.SEE_OTHER}:
            raise BrowserError(f"opening the Workspace: {answer.status_code} {answer.text[:300]}")
        self.landing = answer.headers["location"]
        page = self.origin.request("GET", urlsplit(self.landing).path)
        if page.is_error or "jupyter" not in page.text.lower():
            raise BrowserError(f"the Workspace's page: {page.status_code} {page.text[:300]}")

    def close(self) -> None:
        self.origin.close()

    def read(self, path: str) -> dict[str, Any]:
        """A file of the Workspace, in the form of Jupyter's contents API."""
        found: dict[str, Any] = self.origin.json("GET", f"/api/contents/{quote(path)}")
        return found

    def save_notebook(self, path: str, notebook: dict[str, Any]) -> None:
        """Save as JupyterLab's Ctrl+S does."""
        body = {"type": "notebook", "format": "json", "content": notebook}
        self.origin.json("PUT", f"/api/contents/{quote(path)}", json=body)

    def delete(self, path: str) -> None:
        self.origin.json("DELETE", f"/api/contents/{quote(path)}")

    def kernel_specs(self) -> list[str]:
        return sorted(self.origin.json("GET", "/api/kernelspecs")["kernelspecs"])

    def start_session(self, path: str, kernel: str) -> str:
        """Start a notebook session; returns the kernel's id."""
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
        answer: dict[str, Any] = self.origin.json("POST", "/api/sessions", json=body)
        return str(answer["kernel"]["id"])

    def run(self, kernel_id: str, code: str, timeout: float = 300.0) -> list[dict[str, Any]]:
        """Run one cell and return its outputs as they would stand in the notebook.

        Raises:
            BrowserError: the cell failed, the message holds the traceback; or the kernel cannot be reached.
        """
        session = uuid.uuid4().hex
        channels = self.origin.websocket(f"/api/kernels/{kernel_id}/channels?session_id={session}")
        with channels:
            message_id = uuid.uuid4().hex
            try:
                channels.send(json.dumps(_execute_request(session, message_id, code)))
            except WebSocketException as error:
                raise BrowserError(f"the kernel's line is cut: {error}") from error
            return _as_shown(_messages(channels, message_id, timeout))


def _execute_request(session: str, message_id: str, code: str) -> dict[str, Any]:
    header = {"msg_id": message_id, "msg_type": "execute_request", "session": session, "username": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }


def _as_shown(messages: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs of a cell; what is shown again under its own id takes its place.

    Raises:
        BrowserError: the cell failed.
    """
    outputs: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    failed: BrowserError | None = None
    for message in messages:
        kind, content = message["msg_type"], message["content"]
        display = content.get("transient", {}).get("display_id", "")
        if kind == "stream":
            outputs.append({"output_type": "stream", "name": content["name"], "text": content["text"]})
        elif kind in {"display_data", "execute_result"}:
            places[display] = len(outputs)
            count = {"execution_count": content["execution_count"]} if kind == "execute_result" else {}
            outputs.append({"output_type": kind, "data": content["data"], "metadata": content["metadata"]} | count)
        elif kind == "update_display_data" and display in places:
            outputs[places[display]] |= {"data": content["data"], "metadata": content["metadata"]}
        elif kind == "error":
            # Heard to its end: a kernel passes over what it is asked before a cell that failed has ended.
            failed = BrowserError("\n".join(content["traceback"]) or f"{content['ename']}: {content['evalue']}")
    if failed is not None:
        raise failed
    return outputs


def _messages(channels: ClientConnection, message_id: str, timeout: float) -> Iterator[dict[str, Any]]:
    """What the kernel says of a cell, to its end."""
    while True:
        try:
            message = json.loads(channels.recv(timeout=timeout))
        except (TimeoutError, WebSocketException) as error:
            raise BrowserError(f"the kernel said nothing for {timeout:.0f} s: {error}") from error
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return
        yield message
