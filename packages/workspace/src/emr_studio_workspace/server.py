"""A Workspace's server: JupyterLab on a socket that was made for it, behind the identity gate."""

from __future__ import annotations

import logging
import os
import signal
import socket
from typing import Any, ClassVar

from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback

from emr_studio_workspace import git_credentials, git_handler, handlers, pages, reaper, shortcuts
from emr_studio_workspace.activity import ActivityWatch
from emr_studio_workspace.config import jupyter_folders, server_config
from emr_studio_workspace.credentials import AwsDoor
from emr_studio_workspace.disk import guard
from emr_studio_workspace.doors import WayOut
from emr_studio_workspace.gateway import RelayResolver, pointer
from emr_studio_workspace.git_links import GitLinks
from emr_studio_workspace.identity import IdentityGate, Verifier
from emr_studio_workspace.notebooks import SAMPLE_DATA, furnish
from emr_studio_workspace.presence import Presence
from emr_studio_workspace.spec import ServerSpec

_REAP_MILLISECONDS = 30_000
_PRESENCE_MILLISECONDS = 5_000


class WorkspaceServerApp(ServerApp):
    """Jupyter's server without a port: it is given a listening socket and a spec."""

    name = "jupyter-server"
    spec: ClassVar[ServerSpec]
    listener: ClassVar[socket.socket]
    aws: ClassVar[AwsDoor]
    way_out: ClassVar[WayOut]
    _doors: Any = None

    def init_webapp(self) -> None:
        """Add the Studio's own addresses."""
        super().init_webapp()
        self.web_app.settings["emr_studio_workspace"] = {"id": self.spec.editor_id, "name": self.spec.name}
        self.web_app.settings["emr_studio_backup"] = self.spec.backup_state
        self.web_app.settings["emr_studio_disk"] = self.spec.disk_state
        self.web_app.settings["emr_studio_git"] = GitLinks(self.spec.files)
        watch = self.web_app.settings["emr_studio_activity"] = ActivityWatch()
        self.event_logger.add_listener(schema_id=self.contents_manager.event_schema_id, listener=watch.on_files)
        self.web_app.add_handlers(".*$", [*git_handler.routes(), *handlers.routes()])

    def init_httpserver(self) -> None:
        """Put the identity gate before everything, and listen."""
        verifier = Verifier(self.spec.public_key, self.spec.editor_id, self.spec.agent_secret)
        self._presence = Presence(self.spec.edge_socket)
        self._http_server = HTTPServer(
            IdentityGate(self.web_app, verifier, self._presence),
            xheaders=self.trust_xheaders,
            max_body_size=self.max_body_size,
            max_buffer_size=self.max_buffer_size,
        )
        self.io_loop.add_callback(self._listen)

    async def _listen(self) -> None:
        self.http_server.add_socket(self.listener)
        self._doors = [*await self.aws.open(), await self.way_out.open()]
        PeriodicCallback(reaper.Reaper().reap, _REAP_MILLISECONDS).start()
        PeriodicCallback(self._presence.look, _PRESENCE_MILLISECONDS).start()

    def init_signal(self) -> None:
        """SIGTERM stops; SIGINT never asks a question of a terminal that is not there."""
        super().init_signal()
        signal.signal(signal.SIGINT, self._signal_stop)

    def write_browser_open_files(self) -> None:
        """No browser runs here."""

    def remove_browser_open_files(self) -> None:
        """There are none."""

    def write_server_info_file(self) -> None:
        """Nobody looks for this server by a file."""

    def remove_server_info_file(self) -> None:
        """There is none."""

    def running_server_info(self, kernel_count: bool = True) -> str:
        """One line for the log."""
        return f"Workspace {self.spec.editor_id} ({self.spec.name}) is being served"


def serve(spec: ServerSpec, listener: socket.socket) -> None:
    """Become the server; returns when it was told to stop."""
    aws, out = AwsDoor(spec.edge_socket, spec.credentials_token), WayOut(spec.out_socket)
    # Where there is no network of its own, it has the machine's, and needs no proxy.
    outside = out.environment() if spec.own_network else {}
    git = git_credentials.environment(aws.endpoint, spec.git_token)
    os.environ.update(jupyter_folders(spec.home) | aws.environment() | outside | git | dict(spec.environment))
    for folder in (spec.home / ".jupyter", spec.home / ".local/share/jupyter/runtime"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(spec.files)
    furnish(spec.files, spec.default_notebook, spec.environment.get(SAMPLE_DATA, ""))
    _heed_term()
    guard.place(spec.disk_state)
    pointer.place(spec.gateway_pointer, spec.gateway_socket)
    AsyncHTTPClient.configure(
        "tornado.simple_httpclient.SimpleAsyncHTTPClient", resolver=RelayResolver(), max_clients=200
    )
    WorkspaceServerApp.spec, WorkspaceServerApp.listener = spec, listener
    WorkspaceServerApp.aws, WorkspaceServerApp.way_out = aws, out
    start(server_config(spec))


def _heed_term() -> None:
    """From here to Jupyter's own handler SIGTERM ends the process at once: nothing is there yet that must be put away.

    The zygote began it with the signal blocked; what is started later, thread or program, must not have that.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


class _NoPingAdvice(logging.Filter):
    """Jupyter's pings are in milliseconds; tornado takes them for seconds of its own pings, and says so to no use."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "websocket_ping_timeout" not in record.getMessage()


def start(config: Any) -> None:
    """Run JupyterLab with this configuration until it stops."""
    pages.place()
    shortcuts.place()
    logging.getLogger("tornado.general").addFilter(_NoPingAdvice())
    app = WorkspaceServerApp.instance(config=config, jpserver_extensions=dict(config.ServerApp.jpserver_extensions))
    app.initialize(argv=[], starter_extension="lab", find_extensions=False)
    app.start()
