"""`%%scalaspark`: a cell of Scala on the same Spark session as the Python cells around it.

It needs a driver of the kernel's own, whose JVM has Spark's compiler (`scala/Notebook.scala`). Python and Scala share
the session, so views made in one are read in the other; their variables are their own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from IPython.core.error import UsageError

from emr_studio_cluster.background import Background
from emr_studio_cluster.cancelling import was_interrupted

_LOOK_SECONDS, _END_SECONDS = 0.05, 10.0


class ScalaError(Exception):
    """The cell failed; why was printed."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def install(shell: Any, keeper: Any) -> None:
    """Give it to a shell."""

    def magic(_line: str, cell: str) -> None:
        """Scala on this Spark session: %%scalaspark."""
        if not hasattr(keeper, "scala"):
            raise UsageError("%%scalaspark needs a driver of this notebook's own: choose PySpark (classic), or Spark.")
        _run(keeper, cell)

    shell.register_magic_function(magic, "cell", "scalaspark")


def _run(keeper: Any, cell: str) -> None:
    notebook, outcome = keeper.scala(), list[str]()

    def work() -> None:
        # Of a thread, in Python as in the JVM.
        keeper.set_group()
        outcome.append(str(notebook.run(cell)))

    running = Background(work, "scala").start()
    try:
        while not running.wait(_LOOK_SECONDS):
            _show(notebook)
    except BaseException as error:
        if not was_interrupted(error):
            raise
        keeper.cancel()
        running.stop(notebook.interrupt, _END_SECONDS)
        with suppress(Exception):  # of a connection that the interrupt broke
            _show(notebook)
        raise KeyboardInterrupt from None
    _show(notebook)
    if outcome != ["Success"]:
        raise ScalaError("The cell is incomplete." if outcome == ["Incomplete"] else "The cell failed.")


def _show(notebook: Any) -> None:
    print(str(notebook.take()), end="", flush=True)
