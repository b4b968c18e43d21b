"""A kernel: `python -m emr_studio_cluster.kernel KIND -f CONNECTION_FILE`.

    python3          Python
    pysparkkernel    Python with `spark`, a session of the cluster's Spark Connect server
    pysparkclassic   Python with `spark` and `sc` of a driver of its own
    sqlkernel        SQL, on a session of the Connect server
    sparkkernel      Scala with `spark` and `sc` of a driver of its own
    sparkrkernel     R, with a session of the Connect server; says what is missing where the machine has no R

It runs in a scratch folder of its own; Python kernels draw plots inline. Of a cluster from outside whose kernels run
here there are those that its Spark can serve (`names_of`); where that is a Livy, they are sessions of it (`far_livy/`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ipykernel.kernelapp import IPKernelApp

from emr_studio_cluster import crowding, journal, libraries
from emr_studio_cluster.config import LIVY, SPARK_CONNECT, read_config
from emr_studio_cluster.driver import NODE_FOLDER

PYTHON, PYSPARK, CLASSIC, SQL, SCALA = "python3", "pysparkkernel", "pysparkclassic", "sqlkernel", "sparkkernel"
SPARKR = "sparkrkernel"
DISPLAY_NAMES = {
    PYSPARK: "PySpark",
    CLASSIC: "PySpark (classic)",
    SCALA: "Spark",
    SQL: "SQL",
    PYTHON: "Python 3",
    SPARKR: "SparkR",
}
LANGUAGES = {SQL: "sql", SCALA: "scala", SPARKR: "R"}
_OUTSIDE = {SPARK_CONNECT: (PYSPARK, SQL, PYTHON), LIVY: (PYSPARK, SCALA, SQL)}
_END_SECONDS = 10.0
_LIVY_KINDS = {PYSPARK: "pyspark", SCALA: "spark", SQL: "sql"}


def names_of(outside: str) -> dict[str, str]:
    """The kernels that a cluster offers, by what people call them."""
    return {name: shown for name, shown in DISPLAY_NAMES.items() if name in _OUTSIDE.get(outside, DISPLAY_NAMES)}


def main(arguments: Sequence[str]) -> None:
    """Run the kernel until it is told to shut down or its gateway is gone."""
    kind, *rest = arguments
    connection_file = Path(rest[rest.index("-f") + 1])
    _enter_scratch_folder(connection_file)
    libraries.session.begin()
    outside = read_config(Path(os.environ[NODE_FOLDER])).outside if NODE_FOLDER in os.environ else ""
    app = IPKernelApp.instance(**_class_of(kind, outside))
    app.exec_lines = ["%matplotlib inline"]
    app.initialize(rest)
    if NODE_FOLDER in os.environ:
        kernel_id = connection_file.stem.removeprefix("kernel-")
        journal.keep(app, journal.folder_of(Path(os.environ[NODE_FOLDER]), kernel_id))
    keeper = _equip(app.shell, kind) if app.shell is not None else app.kernel
    if outside and hasattr(keeper, "end"):
        _end_well(keeper.end)
    app.start()
    if outside and hasattr(keeper, "end"):
        keeper.end()


def _end_well(end: Callable[[], None]) -> None:
    """What runs elsewhere does not end with this process: end it first."""

    def leave(*_: Any) -> NoReturn:
        # Beside the cell that is interrupted here, whose locks may be held.
        ending = threading.Thread(target=end, daemon=True)
        ending.start()
        ending.join(_END_SECONDS)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)


def _equip(shell: Any, kind: str) -> Any:
    """What a Python kernel has beyond IPython; returns the keeper of its session, None without one."""
    from emr_studio_cluster import magics

    keeper = None
    if kind in (PYSPARK, CLASSIC):
        from emr_studio_cluster import session

        keeper = session.install(shell, classic=kind == CLASSIC)
    libraries.install_magics(shell)
    magics.install(shell, keeper)
    crowding.announce(shell)
    return keeper


def _class_of(kind: str, outside: str) -> dict[str, type]:
    if outside == LIVY:
        from emr_studio_cluster.far_livy.kernel import class_of

        return {"kernel_class": class_of(_LIVY_KINDS[kind])}
    if kind == SQL:
        from emr_studio_cluster.sql_kernel import SqlKernel

        return {"kernel_class": SqlKernel}
    if kind == SCALA:
        from emr_studio_cluster.scala_kernel import ScalaKernel

        return {"kernel_class": ScalaKernel}
    if kind == SPARKR:
        from emr_studio_cluster.r.kernel import SparkRKernel

        return {"kernel_class": SparkRKernel}
    return {}


def _enter_scratch_folder(connection_file: Path) -> None:
    # kernel-<id>.json: the folder is the kernel's own and outlives a restart of it.
    folder = Path.cwd() / connection_file.stem
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chdir(folder)
    # `python -m` put the folder in which it was started first; the notebook's own is what is meant.
    if sys.path and sys.path[0] == str(folder.parent):
        sys.path[0] = ""


if __name__ == "__main__":
    main(sys.argv[1:])
