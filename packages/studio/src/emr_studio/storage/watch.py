"""One thread that hears of every change in all mirrored folders; costs nothing while nothing happens.

Not `watchfiles`: its recursive watch follows symbolic links, and the folders belong to untrusted
code (one link to `/` would have the agent watch the whole machine); it also wakes up 20 times a
second for each folder. So inotify itself (man 7 inotify), each folder added by its descriptor.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import struct
import threading
from typing import Protocol

# <sys/inotify.h>
_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED, _ONLY_DIRECTORIES = 0x4000, 0x8000, 0x01000000
_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLY_DIRECTORIES
_EVENT = struct.Struct("iIII")


class Listener(Protocol):
    """Hears of changes; called from the watcher's thread, must return at once."""

    def changed(self, directory: str, name: str) -> None:
        """Something happened to `name` in `directory`."""
        ...

    def lost(self) -> None:
        """Events were lost: look at everything."""
        ...


class WatchLimitReached(Exception):
    """The machine allows no more watches (fs.inotify.max_user_watches)."""


class Watcher:
    """Watches folders for any number of listeners."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")
        self._lock = threading.Lock()
        self._watches: dict[int, tuple[Listener, str]] = {}
        threading.Thread(target=self._run, name="watcher", daemon=True).start()

    def add(self, descriptor: int, listener: Listener, directory: str) -> int:
        """Watch an open folder, known to `listener` as `directory`; a folder that moved is renamed.

        Raises:
            WatchLimitReached: if there is no room for it.
            OSError: if it is gone.
        """
        path = f"/proc/self/fd/{descriptor}".encode()
        with self._lock:
            watch: int = self._libc.inotify_add_watch(self._descriptor, path, _MASK)
            if watch >= 0:
                self._watches[watch] = (listener, directory)
                return watch
        number = ctypes.get_errno()
        if number == errno.ENOSPC:
            raise WatchLimitReached
        raise OSError(number, os.strerror(number), directory)

    def is_watching(self, watch: int, directory: str) -> bool:
        """True if `watch` still lives and goes by that name."""
        with self._lock:
            return self._watches.get(watch, (None, None))[1] == directory

    def remove(self, watch: int, directory: str) -> None:
        """Stop watching, unless the folder meanwhile goes by another name."""
        with self._lock:
            if self._watches.get(watch, (None, None))[1] == directory:
                del self._watches[watch]
                self._libc.inotify_rm_watch(self._descriptor, watch)

    def remove_all(self, listener: Listener) -> None:
        """Stop watching everything of a listener."""
        with self._lock:
            for watch in [number for number, (owner, _) in self._watches.items() if owner is listener]:
                del self._watches[watch]
                self._libc.inotify_rm_watch(self._descriptor, watch)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while True:
            poll.poll()
            with contextlib.suppress(BlockingIOError, InterruptedError):
                self._dispatch(os.read(self._descriptor, 65536))

    def _dispatch(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, position)
            name = os.fsdecode(data[position + 16 : position + 16 + length].rstrip(b"\0"))
            position += 16 + length
            self._tell(watch, mask, name)

    def _tell(self, watch: int, mask: int, name: str) -> None:
        with self._lock:
            if mask & _OVERFLOW:
                listeners = {id(owner): owner for owner, _ in self._watches.values()}.values()
            elif mask & _IGNORED:
                self._watches.pop(watch, None)
                return
            else:
                owner, directory = self._watches.get(watch, (None, ""))
        if mask & _OVERFLOW:
            for listener in listeners:
                listener.lost()
        elif owner is not None:
            owner.changed(directory, name)


_shared_lock = threading.Lock()
_shared: Watcher | None = None


def shared_watcher() -> Watcher:
    """The one watcher of this process."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Watcher()
        return _shared
