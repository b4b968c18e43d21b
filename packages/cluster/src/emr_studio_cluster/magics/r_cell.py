"""`%%rspark`: R on the Spark session, which these clusters do not have; said plainly, with what to do instead."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError

MISSING = "needs R and Spark's package for it (SparkR), which are not part of this cluster's release."
OWN_R = "An R of your own on the primary node, by a bootstrap action, runs as a program with %%sh in a Python kernel."
NO_R = f"%%rspark {MISSING} Views are shared by all languages: use %%sql, %%pyspark or %%scalaspark. {OWN_R}"


def install(shell: Any) -> None:
    """Give it to a shell."""

    def magic(_line: str, _cell: str = "") -> None:
        """R, which is not here: %%rspark."""
        raise UsageError(NO_R)

    shell.register_magic_function(magic, "cell", "rspark")
