"""Takes connections of the store's network to the edge, which is on the machine's: see `kms_way`.

`python -I -S kms_forward.py LISTENER NETWORK PORT`: the first two are inherited handles. It knows the
standard library only, so that it is small.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import sys

_CLONE_NEWNET = 0x40000000
_PIECE = 1 << 16


def main(listener: int, network: int, port: int) -> int:
    """Serve until the store ends, which ends this process too."""
    # A listening socket stays in the network in which it was made; what is made from now on is on the machine's.
    if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET) != 0:
        return 1
    asyncio.run(_serve(socket.socket(fileno=listener), port))
    return 0


async def _serve(listener: socket.socket, port: int) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            far_writer.close()
        writer.close()

    server = await asyncio.start_server(accept, sock=listener)
    await server.serve_forever()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
