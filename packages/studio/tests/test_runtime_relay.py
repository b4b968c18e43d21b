"""The relay as a process of its own: many connections, a pointer that moves, detach."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from emr_studio.runtime import relay
from emr_studio.runtime.relays import RelayControl, write_private
from emr_studio.settings import Settings

MANY = 500


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    folder = tmp_path / "pointers"
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-I", "-S", str(relay.__file__), "--folder", str(folder)])
    yield process
    process.terminate()
    assert process.wait(60) == 0


@contextlib.asynccontextmanager
async def echo(greeting: bytes) -> AsyncIterator[str]:
    ended: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ended.add(task)
        with contextlib.suppress(ConnectionError):
            writer.write(greeting)
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        # Their clients are gone, so each comes to its end.
        await asyncio.wait_for(asyncio.gather(*ended), 60)


def point(tmp_path: Path, target: str) -> Path:
    listen = tmp_path / "g.sock"
    write_private(tmp_path / "pointers" / "e-1.json", json.dumps({"listen": str(listen), "uid": 0, "target": target}))
    return listen


async def listening(listen: Path) -> None:
    deadline = time.monotonic() + 60
    # The file is there a moment before anybody listens; its mode is set when somebody does.
    while not listen.exists() or stat.S_IMODE(listen.stat().st_mode) != 0o660:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def greeted(listen: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(listen)
    found = await reader.read(1)
    writer.close()
    return found


async def test_many_connections_at_once(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    async with echo(b"") as target:
        listen = point(tmp_path, target)
        await listening(listen)
        streams = [await asyncio.open_unix_connection(listen) for _ in range(MANY)]
        for number, (_, writer) in enumerate(streams):
            writer.write(f"{number:09}\n".encode() * 100)
            writer.write_eof()
        for number, (reader, writer) in enumerate(streams):
            assert await reader.read(-1) == f"{number:09}\n".encode() * 100
            writer.close()


async def test_new_connections_follow_the_pointer_and_old_ones_are_cut(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    async with echo(b"a") as first, echo(b"b") as second:
        listen = point(tmp_path, first)
        await listening(listen)
        reader, writer = await asyncio.open_unix_connection(listen)
        assert await reader.read(1) == b"a"
        point(tmp_path, second)
        os.kill(process.pid, signal.SIGHUP)
        assert await reader.read() == b""
        writer.close()
        assert await greeted(listen) == b"b"
        point(tmp_path, "")
        assert await greeted(listen) == b""
        assert listen.stat().st_mode & 0o777 == 0o660


async def test_a_target_that_is_away_ends_the_connection(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    listen = point(tmp_path, "127.0.0.1:1")
    await listening(listen)
    assert await greeted(listen) == b""


def test_one_workspace_does_not_use_up_what_all_share(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    async def scenario() -> None:
        listen = tmp_path / "n.sock"
        pointer = {"listen": str(listen), "uid": 0, "target": "out", "ask": str(tmp_path / "api"), "workspace": "e-1"}
        write_private(tmp_path / "pointers" / "e-1.out.json", json.dumps(pointer))
        await listening(listen)
        lines = [await asyncio.open_unix_connection(listen) for _ in range(relay._MOST_OUT + 20)]
        # What is too much is closed at once; the rest may still say what it wants.
        ended = [asyncio.ensure_future(reader.read(1)) for reader, _ in lines]
        deadline = time.monotonic() + 60
        while sum(task.done() for task in ended) < 20 and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert sum(task.done() for task in ended) == 20
        for _, writer in lines:
            writer.close()
        await asyncio.gather(*ended)

    asyncio.run(scenario())
    assert process.poll() is None


def test_it_may_be_told_to_look_before_it_can(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.agent_dir.mkdir(parents=True)
    settings.logs_dir.mkdir(parents=True)
    control = RelayControl(settings)
    control.ensure()
    started = control.pid
    try:
        control.point("e-1", tmp_path / "one.sock", 0, "127.0.0.1:1")
        asyncio.run(listening(tmp_path / "one.sock"))
        control.point("e-2", tmp_path / "two.sock", 0, "127.0.0.1:1")
        asyncio.run(listening(tmp_path / "two.sock"))
        assert control.pid == started
    finally:
        control.stop()
