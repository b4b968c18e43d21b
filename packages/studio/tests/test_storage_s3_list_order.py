"""The walk in S3's order, against a plain sorted list of keys, on a store that sorts as SeaweedFS does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import pytest

from emr_studio.storage.s3_list_order import PAGE, Entry, Page, level, walk


@dataclass
class FolderByFolder:
    """A bucket as the store lists it: a key with versions stands at `<key>.versions`, a folder at its name."""

    keys_: dict[str, bool]
    """Every key; true if it has versions."""
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._all = self._sorted()

    def _rows(self, prefix: str) -> list[tuple[tuple[str, ...], str]]:
        return [row for row in self._all if row[1].startswith(prefix)]

    def _sorted(self) -> list[tuple[tuple[str, ...], str]]:
        rows = []
        for key, versions in self.keys_.items():
            *parts, name = key.split("/")
            if not name:  # a folder's own key stands right before what is in it
                parts, name = parts[:-1], parts[-1]
                raw = (*parts, name, "")
            else:
                raw = (*parts, f"{name}.versions" if versions else name)
            rows.append((raw, key))
        return sorted(rows)

    def keys(self, prefix: str, after: str, limit: int) -> Page:
        self.asked.append(f"keys {prefix!r} {after!r} {limit}")
        rows = [(raw, key) for raw, key in self._rows(prefix) if raw > tuple(after.split("/")) or not after]
        return Page([Entry(key) for _, key in rows[:limit]], len(rows) > limit)

    def names(self, prefix: str, after: str, limit: int) -> Page:
        self.asked.append(f"names {prefix!r} {after!r} {limit}")
        folder = prefix[: prefix.rfind("/") + 1]
        found: dict[tuple[str, bool], Entry] = {}
        for raw, key in self._rows(prefix):
            name, slash, _ = key[len(folder) :].partition("/")
            place = (name if slash else raw[-1] or name, bool(slash))
            if folder + place[0] > after or not after:
                found[place] = Entry(folder + name + slash, folder=bool(slash))
        if after <= prefix and prefix == folder and folder in self.keys_:
            found["", False] = Entry(folder)
        rows = sorted(found.items(), key=lambda row: row[0])
        return Page([entry for _, entry in rows[:limit]], len(rows) > limit)

    def late(self, key: str) -> list[Entry]:
        self.asked.append(f"late {key!r}")
        return [Entry(key)] if self.keys_.get(key) else []

    def has(self, folder: str) -> bool:
        self.asked.append(f"has {folder!r}")
        return any(key.startswith(folder) for key in self.keys_)

    def rest(self, entry: Entry) -> Iterator[Entry]:
        return iter(())


_PARTS = [
    "a",
    "a-",
    "a-b",
    "a.",
    "a.b",
    "a.versions",
    "a0",
    "a b",
    "ab",
    "a!",
    "ü",
    "ü-",
    "\U0001f600",
    "a\uffff",
    "b",
    "-",
    ".x",
]


def _keys(draw: random.Random, count: int) -> dict[str, bool]:
    made: dict[str, bool] = {}
    for _ in range(count):
        key = "/".join(draw.choice(_PARTS) for _ in range(draw.randint(1, 4)))
        versions = draw.random() < 0.3
        # In the store `x.versions` could be a folder of versions: it is never a key's own name there.
        if not key.endswith(".versions"):
            made[key + ("/" if draw.random() < 0.1 else "")] = versions and not key.endswith("/")
    return made


def _wanted(keys: dict[str, bool], prefix: str, after: str) -> list[str]:
    return sorted(key for key in keys if key.startswith(prefix) and key > after)


@pytest.mark.parametrize("seed", range(40))
def test_any_walk_is_a_sorted_list(seed: int) -> None:
    draw = random.Random(seed)
    keys = _keys(draw, draw.choice([3, 30, 120]))
    store = FolderByFolder(keys)
    for _ in range(12):
        key = draw.choice([*keys])
        prefix = draw.choice(["", key, key[: draw.randint(0, len(key))], "a/", "a"])
        after = draw.choice(["", key, key[: draw.randint(0, len(key))], draw.choice([*keys]), prefix])
        want = draw.choice([2, 3, 10, PAGE])
        found = [entry.key for entry in walk(store, prefix, after, want)]
        assert found == _wanted(keys, prefix, after), (prefix, after, want)


@pytest.mark.parametrize("seed", range(20))
def test_pages_of_any_size_put_together_are_the_whole(seed: int) -> None:
    draw = random.Random(1000 + seed)
    keys = _keys(draw, 80)
    store = FolderByFolder(keys)
    for size in (1, 2, 7):
        found: list[str] = []
        while page := [entry.key for entry in islice(walk(store, "", found[-1] if found else "", size + 1), size)]:
            found += page
        assert found == sorted(keys)


@pytest.mark.parametrize("seed", range(40))
def test_a_level_has_keys_and_folders_in_one_order(seed: int) -> None:
    draw = random.Random(2000 + seed)
    keys = _keys(draw, 60)
    store = FolderByFolder(keys)
    for prefix in ("", "a/", "a", "a-b/a", "ü/"):
        rest = [(key, key[len(prefix) :].partition("/")) for key in sorted(keys) if key.startswith(prefix)]
        wanted = list(dict.fromkeys(prefix + name + slash for _, (name, slash, _) in rest))
        for want in (2, 5, PAGE):
            assert [entry.key for entry in level(store, prefix, "", want)] == wanted, (prefix, want)


def _many(count: int) -> Iterator[str]:
    return (f"data/{number:05}/part-{part}.parquet" for number in range(count) for part in range(2))


def test_many_small_folders_are_read_together() -> None:
    keys = dict.fromkeys(_many(3000), False)
    store, after, found = FolderByFolder(keys), "", 0
    while page := [entry.key for entry in islice(walk(store, "data/", after, PAGE), PAGE)]:
        found, after = found + len(page), page[-1]
    assert found == 6000
    # Not one for each of 3,000 folders, nor all again for each page.
    assert len(store.asked) < 150, store.asked
