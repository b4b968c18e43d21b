"""Compares a folder with what S3 has of it, and keeps the watches in step with its folders."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from emr_studio.storage.names import can_be_kept, is_checkpoint, is_ignored, key_of
from emr_studio.storage.state import MirrorState
from emr_studio.storage.tree import Tree
from emr_studio.storage.watch import Listener, Watcher, WatchLimitReached


@dataclass
class Changes:
    """What S3 lacks (path -> key) and what it has too much (paths)."""

    uploads: dict[str, str] = field(default_factory=dict)
    deletions: list[str] = field(default_factory=list)


@dataclass
class _Seen:
    scanned: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    entries: dict[str, str] = field(default_factory=dict)
    """Path of a file, link or (with a `/` at its end) empty folder -> stamp."""


class Scanner:
    """Looks at the folders of one mirror. Not thread-safe: one comparison at a time."""

    def __init__(self, tree: Tree, state: MirrorState) -> None:
        self._tree = tree
        self._state = state
        self._watcher: Watcher | None = None
        self._listener: Listener | None = None
        self._known: dict[str, tuple[int, int]] = {}
        """Watched folder -> its inode and watch."""
        self._trusted = False
        self._unkept: dict[str, int] = {}
        self.must_poll = False
        """True where not all folders could be watched."""

    @property
    def skipped(self) -> int:
        """How many files cannot be mirrored."""
        return sum(self._unkept.values())

    def watch(self, watcher: Watcher, listener: Listener) -> None:
        """From the next full comparison on, watch all folders for `listener`."""
        self._known.clear()
        self._watcher, self._listener = watcher, listener

    def unwatch(self) -> None:
        """Stop watching."""
        if self._watcher is not None and self._listener is not None:
            self._watcher.remove_all(self._listener)
        self._watcher, self._listener = None, None
        self._known.clear()

    def compare(self, folders: set[str] | None) -> Changes:
        """Compare `folders` (those below them only if they are new), or everything for None.

        Raises:
            OSError: if the root cannot be read. Nothing is taken for deleted then.
        """
        seen = _Seen()
        self._scan_all(seen, {""} if folders is None else folders, everything=folders is None)
        if folders is None:
            self._forget_folders(set(self._known) - seen.scanned)
        changes = Changes()
        for path, stamp in seen.entries.items():
            saved = self._state.saved.get(path)
            if saved is None or saved.stamp != stamp:
                self._add_upload(changes, path)
        if self._may_delete(seen):
            changes.deletions = [path for path in self._state.saved if self._is_gone(path, seen)]
        return changes

    def _add_upload(self, changes: Changes, path: str) -> None:
        key = key_of(path)
        if key is None:
            return
        if is_checkpoint(path) and self._tree.node(key) is not None:
            # The user's own file in a folder `checkpoints` has that key: it comes first.
            return
        changes.uploads[path] = key

    def _may_delete(self, seen: _Seen) -> bool:
        """An empty folder at the very first look is more likely a lost disk than a wish."""
        if not self._trusted and "" in seen.scanned:
            self._trusted = bool(seen.entries) or not self._state.saved
        return self._trusted

    def _scan_all(self, seen: _Seen, folders: set[str], everything: bool) -> None:
        todo = sorted(folders)
        with self._tree.directory(""):
            pass  # the root must be there
        while todo:
            folder = todo.pop()
            if folder in seen.scanned:
                continue
            try:
                inner = list(self._scan(seen, folder))
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                # Gone, or exchanged for something else: the folder above tells.
                self._forget_folders({folder})
                continue
            except OSError as error:
                if folder == "" or error.errno != _TOO_MANY_LINKS:
                    raise
                self._forget_folders({folder})
                continue
            todo += [path for path, inode in inner if everything or not self._is_watched(path, inode)]

    def _is_watched(self, folder: str, inode: int) -> bool:
        """True if changes in `folder` are told anyway. A new folder may have a dead one's inode."""
        known = self._known.get(folder)
        if known is None or known[0] != inode or self._watcher is None:
            return False
        return self._watcher.is_watching(known[1], folder)

    def _scan(self, seen: _Seen, folder: str) -> Iterator[tuple[str, int]]:
        """Look at one folder; yield the folders in it. The watch comes first: nothing is missed between."""
        count = unkept = 0
        with self._tree.directory(folder) as descriptor:
            self._watch(descriptor, folder)
            for name, node in self._tree.nodes(descriptor):
                path = f"{folder}/{name}" if folder else name
                count += 1
                if is_ignored(name):
                    continue
                if node is None or not can_be_kept(path):
                    unkept += 1
                elif node.kind == "dir":
                    seen.folders.add(path)
                    yield path, node.inode
                else:
                    seen.entries[path] = node.stamp
        if count == 0 and folder and not is_checkpoint(folder + "/"):
            seen.entries[folder + "/"] = "marker"
        seen.scanned.add(folder)
        self._unkept.pop(folder, None)
        if unkept:
            self._unkept[folder] = unkept

    def _watch(self, descriptor: int, folder: str) -> None:
        if self._watcher is None or self._listener is None:
            return
        try:
            watch = self._watcher.add(descriptor, self._listener, folder)
        except WatchLimitReached:
            self.must_poll = True
            return
        self._known[folder] = (os.fstat(descriptor).st_ino, watch)

    def _forget_folders(self, folders: set[str]) -> None:
        for folder in folders:
            known = self._known.pop(folder, None)
            if known and self._watcher is not None:
                self._watcher.remove(known[1], folder)
            self._unkept.pop(folder, None)

    def _is_gone(self, path: str, seen: _Seen) -> bool:
        """True if a saved path was looked for, and was not there."""
        marker = path.endswith("/")
        folder = path[:-1] if marker else path.rpartition("/")[0]
        if folder in seen.scanned:
            return path not in seen.entries
        while folder:
            above = folder.rpartition("/")[0]
            if above in seen.scanned:
                return folder not in seen.folders
            folder = above
        return False


_TOO_MANY_LINKS = errno.ELOOP
"""A symbolic link stands where a folder was."""
