"""The way out of a Workspace: `n.sock`, a proxy that takes `CONNECT host:port` and nothing else.

A Workspace has no network. What its Git, pip and whatever else heeds HTTPS_PROXY asks for is looked up here,
outside, and the control plane says at each connection whether the outbound rules of its Studio's Workspace
security group allow that address and port. Never allowed, whatever the rules: this machine's own addresses
(the studio, other clusters, agents), link-local ones (metadata services), and what leads to them in
disguise. It dials the very address that was asked about, so a name that changes in between gains nothing.

Standard library only: it is part of the relay, which is small.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import quote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

_REQUEST_LINE = re.compile(rb"CONNECT (\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5}) HTTP/1\.[01]\r\n")
_HEAD_BYTES = 8192
_HEAD_SECONDS = 15.0
_ANSWER_BYTES = 4096
_ANSWER_SECONDS = 15.0
_RESOLVE_SECONDS = 10.0
_CONNECT_SECONDS = 15.0
_MOST_ADDRESSES = 4
_ALLOWED = 204
_HIGHEST_PORT = 65_535
# Metadata services of clouds that are not link-local.
_METADATA = {ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """No connection is made: HTTP status, and a sentence for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, values: Mapping[str, object], resolve: Resolve
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Read one CONNECT and make its connection; None (the client was told why) if there is none.

    `values`: `ask` (the control plane's socket) and `workspace` of the pointer.
    """
    try:
        host, port = await _asked(reader)
        far = await _reach(host, port, str(values.get("ask", "")), str(values.get("workspace", "")), resolve)
    except Refused as refused:
        with suppress(OSError):
            writer.write(_answer(refused.status, f"{refused}\n"))
            await writer.drain()
        return None
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return far


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, as this machine's resolver has them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _asked(reader: asyncio.StreamReader) -> tuple[str, int]:
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError) as error:
        raise Refused(400, "This proxy could not read the request.") from error
    if len(head) > _HEAD_BYTES:
        raise Refused(431, "The request's head is too long.")
    found = _REQUEST_LINE.match(head)
    if found is None:
        raise Refused(405, "A Workspace reaches the outside by TLS alone (CONNECT host:port).")
    port = int(found[2])
    if not 0 < port <= _HIGHEST_PORT:
        raise Refused(400, f"{port} is no port.")
    return found[1].decode().strip("[]"), port


async def _reach(
    host: str, port: int, ask: str, workspace: str, resolve: Resolve
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await resolve(host, port)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Refused(502, f"The name {host} is not known here.") from error
    # One bad address among them spoils the name: it was made to lead somewhere.
    addresses = [_checked(text) for text in found[:_MOST_ADDRESSES]]
    refusal = Refused(502, f"{host} has no address.")
    for address in addresses:
        await _ask(ask, workspace, address, port)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(str(address), port)
        except (OSError, TimeoutError) as error:
            refusal = Refused(502, f"{host} ({address}) does not answer at port {port}: {error or 'timed out'}")
    raise refusal


def _checked(text: str) -> Address:
    address = plain(ipaddress.ip_address(text.partition("%")[0]))
    if is_forbidden(address):
        raise Refused(403, f"{address} is an address of this machine or its surroundings: no Workspace may go there.")
    return address


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    # `::127.0.0.1`, an old way to write the same.
    old = ipaddress.IPv4Address(int(address)) if 1 < int(address) <= 0xFFFFFFFF else None
    return inner or old or address


def is_forbidden(address: Address) -> bool:
    """Whether no rule may allow it: loopback, link-local, no host at all, metadata, or this machine's own."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_private)
        or address == ipaddress.IPv4Address("255.255.255.255")
        or int(address) >> 24 == 0
        or address in _METADATA
        or _is_ours(address)
    )


def _is_ours(address: Address) -> bool:
    """Only an address of this machine can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """What is said until the connection ends: head and body may come one after the other."""
    said = b""
    while len(said) < _ANSWER_BYTES and (more := await reader.read(_ANSWER_BYTES - len(said))):
        said += more
    return said


async def _ask(path: str, workspace: str, address: Address, port: int) -> None:
    """Ask the control plane; whatever is not a plain yes is a no."""
    uri = f"/{quote(workspace, safe='')}/{address}/{port}"
    lines = ("GET /_edge/egress HTTP/1.1", "Host: control-plane", "Connection: close", "X-Emr-Studio-Question: 1")
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write("\r\n".join((*lines, f"X-Forwarded-Uri: {uri}", "", "")).encode())
                answer = await _read_all(reader)
            finally:
                writer.close()
        status = int(answer.split(b" ", 2)[1])
    except (OSError, TimeoutError, ValueError, IndexError) as error:
        raise Refused(503, "The studio does not say whether this is allowed. Try again in a moment.") from error
    if status != _ALLOWED:
        said = answer.partition(b"\r\n\r\n")[2].decode(errors="replace").strip()
        raise Refused(403 if status == 403 else 503, said or "The studio does not allow this.")


def _answer(status: int, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
