"""So many at once, the others in the order in which they came; each is told its place, as it changes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """A fair queue before `at_once` places."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[object] = deque()
        self._moved = threading.Condition()

    @contextmanager
    def turn(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Wait for a place and hold it; `tell` is called with how many are before, whenever that changes."""
        self._wait(tell)
        try:
            yield
        finally:
            with self._moved:
                self._free += 1
                self._moved.notify_all()

    def _wait(self, tell: Callable[[int], None]) -> None:
        me, told = object(), -1
        with self._moved:
            self._waiting.append(me)
            while not (self._waiting[0] is me and self._free):
                before = self._waiting.index(me)
                if before != told:
                    tell(before)
                    told = before
                self._moved.wait()
            self._waiting.popleft()
            self._free -= 1
            self._moved.notify_all()
