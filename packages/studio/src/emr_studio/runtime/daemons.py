"""The agent's own helpers (zygote, relay): detached processes that outlive it and are adopted by the next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from emr_studio.runtime.processes import is_alive, signal_if_alive, start_time

_STOP_SECONDS = 5.0


class Daemon:
    """One helper. `fingerprint` names what it was started from: another one means start anew.

    `held` are signals that it starts with blocked, and unblocks once it can take them: one that is sent
    before waits, and does not end it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        state_path: Path,
        log_path: Path,
        fingerprint: str,
        *,
        environment: Mapping[str, str] | None = None,
        held: Collection[signal.Signals] = (),
    ) -> None:
        self._argv = list(argv)
        self._state_path = state_path
        self._log_path = log_path
        self._fingerprint = fingerprint
        self._environment = dict(environment or {})
        self._held = frozenset(held)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Its process id, 0 if it does not run."""
        pid, started, _ = self._remembered()
        return pid if is_alive(pid, started) else 0

    def ensure(self) -> bool:
        """Start it unless it runs; True if it was started now."""
        with self._lock:
            pid, started, fingerprint = self._remembered()
            if is_alive(pid, started):
                if fingerprint == self._fingerprint:
                    return False
                self._end(pid, started)
            self._start()
            return True

    def stop(self) -> None:
        """End it, for good."""
        with self._lock:
            pid, started, _ = self._remembered()
            self._end(pid, started)
            self._state_path.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        pid, started, _ = self._remembered()
        signal_if_alive(pid, started, number)

    def _start(self) -> None:
        if self._process:
            self._process.poll()
        # A new process has the mask of the thread that starts it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._held)
        try:
            self._process = self._spawn()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        pid = self._process.pid
        state = {"pid": pid, "started": start_time(pid) or 0, "fingerprint": self._fingerprint}
        temporary = self._state_path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.replace(self._state_path)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )

    def _end(self, pid: int, started: int) -> None:
        signal_if_alive(pid, started, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while is_alive(pid, started) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)
        signal_if_alive(pid, started, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        if self._process:
            self._process.poll()

    def _remembered(self) -> tuple[int, int, str]:
        self._reap()
        try:
            state = json.loads(self._state_path.read_text())
            return int(state["pid"]), int(state["started"]), str(state["fingerprint"])
        except (OSError, ValueError, KeyError):
            return 0, 0, ""


def fingerprint(*folders: Path) -> str:
    """Changes when a Python source below these folders changes."""
    newest, count = 0, 0
    for folder in folders:
        for path in folder.rglob("*.py"):
            with suppress(OSError):
                newest, count = max(newest, path.stat().st_mtime_ns), count + 1
    return f"{newest}-{count}-{os.geteuid()}"
