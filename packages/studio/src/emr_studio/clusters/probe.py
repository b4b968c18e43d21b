"""What the controller asks of a running cluster, and of the machine, itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import httpx

from emr_studio.clusters.model import Cluster, Instance
from emr_studio.network.model import GATEWAY_PORT

_MASTER_WEB_PORT = 8080
_TIMEOUT_SECONDS = 2.0
_ALIVE = "ALIVE"


class Probe(Protocol):
    """Answers quickly and never raises: what does not answer is not ready."""

    def alive_workers(self, primary: Instance) -> set[str]:
        """Addresses (`host`) of the workers that are registered at the master and alive."""
        ...

    def gateway_answers(self, cluster: Cluster, primary: Instance) -> bool:
        """True if the kernel gateway answers its API with the cluster's token."""
        ...

    def free_memory(self) -> int:
        """Memory of the machine that new processes can have, in MB."""
        ...


class NodeProbe:
    """Asks over HTTP."""

    def alive_workers(self, primary: Instance) -> set[str]:
        try:
            answer = httpx.get(f"http://{primary.bind_ip}:{_MASTER_WEB_PORT}/json/", timeout=_TIMEOUT_SECONDS)
            workers = answer.json()["workers"]
        except (httpx.HTTPError, ValueError, KeyError):
            return set()
        return {worker["host"] for worker in workers if worker["state"] == _ALIVE}

    def gateway_answers(self, cluster: Cluster, primary: Instance) -> bool:
        headers = {"Authorization": f"token {cluster.gateway_token}"}
        try:
            answer = httpx.get(
                f"http://{primary.bind_ip}:{GATEWAY_PORT}/api/kernelspecs", headers=headers, timeout=_TIMEOUT_SECONDS
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    def free_memory(self) -> int:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
        return 0
