"""What the filer of the embedded store says of an object, and the answer to a read that follows from it.

SeaweedFS keeps an object as an entry of its filer, which names the pieces of the content, and the pieces in its
volumes. Its S3 puts the two together for each read. Of a plain object the lane can do that itself, at a third of
the cost. Plain is what is known here by name: an entry, a piece or a bucket with any other property (versions,
encryption, compression, tags, locks, a storage class, an end) is left to the store's S3, and so is a request with
any header that could change the answer.

Source of the fields: `?metadata=true` of SeaweedFS 4's filer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

import msgspec

from emr_studio.lane.head import LINE, RequestHead, write

_PERMISSIONS = 0o777
"""An entry with any other bit in its mode is a folder, a link or a device."""
_OWNER, _ETAG = "Seaweed-X-Amz-Owner", "Seaweed-X-Amz-ETag"
_CHECKSUM, _CHECKSUM_VALUE = "x-seaweedfs-checksum-algorithm", "x-seaweedfs-checksum-value"
_CHECKSUM_TYPE = "x-seaweedfs-checksum-type"
_PARTS = ("X-Seaweedfs-Multipart-Part-Boundaries", "X-Seaweedfs-Multipart-Parts-Count", "X-Seaweedfs-Upload-Id")
_NOTES = frozenset({_OWNER, _ETAG, _CHECKSUM, _CHECKSUM_VALUE, _CHECKSUM_TYPE, *_PARTS})
_SHOWN = frozenset({"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"})
_USERS = "X-Amz-Meta-"
_OF_A_BUCKET = frozenset({_OWNER, "s3-identity-id"})
_MOST_KNOWN, MOST_KNOWN_BYTES = 1024, 8192
"""What follows from the same words of the filer need not be found again."""
_DEFAULT_TYPE = "application/octet-stream"
_RANGE = re.compile(rb"bytes=(\d{1,15})-(\d{0,15})")
# No part that begins with a dot (the store has folders of its own of such names), none that is empty, no escape that
# programs read in several ways; `.versions` ends the names of the folders in which versions lie.
_PATH = re.compile(
    r"(/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
    r"(?:/(?!\.)(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%(?:2[014-9A-C]|3[ABD]|40|7E|[89A-F][0-9A-F]))+(?<!\.versions))+"
)
_HARMLESS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"amz-sdk-invocation-id",
        b"amz-sdk-request",
        b"authorization",
        b"cache-control",
        b"content-length",
        b"content-type",
        b"cookie",
        b"date",
        b"host",
        b"pragma",
        b"range",
        b"user-agent",
        b"x-amz-checksum-mode",
        b"x-amz-content-sha256",
        b"x-amz-date",
        b"x-amz-expected-bucket-owner",
        b"x-amz-security-token",
        b"x-amz-user-agent",
    }
)


class _Chunk(msgspec.Struct, forbid_unknown_fields=True):
    """A piece of an object. One that is compressed, sealed or a list of other pieces says so in another field."""

    file_id: str
    size: int
    offset: int = 0
    modified_ts_ns: int = 0
    e_tag: str = ""
    fid: Any = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    FullPath: str
    Mtime: datetime
    Mode: int
    Crtime: str = ""
    Ctime: str = ""
    Atime: str = ""
    Uid: int = 0
    Gid: int = 0
    Mime: str = ""
    TtlSec: int = 0
    UserName: str = ""
    GroupNames: Any = None
    SymlinkTarget: str = ""
    Md5: str | None = None
    FileSize: int = 0
    Rdev: int = 0
    Inode: int = 0
    Extended: dict[str, str] | None = None
    chunks: list[_Chunk] = []
    HardLinkId: str | None = None
    HardLinkCounter: int = 0
    Content: str | None = None
    Remote: Any = None
    Quota: int = 0
    WORMEnforcedAtTsNs: int = 0


class _Bucket(msgspec.Struct):
    Mode: int
    Extended: dict[str, str] | None = None


_entries, _buckets = msgspec.json.Decoder(_Entry), msgspec.json.Decoder(_Bucket)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one piece: `count` from `start` on, of `size`."""

    file_id: str
    start: int
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer: its first line and the headers that speak of the object, and its body's pieces."""

    head: bytes
    pieces: tuple[Piece, ...]


def bucket_path(request: RequestHead) -> str | None:
    """`/bucket`, if the request could be for a plain object."""
    if request.method not in {"GET", "HEAD"} or request.length:
        return None
    path = _PATH.fullmatch(request.target)
    return path[1] if path and _HARMLESS.issuperset([name for name, _ in request.fields]) else None


