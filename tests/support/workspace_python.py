"""Programs in the Workspaces' environment, which has what the tests' own lacks: JupyterLab and its server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_PYTHON = Path(__file__).resolve().parents[2] / ".envs" / "workspace" / "bin" / "python"


def in_workspace(
    program: str,
    *arguments: Path,
    folder: Path | None = None,
    warns: bool = True,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A program that came to a good end, with what it printed; `folder` is its working folder.

    `warns=False`: what libraries have to say of one another is not the test's.
    """
    options = [] if warns else ["-W", "ignore"]
    done = subprocess.run(
        [str(_PYTHON), *options, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done
