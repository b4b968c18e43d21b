"""Bring a database's schema to the newest revision (Alembic; the revisions lie in `migrations/`)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from emr_studio.db import Database

_HERE = Path(__file__).parent


def config(url: str) -> Config:
    """Alembic's configuration for the database at `url`; needs no ini file."""
    found = Config()
    found.set_main_option("script_location", str(_HERE / "migrations"))
    found.attributes["url"] = url
    return found


def upgrade(url: str) -> None:
    """Apply every revision that the database lacks; on SQLite its folder is made."""
    Database(url).dispose()
    command.upgrade(config(url), "head")
