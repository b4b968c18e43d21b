"""How often a user may ask. Kept in memory, a replica at a time; a restart forgets."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from threading import Lock

from emr_studio.clock import Clock

_WINDOW = dt.timedelta(minutes=1)


class Turns:
    """So many in each minute for each user."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock, self._per_minute = clock, per_minute
        self._taken: Counter[tuple[str, ...]] = Counter()
        self._since = clock.now()
        self._lock = Lock()

    def take(self, *user: str) -> int:
        """Take a turn, and return 0; or the seconds until there is one again."""
        now = self._clock.now()
        with self._lock:
            if not self._since <= now < self._since + _WINDOW:
                self._taken.clear()
                self._since = now
            if self._taken[user] < self._per_minute:
                self._taken[user] += 1
                return 0
            return max(1, -int(-(self._since + _WINDOW - now).total_seconds() // 1))
