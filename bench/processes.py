"""Starting peers, and reading the memory of process trees."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".envs" / "bench" / "bin"


@contextmanager
def server(argv: Sequence[str], ready: Callable[[], bool], folder: Path, seconds: float = 60) -> Iterator[int]:
    """Run a peer until the block ends, its whole group with it; yields its process id."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "EMR_STUDIO_"))}
    environment["PATH"] = f"{PEERS}:{ROOT}/bench/peers/node_modules/.bin:{environment['PATH']}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            deadline = time.monotonic() + seconds
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{argv[0]} did not start: {(folder / 'peer.log').read_text()[-2000:]}")
                time.sleep(0.05)
            yield process.pid
        finally:
            for pid in [process.pid, *descendants(process.pid)]:
                _end(pid)
            process.wait(30)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def descendants(pid: int) -> list[int]:
    """All live descendants of `pid`."""
    found: list[int] = []
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else []:
        found += [int(child), *descendants(int(child))]
    return found


def pss_megabytes(pids: Sequence[int]) -> float:
    """Sum of the proportional set sizes (/proc/pid/smaps_rollup), in MB; one that has ended has none."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024
