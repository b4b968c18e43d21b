"""Databases of the Data Catalog."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.glue.errors import Exists, NotFound
from emr_studio.glue.model import GlueDatabase, GluePartition, GlueTable, find_database
from emr_studio.glue.operations.common import on_catalog, on_database, own_catalog, page_of, read_name, without

_PAGE = 100


def database_shape(row: GlueDatabase) -> dict[str, Any]:
    """`Database` of the API."""
    return {**row.body, "Name": row.name, "CreateTime": row.created, "CatalogId": row.account_id}


@operation("glue", "CreateDatabase", checks=on_database("glue:CreateDatabase"))
def create_database(context: Context, request: Request) -> Response:
    """Make a database."""
    own_catalog(context, request)
    name = read_name(request["DatabaseInput"]["Name"])
    if _is_there(context, name):
        raise Exists("Database already exists.")
    body = without(request["DatabaseInput"], "Name")
    context.session.add(GlueDatabase(account_id=context.account_id, name=name, body=body, created=context.now()))
    return {}


def _is_there(context: Context, name: str) -> bool:
    try:
        find_database(context.session, context.account_id, name)
    except NotFound:
        return False
    return True


@operation("glue", "GetDatabase", checks=on_database("glue:GetDatabase"))
def get_database(context: Context, request: Request) -> Response:
    """Describe a database."""
    own_catalog(context, request)
    return {"Database": database_shape(find_database(context.session, context.account_id, request["Name"]))}


@operation("glue", "GetDatabases", checks=on_catalog("glue:GetDatabases"))
def get_databases(context: Context, request: Request) -> Response:
    """List databases by name, 100 a page."""
    own_catalog(context, request)
    wanted = select(GlueDatabase).where(GlueDatabase.account_id == context.account_id)
    rows, more = page_of(context, request, wanted, (GlueDatabase.name,), most=_PAGE, bound_to="GetDatabases")
    return {"DatabaseList": [database_shape(row) for row in rows], **more}


@operation("glue", "UpdateDatabase", checks=on_database("glue:UpdateDatabase"))
def update_database(context: Context, request: Request) -> Response:
    """Replace what a database says of itself; its name stays."""
    own_catalog(context, request)
    row = find_database(context.session, context.account_id, request["Name"])
    row.body = without(request["DatabaseInput"], "Name")
    return {}


@operation("glue", "DeleteDatabase", checks=on_database("glue:DeleteDatabase"))
def delete_database(context: Context, request: Request) -> Response:
    """Delete a database with its tables and their partitions; what they describe in S3 stays."""
    own_catalog(context, request)
    row = find_database(context.session, context.account_id, request["Name"])
    tables = select(GlueTable.id).where(GlueTable.database_id == row.id)
    context.session.execute(delete(GluePartition).where(GluePartition.table_id.in_(tables)))
    context.session.execute(delete(GlueTable).where(GlueTable.database_id == row.id))
    context.session.delete(row)
    return {}
