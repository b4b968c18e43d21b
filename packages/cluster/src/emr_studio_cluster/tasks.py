"""What programs that do one thing and end have in common: a step, a bootstrap action.

Such a program has a folder of its own with `node.json` (the node) and `task.json` (what to do). It
runs somebody's command there with its output in files, puts them into S3 as EMR does, and says in
`result.json`, before it exits, how it went.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from emr_studio_cluster import tools
from emr_studio_cluster.config import NodeConfig, read_config
from emr_studio_cluster.secrecy import secrets_of, without, without_likely

TASK_FILE, RESULT_FILE = "task.json", "result.json"
CONTROLLER, STDOUT, STDERR = "controller", "stdout", "stderr"
_LOGS = (CONTROLLER, STDOUT, STDERR)
_PUBLISH_SECONDS = 60.0
_TAIL_BYTES, _EDGE_BYTES = 8192, 512
_TAIL_LINES = 20
_NOT_FOUND = 127
_S3 = re.compile(r"s3[an]?://([^/]+)/?(.*)", re.DOTALL)


class TaskFailed(Exception):
    """It could not be done; the text is for the person who asked for it."""


@dataclass(frozen=True)
class Task:
    """What to do, and where."""

    folder: Path
    node: NodeConfig
    told: Mapping[str, Any]

    @property
    def log_uri(self) -> str:
        """The folder in S3 for the logs; empty for none."""
        return str(self.told.get("log_uri") or "")


def read_task(folder: Path) -> Task:
    """Read what the program is told; the folder becomes its working directory."""
    folder = folder.absolute()
    os.chdir(folder)
    return Task(folder, read_config(folder), json.loads((folder / TASK_FILE).read_text()))


def say(task: Task, text: str) -> None:
    """A line of the controller's log."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z INFO {text}\n"
    with (task.folder / CONTROLLER).open("a") as file:
        file.write(line)
    sys.stdout.write(line)
    sys.stdout.flush()


def parse_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`.

    Raises:
        TaskFailed: for anything else.
    """
    found = _S3.fullmatch(uri)
    if found is None:
        raise TaskFailed(f"{uri} is not an S3 URI")
    return found[1], found[2]


def download(task: Task, uri: str, name: str) -> Path:
    """Fetch an object into the task's folder.

    Raises:
        TaskFailed: with S3's reason.
    """
    bucket, key = parse_s3(uri)
    target = task.folder / name
    say(task, f"Downloading {uri}")
    try:
        boto3.client("s3").download_file(bucket, key, str(target))
    except (ClientError, BotoCoreError, OSError) as error:
        raise TaskFailed(f"Could not download {uri}: {error}") from error
    return target


def run(task: Task, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end; the logs go to S3 now and then. Returns its exit code, 128 + signal for a signal."""
    say(task, f"Running {' '.join(command)}")
    variables = tools.environment(task.node, task.folder) | dict(environment or {})
    with (task.folder / STDOUT).open("ab") as out, (task.folder / STDERR).open("ab") as err:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=variables, cwd=task.folder
            )
        except OSError as error:
            err.write(f"{command[0]}: {error.strerror or error}\n".encode())
            return _NOT_FOUND
        _pass_on(process)
        code = _wait(task, process)
    say(task, f"The command ended with {code}")
    return code if code >= 0 else 128 - code


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    # Who cancels asks this process first; the command's own end is then waited for and reported.
    def hand_down(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_down)


def _wait(task: Task, process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait(_PUBLISH_SECONDS)
        except subprocess.TimeoutExpired:
            publish(task)


def publish(task: Task) -> None:
    """Put the logs into S3, compressed; what hinders that is said in the controller's log and hinders nothing else."""
    if not task.log_uri:
        return
    try:
        bucket, prefix = parse_s3(task.log_uri)
        client, secrets = boto3.client("s3"), secrets_of(task.node)
        for name in _LOGS:
            path = task.folder / name
            if path.exists():
                body = gzip.compress(without(secrets, path.read_bytes()))
                client.put_object(Bucket=bucket, Key=f"{prefix}/{name}.gz", Body=body)
    except (TaskFailed, ClientError, BotoCoreError, OSError) as error:
        say(task, f"The logs could not be written to {task.log_uri}: {error}")


def finish(task: Task, code: int, *, reason: str = "", message: str = "") -> int:
    """Write the result, durable before anybody can see this process end; returns `code`."""
    lines = last_lines(task, STDERR)
    result = {"exit_code": code, "reason": reason, "message": message, "lines": lines}
    publish(task)
    scratch = task.folder / f".{RESULT_FILE}"
    with scratch.open("w") as file:
        json.dump(result, file)
        file.flush()
        os.fsync(file.fileno())
    scratch.rename(task.folder / RESULT_FILE)
    return code


def last_lines(task: Task, name: str) -> list[str]:
    """The last lines of a log; secrets, and what looks like one, are left out."""
    path = task.folder / name
    try:
        with path.open("rb") as file:
            # A little more than is shown: of a secret that stands at the edge no half may be left.
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES - _EDGE_BYTES))
            text = without(secrets_of(task.node), file.read())[-_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [without_likely(line) for line in lines[-_TAIL_LINES:]]
