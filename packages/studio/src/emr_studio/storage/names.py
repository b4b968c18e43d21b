"""Which files of a Workspace are kept in S3, and under which keys (emr-studio.md 6.6)."""

from __future__ import annotations

import re

CHECKPOINTS = "checkpoints/"
_FOLDER = ".ipynb_checkpoints"
# `a/.ipynb_checkpoints/x-checkpoint.ipynb`, as jupyter_server's FileCheckpoints names them.
_LOCAL = re.compile(r"(?P<folder>(?:.*/)?)\.ipynb_checkpoints/(?P<stem>[^/]+)-checkpoint(?P<suffix>\.[^./]+|)")
_REMOTE = re.compile(r"checkpoints/(?P<folder>(?:.*/)?)(?P<stem>[^/]+?)(?P<suffix>\.[^./]+|)")
# An S3 key has at most 1024 bytes; the prefix (Studio's location and Workspace's id) needs room too.
_LONGEST_PATH = 900


def is_ignored(name: str) -> bool:
    """True for names of files in the making: jupyter_server writes `.~x.ipynb`, then renames it."""
    return name.startswith(".~")


def can_be_kept(path: str) -> bool:
    """False for names that S3, or a store behind it, cannot hold: no UTF-8, a backslash, too long."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return False
    return "\\" not in path and len(encoded) <= _LONGEST_PATH


def is_checkpoint(path: str) -> bool:
    """True for what lies in a folder of checkpoints."""
    return path.startswith(_FOLDER + "/") or f"/{_FOLDER}/" in path


def key_of(path: str) -> str | None:
    """The key (below the Workspace's prefix) of a local path; None if it is not kept.

    >>> key_of("a/.ipynb_checkpoints/x-checkpoint.ipynb")
    'checkpoints/a/x.ipynb'
    """
    if not is_checkpoint(path):
        return path
    parts = _LOCAL.fullmatch(path)
    if parts is None or is_checkpoint(parts["folder"]):
        return None
    return f"{CHECKPOINTS}{parts['folder']}{parts['stem']}{parts['suffix']}"


def checkpoint_path(key: str) -> str | None:
    """The local path of a checkpoint's key: the inverse of `key_of`."""
    parts = _REMOTE.fullmatch(key)
    if parts is None:
        return None
    return f"{parts['folder']}{_FOLDER}/{parts['stem']}-checkpoint{parts['suffix']}"


def is_safe_key(key: str) -> bool:
    """True if a key is a path below the folder: no empty, `.` or `..` part, nothing that is ignored."""
    parts = key.removesuffix("/").split("/")
    unsafe = any(part in {"", ".", ".."} or is_ignored(part) or len(part.encode()) > 255 for part in parts)
    return not unsafe and "\0" not in key


def conflict_name(name: str, time: str) -> str:
    """`a.ipynb` -> `a (conflict <time>).ipynb`, at most 255 bytes long."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    tail = f" (conflict {time}){dot}{suffix}"
    room = 255 - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore") + tail
