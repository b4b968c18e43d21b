"""What the sessions' controller asks of a running session, and of the machine, itself."""

from __future__ import annotations

from typing import Protocol

import httpx

from emr_studio.clock import SystemClock
from emr_studio.clusters.probe import NodeProbe
from emr_studio.clusters.sessions.model import SparkSession
from emr_studio.clusters.ui_keys import token_for, ui_key
from emr_studio.loopback import certificates
from emr_studio.network.model import GATEWAY_PORT

_WEB_PORT = 4040
_TIMEOUT_SECONDS = 2.0


class SessionProbe(Protocol):
    """Answers quickly and never raises."""

    def is_busy(self, row: SparkSession) -> bool | None:
        """Whether Spark jobs run in it; None if its Spark does not say."""
        ...

    def kernels(self, row: SparkSession) -> int | None:
        """How many kernels its gateway has; None if that does not answer."""
        ...

    def free_memory(self) -> int:
        """Memory of the machine that new processes can have, in MB."""
        ...


class SparkProbe:
    """Asks Spark's UI over HTTP."""

    def is_busy(self, row: SparkSession) -> bool | None:
        ui = f"http://{row.bind_ip}:{_WEB_PORT}/api/v1/applications"
        token = token_for(ui_key(row.secret), SystemClock().now())
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with httpx.Client(headers=headers, timeout=_TIMEOUT_SECONDS, verify=certificates()) as client:
                (application, *_rest) = client.get(ui).raise_for_status().json()
                jobs = client.get(f"{ui}/{application['id']}/jobs", params={"status": "running"})
                return bool(jobs.raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def kernels(self, row: SparkSession) -> int | None:
        url = f"http://{row.bind_ip}:{GATEWAY_PORT}/api/kernels"
        headers = {"Authorization": f"token {row.gateway_token}"}
        try:
            answer = httpx.get(url, headers=headers, timeout=_TIMEOUT_SECONDS, verify=certificates())
            return len(answer.raise_for_status().json())
        except (httpx.HTTPError, ValueError, TypeError):
            return None

    def free_memory(self) -> int:
        return NodeProbe().free_memory()
