"""A Python of one's own for Spark: a virtual environment that venv-pack, conda-pack or tar has packed, in S3.

    spark.archives         s3://bucket/venv.tar.gz#environment     or YARN's spark.yarn.dist.archives
    spark.pyspark.python   ./environment/bin/python                or YARN's spark.yarn.appMasterEnv.PYSPARK_PYTHON

Executors unpack the archive in their working folder and run its interpreter there. It is unpacked for the driver too:
what `spark-submit` starts runs in it (`submitting.py`); a notebook's process stays what it is and finds its packages.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ARCHIVES, PYTHON, DRIVER_PYTHON = "spark.archives", "spark.pyspark.python", "spark.pyspark.driver.python"
_LISTS = {
    "spark.yarn.dist.archives": ARCHIVES,
    "spark.yarn.dist.files": "spark.files",
    "spark.yarn.dist.jars": "spark.jars",
    "spark.yarn.dist.pyFiles": "spark.submit.pyFiles",
}
"""YARN's names of what Spark has in every kind of cluster."""
# YARN's driver is in the application's master, and tells executors which Python they are to run.
_PYTHONS = (PYTHON, "spark.yarn.appMasterEnv.PYSPARK_PYTHON", "spark.executorEnv.PYSPARK_PYTHON")
_DRIVERS = (DRIVER_PYTHON, "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON")
_OF_PYTHON = frozenset({"spark.yarn.dist.archives", ARCHIVES, *_PYTHONS, *_DRIVERS})
_MEANT = _OF_PYTHON | set(_LISTS)
_LOOK = "import json, site, sys; print(json.dumps([*sys.version_info[:2], site.getsitepackages()]))"
_LOOK_SECONDS = 120.0
_SITE = "site-packages"


class NoPython(Exception):
    """The archive cannot be had, or there is no Python in it that works; the text is for who asked for it."""


@dataclass(frozen=True)
class Archive:
    """An archive, and the folder that it becomes."""

    uri: str
    name: str


@dataclass(frozen=True)
class Wanted:
    """What properties ask for."""

    archives: tuple[Archive, ...] = ()
    python: str = ""
    """Of executors; empty: the cluster's own."""
    others: Mapping[str, str] = field(default_factory=dict)
    """The rest, by Spark's names."""

    @property
    def home(self) -> Archive | None:
        """The archive that has the Python.

        Raises:
            NoPython: none has it.
        """
        if "/" not in self.python or self.python.startswith("/"):
            return None
        first = Path(self.python).parts[0]
        found = next((one for one in self.archives if one.name == first), None)
        if found is None:
            raise NoPython(f"{self.python} is in none of the archives: name one as {ARCHIVES}=s3://…#{first}.")
        return found

    def below(self, folder: Path) -> Path:
        """Where the Python is when its archive is unpacked in a folder of that name there."""
        return folder / self.python


@dataclass(frozen=True)
class Unpacked:
    """A Python that works here."""

    python: Path
    version: tuple[int, int]
    packages: tuple[str, ...]


def meant(properties: Mapping[str, str]) -> dict[str, str]:
    """Those that are read here."""
    return {name: value for name, value in properties.items() if name in _MEANT}


def of_python(properties: Mapping[str, str]) -> dict[str, str]:
    """Those that say which Python, and where it is."""
    return {name: value for name, value in properties.items() if name in _OF_PYTHON}


def translated(properties: Mapping[str, str]) -> dict[str, str]:
    """The same by Spark's names."""
    found = {name: value for name, value in properties.items() if name == ARCHIVES or name not in _MEANT}
    for yarns, name in _LISTS.items():
        if properties.get(yarns):
            found[name] = ",".join(filter(None, (found.get(name, ""), properties[yarns])))
    for names in (_PYTHONS, _DRIVERS):
        if named := next((properties[name] for name in names if properties.get(name)), ""):
            found[names[0]] = named
    return found


def wanted_of(properties: Mapping[str, str]) -> Wanted:
    """What is asked for, by either name."""
    found = translated(properties)
    found.pop(DRIVER_PYTHON, None)
    uris = [uri.strip() for uri in found.pop(ARCHIVES, "").split(",") if uri.strip()]
    python = found.pop(PYTHON, "")
    return Wanted(tuple(map(_archive, uris)), python, found)


def _archive(uri: str) -> Archive:
    place, _, name = uri.partition("#")
    return Archive(place, name or place.rpartition("/")[2])


