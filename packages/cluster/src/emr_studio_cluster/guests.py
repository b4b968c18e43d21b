"""Cells of other languages in the kernels Spark (Scala) and SparkR: `%%sql`, `%%pyspark`, `%%rspark` on one session.

Python runs in the process of the kernel, which holds the session anyhow. So all languages see the same
temporary views; variables are each language's own, as on EMR.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emr_studio_cluster.magics.r_cell import RCells, RError
from emr_studio_cluster.magics.tables import MOST_ROWS, bundle
from emr_studio_cluster.sql import statements

SCALA, R = "scalaspark", "rspark"
_FIRST_LINE = re.compile(r"\s*%%(?P<language>sql|pyspark|scalaspark|rspark)\b(?P<rest>[^\n]*)(?:\n|$)")
Show = Callable[[dict[str, Any]], None]
"""Shows data, by MIME type, below the cell."""
Print = Callable[[str], None]


class GuestError(Exception):
    """The cell failed; `lines` tell where in it."""

    def __init__(self, error: BaseException, lines: list[str]) -> None:
        super().__init__(str(error))
        self.name, self.lines = type(error).__name__, lines


@dataclass(frozen=True)
class Cell:
    """A cell without its first line, if that names a language."""

    language: str
    body: str


def read(code: str, own: str = SCALA) -> Cell:
    """What a cell is written in: the kernel's own language, unless its first line says otherwise.

    >>> read("%%sql\\nSELECT 1")
    Cell(language='sql', body='SELECT 1')
    """
    found = _FIRST_LINE.match(code)
    if found is None:
        return Cell(own, code)
    return Cell(found["language"], code[found.end() :])


class Guests:
    """Of one kernel; `session` is PySpark's side of it."""

    def __init__(self, session: Any, show: Show, tell: Print, context: Any = None) -> None:
        """`context`: what `sc` is; the session's own unless given."""
        self._session, self._show, self._tell = session, show, tell
        self._r = RCells(lambda: session, show, tell)
        self._names: dict[str, Any] = {"__name__": "__main__", "spark": session, "sc": context or session.sparkContext}

    def run(self, cell: Cell) -> None:
        """Run a cell of another language than the kernel's.

        Raises:
            GuestError: it fails.
        """
        try:
            {"sql": self._sql, R: self._r.run}.get(cell.language, self._python)(cell.body)
        except KeyboardInterrupt:
            raise
        except SystemExit as error:
            raise GuestError(error, ["A cell cannot end its kernel."]) from error
        except RError as error:
            raise GuestError(error, error.lines) from error
        except Exception as error:
            raise GuestError(error, _told(error, cell)) from error

    def _sql(self, body: str) -> None:
        for statement in statements(body):
            rows = self._session.sql(statement)
            if rows.columns:
                frame = rows.limit(MOST_ROWS + 1).toPandas()
                self._show(bundle(frame.head(MOST_ROWS), len(frame) > MOST_ROWS))

    def _python(self, body: str) -> None:
        """The last value is shown, as in every notebook."""
        tree = ast.parse(body, "<cell>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(_Teller(self._tell)), contextlib.redirect_stderr(_Teller(self._tell)):
            exec(compile(tree, "<cell>", "exec"), self._names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), self._names)
                if value is not None:
                    self._show({"text/plain": repr(value)})


class _Teller(io.TextIOBase):
    """Hands on what is written."""

    def __init__(self, tell: Print) -> None:
        self._told = tell

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self._told(text)
        return len(text)


def _told(error: BaseException, cell: Cell) -> list[str]:
    """Of Python, where in the cell it was; of others, the words of Spark without the JVM's stack."""
    words = f"{type(error).__name__}: {error}".partition("\n\nJVM stacktrace:")[0]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<cell>"]
    lines = cell.body.splitlines()
    places = [
        f"line {frame.lineno}: {lines[frame.lineno - 1].strip()}"
        for frame in frames
        if frame.lineno and frame.lineno <= len(lines)
    ]
    return [*places, words]
