"""Runs what is asked of one kernel, one request after the other, and hears all that the kernel says to it.

What is said goes by once. After a line that was lost, or a server that was killed, it is read again from what the
kernel's gateway has kept (`KernelLink.recall`); a gateway of others' keeps nothing, or only for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tornado.web import HTTPError

from emr_studio_workspace.kernel_link import KernelGone, KernelLink, NoJournal, Reconnected
from emr_studio_workspace.outputs import CellOutputs, Displays
from emr_studio_workspace.share import Answers

_IDLE_LOOKS, _LOOK_SECONDS, _RECALL_SECONDS = 3, 1.0, 10.0
_log = logging.getLogger(__name__)
QUEUED, RUNNING, INPUT, COMPLETE = "queued", "running", "input", "complete"


@dataclass
class Execution:
    """One request to run code."""

    kernel_id: str
    code: str
    metadata: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Of the request, and of the message that asks the kernel."""
    author: str = ""
    """Who asked."""
    cluster_id: str = ""
    session: str = ""
    """Of the line to the kernel, once it was sent; questions of the code are asked there."""
    asked_at: float = field(default_factory=time.time)
    status: str = QUEUED
    room_id: str = ""
    outputs: CellOutputs = field(default_factory=CellOutputs)
    prompt: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    found: asyncio.Task[None] | None = None

    def context(self) -> dict[str, Any]:
        """What each answer says about the request."""
        return {
            "request_id": self.id,
            "kernel_id": self.kernel_id,
            "request_url": f"/api/kernels/{self.kernel_id}/requests/{self.id}",
            "cell_id": self.metadata.get("cell_id"),
            "document_path": self.metadata.get("document_path"),
            "pending": self.result is None,
            "request_status": self.status,
        }

    def to_keep(self) -> dict[str, Any]:
        """What another server needs to take it up; these are names of its fields."""
        kept = ("kernel_id", "code", "metadata", "id", "author", "cluster_id", "session", "asked_at")
        return {name: getattr(self, name) for name in kept}

    def finish(self, status: str, count: int | None = None) -> None:
        """It is over."""
        if self.result is not None:
            return
        self.outputs.end(count)
        self.status, self.prompt = COMPLETE, None
        self.result = {"status": status, "execution_count": count}


@dataclass
class _End:
    """How far the kernel is with a request."""

    reply: dict[str, Any] | None = None
    is_idle: bool = False
    failed: bool = False
    count: int | None = None

    @property
    def is_half(self) -> bool:
        return self.reply is not None or self.is_idle

    @property
    def is_whole(self) -> bool:
        return self.reply is not None and self.is_idle

    def status(self) -> str:
        """As the kernel's reply has it; the reply is the one thing that is not kept."""
        return str(self.reply["status"]) if self.reply else "error" if self.failed else "ok"


@dataclass
class Surroundings:
    """What a worker asks of those who made it."""

    is_idle: Callable[[str], Awaitable[bool]]
    """Whether the kernel of this id has nothing to do. Raises KernelGone."""
    sent: Callable[[Execution], None]
    """Told before the request is sent."""
    done: Callable[[Execution], None]
    """Told when it is over."""
    answers: Answers
    """For cells that ask this server, by a magic: for files, for a notebook to be run."""


