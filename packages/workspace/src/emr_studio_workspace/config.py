"""The configuration of a Workspace's server, in Jupyter's own terms."""

from __future__ import annotations

from pathlib import Path

from traitlets.config import Config

from emr_studio_workspace.contents import WorkspaceContentsManager
from emr_studio_workspace.gateway import HOST, PointerToken
from emr_studio_workspace.history import History
from emr_studio_workspace.identity import WorkspaceIdentityProvider
from emr_studio_workspace.kernels import (
    AttachedKernelSpecManager,
    AttachedMappingKernelManager,
    AttachedSessionManager,
)
from emr_studio_workspace.notebooks import KERNEL_NAME
from emr_studio_workspace.spec import ServerSpec
from emr_studio_workspace.streams import AttachedWebSocketConnection

EXTENSIONS = {
    "jupyterlab": True,
    "jupyter_server_terminals": True,
    "jupyterlab_git": True,
    "nbdime": True,
    "jupyter_server_fileid": True,
    "emr_studio_workspace.documents": True,
    # Language servers and the classic notebook's shim cost start time and memory for nothing here.
    "jupyter_lsp": False,
    "notebook_shim": False,
}

# Where memory runs out, the kernel ends what runs in a terminal before it ends the server.
_SHELL = "echo 500 2>/dev/null > /proc/self/oom_score_adj; exec /bin/bash"

LAB_SETTINGS = Path(__file__).parent / "lab_settings"
"""Our defaults of JupyterLab's settings, and what is switched off in the browser."""


def server_config(spec: ServerSpec) -> Config:
    """Everything that differs from Jupyter's defaults."""
    c = Config()
    _server(c, spec)
    _kernels(c)
    _files(c)
    _documents(c, spec)
    _lab(c, spec)
    return c


def _server(c: Config, spec: ServerSpec) -> None:
    app = c.ServerApp
    app.base_url = "/"
    app.root_dir = str(spec.files)
    app.open_browser = False
    app.quit_button = False
    app.terminals_enabled = True
    # Not a login shell: the machine's profile would put other programs before the Workspace's own (`aws`, `python`).
    app.terminado_settings = {"shell_command": ["/bin/sh", "-c", _SHELL]}
    app.allow_origin = spec.origin
    # Which host names lead here is the edge's matter; each request proves who it is from.
    app.allow_remote_access = True
    app.trust_xheaders = True
    # Seconds. A tab whose line was cut without a word is noticed; kernels and terminals have pings of Jupyter's own.
    app.websocket_ping_interval = app.websocket_ping_timeout = 30
    app.allow_root = True
    app.identity_provider_class = WorkspaceIdentityProvider
    app.allow_unauthenticated_access = False
    # Large outputs arrive in a notebook that is saved as one body.
    app.max_body_size = app.max_buffer_size = 2 * 1024**3
    app.jpserver_extensions = dict(EXTENSIONS)
    c.IdentityProvider.token = ""
    c.Application.log_level = "WARN"


def _kernels(c: Config) -> None:
    app = c.ServerApp
    app.kernel_manager_class = AttachedMappingKernelManager
    app.kernel_spec_manager_class = AttachedKernelSpecManager
    app.session_manager_class = AttachedSessionManager
    app.kernel_websocket_connection_class = AttachedWebSocketConnection
    c.MultiKernelManager.default_kernel_name = KERNEL_NAME
    client = c.GatewayClient
    client.url = f"http://{HOST}"
    client.auth_scheme = "token"
    client.auth_token = "set at each request"
    client.gateway_token_renewer_class = PointerToken
    client.request_timeout = 120.0
    client.connect_timeout = 20.0
    client.gateway_retry_interval = 0.2
    client.gateway_retry_interval_max = 3.0
    client.gateway_retry_max = 100_000


def _files(c: Config) -> None:
    c.ServerApp.contents_manager_class = WorkspaceContentsManager
    c.ContentsManager.allow_hidden = True
    # What is being written (`contents.py`) is no file yet.
    c.ContentsManager.hide_globs = ["__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~", ".~*"]
    c.FileContentsManager.delete_to_trash = False
    c.FileContentsManager.always_delete_dir = True


def _documents(c: Config, spec: ServerSpec) -> None:
    data = spec.home / ".local/share/jupyter"
    documents = c.YDocExtension
    # When a room is given up is ours to say (`documents.py`).
    documents.document_cleanup_delay = None
    documents.document_save_delay = 1.0
    documents.session_store_path = str(data / "sessions.json")
    # Made when the class was imported: in the zygote, with another home.
    c.BaseFileIdManager.db_path = str(data / "file_ids.db")
    documents.ystore_class = History


def _lab(c: Config, spec: ServerSpec) -> None:
    lab = c.LabApp
    lab.app_settings_dir = str(LAB_SETTINGS)
    # JupyterLab reads the variables of `jupyter_folders` when it is imported: in the zygote, too early.
    lab.user_settings_dir = str(spec.home / ".jupyter/lab/user-settings")
    lab.workspaces_dir = str(spec.home / ".jupyter/lab/workspaces")
    lab.extension_manager = "readonly"
    lab.news_url = None
    lab.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
    lab.default_url = "/lab"


def jupyter_folders(home: Path) -> dict[str, str]:
    """Environment variables that keep all of Jupyter's own files below `home`."""
    return {
        "HOME": str(home),
        # What is switched off in JupyterLab's pages (`labconfig/page_config.json`).
        "JUPYTER_CONFIG_PATH": str(Path(__file__).parent / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_DATA_DIR": str(home / ".local/share/jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / ".local/share/jupyter/runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / ".jupyter/lab/user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / ".jupyter/lab/workspaces"),
    }
