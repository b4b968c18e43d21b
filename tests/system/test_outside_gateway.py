"""A stock Jupyter kernel gateway, registered as a cluster from outside: a Workspace's notebooks run on it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emr_studio.loopback import free_port
from tests.support.agent_rig import KernelGateway, Workspace
from tests.support.cluster_rig import ClusterRig, cluster_rig
from tests.support.studio import until
from tests.system.test_agent_kernels import start_kernel

TOKEN = "a-secret-of-theirs"
READY = "Cluster ready."


class Scene:
    """The gateway, and the clusters that lead to it."""

    def __init__(self, rig: ClusterRig, folder: Path, port: int) -> None:
        self.rig, self.folder, self.port = rig, folder, port
        self.gateway = self.start()

    def start(self) -> KernelGateway:
        # As it is without settings: it lists no kernels.
        self.gateway = KernelGateway(self.folder, TOKEN, self.port, listing=False)
        return self.gateway

    def register(self, token: str) -> str:
        return self.rig.register("JUPYTER_GATEWAY", f"http://127.0.0.1:{self.port}", Token=token)

    def is_ready(self, cluster_id: str) -> bool:
        return self.rig.reason(cluster_id) == {"Message": READY}

    def has_kernel(self, kernel_id: str) -> bool:
        """Whether the gateway itself has it."""
        headers = {"Authorization": f"token {TOKEN}"}
        found = httpx.get(f"http://127.0.0.1:{self.port}/api/kernels/{kernel_id}", headers=headers, timeout=30)
        return found.status_code == 200


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, port = tmp_path_factory.mktemp("outside"), free_port()
    (folder / "agent").mkdir()
    (folder / "agent" / "emr-studio.toml").write_text(f'outside_local_targets = "127.0.0.1:{port}"\n')
    with cluster_rig(folder) as rig:
        made = Scene(rig, folder, port)
        yield made
        made.gateway.close()


@pytest.fixture(scope="module")
def cluster_id(scene: Scene) -> str:
    cluster_id = scene.register(TOKEN)
    until("it is ready", lambda: scene.is_ready(cluster_id))
    return cluster_id


@pytest.fixture(scope="module")
def workspace(scene: Scene, cluster_id: str) -> Workspace:
    made = scene.rig.agent.launch("e-OUTSIDE", 200_701)
    scene.rig.agent.runtime.set_gateway(made.id, scene.rig.gateway(cluster_id))
    return made


def run(workspace: Workspace, kernel_id: str, code: str) -> str:
    """What a cell prints, run as the page does it: the Workspace's server asks the kernel."""
    with workspace.client() as client:
        answer = client.post(f"/api/kernels/{kernel_id}/execute", json={"code": code, "metadata": {}})
        assert answer.status_code == 202, answer.text
        place = answer.headers["Location"]
        done = until(f"{code} is done", lambda: _done(client, place))
    assert done is not None
    return "".join(output.get("text", "") for output in json.loads(done["outputs"]))


def _done(client: httpx.Client, place: str) -> dict[str, Any] | None:
    answer = client.get(place)
    return answer.json() if answer.status_code == 200 else None


def test_a_wrong_token_is_told(scene: Scene) -> None:
    cluster_id = scene.register("wrong")
    until("the refusal", lambda: scene.rig.reason(cluster_id).get("Code") == "CREDENTIALS_REFUSED")
    assert scene.rig.play.state(cluster_id) == "WAITING"
    scene.rig.play.emr.call("DeregisterCluster", ClusterId=cluster_id)
    scene.rig.until(cluster_id, "TERMINATED")


def test_a_notebook_runs_there(scene: Scene, workspace: Workspace) -> None:
    with workspace.client() as client:
        assert "pysparkkernel" in client.get("/api/kernelspecs").raise_for_status().json()["kernelspecs"]
    kernel_id = start_kernel(workspace)
    assert run(workspace, kernel_id, "x = 20; print(x + 1)") == "21\n"
    with workspace.client() as client:
        (listed,) = client.get("/api/kernels").raise_for_status().json()
        assert listed["id"] == kernel_id
        assert client.post(f"/api/kernels/{kernel_id}/restart").status_code == 200
    assert "NameError" not in run(workspace, kernel_id, "print(2)")
    assert scene.has_kernel(kernel_id)


def test_the_workspace_has_no_credentials_of_theirs(scene: Scene, cluster_id: str, workspace: Workspace) -> None:
    told = (scene.rig.agent.settings.workspace_run_dir(workspace.id) / "gateway.json").read_text()
    assert scene.rig.gateway(cluster_id).token in told
    assert TOKEN not in told
    assert TOKEN not in workspace.shell("env")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        assert TOKEN.encode() not in line or b"kernelgateway" in line, line


def test_one_that_goes_away_comes_back_by_itself(scene: Scene, cluster_id: str, workspace: Workspace) -> None:
    scene.gateway.process.send_signal(signal.SIGKILL)
    scene.gateway.process.wait(30)
    until("it is away", lambda: scene.rig.reason(cluster_id).get("Code") == "UNREACHABLE")
    assert scene.rig.play.state(cluster_id) == "WAITING"
    scene.gateway.close()
    scene.start()
    until("it is back", lambda: scene.is_ready(cluster_id))
    with workspace.client() as client:
        # What ran there is over: JupyterLab asks for this every few seconds.
        until("its kernels are forgotten", lambda: client.get("/api/kernels").json() == [])
    assert run(workspace, start_kernel(workspace), "print('again')") == "again\n"


def test_a_detach_ends_its_kernels_and_nothing_else(scene: Scene, cluster_id: str, workspace: Workspace) -> None:
    kernel_id = start_kernel(workspace)
    scene.rig.agent.runtime.set_gateway(workspace.id, None)
    until("the kernel is gone", lambda: not scene.has_kernel(kernel_id))
    scene.rig.terminate(cluster_id)
    assert scene.gateway.process.poll() is None
    reason = scene.rig.play.describe(cluster_id)["Status"]["StateChangeReason"]["Message"]
    assert reason == "Deregistered by user request; the cluster itself goes on"
