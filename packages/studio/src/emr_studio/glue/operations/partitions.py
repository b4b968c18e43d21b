"""Partitions of tables of the Data Catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AwsError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.glue.errors import BadInput, Exists
from emr_studio.glue.model import GluePartition, GlueTable, find_partition, find_table, partition_key
from emr_studio.glue.operations.common import on_table, own_catalog, page_of, without

_PAGE = 1000


def _table(context: Context, request: Request) -> GlueTable:
    own_catalog(context, request)
    return find_table(context.session, context.account_id, request["DatabaseName"], request["TableName"])


def _shape(row: GluePartition, request: Request, account_id: str) -> dict[str, Any]:
    return {
        **row.body,
        "Values": row.values,
        "DatabaseName": request["DatabaseName"].lower(),
        "TableName": request["TableName"].lower(),
        "CreationTime": row.created,
        "CatalogId": account_id,
    }


def _values(table: GlueTable, given: Mapping[str, Any]) -> list[str]:
    values = list(given.get("Values") or ())
    keys = table.body.get("PartitionKeys") or ()
    if not values or len(values) != len(keys):
        raise BadInput("The number of partition keys do not match the number of partition values")
    return values


def _add(context: Context, table: GlueTable, given: Mapping[str, Any]) -> None:
    values = _values(table, given)
    key = partition_key(values)
    if context.session.get(GluePartition, (table.id, key)) is not None:
        raise Exists("Partition already exists.")
    row = GluePartition(table_id=table.id, key=key, values=values, body=without(given, "Values"), created=context.now())
    context.session.add(row)
    context.session.flush()


@operation("glue", "CreatePartition", checks=on_table("glue:CreatePartition"))
def create_partition(context: Context, request: Request) -> Response:
    """Add a partition."""
    _add(context, _table(context, request), request["PartitionInput"])
    return {}


@operation("glue", "BatchCreatePartition", checks=on_table("glue:BatchCreatePartition"))
def batch_create_partition(context: Context, request: Request) -> Response:
    """Add up to 100 partitions; what could not be added is named, the others are there."""
    table, errors = _table(context, request), []
    for given in request["PartitionInputList"]:
        try:
            _add(context, table, given)
        except AwsError as error:
            errors.append(_error(given.get("Values") or (), error))
    return {"Errors": errors}


def _error(values: Sequence[str], error: AwsError) -> dict[str, Any]:
    detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
    return {"PartitionValues": list(values), "ErrorDetail": detail}


@operation("glue", "GetPartition", checks=on_table("glue:GetPartition"))
def get_partition(context: Context, request: Request) -> Response:
    """Describe a partition."""
    row = find_partition(context.session, _table(context, request), request["PartitionValues"])
    return {"Partition": _shape(row, request, context.account_id)}


@operation("glue", "BatchGetPartition", checks=on_table("glue:BatchGetPartition"), read_only=True)
def batch_get_partition(context: Context, request: Request) -> Response:
    """Describe up to 1000 partitions; those that are not there are left out."""
    table = _table(context, request)
    wanted = [one["Values"] for one in request["PartitionsToGet"]]
    found = [context.session.get(GluePartition, (table.id, partition_key(values))) for values in wanted]
    return {"Partitions": [_shape(row, request, context.account_id) for row in found if row], "UnprocessedKeys": []}


@operation("glue", "GetPartitions", checks=on_table("glue:GetPartitions"))
def get_partitions(context: Context, request: Request) -> Response:
    """List partitions of a table, 1000 a page."""
    if request.get("Expression"):
        raise BadInput("Expression is not supported here: list all partitions and choose among them.")
    if request.get("Segment"):
        raise BadInput("Segment is not supported here: list all partitions.")
    table = _table(context, request)
    wanted = select(GluePartition).where(GluePartition.table_id == table.id)
    bound = f"GetPartitions {table.id}"
    rows, more = page_of(context, request, wanted, (GluePartition.key,), most=_PAGE, bound_to=bound)
    return {"Partitions": [_shape(row, request, context.account_id) for row in rows], **more}


@operation("glue", "UpdatePartition", checks=on_table("glue:UpdatePartition"))
def update_partition(context: Context, request: Request) -> Response:
    """Replace what a partition says of itself, its values too."""
    table, given = _table(context, request), request["PartitionInput"]
    row = find_partition(context.session, table, request["PartitionValueList"])
    values = _values(table, given) if given.get("Values") else row.values
    if values != row.values:
        context.session.delete(row)
        context.session.flush()
        _add(context, table, given)
    else:
        row.body = without(given, "Values")
    return {}


@operation("glue", "DeletePartition", checks=on_table("glue:DeletePartition"))
def delete_partition(context: Context, request: Request) -> Response:
    """Delete a partition; what it describes in S3 stays."""
    row = find_partition(context.session, _table(context, request), request["PartitionValues"])
    context.session.delete(row)
    return {}


@operation("glue", "BatchDeletePartition", checks=on_table("glue:BatchDeletePartition"))
def batch_delete_partition(context: Context, request: Request) -> Response:
    """Delete up to 25 partitions; those that are not there are named."""
    table, errors = _table(context, request), []
    for one in request["PartitionsToDelete"]:
        try:
            context.session.delete(find_partition(context.session, table, one["Values"]))
        except AwsError as error:
            errors.append(_error(one["Values"], error))
    return {"Errors": errors}
