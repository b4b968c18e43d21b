"""The kernel gateway: the REST and websocket protocol of Jupyter's kernels at port 18888.

`jupyter_kernel_gateway` with a token; no page of another origin may use it (CORS stays off), idle
kernels are not culled unless the cluster says so (`culling.py`), and a lost websocket is noticed by pings.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpecManager
from kernel_gateway.gatewayapp import KernelGatewayApp
from kernel_gateway.mixins import JSONErrorsMixin, TokenAuthorizationMixin
from kernel_gateway.services.kernels.manager import SeedingMappingKernelManager
from tornado.web import HTTPError, RequestHandler
from traitlets import default
from traitlets.config import Config

from emr_studio_cluster import crowding, driver, far_connect, journal, provisioner, tools
from emr_studio_cluster.config import GATEWAY_PORT, SPARK_CONNECT, NodeConfig
from emr_studio_cluster.culling import culling_of
from emr_studio_cluster.kernel import LANGUAGES, names_of

_PING_SECONDS = 30
_RECONNECT_MILLISECONDS = 10
_LONGEST_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_EXECUTION = r"/api/kernels/(?P<kernel_id>[\w-]+)/executions/(?P<execution>[\w-]+)"


class Specs(KernelSpecManager):  # type: ignore[misc]  # jupyter_client is in the cluster's environment alone
    """Our kernels, and those that somebody has added to the cluster: none that the machine has."""

    @default("kernel_dirs")  # type: ignore[untyped-decorator]  # as above
    def _kernel_dirs_default(self) -> list[str]:
        # What `jupyter kernelspec install --user` writes, and what a package brings that pip installs for all.
        packages = tools.python_packages(Path(os.environ[driver.NODE_FOLDER]))
        return [str(Path(os.environ["JUPYTER_DATA_DIR"], "kernels")), str(packages / "share" / "jupyter" / "kernels")]


class Kernels(SeedingMappingKernelManager):  # type: ignore[misc]  # kernel_gateway is in the cluster's environment alone
    """The gateway's, which takes a kernel's journal away with the kernel."""

    node: NodeConfig | None = None
    """Set once those of the gateway before this one have been taken over: they run already."""

    async def start_kernel(self, *arguments: Any, **options: Any) -> Any:
        """Start one, if there is room (`crowding.py`)."""
        if self.node is not None:
            try:
                environment = crowding.admit(self.node, len(self.list_kernel_ids()), options.get("env"))
            except crowding.Crowded as error:
                raise HTTPError(403, str(error), reason=crowding.REASON) from error
            options |= {"env": environment} if environment is not None else {}
        return await super().start_kernel(*arguments, **options)

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget it."""
        shutil.rmtree(journal.folder_of(Path(os.environ[driver.NODE_FOLDER]), kernel_id), ignore_errors=True)
        return super().remove_kernel(kernel_id)


class ExecutionHandler(TokenAuthorizationMixin, JSONErrorsMixin, RequestHandler):  # type: ignore[misc]  # as above
    """Reads out what a kernel said of an execution (`journal.py`)."""

    async def get(self, kernel_id: str, execution: str) -> None:
        """Answer at once if there is something to tell, else when there is or after `wait` seconds."""
        try:
            start, wait = int(self.get_argument("from", "0")), float(self.get_argument("wait", "0"))
        except ValueError as error:
            raise HTTPError(400, "from and wait are numbers.") from error
        folder = journal.folder_of(Path(os.environ[driver.NODE_FOLDER]), kernel_id)
        deadline = time.monotonic() + min(wait, _LONGEST_WAIT_SECONDS)
        messages, following = self._read(kernel_id, folder, execution, start)
        while not messages and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            messages, following = self._read(kernel_id, folder, execution, start)
        self.finish(json.dumps({"messages": messages, "next": following}))

    def _read(self, kernel_id: str, folder: Path, execution: str, start: int) -> tuple[list[Any], int]:
        if kernel_id not in self.settings["kernel_manager"]:
            raise HTTPError(404, "There is no such kernel.")
        return journal.read(folder, execution, max(0, start))


class HealthHandler(TokenAuthorizationMixin, JSONErrorsMixin, RequestHandler):  # type: ignore[misc]  # as above
    """Tells whether Spark serves that is not ours (`far_connect.py`)."""

    def initialize(self, health: far_connect.Health) -> None:
        """Tornado's."""
        self._health = health

    def get(self) -> None:
        """Answer at once."""
        if self._health.told is None:
            raise HTTPError(503, "It was not asked yet.")
        self.finish(json.dumps(self._health.told))


