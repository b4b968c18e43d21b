"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import ClientError, ValidationError
from emr_studio.aws.registry import ChecksFunction, Request, Response, action, operation
from emr_studio.keys.authorization import key_check, requested
from emr_studio.keys.errors import AlreadyExists, NotFound, TooMany
from emr_studio.keys.finding import ALIAS, FoundKey, not_pending
from emr_studio.keys.making import new_alias
from emr_studio.keys.model import KmsAlias, KmsKey, aliases_of, kms_arn
from emr_studio.keys.operations.common import page_of

_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]+")
_RESERVED = ALIAS + "aws/"
_MOST = 50


def _on_alias(name: str) -> ChecksFunction:
    """An alias's operation is asked about the alias (IAM policies alone) and about each key concerned."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        alias = request["AliasName"]
        arn = kms_arn(context.region, context.account_id, alias)
        yield Check(f"kms:{name}", arn, {"kms:CallerAccount": context.account_id})
        for found in _concerned(context, request):
            yield key_check(context.session, context.account_id, found, name)

    return checks


def _concerned(context: Context, request: Request) -> list[FoundKey]:
    """The key that the alias is to mean, and the one that it means now."""
    target = requested(context, request["TargetKeyId"]) if request.get("TargetKeyId") else None
    alias = context.session.get(KmsAlias, (context.account_id, context.region, request["AliasName"]))
    present = context.session.get(KmsKey, alias.key_id) if alias else None
    found = [target] if target else []
    if present is not None and (target is None or target.key.id != present.id):
        found.append(FoundKey(present))
    return found


def _check_name(name: str) -> None:
    if not name.startswith(ALIAS):
        raise ValidationError("Invalid identifier")
    if name.startswith(_RESERVED):
        raise ClientError("NotAuthorizedException", "")
    if not _NAME.fullmatch(name):
        raise ValidationError(f"{name} contains invalid characters for an alias")


def _alias(context: Context, name: str) -> KmsAlias:
    alias = context.session.get(KmsAlias, (context.account_id, context.region, name))
    if alias is None:
        raise NotFound(f"Alias {kms_arn(context.region, context.account_id, name)} is not found.")
    return alias


@operation("kms", "CreateAlias", checks=_on_alias("CreateAlias"))
def create_alias(context: Context, request: Request) -> Response:
    """Name a key."""
    name = request["AliasName"]
    _check_name(name)
    key = not_pending(requested(context, request["TargetKeyId"]).key)
    if found := context.session.get(KmsAlias, (context.account_id, context.region, name)):
        raise AlreadyExists(found.arn)
    if len(aliases_of(context.session, key.id)) >= _MOST:
        raise TooMany(f"A key can have at most {_MOST} aliases.")
    new_alias(context.session, key, name, context.now())
    return None


@operation("kms", "UpdateAlias", checks=_on_alias("UpdateAlias"))
def update_alias(context: Context, request: Request) -> Response:
    """Let a name mean another key."""
    _check_name(request["AliasName"])
    alias = _alias(context, request["AliasName"])
    alias.key_id = not_pending(requested(context, request["TargetKeyId"]).key).id
    alias.updated = context.now()
    return None


@operation("kms", "DeleteAlias", checks=_on_alias("DeleteAlias"))
def delete_alias(context: Context, request: Request) -> Response:
    """Forget a name; its key stays."""
    _check_name(request["AliasName"])
    context.session.delete(_alias(context, request["AliasName"]))
    return None


@operation("kms", "ListAliases", checks=action("kms:ListAliases"))
def list_aliases(context: Context, request: Request) -> Response:
    """The account's names for keys, or those of one key."""
    statement = select(KmsAlias).where(KmsAlias.account_id == context.account_id, KmsAlias.region == context.region)
    bound_to = "kms:ListAliases"
    if key_id := request.get("KeyId"):
        key = requested(context, key_id).key
        statement = statement.where(KmsAlias.key_id == key.id)
        bound_to += key.id
    return page_of(context, request, statement, (KmsAlias.name,), member="Aliases", shape=_shape, bound_to=bound_to)


def _shape(alias: KmsAlias) -> dict[str, Any]:
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created,
        "LastUpdatedDate": alias.updated,
    }
