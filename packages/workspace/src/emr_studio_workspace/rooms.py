"""A document in use: saved soon and while it changes, and merged with what others write into its file.

Two things differ from `jupyter_server_ydoc`. A document that changes without a pause is saved all the
same (theirs waits for a pause). And a file that a terminal, git or a restore has changed does not take
the place of the document, with the loss of what was not yet saved or is still being printed: what
changed in the file since it was last the same as the document is done to the document too, as if one
more user had typed it.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from jupyter_server_ydoc.rooms import DocumentRoom
from jupyter_server_ydoc.utils import LogLevel, OutOfBandChanges
from jupyter_ydoc import ydocs
from pycrdt import Doc
from pycrdt.store import YDocNotFound

from emr_studio_workspace.agreement import Agreement
from emr_studio_workspace.authors import Authors, saving_for
from emr_studio_workspace.replacing import Mark, expecting, mark_of

_RETRY_SECONDS = 5.0
_LOADS = 10
"""How often a file is read that is written at the same time; one that always is, is as it was read last."""


class WorkspaceRoom(DocumentRoom):
    """One document and those who look at it."""

    ready: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._changed = False
        self._pause = 0.0
        self._saver: asyncio.Task[None] | None = None
        self._saving = asyncio.Lock()
        self._agreement = Agreement(self.room_id)
        self._base = b""
        """The document (a Yjs update) as it was when it and the file were the same."""
        self._mark: Mark | None = None
        """Of the file when it was read or written last; a save takes the place of no other."""
        self.used_at = 0.0
        self.authors = Authors()

    async def initialize(self) -> None:
        """Read the file and the history of the document; what only one of them has is in it."""
        if self.ready:
            return
        content = await self._load()
        async with self._update_lock:
            base = await self._agreed(content)
            if base is None:
                await self._begin(content)
            else:
                await self._take_file(base, content)
                await self._take_history()
            self._agreement.about_to_write(self._base)
            self._agreement.written()
            self.ready = True
        self._emit(LogLevel.INFO, "initialize", "Room initialized")
        if not await self._is(content):
            self._save_later()

    async def _load(self) -> Any:
        """The content of the file, and whose it is."""
        for _ in range(_LOADS):
            self._mark = mark_of(self._os_path)
            content = (await self._file.load_content(self._file_format, self._file_type))["content"]
            if mark_of(self._os_path) == self._mark:
                break
        return content

    @property
    def _os_path(self) -> str:
        return str(os.path.realpath(self._file._contents_manager._get_os_path(self._file.path)))

    async def _agreed(self, content: Any) -> bytes | None:
        """What file and document were when they were last the same, if that is known."""
        known = self._agreement.candidates()
        for update in reversed(known):
            if await self._copy(update).aget() == content:
                return update
        return known[0] if known else None

    async def _begin(self, content: Any) -> None:
        """A document that this server has not seen before, or of which it knows the history alone."""
        if not await self._take_history():
            await self._apply_deterministic_source_content(content)
            await self._keep_history()
        elif await self._document.aget() != content:
            await self._document.aset(content)
            await self._keep_history()
        self._base = self.ydoc.get_update()

    async def _take_file(self, base: bytes, content: Any) -> None:
        """Do to the document what was done to the file since it was `base`."""
        theirs = self._copy(base)
        if await theirs.aget() != content:
            await theirs.aset(content)
        self._base = theirs.ydoc.get_update()
        self.ydoc.apply_update(self._base)

    async def _take_history(self) -> bool:
        """Apply the stored edits, those too that did not reach the file; False if there are none."""
        if self.ystore is None:
            return False
        async with self.ystore.start_lock:
            if not self.ystore.started.is_set():
                self.create_task(self.ystore.start())
                await self.ystore.started.wait()
        try:
            await self.ystore.apply_updates(self.ydoc)
        except YDocNotFound:
            return False
        return True

    async def _keep_history(self) -> None:
        if self.ystore is not None:
            await self.ystore.encode_state_as_update(self.ydoc)

    async def _is(self, content: Any) -> bool:
        """Whether the document says the same."""
        return bool(await self._copy(self.ydoc.get_update()).aget() == content)

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
        self._agreement.about_to_write(base)
        with saving_for(self.authors.take()), expecting(self._os_path, self._mark) as expected:
            try:
                saved = await self._file.maybe_save_content(model)
            except Exception as error:
                if expected is not None and expected.missed:
                    raise OutOfBandChanges from error
                raise
        if saved:
            self._base = base
            self._agreement.written()
            await self._agree(saved["hash"])
        self._emit(LogLevel.INFO, "save", "Content saved.")
        if expected is not None and expected.written is not None:
            self._mark = expected.written
        if saved and mark_of(self._os_path) != self._mark:
            raise OutOfBandChanges  # somebody wrote it a moment later

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
            content = await self._load()
        except Exception as error:
            self._tell(f"The file of the document {self.room_id} could not be read: {error!r}", error)
            return
        async with self._update_lock:
            await self._take_file(self._base, content)
        self._agreement.about_to_write(self._base)
        self._agreement.written()
        self._emit(LogLevel.INFO, "overwrite", "Out-of-band changes are merged.")
        if await self._is(content):
            await self._agree()
        else:
            self._save_later()

    def _tell(self, message: str, error: Exception) -> None:
        self.log.error(message, exc_info=error)
        self._emit(LogLevel.ERROR, None, message)

    async def stop(self) -> None:
        """Save, and let go."""
        if self._saver is not None:
            self._saver.cancel()
        await self.save()
        await super().stop()
