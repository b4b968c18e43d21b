"""What programs of a node that do one thing leave behind as their result."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

RESULT_FILE = "result.json"
_MOST_BYTES = 65_536


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a program of a node left as its result.

    The folder is that of users' code: whatever is not a small, plain file is as if it were not there.
    """
    try:
        descriptor = os.open(folder / RESULT_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        try:
            found = json.loads(file.read(_MOST_BYTES))
        except ValueError:
            return None
    return found if isinstance(found, dict) else None
