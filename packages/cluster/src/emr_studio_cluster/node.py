"""Starts one program of a node: `python -m emr_studio_cluster.node PROGRAM FOLDER`.

PROGRAM is master, worker, connect, history, gateway, kernels or livy.

FOLDER is the program's own and holds `node.json`. A Java program replaces this process, so
that the process id that was started is the program's and a signal reaches it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from emr_studio_cluster import spark
from emr_studio_cluster.config import METASTORE_PORT, NodeConfig, read_config

_JAVA_PROGRAMS: dict[str, Callable[[NodeConfig, Path], list[str]]] = {
    "master": spark.master_command,
    "worker": spark.worker_command,
    "connect": spark.connect_command,
    "history": spark.history_command,
}
# They import much that the others do not need.
_PYTHON_PROGRAMS = {"gateway": "gateway", "kernels": "kernel_host", "livy": "livy.server"}
# jsonschema takes it where it is: it builds a grammar of international addresses as it is imported, longer than all
# else that a gateway imports takes together, and no schema of Jupyter's has such an address.
_LEFT_OUT = "rfc3987_syntax"


def main(arguments: Sequence[str]) -> int:
    """Start the program that the first argument names, in the folder that the second one names."""
    if len(arguments) != 2 or arguments[0] not in (*_JAVA_PROGRAMS, *_PYTHON_PROGRAMS):
        names = "|".join((*_JAVA_PROGRAMS, *_PYTHON_PROGRAMS))
        print(f"usage: python -m emr_studio_cluster.node {names} FOLDER", file=sys.stderr)
        return 2
    # What is written here holds secrets.
    os.umask(0o077)
    folder = Path(arguments[1]).absolute()
    os.chdir(folder)
    config = read_config(folder)
    try:
        if arguments[0] in _PYTHON_PROGRAMS:
            sys.modules.setdefault(_LEFT_OUT, None)  # type: ignore[arg-type]  # Python's own way to say that it is absent
            import_module(f"emr_studio_cluster.{_PYTHON_PROGRAMS[arguments[0]]}").run(config, folder)
            return 0
        if arguments[0] == "connect" and config.has_catalog:
            _serve_tables(config)
        command = _JAVA_PROGRAMS[arguments[0]](config, folder)
    except spark.NoJava as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    return _become(command, config, folder)


def _serve_tables(config: NodeConfig) -> None:
    """The metastore of all applications of the cluster's role, at the primary node."""
    from emr_studio_cluster.metastore import server

    try:
        server.start(config.address, METASTORE_PORT)
    except OSError as error:
        print(f"No metastore, so no tables: {error}.", file=sys.stderr)


def _become(command: list[str], config: NodeConfig, folder: Path) -> NoReturn:
    os.execve(command[0], command, spark.environment(config, folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
