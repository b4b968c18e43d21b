"""Cells that the server runs: their outputs go into the document, whoever watches.

The addresses are jupyter-server-nbmodel's, whose part in the browser asks them; this takes the place
of its `ExecutionStack`, which talks to kernels on this machine and knows no restart, no lost line and
no updated display. One request after the other for each kernel, as they came (`worker.py`).

What runs or waits is written down until its outputs are in the document's file: a server that was killed
goes on with it.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Protocol

from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from emr_studio_workspace.authors import of_request
from emr_studio_workspace.kernel_link import KernelGone
from emr_studio_workspace.outputs import CellOutputs
from emr_studio_workspace.remembered import Remembered
from emr_studio_workspace.runs import NotebookRuns
from emr_studio_workspace.share import Answers, FolderShare
from emr_studio_workspace.worker import Execution, Surroundings, Worker

_RESULTS_KEPT = 500
_STOP_SECONDS = 10.0


class Notebooks(Protocol):
    """Where cells are found."""

    serverapp: Any

    async def cell(self, document_id: str | None, path: str | None, cell_id: str, author: str = "") -> tuple[str, Any]:
        """Room id and cell."""

    async def save(self, room_id: str) -> None:
        """Save the document now."""


class Executions:
    """What runs and waits, for each kernel."""

    def __init__(self, notebooks: Notebooks) -> None:
        self._notebooks = notebooks
        self._all: OrderedDict[str, Execution] = OrderedDict()
        self._workers: dict[str, Worker] = {}
        self._memory = Remembered("executions")
        self._runs = NotebookRuns(notebooks.serverapp, self)
        self._answers = Answers(FolderShare(lambda: str(notebooks.serverapp.root_dir)), self._runs)
        self._around = Surroundings(self._is_idle, self._note, self._done, self._answers)
        self._savers: set[asyncio.Task[None]] = set()

    def take_up(self) -> None:
        """Go on with what a server before this one was killed over."""
        self._runs.take_up()
        for name, values in sorted(self._memory.all().items(), key=lambda item: str(item[1].get("asked_at"))):
            try:
                execution = Execution(**values)
            except TypeError:
                self._memory.forget(name)
            else:
                self._add(execution)

    def _add(self, execution: Execution) -> None:
        self._all[execution.id] = execution
        self._forget_old()
        execution.found = asyncio.create_task(self._find(execution))
        worker = self._workers.get(execution.kernel_id)
        if worker is None:
            self._workers[execution.kernel_id] = Worker(execution, self._around)
        else:
            worker.put(execution)
        self._note(execution)

    def _note(self, execution: Execution) -> None:
        self._memory.keep(execution.id, execution.to_keep())

    def _done(self, execution: Execution) -> None:
        self._answers.forget(execution.id)
        task = asyncio.create_task(self._forget_when_saved(execution))
        self._savers.add(task)
        task.add_done_callback(self._savers.discard)

    async def _forget_when_saved(self, execution: Execution) -> None:
        await self._notebooks.save(execution.room_id)
        self._memory.forget(execution.id)

    def put(
        self, kernel_id: str, snippet: str, metadata: dict[str, Any] | None = None, remote_server: Any = None
    ) -> str:
        """Ask for an execution; its id.

        Raises:
            HTTPError: 400, a kernel of another server is asked for.
        """
        if remote_server is not None:
            raise HTTPError(400, "Kernels of other servers cannot be used here.")
        execution = Execution(kernel_id, snippet or "", metadata or {}, author=of_request())
        self._add(execution)
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
        await self._runs.close()
        for kernel_id in list(self._workers):
            self.end_kernel(kernel_id, "The Workspace was stopped while this ran.")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*self._savers), _STOP_SECONDS)

    async def _find(self, execution: Execution) -> None:
        told = execution.metadata
        cell_id = told.get("cell_id")
        if not cell_id:
            return
        place = told.get("document_id"), told.get("document_path"), cell_id
        room_id, cell = await self._notebooks.cell(*place, execution.author)
        worker = self._workers.get(execution.kernel_id)
        if execution.result is None and worker is not None:
            execution.room_id, execution.outputs = room_id, CellOutputs(cell, worker.displays)
            execution.outputs.waiting()

    async def _is_idle(self, kernel_id: str) -> bool:
        try:
            model = await self._notebooks.serverapp.kernel_manager.get_kernel(kernel_id).refresh_model()
        except KeyError:
            model = None
        except (HTTPError, OSError):
            return False
        if not model:
            raise KernelGone("The kernel has ended.")
        return bool(model["execution_state"] == "idle")

    def _forget_old(self) -> None:
        done = [execution.id for execution in self._all.values() if execution.result is not None]
        for uid in done[: max(0, len(done) - _RESULTS_KEPT)]:
            del self._all[uid]
