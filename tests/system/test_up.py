"""`up`, `status`, `down`: what a person at a terminal sees, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from emr_studio.cli import parts
from emr_studio.runtime.supervisor import read_record
from emr_studio.settings import Settings
from tests.support import postgres
from tests.support.studio import Studio, command, processes_of, running, until


def test_status_names_every_part(studio: Studio) -> None:
    # A part that takes over two seconds to answer is shown as starting.
    found = until("all parts answer", lambda: _if_running(studio.status()))
    assert {part["name"]: part["state"] for part in found["parts"]} == dict.fromkeys(
        ("store", "api", "agent", "controller", "edge", "lane"), "running"
    )


def _if_running(status: dict[str, Any]) -> dict[str, Any]:
    return status if status["state"] == "running" else {}


def test_studio_json_is_whole_and_private(studio: Studio) -> None:
    path = studio.data_dir / "studio.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = studio.json
    assert found["account_id"] == "123456789012"
    assert found["region"] == "us-east-1"
    assert found["endpoint_url"] == found["s3"]["endpoint_url"]
    assert set(found["admin"]) == {"user_name", "password", "access_key_id", "secret_access_key"}
    assert set(found["network"]) == {
        "vpc_id",
        "subnet_ids",
        "engine_security_group_id",
        "workspace_security_group_id",
    }
    assert found["service_role_arn"].startswith("arn:aws:iam::123456789012:role/")
    assert found["user_role_arn"].startswith("arn:aws:iam::123456789012:role/")
    assert found["s3"]["default_location"].startswith("s3://")
    assert found["sample"]["studio_id"].startswith("es-")


def test_the_data_set_is_in_the_store(studio: Studio) -> None:
    bucket = studio.json["s3"]["default_location"].split("/")[2]
    pages = studio.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="data/flights/")
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    assert any(key.endswith(".parquet") for key in keys)
    assert any(key.endswith(".csv") for key in keys)


def test_up_again_says_that_it_runs(studio: Studio) -> None:
    done = command("up", "--detach", "--data-dir", str(studio.data_dir))
    assert "running already" in done.stdout
    assert studio.json["sample"]["password"] in done.stdout


def test_a_port_in_use_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("up", "--detach", "--data-dir", str(tmp_path), "--port", str(port), check=False)
    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr
    assert "--port 0" in done.stderr.replace("\n", " ")
    until("nothing is left", lambda: not processes_of(tmp_path))


def test_no_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = command("up", "--detach", "--data-dir", str(tmp_path / "data"), "--port", "0", check=False)
    assert done.returncode == 1
    assert "Java is missing" in done.stderr
    assert "openjdk-17" in done.stderr
    until("nothing is left", lambda: not processes_of(tmp_path / "data"))


def test_a_broken_object_store_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder\n")
    done = command("up", "--detach", "--data-dir", str(tmp_path), "--port", "0", check=False)
    assert done.returncode == 1
    assert "store" in done.stderr
    until("nothing is left", lambda: not processes_of(tmp_path))


def test_a_second_up_keeps_all_data(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        before = first.json
        first.client("s3").put_object(Bucket=before["s3"]["default_location"].split("/")[2], Key="kept", Body=b"yes")
    with running(tmp_path) as second:
        after = second.json
        assert {k: after[k] for k in ("admin", "sample", "network")} == {
            k: before[k] for k in ("admin", "sample", "network")
        }
        bucket = after["s3"]["default_location"].split("/")[2]
        assert second.client("s3").get_object(Bucket=bucket, Key="kept")["Body"].read() == b"yes"
        studios = second.client("emr").list_studios()["Studios"]
        assert [s["StudioId"] for s in studios] == [before["sample"]["studio_id"]]


def test_an_up_that_fails_late_leaves_nothing(tmp_path: Path) -> None:
    # It is written last, when everything runs already.
    (tmp_path / "studio.json").mkdir()
    done = command("up", "--detach", "--data-dir", str(tmp_path), "--port", "0", check=False)
    assert done.returncode == 1
    assert "studio.json" in done.stderr
    until("no process is left", lambda: not processes_of(tmp_path))


def test_an_up_whose_supervisor_is_killed_meanwhile_leaves_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(command, "up", "--detach", "--data-dir", str(tmp_path), "--port", "0", check=False)
        settings = Settings(data_dir=tmp_path)
        supervisor = until("every part was started", lambda: _pid_once_all_were_started(settings))
        os.kill(supervisor, signal.SIGKILL)
        done = going.result()
    assert done.returncode == 1
    assert "ended unexpectedly" in done.stderr
    until("no process is left", lambda: not processes_of(tmp_path))


def _pid_once_all_were_started(settings: Settings) -> int:
    record = read_record(settings.run_dir)
    return record.pid if record and len(record.parts) == len(parts.names(settings)) else 0


def test_up_after_a_killed_supervisor(tmp_path: Path) -> None:
    with running(tmp_path) as studio:
        record = json.loads((studio.settings.run_dir / "supervisor.json").read_text())
        os.kill(record["pid"], 9)
        until("the supervisor is gone", lambda: studio.status()["state"] == "stopped")
        command("up", "--detach", "--data-dir", str(tmp_path))
        until("all parts answer", lambda: studio.status()["state"] == "running")
        assert studio.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_a_studio_on_postgresql(tmp_path: Path) -> None:
    server = postgres.Server()
    try:
        data = tmp_path / "data"
        data.mkdir()
        (data / "emr-studio.toml").write_text(f'database_url = "{server.database(data)}"\n')
        with running(data) as studio:
            assert not (data / "db" / "studio.sqlite").exists()
            emr = studio.client("emr", "sample")
            editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="on-postgres")["EditorId"]
            until("ready", lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Ready")
            emr.delete_editor(EditorId=editor_id)
    finally:
        server.stop()


def test_down_without_a_studio(tmp_path: Path) -> None:
    done = command("down", "--data-dir", str(tmp_path), check=False)
    assert done.returncode == 1
    assert "There is no studio" in done.stderr
