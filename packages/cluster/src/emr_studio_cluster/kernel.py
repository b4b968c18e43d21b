"""A Python kernel: `python -m emr_studio_cluster.kernel python3|pysparkkernel -f CONNECTION_FILE`.

It runs in a scratch folder of its own, draws plots inline and, as `pysparkkernel`, has `spark`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ipykernel.kernelapp import IPKernelApp

PYSPARK = "pysparkkernel"


def main(arguments: Sequence[str]) -> None:
    """Run the kernel until it is told to shut down or its gateway is gone."""
    kind, *rest = arguments
    connection_file = Path(rest[rest.index("-f") + 1])
    _enter_scratch_folder(connection_file)
    app = IPKernelApp.instance()
    app.exec_lines = ["%matplotlib inline"]
    app.initialize(rest)
    if kind == PYSPARK:
        from emr_studio_cluster import session

        session.install(app.shell)
    app.start()


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
