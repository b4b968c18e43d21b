"""The commands of a primary node: what steps, bootstrap actions and their scripts call by name.

    spark-submit pyspark spark-shell spark-sql spark-class run-example    Spark's own, set up for this cluster
    spark-example NAME …       Spark's Python examples
    hadoop fs|jar …            Hadoop's file system shell (S3 and local), a program in a jar
    s3-dist-cp --src --dest    copies between places in S3
    pip pip3 python python3    the node's Python; what pip installs is found by all programs of the cluster
    sudo …                     runs the command as it is: nodes have no other user to become

The driver of an application runs where the command does; `submitting.py` has what YARN's options mean here.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn
from xml.sax.saxutils import escape

from emr_studio_cluster import spark, submitting, virtualenv
from emr_studio_cluster.config import LIVY_PORT, NODE_FILE, NodeConfig, read_config

FOLDER = "EMR_STUDIO_TASK_FOLDER"
PYTHON_FOLDER = "python"
_BIN, _CONF = "bin", "conf"
_SPARK = ("spark-submit", "pyspark", "spark-shell", "spark-sql", "spark-class")
_PYTHON = ("python", "python3")
_PIP = ("pip", "pip3")
_ALL = (*_SPARK, "spark-example", "run-example", "hadoop", "s3-dist-cp", *_PYTHON, *_PIP, "sudo")
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def environment(config: NodeConfig, folder: Path) -> dict[str, str]:
    """Environment of somebody's command; the commands and their settings are written into `folder`."""
    _write_commands(folder)
    conf = _write_conf(config, folder)
    packages = python_packages(folder)
    return spark.environment(config, folder) | {
        "PATH": f"{folder / _BIN}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": str(folder),
        "SPARK_CONF_DIR": str(conf),
        "HADOOP_CONF_DIR": str(conf),
        FOLDER: str(folder),
        "PYTHONPATH": str(packages),
        "PIP_TARGET": str(packages),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **_livy(config),
    }


def _livy(config: NodeConfig) -> dict[str, str]:
    """Where Livy is, with what opens it: who can run commands here can do all that it can."""
    address = f"{config.primary_address}:{LIVY_PORT}"
    return {"LIVY_URL": f"http://hadoop:{config.livy_token}@{address}"} if config.livy_token else {}


def python_packages(folder: Path) -> Path:
    """Where the cluster's own Python packages are: beside its nodes' folders; a runtime role's are its own."""
    cluster = next((parent for parent in folder.parents if parent.name.startswith("j-")), folder)
    return cluster / PYTHON_FOLDER


def submit_properties(config: NodeConfig, folder: Path) -> dict[str, str]:
    """Spark's properties for an application that a step submits."""
    return {
        "spark.executor.cores": "1",
        "spark.executor.memory": f"{config.worker_memory}m",
        "spark.driver.memory": f"{config.driver_memory}m",
        "spark.sql.shuffle.partitions": "8",
        "spark.ui.enabled": "false",
        **spark.OPTIMISING_OF_APPLICATIONS,
        **spark.DECOMMISSION_OF_APPLICATIONS,
        **spark.event_log_properties(config),
        **spark.s3_properties(config, folder),
        **spark.catalog_properties(config, folder),
        "spark.driver.extraClassPath": ":".join(_driver_jars(config)),
        **config.spark_defaults,
        **spark.security_properties(config),
        **spark.ui_properties(config),
        "spark.master": config.master,
        "spark.driver.host": config.address,
        "spark.driver.bindAddress": config.address,
    }


def _driver_jars(config: NodeConfig) -> list[str]:
    folders = [config.jars_dir if config.s3_jars else "", config.classes_dir]
    return [os.path.join(folder, "*") for folder in folders if folder]


def _write_conf(config: NodeConfig, folder: Path) -> Path:
    conf = folder / _CONF
    conf.mkdir(exist_ok=True)
    properties = submit_properties(config, folder)
    spark.write_properties(conf / "spark-defaults.conf", properties)
    prefix = "spark.hadoop."
    hadoop = {name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)}
    items = "".join(
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in hadoop.items()
    )
    (conf / "core-site.xml").write_text(f'<?xml version="1.0"?><configuration>{items}</configuration>\n')
    (conf / "log4j2.properties").write_text(spark.logging_of_applications(config))
    return conf


