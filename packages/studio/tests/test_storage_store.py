"""The embedded store as a process: restart, kill, what it listens on."""

from __future__ import annotations

import errno
import gc
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx
import psutil
import pytest

from emr_studio.loopback import free_port
from emr_studio.settings import Settings
from emr_studio.storage import s3, store


class Start(Protocol):
    """Starts the store; returns when it is ready."""

    def __call__(self, *, hidden: bool = False) -> subprocess.Popen[bytes]: ...


_RUN = """
from pathlib import Path
from emr_studio.settings import Settings
from emr_studio.storage.store import run_store
run_store(Settings(data_dir=Path({folder!r}), port={port}), hidden={hidden})
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, port=free_port())


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*, hidden: bool = False) -> subprocess.Popen[bytes]:
        with (settings.data_dir / "store.log").open("ab") as log:
            argv = [sys.executable, "-c", _RUN.format(folder=str(settings.data_dir), port=settings.port, hidden=hidden)]
            started.append(subprocess.Popen(argv, stdout=log, stderr=log))
        until = time.monotonic() + 180
        while not store.ready(settings):
            assert started[-1].poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_what_was_answered_survives_a_kill_and_a_restart_is_quick(settings: Settings, start: Start) -> None:
    process = start()
    address = store.store_address(settings)
    client = s3.unsigned_client(f"http://{address}", "us-east-1")
    client.create_bucket(Bucket="kept")
    bodies = {f"k{number}": bytes([number]) * 5000 for number in range(50)}
    for key, body in bodies.items():
        client.put_object(Bucket="kept", Key=key, Body=body)
    sealed = client.put_object(Bucket="kept", Key="sealed", Body=b"secret", ServerSideEncryption="AES256")
    assert sealed["ServerSideEncryption"] == "AES256"
    process.kill()
    process.wait()
    assert not store.ready(settings)
    before = time.monotonic()
    start()
    assert time.monotonic() - before < 180  # 3.5 to 5 s on a quiet machine
    assert store.store_address(settings) == address
    assert {key: client.get_object(Bucket="kept", Key=key)["Body"].read() for key in bodies} == bodies
    assert client.get_object(Bucket="kept", Key="sealed")["Body"].read() == b"secret"


def test_it_listens_on_loopback_only_and_says_when_it_is_not_there(settings: Settings, start: Start) -> None:
    assert not store.ready(settings)
    with pytest.raises(FileNotFoundError):
        store.store_address(settings)
    process = start()
    connections = psutil.Process(process.pid).net_connections("inet")
    listening = {found.laddr for found in connections if found.status == psutil.CONN_LISTEN}
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == set(store.read_ports(settings).values())


def test_a_look_while_it_begins_leaves_nothing_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.store_dir.mkdir(parents=True)
    (settings.store_dir / "ports.json").write_text(json.dumps({"s3": free_port(), "filer": free_port()}))
    answers = iter([False])  # it says that it is hidden in the middle of the look
    monkeypatch.setattr(store, "is_hidden", lambda _settings: next(answers, True))
    assert not store.ready(settings)
    gc.collect()  # a socket that was left would be told of, which is an error here


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a process a network of its own")
def test_hidden_it_listens_for_nobody_but_its_own_user(settings: Settings, start: Start) -> None:
    process = start(hidden=True)
    assert store.is_hidden(settings)
    assert store.store_address(settings).startswith("unix//")
    assert os.readlink(f"/proc/{process.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    for port in store.read_ports(settings).values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
    folder = Path(store.store_address(settings).removeprefix("unix/")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with store.store_client(settings) as client:
        assert client.put("/seen/x", content=b"x").status_code == httpx.codes.NOT_FOUND


def test_a_put_does_not_make_a_bucket(store_settings: Settings) -> None:
    answer = httpx.put(f"http://{store.store_address(store_settings)}/never-made/x", content=b"x", timeout=60)
    assert (answer.status_code, "NoSuchBucket" in answer.text) == (404, True)
