"""How the gateway starts kernels: by the kernels' host, and takes over those that it finds there.

Taking over is starting: asked for a kernel that runs already, the host names it, and Jupyter's own
code goes on as if it had just been started.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.connect import LocalPortCache
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from emr_studio_cluster.config import KERNELS_PORT, NodeConfig

_OURS = ["-m", "emr_studio_cluster.kernel"]
_TIMEOUT_SECONDS = 10.0
_HOST_SECONDS = 60.0
_RETRY_SECONDS = 0.2


class HostUnreachable(OSError):
    """The kernels' host does not answer, or refuses."""


class HostClient:
    """Asks the host of this node."""

    def __init__(self, config: NodeConfig) -> None:
        self._address = (config.address, KERNELS_PORT)
        self._token = config.gateway_token

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """One question, one answer.

        Raises:
            HostUnreachable: with the reason.
        """
        question = json.dumps({"token": self._token, "op": operation, **request}) + "\n"
        try:
            with socket.create_connection(self._address, _TIMEOUT_SECONDS) as connection:
                connection.sendall(question.encode())
                with connection.makefile("rb") as file:
                    answer: dict[str, Any] = json.loads(file.readline())
        except (OSError, ValueError) as error:
            raise HostUnreachable(f"the kernels' host does not answer: {error}") from error
        if "error" in answer:
            raise HostUnreachable(answer["error"])
        return answer


class HostedProcess:
    """A kernel of the host, as Jupyter's code knows processes."""

    stdin = stdout = stderr = None

    def __init__(self, host: HostClient, kernel_id: str, pid: int) -> None:
        self._host = host
        self._kernel_id = kernel_id
        self.pid = pid

    def poll(self) -> int | None:
        """Its exit code; None while it runs, or while the host that would know is away but the kernel is not."""
        try:
            code: int | None = self._host.ask("poll", id=self._kernel_id)["exit_code"]
        except HostUnreachable:
            return None if Path(f"/proc/{self.pid}").exists() else -int(signal.SIGKILL)
        return code

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        """Signal it alone; a gone one is fine."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class HostProvisioner(LocalProvisioner):  # type: ignore[misc]  # jupyter_client is in the cluster's environment alone
    """Jupyter's own provisioner, but for who makes the process."""

    host: HostClient

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """A kernel that is taken over keeps the ports and the key that it has."""
        manager = self.parent
        if await self._is_running():
            self._take_over()
            kwargs.pop("extra_arguments", None)
            return {"cmd": manager.format_kernel_cmd(), **kwargs, "env": kwargs.get("env", dict(os.environ))}
        return dict(await super().pre_launch(**kwargs))

    def _take_over(self) -> None:
        """Its ports and key are in its file; they stay the same when it is restarted, as clients expect."""
        manager = self.parent
        manager.load_connection_file()
        manager._connection_file_written = True
        self.connection_info = manager.get_connection_info()
        ports = [port for name, port in self.connection_info.items() if name.endswith("_port")]
        LocalPortCache.instance().currently_used_ports.update(ports)
        self.ports_cached = True

    async def _is_running(self) -> bool:
        """Whether the host has it already. A host that has just died is waited for: it is started again."""
        deadline = time.monotonic() + _HOST_SECONDS
        while True:
            try:
                return any(one["id"] == self.kernel_id for one in self.host.ask("list")["kernels"])
            except HostUnreachable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Let the host fork it: `python -m emr_studio_cluster.kernel KIND -f FILE`, or what somebody has added."""
        named = {"argv": cmd[3:]} if cmd[1:3] == _OURS else {"argv": [self.parent.kernel_name], "command": cmd}
        asked = {"env": dict(kwargs["env"]), "cwd": kwargs.get("cwd") or str(Path.cwd())}
        self.pid = self.host.ask("start", id=self.kernel_id, **named, **asked)["pid"]
        self.pgid = self.pid
        self.process = HostedProcess(self.host, self.kernel_id, self.pid)
        return dict(self.connection_info)


def use_host(config: NodeConfig) -> HostClient:
    """Let all kernels of this process be the host's."""
    client = HostClient(config)

    class Factory(KernelProvisionerFactory):  # type: ignore[misc]  # as above
        def create_provisioner_instance(self, kernel_id: str, kernel_spec: Any, parent: Any) -> HostProvisioner:
            made = HostProvisioner(kernel_id=kernel_id, kernel_spec=kernel_spec, parent=parent)
            made.host = client
            return made

    # It becomes the one instance that Jupyter's code asks for.
    Factory.instance()
    return client
