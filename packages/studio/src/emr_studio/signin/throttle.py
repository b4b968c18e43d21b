"""Slowing down who guesses passwords.

Kept in memory, a replica at a time: an attacker gains at most the number of replicas, and a restart
forgives. Counted for user and address together, so that nobody locks another out from elsewhere.
"""

from __future__ import annotations

import datetime as dt
from threading import Lock

from emr_studio.bounded import Bounded
from emr_studio.clock import Clock

FREE_FAILURES = 5
LONGEST_SECONDS = 300
_REMEMBERED = 10_000
_FORGET = dt.timedelta(minutes=30)


class Throttle:
    """Counts failures; from the fifth on each doubles the wait, up to five minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: Bounded[tuple[str, ...], tuple[int, dt.datetime]] = Bounded(_REMEMBERED)
        self._lock = Lock()

    def wait_seconds(self, *key: str) -> int:
        """Seconds until the next attempt is looked at; 0 for at once."""
        with self._lock:
            count, last = self._failures.get(key, (0, self._clock.now()))
        if count < FREE_FAILURES:
            return 0
        wait = min(2 ** (count - FREE_FAILURES + 1), LONGEST_SECONDS)
        left = last + dt.timedelta(seconds=wait) - self._clock.now()
        return max(0, -int(-left.total_seconds() // 1))

    def failed(self, *key: str) -> None:
        """Count one more failure."""
        now = self._clock.now()
        with self._lock:
            count, last = self._failures.pop(key, (0, now))
            self._failures[key] = (1 if now - last > _FORGET else count + 1, now)

    def succeeded(self, *key: str) -> None:
        """Forget the failures."""
        with self._lock:
            self._failures.pop(key, None)
