"""Compresses the static files once, at install time, in place of at each request.

    python -m emr_studio.edge.precompress FOLDER...

Beside `jlab_core.js` comes `jlab_core.js.gz`, which Caddy's file server sends to those who take gzip. It is made
again when the file is newer, and taken away when the file is gone.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

_KINDS = frozenset({".css", ".html", ".ico", ".js", ".json", ".map", ".svg", ".ttf", ".eot", ".wasm"})
_LEAST = 1024
"""Bytes; what is smaller fits into a packet as it is."""
_LEVEL = 9


def precompress(folder: Path) -> int:
    """Bring the compressed files below `folder` up to date; returns how many were made."""
    for old in folder.rglob("*.gz"):
        if not old.with_suffix("").exists():
            old.unlink()
    return sum(_compress(path) for path in sorted(folder.rglob("*")) if path.suffix in _KINDS and path.is_file())


def _compress(path: Path) -> bool:
    found, beside = path.stat(), path.with_name(path.name + ".gz")
    if found.st_size < _LEAST or (beside.exists() and beside.stat().st_mtime_ns >= found.st_mtime_ns):
        return False
    # By rename: a running edge finds all of it or none.
    part = beside.with_name(f".{beside.name}.part")
    part.write_bytes(gzip.compress(path.read_bytes(), _LEVEL, mtime=0))
    part.chmod(found.st_mode & 0o777)
    part.replace(beside)
    return True


def main() -> None:
    """Entry point."""
    for name in sys.argv[1:]:
        precompress(Path(name))


if __name__ == "__main__":
    main()
