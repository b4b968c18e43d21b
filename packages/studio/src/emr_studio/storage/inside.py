"""Where the parts of the embedded store are, for the lane, which reads plain objects past the store's S3."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from emr_studio.lane.straight import Inside
from emr_studio.settings import Settings
from emr_studio.storage.own_network import connect_inside
from emr_studio.storage.store import filer_address, is_hidden, read_ports, store_address

_SECONDS = 1.0
"""A start of the store may change its addresses."""


class Insides:
    """Looks the addresses up."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found: Inside | None = None
        self._until = 0.0

    def __call__(self) -> Inside | None:
        """None where the store was not started yet, or is somebody else's."""
        now = time.monotonic()
        if now >= self._until:
            self._found, self._until = self._find(), now + _SECONDS
        return self._found

    def _find(self) -> Inside | None:
        if self._settings.s3_endpoint:
            return None
        try:
            s3, filer = store_address(self._settings), filer_address(self._settings)
            volume = read_ports(self._settings)["volume"]
            hidden = is_hidden(self._settings)
        except FileNotFoundError:
            return None
        return Inside(s3, filer, f"in/{volume}:{filer.removeprefix('unix/')}" if hidden else f"127.0.0.1:{volume}")


def enter(address: str) -> socket.socket:
    """Connect to `<port>:<unix socket of the store>` in the store's network.

    Raises:
        OSError: nobody listens there.
    """
    port, _, door = address.partition(":")
    return connect_inside(Path(door), int(port))
