"""Notebooks that a cell runs: `%execute_notebook` in a kernel, which asks this server as `input()` asks a user.

A run has a kernel of its own on the attached cluster, of the kind that the notebook names. Its cells run one after
the other, and after each the copy with outputs is written to `executions/<execution id>/<notebook>.ipynb`, which
the mirror saves as any file, at the place where EMR puts it. The first cell that fails ends it. Only a cell that
names the magic is answered, as in `share`. A run ends with the server: one that comes after a kill ends its kernel.

    asked      emr-studio/execute-notebook {"begin": "reports/daily.ipynb", "cluster": "j-… or empty"}
               emr-studio/execute-notebook {"look": "ex-…"}   or {"stop": "ex-…"}
    answered   {"id", "status", "output", "done", "cells", "reason"} or {"error": "why not"}
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import string
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import nbformat
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from emr_studio_workspace.kernels import attached_cluster
from emr_studio_workspace.notebooks import KERNEL_NAME
from emr_studio_workspace.remembered import Remembered
from emr_studio_workspace.worker import INPUT

ASKS = "emr-studio/execute-notebook "
MAGIC = "%execute_notebook"
FOLDER = "executions"
MOST_AT_ONCE = 5
STARTING, RUNNING, FINISHED, FAILED, STOPPED = "STARTING", "RUNNING", "FINISHED", "FAILED", "STOPPED"
_LOOK_SECONDS = 0.1
_KEPT = 100
_LATE_SECONDS = 3.0
"""A server that stops waits so long for kernels that are still being started; it has documents to save."""
_NO_INPUT = "A cell asks for input, which nobody can give it here."


class Cells(Protocol):
    """Who runs code in kernels (`executions.Executions`)."""

    def put(self, kernel_id: str, snippet: str) -> str:
        """Ask for it."""

    def get(self, kernel_id: str, uid: str) -> dict[str, Any]:
        """How it stands."""

    async def interrupt(self, kernel_id: str) -> None:
        """Interrupt what runs."""


class NotRun(Exception):
    """Why not, for the user."""


@dataclass
class Run:
    """One run of a notebook."""

    id: str
    output: str
    """Path of the copy with outputs, in the Workspace."""
    notebook: Any
    status: str = STARTING
    done: int = 0
    reason: str = ""
    task: asyncio.Task[None] | None = None

    @property
    def cells(self) -> list[Any]:
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def is_over(self) -> bool:
        return self.status in (FINISHED, FAILED, STOPPED)

    def told(self) -> dict[str, Any]:
        """The answer above."""
        names = ("id", "status", "output", "done", "reason")
        return {name: getattr(self, name) for name in names} | {"cells": len(self.cells)}


class NotebookRuns:
    """Runs of this Workspace's notebooks."""

    asks = ASKS

    def __init__(self, serverapp: Any, cells: Cells) -> None:
        self._serverapp, self._cells = serverapp, cells
        self._runs: dict[str, Run] = {}
        self._memory = Remembered("runs")
        """Kernels of runs: nobody else would end them after this server was killed."""
        self._endings: set[asyncio.Task[None]] = set()
        """What ends kernels of runs that are over."""

    def take_up(self) -> None:
        """End the kernels of runs that a server before this one was killed over."""
        self._end_beside(self._end_kernels(list(self._memory.all())))

    async def _end_kernels(self, kernel_ids: list[str]) -> None:
        for kernel_id in kernel_ids:
            await self._end_kernel(kernel_id)

    async def _end_kernel(self, kernel_id: str) -> None:
        with suppress(HTTPError, OSError, KeyError):
            await ensure_async(self._serverapp.kernel_manager.shutdown_kernel(kernel_id, now=True))
        self._memory.forget(kernel_id)

    def _end_beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _end_late(self, starting: asyncio.Future[str]) -> None:
        with suppress(Exception):  # one that does not start needs no end
            await self._end_kernel(await starting)

    async def close(self) -> None:
        """The server stops."""
        await asyncio.gather(*(self._stop(run) for run in self._runs.values()))
        if self._endings:
            await asyncio.wait(self._endings, timeout=_LATE_SECONDS)

    @staticmethod
    def is_asked(code: str, prompt: str) -> bool:
        """Whether a cell's question is this one, and the cell may ask it."""
        return prompt.startswith(ASKS) and MAGIC in code

    async def answer(self, _execution_id: str, prompt: str) -> str:
        """The answer to the code of an execution."""
        try:
            asked = json.loads(prompt.removeprefix(ASKS))
            if "begin" in asked:
                return json.dumps(self._begin(str(asked["begin"]), str(asked.get("cluster", ""))).told())
            run = self._find(str(asked.get("look") or asked["stop"]))
            if "stop" in asked:
                await self._stop(run)
            return json.dumps(run.told())
        except NotRun as error:
            return json.dumps({"error": str(error)})
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return json.dumps({"error": f"not understood: {error}"})

    def forget(self, execution_id: str) -> None:
        """The cell that asked is over; what it began goes on."""

    def _find(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            raise NotRun(f"{run_id} is not known: the Workspace's server was started anew, which ended it.")
        return run

    def _begin(self, path: str, cluster_id: str) -> Run:
        if cluster_id and cluster_id != attached_cluster():
            raise NotRun(f"Notebooks run on the attached cluster, {attached_cluster()}: attach {cluster_id} for it.")
        if sum(not run.is_over for run in self._runs.values()) >= MOST_AT_ONCE:
            raise NotRun(f"{MOST_AT_ONCE} notebooks run already: wait until one has ended.")
        notebook = _read(Path(self._serverapp.root_dir), path)
        run_id = f"ex-{''.join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(25))}"
        run = Run(run_id, f"{FOLDER}/{run_id}/{Path(path).name}", notebook)
        for cell in run.cells:
            cell.outputs, cell.execution_count = [], None
        self._write(run)
        self._forget_old()
        self._runs[run.id] = run
        run.task = asyncio.create_task(self._work(run, path))
        return run

    def _forget_old(self) -> None:
        over = [run.id for run in self._runs.values() if run.is_over]
        for run_id in over[: max(0, len(over) - _KEPT)]:
            del self._runs[run_id]

    async def _stop(self, run: Run) -> None:
        if run.task is not None and not run.is_over:
            run.task.cancel()
            await asyncio.wait([run.task])

    async def _work(self, run: Run, path: str) -> None:
        try:
            await self._in_kernel(run, path)
            run.status = FINISHED
        except asyncio.CancelledError:
            run.status, run.reason = STOPPED, "It was stopped."
        except NotRun as error:
            run.status, run.reason = FAILED, str(error)
        except HTTPError as error:
            run.status, run.reason = FAILED, error.log_message or error.reason or str(error)
        except Exception as error:  # whatever it is, whoever asked is to read it
            run.status, run.reason = FAILED, f"{type(error).__name__}: {error}"
        # A full disk takes the outputs, not the answer.
        with suppress(OSError):
            self._write(run)

    async def _in_kernel(self, run: Run, path: str) -> None:
        kind = run.notebook.metadata.get("kernelspec", {}).get("name", KERNEL_NAME)
        environment = self._serverapp.session_manager.get_kernel_env(path)
        starting = asyncio.ensure_future(self._serverapp.kernel_manager.start_kernel(kernel_name=kind, env=environment))
        try:
            kernel_id = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The cluster goes on starting it, and nobody else would know of it.
            self._end_beside(self._end_late(starting))
            raise
        self._memory.keep(kernel_id, {})
        try:
            run.status = RUNNING
            for cell in run.cells:
                await self._run_cell(kernel_id, cell)
                run.done += 1
                self._write(run)
        finally:
            await asyncio.shield(asyncio.ensure_future(self._end_kernel(kernel_id)))

    async def _run_cell(self, kernel_id: str, cell: Any) -> None:
        if not cell.source.strip():
            return
        request_id, asks = self._cells.put(kernel_id, cell.source), False
        while (told := self._cells.get(kernel_id, request_id))["pending"]:
            if told["request_status"] == INPUT and not asks:
                asks = True
                await self._cells.interrupt(kernel_id)
            await asyncio.sleep(_LOOK_SECONDS)
        cell.outputs = [nbformat.from_dict(output) for output in json.loads(told["outputs"])]
        cell.execution_count = told["execution_count"]
        if told["status"] != "ok":
            raise NotRun(_NO_INPUT if asks else _failure(cell.outputs))

    def _write(self, run: Run) -> None:
        """As a whole, as every file here."""
        target = Path(self._serverapp.root_dir) / run.output
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".~{target.name}")
        beside.write_text(nbformat.writes(run.notebook))
        os.replace(beside, target)


def _read(root: Path, path: str) -> Any:
    top = root.resolve()
    file = (top / path).resolve()
    if not file.is_relative_to(top) or file.suffix != ".ipynb" or not file.is_file():
        raise NotRun(f"The Workspace has no notebook {path!r}.")
    try:
        return nbformat.read(file, as_version=4)
    except Exception as error:  # nbformat raises several kinds
        raise NotRun(f"{path!r} is no notebook: {error}") from error


def _failure(outputs: list[Any]) -> str:
    told = [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]
    return told[-1] if told else "A cell failed."
