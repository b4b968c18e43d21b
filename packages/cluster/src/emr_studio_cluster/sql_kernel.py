"""The SQL kernel: statements on a session of the cluster's Spark Connect server, results as tables."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from pyspark.errors import PySparkException

from emr_studio_cluster import progress
from emr_studio_cluster.cancelling import interrupt_session
from emr_studio_cluster.cells import CellKernel
from emr_studio_cluster.replies import completion, inspection, word_at, word_before
from emr_studio_cluster.session import connect, is_gone, node_config
from emr_studio_cluster.sql import statements

_SHOWN_ROWS = 1000
_KEYWORDS = """
    ALTER ANALYZE AND AS BETWEEN BY CACHE CASE CREATE CROSS DATABASE DELETE DESC DESCRIBE DISTINCT DROP ELSE END
    EXISTS EXPLAIN FROM FULL GROUP HAVING IN INNER INSERT INTO IS JOIN LEFT LIKE LIMIT MERGE NOT NULL ON OR ORDER
    OUTER OVER OVERWRITE PARTITION PIVOT RIGHT SELECT SEMI SET SHOW TABLE TABLES THEN TRUNCATE UNION UPDATE USE
    USING VALUES VIEW WHEN WHERE WINDOW WITH
""".split()  # noqa: SIM905


class SqlKernel(CellKernel):
    """Jupyter's kernel protocol over `spark.sql`."""

    implementation = "emr-studio-sql"
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
        self._reporter = progress.Reporter("query", node_config().session_ui)
        self._queries = progress.Queries(self._reporter)

    @property
    def _spark(self) -> Any:
        if self._session is None:
            self._session = connect(node_config(), self._queries)
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
            # None, while the first is being made.
            if self._session is not None:
                interrupt_session(self._session)
            return self._stopped(error, "The statement was interrupted.")
        except PySparkException as error:
            return self._stopped(error, str(error))
        except Exception as error:  # the cluster's Spark does not answer
            return self._stopped(error, str(error).splitlines()[0] if str(error) else "")
        self._reporter.end()
        return self._succeeded()

    def _run(self, statement: str) -> Any:
        try:
            return self._spark.sql(statement).limit(_SHOWN_ROWS + 1).toPandas()
        except PySparkException as error:
            if not is_gone(error):
                raise
        self._session = None
        self._print(
            "The Spark session had ended; this is a new one, without the old one's temporary views.\n", "stderr"
        )
        return self._spark.sql(statement).limit(_SHOWN_ROWS + 1).toPandas()

    def _show(self, rows: Any, silent: bool) -> None:
        if silent or not len(rows.columns):
            return
        more = len(rows) > _SHOWN_ROWS
        rows = rows.head(_SHOWN_ROWS)
        self._display({"text/plain": rows.to_string(index=False), "text/html": rows.to_html(index=False)})
        if more:
            self._print(f"The first {_SHOWN_ROWS} rows are shown.\n", "stderr")

    def end(self) -> None:
        """End the session, and what runs in it: the kernel ends."""
        if self._session is not None:
            # The outside may be away.
            with suppress(Exception):
                self._session.stop()

    def _stopped(self, error: BaseException, value: str) -> dict[str, Any]:
        self._reporter.end(progress.reason_of(error), at_work=progress.is_at_work(error))
        name = type(error).__name__
        return self._failed(name, value, [value or name])

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Keywords, tables, columns of the tables that the cell names, functions."""
        word = word_before(code, cursor_pos)
        candidates = [*self._names(code), *_KEYWORDS]
        matches = [name for name in dict.fromkeys(candidates) if name.lower().startswith(word.lower())] if word else []
        return completion(matches, cursor_pos - len(word), cursor_pos)

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
        word = word_at(code, cursor_pos)
        for statement in (f"DESCRIBE TABLE {word}", f"DESCRIBE FUNCTION EXTENDED {word}") if word else ():
            try:
                rows = self._spark.sql(statement).toPandas()
            except Exception:  # it is not that
                continue
            if "not found" not in str(rows.iloc[0, 0]).lower():
                return inspection(rows.to_string(index=False, header=len(rows.columns) > 1))
        return inspection("")
