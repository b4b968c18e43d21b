"""The kernel gateway: the REST and websocket protocol of Jupyter's kernels at port 18888.

`jupyter_kernel_gateway` with a token; no page of another origin may use it (CORS stays off), idle
kernels are not culled unless the cluster says so, and a lost websocket is noticed by pings.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from kernel_gateway.gatewayapp import KernelGatewayApp
from traitlets.config import Config

from emr_studio_cluster.config import GATEWAY_PORT, NodeConfig

_PING_SECONDS = 30
_KERNELS = {"python3": "Python 3", "pysparkkernel": "PySpark"}


def run(config: NodeConfig, folder: Path) -> None:
    """Serve until a signal ends it; its kernels end with it."""
    _prepare_environment(folder)
    _write_kernelspecs(folder)
    os.chdir(_made(folder / "kernels"))
    app = KernelGatewayApp.instance(config=_configuration(config, folder))
    app.initialize(argv=[])
    app.start()


def _prepare_environment(folder: Path) -> None:
    # Kernels inherit this. Nothing of the gateway's user is read: only what lies in the folder.
    places = {"JUPYTER_DATA_DIR": "data", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime"}
    places |= {"IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib", "HOME": "home"}
    for name, place in places.items():
        os.environ[name] = str(_made(folder / place))
    os.environ["JUPYTER_NO_CONFIG"] = "1"
    # Our kernelspecs come before those that the environment's own ipykernel brings.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
    os.environ["EMR_STUDIO_NODE_FOLDER"] = str(folder)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_kernelspecs(folder: Path) -> None:
    for name, display_name in _KERNELS.items():
        spec = {
            "argv": [sys.executable, "-m", "emr_studio_cluster.kernel", name, "-f", "{connection_file}"],
            "display_name": display_name,
            "language": "python",
            "interrupt_mode": "signal",
            "metadata": {"debugger": True},
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
        "KernelSpecManager": {"ensure_native_kernel": False, "allowed_kernelspecs": set(_KERNELS)},
        "SeedingMappingKernelManager": {"cull_idle_timeout": 0, "root_dir": str(folder / "kernels")},
    }
    return Config(settings)