class Gateway(KernelGatewayApp):  # type: ignore[misc]  # as above
    """The gateway, which has the kernels of the one before it when it begins to listen.

    Whoever asks for one of them in between would be told that it has ended, and give up what runs in it.
    """

    host: provisioner.HostClient | None = None

    def init_http_server(self) -> None:
        """Take over, then listen."""
        # A kernel listens some hundredths of a second after it is forked; the usual pause is a tenth.
        self.kernel_manager.context.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MILLISECONDS)
        if (host := self.host) is not None:
            self.io_loop.run_sync(lambda: _take_over(self.kernel_manager, host))
        super().init_http_server()


def run(config: NodeConfig, folder: Path) -> None:
    """Serve until a signal ends it; kernels of the host outlive it, its own end with it."""
    _prepare_environment(config, folder)
    _write_kernelspecs(folder, names_of(config.outside))
    os.chdir(_made(folder / "kernels"))
    app = Gateway.instance(config=_configuration(config, folder))
    app.host = provisioner.use_host(config) if config.kernel_host else None
    app.initialize(argv=[])
    app.kernel_manager.node = config
    app.web_app.add_handlers(".*$", [(_EXECUTION, ExecutionHandler)])
    if config.outside == SPARK_CONNECT:
        _watch_outside(app, config)
    app.start()


def _watch_outside(app: Any, config: NodeConfig) -> None:
    """Begin to ask the outside whether it serves, and tell who asks."""
    health = far_connect.Health(lambda: far_connect.ask(config), lambda: bool(app.kernel_manager.list_kernel_ids()))
    app.web_app.add_handlers(".*$", [(r"/_health", HealthHandler, {"health": health})])
    health.watch()


async def _take_over(kernels: Any, host: provisioner.HostClient) -> None:
    """Kernels of a gateway before this one go on as this one's."""
    try:
        found = await asyncio.to_thread(host.ask, "list")
    except provisioner.HostUnreachable as error:
        # At a cluster's start the host is not there yet, and so are no kernels.
        print(f"No kernels to take over: {error}", flush=True)
        return
    for one in found["kernels"]:
        told = {name: value for name, value in one["env"].items() if name.startswith("KERNEL_")}
        # What it gets when it is restarted, all of it.
        environment = dict(os.environ) | told
        await kernels.start_kernel(kernel_id=one["id"], kernel_name=one["argv"][0], env=environment)


def _prepare_environment(config: NodeConfig, folder: Path) -> None:
    # Kernels inherit this. Nothing of the gateway's user is read: only what lies in the folder.
    places = {"JUPYTER_DATA_DIR": "data", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime"}
    places |= {"IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib", "HOME": "home"}
    for name, place in places.items():
        os.environ[name] = str(_made(folder / place))
    os.environ["JUPYTER_NO_CONFIG"] = "1"
    # Who adds a kernel to the cluster writes it where the gateway looks (`Specs`).
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
    os.environ[driver.NODE_FOLDER] = str(folder)
    os.environ.update(driver.shell_environment(config, folder))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_kernelspecs(folder: Path, names: Mapping[str, str]) -> None:
    for name, display_name in names.items():
        spec = {
            "argv": [sys.executable, "-m", "emr_studio_cluster.kernel", name, "-f", "{connection_file}"],
            "display_name": display_name,
            "language": LANGUAGES.get(name, "python"),
            "interrupt_mode": "signal",
            "metadata": {"debugger": name not in LANGUAGES},
        }
        (_made(folder / "data" / "kernels" / name) / "kernel.json").write_text(json.dumps(spec))


def _configuration(config: NodeConfig, folder: Path) -> Config:
    settings: dict[str, dict[str, Any]] = {
        "KernelGatewayApp": {
            "ip": config.address,
            "port": GATEWAY_PORT,
            "port_retries": 0,
            "auth_token": config.gateway_token,
            "allow_origin": "",
            "allow_credentials": "",
            "default_kernel_name": "pysparkkernel",
            "kernel_manager_class": Kernels,
            "kernel_spec_manager_class": Specs,
            "ws_ping_interval": _PING_SECONDS,
            # A client may name variables of its own (KERNEL_...); the rest is the gateway's.
            "env_process_whitelist": sorted(os.environ),
            "cookie_secret_file": str(folder / "runtime" / "cookie_secret"),
            "log_level": "INFO",
        },
        "JupyterWebsocketPersonality": {"list_kernels": True},
        "KernelSpecManager": {
            "ensure_native_kernel": False,
            "allowed_kernelspecs": set(names_of(config.outside)) if config.outside else set(),
        },
        "Kernels": {"root_dir": str(folder / "kernels"), **culling_of(config.jeg_config)},
    }
    return Config(settings)
