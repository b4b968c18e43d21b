"""Alembic's environment: our engine, our tables."""

from __future__ import annotations

from typing import Literal

from alembic import context

from emr_studio.db import Base, Database, UtcDateTime

target_metadata = Base.metadata


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our datetime as plain SQL's, so that a revision does not depend on the code of its day."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Run the wanted revisions in one transaction."""
    database = Database(context.config.attributes["url"])
    try:
        with database.engine.connect() as connection:
            context.configure(
                connection=connection, target_metadata=target_metadata, render_as_batch=True, render_item=render_item
            )
            with context.begin_transaction():
                context.run_migrations()
    finally:
        database.dispose()


run()
