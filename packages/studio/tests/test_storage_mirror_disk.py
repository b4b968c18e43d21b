"""The mirror, real object store and all, on a host whose disk has no room for its notes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.settings import Settings
from emr_studio.storage import quick, store
from emr_studio.storage.mirror import Mirror, MirrorError
from tests.support.agent_rig import until

BUCKET = "mirrors-of-a-full-host"
FULL = "database or disk is full"


@pytest.fixture(scope="module")
def client(store_settings: Settings) -> Any:
    found = quick.unsigned_client(f"http://{store.store_address(store_settings)}", "us-east-1")
    found.create_bucket(Bucket=BUCKET)
    return found


@pytest.fixture
def mirror(client: Any, tmp_path: Path) -> Iterator[Mirror]:
    (tmp_path / "files").mkdir()
    made = Mirror(tmp_path / "files", f"s3://{BUCKET}/e-1/", lambda: client, tmp_path / "state", os.getuid())
    yield made
    made.stop()


def keys(client: Any) -> set[str]:
    found = client.list_objects_v2(Bucket=BUCKET, Prefix="e-1/").get("Contents", [])
    return {item["Key"].removeprefix("e-1/") for item in found}


def test_a_full_disk_of_the_host_is_told_and_what_it_held_up_follows(
    mirror: Mirror, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself says that it is full: its file may not grow."""
    mirror.flush()
    connect, pages = mirror._state._connect, [1]

    def small() -> sqlite3.Connection:
        connection = connect()
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")
        return connection

    monkeypatch.setattr(mirror._state, "_connect", small)
    mirror.start()
    names = {f"{number}-{'x' * 200}" for number in range(40)}
    for name in names:
        (tmp_path / "files" / name).touch()
    until(lambda: FULL in mirror.status().error)
    assert mirror.status().pending > 0
    with pytest.raises(MirrorError, match=FULL):
        mirror.flush(timeout=0.1)
    with pytest.raises(MirrorError, match=FULL):
        mirror.restore()
    pages[0] = 1000
    (tmp_path / "files" / "last").touch()
    until(lambda: keys(client) == names | {"last"})
    until(lambda: mirror.status().error == "")
