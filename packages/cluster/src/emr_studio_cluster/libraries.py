"""Libraries of one notebook: installed while it runs, there for its driver and its executors, gone with its session.

    sc.install_pypi_package("celery==5.4", "https://…/simple")      %pip install celery==5.4
    sc.list_packages()                                              %pip list
    sc.uninstall_package("celery")                                  %pip uninstall celery

They lie in a folder of the kernel's own, which comes first on the driver's path. Executors get it as an archive
of this session: an artifact of a Connect session, `addArchive` of a driver. A cluster's own packages
stay as they are and cannot be removed from here.
"""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

_FOLDER, _PYTHONS = ".libraries", ".pythons"
_LAUNCHER = "python"
_CLASSIC = "PySpark (classic)"


class NotInstalled(Exception):
    """pip refused, or a package is none of this notebook's."""


class Libraries:
    """The libraries of this kernel's session; `ship` takes an archive of them to the executors."""

    def __init__(self, ship: Callable[[Path, str], None] = lambda _archive, _name: None) -> None:
        self.ship = ship
        self.folder = Path()
        self.python = sys.executable
        """What executors run; relative: where they work."""
        self._count = 0

    def begin(self) -> Libraries:
        """Be those of the kernel that works in this folder; to be called there, not where this was imported."""
        self.folder = Path.cwd() / _FOLDER
        # Of a session before this one, whose kernel was restarted.
        shutil.rmtree(self.folder, ignore_errors=True)
        return self

    @property
    def pythons(self) -> Path:
        """Where archives with a Python are unpacked: beside the libraries, wherever the kernel works by now."""
        return (self.folder.parent / _PYTHONS).absolute()

    def forget(self) -> None:
        """Have none: the session that had them has ended."""
        if self.folder.name == _FOLDER:
            shutil.rmtree(self.folder, ignore_errors=True)

    def install(self, *arguments: str) -> None:
        """Install with pip's own arguments, and take all to the executors.

        Raises:
            NotInstalled: pip refused; it has said why.
        """
        self._pip("install", "--upgrade", "--target", str(self.folder), *arguments)
        self._changed()

    def uninstall(self, name: str) -> None:
        """Remove a package that was installed here.

        Raises:
            NotInstalled: it was not.
        """
        found = next((one for one in self._own() if _plain(one.metadata["Name"]) == _plain(name)), None)
        if found is None:
            raise NotInstalled(f"{name} was not installed in this notebook: only such packages can be removed.")
        removed = f"{found.metadata['Name']} {found.version}"
        paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
        for path in paths:
            path.unlink(missing_ok=True)
        self._tidy({path.parent for path in paths})
        print(f"Removed {removed}")
        self._changed()

    def _tidy(self, folders: set[Path]) -> None:
        """Remove folders that hold nothing but what Python compiled, innermost first."""
        for folder in sorted(folders, reverse=True):
            if folder == self.folder or not folder.is_relative_to(self.folder):
                continue
            shutil.rmtree(folder / "__pycache__", ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()

    def show(self) -> None:
        """Print what can be imported, this notebook's own first."""
        self._pip("list")

    def run_pip(self, *arguments: str) -> None:
        """Any other command of pip."""
        self._pip(*arguments)

    def _own(self) -> list[metadata.Distribution]:
        return list(metadata.distributions(path=[str(self.folder)]))

    def _pip(self, *arguments: str) -> None:
        # A bootstrap action's target means the whole cluster.
        variables = {name: value for name, value in os.environ.items() if name != "PIP_TARGET"}
        variables["PYTHONPATH"] = f"{self.folder}{os.pathsep}{variables.get('PYTHONPATH', '')}"
        command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=variables,
        )
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                print(line, end="")
        if process.wait() != 0:
            raise NotInstalled(f"pip {arguments[0]} failed with exit code {process.returncode}; it says why above.")

    def _changed(self) -> None:
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        self._count += 1
        name = f"libraries-{self._count}"
        launcher = self.folder / _LAUNCHER
        launcher.write_text(_launcher(self.python))
        launcher.chmod(0o755)
        archive = self.folder.with_name(f"{name}.tar.gz")
        try:
            with tarfile.open(archive, "w:gz", compresslevel=1) as file:
                file.add(self.folder, arcname=".")
            self.ship(archive, name)
        finally:
            archive.unlink(missing_ok=True)


