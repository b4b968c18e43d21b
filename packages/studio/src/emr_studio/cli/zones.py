"""`emr-studio zone …`: declare an Availability Zone impaired, to rehearse a failover, and restore it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from emr_studio.clock import SystemClock
from emr_studio.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Availability Zones: impair one, restore it.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The studio's data folder.")]


@app.callback()
def zone() -> None:
    """Availability Zones: impair one, restore it."""


@app.command()
def impair(
    zone_id: Annotated[str, typer.Argument(metavar="ID", help="The zone, such as us-east-1a.")],
    reason: Annotated[str, typer.Option(help="Shown to whoever is told.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Start nothing new in a zone; a Workspace that is restarted comes up in another, with its files."""
    from emr_studio.aws.errors import InvalidRequest
    from emr_studio.network import zones

    with writing(data_dir) as session:
        try:
            zones.impair(session, zone_id, SystemClock().now(), reason)
        except InvalidRequest as error:
            raise failed(error.message) from None
    typer.echo(f"{zone_id} is impaired: nothing new starts there. Take it back: emr-studio zone restore {zone_id}")


@app.command()
def restore(zone_id: Annotated[str, typer.Argument(metavar="ID", help="The zone.")], data_dir: DataDir = None) -> None:
    """Let things start in a zone again."""
    from emr_studio.network import zones

    with writing(data_dir) as session:
        if not zones.restore(session, zone_id):
            raise failed(f"{zone_id} is not impaired.")
    typer.echo(f"{zone_id} is well again.")


@app.command(name="list")
def list_zones(data_dir: DataDir = None) -> None:
    """All zones, and what is wrong with them."""
    from emr_studio.network import zones

    with writing(data_dir) as session:
        for name in zones.zones(session):
            typer.echo(f"{name}  {zones.trouble_of(session, name) or 'well'}")


def impaired_zones(settings: Settings) -> list[dict[str, Any]]:
    """For `status` and `doctor`: the impaired zones; none where the database is not there or does not answer."""
    from emr_studio.db import Database
    from emr_studio.network import zones

    if not settings.database_url and not (settings.data_dir / "db" / "studio.sqlite").exists():
        return []
    database = Database(settings.sqlalchemy_url)
    try:
        with database.read() as session:
            return [
                {"zone": row.zone, "since": row.since.isoformat(), "reason": row.reason}
                for row in zones.impaired(session)
            ]
    except OperationalError:
        return []
    finally:
        database.dispose()


@contextmanager
def writing(data_dir: Path | None) -> Iterator[Session]:
    """A writing session of the studio's database; without one it says what to do."""
    from emr_studio.cli import installation
    from emr_studio.db import Database

    try:
        database = Database(installation.load(data_dir).sqlalchemy_url)
    except installation.NotInstalled as error:
        raise failed(str(error)) from None
    try:
        with database.write() as session:
            yield session
    finally:
        database.dispose()


def failed(message: str) -> typer.Exit:
    """Say it, and end with an error."""
    typer.echo(message, err=True)
    return typer.Exit(1)
