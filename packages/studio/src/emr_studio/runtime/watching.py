"""Learns at once that a process ended, child of ours or not (pidfd)."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable

from emr_studio.runtime.processes import is_alive


class ExitWatcher:
    """One thread for all processes. Callbacks run in it: they must be quick."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._awake, self._wake = os.pipe()
        self._selector.register(self._awake, selectors.EVENT_READ, None)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="exits", daemon=True)
        self._thread.start()

    def watch(self, pid: int, started: int, ended: Callable[[], None]) -> None:
        """Call `ended` once when that very process is gone (at once if it already is)."""
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            ended()
            return
        # The handle is of whoever has the pid now: make sure that this is the one meant.
        if not is_alive(pid, started):
            os.close(handle)
            ended()
            return
        with self._lock:
            self._selector.register(handle, selectors.EVENT_READ, ended)
        os.write(self._wake, b"x")

    def close(self) -> None:
        """Stop watching."""
        self._closed = True
        os.write(self._wake, b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        os.close(self._wake)

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._awake, 4096)
                    continue
                with self._lock:
                    self._selector.unregister(key.fd)
                os.close(key.fd)
                key.data()
