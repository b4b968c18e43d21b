"""Inside the kernel of a session: Python, SQL and Scala on one driver, with tables and views in common.

The server's first cell calls `start`. Statements of Python are cells as they are, the others calls of `sql`, `scala`.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import signal
import threading
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from IPython.display import publish_display_data
from pyspark.errors import PySparkException

from emr_studio_cluster import driver, libraries
from emr_studio_cluster.background import Background
from emr_studio_cluster.cancelling import cancel_jobs
from emr_studio_cluster.livy.statements import ERROR_TYPE
from emr_studio_cluster.session import node_config
from emr_studio_cluster.sql import statements

_LOOK_SECONDS = 0.05
_PROGRESS_SECONDS = 0.5
_JSON, _TABLE, _PNG = "application/json", "application/vnd.livy.table.v1+json", "image/png"


class Interpreter:
    """What the statements of one session share."""

    def __init__(self, shell: Any, told: Mapping[str, Any]) -> None:
        self._shell = shell
        self._rows = int(told["rows"])
        self._progress = Path(told["progress"])
        self._classes = Path.cwd() / ".classes"
        self._classes.mkdir(exist_ok=True)
        self._scala: Any = None
        self._number = 0
        self._running = threading.Event()
        self._was_interrupted = False
        self._listen(shell.kernel)
        quiet = {"spark.ui.showConsoleProgress": "false"}
        properties = {**quiet, **told["properties"], "spark.repl.class.outputDir": str(self._classes)}
        self.spark = driver.start(node_config(), str(told["name"]), properties)
        self.context = self.spark.sparkContext
        libraries.extend(self.context)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)
        threading.Thread(target=self._watch, name="progress", daemon=True).start()

    @property
    def _group(self) -> str:
        return f"livy-{self._number}"

    def _listen(self, kernel: Any) -> None:
        """Take interrupts in place of the kernel, which would let them hit its own work before and after a cell."""
        theirs = kernel.pre_handler_hook

        def hook() -> None:
            theirs()
            signal.signal(signal.SIGINT, self._interrupt)

        kernel.pre_handler_hook = hook

    def _interrupt(self, _signal: int, _frame: Any) -> None:
        """One that comes too early is sent again (`Session.cancel`)."""
        if self._running.is_set():
            # Whatever becomes of the exception.
            self._was_interrupted = True
            raise KeyboardInterrupt

    def _before(self, _info: Any) -> None:
        self._number += 1
        self._was_interrupted = False
        self.context.setJobGroup(self._group, self._group, interruptOnCancel=True)
        self._running.set()

    def _after(self, _result: Any) -> None:
        self._running.clear()
        if self._was_interrupted:
            self._cancel()

    def _cancel(self) -> None:
        cancel_jobs(self.context, self._group, for_good=self._scala is None)

    def _watch(self) -> None:
        """While a statement runs, write down how much of its Spark jobs is done."""
        while self.alive():
            self._running.wait()
            group = self._group
            # The driver may end, or py4j close this thread's connection when another is interrupted.
            with suppress(Exception):
                done = self._done(group)
                if group == self._group:
                    self._tell(done)
            threading.Event().wait(_PROGRESS_SECONDS)

    def _tell(self, done: float) -> None:
        scratch = self._progress.with_suffix(".new")
        scratch.write_text(str(done))
        scratch.rename(self._progress)

    def _done(self, group: str) -> float:
        tracker = self.context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        total = sum(stage.numTasks for stage in stages if stage)
        return round(sum(stage.numCompletedTasks for stage in stages if stage) / total, 3) if total else 0.0

    def alive(self) -> bool:
        """Whether the driver still is."""
        gateway = self.context._gateway
        return self.context._jsc is not None and gateway is not None and gateway.proc.poll() is None

    def sql(self, code: str) -> None:
        """Run statements of SQL; the rows of the last one are the output."""
        try:
            rows = None
            for statement in statements(code):
                rows = self.spark.sql(statement)
            found = rows.take(self._rows) if rows is not None else []
        except PySparkException as error:
            told = str(error)
            _publish(ERROR_TYPE, {"ename": type(error).__name__, "evalue": told, "traceback": told})
            return
        if rows is not None:
            data = [[_plain(value) for value in row] for row in found]
            _publish(_JSON, {"schema": json.loads(rows.schema.json()), "data": data})

    def scala(self, code: str) -> None:
        """Run Scala in the same driver; what it prints is shown while it runs."""
        outcome: list[str] = []
        notebook = self._notebook()
        running = Background(lambda: outcome.append(str(self._run_scala(notebook, code))), "scala").start()
        printed = ""
        try:
            while not running.wait(_LOOK_SECONDS):
                printed += _show(notebook)
        except BaseException:
            if not self._was_interrupted:
                raise
            self._running.clear()
            self._cancel()
            running.stop(notebook.interrupt, _PROGRESS_SECONDS)
            raise
        printed += _show(notebook)
        if outcome != ["Success"]:
            _publish(ERROR_TYPE, _scala_error(outcome, printed))

    def _run_scala(self, notebook: Any, code: str) -> Any:
        # Job groups are a thread's own.
        self.context.setJobGroup(self._group, self._group, interruptOnCancel=True)
        return notebook.run(code)

    def _notebook(self) -> Any:
        if self._scala is None:
            self._scala = self.context._jvm.emr.studio.Notebook(str(self._classes))
        return self._scala

    def complete_scala(self, code: str, cursor: int) -> None:
        """What the compiler knows of the place."""
        _position, *names = list(self._notebook().complete(code, cursor))
        _publish(_JSON, [str(name) for name in names if name])

    # Livy's own magics.

    def json_magic(self, line: str) -> None:
        """`%json value`."""
        value = self._shell.ev(line)
        _publish(_JSON, value.limit(self._rows).toPandas().to_dict("records") if _is_frame(value) else value)

    def table_magic(self, line: str) -> None:
        """`%table rows`: a list of lists or of dicts."""
        rows = self._shell.ev(line)
        names = list(rows[0]) if rows and isinstance(rows[0], dict) else list(range(len(rows[0]) if rows else 0))
        data = [[_plain(row[name]) for name in names] for row in rows]
        first = data[0] if data else []
        headers = [{"name": str(name), "type": _table_type(value)} for name, value in zip(names, first, strict=False)]
        _publish(_TABLE, {"headers": headers, "data": data})

    def matplot_magic(self, line: str) -> None:
        """`%matplot plt`: the current figure."""
        picture = io.BytesIO()
        plot = self._shell.ev(line)
        plot.gcf().savefig(picture, format="png")
        plot.close("all")
        _publish(_PNG, base64.b64encode(picture.getvalue()).decode())


def start(shell: Any, told: Mapping[str, Any]) -> Interpreter:
    """Start the session's driver, give the shell `spark`, `sc`, `sqlContext`, and print which application it is."""
    _log_to(Path(told["log"]))
    # Errors as Python itself shows them.
    shell.InteractiveTB.set_mode(mode="Plain")
    made = Interpreter(shell, told)
    for name, magic in (("json", made.json_magic), ("table", made.table_magic), ("matplot", made.matplot_magic)):
        shell.register_magic_function(magic, "line", name)
    shell.push({"spark": made.spark, "sc": made.context, "sqlContext": _sql_context(made)})
    print(json.dumps({"appId": made.context.applicationId, "sparkUiUrl": made.context.uiWebUrl}))
    return made


