"""What a new Workspace has in it: a blank notebook of its own name, and examples."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

KERNEL_NAME = "pysparkkernel"
EXAMPLES = Path(__file__).parent / "examples"
_PLACE = "{{SAMPLE_DATA}}"
SAMPLE_DATA = "EMR_STUDIO_SAMPLE_DATA"
"""Environment variable: where the sample data set lies (`s3://bucket/data/`)."""


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


def furnish(files: Path, default_notebook: str, sample_data: str) -> None:
    """Put the first files into an empty Workspace; one that has files stays as its user left it."""
    if any(files.iterdir()):
        return
    if default_notebook:
        ensure_notebook(files / default_notebook)
    if sample_data:
        (files / "examples").mkdir(exist_ok=True)
        for example in examples(sample_data):
            _write_new(files / "examples" / example.name, example.text)


@dataclass(frozen=True)
class Example:
    """A notebook of ours: its file name, its heading and first sentence, and its text."""

    name: str
    title: str
    description: str
    text: str


def examples(sample_data: str) -> list[Example]:
    """All examples that can run here; those that need the sample data only where there is some."""
    texts = {path.name: path.read_text() for path in sorted(EXAMPLES.glob("*.ipynb"))}
    return [
        _example(name, text.replace(_PLACE, sample_data))
        for name, text in texts.items()
        if sample_data or _PLACE not in text
    ]


def _example(name: str, text: str) -> Example:
    heading, _, rest = "".join(json.loads(text)["cells"][0]["source"]).partition("\n")
    return Example(name, heading.lstrip("# "), rest.strip().partition("\n")[0], text)


def ensure_notebook(path: Path) -> bool:
    """Write a blank notebook at `path` unless something is there; True if it was written."""
    return _write_new(path, json.dumps(blank_notebook(), indent=1) + "\n")


def _write_new(path: Path, text: str) -> bool:
    try:
        # O_EXCL follows no symlink and overwrites nothing.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return True
