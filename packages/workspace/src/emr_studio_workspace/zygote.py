"""The warm parent of all Workspaces: JupyterLab's server, imported once, forked for each.

`python -m emr_studio_workspace.zygote --socket PATH`, started by the host agent. It has one thread,
no open connection but those of the agent, and no secret: each fork learns what it needs from its
own request. One request a connection (SOCK_SEQPACKET):

    agent:  {"spawn": {"server": {...}, "place": {...}, "log": path, "socket": path}}
    child:  {"pid": n, "isolation": [...]}          n is the pid on the host
    agent:  {"go": true}                            it has written down who runs
    or
    agent:  {"exit_code": pid}  ->  {"exit_code": n | null}
    agent:  {"ping": true}      ->  {"pid": n, "version": "..."}
    agent:  {"quit": true}      ->  {"quitting": true}
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
import warnings
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

from emr_studio_workspace import sandbox, syscalls
from emr_studio_workspace.spec import ServerSpec

VERSION = "1"
_REQUEST_BYTES = 1 << 17
_CODES_KEPT = 4096
_BACKLOG = 512
_QUIET_SECONDS = 0.3
MARKER = "EMR_STUDIO_WORKLOAD"
"""The agent finds what a Workspace executed by this variable."""


class Zygote:
    """Listens for requests and forks."""

    def __init__(self, path: Path) -> None:
        self._listener = _listen(path)
        self._codes: OrderedDict[int, int] = OrderedDict()
        self._quitting = False
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._awake, False)

    def run(self) -> None:
        """Serve until told to quit. Workspaces that were forked go on."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, self._on_term)
        rehearsed = False
        while not self._quitting:
            # Whoever waits already is not to wait for that.
            pause = None if rehearsed else _QUIET_SECONDS
            ready, _, _ = select.select([self._listener.fileno(), self._awake], [], [], pause)
            if not ready:
                rehearsed = True
                rehearse()
            if self._awake in ready:
                with suppress(BlockingIOError):
                    os.read(self._awake, 4096)
            self._reap()
            if self._listener.fileno() in ready:
                connection, _ = self._listener.accept()
                with connection:
                    self._serve(connection)

    def _on_term(self, _number: int, _frame: object) -> None:
        self._quitting = True

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._codes[pid] = os.waitstatus_to_exitcode(status)
                if len(self._codes) > _CODES_KEPT:
                    self._codes.popitem(last=False)

    def _serve(self, connection: socket.socket) -> None:
        if not _is_ours(connection):
            return
        connection.settimeout(2.0)
        try:
            request = json.loads(connection.recv(_REQUEST_BYTES))
            if "spawn" in request:
                self._spawn(connection, request["spawn"])
            else:
                connection.send(json.dumps(self._answer(request)).encode())
        except (OSError, ValueError) as error:
            print(f"zygote: a request failed: {error}", file=sys.stderr, flush=True)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "exit_code" in request:
            self._reap()
            return {"exit_code": self._codes.pop(int(request["exit_code"]), None)}
        if "quit" in request:
            self._quitting = True
            return {"quitting": True}
        return {"pid": os.getpid(), "version": VERSION}

    def _spawn(self, connection: socket.socket, request: dict[str, Any]) -> None:
        if os.fork() != 0:
            return
        # From here on this is another process: it must never return to the loop above.
        code = 1
        try:
            for handle in (self._awake, self._wake):
                os.close(handle)
            self._listener.close()
            code = _outer(connection, request)
        except BaseException:
            traceback.print_exc()
        finally:
            _flush()
            os._exit(code)


def _outer(connection: socket.socket, request: dict[str, Any]) -> int:
    """First fork, on the host's side: leave its namespaces, fork into the new ones, report."""
    _reset_signals()
    os.setsid()
    _join(request.get("groups", ()))
    place = sandbox.Place.from_json(request["place"])
    listener = _listen_for_users(Path(request["socket"]))
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    granted = sandbox.separate()
    pid = os.fork()
    if pid == 0:
        return _inner(connection, ServerSpec.from_json(request["server"]), place, granted, listener)
    connection.send(json.dumps({"pid": pid, "isolation": granted}).encode())
    return 0


def _inner(
    connection: socket.socket, spec: ServerSpec, place: sandbox.Place, granted: list[str], listener: socket.socket
) -> int:
    """Second fork, inside: make the sandbox, wait for the agent's word, become the server."""
    # A session named by this very process: the agent finds all of it by that where it has no group.
    os.setsid()
    seen = sandbox.enter(place, granted)
    connection.settimeout(30.0)
    if b"go" not in connection.recv(64):
        return 1  # The agent died before it wrote down that we exist.
    connection.close()
    sandbox.drop(place)
    _own_environment(spec)
    syscalls.set_name(f"ws:{spec.editor_id}")
    gc.enable()
    from emr_studio_workspace.server import serve

    values = dict(vars(spec)) | {"files": seen.files, "home": seen.home, "run": seen.run}
    values["own_network"] = "network" in granted
    serve(ServerSpec.from_json(values), listener)
    return 0


def _own_environment(spec: ServerSpec) -> None:
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    os.environ.clear()
    path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    own = {"PATH": path, "LANG": "C.UTF-8", "SHELL": "/bin/bash", "USER": "emr-notebook"}
    os.environ.update(own | kept | {MARKER: spec.editor_id})


def _join(groups: Any) -> None:
    """Enter control groups that the agent made; a refusal leaves us without that limit."""
    for path in groups:
        with suppress(OSError):
            Path(path, "cgroup.procs").write_text(str(os.getpid()))


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The kernel throws away what the first process of a pid namespace does not handle yet: it waits for `serve`.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _listen(path: Path) -> socket.socket:
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(_BACKLOG)
    return listener


def _listen_for_users(path: Path) -> socket.socket:
    """The server's socket, made before the drop in a folder that the Workspace cannot write to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(FileNotFoundError):
        path.unlink()
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _is_ours(connection: socket.socket) -> bool:
    """Only root and our own user may ask (SO_PEERCRED), whatever the socket's mode."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return uid in (0, os.getuid())


def warm() -> None:
    """Import all that a server will need, so that a fork shares it and finds it at once."""
    warnings.simplefilter("ignore")
    from emr_studio_workspace import warmup

    warmup.import_all()
    warmup.prepare()
    _settle()


def rehearse() -> None:
    """Work out what a server would at its start; it does so itself where that fails."""
    from emr_studio_workspace import rehearsal

    try:
        if not rehearsal.rehearse():
            print("zygote: the rehearsal of a start failed", file=sys.stderr, flush=True)
    except OSError as error:
        print(f"zygote: the rehearsal of a start failed: {error}", file=sys.stderr, flush=True)
    _settle()


def _settle() -> None:
    """What there is now stays for ever: forks need not look for garbage in it."""
    gc.collect()
    gc.disable()
    gc.freeze()


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="emr-studio-zygote", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    path = parser.parse_args(argv).socket
    syscalls.set_name("emr-zygote")
    with suppress(OSError):
        syscalls.become_subreaper()
    warm()
    Zygote(path).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
