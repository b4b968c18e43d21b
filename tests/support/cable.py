"""A line to a port, as between a browser and the studio's one, which a test can cut without a word and mend."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: a close says at once that the connection is broken."""


class Cable:
    """Passes connections on to `port`. While it is cut they stay open and nothing passes, in no direction."""

    def __init__(self, port: int) -> None:
        self.target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listening.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing arrives; nobody is told."""
        self._whole.clear()

    def mend(self) -> None:
        """New connections pass; those from before are found broken, as after a long sleep."""
        for end in list(self._open):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
        self._whole.set()

    def close(self) -> None:
        """End it."""
        self._listening.close()
        self.mend()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._open.add(near)
        far = None
        try:
            self._whole.wait()
            far = socket.create_connection(self.target)
            self._open.add(far)
            self._pass(near, far)
        except OSError:
            pass
        finally:
            for end in (near, far):
                if end is not None:
                    self._open.discard(end)
                    end.close()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in ready.select():
                    self._whole.wait()
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)


@contextmanager
def cable(port: int) -> Iterator[Cable]:
    """One for a while."""
    found = Cable(port)
    try:
        yield found
    finally:
        found.close()
