"""The control plane's socket: it believes what the edge says, so nobody else may reach it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from emr_studio.db.migrate import upgrade
from emr_studio.settings import Settings

_SECONDS = 120


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    # As `up` leaves it: the users of Workspaces and clusters pass through.
    settings.run_dir.chmod(0o711)
    upgrade(settings.sqlalchemy_url)
    return settings


def test_only_its_own_user_can_open_the_socket(settings: Settings) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emr_studio.cli", "api"],
        env=os.environ | {"EMR_STUDIO_DATA_DIR": str(settings.data_dir)},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert _healthy(settings, process)
        mode = stat.S_IMODE(settings.api_socket.stat().st_mode)
        assert mode & 0o077 == 0, oct(mode)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_SECONDS)
    assert process.returncode in (0, -signal.SIGTERM)


def _healthy(settings: Settings, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _SECONDS
    while not _is_open(settings):
        if time.monotonic() > deadline or process.poll() is not None:
            return False
        time.sleep(0.05)
    transport = httpx.HTTPTransport(uds=str(settings.api_socket))
    with httpx.Client(transport=transport, base_url="http://api", timeout=60) as client:
        return client.get("/_health").status_code == httpx.codes.OK


def _is_open(settings: Settings) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(settings.api_socket)) == 0
