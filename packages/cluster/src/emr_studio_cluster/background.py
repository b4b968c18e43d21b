"""Threads for which a kernel's main thread waits, where interrupts arrive.

`threading.Thread.join` of Python 3.9 to 3.12 must not be used there: a KeyboardInterrupt in the middle of it marks the
thread as ended although it runs on (what bpo-45274 was mended with). The next cell would then run beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_AGAIN_SECONDS = 0.2


class Background:
    """A thread that does one piece of work; it does not keep its process from ending."""

    def __init__(self, work: Callable[[], object], name: str) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()

    def start(self) -> Background:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, so long at most. True: it has ended."""
        return self._ended.wait(seconds)

    def stop(self, interrupt: Callable[[], object], seconds: float) -> bool:
        """Interrupt it until it has ended, for so long at most: at first there may be nothing to be interrupted yet."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            interrupt()
            if self.wait(_AGAIN_SECONDS):
                return True
        return False
