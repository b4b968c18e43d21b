"""Tables of the Data Catalog."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import delete, select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.glue.errors import BadInput, Changed, Exists, NotFound
from emr_studio.glue.model import GlueDatabase, GluePartition, GlueTable, find_database, find_table
from emr_studio.glue.operations.common import on_table, own_catalog, page_of, read_name, without

_PAGE = 100
_LONGEST_EXPRESSION = 2048


def table_shape(row: GlueTable, database: GlueDatabase) -> dict[str, Any]:
    """`Table` of the API."""
    return {
        **row.body,
        "Name": row.name,
        "DatabaseName": database.name,
        "CreateTime": row.created,
        "UpdateTime": row.updated,
        "CreatedBy": row.created_by,
        "IsRegisteredWithLakeFormation": False,
        "CatalogId": database.account_id,
        "VersionId": str(row.version),
    }


@operation("glue", "CreateTable", checks=on_table("glue:CreateTable"))
def create_table(context: Context, request: Request) -> Response:
    """Make a table; its data are nobody's business here."""
    own_catalog(context, request)
    database = find_database(context.session, context.account_id, request["DatabaseName"])
    given = request.get("TableInput")
    if given is None:
        raise BadInput("TableInput is required.")
    name = read_name(given["Name"])
    if context.session.scalars(_named(database, name)).first() is not None:
        raise Exists("Table already exists.")
    now = context.now()
    row = GlueTable(
        database_id=database.id,
        name=name,
        body=without(given, "Name"),
        created_by=context.caller.arn,
        created=now,
        updated=now,
        version=0,
    )
    context.session.add(row)
    return {}


def _named(database: GlueDatabase, name: str) -> Any:
    return select(GlueTable).where(GlueTable.database_id == database.id, GlueTable.name == name)


@operation("glue", "GetTable", checks=on_table("glue:GetTable"))
def get_table(context: Context, request: Request) -> Response:
    """Describe a table."""
    own_catalog(context, request)
    row = find_table(context.session, context.account_id, request["DatabaseName"], request["Name"])
    return {"Table": table_shape(row, context.session.get_one(GlueDatabase, row.database_id))}


@operation("glue", "GetTables", checks=on_table("glue:GetTables"))
def get_tables(context: Context, request: Request) -> Response:
    """List tables of a database by name, 100 a page; those whose name an expression matches."""
    own_catalog(context, request)
    database = find_database(context.session, context.account_id, request["DatabaseName"])
    expression = request.get("Expression") or ""
    wanted = select(GlueTable).where(GlueTable.database_id == database.id)
    bound = f"GetTables {database.id} {expression}"
    rows, more = page_of(context, request, wanted, (GlueTable.name,), most=_PAGE, bound_to=bound)
    pattern = _pattern(expression)
    return {"TableList": [table_shape(row, database) for row in rows if pattern.fullmatch(row.name)], **more}


def _pattern(expression: str) -> re.Pattern[str]:
    """Of names: letters, digits and `.*`, `*`, `|`; anything richer could keep us busy for ever."""
    if not re.fullmatch(r"[\w.*|-]*", expression) or len(expression) > _LONGEST_EXPRESSION:
        raise BadInput("Expression may have letters, digits, '_', '-', '.', '*' and '|'.")
    parts = (".*".join(map(re.escape, re.split(r"\.?\*+", part))) for part in expression.lower().split("|"))
    return re.compile("|".join(parts) if expression else ".*")


@operation("glue", "UpdateTable", checks=on_table("glue:UpdateTable"))
def update_table(context: Context, request: Request) -> Response:
    """Replace what a table says of itself; with `VersionId` only if nobody did so meanwhile."""
    own_catalog(context, request)
    given = request.get("TableInput")
    if given is None:
        raise BadInput("TableInput is required.")
    row = find_table(context.session, context.account_id, request["DatabaseName"], given["Name"], lock=True)
    if request.get("VersionId") not in (None, str(row.version)):
        raise Changed(f"Version {request['VersionId']} of table {row.name} is not its newest.")
    row.body = without(given, "Name")
    row.updated, row.version = context.now(), row.version + 1
    return {}


@operation("glue", "DeleteTable", checks=on_table("glue:DeleteTable"))
def delete_table(context: Context, request: Request) -> Response:
    """Delete a table and its partitions; what it describes in S3 stays."""
    own_catalog(context, request)
    _delete(context, request["DatabaseName"], request["Name"])
    return {}


@operation("glue", "BatchDeleteTable", checks=on_table("glue:BatchDeleteTable"))
def batch_delete_table(context: Context, request: Request) -> Response:
    """Delete up to 100 tables; those that are not there are named."""
    own_catalog(context, request)
    find_database(context.session, context.account_id, request["DatabaseName"])
    errors = []
    for name in request["TablesToDelete"]:
        try:
            _delete(context, request["DatabaseName"], name)
        except NotFound as error:
            detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
            errors.append({"TableName": name, "ErrorDetail": detail})
    return {"Errors": errors}


def _delete(context: Context, database: str, name: str) -> None:
    row = find_table(context.session, context.account_id, database, name, lock=True)
    context.session.execute(delete(GluePartition).where(GluePartition.table_id == row.id))
    context.session.delete(row)
    context.session.flush()
