"""Imports for the zygote. Found by starting a server and looking at what it imported later."""

from __future__ import annotations

import importlib
from contextlib import suppress

_MODULES = (
    "emr_studio_workspace.server",
    "jupyterlab",
    "jupyterlab.labapp",
    "emr_studio_workspace.documents",
    "jupyter_server_fileid.extension",
    "sqlite_anyio",
    "jupyterlab_git",
    "jupyterlab_git.handlers",
    "nbdime.webapp.nb_server_extension",
    "jupyter_server_terminals",
    "jupyter_server_terminals.app",
    "terminado",
    "tornado.websocket",
    "tornado.simple_httpclient",
    "nbformat",
    "nbformat.v4",
    "sqlite3",
    "zmq.asyncio",
    "encodings.idna",
    "json",
)


def import_all() -> None:
    """Import each module; one that an environment lacks is left out."""
    for name in _MODULES:
        with suppress(ImportError):
            importlib.import_module(name)
