"""Our own classes for Spark's JVMs: `python -m emr_studio_cluster.classes RELEASE` compiles them once.

Spark brings the Scala compiler that its shell needs; what a release needs of ours (`sources` in
`jars.toml`) is compiled with it into `.cache/classes/<release>/studio.jar`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from emr_studio_cluster import spark
from emr_studio_cluster.jars import JarsUnavailable, cache_folder, default_folder, read_lock

JAR = "studio.jar"
_STAMP = "made-of"
_TIMEOUT_SECONDS = 300


class NotCompiled(Exception):
    """The compiler refused, or did not run."""


def ensure_classes(release: str, folder: Path, jars_dir: Path) -> Path:
    """Return the jar in `folder`, compiled unless it is there already for these sources and this Spark.

    Raises:
        NotCompiled: with the compiler's last lines; nothing is left behind.
        JarsUnavailable: the release is not known.
    """
    sources = [Path(str(files(__package__) / "scala" / name)) for name in read_lock(release)["sources"]]
    stamp = _stamp(sources)
    jar, made_of = folder / JAR, folder / _STAMP
    if jar.exists() and made_of.exists() and made_of.read_text() == stamp:
        return jar
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    with tempfile.TemporaryDirectory(prefix=".compiling-", dir=folder) as scratch:
        made = Path(scratch) / JAR
        _compile(sources, made, jars_dir)
        made.chmod(0o644)
        made_of.unlink(missing_ok=True)
        made.rename(jar)
    made_of.write_text(stamp)
    return jar


def _stamp(sources: Sequence[Path]) -> str:
    facts = [
        spark.version_of("spark-core"),
        spark.version_of("scala-compiler"),
        *(path.read_text() for path in sources),
    ]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def _compile(sources: Sequence[Path], target: Path, jars_dir: Path) -> None:
    classpath = f"{spark.spark_home() / 'jars' / '*'}:{jars_dir / '*'}"
    command = [spark.java(), "-Xss8m", "-cp", classpath, "scala.tools.nsc.Main", "-usejavacp", "-nowarn"]
    command += ["-d", str(target), *map(str, sources)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotCompiled(f"the Scala compiler did not run: {error}") from error
    if done.returncode != 0 or not target.exists():
        raise NotCompiled("the Scala compiler refused: " + " | ".join((done.stdout + done.stderr).splitlines()[-5:]))


def main(arguments: Sequence[str]) -> int:
    """Compile what a release needs."""
    if len(arguments) != 1:
        print("usage: python -m emr_studio_cluster.classes RELEASE", file=sys.stderr)
        return 2
    try:
        jar = ensure_classes(arguments[0], cache_folder() / "classes" / arguments[0], default_folder(arguments[0]))
    except (NotCompiled, JarsUnavailable, spark.NoJava) as error:
        print(error, file=sys.stderr)
        return 1
    print(jar)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