def fetch(archive: Archive, folder: Path) -> Path:
    """The archive as a file; one of S3 is put into the folder.

    Raises:
        NoPython: with the reason.
    """
    if not archive.uri.startswith(("s3://", "s3a://", "s3n://")):
        return Path(archive.uri.removeprefix("file://"))
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = archive.uri.partition("://")[2].partition("/")
    # With its ending, by which Spark knows how to unpack it.
    target = folder / key.rpartition("/")[2]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        boto3.client("s3").download_file(bucket, key, str(target))
    except (ClientError, BotoCoreError, OSError) as error:
        raise NoPython(f"{archive.uri} cannot be read: {error}") from error
    return target


def unpack(file: Path, folder: Path) -> None:
    """Unpack it in a folder, in place of what is there.

    Raises:
        NoPython: it is no archive.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if zipfile.is_zipfile(file):
            _unzip(file, folder)
        else:
            with tarfile.open(file) as archive:
                if hasattr(tarfile, "tar_filter"):  # Python 3.11.4 and later
                    archive.extraction_filter = tarfile.tar_filter
                archive.extractall(folder)
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise NoPython(f"{file.name} cannot be unpacked: {error}") from error


def _unzip(file: Path, folder: Path) -> None:
    """With the rights that files had: an interpreter is to be run."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        for member in archive.infolist():
            if rights := member.external_attr >> 16 & 0o777:
                (folder / member.filename).chmod(rights | 0o600)


def here(wanted: Wanted, folder: Path, files: Mapping[Archive, Path] | None = None) -> Unpacked | None:
    """The Python, with its archive unpacked in a folder; None where the cluster's own is meant.

    `files`: what has been fetched already.

    Raises:
        NoPython: with the reason.
    """
    home = wanted.home
    if home is None:
        return examined(Path(wanted.python)) if wanted.python.startswith("/") else None
    file = (files or {}).get(home) or fetch(home, folder)
    unpack(file, folder / home.name)
    if files is None:
        forget([file], folder)
    return examined(wanted.below(folder))


def forget(files: Iterable[Path], folder: Path) -> None:
    """Remove what was fetched into a folder; what lay elsewhere is somebody's own."""
    for file in files:
        if file.parent == folder:
            file.unlink(missing_ok=True)


def examined(python: Path) -> Unpacked:
    """What an interpreter says of itself.

    Raises:
        NoPython: it does not start.
    """
    try:
        # -I: of the variables here, none is for it.
        done = subprocess.run(
            [str(python), "-I", "-c", _LOOK], capture_output=True, text=True, timeout=_LOOK_SECONDS, check=True
        )
        major, minor, found = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise NoPython(f"The archive's Python does not start: {_last(error.stderr)}") from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise NoPython(f"The archive's Python does not start: {error}") from error
    return Unpacked(python, (major, minor), tuple(found))


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]


class Packages:
    """What this process finds of an archive: its packages, before those of the cluster's Python."""

    def __init__(self) -> None:
        self._paths: Sequence[str] = ()

    def use(self, found: Unpacked | None) -> None:
        """Find these and no others from now on; what is imported already stays.

        Raises:
            NoPython: they are for another Python.
        """
        if found is not None and found.version != sys.version_info[:2]:
            theirs, ours = (".".join(map(str, version)) for version in (found.version, sys.version_info[:2]))
            raise NoPython(f"The archive has Python {theirs}, this cluster {ours}: Spark takes one for all.")
        sys.path[:] = [path for path in sys.path if path not in self._paths]
        self._paths = found.packages if found is not None else ()
        place = next((number for number, path in enumerate(sys.path) if _SITE in path), len(sys.path))
        sys.path[place:place] = self._paths
        importlib.invalidate_caches()


packages = Packages()
"""Those of this kernel."""


def executors_python(wanted: Wanted, found: Unpacked | None, *, local: bool) -> str:
    """The Python that executors are told to run: where they are part of this process's JVM, by its whole path."""
    if local and found is not None:
        return str(found.python)
    return wanted.python or sys.executable


def use_driver(properties: Mapping[str, str], folder: Path, *, local: bool) -> dict[str, str]:
    """Make ready for a driver of this process; returns the properties that it is to have.

    Raises:
        NoPython: with the reason.
    """
    wanted = wanted_of(properties)
    found = here(wanted, folder)
    packages.use(found)
    # PySpark asks for no property: this is what its executors run.
    os.environ["PYSPARK_PYTHON"] = executors_python(wanted, found, local=local)
    archives = ",".join(f"{one.uri}#{one.name}" for one in wanted.archives)
    return {**wanted.others, **({ARCHIVES: archives} if archives else {})}
