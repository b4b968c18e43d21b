"""Alembic's environment: our engine, our tables."""

from __future__ import annotations

from alembic import context

from emr_studio.db import Base, Database

target_metadata = Base.metadata


def run() -> None:
    """Run the wanted revisions in one transaction."""
    database = Database(context.config.attributes["url"])
    try:
        with database.engine.connect() as connection:
            context.configure(connection=connection, target_metadata=target_metadata, render_as_batch=True)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        database.dispose()


run()
