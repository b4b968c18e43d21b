"""Reading files in a folder that belongs to somebody else's code.

A cluster's programs may put anything into their folder: links to files that only we can read, pipes
that never end. What is returned from there is a plain file of the cluster's own user, reached through
folders that are none of them links.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 5000
_LARGEST = 64 * 1024 * 1024
# What Spark names event logs, applications and executors. Nothing else becomes a key in S3 or a file of ours.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


@dataclass(frozen=True)
class OwnedFile:
    """A file as it was seen; its handle lives until the next one is asked for."""

    name: str
    """Path below the folder."""
    mark: tuple[int, int, int]
    """Changes whenever the file does: inode, size and time of the last change."""
    folder: int

    def read(self) -> bytes:
        """Its content, the first 64 MB of it; empty if it is not a plain file any more."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(self.name.rpartition("/")[2], flags, dir_fd=self.folder)
        with os.fdopen(handle, "rb") as file:
            return file.read(_LARGEST) if stat.S_ISREG(os.fstat(handle).st_mode) else b""


def owned_files(base: Path, parts: tuple[str, ...], uid: int) -> Iterator[OwnedFile]:
    """Plain files of `uid` in the folder `parts` below `base`, which is ours; none where there is no such folder."""
    try:
        with _folder(base, parts) as handle:
            yield from _walk(handle, uid)
    except OSError:
        return


@contextmanager
def _folder(base: Path, parts: tuple[str, ...]) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(base, flags)
    try:
        for part in parts:
            inner = os.open(part, flags, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _walk(handle: int, uid: int) -> Iterator[OwnedFile]:
    count = 0
    for root, folders, names, folder in os.fwalk(".", dir_fd=handle):
        folders[:] = sorted(name for name in folders if _NAME.fullmatch(name))
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                return
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            # A hard link to a file of ours would have us as its owner.
            if _NAME.fullmatch(name) and stat.S_ISREG(found.st_mode) and found.st_uid == uid:
                path = os.path.normpath(os.path.join(root, name))
                yield OwnedFile(path, (found.st_ino, found.st_size, found.st_mtime_ns), folder)
