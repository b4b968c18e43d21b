"""`emr-studio subnet …`: how subnets lead to the internet, which AWS's route tables would say."""

from __future__ import annotations

from typing import Annotated

import typer

from emr_studio.cli.zones import DataDir, failed, writing

app = typer.Typer(no_args_is_help=True, help="Subnets: how they lead to the internet.")


@app.callback()
def subnet() -> None:
    """Subnets: how they lead to the internet."""


@app.command()
def outbound(
    subnet_id: Annotated[str, typer.Argument(metavar="ID", help="The subnet.")],
    way: Annotated[str, typer.Argument(help="nat: a NAT; igw: an internet gateway (a public subnet); none.")],
    data_dir: DataDir = None,
) -> None:
    """Say how a subnet leads to the internet. Workspaces have private addresses: only a NAT gives them Git."""
    from emr_studio.aws.errors import InvalidRequest
    from emr_studio.network.model import set_outbound

    with writing(data_dir) as session:
        try:
            set_outbound(session, subnet_id, way)
        except InvalidRequest as error:
            raise failed(error.message) from None
    typer.echo(f"{subnet_id}: {way}")


@app.command(name="list")
def list_subnets(data_dir: DataDir = None) -> None:
    """All subnets, with zone and way out."""
    from sqlalchemy import select

    from emr_studio.network.model import Subnet

    with writing(data_dir) as session:
        for row in session.scalars(select(Subnet).order_by(Subnet.account_id, Subnet.availability_zone)):
            typer.echo(f"{row.id}  {row.account_id}  {row.availability_zone}  {row.cidr_block}  {row.outbound}")
