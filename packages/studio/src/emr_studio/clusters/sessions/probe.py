"""What the sessions' controller asks of a running session, and of the machine, itself."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Protocol

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from emr_studio.clusters.probe import NodeProbe
from emr_studio.clusters.sessions.model import SparkSession

_WEB_PORT = 4040
_TIMEOUT_SECONDS = 2.0
_TOKEN_SECONDS = 60


class SessionProbe(Protocol):
    """Answers quickly and never raises."""

    def is_busy(self, row: SparkSession) -> bool | None:
        """Whether Spark jobs run in it; None if its Spark does not say."""
        ...

    def free_memory(self) -> int:
        """Memory of the machine that new processes can have, in MB."""
        ...


class SparkProbe:
    """Asks Spark's UI over HTTP, with a token that its filter takes (`org.apache.spark.ui.JWSFilter`)."""

    def is_busy(self, row: SparkSession) -> bool | None:
        ui = f"http://{row.bind_ip}:{_WEB_PORT}/api/v1/applications"
        claims = {"exp": int(time.time()) + _TOKEN_SECONDS}
        token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(_key_bytes(row.secret)))
        try:
            with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_SECONDS) as client:
                (application, *_rest) = client.get(ui).raise_for_status().json()
                jobs = client.get(f"{ui}/{application['id']}/jobs", params={"status": "running"})
                return bool(jobs.raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def free_memory(self) -> int:
        return NodeProbe().free_memory()


def ui_key(secret: str) -> str:
    """Base64url of the key of a session's UI, for its `node.json`."""
    return base64.urlsafe_b64encode(_key_bytes(secret)).decode()


def _key_bytes(secret: str) -> bytes:
    return hashlib.sha256(b"spark-ui" + secret.encode()).digest()
