"""The agent's side of the zygote: keep it running, ask it for Workspaces."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from emr_studio.runtime.daemons import Daemon, fingerprint
from emr_studio.settings import Settings

_WARM_SECONDS = 60.0
_SPAWN_SECONDS, _ANSWER_SECONDS = 60.0, 20.0
"""A fork may wait for others, and for a rehearsal. One that has died closes its connections."""
_POLL = 0.02
_ANSWER_BYTES = 1 << 16


class ZygoteFailed(Exception):
    """It does not start, or did not answer; `str()` is for a person."""


@dataclass
class Spawned:
    """A Workspace that waits for our word."""

    pid: int
    isolation: list[str]
    _connection: socket.socket

    def go(self) -> None:
        """Let it become the server."""
        with self._connection:
            self._connection.send(b'{"go": true}')


class Zygote:
    """The warm parent of the Workspaces."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.run_dir / "zygote.sock"
        python = settings.env_python("workspace")
        source = settings.root / "packages" / "workspace" / "src"
        self._daemon = Daemon(
            [str(python), "-I", "-m", "emr_studio_workspace.zygote", "--socket", str(self._path)],
            settings.agent_dir / "zygote.json",
            settings.logs_dir / "zygote.log",
            fingerprint(source, python.parent.parent / "etc"),
            environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"},
        )

    @property
    def pid(self) -> int:
        """Its process id, 0 if it does not run."""
        return self._daemon.pid

    def ensure(self) -> None:
        """Start it if it does not run; does not wait until it is warm."""
        self._daemon.ensure()

    def spawn(self, request: dict[str, Any]) -> Spawned:
        """Fork a Workspace.

        Raises:
            ZygoteFailed: it could not.
        """
        connection = self._connect()
        try:
            connection.send(json.dumps({"spawn": request}).encode())
            answer = json.loads(connection.recv(_ANSWER_BYTES))
            return Spawned(int(answer["pid"]), list(answer["isolation"]), connection)
        except (OSError, ValueError, KeyError) as error:
            connection.close()
            raise ZygoteFailed("the Workspace's process could not be made; see its log") from error

    def exit_code(self, pid: int) -> int | None:
        """How a Workspace of this zygote ended; None if it is not known (any more)."""
        with suppress(OSError, ValueError, KeyError), self._dial(_ANSWER_SECONDS) as connection:
            connection.send(json.dumps({"exit_code": pid}).encode())
            code: int | None = json.loads(connection.recv(_ANSWER_BYTES))["exit_code"]
            return code
        return None

    def stop(self) -> None:
        """End it; Workspaces go on."""
        self._daemon.stop()
        self._path.unlink(missing_ok=True)

    def _connect(self) -> socket.socket:
        """A connection; waits while it is still importing."""
        deadline = time.monotonic() + _WARM_SECONDS
        while True:
            self._daemon.ensure()
            try:
                return self._dial(_SPAWN_SECONDS)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ZygoteFailed("the parent process of Workspaces does not start; see zygote.log") from error
            time.sleep(_POLL)

    def _dial(self, seconds: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(seconds)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection
