"""What a shell does before each cell, where an interrupt is meant for the cell.

IPython calls its events with all that they raise caught, KeyboardInterrupt too: a cell that waited for Spark would run
although somebody had interrupted it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from emr_studio_cluster.cancelling import was_interrupted


class Gate:
    """Lets a cell run once `prepare` has returned; one that is interrupted before ends as if it had begun."""

    def __init__(self, shell: Any, prepare: Callable[[Any], None]) -> None:
        """`prepare` is told of the cell as IPython's event `pre_run_cell` is."""
        self._prepare = prepare
        self._is_interrupted = False
        shell.events.register("pre_run_cell", self._before)
        shell.ast_transformers.append(self)

    def _before(self, info: Any) -> None:
        self._is_interrupted = False
        try:
            self._prepare(info)
        except BaseException as error:
            if not was_interrupted(error):
                raise
            self._is_interrupted = True

    def visit(self, tree: Any) -> Any:
        """IPython's interface of what changes a cell's code, which is called after the event."""
        if not self._is_interrupted:
            return tree
        self._is_interrupted = False
        stop = ast.Raise(ast.Name("KeyboardInterrupt", ast.Load()))
        # Its place is where the message points to.
        if tree.body:
            ast.copy_location(stop, tree.body[0])
        return ast.Module([stop], [])
