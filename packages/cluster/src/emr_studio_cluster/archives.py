"""Class data archives of the cluster's JVMs: `python -m emr_studio_cluster.archives RELEASE`.

A JVM that starts Spark spends half of its time on finding and parsing classes. A small cluster is run
once, used a little, and ended; each JVM leaves what it parsed in `.cache/archives/<release>/<kind>.jsa`,
which later ones map into memory (and share). A JVM ignores an archive that does not fit its version
or its jars, so an old one does no harm; without one the cluster works the same, only slower to start.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from emr_studio_cluster import exercise, spark, warming
from emr_studio_cluster.config import CONNECT_PORT, MASTER_PORT, NODE_FILE, WORKER_PORT, NodeConfig
from emr_studio_cluster.jars import JarsUnavailable, cache_folder, default_folder

KINDS = ("master", "worker", "connect")
_STAMP = "made-for"
_NOWHERE = "http://127.0.0.1:1"
_START_SECONDS = 180.0
_USE_SECONDS = 600.0
_END_SECONDS = 180.0
_PORTS = {"master": MASTER_PORT, "worker": WORKER_PORT, "connect": CONNECT_PORT}


class ArchivesFailed(Exception):
    """The archives could not be made."""


def ensure_archives(release: str, folder: Path, jars_dir: Path) -> bool:
    """Make the archives in `folder` unless they are there for this Java and these jars; True if made.

    Raises:
        ArchivesFailed: with the reason; nothing is left behind.
    """
    stamp = _stamp(release, jars_dir)
    with contextlib.suppress(OSError):
        if (folder / _STAMP).read_text() == stamp:
            return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".recording-", dir=folder.parent) as scratch:
        made = Path(scratch) / "archives"
        made.mkdir(mode=0o755)
        _Recording(release, Path(scratch), made, jars_dir).run()
        missing = [kind for kind in KINDS if not (made / f"{kind}.jsa").exists()]
        if missing:
            raise ArchivesFailed(f"no archive came of: {', '.join(missing)}")
        for archive in made.iterdir():
            archive.chmod(0o644)
        (made / _STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return True


def _classes_dir(release: str, jars_dir: Path) -> Path:
    return jars_dir.parents[1] / "classes" / release


def _stamp(release: str, jars_dir: Path) -> str:
    version = subprocess.run([spark.java(), "-version"], capture_output=True, text=True, check=False).stderr
    jars = sorted((spark.spark_home() / "jars").glob("*.jar")) + sorted(jars_dir.glob("*.jar"))
    jars += sorted(_classes_dir(release, jars_dir).glob("*.jar"))
    uses = [inspect.getsource(module) for module in (exercise, warming)]
    facts = [version, *uses, *(f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in jars)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


class _Recording:
    """One small cluster, from its start to its end."""

    def __init__(self, release: str, scratch: Path, archives: Path, jars_dir: Path) -> None:
        self._scratch = scratch
        # An address that no instance has: instances' second octets are settings, 1 is not used by default.
        self._address = f"127.1.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        self._config = NodeConfig(
            cluster_id="archives",
            address=self._address,
            primary_address=self._address,
            local_mode=False,
            secret=secrets.token_urlsafe(16),
            connect_token=secrets.token_urlsafe(16),
            release=release,
            jars_dir=str(jars_dir),
            classes_dir=str(_classes_dir(release, jars_dir)),
            archives_dir=str(archives),
            record_archives=True,
            # Nothing answers there. With the S3 jars it means tables by the metastore, of its practice database.
            warehouse_dir="s3://archives/warehouse",
            s3_endpoint=_NOWHERE,
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        """Start, use, end."""
        try:
            for kind in ("master", "worker", "connect"):
                self._start(kind)
            self._use()
            self._end()
        finally:
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _start(self, kind: str) -> None:
        folder = self._scratch / kind
        folder.mkdir(mode=0o700)
        (folder / NODE_FILE).write_text(json.dumps(asdict(self._config)))
        command = [sys.executable, "-m", "emr_studio_cluster.node", kind, str(folder)]
        with (self._scratch / f"{kind}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=_environment())
        self._processes[kind] = process

        def answers() -> bool:
            if process.poll() is not None:
                raise ArchivesFailed(f"{kind} ended: {self._last_line(kind)}")
            with contextlib.suppress(OSError), socket.create_connection((self._address, _PORTS[kind]), 1):
                return True
            return False

        _until(answers, _START_SECONDS, f"{kind} did not start")

    def _last_line(self, kind: str) -> str:
        lines = (self._scratch / f"{kind}.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"

    def _use(self) -> None:
        # In a process of its own: a client that lives on would keep the server from ending.
        command = [sys.executable, "-m", "emr_studio_cluster.exercise", str(self._scratch / "connect")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_USE_SECONDS, check=False)
        if done.returncode != 0:
            raise ArchivesFailed(f"Spark did not work: {(done.stderr.strip().splitlines() or ['?'])[-1]}")

    def _end(self) -> None:
        for kind in ("connect", "worker", "master"):
            self._processes[kind].terminate()
            self._wait_for_end(kind)

    def _wait_for_end(self, kind: str) -> None:
        process = self._processes[kind]
        _until(lambda: process.poll() is not None, _END_SECONDS, f"{kind} did not end")


def _environment() -> dict[str, str]:
    """Ours, with no way to anybody's account of AWS."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nobody = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    nowhere = {"AWS_ENDPOINT_URL": _NOWHERE, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    return own | nobody | nowhere


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ArchivesFailed(f"{what} in {seconds:.0f} seconds")
        time.sleep(0.05)


def main(arguments: Sequence[str]) -> int:
    """Make the archives of a release."""
    if len(arguments) != 1:
        print("usage: python -m emr_studio_cluster.archives RELEASE", file=sys.stderr)
        return 2
    try:
        folder = cache_folder() / "archives" / arguments[0]
        made = ensure_archives(arguments[0], folder, default_folder(arguments[0]))
    except (ArchivesFailed, JarsUnavailable, spark.NoJava, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'made' if made else 'there already'}: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