def _log_to(path: Path) -> None:
    """The driver's log is a file of the session's; what statements print goes its own way."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)


def _sql_context(made: Interpreter) -> Any:
    from pyspark.sql import SQLContext

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SQLContext(made.context, made.spark)


def _show(notebook: Any) -> str:
    text = str(notebook.take())
    if text:
        print(text, end="", flush=True)
    return text


def _scala_error(outcome: list[str], printed: str) -> dict[str, str]:
    if outcome == ["Incomplete"]:
        return {"ename": "Incomplete", "evalue": "The statement is incomplete.", "traceback": printed}
    lines = [line for line in printed.splitlines() if line.strip()]
    return {"ename": "Error", "evalue": lines[0] if lines else "The statement failed.", "traceback": printed}


def _is_frame(value: Any) -> bool:
    return hasattr(value, "toPandas") and hasattr(value, "limit")


def _publish(kind: str, value: Any) -> None:
    publish_display_data({kind: json.loads(json.dumps(value, default=_plain))})


def _plain(value: Any) -> Any:
    """A value as JSON can say it: Livy writes dates, times and decimals as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if hasattr(value, "asDict"):
        return {str(key): _plain(one) for key, one in value.asDict().items()}
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    return str(value)


def _table_type(value: Any) -> str:
    names = {bool: "BOOLEAN_TYPE", int: "BIGINT_TYPE", float: "DOUBLE_TYPE", type(None): "NULL_TYPE"}
    return names.get(type(value), "STRING_TYPE")
