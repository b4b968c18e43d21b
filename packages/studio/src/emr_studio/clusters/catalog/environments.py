"""The environments of releases, below `.envs`: built once, from locked and hashed requirements, shared by all.

    .envs/<release>            Python with Spark, the kernel gateway, the kernels' libraries
    .cache/jars/<release>      the jars that Spark's package lacks
    .cache/classes/<release>   our own classes for Spark's JVMs
    .cache/archives/<release>  the JVMs' class data archives (only where time is taken for them: faster starts)

`python -m emr_studio.clusters.catalog.environments RELEASE` builds what is missing and says on each line how far
it is. One builds at a time (a lock that ends with its process); what is made lies beside its place
until it is whole, so whoever is killed leaves nothing that could be taken for an environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emr_studio.clusters.catalog.releases import Release, find_release
from emr_studio.settings import Settings

Say = Callable[[str], None]
_STAMP = ".made-of"
_CLUSTER = "packages/cluster"
_LAST_LINES = 3
# Lines of uv that say how far it is.
_SHOWN = re.compile(r" *(Downloading|Downloaded|Building|Built|Prepared) ")
_HINT = "Is there a network, or a mirror set in uv's or pip's configuration?"


class BuildFailed(Exception):
    """An environment could not be built; `str()` says why, for a person."""


def is_built(settings: Settings, release: Release) -> bool:
    """Whether the environment is there, whole, and of today's lock."""
    try:
        stamp = (settings.root / ".envs" / release.environment / _STAMP).read_text()
    except OSError:
        return False
    return stamp == _stamp(settings, release)


def build(settings: Settings, release: Release, say: Say) -> None:
    """Build what is missing of a release; returns at once if nothing is.

    Raises:
        BuildFailed: nothing half-made is left in its place.
    """
    with _only_one(settings, release, say):
        if not is_built(settings, release):
            _build(settings, release, say)


def complete(settings: Settings, release: Release) -> None:
    """What a built release works without: compiled modules, jars that could not be fetched then, the JVMs' archives.

    Raises:
        BuildFailed: the first of them that could not be made.
    """
    for module in ("compiling", "jars", "classes", "archives"):
        _module(settings.env_python(release.environment), module, release)


def _build(settings: Settings, release: Release, say: Say) -> None:
    place = settings.root / ".envs" / release.environment
    scratch = place.with_name(f".{place.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        _install(settings, release, scratch, say)
        python = scratch / "bin" / "python"
        _fetch_jars(python, release, say)
        say("compiling our classes for Spark (4 of 4)")
        _module(python, "classes", release)
        _module(python, "compiling", release)
        (scratch / _STAMP).write_text(_stamp(settings, release))
        _swap(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install(settings: Settings, release: Release, folder: Path, say: Say) -> None:
    uv, lock = str(settings.root / ".venv" / "bin" / "uv"), _lock(settings, release)
    count = sum("==" in line for line in lock.read_text().splitlines())
    say("making a Python environment (1 of 4)")
    # The interpreter that the installation chose: one that every node's user can read.
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    _run([uv, "venv", "--relocatable", "--python", str(base), str(folder)], "uv could not make an environment")
    install = [uv, "pip", "install", "--color", "never", "--python", str(folder / "bin" / "python")]
    doing = f"installing {count} packages of Spark {release.spark} (2 of 4)"
    say(doing)
    _run(
        [*install, "--require-hashes", "-r", str(lock)],
        f"{lock.name} could not be installed. {_HINT}",
        lambda line: say(f"{doing}: {line.strip()}") if _SHOWN.match(line) else None,
    )
    _run([*install, "--offline", "--no-deps", "-e", str(settings.root / _CLUSTER)], "our own package was refused")
    # Spark comes as a source archive: each build of it leaves a gigabyte in uv's cache, which the next does not use.
    subprocess.run([uv, "cache", "prune", "--quiet"], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _fetch_jars(python: Path, release: Release, say: Say) -> None:
    say("fetching the jars that Spark's package lacks from Maven Central (3 of 4)")
    try:
        _module(python, "jars", release)
    except BuildFailed:
        if release.needs_jars:
            raise
        say("Maven Central was not reached: clusters work, but s3:// paths inside Spark do not until it is")


def _module(python: Path, name: str, release: Release) -> None:
    what = f"{name} of {release.label} could not be made. {_HINT if name == 'jars' else ''}".strip()
    _run([str(python), "-m", f"emr_studio_cluster.{name}", release.label], what)


def _run(command: Sequence[str], failed: str, told: Say = lambda _line: None) -> None:
    """Run to the end, each line handed on; what failed is said with the last lines."""
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise BuildFailed(f"{command[0]} did not run: {error.strerror}") from error
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.strip():
                lines.append(line.strip())
                told(line)
    if process.wait() != 0:
        raise BuildFailed(f"{failed} ({' | '.join(lines)[-400:]})")


def _lock(settings: Settings, release: Release) -> Path:
    return settings.root / "requirements" / f"{release.environment}.txt"


def _stamp(settings: Settings, release: Release) -> str:
    """Of what an environment is made: the lock, our package and classes, the place that is written into it."""
    sources = sorted((settings.root / _CLUSTER).glob("src/*/scala/**/*.scala"))
    facts = [_lock(settings, release), settings.root / _CLUSTER / "pyproject.toml", *sources]
    return hashlib.sha256(b"\0".join([str(settings.root).encode(), *(p.read_bytes() for p in facts)])).hexdigest()


def _swap(scratch: Path, place: Path) -> None:
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    scratch.rename(place)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _only_one(settings: Settings, release: Release, say: Say) -> Iterator[None]:
    """The lock of a release; the kernel gives it back when its holder dies."""
    path = settings.root / ".envs" / f".{release.environment}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another studio builds it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """Build the environment of the release that the argument names."""
    release = find_release(arguments[0]) if len(arguments) == 1 else None
    if release is None:
        print("usage: python -m emr_studio.clusters.catalog.environments RELEASE", file=sys.stderr)
        return 2
    os.umask(0o022)
    try:
        build(Settings(), release, lambda text: print(text, flush=True))
    except (BuildFailed, OSError) as error:
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
