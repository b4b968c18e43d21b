"""The composition: which rooms exist, which port is fulfilled by what, and how each part is run.

Everything that knows everything is here; nothing imports this but the command line.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emr_studio.clock import SystemClock
from emr_studio.db import Database, is_reachable
from emr_studio.settings import Settings

DOMAINS = ("iam", "studios", "workspaces", "clusters")
"""Rooms with an `operations` module or package."""
TABLES = (
    "iam.model",
    "network.model",
    "storage.model",
    "signin.model",
    "studios.model",
    "workspaces.model",
    "clusters.model",
)


def load_tables() -> None:
    """Import every module that defines tables, so that `Base.metadata` is whole."""
    for name in TABLES:
        importlib.import_module(f"emr_studio.{name}")


def load_operations() -> None:
    """Import every domain's operations, so that the registry is whole."""
    for domain in DOMAINS:
        importlib.import_module(f"emr_studio.{domain}.operations")
