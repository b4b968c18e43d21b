"""Gives the node's user a name.

A cluster's programs run as a user of their own, a number without an entry in `/etc/passwd`; Hadoop
refuses to run as somebody without a name. So the program enters a user and a mount namespace of its
own, in which it is the same number and `/etc/passwd` has one line more. Needs no privilege.
"""

from __future__ import annotations

import ctypes
import os
import pwd
from pathlib import Path

NAME = "hadoop"
"""What EMR's nodes call it."""
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_PASSWD = Path("/etc/passwd")


class NoName(Exception):
    """The machine does not let the user have a name."""


def ensure_user_name(folder: Path) -> None:
    """Make the present user have a name, for this process and what it starts.

    Raises:
        NoName: where user namespaces are switched off.
    """
    uid, gid = os.getuid(), os.getgid()
    if _has_name(uid):
        return
    passwd = folder / "passwd"
    passwd.write_text(f"{_PASSWD.read_text()}{NAME}:x:{uid}:{gid}::{folder}:/usr/sbin/nologin\n")
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), uid)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _check(libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), uid)
    _check(libc.mount(os.fsencode(passwd), os.fsencode(_PASSWD), None, ctypes.c_ulong(_MS_BIND), None), uid)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _check(result: int, uid: int) -> None:
    if result != 0:
        why = os.strerror(ctypes.get_errno())
        raise NoName(
            f"User {uid} has no name and this machine does not allow user namespaces ({why}), which would give it one: "
            "allow them (sysctl kernel.unprivileged_userns_clone=1 or user.max_user_namespaces)"
        )
