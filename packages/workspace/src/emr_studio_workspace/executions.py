"""Cells that the server runs: their outputs go into the document, whoever watches.

The addresses are jupyter-server-nbmodel's, whose part in the browser asks them; this takes the place
of its `ExecutionStack`, which talks to kernels on this machine and knows no restart, no lost line and
no updated display. One request after the other for each kernel, as they came.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Protocol

from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from emr_studio_workspace.kernel_link import KernelGone, KernelLink, Reconnected
from emr_studio_workspace.outputs import CellOutputs, Displays

_RESULTS_KEPT = 500
_IDLE_LOOKS, _LOOK_SECONDS = 3, 1.0
_log = logging.getLogger(__name__)
QUEUED, RUNNING, INPUT, COMPLETE = "queued", "running", "input", "complete"


class Notebooks(Protocol):
    """Where cells are found."""

    serverapp: Any

    async def cell(self, document_id: str | None, path: str | None, cell_id: str) -> tuple[str, Any]:
        """Room id and cell."""


@dataclass
class Execution:
    """One request to run code."""

    kernel_id: str
    code: str
    metadata: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
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

    def finish(self, status: str, count: int | None = None) -> None:
        """It is over."""
        if self.result is not None:
            return
        self.outputs.end(count)
        self.status, self.prompt = COMPLETE, None
        self.result = {"status": status, "execution_count": count}


class Executions:
    """What runs and waits, for each kernel."""

    def __init__(self, notebooks: Notebooks) -> None:
        self._notebooks = notebooks
        self._all: OrderedDict[str, Execution] = OrderedDict()
        self._workers: dict[str, _Worker] = {}

    def put(
        self, kernel_id: str, snippet: str, metadata: dict[str, Any] | None = None, remote_server: Any = None
    ) -> str:
        """Ask for an execution; its id.

        Raises:
            HTTPError: 400, a kernel of another server is asked for.
        """
        if remote_server is not None:
            raise HTTPError(400, "Kernels of other servers cannot be used here.")
        execution = Execution(kernel_id, snippet or "", metadata or {})
        self._all[execution.id] = execution
        self._forget_old()
        execution.found = asyncio.create_task(self._find(execution))
        worker = self._workers.get(kernel_id)
        if worker is None:
            worker = self._workers[kernel_id] = _Worker(kernel_id, self._is_idle)
        worker.put(execution)
        return execution.id

    def get(self, kernel_id: str, uid: str) -> dict[str, Any]:
        """How it stands.

        Raises:
            ValueError: there is no such request.
        """
        execution = self._all.get(uid)
        if execution is None or execution.kernel_id != kernel_id:
            raise ValueError(f"Execution request {uid} for kernel {kernel_id} does not exist.")
        found = execution.context()
        if execution.result is None:
            # Its outputs are in the document; without one they come at the end.
            return found | {"outputs": "[]"} | (execution.prompt or {})
        return execution.result | {"outputs": json.dumps(execution.outputs.to_python())} | found

    def pending(self, kernel_id: str) -> list[dict[str, Any]]:
        """What runs or waits for this kernel."""
        return [
            execution.context() | {"outputs": "[]"}
            for execution in self._all.values()
            if execution.kernel_id == kernel_id and execution.result is None
        ]

    def rooms(self) -> set[str]:
        """Documents in which something runs or waits."""
        return {execution.room_id for execution in self._all.values() if execution.result is None}

    def is_remote(self, kernel_id: str) -> bool:
        """Whether it is a kernel of another server: never."""
        return False

    async def send_input(self, kernel_id: str, value: str) -> None:
        """Answer a question of the code that runs (`input()`)."""
        worker = self._workers.get(kernel_id)
        if worker is not None:
            await worker.answer(value)

    async def interrupt(self, kernel_id: str, request_id: str | None = None) -> None:
        """Interrupt what runs.

        Raises:
            ValueError: there is no such request.
        """
        if request_id is not None:
            self.get(kernel_id, request_id)
        await ensure_async(self._notebooks.serverapp.kernel_manager.interrupt_kernel(kernel_id))

    def end_kernel(self, kernel_id: str, why: str) -> None:
        """The kernel was ended or restarted: nothing that it ran will answer."""
        worker = self._workers.pop(kernel_id, None)
        if worker is not None:
            worker.end(why)

    async def close(self) -> None:
        """The server stops."""
        for kernel_id in list(self._workers):
            self.end_kernel(kernel_id, "The Workspace was stopped while this ran.")

    async def _find(self, execution: Execution) -> None:
        told = execution.metadata
        cell_id = told.get("cell_id")
        if not cell_id:
            return
        room_id, cell = await self._notebooks.cell(told.get("document_id"), told.get("document_path"), cell_id)
        worker = self._workers.get(execution.kernel_id)
        if execution.result is None and worker is not None:
            execution.room_id, execution.outputs = room_id, CellOutputs(cell, worker.displays)
            execution.outputs.waiting()

    async def _is_idle(self, kernel_id: str) -> bool:
        try:
            model = await self._notebooks.serverapp.kernel_manager.get_kernel(kernel_id).refresh_model()
        except (HTTPError, OSError):
            return False
        if not model:
            raise KernelGone("The kernel has ended.")
        return bool(model["execution_state"] == "idle")

    def _forget_old(self) -> None:
        done = [execution.id for execution in self._all.values() if execution.result is not None]
        for uid in done[: max(0, len(done) - _RESULTS_KEPT)]:
            del self._all[uid]


class _Worker:
    """Runs what is asked of one kernel."""

    def __init__(self, kernel_id: str, is_idle: Any) -> None:
        self._kernel_id, self._is_idle = kernel_id, is_idle
        self._link = KernelLink(kernel_id)
        self._queue: asyncio.Queue[Execution] = asyncio.Queue()
        self._current: Execution | None = None
        self._question: dict[str, Any] | None = None
        self.displays: Displays = {}
        self._task = asyncio.create_task(self._work())

    def put(self, execution: Execution) -> None:
        """Behind all others."""
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
            self._current.finish("error")
        self._abort_waiting()

    def _abort_waiting(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait().finish("aborted")

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
        while not getter.done():
            reader = asyncio.ensure_future(self._idle())
            await asyncio.wait([getter, reader], return_when=asyncio.FIRST_COMPLETED)
            reader.cancel()
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
        except Exception as error:
            _log.exception("An execution failed")
            execution.outputs.fail(type(error).__name__, str(error))
        execution.finish("error")
        return False

    async def _run(self, execution: Execution) -> bool:
        execution.status = RUNNING
        execution.outputs.begin()
        content = {
            "code": execution.code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
        }
        msg_id = await self._link.send("shell", "execute_request", content)
        reply: dict[str, Any] | None = None
        idle = False
        while reply is None or not idle:
            try:
                message = await self._read(reply is not None or idle)
            except _Silence:
                # The other half was lost with a line that was cut.
                break
            if message["parent_header"].get("msg_id") != msg_id:
                self._watch(message)
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "execute_reply":
                reply = content
            elif kind == "status":
                idle = content["execution_state"] == "idle"
            elif kind == "input_request":
                self._ask(execution, message)
            else:
                execution.outputs.take(message)
        status = str((reply or {}).get("status", "ok"))
        execution.finish(status, (reply or {}).get("execution_count"))
        return status == "ok"

    async def _read(self, half_done: bool) -> dict[str, Any]:
        """The next message; after a lost line, or with one half of the end seen, look whether it still runs."""
        looks, watching = 0, half_done
        while True:
            try:
                return await self._link.read(_LOOK_SECONDS if watching else None)
            except Reconnected:
                watching, looks = True, 0
            except TimeoutError:
                looks = looks + 1 if await self._is_idle(self._kernel_id) else 0
                if looks >= _IDLE_LOOKS:
                    raise _Silence from None

    def _watch(self, message: dict[str, Any]) -> None:
        """A kernel that died and was started again says so to everybody."""
        content = message["content"]
        if message["header"]["msg_type"] == "status" and content["execution_state"] in ("restarting", "dead"):
            raise KernelGone("The kernel died. It may have run out of memory.")

    def _ask(self, execution: Execution, message: dict[str, Any]) -> None:
        self._question = message
        execution.status = INPUT
        request = {name: message["content"].get(name) for name in ("prompt", "password")}
        execution.prompt = {"parent_header": message["header"], "input_request": request}


class _Silence(Exception):
    """The kernel is idle and says nothing more."""
