"""The kernels' host: forks kernels from a process that has everything imported, and keeps them when the gateway dies.

The gateway asks it over the node's own address, with the gateway's token: one line of JSON there, one back.

    start   id, argv, env, cwd    a kernel, known from before it is forked; the one that runs, if there is one;
                                  with a `command`: one that is not ours, `argv` is its name alone
    poll    id                    its exit code, or null while it runs
    list                          all that run, with what they were started with

A kernel is a process group of its own and dies with this process. Before there is one, a fork warms the Connect
server (`warming.py`).
"""

from __future__ import annotations

import ctypes
import gc
import hmac
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from emr_studio_cluster import kernel, tools, warming
from emr_studio_cluster.config import KERNELS_PORT, NodeConfig

_MARKER = "EMR_STUDIO_WORKLOAD"
"""What the host agent finds a program's processes by: a kernel and what it starts are this program's."""
_PR_SET_PDEATHSIG = 1
_LONGEST_REQUEST = 1 << 20
_LAST_SECONDS = 15.0
"""Less than the runtime waits before it kills."""
_WANTED = (
    "ipykernel.ipkernel",
    # debugpy, most of all that a kernel imports.
    "ipykernel.debugger",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.magics.execution",
    "IPython.core.magics.osm",
    "IPython.core.magics.pylab",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "sqlite3",
    "tornado.platform.asyncio",
    "tornado.queues",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "pandas",
    "pyspark.sql.functions",
    "pyspark.sql.connect.session",
    "emr_studio_cluster.session",
    "emr_studio_cluster.magics",
    "emr_studio_cluster.progress",
)
"""What kernels need: imported once, here."""


@dataclass
class Started:
    """A kernel."""

    pid: int
    request: dict[str, Any]
    exit_code: int | None = None


def run(config: NodeConfig, folder: Path) -> NoReturn:
    """Serve until a signal ends it."""
    os.environ.setdefault("IPYTHONDIR", str(folder / "ipython"))
    os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
    # debugpy would speak of it in the log at each start.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    _find_packages(folder)
    for module in _WANTED:
        importlib.import_module(module)
    _look_up_backends()
    # What is here stays: no kernel looks at it again for garbage, and so none copies it.
    gc.collect()
    gc.freeze()
    host = Host(config)
    if config.outside:
        signal.signal(signal.SIGTERM, host.end)
    host.serve()


def _find_packages(folder: Path) -> None:
    """What pip installs for the cluster is found as soon as it is there: Python would not look again for a folder."""
    with suppress(OSError):
        tools.python_packages(folder).mkdir(exist_ok=True)
    importlib.invalidate_caches()


def _look_up_backends() -> None:
    """What `%matplotlib inline` searches all installed packages for, once. Old versions of matplotlib do not."""
    with suppress(ImportError, AttributeError):
        importlib.import_module("matplotlib.backends.registry").backend_registry.resolve_gui_or_backend("inline")


class Host:
    """One thread, no open connection but those of the gateway: so that it may fork."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._token = config.gateway_token
        self._moment = warming.Moment(config)
        self._warmer = 0
        """The process that warms the Connect server; 0: not yet, -1: it is done."""
        self._kernels: dict[str, Started] = {}
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server((config.address, KERNELS_PORT))
        self._listening.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._unread: dict[socket.socket, bytes] = {}

    def serve(self) -> NoReturn:
        """Answer requests, for ever."""
        while True:
            for key, _ in self._selector.select(timeout=1.0):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is self._listening:
                    self._accept()
                else:
                    self._read(key.fileobj)
            self._reap()
            self._warm()

    def end(self, *_: Any) -> NoReturn:
        """Let kernels whose Spark is elsewhere end what they have there, and end: they would die with this process."""
        for one in self._kernels.values():
            if one.exit_code is None:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGTERM)
        deadline = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < deadline and any(one.exit_code is None for one in self._kernels.values()):
            self._reap()
            time.sleep(_LAST_SECONDS / 100)
        os._exit(0)

    def _warm(self) -> None:
        """Once, where nobody has a kernel yet: let a fork use the Connect server before the first of them does."""
        if not self._warmer and not self._kernels and self._moment.has_come():
            self._warmer = -1
            # Where no process can be made, kernels have the same trouble and say so.
            with suppress(OSError):
                self._warmer = self._fork(lambda: warming.run(self._config))

    def _accept(self) -> None:
        connection, _ = self._listening.accept()
        connection.setblocking(True)
        self._unread[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            piece = connection.recv(65536)
        except OSError:
            piece = b""
        text = self._unread[connection] + piece
        if piece and not text.endswith(b"\n") and len(text) < _LONGEST_REQUEST:
            self._unread[connection] = text
            return
        with suppress(OSError):
            if text.endswith(b"\n"):
                connection.sendall(json.dumps(self._answer(text)).encode() + b"\n")
        self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._unread[connection]
        connection.close()

    def _answer(self, text: bytes) -> dict[str, Any]:
        try:
            request = json.loads(text)
            if not hmac.compare_digest(str(request["token"]), self._token):
                return {"error": "the token is not this gateway's"}
            self._reap()
            return self._do(request)
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"not understood: {error}"}

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "start":
            return {"pid": self._start(request)}
        if request["op"] == "poll":
            found = self._kernels.get(request["id"])
            return {"exit_code": found.exit_code if found else -int(signal.SIGKILL)}
        running = {name: one for name, one in self._kernels.items() if one.exit_code is None}
        return {"kernels": [{"pid": one.pid, **one.request} for one in running.values()]}

    def _start(self, request: dict[str, Any]) -> int:
        found = self._kernels.get(request["id"])
        if found is not None and found.exit_code is None:
            return found.pid
        kept = {name: request[name] for name in ("id", "argv", "env", "cwd")} | {"command": request.get("command")}
        pid = self._fork(lambda: self._become(kept))
        self._kernels[request["id"]] = Started(pid, kept)
        return pid

    def _fork(self, act: Callable[[], None]) -> int:
        """A process of its own that does `act` and ends; it dies with this one."""
        if pid := os.fork():
            return pid
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            for connection in (self._listening, *self._unread):
                connection.close()
            self._selector.close()
            _reseed()
            act()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # a fork must never go on as its parent
            # The kernel's own stderr may lead to a client by now; this is for the host's log.
            traceback.print_exc(file=sys.__stderr__)
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _become(self, request: dict[str, Any]) -> None:
        marker = {_MARKER: os.environ[_MARKER]} if _MARKER in os.environ else {}
        os.environ.clear()
        os.environ.update(request["env"] | marker)
        os.chdir(request["cwd"])
        if command := request["command"]:
            os.execvp(command[0], command)
        sys.argv = ["kernel", *request["argv"]]
        kernel.main(request["argv"])

    def _reap(self) -> None:
        for one in self._kernels.values():
            if one.exit_code is not None:
                continue
            pid, status = os.waitpid(one.pid, os.WNOHANG)
            if pid:
                one.exit_code = os.waitstatus_to_exitcode(status)
        if self._warmer > 0 and os.waitpid(self._warmer, os.WNOHANG)[0]:
            self._warmer = -1


def _reseed() -> None:
    """Forks have the same random numbers before them until they are told otherwise."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
