"""What the SQL editors have run, kept in a file of the Workspace: it is backed up and restored with the others.

    .emr-studio/sql-history.json     [{"id", "statement", "state", "started", "seconds", …}], newest first

The page tells of a statement when it begins and again when it has ended. Only so many are kept, and only so much.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from emr_studio_workspace.replacing import replacing

PLACE = Path(".emr-studio/sql-history.json")
MOST, MOST_CHARACTERS = 200, 1_000_000
LONGEST_STATEMENT, LONGEST_ERROR = 100_000, 2_000
RUNNING, SUCCEEDED, FAILED, CANCELLED = "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
_KINDS: Mapping[str, tuple[type, ...]] = {
    "statement": (str,),
    "state": (str,),
    "started": (str,),
    "cluster": (str,),
    "seconds": (int, float),
    "rows": (int,),
    "more": (bool,),
    "error": (str,),
}
"""Members of what the page tells; the first three must be there."""
Entry = dict[str, Any]


class NotKept(Exception):
    """Why not, for the user."""


class SqlHistory:
    """The file below the folder `root`. What cannot be read there (the folder is the user's) is no history.

    `note` is given the descriptor of what is written (`replacing`).
    """

    def __init__(self, root: Path, note: Callable[[int], None] = lambda _: None) -> None:
        self._file, self._note = root / PLACE, note

    def entries(self) -> list[Entry]:
        """Newest first."""
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(self._file.read_text())
            if isinstance(found, list):
                return [entry for entry in found if isinstance(entry, dict) and _is_whole(entry)]
        return []

    def keep(self, entry_id: str, told: object, user: str) -> Entry:
        """Add an entry, or change the one of that id; the oldest go where there are too many.

        Raises:
            NotKept: it is not understood, or too long.
        """
        entry = {"id": entry_id, "user": user} | _understood(told)
        before = self.entries()
        place = next((index for index, one in enumerate(before) if one["id"] == entry_id), None)
        if place is None:
            before.insert(0, entry)
        else:
            before[place] |= entry
        self._write(_newest(before))
        return entry

    def clear(self) -> None:
        """Forget all of it."""
        self._file.unlink(missing_ok=True)

    def _write(self, entries: list[Entry]) -> None:
        self._file.parent.mkdir(mode=0o755, exist_ok=True)
        path = os.path.realpath(self._file)
        # As Jupyter names what it writes: the mirror passes over that.
        beside = os.path.join(os.path.dirname(path), ".~" + os.path.basename(path))
        with replacing(path, beside, self._note, "w") as file:
            json.dump(entries, file)


def _is_whole(entry: Entry) -> bool:
    return isinstance(entry.get("id"), str) and all(isinstance(entry.get(name), str) for name in ("statement", "state"))


def _understood(told: object) -> Entry:
    if not isinstance(told, dict) or not {"statement", "state", "started"} <= told.keys():
        raise NotKept("An entry of the history has statement, state and started.")
    found = {name: told[name] for name in _KINDS if told.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, _KINDS[name]) or (isinstance(value, bool) and name != "more"):
            raise NotKept(f"{name} of the history is not of the right kind.")
    if found["state"] not in (RUNNING, SUCCEEDED, FAILED, CANCELLED):
        raise NotKept("There is no such state.")
    if len(found["statement"]) > LONGEST_STATEMENT:
        raise NotKept(f"A statement of more than {LONGEST_STATEMENT} characters is not kept in the history.")
    return found | {"error": found.get("error", "")[:LONGEST_ERROR]}


def _newest(entries: list[Entry]) -> list[Entry]:
    kept: list[Entry] = []
    characters = 0
    for entry in entries[:MOST]:
        characters += len(json.dumps(entry))
        if characters > MOST_CHARACTERS:
            break
        kept.append(entry)
    return kept
