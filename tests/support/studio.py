"""A real studio for tests: `emr-studio up` in a temporary folder, on a free port, and its clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.config import Config

from emr_studio.settings import Settings
from tests.support.aws_clients import client

T = TypeVar("T")
COMMAND = [sys.executable, "-m", "emr_studio.cli"]


def until(what: str, found: Callable[[], T], seconds: float = 120.0) -> T:
    """Ask until the answer is truthy; fail with `what` after `seconds` (which nothing that works takes)."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)


def command(
    *arguments: str, timeout: float = 600.0, check: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `emr-studio …` as a user would."""
    whole = clean_environment() | dict(environment or {})
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout, check=False, env=whole
    )
    if check:
        assert done.returncode == 0, f"emr-studio {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
    return done


def clean_environment() -> dict[str, str]:
    """Ours without a caller's AWS profile or studio; without warm spares, where a test does not ask for them."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "EMR_STUDIO_DATA"))}
    return {"EMR_STUDIO_WARM_SPARES": "0", **own}


@dataclass
class Studio:
    """A running studio."""

    data_dir: Path

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "studio.json").read_text())
        return found

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.data_dir)

    def client(self, service: str, user: str = "admin", **keys: str) -> Any:
        """A stock boto3 client with the keys of `admin` or `sample`, or those given."""
        who = self.json[user]
        key = keys.get("access_key_id", who["access_key_id"])
        secret = keys.get("secret_access_key", who["secret_access_key"])
        config = Config(s3={"addressing_style": "path"}, read_timeout=60)
        url, region = self.json["endpoint_url"], self.json["region"]
        return client(service, url, key, secret, region=region, config=config)

    def status(self) -> dict[str, Any]:
        """What `emr-studio status --json` prints."""
        shown = command("status", "--json", "--data-dir", str(self.data_dir), check=False).stdout
        found: dict[str, Any] = json.loads(shown)
        return found

    def pid_of(self, part: str) -> int:
        """Process id of a part (`api`, `controller`, `agent`, `edge`, `store`) right now; 0 while it is away."""
        record = json.loads((self.settings.run_dir / "supervisor.json").read_text())
        pid: int = record["parts"].get(part, {"pid": 0})["pid"]
        return pid

    def logs(self) -> str:
        """The ends of all logs, for the message of a failing test."""
        return "\n".join(
            f"--- {p.name}\n{p.read_text()[-1500:]}" for p in sorted((self.data_dir / "logs").glob("*.log"))
        )


@contextmanager
def held(studio: Studio, part: str) -> Iterator[None]:
    """Hold a part's process still: what it does by and by is not done before somebody has looked.

    Not one that writes to the database: it may have it locked.
    """
    pid = until(f"{part} runs", lambda: studio.pid_of(part))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def processes_of(data_dir: Path) -> list[str]:
    """Command lines of live processes that belong to the studio in `data_dir`."""
    mark = f"EMR_STUDIO_DATA_DIR={data_dir}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            line = (folder / "cmdline").read_bytes()
            if (mark in (folder / "environ").read_bytes() or str(data_dir).encode() in line) and line:
                found.append(f"{folder.name} {line.replace(bytes(1), b' ').decode(errors='replace')[:200]}")
        except OSError:
            continue
    return found


@contextmanager
def running(data_dir: Path, **environment: str) -> Iterator[Studio]:
    """Start a studio, stop it at the end, and see that nothing of it is left."""
    command("up", "--detach", "--data-dir", str(data_dir), "--port", "0", environment=environment)
    studio = Studio(data_dir)
    try:
        yield studio
    finally:
        command("down", "--data-dir", str(data_dir))
        until(f"no process is left of {data_dir}, not {processes_of(data_dir)}", lambda: not processes_of(data_dir))
