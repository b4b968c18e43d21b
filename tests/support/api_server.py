"""Run an ASGI application under uvicorn on a free loopback port, so that real clients can call it.

    with serve(app) as endpoint_url:
        boto3.client("sts", endpoint_url=endpoint_url, ...)

Importable from every test: the root pyproject puts `tests/support` on pytest's path.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_START_SECONDS = 90.0


@contextmanager
def serve(app: Any, *, lifespan: bool = False) -> Iterator[str]:
    """Serve `app` in a thread; yields `http://127.0.0.1:PORT`; stops at the end.

    Args:
        app: an ASGI application.
        lifespan: whether the application has startup and shutdown handlers to run.

    Raises:
        RuntimeError: if the server did not start within 90 seconds.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on" if lifespan else "off",
        timeout_graceful_shutdown=2,
        # A client that comes back to its connection must not find it being closed.
        timeout_keep_alive=600,
        ws="none",
        date_header=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="test-api-server", daemon=True)
    thread.start()
    try:
        _wait_started(server, thread)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        listener.close()


def _wait_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the test server did not start")
        threading.Event().wait(0.005)
