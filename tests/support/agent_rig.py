"""A real host agent in a folder of its own, and what a test asks of the Workspaces it runs."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, unix_connect
from websockets.typing import Subprotocol

from emr_studio.aws.context import Caller
from emr_studio.edge.identity import IdentityIssuer
from emr_studio.loopback import free_port
from emr_studio.runtime.client import LocalRuntime
from emr_studio.runtime.contract import Observation, RuntimeUnavailable, WorkloadState, WorkspaceSpec
from emr_studio.runtime.processes import start_time
from emr_studio.settings import Settings
from emr_studio_cluster.config import GATEWAY_PORT, KERNELS_PORT

_RUN = """
from pathlib import Path
from emr_studio.runtime.agent import run_agent
from emr_studio.settings import Settings
run_agent(Settings(data_dir=Path({folder!r})))
"""
ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Return what `condition` returns as soon as it is true; fail after `seconds` (which nothing that works takes)."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    return start_time(pid) is not None


class AgentRig:
    """The agent, its client, and Workspaces without a mirror."""

    def __init__(self, folder: Path, uid: int = 0) -> None:
        self._uid = uid
        self.settings = Settings(data_dir=folder)
        self.runtime = LocalRuntime(self.settings)
        self.issuer = IdentityIssuer(self.settings)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start an agent; returns when it answers."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.settings.data_dir / "agent.out").open("ab") as out:
            argv = [sys.executable, "-c", _RUN.format(folder=str(self.settings.data_dir))]
            if self._uid:
                argv = ["setpriv", f"--reuid={self._uid}", f"--regid={self._uid}", "--clear-groups", *argv]
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            self.runtime.list()
        except RuntimeUnavailable:
            return False
        return True

    def kill(self) -> None:
        """kill -9 of the agent alone."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Stop everything."""
        if self.process is not None and self.process.poll() is None:
            with suppress(RuntimeUnavailable):
                self.runtime.shutdown(keep=False)
            self.process.terminate()
            self.process.wait(120)

    def spec(self, workspace_id: str, uid: int = 0, **extra: Any) -> WorkspaceSpec:
        """A Workspace that keeps nothing in S3."""
        values: dict[str, Any] = {
            "workload_id": workspace_id,
            "owner": workspace_id,
            "name": "My first",
            "s3_location": "",
            "s3_endpoint_url": "",
            "region": "us-east-1",
            "credentials_url": "",
            "credentials_token": "",
            "identity_public_key": self.issuer.public_key_pem,
            "uid": uid,
            "origin": f"http://{workspace_id.lower()}.workspace.localhost:8080",
            "default_notebook": "My first.ipynb",
        }
        return WorkspaceSpec(**(values | extra))

    def launch(self, workspace_id: str, uid: int = 0, **extra: Any) -> Workspace:
        """Launch a Workspace and wait until it runs."""
        self.runtime.launch(self.spec(workspace_id, uid, **extra))
        return Workspace(self, self.started(workspace_id))

    def started(self, workload_id: str) -> Observation:
        """Wait until it runs."""
        deadline = time.monotonic() + 240
        seen = self.runtime.observe(workload_id)
        while seen.state is WorkloadState.STARTING and time.monotonic() < deadline:
            seen = self.runtime.wait(workload_id, WorkloadState.STARTING, 10)
        assert seen.state is WorkloadState.RUNNING, (seen, self.runtime.logs(workload_id))
        return seen

    def ended(self, workload_id: str) -> Observation:
        """Wait until it has ended."""
        until(lambda: self.runtime.observe(workload_id).state is WorkloadState.EXITED)
        return self.runtime.observe(workload_id)


