"""The Scala kernel ("Spark"): cells run in the driver's JVM by Spark's own compiler (`scala/Notebook.scala`).

Cells that begin with `%%sql` or `%%pyspark` run on the same session (`guests.py`).

Neither almond nor Apache Toree is there for Spark 4; what Spark's shell is made of is part of every Spark.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from emr_studio_cluster import driver, guests, progress
from emr_studio_cluster.background import Background
from emr_studio_cluster.cancelling import cancel_jobs, was_interrupted
from emr_studio_cluster.cells import CellKernel
from emr_studio_cluster.replies import completion, inspection, word_at
from emr_studio_cluster.session import node_config

_LOOK_SECONDS = 0.05
_END_SECONDS = 10.0


class ScalaKernel(CellKernel):
    """Jupyter's kernel protocol over the interpreter; Spark's driver is made while the user still types."""

    implementation = "emr-studio-scala"
    banner = "Scala on the cluster's Spark: spark, sc"
    language_info = {  # noqa: RUF012  (Jupyter's own attribute)
        "name": "scala",
        "mimetype": "text/x-scala",
        "file_extension": ".scala",
        "codemirror_mode": "text/x-scala",
        "pygments_lexer": "scala",
    }

    def __init__(self, **arguments: Any) -> None:
        """Begin to make the driver."""
        super().__init__(**arguments)
        self._context: Any = None
        self._notebook: Any = None
        self._guests: guests.Guests | None = None
        self._running: Background | None = None
        self._failure = self._group = ""
        self._reporter = progress.Reporter("job", node_config().driver_ui)
        self._starting = Background(self._start, "spark-driver").start()

    def _start(self) -> None:
        classes = Path.cwd() / ".classes"
        classes.mkdir(exist_ok=True)
        try:
            session = driver.start(node_config(), "notebook", {"spark.repl.class.outputDir": str(classes)})
            self._context = session.sparkContext
            self._guests = guests.Guests(session, self._display, self._print)
            self._notebook = self._context._jvm.emr.studio.Notebook(str(classes))
        except Exception as error:  # whatever it is, the user is to read it
            self._failure = str(error) or type(error).__name__

    def _ready(self) -> bool:
        self._starting.wait()
        return self._notebook is not None

    async def do_execute(
        self, code: str, silent: bool, store_history: bool = True, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Run a cell; what it prints is shown while it runs."""
        try:
            if not self._ready():
                self._starting = Background(self._start, "spark-driver").start()
                return self._failed("SparkUnreachable", f"Spark's driver did not start: {self._failure}")
            outcome = self._watched(guests.read(code), silent) if code.strip() else "Success"
        except BaseException as error:
            if was_interrupted(error):
                self._interrupt()
                self._reporter.end(progress.INTERRUPTED)
                return self._failed("KeyboardInterrupt", "The cell was interrupted.")
            if not isinstance(error, guests.GuestError):
                raise
            self._reporter.end(progress.reason_of(error.__cause__))
            return self._failed(error.name, str(error), error.lines)
        if outcome == "Success":
            return self._succeeded()
        why = "The cell is incomplete." if outcome == "Incomplete" else "The cell failed."
        return self._failed(outcome, why)

    def _watched(self, cell: guests.Cell, silent: bool) -> str:
        """Run a cell; how far its jobs are is shown below it."""
        group = self._group = f"cell-{uuid.uuid4()}"
        watch = progress.DriverWatch(self._context, group, self._reporter)
        if not silent:
            self._reporter.begin(progress.publisher(self))
            watch.start()
        try:
            outcome = self._run(cell.body, silent, group) if cell.language == guests.SCALA else self._ask(cell, group)
        finally:
            watch.stop()
        failed = outcome != "Success" and any(stage.state == progress.FAILED for stage in watch.look().stages)
        self._reporter.end("" if failed else None)
        return outcome

    def _run(self, code: str, silent: bool, group: str) -> str:
        outcome: list[str] = []

        def work() -> None:
            # Of the thread that runs the cell, here as in the JVM.
            self._context.setJobGroup(group, (code.strip() or "cell").splitlines()[0])
            outcome.append(str(self._notebook.run(code)))

        running = self._running = Background(work, "cell").start()
        while not running.wait(_LOOK_SECONDS):
            self._show(silent)
        self._show(silent)
        return outcome[0] if outcome else "Error"

    def _ask(self, cell: guests.Cell, group: str) -> str:
        """A cell of another language, in this thread."""
        self._running = None
        self._context.setJobGroup(group, (cell.body.strip() or cell.language).splitlines()[0])
        if self._guests is not None:
            self._guests.run(cell)
        return "Success"

    def _interrupt(self) -> None:
        if self._notebook is None:
            return  # the driver that is being made is for the next cell
        cancel_jobs(self._context, self._group, for_good=False)
        if self._running is not None:
            self._running.stop(self._notebook.interrupt, _END_SECONDS)
        self._show(silent=False)

    def _show(self, silent: bool) -> None:
        text = str(self._notebook.take())
        if text and not silent:
            self._print(text)

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """What the compiler knows of the place."""
        start, matches = cursor_pos, list[str]()
        if self._notebook is not None:
            position, *found = list(self._notebook.complete(code, cursor_pos))
            start, matches = int(position), [str(name) for name in found if name]
        return completion(matches, start if start >= 0 else cursor_pos, cursor_pos)

    async def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()
    ) -> dict[str, Any]:
        """The type of the expression at the cursor."""
        word = word_at(code, cursor_pos)
        found = str(self._notebook.typeOf(word)) if word and self._notebook is not None else ""
        return inspection(f"{word}: {found}" if found else "")

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """End the driver with the kernel."""
        if self._context is not None:
            self._context.stop()
        return {"status": "ok", "restart": restart}
