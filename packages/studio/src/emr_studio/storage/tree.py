"""A folder that belongs to untrusted code, used by a process that may do everything.

No path is ever given to the kernel as a whole: each step is opened relative to the one before
(`openat`) and never follows a symbolic link, so that code that swaps a folder for a link while we
work gains nothing. Files of other owners and other file systems are not touched (a hard link to
`/etc/shadow` stays unread).

Paths here are relative, with `/`, the root is the empty string.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TEMPORARY_PREFIX = ".~"


@dataclass(frozen=True)
class Node:
    """What is known of a file, link or folder without reading it. `kind`: `file`, `link` or `dir`."""

    kind: str
    size: int
    mode: int
    inode: int
    mtime_ns: int
    ctime_ns: int

    @property
    def stamp(self) -> str:
        """Changes whenever the content may have changed."""
        return f"{self.kind} {self.size} {self.mode:o} {self.inode} {self.mtime_ns} {self.ctime_ns}"


class Tree:
    """The folder `root`; new files belong to `owner_uid` where this process may give them away."""

    def __init__(self, root: Path, owner_uid: int) -> None:
        self.root = root
        self._gives = os.geteuid() == 0 and owner_uid != 0
        self._uid = owner_uid

    @contextlib.contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """A descriptor of the folder `path`.

        Raises:
            OSError: if it is not there, or is not a folder all the way.
        """
        descriptor = self._open_directory(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_directory(self, path: str) -> int:
        descriptor = os.open(self.root, _DIRECTORY)
        try:
            for name in path.split("/") if path else ():
                inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextlib.contextmanager
    def _place(self, path: str) -> Iterator[tuple[int, str]]:
        parent, _, name = path.rpartition("/")
        with self.directory(parent) as descriptor:
            yield descriptor, name

    @contextlib.contextmanager
    def _new_place(self, path: str) -> Iterator[tuple[int, str]]:
        """The same for something new; its folders are made as needed, which mostly they are already."""
        parent, _, name = path.rpartition("/")
        try:
            descriptor = self._open_directory(parent)
        except FileNotFoundError:
            self.make_directory(parent)
            descriptor = self._open_directory(parent)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)

    def nodes(self, descriptor: int) -> Iterator[tuple[str, Node | None]]:
        """The names in an open folder; None for what is not to be touched (devices, other owners)."""
        device = os.fstat(descriptor).st_dev
        for name in os.listdir(descriptor):
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield name, self._node(found) if found.st_dev == device else None

    def node(self, path: str) -> Node | None:
        """What lies at `path`; None if nothing that may be touched does."""
        try:
            with self._place(path) as (parent, name):
                return self._node(os.stat(name, dir_fd=parent, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _node(self, found: os.stat_result) -> Node | None:
        kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "dir"}
        kind = kinds.get(stat.S_IFMT(found.st_mode))
        foreign = self._gives and found.st_uid != self._uid and kind != "dir"
        if kind is None or foreign:
            return None
        mode = stat.S_IMODE(found.st_mode)
        # A folder's size and times change with what it holds: they say nothing of itself.
        if kind == "dir":
            return Node(kind, 0, mode, found.st_ino, 0, 0)
        return Node(kind, found.st_size, mode, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[tuple[int, Node]]:
        """A file for reading, and its node now.

        Raises:
            OSError: if it is not there, or is no regular file of the owner.
        """
        with self._place(path) as (parent, name):
            descriptor = os.open(name, _READ, dir_fd=parent)
        try:
            yield descriptor, self.described(descriptor)
        finally:
            os.close(descriptor)

    def described(self, descriptor: int) -> Node:
        """The node of an open file.

        Raises:
            PermissionError: if it is no regular file of the owner.
        """
        node = self._node(os.fstat(descriptor))
        if node is None or node.kind != "file":
            raise PermissionError("not a regular file of the folder's owner")
        return node

    def link_target(self, path: str) -> str:
        """Where a symbolic link points."""
        with self._place(path) as (parent, name):
            return os.readlink(name, dir_fd=parent)

    def write(self, path: str, chunks: Iterable[bytes], mode: int, mtime_ns: int | None) -> Node:
        """Put a file in place at once (readers see the old or the new one), making folders as needed."""
        with self._new_place(path) as (parent, name):
            draft = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
            descriptor = os.open(draft, _CREATE, 0o600, dir_fd=parent)
            try:
                self._fill(descriptor, chunks, mode, mtime_ns)
                os.replace(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
                return self.described(descriptor)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=parent)
                raise
            finally:
                os.close(descriptor)

    def _fill(self, descriptor: int, chunks: Iterable[bytes], mode: int, mtime_ns: int | None) -> None:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        if self._gives:
            os.fchown(descriptor, self._uid, -1)
        # Never setuid, setgid or sticky, whatever the metadata in S3 says.
        os.fchmod(descriptor, mode & 0o777)
        if mtime_ns is not None:
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))

    def write_link(self, path: str, target: str) -> Node | None:
        """Put a symbolic link in place; nobody here ever follows it."""
        with self._new_place(path) as (parent, name):
            draft = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
            os.symlink(target, draft, dir_fd=parent)
            if self._gives:
                os.chown(draft, self._uid, -1, dir_fd=parent, follow_symlinks=False)
            os.replace(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
        return self.node(path)

    def make_directory(self, path: str) -> None:
        """Make a folder and those above it; what is there already stays."""
        done = ""
        for name in path.split("/") if path else ():
            with self.directory(done) as parent:
                try:
                    os.mkdir(name, 0o755, dir_fd=parent)
                except FileExistsError:
                    pass
                else:
                    self._give_directory(parent, name)
            done = f"{done}/{name}" if done else name

    def _give_directory(self, parent: int, name: str) -> None:
        if not self._gives:
            return
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            os.fchown(descriptor, self._uid, -1)
        finally:
            os.close(descriptor)

    def rename(self, path: str, new_name: str) -> None:
        """Give what lies at `path` another name in the same folder; never over something."""
        with self._place(path) as (parent, name):
            os.link(name, new_name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
            os.unlink(name, dir_fd=parent)