class Worker:
    """That of one kernel."""

    def __init__(self, first: Execution, around: Surroundings) -> None:
        self._kernel_id, self._around = first.kernel_id, around
        self._link = KernelLink(first.kernel_id, first.session, first.cluster_id)
        self._queue: asyncio.Queue[Execution] = asyncio.Queue()
        self._current: Execution | None = None
        self._question: dict[str, Any] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._unsure: list[dict[str, Any]] | None = None
        """What was heard of an execution while it is not known whether the gateway keeps all of it."""
        self.displays: Displays = {}
        self.put(first)
        self._task = asyncio.create_task(self._work())

    def put(self, execution: Execution) -> None:
        """Behind all others."""
        execution.cluster_id = self._link.cluster_id
        self._queue.put_nowait(execution)

    async def answer(self, value: str) -> None:
        """Send `value` to the code that asked."""
        if self._question is None or self._current is None:
            return
        question, self._question = self._question, None
        self._current.prompt, self._current.status = None, RUNNING
        await self._link.send("stdin", "input_reply", {"value": value, "status": "ok"}, question["header"])

    def end(self, why: str) -> None:
        """Stop; what runs or waits ends with an error that says why."""
        self._task.cancel()
        self._link.close()
        if self._current is not None and self._current.result is None:
            self._current.outputs.fail("KernelEnded", why)
            self._finish(self._current, "error")
        self._abort_waiting()

    def _abort_waiting(self) -> None:
        while not self._queue.empty():
            self._finish(self._queue.get_nowait(), "aborted")

    def _finish(self, execution: Execution, status: str, count: int | None = None) -> None:
        execution.finish(status, count)
        self._around.done(execution)

    async def _work(self) -> None:
        while True:
            execution = self._current = await self._next()
            if execution.found is not None:
                await asyncio.wait([execution.found])
            if not await self._try(execution):
                # As a kernel does it with its own queue: what follows a failure is not run.
                self._abort_waiting()

    async def _next(self) -> Execution:
        """The next request; meanwhile what the kernel says is read, for nobody."""
        getter = asyncio.ensure_future(self._queue.get())
        try:
            while not getter.done():
                reader = asyncio.ensure_future(self._idle())
                try:
                    await asyncio.wait([getter, reader], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    reader.cancel()
        except asyncio.CancelledError:
            if not getter.cancel():
                # It came in the moment of the end, and nobody else knows of it.
                self._finish(getter.result(), "aborted")
            raise
        return getter.result()

    async def _idle(self) -> None:
        while self._link.is_open:
            try:
                await self._link.read()
            except Reconnected:
                continue
            except KernelGone:
                self._hang_up()
        await asyncio.Event().wait()

    def _hang_up(self) -> None:
        self._link.close()
        self._link = KernelLink(self._kernel_id)

    async def _try(self, execution: Execution) -> bool:
        try:
            return await self._run(execution)
        except KernelGone as error:
            execution.outputs.fail("KernelEnded", str(error))
            self._hang_up()
        except _Lost:
            execution.outputs.fail("RequestLost", "It never reached the kernel, or is not known there. Run it again.")
        except Exception as error:
            _log.exception("An execution failed")
            execution.outputs.fail(type(error).__name__, str(error))
        self._finish(execution, "error")
        return False

    async def _run(self, execution: Execution) -> bool:
        execution.status = RUNNING
        end, is_known = _End(), bool(execution.session)
        if not is_known:
            execution.outputs.begin()
            execution.session = self._link.session
            self._around.sent(execution)
            await self._link.send("shell", "execute_request", _content(execution.code), message_id=execution.id)
        await self._hear(execution, end, is_known)
        if is_known and end.reply is None and execution.outputs.has_more:
            # A tab knew outputs that the server before this one had no time to note: all is told once more.
            end = _End()
            await self._hear(execution, end, True)
        self._finish(execution, end.status(), end.reply["execution_count"] if end.reply else end.count)
        return end.status() == "ok"

    async def _hear(self, execution: Execution, end: _End, lost: bool) -> None:
        """Listen to its end; `lost`: something may have been said that was not heard here."""
        last, looking = "", False
        while not end.is_whole:
            if lost:
                lost, looking = False, True
                with suppress(NoJournal):
                    await self._follow(execution, end, last)
                    return
            try:
                message = await self._read(looking or end.is_half)
            except Reconnected:
                lost = True
                continue
            except _Silence:
                # The other half was lost with a line that was cut.
                return
            if message["parent_header"].get("msg_id") != execution.id:
                self._watch(message)
                continue
            if message["header"]["msg_type"] not in ("execute_reply", "input_request"):
                last = message["header"]["msg_id"]
            self._take(execution, end, message)

    def _take(self, execution: Execution, end: _End, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "execute_reply":
            end.reply = content
        elif kind == "status":
            end.is_idle = content["execution_state"] == "idle"
        elif kind == "input_request":
            self._ask(execution, message)
        else:
            end.failed |= kind == "error"
            end.count = content.get("execution_count", end.count)
            execution.outputs.take(message)

    async def _read(self, looking: bool) -> dict[str, Any]:
        """The next message; look now and then whether the kernel still runs, if that is not certain."""
        looks = 0
        while True:
            try:
                return await self._link.read(_LOOK_SECONDS if looking else None)
            except TimeoutError:
                looks = looks + 1 if await self._around.is_idle(self._kernel_id) else 0
                if looks >= _IDLE_LOOKS:
                    raise _Silence from None

    async def _follow(self, execution: Execution, end: _End, after: str) -> None:
        """Go on with what the gateway keeps, to its end: behind the message `after`, or from the beginning.

        Raises:
            NoJournal: it keeps nothing.
            KernelGone: the kernel has ended or was started anew.
            _Lost: the kernel never began it.
        """
        await self._link.open()
        self._unsure = []
        listening = asyncio.ensure_future(self._listen(execution))
        recalling = asyncio.ensure_future(self._recall(execution, end, after))
        try:
            done, _ = await asyncio.wait([listening, recalling], return_when=asyncio.FIRST_COMPLETED)
            (recalling if recalling in done else listening).result()
        except NoJournal:
            # What was said while nobody knew that is told by the line alone.
            for message in self._unsure or []:
                self._take(execution, end, message)
            raise
        finally:
            for task in (listening, recalling):
                task.cancel()
            await asyncio.gather(listening, recalling, return_exceptions=True)

    async def _listen(self, execution: Execution) -> None:
        """Questions of the code, and the kernel's death, which are not kept; and all, while nothing may be."""
        while True:
            try:
                message = await self._link.read()
            except Reconnected:
                continue
            if message["parent_header"].get("msg_id") != execution.id:
                self._watch(message)
            elif message["header"]["msg_type"] == "input_request":
                self._ask(execution, message)
            elif self._unsure is not None:
                self._unsure.append(message)

    async def _recall(self, execution: Execution, end: _End, after: str) -> None:
        start = looks = 0
        while not end.is_idle:
            try:
                wait = _RECALL_SECONDS if start else _LOOK_SECONDS
                messages, following = await self._link.recall(execution.id, start, wait)
            except (HTTPError, OSError):
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            self._unsure = None
            if not following:
                looks = looks + 1 if await self._around.is_idle(self._kernel_id) else 0
                if looks >= _IDLE_LOOKS:
                    raise _Lost
            elif not start and not after:
                execution.outputs.begin()
            start = following
            for message in messages:
                if not after:
                    self._take(execution, end, message)
                elif message["header"]["msg_id"] == after:
                    after = ""

    async def _answer(self, execution: Execution, message: dict[str, Any]) -> None:
        value = await self._around.answers.answer(execution.id, message["content"]["prompt"])
        # A kernel that is gone is told by what is read from it.
        with suppress(KernelGone):
            await self._link.send("stdin", "input_reply", {"value": value, "status": "ok"}, message["header"])

    def _watch(self, message: dict[str, Any]) -> None:
        """A kernel that died and was started again says so to everybody."""
        content = message["content"]
        if message["header"]["msg_type"] == "status" and content["execution_state"] in ("restarting", "dead"):
            raise KernelGone("The kernel died. It may have run out of memory.")

    def _ask(self, execution: Execution, message: dict[str, Any]) -> None:
        if self._around.answers.is_asked(execution.code, message["content"].get("prompt", "")):
            self._answering = asyncio.create_task(self._answer(execution, message))
            return
        self._question = message
        execution.status = INPUT
        request = {name: message["content"].get(name) for name in ("prompt", "password")}
        execution.prompt = {"parent_header": message["header"], "input_request": request}


def _content(code: str) -> dict[str, Any]:
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": True,
        "stop_on_error": True,
    }


class _Silence(Exception):
    """The kernel is idle and says nothing more."""


class _Lost(Exception):
    """The kernel is idle and never began it."""
