"""How each kind of workload is started, found ready, and wound up. The host agent drives them."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emr_studio.runtime.contract import Activity, Cause, Gateway, ProcessSpec
from emr_studio.runtime.records import Record
from emr_studio.runtime.trees import MARKER

_LAUNCHER = Path(__file__).with_name("launcher.py")
_CONNECT_SECONDS = 0.5
_TAIL_BYTES = 65_536


class StartFailed(Exception):
    """A workload could not be started; `str()` says why, for a person, `cause` for a program."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


@dataclass
class Started:
    """A process that waits for our word."""

    pid: int
    isolation: list[str]
    go: Callable[[], None]


Report = Callable[[str], None]
"""Takes a short phrase on how far a start has come."""


class Driver(Protocol):
    """One kind of workload. Every method may be called again after a restart of the agent."""

    def prepare(self, record: Record, report: Report) -> None:
        """Bring everything into place; may take long.

        Raises:
            StartFailed: it cannot be.
        """
        ...

    def spawn(self, record: Record) -> Started:
        """Make the process; it must not begin before `go`.

        Raises:
            StartFailed: it could not be made.
        """
        ...

    def ready(self, record: Record) -> bool:
        """Whether it serves now; may block for a moment."""
        ...

    def resume(self, record: Record) -> None:
        """It is RUNNING: do what goes with that (again, after the agent was restarted)."""
        ...

    def exit_code(self, record: Record) -> int | None:
        """How it ended; None if that cannot be learned."""
        ...

    def wind_up(self, record: Record) -> str:
        """It has ended: put away what it used. A sentence if something could not be saved."""
        ...

    def address(self, record: Record) -> str:
        """What the edge may dial."""
        ...

    def explain(self, record: Record) -> tuple[str, str]:
        """Cause and sentence of an unasked end, where more is known than the exit code; before its groups go."""
        ...

    def release(self, record: Record, gateway: Gateway | None) -> None:
        """Point its kernels to `gateway`."""
        ...

    def set_encryption(self, record: Record, kms_key_id: str) -> None:
        """Seal what it saves from now on with another KMS key."""
        ...

    def activity(self, record: Record) -> Activity | None:
        """What goes on in it; None if it does not say."""
        ...

    def flush(self, record: Record) -> None:
        """Save what it has to S3.

        Raises:
            RuntimeUnavailable: S3 does not have all of it.
        """
        ...


class ProcessDriver:
    """Programs executed afresh. `why_ended`: why the agent itself ended something of one lately, else empty."""

    def __init__(self, why_ended: Callable[[str], str] = lambda _workload_id: "") -> None:
        self._why_ended = why_ended
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def prepare(self, record: Record, report: Report) -> None:
        spec = _process_spec(record)
        folder = Path(spec.folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(spec.log_path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if user_of(spec.uid):
                os.chown(folder, spec.uid, spec.uid, follow_symlinks=False)
        except OSError as error:
            raise StartFailed(f"{folder} could not be made: {error.strerror}") from error

    def spawn(self, record: Record) -> Started:
        spec = _process_spec(record)
        marker = {MARKER: spec.workload_id}
        base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": spec.folder}
        request = {
            "argv": list(spec.argv),
            "folder": spec.folder,
            "environment": base | dict(spec.environment) | marker,
            "files": dict(spec.files),
            "uid": user_of(spec.uid),
            "readable": list(spec.readable),
            "groups": record.groups,
            "pids": spec.limits.pids,
        }
        try:
            log = open_log(Path(spec.log_path))
        except OSError as error:
            raise StartFailed(f"the log {spec.log_path} could not be opened: {error.strerror}") from error
        with os.fdopen(log, "ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER)],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=marker,
                cwd="/",
                start_new_session=True,
            )
        self._children[process.pid] = process
        return Started(process.pid, [], lambda: _say(process, json.dumps(request)))

    def ready(self, record: Record) -> bool:
        address = _process_spec(record).ready_address
        if not address:
            return True
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS):
                return True
        except OSError:
            return False

    def resume(self, record: Record) -> None:
        """Nothing goes with a running process."""

    def exit_code(self, record: Record) -> int | None:
        child = self._children.pop(record.pid, None)
        return child.wait() if child else None

    def wind_up(self, record: Record) -> str:
        return ""

    def address(self, record: Record) -> str:
        return _process_spec(record).ready_address

    def explain(self, record: Record) -> tuple[str, str]:
        why = self._why_ended(record.workload_id)
        return (Cause.HOST_DISK_FULL, why) if why else ("", "")

    def release(self, record: Record, gateway: Gateway | None) -> None:
        """A process has no kernels to point."""

    def set_encryption(self, record: Record, kms_key_id: str) -> None:
        """A process has nothing to save."""

    def activity(self, record: Record) -> Activity | None:
        """A process does not say."""
        return None

    def flush(self, record: Record) -> None:
        """A process has nothing to save."""


def _say(process: subprocess.Popen[bytes], request: str) -> None:
    """Hand the launcher its request and the word to begin; a dead launcher is noticed elsewhere."""
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(request.encode() + b"\n")
        pipe.flush()
        pipe.write(b"go\n")


def _process_spec(record: Record) -> ProcessSpec:
    spec = record.typed_spec()
    assert isinstance(spec, ProcessSpec)
    return spec


def user_of(uid: int) -> int:
    """The user to become: 0 (stay) where the agent may not change users."""
    return uid if os.geteuid() == 0 else 0


def open_log(path: Path) -> int:
    """A handle that appends; never through a link that a workload may have put there."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "is not a regular file")
    return handle


def append_line(path: Path, text: str) -> None:
    """Write a line of ours into a workload's log; a full disk costs the line alone."""
    with suppress(OSError), os.fdopen(open_log(path), "a") as file:
        file.write(f"{text}\n")


def tail(path: str, lines: int) -> list[str]:
    """The last lines of a log; empty if there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or lines <= 0:
            return []
        file.seek(max(0, found.st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()[-lines:]
