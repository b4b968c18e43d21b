"""Run all benchmarks, or those named: `python -m bench workspaces api`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import api, backups, clusters, iam, page, results, s3, trail, workspaces
from tests.support.studio import Studio, running

BENCHMARKS: dict[str, Callable[[Studio], list[results.Figure]]] = {
    "workspaces": workspaces.measure,
    "page": page.measure,
    "backups": backups.measure,
    "clusters": clusters.measure,
    "api": api.measure,
    "iam": iam.measure,
    "trail": trail.measure,
    "s3": s3.measure,
}


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    figures: list[results.Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running(Path(folder) / "studio") as studio:
        for name in names:
            print(f"== {name}", flush=True)
            figures += BENCHMARKS[name](studio)
    results.write(figures)
    results.write_readme()
    print(results.table(figures))


if __name__ == "__main__":
    main()
