"""What the programs of a cluster may use of the machine, where it has control groups: so no cluster starves another.

Spark's own programs are bounded by their heaps and what stands beside them. What runs people's code without such a
bound (kernels, steps, batches) shares a quarter of the machine's memory with its like on the same cluster. When a
program meets its bound the kernel ends what is largest in it. Processors are bounded by nothing, but shared: each
program has a group of its own, and equal groups get equal shares however many threads they have.
"""

from __future__ import annotations

import os

from emr_studio.runtime.contract import Limits

_MB = 1024**2
_SPARKS_MB = {"master": 1024, "gateway": 1536, "connect": 4096, "worker": 5120}
"""Heaps are 256 MB, 1 GB of a driver and two executors of 1 GB each; the rest is the JVM's own and Python's."""
LEAST_MB = 4096
PROCESSES = 4096
"""Processes and threads of a program: a JVM has one to two hundred."""


def limits_of(kind: str) -> Limits:
    """What a program of that kind (`worker`, `step` …) may use."""
    return Limits(memory_bytes=_SPARKS_MB.get(kind, shared_mb()) * _MB, pids=PROCESSES)


def shared_mb() -> int:
    """Memory for people's code: a quarter of the machine's, but no less than is needed to work at all."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MB
    return max(LEAST_MB, total // 4)
