"""Heads of HTTP/1.1 messages, read strictly.

A request is the lane's only if there is one way to read it (RFC 9112): one line for each header, no white space
where none belongs, a length in digits or no body at all. None of what is odd is refused here; it is the edge's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from starlette.datastructures import Headers

LINE, END = b"\r\n", b"\r\n\r\n"
MOST_BYTES = 64 * 1024
"""Of a head; the edge takes no more either."""

_BEGINS = re.compile(rb"(?:GET|HEAD|PUT|POST|DELETE) /[a-z0-9]")
_SHORTEST = len(b"DELETE /b")
# What RFC 3986 lets stand in a path and a query, and nothing that programs read in several ways.
_LINE = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (/[a-z0-9][A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*) HTTP/1\.1")
_FIELDS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_BLANKS = b" \t"
_PORT = re.compile(r":[0-9]{1,5}$")
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_OF_ANOTHER_KIND = frozenset({b"transfer-encoding", b"upgrade", b"te", b"trailer", b"http2-settings", b"origin"})
_FOR_S3 = b"/s3/aws4_request"
_FOR_S3_IN_QUERY = re.compile(rb"[?&]X-Amz-Credential=[^&]*(?:/|%2[fF])s3(?:/|%2[fF])aws4_request(?:&|$)")
# Only the edge may say these to those behind it.
_CLAIMS = (b"x-emr-studio-", b"x-forwarded-", b"proxy-")
_DROPPED = frozenset({b"connection", b"keep-alive", b"expect", b"forwarded", b"x-real-ip"})


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request that is the lane's. `fields` are the client's own, names in lower case, hop-by-hop ones gone."""

    method: str
    target: str
    """Path and query as sent."""
    host: str
    fields: list[tuple[bytes, bytes]]
    length: int
    """Bytes of its body."""
    expects: bool
    """The client waits for `100 Continue` before it sends the body."""
    keeps: bool
    """The client may send another request on this connection."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What the store answered."""

    status: int
    fields: list[tuple[bytes, bytes]]
    length: int | None
    """Bytes of the body; None if its end is told in another way."""
    chunked: bool
    keeps: bool


def may_be_ours(begun: bytes) -> bool:
    """False as soon as the first bytes tell that a request is not the lane's."""
    return len(begun) < _SHORTEST or _BEGINS.match(begun) is not None


def read_request(head: bytes, hosts: frozenset[str]) -> RequestHead | None:
    """The request of a whole head (without its last empty line), if it is the lane's.

    `hosts`: the names, without a port, at which buckets stand in the path.
    """
    first, _, rest = head.partition(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        return None
    pairs = _pairs(rest)
    fields = dict(pairs or ())
    if pairs is None or len(fields) < len(pairs) or not _is_s3(fields, line[2]):
        return None
    host = fields.get(b"host", b"").decode("latin-1")
    length, connection = fields.get(b"content-length", b"0"), fields.get(b"connection", b"keep-alive").lower()
    expects = fields.get(b"expect", b"").lower()
    if (
        _PORT.sub("", host).lower() not in hosts
        or not _OF_ANOTHER_KIND.isdisjoint(fields)
        or _LENGTH.fullmatch(length) is None
        or connection not in {b"keep-alive", b"close"}
        or expects not in {b"", b"100-continue"}
    ):
        return None
    return RequestHead(
        method=line[1].decode(),
        target=line[2].decode(),
        host=host,
        fields=[one for one in pairs if not (one[0] in _DROPPED or one[0].startswith(_CLAIMS))],
        length=int(length),
        expects=bool(expects),
        keeps=connection == b"keep-alive",
    )


def read_response(head: bytes, method: str) -> ResponseHead:
    """The store's answer to a request of `method`.

    Raises:
        ValueError: it is none.
    """
    first, _, rest = head.partition(b"\r\n")
    line, pairs = _STATUS.fullmatch(first), _pairs(rest)
    if line is None or pairs is None:
        raise ValueError(f"not the head of an answer: {head[:200]!r}")
    fields, status = dict(pairs), int(line[1])
    chunked = fields.get(b"transfer-encoding", b"").lower() == b"chunked"
    length: int | None = None
    if method == "HEAD" or status in {204, 304}:
        length, chunked = 0, False
    elif not chunked and b"content-length" in fields:
        length = int(fields[b"content-length"])
    keeps = fields.get(b"connection", b"").lower() != b"close" and (chunked or length is not None)
    return ResponseHead(status, pairs, length, chunked, keeps)


def write(first: str, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head, ready to be sent."""
    lines = [first.encode("latin-1"), *[name + b": " + value for name, value in fields], b"", b""]
    return b"\r\n".join(lines)


def date(now: float) -> bytes:
    """A `Date` header's value; the same for all of a second."""
    return _date(int(now))


@lru_cache(2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def as_headers(fields: list[tuple[bytes, bytes]]) -> Headers:
    """The fields as the resolvers of the edge's questions take them."""
    return Headers(raw=fields)


def _pairs(lines: bytes) -> list[tuple[bytes, bytes]] | None:
    """Names in lower case and values; None if a line is odd."""
    if not lines:
        return []
    if _FIELDS.fullmatch(lines + b"\r\n") is None:
        return None
    split = [line.partition(b":") for line in lines.split(b"\r\n")]
    return [(name.lower(), value.strip(_BLANKS)) for name, _, value in split]


def _is_s3(fields: dict[bytes, bytes], target: bytes) -> bool:
    """Signed for S3, as the edge tells it too, and for nothing else."""
    said = fields.get(b"authorization")
    if said is None:
        return _FOR_S3_IN_QUERY.search(target) is not None
    return _FOR_S3 in said and b"X-Amz-Credential" not in target
