"""`emr-studio release …`: which releases there are, and preparing one before the first cluster asks."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from emr_studio.clusters.catalog import environments
from emr_studio.clusters.catalog.releases import default_release, find_release, releases
from emr_studio.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Releases: what clusters can be made of.")


@app.callback()
def release() -> None:
    """Releases: what clusters can be made of."""


@app.command(name="list")
def list_releases() -> None:
    """List the release labels, their Spark, and whether their environment is built."""
    settings = Settings()
    for one in releases():
        state = "ready" if environments.is_built(settings, one) else "built when the first cluster asks"
        typer.echo(f"{one.label}  Spark {one.spark}  Hadoop {one.hadoop}  {state}")


@app.command()
def prepare(
    label: Annotated[str, typer.Argument(help="The release label; the installation's own if left out.")] = "",
) -> None:
    """Build a release's environment now, with archives of Spark's classes for faster cluster starts."""
    wanted = find_release(label) if label else default_release()
    if wanted is None:
        typer.echo(f"{label} is none of: {', '.join(one.label for one in releases())}", err=True)
        raise typer.Exit(2)
    os.umask(0o022)
    try:
        environments.build(Settings(), wanted, typer.echo)
    except (environments.BuildFailed, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    try:
        environments.complete(Settings(), wanted)
    except environments.BuildFailed as error:
        typer.echo(f"Clusters work, but not at their best: {error}")
