"""The jars that Spark's package lacks: `python -m emr_studio_cluster.jars RELEASE` fetches them once.

hadoop-aws and only those modules of the AWS SDK that S3A uses (10 MB instead of the 600 MB bundle); for
Spark 3.5 the Connect server too. Fetched through Spark's own package resolver into `.cache/jars/<release>`,
each compared with its SHA-256 in `jars.toml`. Without a network nothing is left behind, and clusters of
Spark 4 work but for S3 paths.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from emr_studio_cluster import spark

_TIMEOUT_SECONDS = 600
_ENVIRONMENTS = ".envs"


class JarsUnavailable(Exception):
    """The jars could not be fetched, or are not what they should be."""


def ensure_jars(release: str, folder: Path) -> list[Path]:
    """Return the release's jars in `folder`, fetched and verified if they are not there yet.

    Raises:
        JarsUnavailable: no network, no Java, an unknown release, or a jar with another SHA-256.
    """
    lock = read_lock(release)
    expected: Mapping[str, str] = lock["sha256"]
    if not _matches(folder, expected):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as scratch:
            fetched = _fetch(lock, Path(scratch))
            _verify(fetched, expected)
            shutil.rmtree(folder, ignore_errors=True)
            fetched.rename(folder)
        _make_readable(folder)
    return sorted(folder.glob("*.jar"))


def cache_folder() -> Path:
    """`.cache` beside the `.envs` that this interpreter belongs to.

    Raises:
        JarsUnavailable: if it belongs to none.
    """
    prefix = Path(sys.prefix)
    if prefix.parent.name != _ENVIRONMENTS:
        raise JarsUnavailable(f"{prefix} is not an environment of an installation; name the folder")
    return prefix.parent.parent / ".cache"


def default_folder(release: str) -> Path:
    """`.cache/jars/<release>`."""
    return cache_folder() / "jars" / release


def read_lock(release: str) -> dict[str, Any]:
    """What `jars.toml` says of a release.

    Raises:
        JarsUnavailable: nothing.
    """
    locks: dict[str, dict[str, Any]] = tomllib.loads(files(__package__).joinpath("jars.toml").read_text())
    if release not in locks:
        raise JarsUnavailable(f"no jars are known for {release}")
    return locks[release]


def _matches(folder: Path, expected: Mapping[str, str]) -> bool:
    found = {path.name: _digest(path) for path in folder.glob("*.jar")}
    return found == dict(expected)


def _verify(folder: Path, expected: Mapping[str, str]) -> None:
    found = {path.name: _digest(path) for path in folder.glob("*.jar")}
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise JarsUnavailable(f"{name}: SHA-256 {found.get(name)}, expected {expected.get(name)}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(lock: Mapping[str, Any], scratch: Path) -> Path:
    program = scratch / "nothing.py"
    program.write_text("")
    command = [
        str(spark.spark_home() / "bin" / "spark-submit"),
        *("--conf", f"spark.jars.ivy={scratch}", "--conf", "spark.ui.enabled=false"),
        *("--packages", ",".join(lock["packages"])),
        *("--exclude-packages", ",".join(lock["excluded"])),
        str(program),
    ]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JarsUnavailable(f"Spark's package resolver did not run: {error}") from error
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise JarsUnavailable("Spark's package resolver failed: " + " | ".join(lines[-5:]))
    return scratch / "jars"


def _make_readable(folder: Path) -> None:
    # Nodes run as users of their own.
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)


def main(arguments: Sequence[str]) -> int:
    """Fetch the jars of a release; a folder may follow the release label."""
    if not arguments or len(arguments) > 2:
        print("usage: python -m emr_studio_cluster.jars RELEASE [FOLDER]", file=sys.stderr)
        return 2
    try:
        folder = Path(arguments[1]) if len(arguments) == 2 else default_folder(arguments[0])
        jars = ensure_jars(arguments[0], folder)
    except (JarsUnavailable, spark.NoJava) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(jars)} jars in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
