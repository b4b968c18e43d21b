"""The kernel gateway: the REST and websocket protocol of Jupyter's kernels at port 18888.

`jupyter_kernel_gateway` with a token; no page of another origin may use it (CORS stays off), idle
kernels are not culled unless the cluster says so, and a lost websocket is noticed by pings.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from kernel_gateway.gatewayapp import KernelGatewayApp
from tornado.ioloop import IOLoop
from traitlets.config import Config

from emr_studio_cluster import driver, provisioner
from emr_studio_cluster.config import GATEWAY_PORT, NodeConfig
from emr_studio_cluster.kernel import DISPLAY_NAMES, LANGUAGES

_PING_SECONDS = 30


def run(config: NodeConfig, folder: Path) -> None:
    """Serve until a signal ends it; kernels of the host outlive it, its own end with it."""
    _prepare_environment(config, folder)
    _write_kernelspecs(folder)
    os.chdir(_made(folder / "kernels"))
    app = KernelGatewayApp.instance(config=_configuration(config, folder))
    host = provisioner.use_host(config) if config.kernel_host else None
    app.initialize(argv=[])
    if host is not None:
        IOLoop.current().add_callback(_take_over, app.kernel_manager, host)
    app.start()


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
    # Our kernelspecs come before those that the environment's own ipykernel brings.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
    os.environ[driver.NODE_FOLDER] = str(folder)
    os.environ.update(driver.shell_environment(config, folder))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_kernelspecs(folder: Path) -> None:
    for name, display_name in DISPLAY_NAMES.items():
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
            "ws_ping_interval": _PING_SECONDS,
            # A client may name variables of its own (KERNEL_...); the rest is the gateway's.
            "env_process_whitelist": sorted(os.environ),
            "cookie_secret_file": str(folder / "runtime" / "cookie_secret"),
            "log_level": "INFO",
        },
        "JupyterWebsocketPersonality": {"list_kernels": True},
        "KernelSpecManager": {"ensure_native_kernel": False, "allowed_kernelspecs": set(DISPLAY_NAMES)},
        "SeedingMappingKernelManager": {"cull_idle_timeout": 0, "root_dir": str(folder / "kernels")},
    }
    return Config(settings)