def _launcher(python: str) -> str:
    """A Python for executors that finds what lies beside it first."""
    return (
        "#!/bin/sh\n"
        'PYTHONPATH="$(cd "$(dirname "$0")" && pwd):$PYTHONPATH"; export PYTHONPATH\n'
        f'exec {shlex.quote(python)} "$@"\n'
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


session = Libraries()
"""Those of this kernel, once it has begun."""


Ship = Callable[[Path, str], None]


def use_connect(spark: Any) -> Ship:
    """Take libraries to the executors of a Connect session: an archive of it, and a Python that looks into it."""

    def ship(archive: Path, name: str) -> None:
        spark.addArtifacts(f"{archive}#{name}", archive=True)
        spark.conf.set("spark.sql.execution.pyspark.python", f"{name}/{_LAUNCHER}")

    return ship


def use_driver(context: Any) -> Ship:
    """Take libraries to the executors of a driver of the kernel's own."""
    local = str(context.master).startswith("local")

    def ship(archive: Path, name: str) -> None:
        if not local:
            # The file must outlive this call: executors fetch it when they next have work.
            kept = archive.with_name(f".{archive.name}")
            shutil.copy(archive, kept)
            context.addArchive(f"{kept}#{name}")
        context.environment["PYTHONPATH"] = str(session.folder) if local else name

    return ship


def extend(context: Any) -> None:
    """Give a driver's `sc` the calls that EMR's has."""
    session.ship = use_driver(context)
    for name in ("install_pypi_package", "list_packages", "uninstall_package"):
        setattr(context, name, globals()[f"_{name}"])


def _install_pypi_package(package: str, pypi_repo: str = "") -> None:
    session.install(*(["--index-url", pypi_repo] if pypi_repo else []), package)


def _list_packages() -> None:
    session.show()


def _uninstall_package(package: str) -> None:
    session.uninstall(package)


class ConnectContext:
    """`sc` of a Connect session: libraries, and what there is instead of the rest."""

    def __init__(self, spark: Any, python: str = sys.executable) -> None:
        """`spark`: the session whose executors get the libraries; `python`: what they run."""
        self._spark = spark
        session.python = python
        session.ship = use_connect(spark)

    install_pypi_package = staticmethod(_install_pypi_package)
    list_packages = staticmethod(_list_packages)
    uninstall_package = staticmethod(_uninstall_package)

    @property
    def version(self) -> str:
        """Spark's version."""
        return str(self._spark.version)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"sc.{name} needs a driver of this notebook's own: choose the kernel “{_CLASSIC}”. "
            "In this kernel spark is a session of the cluster's shared Spark Connect server."
        )

    def __repr__(self) -> str:
        return f"<SparkContext of a Spark Connect session, {self.version}>"


def install_magics(shell: Any) -> None:
    """`%pip` means this notebook, and its executors."""
    shell.register_magic_function(_pip_magic, "line", "pip")


def _pip_magic(line: str) -> None:
    """Run pip for this notebook: what it installs is there for driver and executors until the session ends."""
    command, *rest = shlex.split(line) or ["help"]
    names: Sequence[str] = [word for word in rest if not word.startswith("-")]
    try:
        if command == "install":
            session.install(*rest)
        elif command == "uninstall":
            for name in names:
                session.uninstall(name)
        else:
            session.run_pip(command, *rest)
    except NotInstalled as error:
        print(error, file=sys.stderr)
