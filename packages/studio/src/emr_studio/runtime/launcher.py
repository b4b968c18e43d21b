"""Becomes a program: the step between the agent and what it executes. Standard library only.

Run as `python -I -S launcher.py` in a session of its own. One line of JSON comes in on standard
input; the launcher drops to the program's user, writes its files, and waits for `go`, which the agent sends
once it has written down this process. If the agent dies before, the input ends and nothing starts.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 32, 4096
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_MNT_DETACH = 2


def main() -> int:
    """Read the request, prepare, wait, execute."""
    source = os.fdopen(0, "rb", closefd=False)
    request = json.loads(source.readline())
    for group in request["groups"]:
        with suppress(OSError):
            Path(group, "cgroup.procs").write_text(str(os.getpid()))
    uid = request["uid"]
    libc = _own_mounts() if uid else None
    if libc:
        _expose(libc, request, uid)
        _name_user(libc, uid, request["folder"])
    _drop(uid)
    _limit(request)
    folder = Path(request["folder"])
    _write_files(folder, request["files"])
    os.chdir(folder)
    if source.readline() != b"go\n":
        return 1
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    argv = request["argv"]
    try:
        os.execvpe(argv[0], argv, request["environment"])
    except OSError as error:
        print(f"{argv[0]} could not be executed: {error.strerror}", flush=True)
        return 127


def _drop(uid: int) -> None:
    os.umask(0o077)
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _limit(request: dict[str, Any]) -> None:
    """Resource limits stand in where no control group could be made."""
    _lower(resource.RLIMIT_CORE, 0)
    if not request["groups"] and request["pids"] and request["uid"]:
        _lower(resource.RLIMIT_NPROC, request["pids"])


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _write_files(folder: Path, files: dict[str, str]) -> None:
    """As the program's own user: a link that it left behind leads nowhere it could not go itself."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        with suppress(FileNotFoundError):
            temporary.unlink()
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        temporary.replace(path)


def _own_mounts() -> ctypes.CDLL | None:
    """Enter a mount namespace of its own; None where the machine refuses one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return None
    _mount(libc, "none", "/", "", flags=_MS_REC | _MS_PRIVATE)
    _leave_disks(libc)
    return libc


def _leave_disks(libc: ctypes.CDLL) -> None:
    """Let go of Workspaces' disks: our copy of the mount would hold one long after its Workspace has ended."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, target = line.split(" ")[:2]
        if source.startswith("/dev/loop") and "/workspaces/" in target and target.endswith("/disk"):
            libc.umount2(target.encode(), _MNT_DETACH)


def _name_user(libc: ctypes.CDLL, uid: int, home: str) -> None:
    """Give the program's user a name, seen by this program alone: Java refuses a user without one."""
    line = f"emr{uid}:x:{uid}:{uid}::{home}:/bin/bash\n"
    handle, path = tempfile.mkstemp()
    with os.fdopen(handle, "w") as file:
        file.write(Path("/etc/passwd").read_text() + line)
    Path(path).chmod(0o644)
    _mount(libc, path, "/etc/passwd", "", flags=_MS_BIND)
    # The mount keeps the file.
    os.unlink(path)


def _expose(libc: ctypes.CDLL, request: dict[str, Any], uid: int) -> None:
    """Let the program reach its folders where a folder above them is closed to its user.

    An empty open folder takes the closed one's place and holds only what the program may see.
    """
    wanted = [(request["folder"], False)] + [(path, True) for path in request["readable"]]
    wanted = [(str(Path(path).absolute()), read_only) for path, read_only in wanted if os.path.exists(path)]
    closed = {_closed_above(path, uid) for path, _ in wanted} - {""}
    tops = {path for path in closed if not any(path != other and _is_below(path, other) for other in closed)}
    if not tops:
        return
    # Opened only now: a handle from before would be of the host's mounts, which cannot be bound here.
    handles = [(os.open(path, os.O_PATH), path, read_only) for path, read_only in wanted]
    for top in tops:
        _mount(libc, "tmpfs", top, "tmpfs", flags=_MS_NOSUID | _MS_NODEV, data="mode=755,size=1m")
    for handle, path, read_only in handles:
        if any(_is_below(path, top) for top in tops):
            os.makedirs(path, mode=0o755, exist_ok=True)
            _mount(libc, f"/proc/self/fd/{handle}", path, "", flags=_MS_BIND | _MS_REC)
            if read_only:
                _mount(libc, "none", path, "", flags=_MS_BIND | _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID)
        os.close(handle)


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: str, *, flags: int, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None)
    if libc.mount(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")


def _is_below(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent.rstrip("/") + "/")


def _closed_above(path: str, uid: int) -> str:
    """The topmost folder above `path` that `uid` may not pass; empty if there is none."""
    parents = [str(parent) for parent in reversed(Path(path).parents)]
    for parent in parents[1:]:
        found = os.stat(parent)
        bit = 0o100 if found.st_uid == uid else 0o010 if found.st_gid == uid else 0o001
        if not found.st_mode & bit:
            return parent
    return ""


if __name__ == "__main__":
    sys.exit(main())
