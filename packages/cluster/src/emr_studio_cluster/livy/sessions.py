"""A session: a kernel of the cluster's gateway with a driver of its own, and the statements that it runs in turn.

    starting ──> idle <─> busy          its task takes one statement after the other
        └──────────┴───────┴──> dead    the kernel or its driver ended; kept for a while, so that it can be asked why

What is needed to go on with it after this program was killed stands in its folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from emr_studio_cluster.livy.asked import PYSPARK, SHARED, SPARK, SQL, Asked, Refused, kind_of
from emr_studio_cluster.livy.config import LivyConfig
from emr_studio_cluster.livy.statements import OPEN, Heard, Statement, StatementState, failure

log = logging.getLogger(__name__)

NOT_STARTED, STARTING, IDLE, BUSY, DEAD = "not_started", "starting", "idle", "busy", "dead"
_FILE, _LOG, _PROGRESS, _STATEMENT = "session.json", "driver.log", "progress", "statement-"
_COMPLETE_SECONDS = 20.0
_INTERRUPT_SECONDS = 1.0
_NAMES = {SQL: "sql", SPARK: "scala"}
_START = "import json\nfrom emr_studio_cluster.livy import interpreter\n__livy__ = interpreter.start(get_ipython(), {})"


class KernelGone(Exception):
    """The kernel has ended, or cannot be reached any more."""


class Kernel(Protocol):
    """A kernel of the gateway."""

    id: str

    async def run(self, code: str, *, silent: bool = False) -> Heard:
        """Run one cell to its end; raises `KernelGone`."""
        ...

    async def complete(self, code: str, cursor: int) -> list[str]:
        """What could stand at the cursor, in Python; raises `KernelGone`."""
        ...

    async def interrupt(self) -> None:
        """Interrupt what runs."""
        ...

    async def close(self) -> None:
        """End it; one that is gone is fine."""
        ...


class Kernels(Protocol):
    """The gateway."""

    async def start(self) -> Kernel:
        """A new kernel of Python; raises `KernelGone`."""
        ...

    async def adopt(self, kernel_id: str) -> Kernel:
        """One that runs already; raises `KernelGone`."""
        ...


@dataclass(frozen=True)
class Tools:
    """What sessions work with."""

    kernels: Kernels
    config: LivyConfig
    folder: Path
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""


@dataclass
class Session:
    """One; `number` is its id."""

    number: int
    owner: str
    asked: Asked
    tools: Tools
    state: str = STARTING
    app_id: str | None = None
    ui_url: str | None = None
    kernel_id: str = ""
    created: float = 0.0
    used: float = 0.0
    """When somebody last asked for a statement, or one ended."""
    seen: float = 0.0
    """When somebody last asked for it at all: the heartbeat of its client."""
    ended: float = 0.0
    next_statement: int = 0
    statements: dict[int, Statement] = field(default_factory=dict)
    kernel: Kernel | None = None
    why: str = ""

    def __post_init__(self) -> None:
        """Not yet begun: `begin` does that."""
        self.folder = self.tools.folder / str(self.number)
        self._queue: asyncio.Queue[Statement] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._interrupting: asyncio.Task[None] | None = None
        self._has_ended = asyncio.Event()
        """Of the statement that is interrupted."""
        self._written: set[int] = set()

    # Its life.

    def begin(self) -> None:
        """Start its kernel, or go on with the one that it had before this program was started again."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = self.tools.clock()
        self.created = self.created or now
        self.used, self.seen = self.used or now, now
        self.save()
        self._task = asyncio.get_running_loop().create_task(self._live())

    async def _live(self) -> None:
        try:
            if self.kernel_id:
                self.kernel = await self.tools.kernels.adopt(self.kernel_id)
            else:
                await self._start()
            self.state = IDLE
            self.save()
            while True:
                await self._run(await self._queue.get())
                self.state = IDLE if self._queue.empty() else BUSY
                self.save()
        except KernelGone as gone:
            await self._die(str(gone))
        except Exception as error:  # whatever it is, the session's client is to read it
            log.exception("session %d", self.number)
            await self._die(f"{type(error).__name__}: {error}")

    async def _start(self) -> None:
        self.kernel = await self.tools.kernels.start()
        self.kernel_id = self.kernel.id
        self.save()
        told = {
            "name": self.asked.name or f"livy-session-{self.number}",
            "properties": dict(self.asked.properties),
            "rows": self.tools.config.sql_rows,
            "log": str(self.folder / _LOG),
            "progress": str(self.folder / _PROGRESS),
        }
        heard = await self.kernel.run(_START.format(f"json.loads({json.dumps(told)!r})"), silent=True)
        if heard.error is not None:
            raise KernelGone("".join(heard.error["traceback"]))
        for line in "".join(heard.text).splitlines():
            with suppress(ValueError, TypeError, KeyError):
                found = json.loads(line)
                self.app_id, self.ui_url = found["appId"], found["sparkUiUrl"]

    async def _run(self, statement: Statement) -> None:
        if statement.state is not StatementState.WAITING or self.kernel is None:
            return
        self.state, statement.state, statement.started = BUSY, StatementState.RUNNING, self.tools.clock()
        self.save()
        try:
            heard = await self.kernel.run(_cell(statement))
        finally:
            await self._stop_interrupting()
        cancelled = statement.state is StatementState.CANCELLING
        statement.output = None if cancelled else heard.output(statement.id)
        statement.state = StatementState.CANCELLED if cancelled else StatementState.AVAILABLE
        statement.completed = self.used = self.tools.clock()
        if heard.error is not None and not await self._has_driver(self.kernel):
            raise KernelGone("Spark's driver ended.")

    async def _has_driver(self, kernel: Kernel) -> bool:
        heard = await kernel.run("print(__livy__.alive())", silent=True)
        return "".join(heard.text).strip() == "True"

    async def _die(self, why: str) -> None:
        now = self.tools.clock()
        self.state, self.why, self.ended = DEAD, why, now
        for statement in self.statements.values():
            if statement.state in OPEN:
                statement.output = failure(statement.id, "SessionDead", f"The session ended: {_first_line(why)}")
                statement.state, statement.completed = StatementState.AVAILABLE, now
        self.save()
        if self.kernel is not None:
            await self.kernel.close()

    async def end(self) -> None:
        """End it with all that it has."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self.kernel is not None:
            await self.kernel.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_over(self, now: float) -> bool:
        """Whether it is to end: idle for too long, without its client, or dead for a while."""
        config = self.tools.config
        if self.state == DEAD:
            return now - self.ended > config.retain_seconds
        if self.asked.heartbeat_seconds and now - self.seen > self.asked.heartbeat_seconds:
            return True
        limit = self.asked.idle_seconds or config.timeout_seconds
        checked = config.check_timeout or self.asked.idle_seconds is not None
        return checked and not self.is_working and now - self.used > limit

    @property
    def is_working(self) -> bool:
        """Whether it starts, or a statement runs or waits: then it is not idle, however long that takes."""
        return self.state == STARTING or any(one.state in OPEN for one in self.statements.values())

    # What its clients ask.

    def submit(self, code: str, kind: Any) -> Statement:
        """Let it run a statement.

        Raises:
            Refused: it is dead, or the kind is not known.
        """
        if self.state not in (STARTING, IDLE, BUSY):
            raise Refused(f"Session is in state {self.state}")
        chosen = kind_of(kind) if kind else self.asked.kind
        if chosen == SHARED:
            raise Refused("Code type should be specified if session kind is shared")
        statement = Statement(self.next_statement, code, chosen)
        self.next_statement += 1
        self.statements[statement.id] = statement
        self._forget_old()
        self.used = self.tools.clock()
        if self.state == IDLE:
            self.state = BUSY
        self._queue.put_nowait(statement)
        return statement

    def _forget_old(self) -> None:
        done = [number for number, one in self.statements.items() if one.state not in OPEN]
        for number in done[: max(0, len(self.statements) - self.tools.config.retained_statements)]:
            del self.statements[number]
            self._written.discard(number)
            self._file_of(number).unlink(missing_ok=True)

    async def cancel(self, statement: Statement) -> None:
        """Cancel a statement, with its Spark jobs; one that has ended stays as it is."""
        if statement.state is StatementState.WAITING:
            statement.state, statement.completed = StatementState.CANCELLED, self.tools.clock()
            self.save()
        elif statement.state is StatementState.RUNNING and self.kernel is not None:
            statement.state = StatementState.CANCELLING
            self._interrupting = asyncio.get_running_loop().create_task(self._interrupt(self.kernel))

    async def _interrupt(self, kernel: Kernel) -> None:
        """Again and again, as Livy does: one may come before the kernel has begun, or be caught by the code."""
        while not self._has_ended.is_set():
            await kernel.interrupt()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_ended.wait(), _INTERRUPT_SECONDS)

    async def _stop_interrupting(self) -> None:
        """One that is on its way must not hit the next statement."""
        if self._interrupting is not None:
            self._has_ended.set()
            await self._interrupting
            self._interrupting = None
            self._has_ended.clear()

    async def complete(self, code: str, kind: Any, cursor: int) -> list[str]:
        """What could stand at the cursor; nothing while a statement runs for too long, or in SQL."""
        chosen = kind_of(kind) if kind else self.asked.kind
        if self.kernel is None or self.state not in (IDLE, BUSY):
            raise Refused(f"Session is in state {self.state}")
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMPLETE_SECONDS):
                return await self._complete(self.kernel, code, chosen, cursor)
        return []

    async def _complete(self, kernel: Kernel, code: str, kind: str, cursor: int) -> list[str]:
        if kind == PYSPARK:
            return await kernel.complete(code, cursor)
        if kind != SPARK or self.state == BUSY:
            return []
        heard = await kernel.run(f"__livy__.complete_scala({code!r}, {cursor})", silent=True)
        return list(heard.data.get("application/json") or [])

    def log_lines(self) -> list[str]:
        """The driver's log; why it is dead, if it is."""
        with suppress(OSError):
            text = (self.folder / _LOG).read_text(errors="replace")
            return [*text.splitlines(), *self.why.splitlines()]
        return self.why.splitlines()

    def progress(self, statement: Statement) -> float:
        """How much of a running statement's Spark jobs is done, 0 to 1."""
        if statement.state is not StatementState.RUNNING:
            return 0.0
        path = self.folder / _PROGRESS
        try:
            # What is older is of the statement before.
            return float(path.read_text()) if path.stat().st_mtime >= statement.started else 0.0
        except (OSError, ValueError):
            return 0.0

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.number,
            "name": self.asked.name,
            "appId": self.app_id,
            "owner": self.owner,
            "proxyUser": None,
            "state": self.state,
            "kind": self.asked.kind,
            "appInfo": {"driverLogUrl": None, "sparkUiUrl": self.ui_url},
            "log": self.log_lines()[-10:],
            **self.asked.echoed,
        }

    # What outlives this program.

    def save(self) -> None:
        """Write down what `load` reads; statements that have ended once, since what they said may be long."""
        for statement in self.statements.values():
            if statement.state not in OPEN and statement.id not in self._written:
                _write(self._file_of(statement.id), asdict(statement))
                self._written.add(statement.id)
        kept = {name: getattr(self, name) for name in _KEPT} | {"asked": asdict(self.asked)}
        going = [asdict(one) for one in self.statements.values() if one.state in OPEN]
        _write(self.folder / _FILE, kept | {"statements": going})

    def _file_of(self, number: int) -> Path:
        return self.folder / f"{_STATEMENT}{number}.json"


