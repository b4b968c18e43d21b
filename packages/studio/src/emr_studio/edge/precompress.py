"""Compresses the static files once, at install time, in place of at each request.

    python -m emr_studio.edge.precompress FOLDER...

Beside `jlab_core.js` comes `jlab_core.js.gz`, which Caddy's file server sends to those who take gzip. It is made
again when the file is newer, and taken away when the file is gone.

A script is sent with a word before it (V8's "explicit compile hints", known to Chromium from 136 on): the browser
compiles all of it while it arrives, beside the page's own thread, and keeps all of it compiled in its cache. Else each
function is compiled when it is called first, by the thread that builds the page, and much of that at every visit: the
modules of a bundle are called after the script that brings them has ended. To other browsers it is a comment.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

_KINDS = frozenset({".css", ".html", ".ico", ".js", ".json", ".map", ".svg", ".ttf", ".eot", ".wasm"})
_LEAST = 1024
"""Bytes; what is smaller fits into a packet as it is."""
_LEVEL = 9
COMPILE_HINT = b"//# allFunctionsCalledOnLoad\n"


def precompress(folder: Path) -> int:
    """Bring the compressed files below `folder` up to date; returns how many were made."""
    for old in folder.rglob("*.gz"):
        if not old.with_suffix("").exists():
            old.unlink()
    return sum(_compress(path) for path in sorted(folder.rglob("*")) if path.suffix in _KINDS and path.is_file())


def _compress(path: Path) -> bool:
    found, beside = path.stat(), path.with_name(path.name + ".gz")
    hint = COMPILE_HINT if path.suffix == ".js" else b""
    if found.st_size < _LEAST or (
        beside.exists() and beside.stat().st_mtime_ns >= found.st_mtime_ns and _begins(beside, hint)
    ):
        return False
    # By rename: a running edge finds all of it or none.
    part = beside.with_name(f".{beside.name}.part")
    part.write_bytes(gzip.compress(hint + path.read_bytes(), _LEVEL, mtime=0))
    part.chmod(found.st_mode & 0o777)
    part.replace(beside)
    return True


def _begins(compressed: Path, hint: bytes) -> bool:
    with gzip.open(compressed) as file:
        return file.read(len(hint)) == hint


def main() -> None:
    """Entry point."""
    for name in sys.argv[1:]:
        precompress(Path(name))


if __name__ == "__main__":
    main()
