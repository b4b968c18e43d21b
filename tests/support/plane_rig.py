"""The whole control plane, the real lane, edge and store, without agent and controllers.

with plane(folder) as rig:
    rig.client("kms").create_key()
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import uvicorn
from botocore.config import Config

from emr_studio import app
from emr_studio.clock import SystemClock
from emr_studio.db import Base, Database
from emr_studio.edge import caddy
from emr_studio.edge.config import edge_socket
from emr_studio.iam.bootstrap import SampleWorld, ensure_account
from emr_studio.loopback import free_port
from emr_studio.settings import Settings
from emr_studio.storage.inside import Insides
from emr_studio.storage.store import ready
from tests.support.lane_rig import lane

_STORE = (
    "from emr_studio.settings import Settings; from emr_studio.storage.store import run_store; "
    "run_store(Settings(), hidden=True)"
)


@dataclass
class Plane:
    """What runs, and the sample world's people."""

    settings: Settings
    sample: SampleWorld

    def client(self, service: str, *, access_key_id: str = "", secret_access_key: str = "") -> Any:
        """A stock boto3 client; the administrator's unless keys are given."""
        admin = self.sample.admin
        return boto3.client(
            service,
            endpoint_url=self.settings.endpoint_url,
            region_name=self.settings.region,
            aws_access_key_id=access_key_id or admin.access_key_id,
            aws_secret_access_key=secret_access_key or admin.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=60),
        )


@contextmanager
def plane(folder: Path) -> Iterator[Plane]:
    """Run it; everything is stopped at the end."""
    settings = Settings(data_dir=folder, port=free_port())
    for made in (settings.run_dir, settings.keys_dir, settings.logs_dir):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    app.load_tables()
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        sample = ensure_account(session, settings, SystemClock())
    database.dispose()
    control = app.build_api(settings)
    config = uvicorn.Config(
        control.application, uds=str(settings.api_socket), log_level="warning", lifespan="off", timeout_keep_alive=600
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    caddy.write_config(settings)
    environment = os.environ | {"EMR_STUDIO_DATA_DIR": str(folder), "EMR_STUDIO_PORT": str(settings.port)}
    with (folder / "parts.log").open("wb") as log:
        parts = [
            subprocess.Popen([sys.executable, "-c", _STORE], env=environment, stdout=log, stderr=log),
            subprocess.Popen(caddy.command(settings), env=caddy.environment(settings), stdout=log, stderr=log),
        ]
    try:
        with lane(settings, control.objects, Insides(settings)):
            _wait_until_ready(settings, folder)
            yield Plane(settings, sample)
    finally:
        for part in parts:
            part.terminate()
        for part in parts:
            part.wait(120)
        server.should_exit = True
        thread.join(60)
        control.close()


def _wait_until_ready(settings: Settings, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while not (ready(settings) and _listens(settings.api_socket) and _listens(edge_socket(settings))):
        assert time.monotonic() < deadline, (folder / "parts.log").read_text()[-2000:]
        time.sleep(0.1)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
