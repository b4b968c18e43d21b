"""What a script prints of the cluster's own secrets stands in no log that others read."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from emr_studio_cluster import bootstrap, spark, step, tasks
from emr_studio_cluster.config import read_config
from emr_studio_cluster.secrecy import without, without_likely

NODE = {
    "cluster_id": "j-1",
    "address": "127.0.0.1",
    "primary_address": "127.0.0.1",
    "local_mode": True,
    "secret": "the-secret-of-all-its-programs",
    "connect_token": "what-opens-spark-connect",
    "gateway_token": "what-opens-the-gateway",
    "livy_token": "what-opens-livys-port",
    "ui_key": "what-opens-sparks-pages",
}
TOKEN = "what-fetches-its-roles-credentials"
SECRETS = (
    TOKEN,
    *(str(NODE[name]) for name in NODE if name not in ("cluster_id", "address", "primary_address", "local_mode")),
)


class Store:
    """S3, as a task's logs go there."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def put_object(self, **put: Any) -> None:
        self.bodies.append(gzip.decompress(put["Body"]))


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A task passes on what signals it gets; here it is the tests' own process that would go on doing so."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made, home = Store(), tmp_path / "spark"
    (home / "jars").mkdir(parents=True)
    (home / "jars" / "spark-core_2.13-4.1.0.jar").touch()
    monkeypatch.setattr(spark, "spark_home", lambda: home)
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    monkeypatch.setattr(boto3, "client", lambda _name: made)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
    return made


def folder_of(tmp_path: Path, told: dict[str, Any]) -> Path:
    (tmp_path / "node.json").write_text(json.dumps(NODE))
    (tmp_path / "task.json").write_text(json.dumps({"log_uri": "s3://logs/here", **told}))
    return tmp_path


def spill(tmp_path: Path) -> Path:
    """A script that shows all that it can find, and fails with it."""
    script = tmp_path / "spill.sh"
    script.write_text(
        "env; cat ../node.json node.json\nenv >&2; env >&2\necho $AWS_CONTAINER_AUTHORIZATION_TOKEN >&2\nexit 3\n"
    )
    return script


def check(folder: Path, store: Store) -> None:
    assert len(store.bodies) >= 3
    everything = b"\n".join(store.bodies) + (folder / tasks.RESULT_FILE).read_bytes()
    assert b"AWS_CONTAINER_AUTHORIZATION_TOKEN=****" in everything
    assert [one for one in SECRETS if one.encode() in everything] == []


def test_a_bootstrap_action_that_prints_its_environment(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = folder_of(tmp_path, {"actions": [{"ScriptPath": f"file://{spill(tmp_path)}"}]})
    assert bootstrap.main([str(folder)]) == 3
    check(folder, store)
    message = json.loads((folder / tasks.RESULT_FILE).read_text())["message"]
    assert message == "bootstrap action 1 returned a non-zero return code (3): ****"


def test_a_step_that_prints_its_environment(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = {"jar": "command-runner.jar", "arguments": ["bash", str(spill(tmp_path))]}
    folder = folder_of(tmp_path, runner)
    assert step.main([str(folder)]) == 3
    check(folder, store)
    assert json.loads((folder / tasks.RESULT_FILE).read_text())["message"] == "****"


@pytest.mark.parametrize("beyond", [1, len(TOKEN) // 2, len(TOKEN) - 1])
def test_a_secret_at_the_edge_of_what_is_shown(tmp_path: Path, store: Store, beyond: int) -> None:
    task = tasks.Task(folder_of(tmp_path, {}), read_config(tmp_path), {})
    rest = "x" * (8192 - beyond)
    (tmp_path / "stderr").write_text("y" * 9000 + TOKEN + rest)
    (line,) = tasks.last_lines(task, "stderr")
    assert set(line) <= {"x", "y", "*"}
    assert line.endswith(rest)


def test_what_is_replaced() -> None:
    assert without(["abcabcabcabc"], b"x abcabcabcabc, abcabcabcabc") == b"x ****, ****"
    assert without([], b"\xff\x00") == b"\xff\x00"
    assert without_likely("password: hunter2 and db_token=abc go") == "password=*** and db_token=*** go"