@contextmanager
def unprivileged(uid: int) -> Iterator[AgentRig]:
    """An agent that is not root, in a folder that its user can reach."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        os.chown(name, uid, uid)
        rig = AgentRig(Path(name), uid)
        # Made by the rig, as root; the agent's user must be able to write beside it.
        for folder in (rig.settings.data_dir, rig.settings.keys_dir):
            os.chown(folder, uid, uid)
        rig.start()
        try:
            yield rig
        finally:
            rig.close()


class Workspace:
    """A running Workspace, as the edge and its user see it."""

    def __init__(self, rig: AgentRig, seen: Observation) -> None:
        self.id, self.pid = seen.workload_id, seen.pid
        self._rig = rig
        self.socket = seen.address.removeprefix("unix/")

    def token(self, audience: str = "", arn: str = "", age: float = 0.0) -> str:
        """An identity token as the edge issues it, `age` seconds ago."""
        caller = Caller(
            account_id="123456789012",
            kind="user",
            principal_arn=arn or "arn:aws:iam::123456789012:user/ana",
            arn=arn or "arn:aws:iam::123456789012:user/ana",
            user_id="AIDAEXAMPLE",
            user_name="ana",
        )
        now = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age)
        return self._rig.issuer.issue(audience or self.id, caller, now)

    @contextmanager
    def client(self, token: str | None = None) -> Iterator[httpx.Client]:
        """An HTTP client of this Workspace, signed in."""
        headers = {"X-Emr-Studio-Identity": self.token() if token is None else token}
        transport = httpx.HTTPTransport(uds=self.socket)
        with httpx.Client(transport=transport, base_url="http://workspace", headers=headers, timeout=60) as client:
            if token is None:
                client.get("/lab")
                client.headers["X-XSRFToken"] = client.cookies["_xsrf"]
            yield client

    def connect(self, path: str, subprotocols: Sequence[str] = ()) -> ClientConnection:
        """A websocket of this Workspace, signed in."""
        headers = {"X-Emr-Studio-Identity": self.token()}
        return unix_connect(
            self.socket,
            uri=f"ws://workspace{path}",
            additional_headers=headers,
            open_timeout=60,
            max_size=None,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        )

    def shell(self, command: str, seconds: float = 120.0) -> str:
        """What `command` prints in a terminal of this Workspace."""
        mark = uuid.uuid4().hex
        with self.client() as client:
            name = client.post("/api/terminals").raise_for_status().json()["name"]
        with self.connect(f"/terminals/websocket/{name}") as stream:
            # The mark is put together by the shell, so that the echo of the command does not hold it.
            line = f"stty -echo; echo; echo '{mark[:16]}''{mark[16:]}'; {command}; echo '{mark[16:]}''{mark[:16]}'\r"
            stream.send(json.dumps(["stdin", line]))
            text, deadline = "", time.monotonic() + seconds
            while mark[16:] + mark[:16] not in text:
                assert time.monotonic() < deadline, text
                kind, *rest = json.loads(stream.recv(timeout=seconds))
                text += rest[0] if kind == "stdout" else ""
        # What the command left behind, a fork bomb perhaps, may keep the server from answering for long.
        with suppress(httpx.TransportError), self.client() as client:
            client.delete(f"/api/terminals/{name}")
        return text.split(mark)[1].split(mark[16:] + mark[:16])[0].strip().replace("\r\n", "\n")


def _kernelspec(folder: Path) -> None:
    """A kernel of the name that a cluster offers; here it is a plain Python."""
    folder.mkdir(parents=True, exist_ok=True)
    python = str(ROOT / ".envs/emr-8.0.0/bin/python")
    argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "PySpark", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


class KernelGateway:
    """A real Jupyter kernel gateway, as runs on a cluster's primary node."""

    def __init__(self, folder: Path, token: str = "gateway-secret", port: int = 0, listing: bool = True) -> None:
        self.port, self.token = port or free_port(), token
        self._log = (folder / f"gateway-{self.port}.log").open("ab")
        argv = [
            str(ROOT / ".envs/emr-8.0.0/bin/jupyter-kernelgateway"),
            "--KernelGatewayApp.ip=127.0.0.1",
            f"--KernelGatewayApp.port={self.port}",
            "--KernelGatewayApp.port_retries=0",
            f"--KernelGatewayApp.auth_token={token}",
            f"--JupyterWebsocketPersonality.list_kernels={listing}",
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        _kernelspec(folder / ".local/share/jupyter/kernels/pysparkkernel")
        self.process = subprocess.Popen(argv, stdout=self._log, stderr=self._log, env=environment, cwd=folder)
        until(self._answers)

    host = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def kernels(self) -> list[dict[str, Any]]:
        """Kernels that run on it."""
        headers = {"Authorization": f"token {self.token}"}
        found: list[dict[str, Any]] = httpx.get(
            f"http://{self.address}/api/kernels", headers=headers, timeout=60
        ).json()
        return found

    def kernel(self, kernel_id: str) -> dict[str, Any]:
        """One of them."""
        return next(found for found in self.kernels() if found["id"] == kernel_id)

    def end(self, kernel_id: str) -> None:
        """Shut it down."""
        headers = {"Authorization": f"token {self.token}"}
        httpx.delete(f"http://{self.address}/api/kernels/{kernel_id}", headers=headers, timeout=120).raise_for_status()

    def _answers(self) -> bool:
        try:
            # One that lists none says so in a dictionary.
            return isinstance(self.kernels(), (list, dict))
        except (httpx.HTTPError, ValueError):
            return False

    def close(self) -> None:
        """Stop it and its kernels."""
        self.process.terminate()
        self.process.wait(120)
        self._log.close()


class ClusterGateway(KernelGateway):
    """The kernel gateway of our clusters, with their kernels but without their Spark."""

    def __init__(self, folder: Path) -> None:
        chance = random.SystemRandom()
        self.host, self.port = f"127.{chance.randint(201, 220)}.{chance.randint(1, 250)}.1", GATEWAY_PORT
        self.token = "gateway-secret"
        self._folder = folder
        node = {"cluster_id": "j-A", "address": self.host, "primary_address": self.host, "local_mode": True}
        secrets = {"secret": "s", "connect_token": "t", "gateway_token": self.token}
        (folder / "node.json").write_text(json.dumps(node | secrets | {"kernel_host": True}))
        self._log = (folder / "gateway.log").open("ab")
        self._host = self._start("kernels")
        until(self._host_answers)
        self.start()

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        argv = [str(ROOT / ".envs/emr-8.0.0/bin/python"), "-m", "emr_studio_cluster.node", program, str(self._folder)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
        environment["PYTHONPATH"] = str(ROOT / "packages/cluster/src")
        return subprocess.Popen(argv, stdout=self._log, stderr=self._log, env=environment, cwd=self._folder)

    def _host_answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, KERNELS_PORT), 1):
            return True
        return False

    def start(self) -> None:
        """Start the gateway itself; it finds the kernels of the one before."""
        self.process = self._start("gateway")
        until(self._answers)

    def kill(self) -> None:
        """kill -9 of the gateway alone; its kernels go on."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Stop it and its kernels."""
        super().close()
        self._host.terminate()
        self._host.wait(120)
