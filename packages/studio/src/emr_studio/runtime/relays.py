"""The agent's side of the relay: keep it running, write its pointers."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from emr_studio.runtime.daemons import Daemon
from emr_studio.runtime.records import safe_id
from emr_studio.settings import Settings


class RelayControl:
    """Says which Workspace's `g.sock` leads where."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.agent_dir / "relay"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        here = Path(__file__).resolve()
        self._daemon = Daemon(
            # As a plain file: importing the package would cost the memory of what it needs.
            [sys.executable, "-I", "-S", str(here.with_name("relay.py")), "--folder", str(self._folder)],
            settings.agent_dir / "relay.json",
            settings.logs_dir / "relay.log",
            " ".join(str(here.with_name(name).stat().st_mtime_ns) for name in ("relay.py", "egress.py")),
            environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            held={signal.SIGHUP},
        )

    @property
    def pid(self) -> int:
        """Its process id, 0 if it does not run."""
        return self._daemon.pid

    def ensure(self) -> None:
        """Start it if it does not run."""
        self._daemon.ensure()

    def point(self, workload_id: str, listen: Path, uid: int, target: str) -> None:
        """Connections at `listen` go to `target` (`host:port`) from now on, or nowhere if it is empty."""
        self._write(workload_id, {"listen": str(listen), "uid": uid, "target": target})

    def open_way_out(self, name: str, listen: Path, uid: int, workspace_id: str, ask: Path) -> None:
        """Listen for what a Workspace wants from outside; the control plane at `ask` says what it may."""
        values = {"listen": str(listen), "uid": uid, "target": "out", "ask": str(ask), "workspace": workspace_id}
        self._write(name, values)

    def _write(self, name: str, values: Mapping[str, object]) -> None:
        write_private(self._path(name), json.dumps(values))
        self._nudge()

    def remove(self, workload_id: str) -> None:
        """Stop listening for this Workspace."""
        self._path(workload_id).unlink(missing_ok=True)
        self._nudge()

    def stop(self) -> None:
        """End it."""
        self._daemon.stop()

    def _nudge(self) -> None:
        # A relay that has only just started looks at the folder by itself.
        if not self._daemon.ensure():
            self._daemon.signal(signal.SIGHUP)

    def _path(self, workload_id: str) -> Path:
        return self._folder / f"{safe_id(workload_id)}.json"


def write_private(path: Path, text: str, group: int = 0) -> None:
    """Write a file that only its owner may read (and `group`, if given), whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        if group:
            os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), 0o640)
    temporary.replace(path)
