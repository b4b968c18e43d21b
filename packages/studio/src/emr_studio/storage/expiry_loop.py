"""Carries out the lifecycle rules of buckets, again and again; a program of its own, beside the store.

    expiry_loop.py <weed> <master> <filer> <s3> <seconds>      the addresses as `weed shell` takes them

The store keeps rules but carries none out by itself: its own worker does, one pass a call.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time

_PASS = "s3.lifecycle.run-shard -shards 0-15 -s3 {s3} -runtime 300s\n"
_LONGEST = 600
_FIRST = 60.0
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def carry_out(weed: str, master: str, filer: str, s3: str) -> bool:
    """One pass; False (and the reason on stderr) if it was not done."""
    argv = [weed, "shell", f"-master={master}", f"-filer={filer}"]
    try:
        done = subprocess.run(
            argv,
            input=_PASS.format(s3=s3),
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
            preexec_fn=_end_with_parent,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"lifecycle rules were not carried out: {error}", file=sys.stderr)
        return False
    told = done.stdout + done.stderr
    # The shell ends with 0 whatever its commands did.
    good = done.returncode == 0 and ("complete" in told or "no lifecycle" in told.lower())
    if not good:
        print(f"lifecycle rules were not carried out: {told[-500:]}", file=sys.stderr)
    return good


def main(weed: str, master: str, filer: str, s3: str, seconds: str) -> None:
    """Never returns."""
    pause = float(seconds)
    time.sleep(min(_FIRST, pause))
    while True:
        carry_out(weed, master, filer, s3)
        time.sleep(pause)


if __name__ == "__main__":
    main(*sys.argv[1:])
