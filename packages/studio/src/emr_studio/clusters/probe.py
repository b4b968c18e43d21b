"""What the controller asks of a running cluster, and of the machine, itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from emr_studio.clock import SystemClock
from emr_studio.clusters.model import Cluster, Instance
from emr_studio.clusters.outside.model import Kind, kind_of
from emr_studio.clusters.ui_keys import token_for, ui_key
from emr_studio.loopback import certificates
from emr_studio.network.model import CONNECT_PORT, GATEWAY_PORT, LIVY_PORT
from emr_studio.runtime.door import HEALTH

_MASTER_WEB_PORT = 8080
_APPLICATION_WEB_PORT = 4040
_WORKER_WEB_PORT = 8081
_TIMEOUT_SECONDS = 2.0
_ALIVE = "ALIVE"
_DOORS: Mapping[Kind | None, int] = {Kind.SPARK_CONNECT: CONNECT_PORT, Kind.LIVY: LIVY_PORT}
"""Ports of the doors of clusters from outside."""


@dataclass(frozen=True)
class Load:
    """What a cluster's applications do and wait for."""

    running_tasks: int = 0
    waiting_tasks: int = 0
    running_applications: int = 0
    """Beside the Connect server, which is always there: what steps have submitted."""
    waiting_applications: int = 0
    """Those of them that have not got an executor yet."""
    cores_of_a_worker: int = 1
    """Cores that notebooks have on one worker."""

    @property
    def is_busy(self) -> bool:
        """True if anything runs or waits."""
        return bool(self.running_tasks or self.waiting_tasks or self.running_applications or self.waiting_applications)


class Probe(Protocol):
    """Answers quickly and never raises: what does not answer is not ready."""

    def alive_workers(self, primary: Instance) -> set[str]:
        """Addresses (`host`) of the workers that are registered at the master and alive."""
        ...

    def gateway_answers(self, cluster: Cluster, primary: Instance) -> bool:
        """True if the kernel gateway answers its API with the cluster's token."""
        ...

    def kernels(self, cluster: Cluster, primary: Instance) -> int | None:
        """How many kernels the gateway has; None if it does not answer."""
        ...

    def load(self, cluster: Cluster, primary: Instance) -> Load | None:
        """What runs and waits; None if Spark does not answer."""
        ...

    def decommission(self, primary: Instance, node: Instance) -> None:
        """Ask the master to give a worker nothing new; what runs there goes on."""
        ...

    def executors(self, node: Instance) -> int | None:
        """How many executors run on a worker; None if it does not answer."""
        ...

    def outside(self, cluster: Cluster, primary: Instance) -> tuple[str, str] | None:
        """Code and message of what keeps one from outside from serving, empty if it serves; None: not known."""
        ...

    def has_pages(self, address: str) -> bool:
        """True if Spark's web server at `host:port` has its pages: it listens before that, and then knows none."""
        ...

    def free_memory(self) -> int:
        """Memory of the machine that new processes can have, in MB."""
        ...


class NodeProbe:
    """Asks over HTTP."""

    def alive_workers(self, primary: Instance) -> set[str]:
        return {worker["host"] for worker in self._workers(primary) if worker["state"] == _ALIVE}

    def executors(self, node: Instance) -> int | None:
        # The worker itself: of one that is decommissioned the master never says that it is free.
        try:
            return len(_get(f"http://{node.bind_ip}:{_WORKER_WEB_PORT}/json/")["executors"])
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    def decommission(self, primary: Instance, node: Instance) -> None:
        url = f"http://{primary.bind_ip}:{_MASTER_WEB_PORT}/workers/kill/"
        # What does not answer is asked again with the next turn.
        with suppress(httpx.HTTPError):
            httpx.post(url, data={"host": node.bind_ip}, timeout=_TIMEOUT_SECONDS, verify=certificates())

    def _workers(self, primary: Instance) -> list[dict[str, Any]]:
        try:
            workers: list[dict[str, Any]] = _get(f"http://{primary.bind_ip}:{_MASTER_WEB_PORT}/json/")["workers"]
        except (httpx.HTTPError, ValueError, KeyError):
            return []
        return workers

    def gateway_answers(self, cluster: Cluster, primary: Instance) -> bool:
        return self._ask_gateway(cluster, primary, "/api/kernelspecs") is not None

    def kernels(self, cluster: Cluster, primary: Instance) -> int | None:
        found = self._ask_gateway(cluster, primary, "/api/kernels")
        return None if found is None else len(found)

    def has_pages(self, address: str) -> bool:
        try:
            # Whatever its filters answer without a token: where there is no page yet there is no filter either.
            answer = httpx.get(f"http://{address}/", timeout=_TIMEOUT_SECONDS, verify=certificates())
            return answer.status_code != httpx.codes.NOT_FOUND
        except httpx.HTTPError:
            return False

    def load(self, cluster: Cluster, primary: Instance) -> Load | None:
        token = token_for(ui_key(cluster.secret), SystemClock().now())
        headers = {"Authorization": f"Bearer {token}"}
        ui = f"http://{primary.bind_ip}:{_APPLICATION_WEB_PORT}/api/v1/applications"
        try:
            (application, *_rest) = _get(ui, headers)
            stages = _get(f"{ui}/{application['id']}/stages?status=active", headers)
            master = _get(f"http://{primary.bind_ip}:{_MASTER_WEB_PORT}/json/")
        except (httpx.HTTPError, ValueError, KeyError):
            return None
        others = [one for one in master["activeapps"] if one["id"] != application["id"]]
        running = sum(stage["numActiveTasks"] for stage in stages)
        done = sum(stage["numCompleteTasks"] + stage["numActiveTasks"] for stage in stages)
        waiting = [one for one in others if one["state"] == "WAITING"]
        return Load(
            running_tasks=running,
            waiting_tasks=max(0, sum(stage["numTasks"] for stage in stages) - done),
            running_applications=len(others) - len(waiting),
            waiting_applications=len(waiting),
        )

    def outside(self, cluster: Cluster, primary: Instance) -> tuple[str, str] | None:
        kind = kind_of(cluster)
        seen = self._health(cluster, primary, _DOORS.get(kind, GATEWAY_PORT))
        # The door sees whether it answers, our gateway whether it takes the token.
        if seen is not None and not seen[0] and kind is Kind.SPARK_CONNECT:
            return self._health(cluster, primary, GATEWAY_PORT)
        return seen

    def _health(self, cluster: Cluster, primary: Instance, port: int) -> tuple[str, str] | None:
        found = self._ask_gateway(cluster, primary, HEALTH, port)
        return None if found is None else (str(found.get("code", "")), str(found.get("message", "")))

    def _ask_gateway(self, cluster: Cluster, primary: Instance, what: str, port: int = GATEWAY_PORT) -> Any:
        headers = {"Authorization": f"token {cluster.gateway_token}"}
        try:
            return _get(f"http://{primary.bind_ip}:{port}{what}", headers)
        except (httpx.HTTPError, ValueError):
            return None

    def free_memory(self) -> int:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
        return 0


def _get(url: str, headers: Mapping[str, str] | None = None) -> Any:
    answer = httpx.get(url, headers=dict(headers or {}), timeout=_TIMEOUT_SECONDS, verify=certificates())
    return answer.raise_for_status().json()
