"""Where this Workspace's kernels live now: the pointer file and the relay's socket.

"Attach is a pointer": the agent rewrites `gateway.json`; it is read again at each use, so a switch
needs no restart. Traffic goes through the relay's unix socket, since the sandbox has no network.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayTokenRenewerBase
from tornado.netutil import DefaultLoopResolver, Resolver

_ATTACHED_AGAIN_SECONDS = 120.0
HOST = "gateway.emr-studio"
"""A name that only our resolver knows."""


@dataclass(frozen=True)
class Target:
    """The attached cluster."""

    cluster_id: str
    token: str


class Pointer:
    """`gateway.json`: `{"address", "token", "cluster_id"}`, or absent while nothing is attached."""

    def __init__(self, path: Path | None = None, relay: Path | None = None) -> None:
        self._path = path
        self.relay = relay
        self._stamp: tuple[int, int, int] | None = None
        self._target: Target | None = None
        self._hoped_until = 0.0

    def place(self, path: Path, relay: Path) -> None:
        """Say where the file and the relay's socket lie."""
        self._path, self.relay, self._stamp, self._target = path, relay, None, None
        self._hoped_until = time.monotonic() + _ATTACHED_AGAIN_SECONDS

    def may_lead_to(self, cluster_id: str) -> bool:
        """Whether this cluster is attached, or may soon be: the server's start is before the attach."""
        target = self.target
        if target is None:
            return time.monotonic() < self._hoped_until
        self._hoped_until = 0.0
        return target.cluster_id == cluster_id

    @property
    def target(self) -> Target | None:
        """The cluster attached now; None if there is none."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            self._stamp = self._target = None
            return None
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if stamp != self._stamp:
            self._target = _read(self._path)
            self._stamp = stamp
        return self._target


def _read(path: Path) -> Target | None:
    try:
        values = json.loads(path.read_text())
        return Target(str(values["cluster_id"]), str(values["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


pointer = Pointer()
"""The one of this process."""


class RelayResolver(Resolver):
    """Resolves `HOST` to the relay's unix socket, all else as usual."""

    def initialize(self) -> None:
        """Tornado's constructor."""
        self._usual = DefaultLoopResolver()

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """Addresses to dial for `host`."""
        if host == HOST and pointer.relay is not None:
            return [(socket.AF_UNIX, str(pointer.relay))]
        return list(await self._usual.resolve(host, port, family))


class PointerToken(GatewayTokenRenewerBase):
    """Gives each request to the gateway the token of the cluster attached at that moment."""

    def get_token(self, auth_header_key: str, auth_scheme: str | None, auth_token: str, **kwargs: Any) -> str:
        """The current token."""
        target = pointer.target
        return target.token if target else ""
