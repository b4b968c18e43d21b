"""Fuzzers: how many cases a run has, and their seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

CASES = int(os.environ.get("FUZZ_CASES", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "20261126")) or Random().randrange(1, 2**32)
"""The same mutations in every run; `make fuzz` (0) draws new ones."""


def seeds(count: int) -> Iterator[int]:
    """Seeds of `count` cases, one after the other: to repeat a failed one, `FUZZ_SEED=<its seed> FUZZ_CASES=20`."""
    return iter(range(SEED, SEED + max(count, 1)))
