"""Where the edits of documents are kept until they are in their files, and an hour longer: outside of the user's files.

jupyter_server_ydoc gives its store the configuration where a tab opens a document, but not where the server
itself does: then it would keep another history, in the user's own folder.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_core.paths import jupyter_data_dir
from jupyter_server_ydoc.stores import SQLiteYStore
from traitlets import default

_SQUASH_SECONDS = 3600


class History(SQLiteYStore):
    """One for all documents of a Workspace, whoever opens them."""

    @default("db_path")
    def _default_db_path(self) -> str:
        return str(Path(jupyter_data_dir()) / "documents.db")

    @default("squash_after_inactivity_of")
    def _default_squash_after_inactivity_of(self) -> int:
        # Histories grow with each keystroke; what has been quiet for an hour is made one update.
        return _SQUASH_SECONDS
