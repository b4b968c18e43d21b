"""An OpenID Connect issuer on loopback: discovery, keys that it can roll over, tokens that tests may bend."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

DISCOVERY = "/id/.well-known/openid-configuration"


@dataclass
class Issuer:
    """The issuer; `answers` may replace what an address answers: (status, headers, body)."""

    url: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hold: threading.Event | None = None
    was_asked: threading.Event = field(default_factory=threading.Event)

    def new_key(self, kid: str, kind: type[RSAKey] | type[ECKey] = RSAKey) -> None:
        """Sign with a new key from now on; the older ones are published no more."""
        size: Any = 2048 if kind is RSAKey else "P-256"
        self.keys = [kind.generate_key(size, {"kid": kid, "use": "sig"})]

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        self.was_asked.set()
        if self.hold is not None:
            self.hold.wait(120)
        if path in self.answers:
            return self.answers[path]
        if path == DISCOVERY:
            return 200, {}, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/id/keys":
            return 200, {}, json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        return 404, {}, b"{}"

    def token(self, algorithm: str = "RS256", *, header: Any = None, **claims: Any) -> str:
        """A signed ID token; `header` has more members of its header."""
        now = int(time.time())
        said = {"iss": self.url, "sub": "repo:team/app", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 300}
        kept = {name: value for name, value in (said | claims).items() if value is not None}
        protected = {"alg": algorithm, "kid": self.keys[0].kid} | (header or {})
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        return jwt.encode(protected, kept, self.keys[0], registry=registry)


def unsigned(claims: dict[str, Any]) -> str:
    """A token of the algorithm `none`."""
    return ".".join([*(_part(json.dumps(part).encode()) for part in ({"alg": "none"}, claims)), ""])


def critical(made: Issuer) -> str:
    """A rightly signed token with a critical header that nobody knows; the library makes none."""
    header = {"alg": "RS256", "kid": made.keys[0].kid, "crit": ["x"], "x": 1}
    now = int(time.time())
    claims = {"iss": made.url, "sub": "s", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 300}
    signed = ".".join(_part(json.dumps(part).encode()) for part in (header, claims))
    key: Any = made.keys[0].private_key
    return f"{signed}.{_part(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Serve an issuer with one RSA key."""
    made = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = made.answer(self.path)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/id"
    made.new_key("k1")
    yield made
    server.shutdown()
    server.server_close()
    thread.join()
