"""A batch: `spark-submit` on the primary node, run by the step runner (`emr_studio_cluster.step`)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emr_studio_cluster.config import NODE_FILE, NodeConfig
from emr_studio_cluster.livy.asked import Asked
from emr_studio_cluster.livy.config import LivyConfig
from emr_studio_cluster.tasks import CONTROLLER, RESULT_FILE, STDERR, STDOUT, TASK_FILE

STARTING, RUNNING, SUCCESS, FAILED, KILLED = "starting", "running", "success", "dead", "killed"
_FILE = "batch.json"
_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class BatchTools:
    """What batches work with."""

    node: NodeConfig
    config: LivyConfig
    folder: Path
    clock: Callable[[], float]


@dataclass
class Batch:
    """One; `number` is its id."""

    number: int
    owner: str
    asked: Asked
    tools: BatchTools
    state: str = STARTING
    ended: float = 0.0

    def __post_init__(self) -> None:
        """Not yet begun: `begin` does that."""
        self.folder = self.tools.folder / str(self.number)
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    def begin(self) -> None:
        """Start it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The gateway and Livy are none of its business.
        node = asdict(replace(self.tools.node, gateway_token="", livy_token="", livy_conf={}))
        told = {"jar": "command-runner.jar", "arguments": command_of(self.asked)}
        (self.folder / NODE_FILE).write_text(json.dumps(node))
        (self.folder / TASK_FILE).write_text(json.dumps(told))
        self.save()
        self._task = asyncio.get_running_loop().create_task(self._live())

    async def _live(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "emr_studio_cluster.step", str(self.folder)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self.state = RUNNING
        self.save()
        await self._process.wait()
        self._end(SUCCESS if self._exit_code() == 0 else FAILED)

    def _exit_code(self) -> int | None:
        try:
            code: int | None = json.loads((self.folder / RESULT_FILE).read_text())["exit_code"]
        except (OSError, ValueError, KeyError):
            return None
        return code

    def _end(self, state: str) -> None:
        self.state, self.ended = state, self.tools.clock()
        self.save()

    async def end(self) -> None:
        """End it with all that it has."""
        if self._process is not None and self._process.returncode is None:
            await self._kill(self._process)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        with suppress(ProcessLookupError):
            # What it has started may have ignored the first.
            os.killpg(process.pid, signal.SIGKILL)

    @property
    def is_going(self) -> bool:
        """Whether it has not ended."""
        return self.state in (STARTING, RUNNING)

    def is_over(self, now: float) -> bool:
        """Whether it is to be forgotten."""
        return not self.is_going and now - self.ended > self.tools.config.retain_seconds

    def log_lines(self) -> list[str]:
        """What it printed, as Livy shows it."""
        lines: list[str] = []
        for name in (STDOUT, STDERR):
            lines += [f"{name}: ", *_lines(self.folder / name)]
        return lines

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.number,
            "name": self.asked.name,
            "owner": self.owner,
            "proxyUser": None,
            "state": self.state,
            "appId": None,
            "appInfo": {"driverLogUrl": None, "sparkUiUrl": None},
            "log": self.log_lines()[-10:],
            **self.asked.echoed,
        }

    def save(self) -> None:
        """Write down what `load` reads."""
        kept = {"number": self.number, "owner": self.owner, "state": self.state, "ended": self.ended}
        scratch = self.folder / f".{_FILE}"
        scratch.write_text(json.dumps(kept | {"asked": asdict(self.asked)}))
        scratch.rename(self.folder / _FILE)


def load(folder: Path, tools: BatchTools) -> Batch | None:
    """A batch that a program before this one had, which ended with that; None if its file cannot be read."""
    try:
        kept = json.loads((folder / _FILE).read_text())
        asked = kept.pop("asked")
        batch = Batch(asked=Asked(**{**asked, "arguments": tuple(asked["arguments"])}), tools=tools, **kept)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if batch.is_going:
        with (folder / CONTROLLER).open("a") as file:
            file.write("Livy was started again while this ran.\n")
        batch._end(SUCCESS if batch._exit_code() == 0 else FAILED)
    return batch


def command_of(asked: Asked) -> list[str]:
    """The command that submits it."""
    command = ["spark-submit"]
    for name, value in asked.properties.items():
        command += ["--conf", f"{name}={value}"]
    if asked.class_name:
        command += ["--class", asked.class_name]
    return [*command, asked.file, *asked.arguments]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
