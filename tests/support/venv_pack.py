"""A virtual environment as venv-pack packs it: what users put into S3 for Spark."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

MODULE = "pear_of_mine"
"""What can be imported where its interpreter runs."""


def packed(python: Path, folder: Path) -> bytes:
    """One of this Python, with a module that nothing else has."""
    subprocess.run([str(python), "-m", "venv", "--without-pip", "--symlinks", str(folder / "venv")], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / f"{MODULE}.py").write_text("VERSION = 3\n")
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        archive.add(folder / "venv", arcname=".")
    return whole.getvalue()
