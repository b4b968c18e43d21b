"""Ports of 127.0.0.1 that a server may keep for long, and what a client of one needs."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
from functools import cache
from pathlib import Path

HOST = "127.0.0.1"
_LOWEST = 10_000
_LANES = 16
"""Two processes that choose at the same moment take from different lanes, as a rule: neither is told of the other's."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@cache
def certificates() -> ssl.SSLContext:
    """What httpx trusts, read once in a process.

    Each of its clients reads them anew if not told otherwise, also one that speaks plain HTTP: that takes longer than
    all else of a question on this machine.
    """
    import httpx  # heavy, and not for those who only want a port

    return httpx.create_ssl_context()


def free_port() -> int:
    """A TCP port that nobody listens on now, and that no outgoing connection will be given.

    The kernel takes outgoing connections' ports from a range of its own (32768 and up, as a rule): a port from
    there may be gone between choosing it and listening on it, or at the next start.

    Raises:
        OSError: all of a thousand ports tried are in use.
    """
    below = _first_of_the_kernel()
    for _ in range(1000):
        port = _LOWEST + _LANES * secrets.randbelow((below - _LOWEST) // _LANES) + os.getpid() % _LANES
        if port_is_free(port):
            return port
    raise OSError(f"no free port between {_LOWEST} and {below}")


def port_is_free(port: int) -> bool:
    """True if a server could listen on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _first_of_the_kernel() -> int:
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        first = 32768
    return first if first > _LOWEST + 1000 else 32768
