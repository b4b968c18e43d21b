"""The kernel "SparkR": cells run in R (IRkernel), which uses a session of the cluster's Spark Connect server.

The kernel is this process, as with all others: its journal, its progress, its interrupts. Cells that begin with `%%sql`
or `%%pyspark` run on the same session (`guests.py`). Where the machine has no R notebooks open all the same, and each
cell says what is missing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from emr_studio_cluster import guests, libraries, progress
from emr_studio_cluster.background import Background
from emr_studio_cluster.cells import CellKernel
from emr_studio_cluster.r import MISSING, has_r
from emr_studio_cluster.r.bridge import words
from emr_studio_cluster.r.client import REnded
from emr_studio_cluster.r.interpreter import Ask, Interpreter, cancel
from emr_studio_cluster.replies import completion, inspection
from emr_studio_cluster.session import connect, is_gone, node_config

NO_R = (
    f"This kernel {MISSING} Until then choose another kernel (its name stands at the top right): all read the same "
    "tables."
)
_NO_SCALA = "%%scalaspark needs a driver of this notebook's own: choose Spark, or PySpark (classic)."
_INTERRUPTED = "The cell was interrupted."


class SparkRKernel(CellKernel):
    """Jupyter's kernel protocol over IRkernel's."""

    implementation = "emr-studio-sparkr"
    banner = "R on the cluster's Spark: spark, sql, createDataFrame and SparkR's other functions"
    language_info = {  # noqa: RUF012  (Jupyter's own attribute)
        "name": "R",
        "mimetype": "text/x-r-source",
        "file_extension": ".r",
        "codemirror_mode": "r",
        "pygments_lexer": "r",
    }

    def __init__(self, **arguments: Any) -> None:
        """Begin to start R and to make the session, while the user still types."""
        super().__init__(**arguments)
        self._session: Any = None
        self._guests: guests.Guests | None = None
        self._failed_to_connect: Exception | None = None
        self._reporter = progress.Reporter("query", node_config().session_ui)
        self._queries = progress.Queries(self._reporter)
        self._interpreter = Interpreter(self._spark, Path.cwd())
        self._connecting = Background(self._connect, "spark-session").start()
        if has_r():
            self._interpreter.start()

    def _connect(self) -> None:
        try:
            made = connect(node_config(), self._queries)
            self._session, self._failed_to_connect = made, None
            context = libraries.ConnectContext(made)
            self._guests = guests.Guests(made, self._display, self._print, context)
        except Exception as error:  # who uses it is to read it
            self._session, self._failed_to_connect = None, error

    def _spark(self) -> Any:
        """The session, of the bridge's thread; one that has ended, or that could not be made, is made anew."""
        self._connecting.wait()
        if self._session is None:
            self._connect()
        if self._failed_to_connect is not None:
            raise self._failed_to_connect
        return self._session

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: Any = None,
        allow_stdin: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        """Run a cell."""
        if not has_r():
            return self._failed("SparkRNotAvailable", NO_R, silent=silent)
        self._queries.begin()
        if not silent:
            self._reporter.begin(progress.publisher(self))
        try:
            reply = self._run(guests.read(code, guests.R), silent, self._ask if allow_stdin else None)
        except guests.GuestError as error:
            cause = error.__cause__
            self._forget(cause)
            self._reporter.end(progress.reason_of(cause), at_work=progress.is_at_work(cause))
            return self._failed(error.name, str(error), error.lines, silent=silent)
        except KeyboardInterrupt as error:
            self._reporter.end(progress.reason_of(error))
            return self._failed("KeyboardInterrupt", _INTERRUPTED, silent=silent)
        except REnded as error:
            self._reporter.end("R ended.")
            return self._failed("REnded", str(error), str(error).splitlines(), silent=silent)
        return self._ended(reply)

    def _run(self, cell: guests.Cell, silent: bool, ask: Ask | None) -> dict[str, Any]:
        if cell.language == guests.R:
            return self._interpreter.run(cell.body, lambda *message: self._show(silent, *message), ask, silent=silent)
        if cell.language == guests.SCALA:
            raise guests.GuestError(RuntimeError(_NO_SCALA), [_NO_SCALA])
        try:
            session = self._spark()
        except Exception as error:  # the cluster's Spark does not answer
            raise guests.GuestError(error, [words(error)]) from error
        assert self._guests is not None
        try:
            self._guests.run(cell)
        except KeyboardInterrupt:
            cancel(session)
            raise
        return {"status": "ok"}

    def _forget(self, failure: BaseException | None) -> None:
        if failure is not None and is_gone(failure):
            self._session = None
            self._print("The Spark session ended; the next cell that uses spark gets a new one.\n", "stderr")

    def _ended(self, reply: dict[str, Any]) -> dict[str, Any]:
        failure = self._interpreter.failure()
        self._forget(failure)
        if reply["status"] == "ok":
            self._reporter.end()
            # Help (`?sd`), and `quit()`, are the page's to do.
            return self._succeeded(reply.get("payload") or ())
        self._reporter.end(progress.reason_of(failure), at_work=progress.is_at_work(failure))
        return {
            "status": "error",
            "execution_count": self.execution_count,
            "ename": str(reply.get("ename", "ERROR")),
            "evalue": str(reply.get("evalue", "")),
            "traceback": list(reply.get("traceback") or []),
        }

    def _show(self, silent: bool, kind: str, content: dict[str, Any]) -> None:
        if silent:
            return
        if "execution_count" in content:
            content = content | {"execution_count": self.execution_count}
        self.send_response(self.iopub_socket, kind, content)

    def _ask(self, prompt: str, hidden: bool) -> str:
        return str(self.getpass(prompt) if hidden else self.raw_input(prompt))

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """What R knows of the place."""
        found = self._asked("complete_request", {"code": code, "cursor_pos": cursor_pos})
        return found or completion([], cursor_pos, cursor_pos)

    async def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()
    ) -> dict[str, Any]:
        """What R's help, or the value itself, says."""
        content = {"code": code, "cursor_pos": cursor_pos, "detail_level": detail_level}
        return self._asked("inspect_request", content) or inspection("")

    async def do_is_complete(self, code: str) -> dict[str, Any]:
        """Whether R would read on, for consoles."""
        return self._asked("is_complete_request", {"code": code}) or {"status": "unknown"}

    def _asked(self, kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
        return self._interpreter.request(kind, content) if has_r() else None

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """End R and its session with the kernel."""
        self.end()
        return {"status": "ok", "restart": restart}

    def end(self) -> None:
        """As above; the outside may be away."""
        self._interpreter.leave()
        if self._session is not None:
            with suppress(Exception):
                self._session.stop()
