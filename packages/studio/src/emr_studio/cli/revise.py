"""`python -m emr_studio.cli.revise "what changed"`: write a new revision from the tables' difference."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from emr_studio.db.migrate import config, upgrade


def main() -> None:
    """Compare the tables with a database at the newest revision and write the difference down."""
    from emr_studio import app

    app.load_tables()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'scratch.sqlite'}"
        upgrade(url)
        command.revision(config(url), message=sys.argv[1], autogenerate=True)


if __name__ == "__main__":
    main()
