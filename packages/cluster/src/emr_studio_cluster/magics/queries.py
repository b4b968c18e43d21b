"""`%%sql`, `%%display` and `%matplot`: what is in Spark, shown."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError
from IPython.display import display

from emr_studio_cluster.magics import tables
from emr_studio_cluster.magics.downloads import Options
from emr_studio_cluster.sql import statements

NO_SPARK = "This kernel has no Spark: choose the kernel PySpark."
_ROWS = 2500
"""As sparkmagic has it."""

_SQL = Options(prog="%%sql", add_help=False)
_SQL.add_argument("-o", "--output", default="")
_SQL.add_argument("-q", "--quiet", action="store_true")
_SQL.add_argument("-n", "--maxrows", type=int, default=_ROWS)
_SQL.add_argument("-m", "--samplemethod", choices=("take", "sample"), default="take")
_SQL.add_argument("-r", "--samplefraction", type=float, default=0.1)
# Of sparkmagic; there is one kind of SQL, and values keep their types.
_SQL.add_argument("-c", "--context", default="sql")
_SQL.add_argument("-e", "--coerce", nargs="?", default="")

_DISPLAY = Options(prog="%%display", add_help=False)
_DISPLAY.add_argument("-n", "--maxrows", type=int, default=tables.MOST_ROWS)
_DISPLAY.add_argument("expression", nargs="*")


def install(shell: Any, keeper: Any) -> None:
    """Give them to a shell."""
    magics = Queries(shell, keeper)
    shell.register_magic_function(magics.sql, "line_cell", "sql")
    shell.register_magic_function(magics.display, "line_cell", "display")
    shell.register_magic_function(magics.matplot, "line", "matplot")


class Queries:
    """Of one shell."""

    def __init__(self, shell: Any, keeper: Any) -> None:
        self._shell = shell
        self._keeper = keeper

    def sql(self, line: str, cell: str | None = None) -> None:
        """SQL on Spark: %%sql [-o VAR] [-q] [-n ROWS]; `%sql SELECT …` in one line."""
        if self._keeper is None:
            raise UsageError(NO_SPARK)
        options = _SQL.parse_line(line if cell is not None else "")
        if options.output and not options.output.isidentifier():
            raise UsageError(f"-o takes a variable's name, not {options.output!r}.")
        found = [*statements(cell if cell is not None else line)]
        if not found:
            raise UsageError("%%sql needs a statement.")
        for statement in found:
            self._run(statement, options)

    def _run(self, statement: str, options: Any) -> None:
        try:
            self._take(self._shell.user_ns["spark"].sql(statement), options)
        except Exception as error:
            # Spark's own words; where in this file it was says nothing to anybody.
            lines = [f"{type(error).__name__}: {error}".partition("\n\nJVM stacktrace:")[0]]
            error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
            raise

    def _take(self, rows: Any, options: Any) -> None:
        if not rows.columns:
            return
        if options.samplemethod == "sample":
            rows = rows.sample(options.samplefraction)
        frame, more = _fetch(rows, options.maxrows)
        if options.output:
            self._shell.user_ns[options.output] = frame
        if not options.quiet:
            tables.show(frame, more)

    def display(self, line: str, cell: str | None = None) -> None:
        """A DataFrame as a table and as charts: %%display DF [-n ROWS]; the name may also stand in the cell."""
        options = _DISPLAY.parse_line(line)
        expression = " ".join(options.expression) or (cell or "").strip()
        if not expression:
            raise UsageError("%%display needs a DataFrame's name.")
        tables.show(*_frame(self._shell.ev(expression), expression, options.maxrows))

    def matplot(self, line: str) -> None:
        """Show the plot that matplotlib has drawn: %matplot plt."""
        module = self._shell.user_ns.get(line.strip() or "plt")
        if not hasattr(module, "gcf"):
            raise UsageError("%matplot takes the name of matplotlib's pyplot: %matplot plt")
        display(module.gcf())
        module.close()


def _frame(value: Any, name: str, limit: int) -> tuple[Any, bool]:
    """Rows of a DataFrame of Spark or pandas, as pandas has them; whether there are more."""
    if hasattr(value, "toPandas") and hasattr(value, "limit"):
        return _fetch(value, limit)
    if hasattr(value, "to_frame"):
        value = value.to_frame().reset_index()
    if not hasattr(value, "iloc"):
        raise UsageError(f"{name} is no DataFrame but {type(value).__name__}.")
    cut = value if limit < 0 else value.head(limit)
    return cut, len(value) > len(cut)


def _fetch(rows: Any, limit: int) -> tuple[Any, bool]:
    """The first `limit` rows, or all if it is negative."""
    if limit < 0:
        return rows.toPandas(), False
    frame = rows.limit(limit + 1).toPandas()
    return frame.head(limit), len(frame) > limit
