"""A network of its own for the present process: nothing but its loopback, and nobody else on it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CONNECT_SECONDS = 5.0


def own_network() -> bool:
    """Leave the machine's network for a new one; False (and nothing changed) where that is not allowed.

    What this process executes afterwards stays there; unix sockets are reached as before.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    return True


def connect_inside(door: Path, port: int) -> socket.socket:
    """Connect to a port on the loopback of the network in which the process lives that listens at `door`.

    Raises:
        OSError: nobody listens there, or this process may not enter that network.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(door))
        pid = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    made: list[socket.socket | OSError] = []

    def enter() -> None:  # a thread's network is its own, and ends with it
        try:
            made.append(_connect_in(pid, port))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _connect_in(pid: int, port: int) -> socket.socket:
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "the store's network may not be entered")
    finally:
        os.close(network)
    sock = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
