"""`%%rspark`: R on the Spark session, which these clusters do not have; said plainly, with what to do instead."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError

NO_R = (
    "%%rspark needs R and Spark's package for it (SparkR), which this cluster's release does not have. Views are "
    "shared by all languages: write this cell in %%sql, %%pyspark or %%scalaspark. An R of your own on the primary "
    "node (a bootstrap action, or %%sh) runs as a program with %%sh."
)


def install(shell: Any) -> None:
    """Give it to a shell."""

    def magic(_line: str, _cell: str = "") -> None:
        """R, which is not here: %%rspark."""
        raise UsageError(NO_R)

    shell.register_magic_function(magic, "cell", "rspark")
