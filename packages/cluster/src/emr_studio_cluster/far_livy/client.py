"""One session of a Livy elsewhere, over its REST protocol (0.8), through the door of the cluster from outside.

The door has the credentials; the kernel proves itself to it with the gateway's token.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from enum import StrEnum
from typing import Any

from emr_studio_cluster.background import Background
from emr_studio_cluster.config import LIVY_PORT, NodeConfig

_ASK_SECONDS = 60.0
_END_SECONDS = 3.0
_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.05, 1.0
_HEARTBEAT_SECONDS = 30.0
HEARTBEAT_TIMEOUT_SECONDS = 120
"""Livy ends the session of a kernel that was killed after that time."""
_READY = ("idle", "busy")
_OVER = ("dead", "error", "killed", "shutting_down", "success")
_LOG_LINES = 20
_NOT_FOUND = 404
Mapped = dict[str, Any]


class LivyError(Exception):
    """Livy refuses, fails, or does not answer; the text is for a person."""


class SessionGone(LivyError):
    """The session has ended."""


class Opened(StrEnum):
    """What opening a session did."""

    THERE = "THERE"
    NEW = "NEW"
    AGAIN = "AGAIN"
    """There had been one, which has ended."""


def prefix_of(cluster_id: str) -> str:
    """How the names of all sessions begin that kernels of a cluster make: the door ends those at its own end."""
    return f"emr-studio-{cluster_id}-"


class Livy:
    """Asks one Livy."""

    def __init__(self, config: NodeConfig) -> None:
        self._base = f"http://{config.primary_address}:{LIVY_PORT}"
        self._headers = {"Authorization": f"token {config.gateway_token}", "Content-Type": "application/json"}
        # What Livy asks for where it guards itself against forged requests.
        self._headers["X-Requested-By"] = "emr-studio"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, seconds: float = _ASK_SECONDS) -> Any:
        """Return the answer's document.

        Raises:
            SessionGone: there is no such session or statement.
            LivyError: with Livy's own words, or why it does not answer.
        """
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._base + path, data, self._headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=seconds) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            words = _words(error)
            if error.code == _NOT_FOUND:
                raise SessionGone(words) from error
            raise LivyError(words) from error
        except (OSError, ValueError) as error:
            raise LivyError(f"Livy does not answer: {error}") from error


def _words(error: urllib.error.HTTPError) -> str:
    """What Livy says of its refusal, in `msg` or as plain text; the door says it in `message`."""
    text = error.read(4096).decode(errors="replace").strip()
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, str):
            return found
        if isinstance(found, dict):
            return str(found.get("msg") or found.get("message") or text)
    return text if text and "<" not in text else f"Livy answers HTTP {error.code}."


class FarSession:
    """A kernel's session: made by the first statement, kept alive, ended with the kernel."""

    def __init__(self, livy: Livy, cluster_id: str, kind: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._livy, self._cluster_id, self._kind = livy, cluster_id, kind
        self._sleep = sleep
        self._path = ""
        self._beating: threading.Thread | None = None
        self.settings: Mapped = {}
        """What `%%configure` asked for: members of Livy's request."""

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return bool(self._path)

    def open(self) -> Opened:
        """Make it if there is none any more, and wait until it can work.

        Raises:
            LivyError: it did not start; the text has the end of its log.
        """
        opened = Opened.NEW
        if self._path:
            try:
                self._wait_until_ready()
                return Opened.THERE
            except SessionGone:
                opened = Opened.AGAIN
        self._make()
        self._wait_until_ready()
        return opened

    def _make(self) -> None:
        name = prefix_of(self._cluster_id) + uuid.uuid4().hex[:8]
        asked = {"heartbeatTimeoutInSecond": HEARTBEAT_TIMEOUT_SECONDS, **self.settings}
        found = self._livy.ask("POST", "/sessions", {**asked, "kind": self._kind, "name": name})
        self._path = f"/sessions/{int(found['id'])}"
        self._beat()

    def _wait_until_ready(self) -> None:
        for pause in _pauses():
            state = self.look()["state"]
            if state in _READY:
                return
            if state in _OVER:
                told = "\n".join(self._log())
                self.forget()
                raise SessionGone(f"The Livy session is {state}.\n{told}".strip())
            self._sleep(pause)

    def look(self) -> Mapped:
        """What Livy shows of it; a heartbeat too.

        Raises:
            SessionGone: it is no more.
        """
        try:
            return dict(self._livy.ask("GET", self._path))
        except SessionGone:
            self.forget()
            raise

    def _log(self) -> list[str]:
        with suppress(LivyError, KeyError):
            return [str(line) for line in self._livy.ask("GET", f"{self._path}/log?size={_LOG_LINES}")["log"]]
        return []

    def run(self, code: str, kind: str, tell: Callable[[float], None]) -> Mapped:
        """Run a statement and return its `output`; `tell` hears how much of it is done (0 to 1).

        Raises:
            SessionGone: the session ended before or meanwhile.
            LivyError: Livy refuses, or does not answer.
            KeyboardInterrupt: after the statement was cancelled.
        """
        sent: Future[str] = Future()
        try:
            Background(lambda: self._send(code, kind, sent), "livy-statement").start()
            return self._output(sent.result(), tell)
        except KeyboardInterrupt:
            # Of another thread: an interrupt that comes again ends the waiting, not the cancelling.
            Background(lambda: self._cancel(sent), "livy-cancel").start().wait()
            raise

    def _send(self, code: str, kind: str, sent: Future[str]) -> None:
        """Of a thread that nothing interrupts: Livy may have the statement before its answer is here."""
        if not sent.set_running_or_notify_cancel():
            return
        path = f"{self._path}/statements"
        try:
            number = int(self._livy.ask("POST", path, {"code": code, "kind": kind})["id"])
        except Exception as error:  # whoever waits raises it
            sent.set_exception(error)
        else:
            sent.set_result(f"{path}/{number}")

    def _output(self, path: str, tell: Callable[[float], None]) -> Mapped:
        for pause in _pauses():
            found = self._livy.ask("GET", path)
            if found["state"] in ("available", "error", "cancelled"):
                return dict(found["output"] or _cancelled(found["state"]))
            tell(float(found.get("progress") or 0))
            if pause >= _LONGEST_POLL_SECONDS and self.look()["state"] in _OVER:
                self.forget()
                raise SessionGone("The Livy session ended while the statement ran.")
            self._sleep(pause)
        raise AssertionError

    def _cancel(self, sent: Future[str]) -> None:
        if sent.cancel():
            return  # it has not been sent yet
        with suppress(LivyError):
            path = sent.result()
            self._livy.ask("POST", f"{path}/cancel", {})
            deadline = time.monotonic() + _ASK_SECONDS
            while time.monotonic() < deadline and self._livy.ask("GET", path)["state"] in ("running", "cancelling"):
                self._sleep(_LONGEST_POLL_SECONDS / 5)

    def complete(self, code: str, cursor: int) -> list[str]:
        """What could stand at the cursor; nothing if Livy does not know."""
        with suppress(LivyError, KeyError):
            asked = {"code": code, "kind": self._kind, "cursor": cursor}
            return [str(one) for one in self._livy.ask("POST", f"{self._path}/completion", asked)["candidates"]]
        return []

    def end(self) -> None:
        """End it; a Livy that is away ends it by itself for want of heartbeats."""
        path, self._path = self._path, ""
        if path:
            with suppress(LivyError):
                self._livy.ask("DELETE", path, seconds=_END_SECONDS)

    def forget(self) -> None:
        """Have none."""
        self._path = ""

    def _beat(self) -> None:
        """Let Livy know that somebody is there, for as long as there is a session."""
        if self._beating is None or not self._beating.is_alive():
            self._beating = threading.Thread(target=self._keep_alive, name="livy-heartbeat", daemon=True)
            self._beating.start()

    def _keep_alive(self) -> None:
        while path := self._path:
            threading.Event().wait(_HEARTBEAT_SECONDS)
            with suppress(LivyError):
                self._livy.ask("GET", path)


def _pauses() -> Any:
    """How long to wait before asking again: short at first."""
    pause = _POLL_SECONDS
    while True:
        yield pause
        pause = min(_LONGEST_POLL_SECONDS, pause * 1.3)


def _cancelled(state: str) -> Mapped:
    return {"status": "error", "ename": "Cancelled", "evalue": f"The statement is {state}.", "traceback": []}
