"""Secrets by all that AWS takes for a SecretId: name, whole ARN, ARN without its six characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.secrets.errors import MARKED, BadRequest, NotFound
from emr_studio.secrets.model import Secret, secret_arn

_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):secret:(?P<name>.+)")
SERVICE = "secretsmanager"


def look_up(session: Session, account_id: str, region: str, secret_id: str) -> Secret | None:
    """The secret; by ARN also one of another account. None if there is none."""
    if arn := _ARN.fullmatch(secret_id):
        whole = session.get(Secret, secret_id)
        if whole is not None or arn["region"] != region:
            return whole
        account_id, secret_id = arn["account"], arn["name"]
    return session.scalars(
        select(Secret).where(Secret.account_id == account_id, Secret.region == region, Secret.name == secret_id)
    ).first()


def find_secret(context: Context, secret_id: str, *, deleted: bool = False) -> Secret:
    """The secret of a request. `deleted`: one that is marked for deletion is good too.

    Raises:
        NotFound, BadRequest
    """
    secret = look_up(context.session, context.account_id, context.region, secret_id)
    if secret is None:
        raise NotFound
    if secret.deleted is not None and not deleted:
        raise BadRequest(MARKED)
    return secret


def secret_check(
    context: Context, secret_id: str, action: str, more: Mapping[str, ContextValue] | None = None
) -> Check:
    """The question whether the caller may do `secretsmanager:<action>` with a secret, be it there or not."""
    secret = look_up(context.session, context.account_id, context.region, secret_id)
    keys: dict[str, ContextValue] = {"secretsmanager:SecretId": secret_id, **(more or {})}
    if secret is None:
        whole = secret_id.startswith("arn:")
        resource = secret_id if whole else secret_arn(context.region, context.account_id, secret_id)
        return Check(f"{SERVICE}:{action}", resource, keys)
    keys |= {"aws:ResourceAccount": secret.account_id, "secretsmanager:SecretPrimaryRegion": secret.region}
    for name, value in secret.tags.items():
        keys[f"aws:ResourceTag/{name}"] = keys[f"secretsmanager:ResourceTag/{name}"] = value
    return Check(f"{SERVICE}:{action}", secret.arn, keys, secret.policy)


More = Callable[[Request], Mapping[str, ContextValue]]


def on_secret(action: str, more: More | None = None) -> ChecksFunction:
    """Checks of an operation on one secret."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        return (secret_check(context, request["SecretId"], action, more(request) if more else None),)

    return checks


def request_tags(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, ContextValue]:
    """`aws:RequestTag/…` and `aws:TagKeys` of a request's tags."""
    given = {tag.get("Key", ""): tag.get("Value", "") for tag in tags or ()}
    keys: dict[str, ContextValue] = {f"aws:RequestTag/{name}": value for name, value in given.items()}
    return keys | ({"aws:TagKeys": list(given)} if given else {})
