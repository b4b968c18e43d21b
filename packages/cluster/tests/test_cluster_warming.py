"""When the Connect server is warmed: a spare at once, another cluster when nobody comes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from emr_studio_cluster import warming
from emr_studio_cluster.config import CONNECT_PORT, GATEWAY_PORT, NodeConfig
from emr_studio_cluster.warming import PATIENCE_SECONDS, Moment

ADDRESS = "127.9.8.7"


def config() -> NodeConfig:
    return NodeConfig("j-A", ADDRESS, ADDRESS, local_mode=True, secret="", connect_token="")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers does so on a loaded machine too; what does not refuses at once."""
    monkeypatch.setattr(warming, "_CONNECT_SECONDS", 60.0)
    monkeypatch.setattr(warming, "_ASK_SECONDS", 60.0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


class Credentials(BaseHTTPRequestHandler):
    """The container-credentials endpoint, for one token."""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == "good" else 403)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Credentials) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/_credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        yield url
        server.shutdown()


def moments(stack: ExitStack, waits: float) -> list[bool]:
    """Whether it is time: with nothing there, with the Connect server, with the gateway too, and then later."""
    now = 1000.0
    moment = Moment(config(), lambda: now)
    seen = [moment.has_come()]
    for port in (CONNECT_PORT, GATEWAY_PORT):
        stack.enter_context(socket.create_server((ADDRESS, port)))
        seen.append(moment.has_come())
    now += waits
    return [*seen, moment.has_come()]


def test_a_spare_is_warmed_as_soon_as_it_answers(
    stack: ExitStack, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of a spare")
    assert moments(stack, 0) == [False, False, True, True]


@pytest.mark.parametrize(("waits", "then"), [(PATIENCE_SECONDS - 1, False), (PATIENCE_SECONDS, True)])
def test_whoever_asked_for_a_cluster_comes_first(
    stack: ExitStack, endpoint: str, monkeypatch: pytest.MonkeyPatch, waits: float, then: bool
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "good")
    assert moments(stack, waits) == [False, False, False, then]


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1/"])
def test_nobody_answers_for_roles(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    assert moments(stack, PATIENCE_SECONDS) == [False, False, False, True]
