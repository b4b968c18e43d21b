"""A container-credentials endpoint that gives one key to whoever asks."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Keys(BaseHTTPRequestHandler):
    keys = ("", "")

    def do_GET(self) -> None:
        expiry = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
        told = {"AccessKeyId": self.keys[0], "SecretAccessKey": self.keys[1], "Token": "", "Expiration": expiry}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def container_keys(access_key_id: str, secret_access_key: str) -> Iterator[str]:
    """Its URL, until the end of the block."""
    handler = type("_OneKey", (_Keys,), {"keys": (access_key_id, secret_access_key)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
