"""Files are replaced as a whole: whoever reads, at any moment, and whatever is killed, finds the old or the new one.

Jupyter writes in place and keeps a copy meanwhile; a document that runs is saved every second, so a
kill in that moment would leave half a notebook under its name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jupyter_server.services.contents.fileio import path_to_intermediate
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from emr_studio_workspace import authors
from emr_studio_workspace.disk import full_disk_to_507, guard
from emr_studio_workspace.replacing import replacing

_NOT_FOUND = 404
_listing: ContextVar[bool] = ContextVar("listing", default=False)


class WorkspaceContentsManager(AsyncLargeFileManager):
    """Jupyter's own, with whole writes, and with a plain word when the disk is full."""

    async def save(self, model: Any, path: str = "") -> Any:
        """Save, unless there is no room."""
        guard.check()
        return await super().save(model, path)

    async def get(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """As theirs, but a file that is gone before a list of its folder is made is left out of the list.

        Theirs answers then that the folder does not exist: with files that are replaced as a whole, too often.
        """
        try:
            return await super().get(path, *args, **kwargs)
        except HTTPError as error:
            if _listing.get() and error.status_code == _NOT_FOUND:
                # They pass over what they may not read.
                raise PermissionError(errno.EACCES, "gone meanwhile", path) from error
            raise

    async def _dir_model(self, path: str, content: bool = True) -> Any:
        token = _listing.set(content)
        try:
            return await super()._dir_model(path, content)
        finally:
            _listing.reset(token)

    async def copy(self, from_path: str, to_path: str | None = None) -> Any:
        """Copy, unless there is no room."""
        guard.check()
        return await super().copy(from_path, to_path)

    @contextmanager
    def perm_to_403(self, os_path: str = "") -> Iterator[None]:
        """Every write of theirs goes through here."""
        with full_disk_to_507(), super().perm_to_403(os_path):
            yield

    @contextmanager
    def atomic_writing(self, os_path: str, text: bool = True, **kwargs: Any) -> Iterator[Any]:
        """A file to write to, which takes the place of `os_path` at the end."""
        with self.perm_to_403(os_path):
            path = os.path.realpath(os_path)
            if os.path.exists(path) and not (os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK)):
                with super().atomic_writing(os_path, text=text, **kwargs) as file:
                    yield file
                return
            options = {"encoding": kwargs.get("encoding", "utf-8"), "newline": kwargs.get("newline")} if text else {}
            mode = "w" if text else "wb"
            with replacing(path, path_to_intermediate(path), authors.note, mode, **options) as file:
                yield file
