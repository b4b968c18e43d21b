"""`%mount_workspace_dir PATH`, `%umount_workspace_dir`: the Workspace's files beside the kernel, to import from.

EMR mounts the Workspace's folder in S3 as the role of the cluster, for everybody on it. Here code on clusters never
reaches the Workspaces' files in S3. The kernel asks the Workspace's server, which runs the cell, as `input()` asks a
user, and gets an archive of the folder as it is now (`emr_studio_workspace.share` has the other half). It is unpacked
into a read-only folder of the kernel's own, `<workspace id>`, which becomes the working folder; the same line again
fetches what has changed. Executors do not have it; it stays, over restarts of the kernel too, until it is unmounted,
or its cluster ends.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError

from emr_studio_cluster.magics.asking import Ask, answered, asking
from emr_studio_cluster.magics.downloads import Options

ASKS = "emr-studio/workspace-folder "
"""How a question to the Workspace's server begins."""
FUSE_TYPES = ("s3-fuse", "goofys")
_READ_FILE, _READ_FOLDER, _OWN_FOLDER = 0o400, 0o500, 0o700
_ONLY_IN_NOTEBOOKS = "The Workspace's files are given to cells of its notebooks only."
_MOST_PIECES = 1000
_KEPT = ".mounted-workspace"
"""Beside the folder, which of the Workspace's it is: the kernel's folder outlives a restart of the kernel."""

_OPTIONS = Options(prog="%mount_workspace_dir", add_help=False)
_OPTIONS.add_argument("path")
_OPTIONS.add_argument("--fuse-type", choices=FUSE_TYPES, default=FUSE_TYPES[0])
# Of a FUSE file system; there is none here to take them.
_OPTIONS.add_argument("--params", default="")


def install(shell: Any) -> None:
    """Give them to a shell."""
    magics = WorkspaceFolder(asking(shell))
    magics.resume()
    shell.register_magic_function(magics.mount, "line", "mount_workspace_dir")
    shell.register_magic_function(magics.umount, "line", "umount_workspace_dir")


class WorkspaceFolder:
    """Of one kernel."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._folder: Path | None = None
        self._path = ""
        self._home = Path()

    def resume(self) -> None:
        """Have again what was mounted when the kernel was restarted."""
        workspace, home = os.environ.get("KERNEL_WORKSPACE_ID", ""), Path.cwd()
        folder, kept = home / workspace, home / _KEPT
        if workspace and folder.is_dir() and kept.is_file():
            self._home, self._folder, self._path = home, folder, kept.read_text()
            os.chdir(folder)

    def mount(self, line: str) -> None:
        """The Workspace's files, read-only: %mount_workspace_dir PATH ('.' is all of them); again: as they are now."""
        path = _OPTIONS.parse_line(line).path
        workspace = os.environ.get("KERNEL_WORKSPACE_ID", "")
        if not workspace:
            raise UsageError("This kernel belongs to no Workspace.")
        if self._folder is not None and path != self._path:
            raise UsageError(f"{self._path!r} is mounted: %umount_workspace_dir first.")
        archive = self._fetch(path)
        again = self._folder is not None
        if self._folder is None:
            self._home, self._path = Path.cwd(), path
            self._folder = self._home / workspace
        count = _unpack(archive, self._folder)
        (self._home / _KEPT).write_text(path)
        os.chdir(self._folder)
        said = "Mounted already; fetched again:" if again else "Mounted:"
        print(f"{said} {count} files of the Workspace, read-only, at {self._folder}")

    def umount(self, _line: str = "") -> None:
        """Take the Workspace's files away again: %umount_workspace_dir."""
        if self._folder is None:
            raise UsageError("The Workspace's folder is not mounted.")
        folder, self._folder = self._folder, None
        os.chdir(self._home)
        (self._home / _KEPT).unlink(missing_ok=True)
        _remove(folder)
        print(f"Unmounted {folder}")

    def _fetch(self, path: str) -> bytes:
        whole = b""
        for _ in range(_MOST_PIECES):
            told = self._asked({"path": path, "from": len(whole)})
            whole += base64.b64decode(told["data"])
            if len(whole) >= told["size"] or not told["data"]:
                break
        return whole

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        return answered(self._ask, ASKS, question, _ONLY_IN_NOTEBOOKS)


def _unpack(archive: bytes, folder: Path) -> int:
    """Put the archive's files in the place of the folder's; how many there are."""
    beside = Path(tempfile.mkdtemp(prefix=".mount-", dir=folder.parent))
    count = 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        for member in file:
            content = file.extractfile(member) if member.isfile() else None
            if content is None or ".." in Path(member.name).parts or member.name.startswith("/"):
                continue
            target = beside / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            os.utime(target, (member.mtime, member.mtime))
            target.chmod(_READ_FILE)
            count += 1
    for root, _, _ in os.walk(beside, topdown=False):
        Path(root).chmod(_READ_FOLDER)
    os.chdir(folder.parent)
    _remove(folder)
    # A folder that may not be written to cannot be moved by its owner either, where that changes its parent.
    beside.chmod(_OWN_FOLDER)
    beside.rename(folder)
    folder.chmod(_READ_FOLDER)
    return count


def _remove(folder: Path) -> None:
    for root, _, _ in os.walk(folder):
        Path(root).chmod(_OWN_FOLDER)
    shutil.rmtree(folder, ignore_errors=True)
