"""The way from a Workspace to the kernel gateway of its cluster: `g.sock` to `host:port`; and out (`egress.py`).

`python -m emr_studio.runtime.relay --folder D/agent/relay`. A Workspace has no network. Each pointer file
in the folder names a socket to listen on and the address that new connections go to; it is read
again at each connection, so that attach and detach are the writing of a file. SIGHUP, and time,
make it look for new and removed files. It pipes bytes and understands none of them.

Started by the host agent in a session of its own: it outlives the agent, and is adopted by the next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":
    # Run as a plain file: the package is found by its place.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from emr_studio.runtime import egress

_RESCAN_SECONDS = 5.0
_CONNECT_SECONDS = 10.0
_PIECE = 1 << 16
_BACKLOG = 512
_MOST_CONNECTIONS = 1024
_MOST_OUT = 128
"""At once, from one socket: a Workspace must not use up the descriptors that all share."""


class Listener:
    """One Workspace's socket."""

    def __init__(self, pointer: Path) -> None:
        self.pointer = pointer
        self.path = ""
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], str] = {}

    async def start(self) -> None:
        """Listen where the pointer says."""
        values = _read(self.pointer)
        self.path = str(values.get("listen", ""))
        if not self.path:
            return
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self._server = await asyncio.start_unix_server(self._accept, self.path, backlog=_BACKLOG)
        owner = int(str(values.get("uid", 0)))
        if owner and os.geteuid() == 0:
            os.chown(self.path, 0, owner)
        os.chmod(self.path, 0o660)

    async def stop(self) -> None:
        """Stop listening and cut what runs."""
        if self._server:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        with suppress(OSError):
            os.unlink(self.path)

    def cut_strangers(self) -> None:
        """Cut connections to a target that the pointer no longer names."""
        target = str(_read(self.pointer).get("target", ""))
        for task, dialled in list(self._connections.items()):
            if dialled != target:
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, values = asyncio.current_task(), _read(self.pointer)
        target = str(values.get("target", ""))
        most = _MOST_OUT if "ask" in values else _MOST_CONNECTIONS
        if task is None or not target or len(self._connections) >= most:
            writer.close()
            return
        self._connections[task] = target
        try:
            await (_pipe_out(values, reader, writer) if "ask" in values else _pipe_to(target, reader, writer))
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self._connections.pop(task, None)
            writer.close()


async def _pipe_to(target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, _, port = target.rpartition(":")
    async with asyncio.timeout(_CONNECT_SECONDS):
        far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
    await pipe(reader, writer, far_reader, far_writer)


async def _pipe_out(values: Mapping[str, object], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    far = await egress.connect(reader, writer, values, egress.resolved)
    if far is not None:
        await pipe(reader, writer, *far)


async def pipe(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Copy both ways until both have ended, or one fails."""
    try:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


def _read(path: Path) -> dict[str, object]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


class Relay:
    """All listeners."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listeners: dict[str, Listener] = {}
        self._look = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Serve until SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._look.set)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        # The agent starts it with this one blocked: it may want it to look before it can.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        while not self._stopping:
            await self._rescan()
            with suppress(TimeoutError):
                async with asyncio.timeout(_RESCAN_SECONDS):
                    await self._look.wait()
            self._look.clear()
        for listener in self._listeners.values():
            await listener.stop()

    def _stop(self) -> None:
        self._stopping = True
        self._look.set()

    async def _rescan(self) -> None:
        wanted = {path.name: path for path in self._folder.glob("*.json")}
        for name in set(self._listeners) - set(wanted):
            await self._listeners.pop(name).stop()
        for name, path in wanted.items():
            listener = self._listeners.get(name)
            if listener is None or not os.path.exists(listener.path):
                await self._open(name, path)
            else:
                listener.cut_strangers()

    async def _open(self, name: str, path: Path) -> None:
        listener = Listener(path)
        try:
            await listener.start()
        except OSError as error:
            print(f"relay: {path.name}: {error}", file=sys.stderr, flush=True)
            return
        self._listeners[name] = listener


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="emr-studio-relay", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder of pointer files")
    folder: Path = parser.parse_args(argv).folder
    # Two descriptors a connection, for all Workspaces of the host together.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(Relay(folder).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
