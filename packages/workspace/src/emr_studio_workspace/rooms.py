"""A document in use: saved soon and while it changes, and merged with what others write into its file.

Two things differ from `jupyter_server_ydoc`. A document that changes without a pause is saved all the
same (theirs waits for a pause). And a file that a terminal, git or a restore has changed does not take
the place of the document, with the loss of what was not yet saved or is still being printed: what
changed in the file since it was last the same as the document is done to the document too, as if one
more user had typed it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from jupyter_server_ydoc.rooms import DocumentRoom
from jupyter_server_ydoc.utils import LogLevel, OutOfBandChanges
from jupyter_ydoc import ydocs
from pycrdt import Doc

_RETRY_SECONDS = 5.0


class WorkspaceRoom(DocumentRoom):
    """One document and those who look at it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._changed = False
        self._pause = 0.0
        self._saver: asyncio.Task[None] | None = None
        self._saving = asyncio.Lock()
        self._base = b""
        """The document (a Yjs update) as it was when it and the file were the same."""
        self.used_at = 0.0

    async def initialize(self) -> None:
        """Read the file, and the history of the document if it fits."""
        if not self.ready:
            await super().initialize()
            self._base = self.ydoc.get_update()

    def _on_document_change(self, target: str, event: Any) -> None:
        """Save soon, even if it changes again until then."""
        # The lock is held while a file is read into the room: that is no change of ours.
        if not self._update_lock.locked() and self._autosave:
            self._save_later()

    def _save_later(self) -> None:
        self._changed = True
        if self._saver is None or self._saver.done():
            self._saver = asyncio.create_task(self._save_soon())

    @property
    def _autosave(self) -> bool:
        wishes = [state.get("autosave", True) for state in self.awareness.states.values() if state]
        return any(wishes) if wishes else True

    async def _save_soon(self) -> None:
        took = 0.0
        while self._changed:
            # Saving a large notebook must not become all that this server does.
            await asyncio.sleep(max(self._save_delay or 0.0, 4 * took, self._pause))
            started = time.monotonic()
            await self.save()
            took = time.monotonic() - started

    async def save(self) -> None:
        """Save now what was changed."""
        async with self._saving:
            if not self._changed:
                return
            self._changed, self._pause = False, 0.0
            try:
                await self._write()
            except OutOfBandChanges:
                await self._merge_file()
            except asyncio.CancelledError:
                self._changed = True
                raise
            except Exception as error:
                self._tell(f"The document {self.room_id} could not be saved: {error!r}", error)
                # A disk may be full now and not later; a file that was deleted stays deleted.
                self._changed, self._pause = getattr(error, "status_code", 0) != 404, _RETRY_SECONDS

    async def _maybe_save_document(self, saving_document: Any, save_now: bool = False) -> None:
        """Their name for it: a user has pressed Ctrl+S."""
        self._changed = True
        await self.save()

    async def _write(self) -> None:
        """Write the document as it is at this moment.

        Raises:
            OutOfBandChanges: the file has changed meanwhile.
        """
        base = self.ydoc.get_update()
        content = await self._copy(base).aget()
        model = {"format": self._file_format, "type": self._file_type, "content": content}
        saved = await self._file.maybe_save_content(model)
        if saved:
            self._base = base
            await self._agree(saved["hash"])
        self._emit(LogLevel.INFO, "save", "Content saved.")

    async def _agree(self, file_hash: str | None = None) -> None:
        async with self._update_lock:
            self._document.dirty = False
            if file_hash is not None:
                self._document.hash = file_hash

    def _copy(self, update: bytes) -> Any:
        """A document of its own in that state."""
        copy: Doc[Any] = Doc()
        copy.apply_update(update)
        return ydocs.get(self._file_type, ydocs["file"])(copy)

    async def _on_outofband_change(self) -> None:
        async with self._saving:
            await self._merge_file()

    async def _merge_file(self) -> None:
        """Do to the document what was done to the file."""
        try:
            content = (await self._file.load_content(self._file_format, self._file_type))["content"]
        except Exception as error:
            self._tell(f"The file of the document {self.room_id} could not be read: {error!r}", error)
            return
        theirs = self._copy(self._base)
        if await theirs.aget() != content:
            await theirs.aset(content)
        self._base = theirs.ydoc.get_update()
        async with self._update_lock:
            self.ydoc.apply_update(self._base)
        self._emit(LogLevel.INFO, "overwrite", "Out-of-band changes are merged.")
        if await self._copy(self.ydoc.get_update()).aget() != content:
            self._save_later()
        else:
            await self._agree()

    def _tell(self, message: str, error: Exception) -> None:
        self.log.error(message, exc_info=error)
        self._emit(LogLevel.ERROR, None, message)

    async def stop(self) -> None:
        """Save, and let go."""
        if self._saver is not None:
            self._saver.cancel()
        await self.save()
        await super().stop()
