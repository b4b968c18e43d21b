"""A server that never serves, in a child of the zygote: it tells what every server works out anew at its start.

That are the patterns of its two hundred addresses and the schemas of its events. The zygote works them out once
more for itself, and all Workspaces that begin there find them. Nothing else comes back from the child: no open
file, no thread, no half a server.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from emr_studio_workspace import shortcuts
from emr_studio_workspace.server import WorkspaceServerApp, serve
from emr_studio_workspace.spec import ServerSpec

_SECONDS = 20
_CHUNK = 1 << 16


def rehearse() -> bool:
    """Prepare what servers work out at their start. False: nothing came of it, and they do it themselves."""
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        told = _told(Path(folder))
    try:
        found = json.loads(told)
        patterns, schemas = found["patterns"], found["schemas"]
    except (ValueError, KeyError):
        return False
    for pattern, flags in patterns:
        re.compile(pattern, flags)
    for path in schemas:
        shortcuts.event_schema(Path(path))
    return True


def _told(folder: Path) -> bytes:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # From here on this is another process, which must not come back.
        with suppress(BaseException):
            os.close(reader)
            _play(folder, writer)
        os._exit(0)
    os.close(writer)
    try:
        return _read(reader)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _read(reader: int) -> bytes:
    """All that is said until the end, or until it takes too long."""
    until, told = time.monotonic() + _SECONDS, b""
    while (left := until - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        more = os.read(reader, _CHUNK)
        if not more:
            break
        told += more
    return told


def _play(folder: Path, writer: int) -> None:
    # It ends also where the zygote was killed meanwhile.
    signal.alarm(_SECONDS)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    patterns: list[tuple[str, int]] = []
    compiled = re.compile

    def noted(pattern: Any, flags: int = 0) -> Any:
        if isinstance(pattern, str):
            patterns.append((pattern, int(flags)))
        return compiled(pattern, flags)

    re.compile = noted
    WorkspaceServerApp.start = _nothing
    serve(_spec(folder), socket.socket(socket.AF_UNIX))
    told = json.dumps({"patterns": patterns, "schemas": list(shortcuts.schemas)}).encode()
    while told:
        told = told[os.write(writer, told) :]


def _nothing(_server: WorkspaceServerApp) -> None:
    """The play ends where serving would begin."""


def _spec(folder: Path) -> ServerSpec:
    key = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files, home, run = folder / "files", folder / "home", folder / "run"
    for path in (files, home, run):
        path.mkdir()
    return ServerSpec("e-REHEARSAL", "rehearsal", "http://localhost", key.decode(), "a.ipynb", files, home, run)
