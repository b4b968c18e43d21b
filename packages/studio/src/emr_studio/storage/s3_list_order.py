"""Lists in S3's order, from a store that sorts folder by folder.

S3 sorts by the bytes of whole keys: `a-b`, `a.txt`, `a/b`, for `-` and `.` come before `/`. The store
sorts the names within a folder, and a folder `a` comes before `a-b` with all that is in it. Clients that
merge two lists (`aws s3 sync`) need S3's order.

So a folder is read by its names, and a folder's name counts with its slash: `a/` waits until a name after
`a/` was read, or the end. What is in a folder is read with its neighbours, a page of keys at a
time, and sorted here: a page that holds all of a folder is all that is needed of it. Nothing is kept
between requests: a walk begins again right after the last key that was told.

Python compares text by code points, which is the order of the bytes of UTF-8.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

PAGE = 1000
"""Most entries that the store is asked for at once."""
_FEW = 32
"""Names asked for first where a walk begins again deep below: mostly the next few are enough."""
LAST = "\U0010ffff"
"""Behind every other character: `prefix + LAST` is behind all keys with that prefix."""

_BEFORE = {ord("/"): ord("."), 0xDFFF: 0xD7FF}
"""No name has a slash, and no text a surrogate."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key (with `versions`, one version of it), or a folder: its key then ends with the slash."""

    key: str
    folder: bool = False
    fields: tuple[tuple[str, str], ...] = ()
    """What the store says of it: names and texts."""
    version: str = ""
    deleted: bool = False
    """This version is a delete marker."""
    unfinished: bool = False
    """There are older versions of this key that were not read."""

    @property
    def name(self) -> str:
        """The key as the store orders it."""
        return self.key[:-1] if self.folder else self.key


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries in the store's order; `more` if it was cut off."""

    entries: list[Entry]
    more: bool


_Identity = tuple[str, str]
"""Key and version."""


class Lists(Protocol):
    """The store's lists of one bucket. `after` is a key, or ''."""

    def names(self, prefix: str, after: str, limit: int) -> Page:
        """Keys and folders directly below the prefix's last slash; those after `after` may come with some before."""
        ...

    def keys(self, prefix: str, after: str, limit: int) -> Page:
        """All keys, folder by folder."""
        ...

    def late(self, key: str) -> list[Entry]:
        """This key, which a page may have left out though others after it were in (it has versions); else nothing."""
        ...

    def has(self, folder: str) -> bool:
        """True if a key begins with `folder`, which ends with a slash."""
        ...

    def rest(self, entry: Entry) -> Iterator[Entry]:
        """The versions that are older than this one, of its key."""
        ...


def walk(lists: Lists, prefix: str, after: str, want: int, *, large: bool = False) -> Iterator[Entry]:
    """All keys with `prefix` that come after `after`, in S3's order.

    `want`: how many will be taken, so that no more are asked for. `large`: there is more than a page.
    """
    if after and not after.startswith(prefix):
        if after > prefix:
            return
        after = ""
    folder = _folder_of(prefix)
    neighbours, first = _Neighbours(lists, folder, want), None
    if not after and not large:
        page = lists.keys(prefix, "", want)
        if not page.more:
            yield from _sorted(page.entries)
            return
        neighbours.keep("", page)
        # Keys of this folder alone: as good as its names.
        first = page if not any("/" in entry.key[len(folder) :] for entry in page.entries) else None
    for entry in level(lists, prefix, after, want, first):
        if not entry.folder:
            yield entry
        elif after.startswith(entry.key):
            yield from walk(lists, entry.key, after, want)
        else:
            yield from neighbours.inside(entry.key)


