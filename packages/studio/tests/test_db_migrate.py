"""The revisions and the tables say the same, on whatever database the suite runs."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from emr_studio import app
from emr_studio.db import Base, Database
from emr_studio.db.migrate import upgrade
from emr_studio.settings import Settings


def test_no_table_differs_from_the_newest_revision(tmp_path: Path) -> None:
    app.load_tables()
    url = Settings(data_dir=tmp_path).sqlalchemy_url
    upgrade(url)
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": False})
            assert compare_metadata(context, Base.metadata) == []
    finally:
        database.dispose()


def test_upgrade_again_changes_nothing(tmp_path: Path) -> None:
    url = Settings(data_dir=tmp_path).sqlalchemy_url
    upgrade(url)
    upgrade(url)
    assert (tmp_path / "db" / "studio.sqlite").exists() or not url.startswith("sqlite")
