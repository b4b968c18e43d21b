"""`%execute_notebook PATH [--timeout SECONDS]`: run another notebook of the Workspace, and wait for it.

The kernel asks the Workspace's server, which runs the cell, as `input()` asks a user (`emr_studio_workspace.runs` has
the other half): a kernel of its own on the same cluster runs the notebook, and the copy with outputs lies in
`executions/<execution id>/`. A cell that is interrupted stops the run; one whose time is over leaves it to go on.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.display import DisplayHandle

from emr_studio_cluster.magics.asking import Ask, answered, asking
from emr_studio_cluster.magics.downloads import Options

NAME = "execute_notebook"
ASKS = "emr-studio/execute-notebook "
_OVER = ("FINISHED", "FAILED", "STOPPED")
_LOOK_SECONDS = 1.0
_ONLY_IN_NOTEBOOKS = "Notebooks are run for cells of the Workspace's notebooks only."

_OPTIONS = Options(prog=f"%{NAME}", add_help=False)
_OPTIONS.add_argument("path")
_OPTIONS.add_argument("--cluster-id", default="")
# Of EMR's API: here a run has what the kernels of the Workspace have.
_OPTIONS.add_argument("--service-role", default="")
_OPTIONS.add_argument("--timeout", type=float, default=3600.0)


class ExecutionFailed(Exception):
    """The notebook did not run to its end; why is in the words."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def install(shell: Any) -> None:
    """Give it to a shell."""
    magic = ExecuteNotebook(asking(shell))
    shell.register_magic_function(magic.run, "line", NAME)


class ExecuteNotebook:
    """Of one kernel."""

    def __init__(self, ask: Ask, pause: Callable[[float], None] = time.sleep) -> None:
        self._ask, self._pause = ask, pause

    def run(self, line: str) -> None:
        """Run a notebook of the Workspace: %execute_notebook PATH [--timeout 3600]; its outputs are in a copy."""
        options = _OPTIONS.parse_line(line)
        if options.timeout <= 0:
            raise UsageError("--timeout is a number of seconds.")
        told = self._asked({"begin": options.path, "cluster": options.cluster_id})
        shown = DisplayHandle()
        try:
            shown.display(_bundle(told), raw=True)
            told = self._follow(told, shown, time.monotonic() + options.timeout)
        except KeyboardInterrupt:
            shown.update(_bundle(self._stopped(told["id"])), raw=True)
            raise
        if told["status"] != "FINISHED":
            raise ExecutionFailed(_words(told))

    def _follow(self, told: dict[str, Any], shown: Any, deadline: float) -> dict[str, Any]:
        while told["status"] not in _OVER:
            if time.monotonic() >= deadline:
                raise ExecutionFailed(f"Not ended in time, and goes on: {_words(told)}")
            self._pause(_LOOK_SECONDS)
            before, told = told, self._asked({"look": told["id"]})
            if told != before:
                shown.update(_bundle(told), raw=True)
        return told

    def _stopped(self, run_id: str) -> dict[str, Any]:
        """How it stands after its stop.

        An interrupt in the middle of a question leaves its answer on the way, which is taken for that of the next.
        """
        while (told := self._asked({"stop": run_id}))["status"] not in _OVER:
            self._pause(0)
        return told

    def _asked(self, question: dict[str, str]) -> dict[str, Any]:
        return answered(self._ask, ASKS, question, _ONLY_IN_NOTEBOOKS)


def _words(told: dict[str, Any]) -> str:
    reason = f": {told['reason']}" if told["reason"] else ""
    return f"{told['id']} {told['status']}, {told['done']} of {told['cells']} cells, {told['output']}{reason}"


def _bundle(told: dict[str, Any]) -> dict[str, str]:
    before, _, after = _words(told).partition(told["output"])
    link = f'<a href="/lab/tree/{html.escape(told["output"])}">{html.escape(told["output"])}</a>'
    return {"text/plain": _words(told), "text/html": html.escape(before) + link + html.escape(after)}
