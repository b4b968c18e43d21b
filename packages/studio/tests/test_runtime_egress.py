"""The proxy that leads out of a Workspace: what it never dials, whom it asks, what it says."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable
from pathlib import Path

import pytest

from emr_studio.runtime import egress

YES = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nSecurity group sg-1 does not let this Workspace out."
PAUSE = b"<pause>"
NEVER = (
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "224.0.0.1"),
    *("255.255.255.255", "100.100.100.200", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1"),
    *("::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
)


@pytest.mark.parametrize("text", NEVER)
def test_addresses_that_no_rule_may_allow(text: str) -> None:
    assert egress.is_forbidden(egress.plain(ipaddress.ip_address(text)))


@pytest.mark.parametrize("text", ["140.82.112.3", "10.200.3.4", "192.168.77.5", "2606:50c0:8000::153", "172.31.5.6"])
def test_addresses_that_are_for_the_rules_to_say(text: str) -> None:
    assert not egress.is_forbidden(egress.plain(ipaddress.ip_address(text)))


class Scene:
    """A control plane that answers as told, a name server that knows what it is told, and what was asked."""

    def __init__(self, folder: Path, verdict: bytes = YES, names: tuple[str, ...] = ()) -> None:
        self.ask, self.verdict, self.names = folder / "api.sock", verdict, names
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        if not self.names:
            raise OSError(f"{host}:{port} is not known")
        return list(self.names)

    async def _api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked += [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("X-Forwarded-Uri")]
        for piece in self.verdict.split(PAUSE):
            writer.write(piece)
            await writer.drain()
            for _ in range(50):  # turns of the loop, in which whoever asked reads what is there
                await asyncio.sleep(0)
        writer.close()

    async def say(self, request: bytes, api: bool = True) -> bytes:
        """What the client is told, until the connection closes or stands."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far = await egress.connect(reader, writer, {"ask": str(self.ask), "workspace": "e-1"}, self.resolve)
            if far is not None:
                far[1].close()
            writer.close()
            done.set_result(None)

        plane = await asyncio.start_unix_server(self._api, self.ask) if api else None
        async with await asyncio.start_unix_server(serve, self.ask.with_name("n.sock")):
            reader, writer = await asyncio.open_unix_connection(self.ask.with_name("n.sock"))
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(), 60)
            await done
            writer.close()
        if plane:
            plane.close()
        return answer


def ran(told: Awaitable[bytes]) -> str:
    async def wait() -> bytes:
        return await told

    return asyncio.run(wait()).decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"])
def test_a_name_that_leads_inside_is_refused_and_nobody_is_asked(tmp_path: Path, address: str) -> None:
    scene = Scene(tmp_path, names=("140.82.112.3", address))
    assert "403" in ran(scene.say(b"CONNECT git.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert scene.asked == []


def test_the_rules_are_asked_about_the_very_address(tmp_path: Path) -> None:
    scene = Scene(tmp_path, NO, names=("140.82.112.3",))
    told = ran(scene.say(b"CONNECT git.example.com:443 HTTP/1.1\r\n\r\n"))
    assert told.startswith("HTTP/1.1 403 ")
    assert "sg-1 does not let this Workspace out" in told
    assert scene.asked == ["/e-1/140.82.112.3/443"]


def test_a_reason_that_comes_behind_its_head_is_told(tmp_path: Path) -> None:
    scene = Scene(tmp_path, NO.replace(b"\r\n\r\n", b"\r\n\r\n" + PAUSE), names=("140.82.112.3",))
    assert "sg-1 does not let this Workspace out" in ran(scene.say(b"CONNECT git.example.com:443 HTTP/1.1\r\n\r\n"))


def test_no_word_from_the_control_plane_is_a_no(tmp_path: Path) -> None:
    request = b"CONNECT git.example.com:443 HTTP/1.1\r\n\r\n"
    assert " 503 " in ran(Scene(tmp_path, names=("140.82.112.3",)).say(request, api=False))
    assert " 503 " in ran(Scene(tmp_path, b"rubbish", names=("140.82.112.3",)).say(request))


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", "405"),
        (b"CONNECT example.com HTTP/1.1\r\n\r\n", "405"),
        (b"CONNECT example.com:99999 HTTP/1.1\r\n\r\n", "400"),
        (b"CONNECT exa mple.com:443 HTTP/1.1\r\n\r\n", "405"),
        (b"CONNECT a\x00b:443 HTTP/1.1\r\n\r\n", "405"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", "431"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nX: " + b"y" * 90_000 + b"\r\n\r\n", "400"),
        (b"CONNECT unknown.example.com:443 HTTP/1.1\r\n\r\n", "502"),
    ],
)
def test_other_requests(tmp_path: Path, request_head: bytes, status: str) -> None:
    assert f" {status} " in ran(Scene(tmp_path).say(request_head)).split("\r\n")[0]


def test_this_machines_own_addresses_are_found_without_a_list() -> None:
    assert egress.is_forbidden(ipaddress.ip_address("127.31.0.9"))
    assert not egress.is_forbidden(ipaddress.ip_address("198.51.100.7"))
