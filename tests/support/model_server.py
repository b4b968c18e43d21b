"""A server that speaks OpenAI's API on loopback: says what a test has it say, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ModelServer:
    """`says` makes the answer's texts from a request; `raw` is sent in their place, `status` with either."""

    url: str = ""
    says: Callable[[dict[str, Any]], list[str]] = lambda _asked: ["1 + 1"]
    status: int = 200
    raw: bytes | None = None
    asked: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    """Path, body and `Authorization` of each request."""
    free: threading.Event = field(default_factory=threading.Event)
    """Cleared, it keeps every answer back."""

    def answer(self, path: str, body: dict[str, Any], key: str | None) -> tuple[int, bytes]:
        """Keep a request, and wait until it may be answered."""
        self.asked.append((path, body, key))
        self.free.wait(60)
        if self.raw is not None:
            return self.status, self.raw
        texts = self.says(body)
        chat = path.endswith("/chat/completions")
        choices = [
            {"message": {"role": "assistant", "content": text}} if chat else {"index": index, "text": text}
            for index, text in enumerate(texts)
        ]
        return self.status, json.dumps({"choices": choices}).encode()


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """Serve until the end of the block; `url` is what `suggestions_url` takes."""
    model = ModelServer()
    model.free.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = model.answer(self.path, body, self.headers["authorization"])
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(answer)
            except ConnectionError:
                self.close_connection = True  # whoever asked has gone

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield model
    finally:
        model.free.set()
        server.shutdown()
        thread.join()
        server.server_close()
