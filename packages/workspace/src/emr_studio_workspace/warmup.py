"""Imports for the zygote. Found by starting a server and looking at what it imported later."""

from __future__ import annotations

import importlib
import sys
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
    "tornado.platform.asyncio",
    "anyio._backends._asyncio",
    "jinja2.ext",
    "jupyter_core.migrate",
    "encodings.idna",
    "json",
)

# jsonschema takes it where it is: it builds a grammar of international addresses as it is imported, longer than all
# of Jupyter's server takes, and no schema of Jupyter's has such an address.
_LEFT_OUT = "rfc3987_syntax"


def _handlers() -> list[str]:
    """Jupyter's server imports those of its services as it starts."""
    from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS

    return [name for names in JUPYTER_SERVICE_HANDLERS.values() for name in names or ()]


def import_all() -> None:
    """Import each module; one that an environment lacks is left out."""
    sys.modules.setdefault(_LEFT_OUT, None)  # type: ignore[arg-type]  # Python's own way to say that it is absent
    for name in [*_MODULES, *_handlers()]:
        with suppress(ImportError):
            importlib.import_module(name)


def prepare() -> None:
    """Read what every Workspace's pages are told."""
    from emr_studio_workspace import pages
    from emr_studio_workspace.config import LAB_SETTINGS

    pages.prepare(LAB_SETTINGS)
