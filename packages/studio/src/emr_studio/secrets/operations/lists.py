"""ListSecrets."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.secrets.listing import filtered, page_of
from emr_studio.secrets.model import Secret, versions_of
from emr_studio.secrets.operations.secrets import entry

_PAGE = 100
_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _order(secret: Secret, by: str) -> tuple[Any, str]:
    keys: dict[str, Any] = {
        "name": secret.name,
        "last-changed-date": secret.changed,
        "last-accessed-date": secret.accessed or _NEVER,
    }
    return keys.get(by, secret.created), secret.id


@operation("secretsmanager", "ListSecrets", checks=action("secretsmanager:ListSecrets"))
def list_secrets(context: Context, request: Request) -> Response:
    """The account's secrets, newest first unless asked otherwise."""
    statement = select(Secret).where(Secret.account_id == context.account_id, Secret.region == context.region)
    if not request.get("IncludePlannedDeletion"):
        statement = statement.where(Secret.deleted.is_(None))
    by, ascending = request.get("SortBy") or "created-date", request.get("SortOrder") == "asc"
    found = filtered(context.session.scalars(statement), request)
    found.sort(key=lambda secret: _order(secret, by), reverse=not ascending)
    bound_to = f"ListSecrets {by} {ascending} {request.get('Filters')} {request.get('IncludePlannedDeletion')}"
    page, token = page_of(context, found, request, _PAGE, bound_to=bound_to)
    answer: dict[str, Any] = {"SecretList": [_entry(context, secret) for secret in page]}
    return answer | ({"NextToken": token} if token else {})


def _entry(context: Context, secret: Secret) -> dict[str, Any]:
    stages = {version.version_id: version.stages for version in versions_of(context.session, secret) if version.stages}
    return entry(secret) | ({"SecretVersionsToStages": stages} if stages else {})
