"""The parts of an embedded studio: what runs, how it is started, when it is ready."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing

import httpx

from emr_studio.edge.config import edge_socket
from emr_studio.loopback import certificates
from emr_studio.runtime.client import LocalRuntime
from emr_studio.runtime.contract import RuntimeUnavailable
from emr_studio.runtime.supervisor import Part
from emr_studio.settings import Settings
from emr_studio.storage import store

NAMES = ("store", "api", "agent", "controller", "edge", "lane")


def names(settings: Settings) -> tuple[str, ...]:
    """The parts of this installation: one with an S3 of its own needs no store, and no way to it."""
    absent = ({"store"} if settings.s3_endpoint else set()) | (set() if settings.has_lane else {"lane"})
    return tuple(name for name in NAMES if name not in absent)


def environment(settings: Settings) -> dict[str, str]:
    """What every part is started with: ours plus the data folder; nothing of a caller's AWS profile."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return kept | {"EMR_STUDIO_DATA_DIR": str(settings.data_dir), "PYTHONUNBUFFERED": "1"}


def parts(settings: Settings) -> list[Part]:
    """All parts, in the order in which they are started."""
    checks = {
        "store": lambda: store.ready(settings),
        "api": lambda: _answers(f"http://api{HEALTH}", str(settings.api_socket)),
        "agent": lambda: _agent_ready(settings),
        "controller": lambda: _is_open(str(settings.controller_socket), socket.SOCK_DGRAM),
        "edge": lambda: _edge_ready(settings),
        "lane": lambda: _at_port(settings),
    }
    return [
        Part(
            name, (sys.executable, "-m", "emr_studio.cli", name), checks[name], stop_seconds=_STOP_SECONDS.get(name, 10)
        )
        for name in names(settings)
    ]


HEALTH = "/_health"
# SeaweedFS takes up to 16 s to say goodbye to itself. Every write was on the disk before it was answered.
_STOP_SECONDS = {"store": 3.0}


def _edge_ready(settings: Settings) -> bool:
    if not settings.has_lane:
        return _at_port(settings)
    return _answers(f"http://edge{HEALTH}", str(edge_socket(settings)), host=settings.host_port)


def _at_port(settings: Settings) -> bool:
    return _answers(f"http://127.0.0.1:{settings.port}{HEALTH}", host=settings.host_port)


def _answers(url: str, uds: str | None = None, host: str = "api") -> bool:
    # Asked first: httpx leaves the socket of a connection that was refused to the garbage collector.
    if uds is not None and not _is_open(uds, socket.SOCK_STREAM):
        return False
    try:
        transport = httpx.HTTPTransport(verify=certificates(), uds=uds)
        with httpx.Client(transport=transport, timeout=2.0) as client:
            return client.get(url, headers={"Host": host}).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _agent_ready(settings: Settings) -> bool:
    try:
        LocalRuntime(settings).list()
    except RuntimeUnavailable:
        return False
    return True


def _is_open(path: str, kind: socket.SocketKind) -> bool:
    with closing(socket.socket(socket.AF_UNIX, kind)) as probe:
        return probe.connect_ex(path) == 0
