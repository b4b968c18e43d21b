"""The Workspace's files for a cell that asks for them: `%mount_workspace_dir` in a kernel on the cluster.

Code on clusters never reaches the Workspaces' files in S3. So a kernel asks this server, as `input()` asks a user,
and this server answers, to the cell that it runs itself and that names the magic, and to no other: whoever wrote that
into a cell of this Workspace and ran it may read its files anyhow. The answer is an archive, in pieces:

    asked      emr-studio/workspace-folder {"path": "lib", "from": 0}
    answered   {"size": 71234, "data": "<base64>"} or {"error": "why not"}
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

ASKS = "emr-studio/workspace-folder "
MAGIC = "%mount_workspace_dir"
MOST_FILES = 5_000
MOST_BYTES = 64 << 20
PIECE = 512 << 10
"""Octets of an archive in one answer; a gateway passes messages of a few megabytes."""


class NotShared(Exception):
    """Why not, for the user."""


class Answering(Protocol):
    """Who answers questions of cells that begin with `asks`."""

    asks: str

    def is_asked(self, code: str, prompt: str) -> bool:
        """Whether a cell's question is for it, and the cell may ask it."""

    async def answer(self, execution_id: str, prompt: str) -> str:
        """The answer to the code of an execution."""

    def forget(self, execution_id: str) -> None:
        """The execution is over."""


class Answers:
    """All of them."""

    def __init__(self, *all_of_them: Answering) -> None:
        self._all = all_of_them

    def is_asked(self, code: str, prompt: str) -> bool:
        """Whether one of them is asked, and may be."""
        return any(one.is_asked(code, prompt) for one in self._all)

    async def answer(self, execution_id: str, prompt: str) -> str:
        """The answer of the one that is asked."""
        return await next(one for one in self._all if prompt.startswith(one.asks)).answer(execution_id, prompt)

    def forget(self, execution_id: str) -> None:
        """The execution is over."""
        for one in self._all:
            one.forget(execution_id)


class FolderShare:
    """Answers for a folder; `root` tells which, once the server has begun."""

    asks = ASKS

    def __init__(self, root: Callable[[], str]) -> None:
        self._root = root
        self._archives: dict[str, bytes] = {}
        """Of executions that ask now."""

    @staticmethod
    def is_asked(code: str, prompt: str) -> bool:
        """Whether a cell's question is this one, and the cell may ask it."""
        return prompt.startswith(ASKS) and MAGIC in code

    async def answer(self, execution_id: str, prompt: str) -> str:
        """The answer to the code of an execution."""
        try:
            asked = json.loads(prompt.removeprefix(ASKS))
            path, start = str(asked["path"]), int(asked["from"])
            if start == 0:
                self._archives[execution_id] = await asyncio.to_thread(archive_of, Path(self._root()), path)
            whole = self._archives[execution_id]
        except NotShared as error:
            return json.dumps({"error": str(error)})
        except (ValueError, KeyError, TypeError, OSError) as error:
            return json.dumps({"error": f"not understood: {error}"})
        piece = whole[max(0, start) : start + PIECE]
        return json.dumps({"size": len(whole), "data": base64.b64encode(piece).decode()})

    def forget(self, execution_id: str) -> None:
        """It is over."""
        self._archives.pop(execution_id, None)


def archive_of(root: Path, path: str) -> bytes:
    """A gzipped tar of a folder's files, by their paths in it; without hidden ones and without links.

    Raises:
        NotShared: there is no such folder, or too much in it.
    """
    top = root.resolve()
    folder = (top / path).resolve()
    if not folder.is_relative_to(top) or not folder.is_dir():
        raise NotShared(f"The Workspace has no folder {path!r}.")
    buffer, total, count = io.BytesIO(), 0, 0
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for file in _files(folder):
            total, count = total + file.stat().st_size, count + 1
            if total > MOST_BYTES or count > MOST_FILES:
                raise NotShared(
                    f"{path!r} has more than {MOST_FILES} files or {MOST_BYTES >> 20} MB: mount a folder of it."
                )
            archive.add(file, arcname=str(file.relative_to(folder)), recursive=False)
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(place) / name
            if not name.startswith(".") and file.is_file() and not file.is_symlink():
                yield file
