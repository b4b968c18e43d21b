"""How far this Workspace's files are in S3: the agent, which saves them, writes it down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def backup_state(path: Path) -> Any:
    """`{"savedAt", "pending", "error", "skipped"}` (`MirrorStatus`); None if nothing is saved from here."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
