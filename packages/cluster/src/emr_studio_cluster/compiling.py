"""Compiles a release's Python once: `python -m emr_studio_cluster.compiling RELEASE`, in the release's own environment.

Nodes' users may not write here, so that each program of theirs would compile anew all that it imports. Executors
and drivers import Spark's Python from a zip file, into which nobody's Python writes: there the compiled modules
lie beside the sources.
"""

from __future__ import annotations

import compileall
import contextlib
import io
import os
import py_compile
import re
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from emr_studio_cluster import spark

_STAMP = ".compiled"
_TESTS = re.compile("/tests?/")


def ensure_compiled(environment: Path, zips: Sequence[Path]) -> bool:
    """Compile the modules of the environment and of the zip files unless it was done; True if it was to be done."""
    stamp = environment / _STAMP
    if stamp.exists():
        return False
    # Some packages bring files that no Python of today reads, and nobody imports: what is said of them is left out.
    with contextlib.redirect_stdout(io.StringIO()):
        compileall.compile_dir(environment / "lib", maxlevels=30, quiet=2, workers=0, rx=_TESTS)
    for path in zips:
        compile_zip(path)
    stamp.touch()
    return True


def compile_zip(path: Path) -> None:
    """Put the compiled modules of a zip file beside their sources; it is replaced by rename."""
    with tempfile.TemporaryDirectory(prefix=".compiling-", dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
            kept = [entry for entry in source.infolist() if not entry.filename.endswith(".pyc")]
            for entry in kept:
                content = source.read(entry)
                target.writestr(entry, content)
                compiled = _compiled(path, entry.filename, content, Path(scratch))
                if compiled is not None:
                    target.writestr(f"{entry.filename}c", compiled)
        made.chmod(path.stat().st_mode & 0o777)
        made.replace(path)


def _compiled(path: Path, name: str, content: bytes, scratch: Path) -> bytes | None:
    """The compiled module, valid without a look at the source's time; None of what is none or does not compile."""
    if not name.endswith(".py") or _TESTS.search(f"/{name}"):
        return None
    source, result = scratch / "module.py", scratch / "module.pyc"
    source.write_bytes(content)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    place = os.path.join(path, name)
    with contextlib.suppress(py_compile.PyCompileError):
        py_compile.compile(str(source), str(result), place, doraise=True, invalidation_mode=mode)
        return result.read_bytes()
    return None


def main(arguments: Sequence[str]) -> int:
    """Compile what the running Python's environment has."""
    if len(arguments) != 1:
        print("usage: python -m emr_studio_cluster.compiling RELEASE", file=sys.stderr)
        return 2
    done = ensure_compiled(Path(sys.prefix), sorted((spark.spark_home() / "python" / "lib").glob("*.zip")))
    print(f"{'made' if done else 'there already'}: compiled modules of {sys.prefix}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
