"""ListObjects, ListObjectsV2 and ListObjectVersions of the embedded store's buckets, in S3's order.

A list is answered by the control plane, page by page: `s3_list_order` walks, `s3_list_store` asks the store.
A continuation token holds the last key that was told, nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote
from xml.sax.saxutils import escape

from emr_studio.aws.errors import ClientError
from emr_studio.storage.s3_list_order import LAST, PAGE, Entry, Lists, level, walk
from emr_studio.storage.s3_list_store import CurrentKeys, Versions, asking
from emr_studio.storage.s3_request import S3Request
from emr_studio.storage.s3_xml import Served, document
from emr_studio.storage.store_connection import StoreConnection

_MOST_KEYS = 1000
_MOST_LOOKS = 100
"""Folders of a list that are looked into."""
_LARGEST = 2**31 - 1
_TOKEN = "1"
"""The kind of token, before its content."""
_CONTROL = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True)
class Listing:
    """A permitted request for a list. `owner` is the canonical id of the bucket's account."""

    request: S3Request
    owner: str


@dataclass(frozen=True)
class _Wanted:
    """What a list's parameters say, whatever its kind."""

    prefix: str
    delimiter: str
    most: int
    url: bool
    """Keys are to be told URL-encoded."""
    after: str
    version: str = ""
    """Go on after this version of `after`."""

    def told(self, text: str) -> str:
        """A key as the answer has it."""
        if self.url:
            return quote(text, safe="/*")
        # As S3 does; XML 1.0 has no such characters, and who has such keys asks for them encoded.
        return _CONTROL.sub(lambda found: f"&#x{ord(found[0]):x};", escape(text))


def is_list(request: S3Request) -> bool:
    """True for the lists that are answered here."""
    return (
        bool(request.bucket)
        and (request.method, request.key) == ("GET", "")
        and request.subresource in {"", "versions"}
    )


class S3Lists:
    """Answers lists."""

    def __init__(self, store: StoreConnection) -> None:
        self._ask = asking(store)

    def answer(self, listing: Listing) -> Served:
        """The page that was asked for.

        Raises:
            ClientError: InvalidArgument, NoSuchBucket.
            Unavailable: the store does not answer.
        """
        bucket, parameters = listing.request.bucket, listing.request.parameters
        if listing.request.subresource == "versions":
            return _versions(listing, _read(parameters, "key-marker"), Versions(self._ask, bucket))
        keys = CurrentKeys(self._ask, bucket)
        if parameters.get("list-type") == "2":
            return _second(listing, _read(parameters, "start-after"), keys)
        return _first(listing, _read(parameters, "marker"), keys)


# --- What is asked


def _read(parameters: Mapping[str, str], marker: str) -> _Wanted:
    after, version = parameters.get(marker, ""), parameters.get("version-id-marker", "")
    if (token := parameters.get("continuation-token")) is not None and marker == "start-after":
        after = _key_of(token)
    if version and not after:
        raise _invalid("A version-id marker cannot be specified without a key marker.")
    encoding = parameters.get("encoding-type", "")
    if encoding.lower() not in {"", "url"}:
        raise _invalid("Invalid Encoding Method specified in Request")
    most = min(_number(parameters.get("max-keys", "")), _MOST_KEYS)
    return _Wanted(parameters.get("prefix", ""), parameters.get("delimiter", ""), most, bool(encoding), after, version)


def _number(text: str) -> int:
    if not text:
        return _MOST_KEYS
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _LARGEST:
        raise _invalid("Provided max-keys not an integer or within integer range")
    return int(text)


def _token(key: str) -> str:
    return _TOKEN + base64.urlsafe_b64encode(key.encode()).decode()


