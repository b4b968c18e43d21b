"""A network that no other process has, and the way into it for who may go in."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from emr_studio.storage.inside import enter
from emr_studio.storage.own_network import connect_inside, own_network


def _serve_apart(door: Path, says: int) -> None:
    """In a network of its own: listen at `door` and at a port, tell which, and greet who comes there."""
    if not own_network():
        os.write(says, b"0\n")
        return
    with socket.socket(socket.AF_UNIX) as at_door, socket.create_server(("127.0.0.1", 0)) as listener:
        at_door.bind(str(door))
        at_door.listen()
        os.write(says, b"%d\n" % listener.getsockname()[1])
        for _ in range(2):
            connection, _ = listener.accept()
            connection.sendall(b"inside")
            connection.close()


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d") / "s"


def test_only_who_goes_in_reaches_a_port_there(short: Path) -> None:
    hears, says = os.pipe()
    child = os.fork()
    if not child:
        try:
            _serve_apart(short, says)
        finally:
            os._exit(0)
    os.close(says)
    with os.fdopen(hears) as told:
        port = int(told.readline())
    try:
        if not port:
            pytest.skip("this machine does not allow a network of one's own")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        mine = os.readlink("/proc/self/ns/net")
        for connection in (connect_inside(short, port), enter(f"{port}:{short}")):
            with connection:
                assert connection.recv(100) == b"inside"
        assert os.readlink("/proc/thread-self/ns/net") == mine
        os.waitpid(child, 0)
        child = 0
        with pytest.raises(ConnectionRefusedError):
            connect_inside(short, port)
    finally:
        if child:
            os.kill(child, 9)
            os.waitpid(child, 0)


def test_nobody_at_the_door(short: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect_inside(short, 1)
