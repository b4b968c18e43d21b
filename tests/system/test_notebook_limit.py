"""A real kernel gateway on a node that is meant for few notebooks: one more is warned, or refused, as settings say."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from emr_studio.clusters.catalog.instance_types import notebooks
from emr_studio.runtime.contract import Gateway
from emr_studio.settings import Settings
from tests.support.cluster_rig import Kernel
from tests.support.studio import until

TOKEN = "the-gateways"


@contextmanager
def gateway(folder: Path, limit: str) -> Iterator[Gateway]:
    """That of a primary node of the smallest size, without a Spark: kernels of Python need none."""
    octets = [random.SystemRandom().randint(2, 250) for _ in range(2)]
    address = f"127.250.{octets[0]}.{octets[1]}"
    node = {"cluster_id": "j-LIMIT", "address": address, "primary_address": address, "local_mode": True, "secret": "s"}
    node |= {"connect_token": "", "gateway_token": TOKEN, "instance_type": "t3.medium", "notebook_limit": limit}
    place = folder / "j-LIMIT" / "gateway"
    place.mkdir(parents=True)
    (place / "node.json").write_text(json.dumps(node | {"notebooks": notebooks("t3.medium")}))
    command = [str(Settings().env_python("emr-8.0.0")), "-m", "emr_studio_cluster.node", "gateway", str(place)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    found = Gateway(f"{address}:18888", TOKEN, "j-LIMIT")
    try:
        until("the gateway answers", lambda: answers(found, process))
        yield found
    finally:
        process.terminate()
        process.wait(60)


def answers(gateway: Gateway, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the gateway ended"
    try:
        return asked(gateway, "GET").status_code == 200
    except httpx.HTTPError:
        return False


def asked(gateway: Gateway, method: str, **body: str) -> httpx.Response:
    url, headers = f"http://{gateway.address}/api/kernels", {"Authorization": f"token {gateway.token}"}
    return httpx.request(method, url, json=body or None, headers=headers, timeout=120)


@pytest.mark.capability("CL-09")
def test_one_more_is_refused(tmp_path: Path) -> None:
    with gateway(tmp_path, "refuse") as place:
        two = [Kernel(place, "python3") for _ in range(2)]
        refused = asked(place, "POST", name="python3")
        assert (refused.status_code, refused.json()["reason"]) == (403, "Resource Limit")
        assert "(t3.medium) is meant for 2 notebooks at once, and 2 run on it already" in refused.json()["message"]
        two[0].close()
        third = Kernel(place, "python3")
        assert third.run("print(1)") == "1\n"
        for kernel in (two[1], third):
            kernel.close()


@pytest.mark.capability("CL-09")
def test_one_more_is_warned(tmp_path: Path) -> None:
    with gateway(tmp_path, "warn") as place:
        kernels = [Kernel(place, "python3") for _ in range(3)]
        assert kernels[1].run("print(1)") == "1\n"
        assert "(t3.medium) is meant for 2 notebooks at once, and 2 run on it" in kernels[2].run("print(1)")
        assert kernels[2].run("print(1)") == "1\n"
        for kernel in kernels:
            kernel.close()
