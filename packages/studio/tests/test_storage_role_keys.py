"""Keys of a role from the control plane, which may be away for a moment: then they are waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from emr_studio.loopback import free_port
from emr_studio.storage import s3

KEYS = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"}


class Time:
    """Stands still, but for pauses; `paused` is called in each."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        self.paused()

    def paused(self) -> None:
        return None


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(s3, "time", made)
    return made


@contextmanager
def plane(port: int, *statuses: int) -> Iterator[list[str]]:
    """Answers with these, then with keys; gives the tokens that were sent."""
    left, asked = list(statuses), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_response(left.pop(0) if left else 200)
            self.end_headers()
            self.wfile.write(json.dumps(KEYS).encode())

        def log_message(self, *_arguments: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def access_key(port: int, patience: float = 60) -> str:
    keys = s3.role_keys(f"http://127.0.0.1:{port}/_credentials", "token", patience)
    return str(keys.get_frozen_credentials().access_key)


def test_the_control_plane_is_waited_for_while_the_edge_has_nobody_behind_it(time: Time) -> None:
    port = free_port()
    with plane(port, 503, 502, 504) as asked:
        assert access_key(port) == "ASIA1"
    assert asked == ["token"] * 4
    assert time.pauses == [0.1, 0.2, 0.4]


def test_and_while_nothing_listens(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with ExitStack() as stack:
        monkeypatch.setattr(time, "paused", lambda: stack.enter_context(plane(port)))
        assert access_key(port) == "ASIA1"
    assert len(time.pauses) == 1


def test_not_for_ever(time: Time) -> None:
    with pytest.raises(httpx.ConnectError):
        access_key(free_port())
    assert 60 <= time.seconds < 63


def test_not_at_all_by_who_has_other_things_to_do(time: Time) -> None:
    port = free_port()
    with plane(port, 503), pytest.raises(httpx.HTTPStatusError, match="503"):
        access_key(port, patience=0)
    assert time.pauses == []


def test_a_refusal_is_told_at_once(time: Time) -> None:
    port = free_port()
    with plane(port, 403), pytest.raises(httpx.HTTPStatusError, match="403"):
        access_key(port)
    assert time.pauses == []
