"""The lists of the embedded store, one request each: what `s3_list_order` puts into S3's order.

Facts of SeaweedFS 4.48 that are minded here (its `s3api_object_handlers_list.go`, `s3api_object_versioning.go`):

* a list with a prefix that ends with a slash and without a marker shows a folder as a key although it is none
  (a help for Hadoop); with a marker it does not;
* a key with versions is a folder `<key>.versions`, which prefixes match: that is how one key is looked up;
* a full page may claim that it was the last (it ends with a key that is a folder too): it is not believed;
* keys of lists of versions are never encoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import unquote_plus
from xml.etree import ElementTree

import httpx

from emr_studio.aws.errors import ClientError, Unavailable
from emr_studio.storage import s3_xml
from emr_studio.storage.s3_list_order import PAGE, Entry, Page, before_name
from emr_studio.storage.store_connection import StoreConnection

_FIELDS = frozenset({"LastModified", "ETag", "Size", "StorageClass", "IsLatest", "VersionId"})


class Ask(Protocol):
    """Sends a list request to the store."""

    def __call__(self, bucket: str, query: Mapping[str, str]) -> ElementTree.Element: ...


def asking(store: StoreConnection) -> Ask:
    """Lists over connections that are kept."""

    def ask(bucket: str, query: Mapping[str, str]) -> ElementTree.Element:
        answer = store.get(bucket, query)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
        try:
            answer.raise_for_status()
            return ElementTree.fromstring(answer.content)
        except (httpx.HTTPError, ElementTree.ParseError) as error:
            raise Unavailable("The store does not answer. Try again.") from error

    return ask


class CurrentKeys:
    """The keys of a bucket, as ListObjects shows them."""

    def __init__(self, ask: Ask, bucket: str) -> None:
        self._ask = ask
        self._bucket = bucket

    def names(self, prefix: str, after: str, limit: int) -> Page:
        page = self._page(prefix, after if after != prefix else "", limit, {"delimiter": "/"})
        below = [entry for entry in page.entries if entry.key != prefix or not prefix.endswith("/")]
        return replace(page, entries=[*self._own(prefix, after), *below])

    def keys(self, prefix: str, after: str, limit: int) -> Page:
        own = self._own(prefix, after)
        page = self._page(prefix, after or (prefix if prefix.endswith("/") else ""), limit, {})
        return replace(page, entries=[*own, *page.entries])

    def late(self, key: str) -> list[Entry]:
        # No delimiter: the store would look for it in a key that has not this prefix.
        page = self._page(f"{key}.versions", "", 1, {}, shown=key)
        return [entry for entry in page.entries if entry.key == key]

    def has(self, folder: str) -> bool:
        return any(entry.key.startswith(folder) for entry in self._from(folder))

    def rest(self, entry: Entry) -> Iterator[Entry]:
        return iter(())

    def _own(self, prefix: str, after: str) -> list[Entry]:
        """The key that is the prefix itself, if that is a folder's."""
        if after or not prefix.endswith("/"):
            return []
        return [entry for entry in self._from(prefix) if entry.key == prefix]

    def _from(self, folder: str) -> list[Entry]:
        """The first keys at the folder's name: perhaps a key of its name without the slash, then those in it."""
        above = folder[: folder.rfind("/", 0, -1) + 1]
        return self._page(above, above + before_name(folder[len(above) : -1]), 3, {}).entries

    def _page(self, prefix: str, after: str, limit: int, more: Mapping[str, str], shown: str = "") -> Page:
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(limit), "prefix": prefix, **more}
        answer = self._ask(self._bucket, query | ({"start-after": after} if after else {}))
        return _read(answer, shown or prefix, limit, decode=True)


class Versions:
    """The versions of all keys of a bucket, as ListObjectVersions shows them."""

    def __init__(self, ask: Ask, bucket: str) -> None:
        self._ask = ask
        self._bucket = bucket

    def names(self, prefix: str, after: str, limit: int) -> Page:
        return self._page(prefix, limit, {"delimiter": "/", "key-marker": after})

    def keys(self, prefix: str, after: str, limit: int) -> Page:
        return self._page(prefix, limit, {"key-marker": after})

    def late(self, key: str) -> list[Entry]:
        return self._of(key)

    def has(self, folder: str) -> bool:
        return bool(self._page(folder, 1, {}).entries)

    def rest(self, entry: Entry) -> Iterator[Entry]:
        newest = self._of(entry.key)
        known = [found.version for found in newest]
        if entry.version in known:
            yield from newest[known.index(entry.version) + 1 :]
            entry = newest[-1]
        while entry.unfinished or entry.version not in known:
            older = self._older(entry)
            yield from older
            if not older:
                return
            known, entry = [found.version for found in older], older[-1]

    def _of(self, key: str) -> list[Entry]:
        """The newest versions of this key alone, at most a page."""
        page = self._page(f"{key}.versions", PAGE, {"delimiter": "/"}, shown=key)
        return [entry for entry in page.entries if entry.key == key]

    def _older(self, entry: Entry) -> list[Entry]:
        """The next versions of the entry's key.

        Raises:
            Unavailable: there are more than a page of other names between the key and its versions.
        """
        # With a marker the store does not look up `<key>.versions` alone.
        page = self._page(
            entry.key, PAGE, {"delimiter": "/", "key-marker": entry.key, "version-id-marker": entry.version}
        )
        found = [older for older in page.entries if older.key == entry.key]
        if page.more and not found:
            raise Unavailable("The older versions of this key cannot be listed.")
        if page.more:
            found[-1] = replace(found[-1], unfinished=True)
        return found

    def _page(self, prefix: str, limit: int, more: Mapping[str, str], shown: str = "") -> Page:
        query = {"versions": "", "max-keys": str(limit), "prefix": prefix} | {k: v for k, v in more.items() if v}
        page = _read(self._ask(self._bucket, query), shown or prefix, limit, decode=False)
        if page.more and page.entries and not page.entries[-1].folder:
            # Older versions of the last key may have been cut off.
            page.entries[-1] = replace(page.entries[-1], unfinished=True)
        return page


def _read(answer: ElementTree.Element, prefix: str, limit: int, *, decode: bool) -> Page:
    """The entries of a list that begin with `prefix`; folders (common prefixes) among the keys, by their names."""
    entries, more = [], False
    for child in answer:
        kind = s3_xml.name_of(child)
        if kind == "IsTruncated":
            more = child.text == "true"
        elif kind in {"Contents", "Version", "DeleteMarker", "CommonPrefixes"}:
            entries.append(_entry(child, kind, decode))
    # Folders stand behind the keys in such a document.
    shown = sorted((entry for entry in entries if entry.key.startswith(prefix)), key=lambda entry: entry.key)
    return Page(shown, more or len(entries) >= limit)


def _entry(element: ElementTree.Element, kind: str, decode: bool) -> Entry:
    said = {s3_xml.name_of(child): child.text or "" for child in element}
    key = said.get("Key", said.get("Prefix", ""))
    key = unquote_plus(key) if decode else key
    if kind == "CommonPrefixes":
        return Entry(key, folder=True)
    fields = tuple((name, text) for name, text in said.items() if name in _FIELDS)
    version = said.get("VersionId", "")
    return Entry(key, fields=fields, version=version, deleted=kind == "DeleteMarker")