def _key_of(token: str) -> str:
    try:
        if token.startswith(_TOKEN):
            return base64.b64decode(token.removeprefix(_TOKEN), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        pass
    raise _invalid("The continuation token provided is incorrect")


def _invalid(message: str) -> ClientError:
    return ClientError("InvalidArgument", message, 400)


# --- What comes


def _page(lists: Lists, wanted: _Wanted) -> tuple[list[Entry], bool]:
    """As many entries as are wanted, keys and common prefixes; true if there are more."""
    if not wanted.most:
        return [], False
    found = list(islice(_entries(lists, wanted), wanted.most + 1))
    return found[: wanted.most], len(found) > wanted.most


def _entries(lists: Lists, wanted: _Wanted) -> Iterator[Entry]:
    if wanted.version:
        yield from lists.rest(Entry(wanted.after, version=wanted.version))
    for entry in _keys_or_prefixes(lists, wanted):
        yield entry
        if entry.unfinished:
            yield from lists.rest(entry)


def _keys_or_prefixes(lists: Lists, wanted: _Wanted) -> Iterator[Entry]:
    want = min(PAGE, wanted.most + 1)
    if not wanted.delimiter:
        return walk(lists, wanted.prefix, wanted.after, want)
    if wanted.delimiter == "/":
        return _by_folder(lists, wanted, want)
    return _by_delimiter(lists, wanted, want)


def _by_folder(lists: Lists, wanted: _Wanted, want: int) -> Iterator[Entry]:
    """A folder that the marker is in is told if there is more in it; one that is the marker was told."""
    prefix, after = wanted.prefix, wanted.after
    if after and not after.startswith(prefix):
        if after > prefix:
            return
        after = ""
    looked = 0
    for entry in level(lists, prefix, after, want):
        begun = entry.folder and after.startswith(entry.key)
        if entry.folder and not begun and looked < _MOST_LOOKS:
            # The store shows a folder for minutes after its last object was deleted.
            looked += 1
            if not lists.has(entry.key):
                continue
        if not begun or (after != entry.key and any(True for _ in walk(lists, entry.key, after, 2))):
            yield entry


def _by_delimiter(lists: Lists, wanted: _Wanted, want: int) -> Iterator[Entry]:
    """Any other delimiter: the walk jumps over all that has a common prefix."""
    after = wanted.after
    if after and _common(after, wanted) == after:
        after += LAST
    while True:
        for entry in walk(lists, wanted.prefix, after, want):
            if common := _common(entry.key, wanted):
                yield Entry(common, folder=True)
                after = common + LAST
                break
            yield entry
            after = entry.key
        else:
            return


def _common(key: str, wanted: _Wanted) -> str:
    """The common prefix of a key, or ''."""
    if not key.startswith(wanted.prefix):
        return ""
    head, found, _ = key[len(wanted.prefix) :].partition(wanted.delimiter)
    return wanted.prefix + head + found if found else ""


# --- What is told


def _first(listing: Listing, wanted: _Wanted, lists: Lists) -> Served:
    entries, more = _page(lists, wanted)
    # S3 tells where to go on only where the last key does not.
    following = _element("NextMarker", wanted.told(entries[-1].key)) if more and wanted.delimiter else ""
    head = _element("Marker", wanted.told(wanted.after), always=True) + following
    return document("ListBucketResult", _head(listing, wanted, head, more) + _contents(entries, wanted, listing.owner))


def _second(listing: Listing, wanted: _Wanted, lists: Lists) -> Served:
    parameters = listing.request.parameters
    entries, more = _page(lists, wanted)
    head = (
        _element("KeyCount", str(len(entries)))
        + _element("StartAfter", wanted.told(parameters.get("start-after", "")))
        + _element("ContinuationToken", escape(parameters.get("continuation-token", "")))
        + (_element("NextContinuationToken", _token(entries[-1].key)) if more else "")
    )
    owner = listing.owner if parameters.get("fetch-owner", "").lower() == "true" else ""
    return document("ListBucketResult", _head(listing, wanted, head, more) + _contents(entries, wanted, owner))


def _versions(listing: Listing, wanted: _Wanted, lists: Lists) -> Served:
    entries, more = _page(lists, wanted)
    head = _element("KeyMarker", wanted.told(wanted.after), always=True)
    head += _element("VersionIdMarker", escape(wanted.version), always=True)
    if more:
        head += _element("NextKeyMarker", wanted.told(entries[-1].key))
        head += _element("NextVersionIdMarker", escape(entries[-1].version))
    inner = _head(listing, wanted, head, more) + _contents(entries, wanted, listing.owner, kind="Version")
    return document("ListVersionsResult", inner)


def _head(listing: Listing, wanted: _Wanted, more: str, truncated: bool) -> str:
    return (
        _element("Name", listing.request.bucket)
        + _element("Prefix", wanted.told(wanted.prefix), always=True)
        + more
        + _element("MaxKeys", str(wanted.most))
        + _element("Delimiter", wanted.told(wanted.delimiter))
        + _element("EncodingType", "url" if wanted.url else "")
        + _element("IsTruncated", str(truncated).lower())
    )


def _contents(entries: list[Entry], wanted: _Wanted, owner: str, kind: str = "Contents") -> str:
    whose = f"<Owner><ID>{owner}</ID></Owner>" if owner else ""
    told = []
    for entry in entries:
        if entry.folder:
            told.append(f"<CommonPrefixes><Prefix>{wanted.told(entry.key)}</Prefix></CommonPrefixes>")
            continue
        inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in entry.fields)
        own = "DeleteMarker" if entry.deleted else kind
        told.append(f"<{own}><Key>{wanted.told(entry.key)}</Key>{inner}{whose}</{own}>")
    return "".join(told)


def _element(name: str, text: str, *, always: bool = False) -> str:
    return f"<{name}>{text}</{name}>" if text or always else ""