def level(lists: Lists, prefix: str, after: str, want: int, first: Page | None = None) -> Iterator[Entry]:
    """Keys and folders below the prefix's last slash, a folder at the place of its slash, after `after`.

    A folder that `after` begins with comes too: what is in it may still come. `first`: the first page, read before.
    """
    folder = _folder_of(prefix)
    marker = folder + after[len(folder) :].partition("/")[0] if after else ""
    limit = want if marker == after else min(_FEW, want)
    waiting = {(entry.key, ""): entry for entry in _folders_to_come(lists, prefix, after)} if after else {}
    more = True
    while more:
        begun = marker
        page, first = first or lists.names(prefix, begun, limit), None
        found = [entry for entry in page.entries if entry.name > begun or not begun]
        waiting |= {(entry.key, entry.version): entry for entry in found if entry.key > after}
        if more := page.more:
            if not found and limit == PAGE:
                raise RuntimeError(f"the store's list does not go on after {begun!r}")
            marker = max((entry.name for entry in found), default=begun)
            left_out = _left_out(lists, prefix, begun, marker, waiting)
            waiting |= {identity: entry for identity, entry in left_out.items() if entry.key > after}
        # Stable: versions of a key stay in the order in which they came.
        ordered = _sorted(waiting.values())
        told = sum(entry.key <= marker for entry in ordered) if more else len(ordered)
        yield from ordered[:told]
        waiting = {(entry.key, entry.version): entry for entry in ordered[told:]}
        # Mostly the next few are enough now; a page may bring nothing new, but then a longer one does.
        limit = _FEW if limit >= want > _FEW else min(PAGE, limit * 8)


@dataclass
class _Neighbours:
    """What is in the folders of one folder, read a page of keys at a time."""

    lists: Lists
    folder: str
    want: int
    _read: bool = False
    _first: str = ""
    _last: str = ""
    _cut: set[str] = field(default_factory=set)
    _inside: dict[str, list[Entry]] = field(default_factory=dict)

    def keep(self, first: str, page: Page) -> None:
        """A page of keys that are after the name `first`."""
        self._read, self._first, self._inside = True, first, {}
        for entry in page.entries:
            if "/" in entry.key[len(self.folder) :]:
                self._inside.setdefault(self._name(entry.key), []).append(entry)
        self._cut = set()
        if page.more:
            self._last = max((self._name(entry.key) for entry in page.entries), default="")
            # A list of versions is cut off behind its last key, wherever the store has that.
            self._cut = {self._last, self._name(max((entry.key for entry in page.entries), default=""))}

    def inside(self, key: str) -> Iterator[Entry]:
        """All keys that begin with `key`, a folder of this one."""
        name = key[len(self.folder) : -1]
        if not self._covers(name):
            before = before_name(name)
            self.keep(before, self.lists.keys(self.folder, self.folder + before, self.want))
        if self._covers(name):
            return iter(_sorted(self._inside.pop(name, [])))
        return walk(self.lists, key, "", self.want, large=True)

    def _name(self, key: str) -> str:
        return key[len(self.folder) :].partition("/")[0]

    def _covers(self, name: str) -> bool:
        return self._read and self._first < name and (not self._cut or (name < self._last and name not in self._cut))


def _folders_to_come(lists: Lists, prefix: str, after: str) -> Iterator[Entry]:
    """Folders whose names the store has before `after`, and S3 behind it; and that which `after` is in.

    `a-b` stands before `a/`: folders whose name is a beginning of the marker's.
    """
    start = prefix.rfind("/") + 1
    end = f"{after}/".find("/", start)
    for found in (after[:place] + "/" for place in range(max(len(prefix), start + 1), end + 1)):
        if after.startswith(found) or (found > after and lists.has(found)):
            yield Entry(found, folder=True)


def _left_out(lists: Lists, prefix: str, begun: str, last: str, known: Container[_Identity]) -> dict[_Identity, Entry]:
    """What a page of names after `begun` has not, though it stands before its last.

    A key with versions stands in the store at `<key>.versions`, and a folder may have the name of a key.
    """
    found: dict[_Identity, Entry] = {}
    first = max(len(prefix), prefix.rfind("/") + 2)
    for key in (last[:end] for end in range(first, len(last) + 1)):
        beside = f"{key}/"
        if beside > last and (beside, "") not in known and lists.has(beside):
            found[beside, ""] = Entry(beside, folder=True)
        if f"{key}.versions" > last and key > begun:
            found |= {(entry.key, entry.version): entry for entry in lists.late(key)}
    return found


def _folder_of(prefix: str) -> str:
    """Up to the last slash."""
    return prefix[: prefix.rfind("/") + 1]


def before_name(name: str) -> str:
    """A name that stands before `name` and behind nearly all others that do."""
    code = ord(name[-1]) - 1
    if code == 0:
        return name[:-1]
    return name[:-1] + chr(_BEFORE.get(code, code)) + LAST


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.key)
