"""The notebook that a new Workspace opens with."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

KERNEL_NAME = "pysparkkernel"


def blank_notebook() -> dict[str, object]:
    """A notebook (format 4.5) with one empty code cell for the PySpark kernel."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "execution_count": None,
        "id": uuid.uuid4().hex[:8],
        "metadata": {},
        "outputs": [],
        "source": [],
    }
    kernelspec = {"display_name": "PySpark", "language": "python", "name": KERNEL_NAME}
    metadata = {"kernelspec": kernelspec, "language_info": {"name": "python"}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def ensure_notebook(path: Path) -> bool:
    """Write a blank notebook at `path` unless something is there; True if it was written."""
    text = json.dumps(blank_notebook(), indent=1) + "\n"
    try:
        # O_EXCL follows no symlink and overwrites nothing.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return True