def _write_commands(folder: Path) -> None:
    commands = folder / _BIN
    commands.mkdir(exist_ok=True)
    for name in _ALL:
        path = commands / name
        python = shlex.quote(sys.executable)
        if name in _PYTHON:
            text = f'#!/bin/sh\nexec {python} "$@"\n'
        elif name == "sudo":
            # Its own options are left out: -E, -H, -u USER.
            text = '#!/bin/sh\nwhile :; do case "$1" in -u|-g) shift 2;; -*) shift;; *) break;; esac; done\nexec "$@"\n'
        else:
            text = f'#!/bin/sh\nexec {python} -m emr_studio_cluster.tools {name} "$@"\n'
        path.write_text(text)
        path.chmod(0o700)


def main(arguments: Sequence[str]) -> int:
    """Be the command that the first argument names."""
    name, rest = arguments[0], list(arguments[1:])
    return _COMMANDS[name](name, rest)


def _spark(name: str, arguments: list[str]) -> int:
    try:
        asked = arguments if name == "spark-class" else _asked(arguments)
    except virtualenv.NoPython as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return _become([str(spark.spark_home() / "bin" / name), *asked])


def _asked(arguments: list[str]) -> list[str]:
    folder = Path(os.environ[FOLDER])
    config = read_config(node_folder(folder))
    local = config.master.startswith("local[")
    return submitting.with_python(submitting.without_yarn(arguments), config.spark_defaults, folder, local=local)


def _example(_name: str, arguments: list[str]) -> int:
    wanted, *rest = [word for word in arguments if word] or [""]
    examples = spark.spark_home() / "examples" / "src" / "main" / "python"
    snake = _WORD.sub("_", wanted.removeprefix("org.apache.spark.examples.")).lower()
    for name in (snake, snake.removeprefix("spark_")):
        program = examples / f"{name}.py"
        if name and program.is_file():
            return _spark("spark-submit", [str(program), *rest])
    known = ", ".join(sorted(path.stem for path in examples.glob("*.py") if path.stem != "__init__"))
    print(f"spark-example: {wanted or 'no example'} is not here; there are: SparkPi, {known}", file=sys.stderr)
    return 1


def _hadoop(_name: str, arguments: list[str]) -> int:
    kind, *rest = arguments or [""]
    mains = {"fs": "org.apache.hadoop.fs.FsShell", "dfs": "org.apache.hadoop.fs.FsShell"}
    mains |= {"jar": "org.apache.hadoop.util.RunJar", "version": "org.apache.hadoop.util.VersionInfo"}
    if kind in mains:
        folder = Path(os.environ[FOLDER])
        config = read_config(node_folder(folder))
        jars = (folder / _CONF, spark.spark_home() / "jars" / "*", os.path.join(config.jars_dir, "*"))
        memory = f"-Xmx{config.driver_memory}m"
        classpath = ":".join(map(str, jars))
        _become([spark.java(), memory, *spark.MODULE_OPTIONS, "-cp", classpath, mains[kind], *rest])
    print(f"hadoop: {kind or 'no command'} is not here; there are: fs, jar, version", file=sys.stderr)
    return 1


def _become(command: Sequence[str]) -> NoReturn:
    os.execv(command[0], list(command))


def node_folder(folder: Path) -> Path:
    """The folder with the node's settings: the task's own, or the one above it (a bootstrap action's)."""
    return folder if (folder / NODE_FILE).exists() else folder.parent


def _dist_cp(_name: str, arguments: list[str]) -> int:
    from emr_studio_cluster import dist_cp

    return dist_cp.main(arguments)


def _pip(_name: str, arguments: list[str]) -> NoReturn:
    # Not an option of every sub-command: a target means something to `install` alone.
    if arguments[:1] != ["install"]:
        os.environ.pop("PIP_TARGET", None)
    _become([sys.executable, "-m", "pip", *arguments])


_COMMANDS: dict[str, Callable[[str, list[str]], int]] = {
    **dict.fromkeys(_SPARK, _spark),
    **dict.fromkeys(_PIP, _pip),
    "spark-example": _example,
    "run-example": _example,
    "hadoop": _hadoop,
    "s3-dist-cp": _dist_cp,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
