"""Ports that a server may keep."""

from __future__ import annotations

import socket
from pathlib import Path

from emr_studio.loopback import free_port, port_is_free


def test_a_free_port_is_free_and_not_one_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        port = free_port()
        assert 10_000 <= port < first
        assert port_is_free(port)


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not port_is_free(listener.getsockname()[1])
