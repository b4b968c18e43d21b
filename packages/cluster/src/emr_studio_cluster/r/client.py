"""R's own Jupyter kernel (IRkernel) as a child of this process, which is its only client.

It ends with its parent. Its port numbers and key are in a file that only its user reads.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.session import Session

from emr_studio_cluster import driver

_SOURCES = Path(__file__).parent / "sparkr"
_START_SECONDS = 60.0
_LOOK_MILLISECONDS = 100
_ASK_MILLISECONDS = 500
_LAST_OCTETS = 2000
_SHOWN = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "clear_output", "error"},
)
Message = tuple[str, dict[str, Any]]
"""Its type and content."""


class REnded(Exception):
    """R is not there, or no longer; the text says why."""


class RProcess:
    """One R. Starts at once; `wait` says when it listens."""

    def __init__(self, folder: Path, bridge: Path) -> None:
        """`folder`: a new one for its files; `bridge`: where its pipes are.

        Must be made by the thread that lives longest: the kernel (of Linux) ends the child with it.
        """
        folder.mkdir(mode=0o700)
        self._log = folder / "r.log"
        file, told = write_connection_file(str(folder / "r.json"), ip="127.0.0.1", key=uuid.uuid4().hex.encode())
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *_command(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(bridge),
                # Who interrupts this kernel's group means this process, which knows whether R runs a cell.
                process_group=0,
            )
        self._connect(told)

    def _connect(self, told: dict[str, Any]) -> None:
        self._context = zmq.Context()
        self._session = Session(key=uuid.uuid4().hex.encode())
        self._session.key = told["key"].encode() if isinstance(told["key"], str) else told["key"]
        kinds = {"shell": zmq.DEALER, "iopub": zmq.SUB, "stdin": zmq.DEALER}
        self._sockets: dict[str, Any] = {}
        for name, kind in kinds.items():
            made = self._sockets[name] = self._context.socket(kind)
            made.linger = 0
            # Questions that R asks its user come to who asked it.
            made.identity = self._session.bsession
            made.connect(f"tcp://127.0.0.1:{told[f'{name}_port']}")
        self._sockets["iopub"].subscribe(b"")

    def wait(self) -> None:
        """Until it listens to all that it is told, and is heard.

        Raises:
            REnded: it does not.
        """
        deadline, heard = time.monotonic() + _START_SECONDS, set[str]()
        while heard != {"shell", "iopub"}:
            self._must_run()
            if time.monotonic() > deadline:
                raise REnded(f"R did not start in {_START_SECONDS:g} seconds. {self._said()}")
            if "shell" not in heard or not self._sockets["iopub"].poll(_ASK_MILLISECONDS):
                self._session.send(self._sockets["shell"], "kernel_info_request", {})
            heard |= {name for name in ("shell", "iopub") if self._sockets[name].poll(_ASK_MILLISECONDS)}
        for name in ("shell", "iopub"):
            while self._sockets[name].poll(_LOOK_MILLISECONDS):
                self._receive(name)

    def execute(self, code: str, *, silent: bool, history: bool, show: Callable[[Message], None]) -> dict[str, Any]:
        """Run a cell to its end; what it shows, and `input_request`, goes to `show`. Returns the reply's content.

        Raises:
            REnded: it ended meanwhile.
        """
        content = {"code": code, "silent": silent, "store_history": history, "user_expressions": {}}
        request = self._send("execute_request", content | {"allow_stdin": True, "stop_on_error": True})
        reply: dict[str, Any] | None = None
        is_idle = False
        while reply is None or not is_idle:
            for channel, message in self._messages():
                if channel != "stdin" and message["parent_header"].get("msg_id") != request:
                    continue
                kind, content = message["header"]["msg_type"], message["content"]
                if kind == "execute_reply":
                    reply = content
                elif kind in _SHOWN or kind == "input_request":
                    show((kind, content))
                is_idle = is_idle or (kind == "status" and content["execution_state"] == "idle")
        return reply

    def request(self, kind: str, content: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """The content of the reply to another question; None if there is none in time."""
        request, deadline = self._send(kind, content), time.monotonic() + seconds
        with suppress(REnded):
            while time.monotonic() < deadline:
                for channel, message in self._messages():
                    if channel == "shell" and message["parent_header"].get("msg_id") == request:
                        return dict(message["content"])
        return None

    def tell(self, text: str) -> None:
        """What the user has answered to an `input_request`."""
        self._session.send(self._sockets["stdin"], "input_reply", {"value": text})

    def interrupt(self) -> None:
        """Interrupt its cell."""
        self._signal("send_signal", 2)

    def end(self) -> None:
        """End it at once."""
        self._signal("kill")
        self._process.wait()
        for one in self._sockets.values():
            one.close()
        self._context.term()

    def is_running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def _signal(self, how: str, *arguments: int) -> None:
        with suppress(ProcessLookupError):
            getattr(self._process, how)(*arguments)

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        sent = self._session.send(self._sockets["shell"], kind, content)
        return str(sent["header"]["msg_id"])

    def _messages(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All that has come by now, or comes in a moment."""
        poller = zmq.Poller()
        for one in self._sockets.values():
            poller.register(one, zmq.POLLIN)
        ready = dict(poller.poll(_LOOK_MILLISECONDS))
        if not ready:
            self._must_run()
        for name, one in self._sockets.items():
            if one in ready:
                yield name, self._receive(name)

    def _receive(self, name: str) -> dict[str, Any]:
        return dict(self._session.recv(self._sockets[name], mode=0)[1])

    def _must_run(self) -> None:
        if self._process.poll() is not None:
            raise REnded(f"R has ended ({self._process.returncode}). {self._said()}".strip())

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-_LAST_OCTETS:].strip()


def _command(connection_file: str) -> list[str]:
    own = f"--file={_SOURCES / 'start.R'}"
    return ["R", "--no-echo", "--no-restore", "--no-save", "--no-readline", own, "--args", connection_file]


def _environment(bridge: Path) -> dict[str, str]:
    packages = Path(os.environ.get(driver.NODE_FOLDER, bridge.parent)) / "r-packages"
    packages.mkdir(exist_ok=True)
    # What `install.packages` adds is there for all R on the cluster.
    own = {"R_LIBS_USER": str(packages), "EMR_STUDIO_R_SOURCES": str(_SOURCES), "EMR_STUDIO_R_BRIDGE": str(bridge)}
    return {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": os.environ.get("TZ", "UTC"), **own}
