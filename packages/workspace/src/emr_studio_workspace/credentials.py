"""AWS inside a Workspace: its endpoint and the standard container-credentials endpoint, on its own loopback.

A Workspace has no network. What terminals send to the first port here goes through the relay's `e.sock`
to the edge, which asks for a signature as it does of everybody. The second port gives credentials to
those who know the Workspace's own token (it stands in the environment of its terminals): those of the
cluster that the Workspace is attached to. The agent writes the cluster's token for them into a file at
each attach, and empties it at each detach. So a terminal may what a kernel may, and nothing while
nothing is attached.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emr_studio_workspace import doors

_LONGEST_HEAD = 1 << 14
_SECONDS = 30
_REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    b'{"code":"AccessDenied","message":"%s"}'
)


@dataclass
class AwsDoor:
    """The two ports. `relay` is the way to the edge, `token_file` what the agent writes."""

    relay: Path
    token_file: Path
    _endpoint: socket.socket = field(default_factory=doors.listen)
    _credentials: socket.socket = field(default_factory=doors.listen)
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def endpoint(self) -> str:
        """Where the way to the edge begins."""
        return doors.url(self._endpoint)

    def environment(self) -> dict[str, str]:
        """What SDKs and the AWS CLI look for."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{doors.url(self._credentials)}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
            # No instance metadata service is here; looking for it takes seconds.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    async def open(self) -> list[asyncio.Server]:
        """Serve both ports; call it in the server's loop and keep what it returns."""
        return [
            await doors.Door(self.relay, self._endpoint).open(),
            await asyncio.start_server(self._give, sock=self._credentials),
        ]

    async def _give(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        writer.close()

    async def _answer(self, head: bytes) -> bytes:
        """The whole answer to a request's head, as the control plane gave it."""
        if not hmac.compare_digest(_authorization(head), self._token.encode()):
            return _REFUSED % b"The authorization token is not valid."
        token = self.token_file.read_bytes().strip()
        if not token:
            return _REFUSED % b"The Workspace is not attached to a cluster: it has no role."
        reader, writer = await asyncio.open_unix_connection(self.relay, limit=_LONGEST_HEAD)
        asked = (b"GET /_credentials HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close", b"Authorization: " + token)
        writer.write(b"\r\n".join((*asked, b"", b"")))
        answer = await reader.read(-1)
        writer.close()
        return answer


def _authorization(head: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"authorization":
            return value.strip()
    return b""
