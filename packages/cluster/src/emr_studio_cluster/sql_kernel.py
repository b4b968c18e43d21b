"""The SQL kernel: statements on a session of the cluster's Spark Connect server, results as tables."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from ipykernel.kernelbase import Kernel
from pyspark.errors import PySparkException

from emr_studio_cluster import progress
from emr_studio_cluster.session import connect, is_gone, node_config
from emr_studio_cluster.sql import statements

_SHOWN_ROWS = 1000
_KEYWORDS = """
    ALTER ANALYZE AND AS BETWEEN BY CACHE CASE CREATE CROSS DATABASE DELETE DESC DESCRIBE DISTINCT DROP ELSE END
    EXISTS EXPLAIN FROM FULL GROUP HAVING IN INNER INSERT INTO IS JOIN LEFT LIKE LIMIT MERGE NOT NULL ON OR ORDER
    OUTER OVER OVERWRITE PARTITION PIVOT RIGHT SELECT SEMI SET SHOW TABLE TABLES THEN TRUNCATE UNION UPDATE USE
    USING VALUES VIEW WHEN WHERE WINDOW WITH
""".split()  # noqa: SIM905
_WORD = re.compile(r"[\w.]*$")


class SqlKernel(Kernel):  # type: ignore[misc]  # ipykernel is in the cluster's environment alone
    """Jupyter's kernel protocol over `spark.sql`."""

    implementation = "emr-studio-sql"
    implementation_version = "1"
    banner = "SQL on the cluster's Spark"
    language_info = {  # noqa: RUF012  (Jupyter's own attribute)
        "name": "sql",
        "mimetype": "text/x-sql",
        "file_extension": ".sql",
        "codemirror_mode": "sql",
        "pygments_lexer": "sql",
    }

    def __init__(self, **arguments: Any) -> None:
        """The session is made by the first statement."""
        super().__init__(**arguments)
        self._session: Any = None
        config = node_config()
        self._reporter = progress.Reporter("query", "" if config.master_url or config.outside else "live")
        self._queries = progress.Queries(self._reporter)

    @property
    def _spark(self) -> Any:
        if self._session is None:
            self._session = connect(node_config())
            if hasattr(self._session, "registerProgressHandler"):
                self._session.registerProgressHandler(self._queries)
        return self._session

    async def do_execute(
        self, code: str, silent: bool, store_history: bool = True, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Run each statement and show its rows; the first that fails ends the cell."""
        self._queries.begin()
        if not silent:
            self._reporter.begin(progress.publisher(self))
        try:
            for statement in statements(code):
                self._show(self._run(statement), silent)
        except KeyboardInterrupt as error:
            self._spark.interruptAll()
            return self._failed(error, "The statement was interrupted.")
        except PySparkException as error:
            return self._failed(error, str(error))
        except Exception as error:  # the cluster's Spark does not answer
            return self._failed(error, str(error).splitlines()[0] if str(error) else "")
        self._reporter.end()
        return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}

    def _run(self, statement: str) -> Any:
        try:
            return self._spark.sql(statement).limit(_SHOWN_ROWS + 1).toPandas()
        except PySparkException as error:
            if not is_gone(error):
                raise
        self._session = None
        self._print("The Spark session had ended; this is a new one, without the old one's temporary views.\n")
        return self._spark.sql(statement).limit(_SHOWN_ROWS + 1).toPandas()

    def _show(self, rows: Any, silent: bool) -> None:
        if silent or not len(rows.columns):
            return
        more = len(rows) > _SHOWN_ROWS
        rows = rows.head(_SHOWN_ROWS)
        data = {"text/plain": rows.to_string(index=False), "text/html": rows.to_html(index=False)}
        self.send_response(self.iopub_socket, "display_data", {"data": data, "metadata": {}})
        if more:
            self._print(f"The first {_SHOWN_ROWS} rows are shown.\n")

    def end(self) -> None:
        """End the session, and what runs in it: the kernel ends."""
        if self._session is not None:
            # The outside may be away.
            with suppress(Exception):
                self._session.stop()

    def _print(self, text: str) -> None:
        self.send_response(self.iopub_socket, "stream", {"name": "stderr", "text": text})

    def _failed(self, error: BaseException, value: str) -> dict[str, Any]:
        self._reporter.end(progress.reason_of(error), at_work=progress.is_at_work(error))
        name = type(error).__name__
        content = {"ename": name, "evalue": value, "traceback": [value or name]}
        self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Keywords, tables, columns of the tables that the cell names, functions."""
        found = _WORD.search(code[:cursor_pos])
        word = found.group() if found else ""
        candidates = [*self._names(code), *_KEYWORDS]
        matches = [name for name in dict.fromkeys(candidates) if name.lower().startswith(word.lower())] if word else []
        return {
            "status": "ok",
            "matches": matches,
            "cursor_start": cursor_pos - len(word),
            "cursor_end": cursor_pos,
            "metadata": {},
        }

    def _names(self, code: str) -> list[str]:
        try:
            tables = [table.name for table in self._spark.catalog.listTables()]
            used = [name for name in tables if re.search(rf"\b{re.escape(name)}\b", code)]
            columns = [column for table in used for column in self._spark.table(table).columns]
            functions = [row[0] for row in self._spark.sql("SHOW FUNCTIONS").collect()]
        except Exception:  # completion never fails a cell
            return []
        return [*columns, *tables, *(name for name in functions if name.isidentifier())]

    async def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()
    ) -> dict[str, Any]:
        """The columns of a table, or what a function does."""
        word = "".join(
            part.group() for part in (_WORD.search(code[:cursor_pos]), re.match(r"\w*", code[cursor_pos:])) if part
        )
        for statement in (f"DESCRIBE TABLE {word}", f"DESCRIBE FUNCTION EXTENDED {word}") if word else ():
            try:
                rows = self._spark.sql(statement).toPandas()
            except Exception:  # it is not that
                continue
            if "not found" not in str(rows.iloc[0, 0]).lower():
                data = {"text/plain": rows.to_string(index=False, header=len(rows.columns) > 1)}
                return {"status": "ok", "found": True, "data": data, "metadata": {}}
        return {"status": "ok", "found": False, "data": {}, "metadata": {}}
