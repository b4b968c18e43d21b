"""How much of the disk a Workspace may fill, and who sees to it.

As root each Workspace has a file system of its own: a sparse file (`disk.img`), mounted at `disk` while the
Workspace runs. Then the kernel refuses what is too much, whoever writes it. (Quotas of the host's own file
system would do too, but most machines have none turned on, and some kernels are built without.) Elsewhere
its folder is measured, the Workspace's server refuses to save, and `workloads.py` ends programs that go on.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

KERNEL, SERVER = "kernel", "server"
OWN = ("files", "home")
"""What of a Workspace's folder counts."""
_IMAGE, _MOUNT = "disk.img", "disk"
_SECONDS = 60.0
# Few inodes' tables are written at once and the journal is small: a new one takes 5 MB, and 10 ms.
_FORMAT = (
    *("mkfs.ext4", "-q", "-F", "-m", "1", "-i", "16384", "-J", "size=16"),
    *("-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"),
)
# What is deleted inside is given back to the host (`discard`).
_OPTIONS = "loop,discard,nosuid,nodev,noatime,errors=remount-ro"
_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_BLOCK = 512
SMALLEST = 64 * 1024**2
"""A file system with less has no room for its own tables."""


class DiskFailed(Exception):
    """A Workspace's disk cannot be had; `str()` is for a person."""


@dataclass(frozen=True)
class Usage:
    """Bytes that a Workspace has and may have. `enforced_by`: KERNEL or SERVER."""

    limit: int
    used: int
    enforced_by: str


def can_mount() -> bool:
    """Whether a Workspace can have a file system of its own here."""
    tools = all(shutil.which(name, path=_PATH["PATH"]) for name in ("mkfs.ext4", "mount", "umount"))
    return os.geteuid() == 0 and tools and Path("/dev/loop-control").exists()


def open_disk(base: Path, limit: int) -> None:
    """Mount a Workspace's disk, made first if it is new; `files` and `home` of `base` then lead into it.

    One whose files already lie in plain folders keeps them, and is measured.

    Raises:
        DiskFailed: its files lie in an image that cannot be mounted.
    """
    image, mount_point = base / _IMAGE, base / _MOUNT
    is_new = not image.exists()
    if is_new and (limit < SMALLEST or (base / "files").is_dir() or not _make(image, limit)):
        return
    if is_mounted(base):
        return
    _grow(image, limit)
    mount_point.mkdir(mode=0o711, exist_ok=True)
    try:
        _mount(image, mount_point)
    except DiskFailed as error:
        if not is_new:
            raise
        # Some machines (containers) have the devices and may not use them.
        log.warning("%s cannot be mounted, the folder is measured instead: %s", image, error)
        image.unlink()
        mount_point.rmdir()
        return
    mount_point.chmod(0o711)
    for name in OWN:
        with suppress(FileExistsError):
            (base / name).symlink_to(f"{_MOUNT}/{name}")


def close_disk(base: Path) -> None:
    """Unmount it; at once, whoever still looks into it."""
    if is_mounted(base):
        _run("umount", "--lazy", str(base / _MOUNT))


def is_mounted(base: Path) -> bool:
    """Whether the Workspace's own file system is there now."""
    return (base / _MOUNT).is_mount()


def usage(base: Path, limit: int) -> Usage:
    """What a Workspace has on its disk now. Cheap where the kernel counts; else every file is looked at."""
    if is_mounted(base):
        found = os.statvfs(base / _MOUNT)
        size = found.f_frsize
        # What is kept for root (the mirror's host) is neither the Workspace's to use nor used by it.
        used = (found.f_blocks - found.f_bfree) * size
        return Usage(used + found.f_bavail * size, used, KERNEL)
    if not limit:
        return Usage(0, 0, SERVER)
    return Usage(limit, sum(_measure(base / name) for name in OWN), SERVER)


def _measure(folder: Path) -> int:
    """Bytes that the files below take on the disk; a file with two names counts once."""
    seen: set[int] = set()
    total = 0
    for path, _folders, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                found = os.lstat(os.path.join(path, name))
                if found.st_nlink == 1 or found.st_ino not in seen:
                    seen.add(found.st_ino)
                    total += found.st_blocks * _BLOCK
    return total


def _make(image: Path, limit: int) -> bool:
    """Make a file system in a file; False where this machine cannot."""
    if not can_mount():
        return False
    new = image.with_suffix(".new")
    try:
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.truncate(new, limit)
        _run(*_FORMAT, str(new))
    except (OSError, DiskFailed) as error:
        log.warning("%s could not be made, the folder is measured instead: %s", image, error)
        new.unlink(missing_ok=True)
        return False
    new.replace(image)
    return True


def _mount(image: Path, target: Path) -> None:
    try:
        _run("mount", "-t", "ext4", "-o", _OPTIONS, str(image), str(target))
    except DiskFailed:
        # A power cut may have left what the journal alone does not mend.
        with suppress(DiskFailed):
            _run("e2fsck", "-p", str(image))
        _run("mount", "-t", "ext4", "-o", _OPTIONS, str(image), str(target))


def _grow(image: Path, limit: int) -> None:
    """Follow a larger quota. (While it is mounted that would take a capability which root may lack.)"""
    if limit > image.stat().st_size:
        os.truncate(image, limit)
        _run("e2fsck", "-f", "-p", str(image))
        _run("resize2fs", str(image))


def _run(*argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False, env=_PATH)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DiskFailed(f"{argv[0]} failed: {error}") from error
    if done.returncode != 0:
        raise DiskFailed(f"{argv[0]} failed: {done.stderr.strip() or f'exit status {done.returncode}'}")
