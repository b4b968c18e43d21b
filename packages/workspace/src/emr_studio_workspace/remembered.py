"""What runs here, kept on disk outside of the user's files: a server that was killed takes it up again.

Kernels live on the cluster and cells go on there; what is forgotten with the server is which they were.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir


class Remembered:
    """Things of one kind (`kernels`, `executions`), each JSON under an id."""

    def __init__(self, kind: str) -> None:
        self._folder = Path(jupyter_data_dir()) / "running" / kind

    def keep(self, name: str, values: dict[str, Any]) -> None:
        """Write it down; a full disk costs the memory, not the work."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Never seen half written.
            fresh = self._folder / f".{uuid.uuid4().hex}"
            fresh.write_text(json.dumps(values))
            os.replace(fresh, self._folder / f"{name}.json")

    def forget(self, name: str) -> None:
        """It has ended."""
        with suppress(OSError):
            (self._folder / f"{name}.json").unlink()

    def all(self) -> dict[str, dict[str, Any]]:
        """All of them; what cannot be read (the folder is the user's) is left out."""
        found = {}
        for path in self._folder.glob("*.json"):
            with suppress(OSError, ValueError):
                values = json.loads(path.read_text())
                if isinstance(values, dict):
                    found[path.stem] = values
        return found
