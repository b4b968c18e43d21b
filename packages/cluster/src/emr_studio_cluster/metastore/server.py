"""The metastore's process: `python -m emr_studio_cluster.metastore.server HANDLE`, started by `start`.

Who connects must run as the same user: on a machine where clusters have users of their own, no other
cluster's code can use the role of this one. (Hive's protocol itself asks nobody who he is.)
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PARENT = "EMR_STUDIO_METASTORE_OF"
_IDLE_SECONDS = 24 * 3600
# Java's sockets are of IPv6, with IPv4's addresses in them.
_TABLES = {"/proc/net/tcp": "", "/proc/net/tcp6": "0000000000000000FFFF0000"}


def start(address: str, port: int) -> int:
    """Begin to serve at `address`; the port (another one than 0 if that was asked for).

    The process ends with this one, whatever program this one becomes.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        handle = listener.fileno()
        command = [sys.executable, "-m", __name__, str(handle)]
        environment = {**os.environ, _PARENT: str(os.getpid())}
        subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(handle,), env=environment)
        found: int = listener.getsockname()[1]
        return found


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.environ.get(_PARENT) != str(os.getppid()):
        sys.exit(1)


def owner_of_peer(connection: socket.socket) -> int | None:
    """The user that the other end of a connection within this machine runs as; None if that cannot be seen."""
    peer, own = _hexadecimal(connection.getpeername()), _hexadecimal(connection.getsockname())
    for table, before in _TABLES.items():
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if (fields[1], fields[2]) == (before + peer, before + own):
                return int(fields[7])
    return None


def _hexadecimal(address: tuple[str, int]) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"


class _Listener:
    """A server transport of thriftpy2 on a socket that is there already."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def listen(self) -> None:
        """It does."""

    def accept(self) -> Any:
        """The next connection of our own user."""
        from thriftpy2.transport import TSocket

        while True:
            connection, _ = self._listener.accept()
            if owner_of_peer(connection) == os.getuid():
                connection.settimeout(_IDLE_SECONDS)
                return TSocket(sock=connection)
            connection.close()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


def main(arguments: Sequence[str]) -> None:
    """Serve on the socket with that handle, in a process of its own that is made anew whenever it dies."""
    _end_with_parent()
    listener = socket.socket(fileno=int(arguments[0]))
    listener.settimeout(None)
    while True:
        os.environ[_PARENT] = str(os.getpid())
        if (server := os.fork()) == 0:
            _end_with_parent()
            _serve(listener)
            return
        os.waitpid(server, 0)


def _serve(listener: socket.socket) -> None:
    # The libraries take some 40 MB: only who uses tables pays.
    _wait_for_first(listener)
    from thriftpy2.protocol import TBinaryProtocolFactory
    from thriftpy2.server import TThreadedServer
    from thriftpy2.thrift import TProcessor
    from thriftpy2.transport import TBufferedTransportFactory

    from emr_studio_cluster.metastore.interface import HIVE
    from emr_studio_cluster.metastore.practice import Served

    served = Served(Path.cwd())
    served.get_ready()
    processor = TProcessor(HIVE.ThriftHiveMetastore, served)
    server = TThreadedServer(
        processor,
        _Listener(listener),
        iprot_factory=TBinaryProtocolFactory(),
        itrans_factory=TBufferedTransportFactory(),
        daemon=True,
    )
    server.serve()


def _wait_for_first(listener: socket.socket) -> None:
    import select

    select.select([listener], [], [])


if __name__ == "__main__":
    main(sys.argv[1:])
