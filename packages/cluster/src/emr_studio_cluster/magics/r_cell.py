"""`%%rspark`: a cell of R on the same Spark session as the Python cells around it.

All languages see the session's temporary views; variables are each language's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.display import display

from emr_studio_cluster import libraries, r
from emr_studio_cluster.magics.queries import NO_SPARK

NO_R = f"%%rspark {r.MISSING} Until then %%sql, %%pyspark and %%scalaspark read the same views."
Show = Callable[[dict[str, Any]], None]
Tell = Callable[[str], None]


class RError(Exception):
    """The cell failed; `lines` are R's own."""

    def __init__(self, words: str, lines: list[str]) -> None:
        super().__init__(words)
        self.lines = lines

    def _render_traceback_(self) -> list[str]:
        return self.lines


class RCells:
    """R beside another language; it is started by the first of its cells."""

    def __init__(self, session: Callable[[], Any], show: Show, tell: Tell) -> None:
        self._session, self._show, self._tell = session, show, tell
        self._interpreter: Any = None

    def run(self, cell: str) -> None:
        """Run one.

        Raises:
            RError: it fails.
            RuntimeError: there is no R; the text says what to do.
        """
        if not r.has_r():
            raise RuntimeError(NO_R)
        from emr_studio_cluster.r.client import REnded
        from emr_studio_cluster.r.interpreter import Interpreter

        if self._interpreter is None:
            # Beside the libraries: the working folder may be another by now.
            self._interpreter = Interpreter(self._session, libraries.session.folder.parent)
        try:
            reply = self._interpreter.run(cell, self._pass_on)
        except REnded as error:
            raise RError(str(error), str(error).splitlines()) from error
        if reply["status"] != "ok":
            raise RError(str(reply.get("evalue", "The cell failed.")), list(reply.get("traceback") or []))

    def _pass_on(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            self._tell(content["text"])
        elif "data" in content:
            self._show(content["data"])


def install(shell: Any, keeper: Any) -> None:
    """Give it to a shell; `keeper`: of its Spark, None in a kernel without one."""
    cells = RCells(lambda: shell.user_ns["spark"], lambda data: display(data, raw=True), _print)

    def magic(_line: str, cell: str = "") -> None:
        """R on this Spark session: %%rspark."""
        if keeper is None:
            raise UsageError(NO_SPARK)
        try:
            cells.run(cell)
        except RuntimeError as error:
            raise UsageError(str(error)) from error

    shell.register_magic_function(magic, "cell", "rspark")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
