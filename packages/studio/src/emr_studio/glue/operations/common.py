"""What all operations of Glue share: names, ARNs, questions to IAM, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import AwsError
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.glue.errors import BadInput, NotFound
from emr_studio.settings import partition_of

T = TypeVar("T")
Name = Callable[[Request], str]
_NAME = re.compile(r"[^\x00-\x1f/\\]{1,255}")


def read_name(name: str) -> str:
    """A name as it is kept: in lower case.

    Raises:
        BadInput: it cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"The name {name!r} is not valid.")
    return name.lower()


def own_catalog(context: Context, request: Request) -> None:
    """There is one catalog: the account's own.

    Raises:
        NotFound: the request names another.
    """
    wanted = request.get("CatalogId")
    if wanted and wanted != context.account_id:
        raise NotFound(f"Catalog {wanted} not found.")


def database_name(request: Request) -> str:
    """`DatabaseName`, or `Name` of an operation on a database, or what is to be made."""
    made = request.get("DatabaseInput") or {}
    return str(request.get("DatabaseName") or request.get("Name") or made.get("Name") or "")


def table_name(request: Request) -> str:
    """`TableName`, or `Name` beside a `DatabaseName`, or what is to be made; `*` for all of a database."""
    made = request.get("TableInput") or {}
    return str(request.get("TableName") or request.get("Name") or made.get("Name") or "*")


def on_catalog(action: str) -> ChecksFunction:
    """Checks of what lists or has no object of its own."""

    def checks(context: Context, _request: Request) -> Iterable[Check]:
        yield Check(action, _arn(context, "catalog"))

    return checks


def on_database(action: str) -> ChecksFunction:
    """Checks of an operation on a database: it and the catalog."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        yield Check(action, _arn(context, "catalog"))
        yield Check(action, _arn(context, f"database/{database_name(request).lower()}"))

    return checks


def on_table(action: str) -> ChecksFunction:
    """Checks of an operation on a table: it, its database and the catalog."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        database = str(request["DatabaseName"]).lower()
        yield Check(action, _arn(context, "catalog"))
        yield Check(action, _arn(context, f"database/{database}"))
        for name in request.get("TablesToDelete") or (table_name(request),):
            yield Check(action, _arn(context, f"table/{database}/{name.lower()}"))

    return checks


def _arn(context: Context, resource: str) -> str:
    return f"arn:{partition_of(context.region)}:glue:{context.region}:{context.account_id}:{resource}"


def page_of(
    context: Context, request: Request, statement: Select[T], keys: Sequence[Any], *, most: int, bound_to: str
) -> tuple[list[T], dict[str, str]]:
    """A page of rows, and `NextToken` where there is more."""
    size = min(most, request.get("MaxResults") or most)
    token = request.get("NextToken")
    rows, marker = paginate(
        context, statement, tuple(keys), size, token, bound_to=bound_to, invalid=lambda _text: _bad_token()
    )
    return rows, {"NextToken": marker} if marker else {}


def _bad_token() -> AwsError:
    return BadInput("Invalid NextToken.")


def without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """What the caller gave, but for what has a column of its own; times as seconds."""
    return {name: _plain(value) for name, value in values.items() if name not in names}


def _plain(value: Any) -> Any:
    if hasattr(value, "timestamp"):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
