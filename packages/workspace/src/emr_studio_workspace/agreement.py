"""The document (a Yjs update) as it was when it and its file were the same, kept on disk.

What others write into the file is told from what this server wrote by the difference to that state;
without it a server that was killed could not know which of file and history is the newer one. It is
kept outside of the user's files, in two steps, so that a kill between them is seen:

    about_to_write(update)     the file will be this
    written()                  it is
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir


class Agreement:
    """That of one document."""

    def __init__(self, room_id: str) -> None:
        folder = Path(jupyter_data_dir()) / "documents"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._last = folder / room_id.replace(":", "-").replace("/", "-")
        self._next = self._last.with_suffix(".next")

    def candidates(self) -> list[bytes]:
        """What the file was last, and what it was about to become; empty if nothing is known."""
        found = []
        for path in (self._last, self._next):
            with suppress(OSError):
                found.append(path.read_bytes())
        return found

    def about_to_write(self, update: bytes) -> None:
        """Note what the file is about to become."""
        # A full disk is the file's matter, too; then this is an old agreement, which is not wrong.
        with suppress(OSError):
            self._next.write_bytes(update)

    def written(self) -> None:
        """The file has become that."""
        with suppress(OSError):
            os.replace(self._next, self._last)
