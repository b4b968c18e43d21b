"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from emr_studio.loopback import free_port
from emr_studio.settings import Settings
from emr_studio.storage import store
from tests.support.s3_door import Door, s3_door

_RUN = """
from pathlib import Path
from emr_studio.settings import Settings
from emr_studio.storage.store import run_store
run_store(Settings(data_dir=Path({folder!r}), port={port}))
"""


def start_store(settings: Settings, deadline: float = 180.0) -> subprocess.Popen[bytes]:
    """Start the object store on a data folder; returns when it is ready."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "store.log").open("ab") as log:
        argv = [sys.executable, "-c", _RUN.format(folder=str(settings.data_dir), port=settings.port)]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    until = time.monotonic() + deadline
    while not store.ready(settings):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AssertionError((settings.data_dir / "store.log").read_text()[-2000:])
        time.sleep(0.05)
    return process


@pytest.fixture(scope="session")
def store_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of an installation whose (real) object store runs."""
    # It asks for KMS there: nobody else is to listen, nor to let it wait.
    settings = Settings(data_dir=tmp_path_factory.mktemp("store"), port=free_port())
    process = start_store(settings)
    yield settings
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def door(store_settings: Settings) -> Iterator[Door]:
    """S3 behind the door: the real edge, IAM and store."""
    with s3_door(store_settings) as made:
        yield made