_KEPT = (
    *("number", "owner", "state", "app_id", "ui_url", "kernel_id"),
    *("created", "used", "ended", "next_statement", "why"),
)


def load(folder: Path, tools: Tools) -> Session | None:
    """A session that a program before this one had; None if its file cannot be read.

    What ran or waited then is lost: its kernel may still work at it, but nobody heard what it said.
    """
    try:
        kept = json.loads((folder / _FILE).read_text())
        asked = Asked(**{**kept.pop("asked"), "arguments": ()})
        found = [
            *kept.pop("statements"),
            *(json.loads(path.read_text()) for path in folder.glob(f"{_STATEMENT}*.json")),
        ]
        statements = [Statement(**{**one, "state": StatementState(one["state"])}) for one in found]
        session = Session(asked=asked, tools=tools, **kept)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    # One that had just ended may stand in both places: then its own file, which comes last, is right.
    for statement in sorted(statements, key=lambda one: (one.id, one.state not in OPEN)):
        if statement.state in OPEN:
            statement.output = failure(statement.id, "LivyRestarted", "Livy was started again while this ran.")
            statement.state, statement.completed = StatementState.AVAILABLE, tools.clock()
        session.statements[statement.id] = statement
    return session


def _write(path: Path, document: Any) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(json.dumps(document))
    scratch.rename(path)


def _cell(statement: Statement) -> str:
    method = _NAMES.get(statement.kind)
    return f"__livy__.{method}({statement.code!r})" if method else statement.code


def _first_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no reason is known"
