"""One more replica of the control plane, in a process of its own.

    with replica(settings) as endpoint: ...

It shares the database and the keys with whoever made `settings`, and no memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from emr_studio.settings import Settings
from tests.support.api_server import serve


@contextmanager
def replica(settings: Settings) -> Iterator[str]:
    """Start it, tell its endpoint, end it."""
    environment = os.environ | {
        "EMR_STUDIO_DATA_DIR": str(settings.data_dir),
        "EMR_STUDIO_DATABASE_URL": settings.sqlalchemy_url,
    }
    argv = [sys.executable, "-m", "tests.support.replica"]
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        endpoint = process.stdout.readline().strip()
        assert endpoint.startswith("http://"), "the replica did not start"
        yield endpoint
    finally:
        process.stdin.close()  # it ends when nobody holds the other end
        process.wait(timeout=120)
        process.stdout.close()


def main() -> None:
    """Serve until standard input ends."""
    from emr_studio import app

    plane = app.build_api(Settings())
    with serve(plane.application) as endpoint:
        print(endpoint, flush=True)
        sys.stdin.read()
    plane.close()


if __name__ == "__main__":
    main()