@lru_cache(_MOST_KNOWN)
def is_plain_bucket(said: bytes) -> bool:
    """False for a bucket that keeps versions, or of which something unknown is said."""
    try:
        bucket = _buckets.decode(said)
    except msgspec.MsgspecError:
        return False
    return bucket.Mode > _PERMISSIONS and _OF_A_BUCKET.issuperset(bucket.Extended or ())


def read(said: bytes, request: RequestHead) -> Plain | None:
    """The answer to the request; None if that is for the store's S3."""
    fields = dict(request.fields)
    asked = (request.method, fields.get(b"range"), fields.get(b"x-amz-checksum-mode"))
    return _known(said, *asked) if len(said) < MOST_KNOWN_BYTES else _read(said, *asked)


def _read(said: bytes, method: str, ranged: bytes | None, checksum: bytes | None) -> Plain | None:
    try:
        entry = _entries.decode(said)
        span = _span(ranged, entry.FileSize, method)
        if span is None or checksum not in {None, b"ENABLED"} or not _is_plain(entry):
            return None
        # A checksum is of the whole; the store's S3 does not tell it with a part.
        about = list(_about(entry, with_checksum=checksum is not None and ranged is None))
    except (msgspec.MsgspecError, ValueError):
        return None
    start, end = span
    if ranged is not None:
        about.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, entry.FileSize)))
    about.append((b"content-length", b"%d" % (end - start)))
    first = "HTTP/1.1 200 OK" if ranged is None else "HTTP/1.1 206 Partial Content"
    return Plain(write(first, about).removesuffix(LINE), tuple(_pieces(entry, start, end)))


_known = lru_cache(_MOST_KNOWN)(_read)


def _is_plain(entry: _Entry) -> bool:
    extended = entry.Extended or {}
    if (
        entry.Mode & ~_PERMISSIONS
        or entry.TtlSec
        or entry.SymlinkTarget
        or entry.HardLinkId
        or entry.Content
        or entry.Remote is not None
        or entry.WORMEnforcedAtTsNs
        or _ETAG not in extended
    ):
        return False
    if not all(name in _NOTES or name in _SHOWN or name.startswith(_USERS) for name in extended):
        return False
    end = 0
    for chunk in entry.chunks:
        if chunk.offset != end:
            return False
        end += chunk.size
    return end == entry.FileSize


def _span(said: bytes | None, size: int, method: str) -> tuple[int, int] | None:
    """The first byte that is asked for and the one behind the last; None: that is for the store's S3."""
    if said is None:
        return 0, size
    asked = _RANGE.fullmatch(said)
    if asked is None or method != "GET":
        return None
    start, end = int(asked[1]), min(size, int(asked[2]) + 1 if asked[2] else size)
    return (start, end) if start < end else None


def _pieces(entry: _Entry, start: int, end: int) -> Iterator[Piece]:
    for chunk in entry.chunks:
        first, behind = max(start, chunk.offset), min(end, chunk.offset + chunk.size)
        if first < behind:
            yield Piece(chunk.file_id, first - chunk.offset, behind - first, chunk.size)


def _about(entry: _Entry, *, with_checksum: bool) -> Iterator[tuple[bytes, bytes]]:
    """The headers that the store's S3 gives, in its spelling.

    Raises:
        ValueError: something is not as it should be.
    """
    extended = {name: base64.b64decode(value) for name, value in (entry.Extended or {}).items()}
    yield b"accept-ranges", b"bytes"
    yield b"content-type", (entry.Mime or _DEFAULT_TYPE).encode("latin-1")
    yield b"etag", b'"%s"' % extended[_ETAG].strip(b'"')
    yield b"last-modified", format_datetime(entry.Mtime.astimezone(UTC), usegmt=True).encode()
    yield b"vary", b"Origin"
    for name, value in extended.items():
        if name in _SHOWN or name.startswith(_USERS):
            if not value.isascii() or not value.decode().isprintable():
                raise ValueError(name)
            yield name.lower().encode("ascii"), value
    if with_checksum and _CHECKSUM in extended:
        yield extended[_CHECKSUM].lower(), extended[_CHECKSUM_VALUE]
        if _CHECKSUM_TYPE in extended:
            yield b"x-amz-checksum-type", extended[_CHECKSUM_TYPE]
