"""What a Workspace may see and do: namespaces, a root of its own, its own user id, no privileges.

A fork of the zygote calls `separate()` (still outside), forks once more so that the pid namespace
holds, then `enter()`. The new root is a small tmpfs into which only what a Workspace needs is
bound: nobody else's folder is hidden, it simply is not there. Whatever the machine refuses is left
out and reported, so an unprivileged studio still runs, as the same user, and says so.
"""

from __future__ import annotations

import os
import resource
import stat
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emr_studio_workspace import syscalls
from emr_studio_workspace.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC

HOME = Path("/home/emr-notebook")
FILES = Path("/home/work")
RUN = Path("/run/emr-studio")
USER = "emr-notebook"
"""What the Workspace's user is called inside, whatever its id: shells and ssh complain of one without a name."""

_KINDS = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "network": syscalls.CLONE_NEWNET,
}
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_TEMPORARY_BYTES = 1024**3
_TEMPORARY_SHARE = 5
"""What lies in /tmp, /var/tmp and /dev/shm is memory: each may hold this part (1 in …) of the Workspace's."""
_MOST_FILES_OPEN = 16_384
_MOST_PROCESSES = 4096


@dataclass(frozen=True)
class Place:
    """The Workspace's own folders on the host, the user it becomes, and what more it must read.

    `uid` 0 means: stay who you are. `files` and `home` belong to `uid`; `run` to root. `memory_bytes` is
    what all its processes may use together (0: no limit), if `memory_limited` by a control group.
    """

    files: Path
    home: Path
    run: Path
    uid: int
    host_name: str
    readable: tuple[Path, ...] = ()
    memory_bytes: int = 0
    memory_limited: bool = False

    @property
    def temporary_bytes(self) -> int:
        """How much each of the folders that lie in memory may hold."""
        return min(_TEMPORARY_BYTES, self.memory_bytes // _TEMPORARY_SHARE or _TEMPORARY_BYTES)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Place:
        """Read the agent's request."""
        return cls(
            Path(values["files"]),
            Path(values["home"]),
            Path(values["run"]),
            int(values["uid"]),
            str(values["host_name"]),
            tuple(Path(path) for path in values.get("readable", ())),
            int(values.get("memory_bytes", 0)),
            bool(values.get("memory_limited", False)),
        )


def separate() -> list[str]:
    """Leave the host's namespaces, each kind that the machine grants; their names."""
    granted = []
    for name, flag in _KINDS.items():
        with suppress(OSError):
            syscalls.unshare(flag)
            granted.append(name)
    return granted


def enter(place: Place, granted: list[str]) -> Place:
    """Make the new root and go there (in the second fork); the place as seen from inside."""
    if "network" in granted:
        with suppress(OSError):
            syscalls.raise_loopback()
    if "uts" in granted:
        with suppress(OSError):
            syscalls.set_hostname(place.host_name)
    if "mount" not in granted:
        return place
    _new_root(place, "pid" in granted)
    return replace(place, files=FILES, home=HOME, run=RUN)


def drop(place: Place) -> None:
    """Become the Workspace's user, without a way back. Limits go with it."""
    os.umask(0o077)
    _limit(place)
    if place.uid and os.geteuid() == 0:
        syscalls.drop_bounding_set()
        os.setgroups([])
        os.setresgid(place.uid, place.uid, place.uid)
        os.setresuid(place.uid, place.uid, place.uid)
    syscalls.no_new_privileges()


def _limit(place: Place) -> None:
    """Resource limits: never above the hard ones, which we may not be allowed to raise."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _MOST_FILES_OPEN)
    if place.uid:
        _lower(resource.RLIMIT_NPROC, _MOST_PROCESSES)
    if place.memory_bytes and not place.memory_limited:
        # No control group bounds them together: then each by itself.
        _lower(resource.RLIMIT_AS, place.memory_bytes)


def _lower(kind: int, value: int) -> None:
    _soft, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def environment_folders() -> tuple[Path, ...]:
    """What this interpreter is made of and does not lie below /usr: its environment, base and source."""
    source = Path(__file__).resolve().parent.parent
    prefixes = {sys.prefix, sys.base_prefix, sysconfig.get_paths()["stdlib"]}
    return tuple(sorted({Path(prefix) for prefix in prefixes} | {source}))


def _new_root(place: Place, own_pids: bool) -> None:
    # Nothing that happens here may reach the host's mounts.
    syscalls.mount("none", "/", flags=MS_REC | MS_PRIVATE)
    root = "/tmp"
    own = [(_open(path), target, read_only) for path, target, read_only in _own_folders(place)]
    shared = _shared_folders(place)
    syscalls.mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m")
    _links(root)
    # Before what is bound: an installation may itself lie below /tmp.
    for folder, mode in (("tmp", 0o1777), ("var/tmp", 0o1777)):
        _folder(root, folder)
        options = f"mode={mode:o},size={place.temporary_bytes}"
        syscalls.mount("tmpfs", f"{root}/{folder}", "tmpfs", MS_NOSUID | MS_NODEV, options)
    for handle, target in shared:
        _bind(handle, root + target, MS_RDONLY | MS_NOSUID | MS_NODEV)
    for handle, target, read_only in own:
        _bind(handle, root + target, MS_NOSUID | MS_NODEV | (MS_RDONLY if read_only else 0))
    if place.uid:
        _name_user(root, place.uid)
    _devices(root, place.temporary_bytes)
    _proc(root, own_pids)
    _go(root)


def _own_folders(place: Place) -> list[tuple[Path, str, bool]]:
    return [(place.files, str(FILES), False), (place.home, str(HOME), False), (place.run, str(RUN), True)]


def _shared_folders(place: Place) -> list[tuple[int, str]]:
    found = [f"/{name}" for name in _SYSTEM if Path(f"/{name}").is_dir() and not Path(f"/{name}").is_symlink()]
    extra = [str(path) for path in (*environment_folders(), *place.readable) if path.is_dir()]
    # Parents first: a folder inside one that is already bound needs no mount of its own.
    for path in sorted(extra, key=len):
        if not any(path == other or path.startswith(f"{other}/") for other in found):
            found.append(path)
    return [(_open(Path(path), follow=True), path) for path in found]


def _open(path: Path, follow: bool = False) -> int:
    """A handle on exactly this folder: whoever swaps the name afterwards changes nothing."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))


def _links(root: str) -> None:
    for name in _SYSTEM:
        path = Path(f"/{name}")
        if path.is_symlink():
            os.symlink(os.readlink(path), f"{root}/{name}")


def _folder(root: str, name: str) -> None:
    os.makedirs(f"{root}/{name.lstrip('/')}", mode=0o755, exist_ok=True)


def _bind(handle: int, target: str, flags: int) -> None:
    os.makedirs(target, mode=0o755, exist_ok=True)
    source = f"/proc/self/fd/{handle}"
    syscalls.mount(source, target, flags=MS_BIND | MS_REC)
    syscalls.mount("none", target, flags=MS_BIND | syscalls.MS_REMOUNT | flags)
    os.close(handle)


def _name_user(root: str, uid: int) -> None:
    """In copies of the machine's lists that this root alone has."""
    for name, line in (("passwd", f"{USER}:x:{uid}:{uid}::{HOME}:/bin/bash\n"), ("group", f"{USER}:x:{uid}:\n")):
        copy = Path(root, f".{name}")
        copy.write_text(Path("/etc", name).read_text() + line)
        copy.chmod(0o644)
        syscalls.mount(str(copy), f"{root}/etc/{name}", flags=MS_BIND)
        # The mount keeps the file.
        copy.unlink()


def _devices(root: str, shared_bytes: int) -> None:
    _folder(root, "dev")
    for name in _DEVICES:
        device = Path("/dev") / name
        if device.exists() and stat.S_ISCHR(device.stat().st_mode):
            Path(f"{root}/dev/{name}").touch()
            syscalls.mount(str(device), f"{root}/dev/{name}", flags=MS_BIND)
    for name in ("pts", "shm"):
        _folder(root, f"dev/{name}")
    syscalls.mount("devpts", f"{root}/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    syscalls.mount("tmpfs", f"{root}/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={shared_bytes}")
    os.symlink("pts/ptmx", f"{root}/dev/ptmx")
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")


def _proc(root: str, own_pids: bool) -> None:
    _folder(root, "proc")
    if own_pids:
        # Refused where the host's own /proc is masked (some containers): then there is none.
        with suppress(OSError):
            syscalls.mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _go(root: str) -> None:
    os.chdir(root)
    syscalls.pivot_root(".", ".")
    # Old and new root are stacked on one another: take the old one away.
    syscalls.unmount(".")
    os.chdir("/")
    syscalls.mount("none", "/", flags=syscalls.MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
