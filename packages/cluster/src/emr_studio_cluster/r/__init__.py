"""R on the session that a Python process holds.

    interpreter.py   R's own Jupyter kernel (IRkernel) as a child, and the bridge that it asks
    client.py        the child, by Jupyter's protocol
    bridge.py        answers what R asks of PySpark's objects, by named pipes
    frames.py        rows, as columns in a file of R's types
    sparkr/          the other side, in R: SparkR's functions, by the names that notebooks use
    kernel.py        the kernel "SparkR"

SparkR itself comes with Spark's own distribution and on CRAN, not with PySpark, and speaks to a JVM of its own. Here R
uses PySpark's session, so the server's queries, views, credentials, progress and interrupts are those of all kernels.
"""

from __future__ import annotations

import shutil

PACKAGES = "r-base-core r-cran-irkernel r-cran-jsonlite"
MISSING = f"needs R, which this machine lacks. As root: apt-get install -y --no-install-recommends {PACKAGES}."


def has_r() -> bool:
    """Whether this machine has R; whether R has its kernel is seen when it starts."""
    return shutil.which("R") is not None
