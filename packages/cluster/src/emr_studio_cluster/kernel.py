"""A kernel: `python -m emr_studio_cluster.kernel KIND -f CONNECTION_FILE`.

    python3          Python
    pysparkkernel    Python with `spark`, a session of the cluster's Spark Connect server
    pysparkclassic   Python with `spark` and `sc` of a driver of its own
    sqlkernel        SQL, on a session of the Connect server
    sparkkernel      Scala with `spark` and `sc` of a driver of its own
    sparkrkernel     opens notebooks for SparkR, and says that there is no R

It runs in a scratch folder of its own; Python kernels draw plots inline.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from emr_studio_cluster import journal, libraries
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


def main(arguments: Sequence[str]) -> None:
    """Run the kernel until it is told to shut down or its gateway is gone."""
    kind, *rest = arguments
    connection_file = Path(rest[rest.index("-f") + 1])
    _enter_scratch_folder(connection_file)
    libraries.session.begin()
    app = IPKernelApp.instance(**_class_of(kind))
    app.exec_lines = ["%matplotlib inline"]
    app.initialize(rest)
    if NODE_FOLDER in os.environ:
        kernel_id = connection_file.stem.removeprefix("kernel-")
        journal.keep(app, journal.folder_of(Path(os.environ[NODE_FOLDER]), kernel_id))
    if app.shell is not None:
        _equip(app.shell, kind)
    app.start()


def _equip(shell: Any, kind: str) -> None:
    """What a Python kernel has beyond IPython."""
    from emr_studio_cluster import magics

    keeper = None
    if kind in (PYSPARK, CLASSIC):
        from emr_studio_cluster import session

        keeper = session.install(shell, classic=kind == CLASSIC)
    libraries.install_magics(shell)
    magics.install(shell, keeper)


def _class_of(kind: str) -> dict[str, type]:
    if kind == SQL:
        from emr_studio_cluster.sql_kernel import SqlKernel

        return {"kernel_class": SqlKernel}
    if kind == SCALA:
        from emr_studio_cluster.scala_kernel import ScalaKernel

        return {"kernel_class": ScalaKernel}
    if kind == SPARKR:
        from emr_studio_cluster.r_kernel import SparkRKernel

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
