"""GetSecretValue, BatchGetSecretValue, PutSecretValue, ListSecretVersionIds, UpdateSecretVersionStage."""

from __future__ import annotations

import secrets as randoms
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import AwsError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.secrets.errors import BadParameter, BadRequest, NotFound
from emr_studio.secrets.finding import find_secret, on_secret, secret_check
from emr_studio.secrets.listing import filtered, page_of
from emr_studio.secrets.model import CURRENT, Secret, SecretVersion, staged, versions_of
from emr_studio.secrets.values import add_version, identity, move_stage, note_access, open_value, value_of

_BATCH = 20


def _asked_version(request: Request) -> Mapping[str, ContextValue]:
    keys: dict[str, ContextValue] = {}
    if request.get("VersionId"):
        keys["secretsmanager:VersionId"] = request["VersionId"]
    if request.get("VersionStage") or not keys:
        keys["secretsmanager:VersionStage"] = request.get("VersionStage") or CURRENT
    return keys


@operation("secretsmanager", "GetSecretValue", checks=on_secret("GetSecretValue", _asked_version))
def get_secret_value(context: Context, request: Request) -> Response:
    """The value of a version: by default the one labelled AWSCURRENT."""
    secret = find_secret(context, request["SecretId"])
    return _read(context, secret, _version(context, secret, request.get("VersionId"), request.get("VersionStage")))


def _version(context: Context, secret: Secret, version_id: str | None, stage: str | None) -> SecretVersion:
    session = context.session
    if version_id is None:
        found = staged(session, secret, stage or CURRENT)
        wanted = f"for staging label: {stage or CURRENT}"
    else:
        found, wanted = session.get(SecretVersion, (secret.id, version_id)), f"for VersionId: {version_id}"
    if found is None:
        raise NotFound(f"Secrets Manager can't find the specified secret value {wanted}")
    if version_id is not None and stage is not None and stage not in found.stages:
        raise BadRequest("You provided a VersionStage that is not associated to the provided VersionId.")
    return found


def _read(context: Context, secret: Secret, version: SecretVersion) -> dict[str, Any]:
    data = open_value(context, secret, version)
    note_access(secret, version, context.now())
    value = {"SecretBinary": data} if version.binary else {"SecretString": data.decode()}
    about = {"VersionId": version.version_id, "VersionStages": version.stages, "CreatedDate": version.created}
    return {**identity(secret), **about, **value}


def _on_batch(_context: Context, request: Request) -> Iterable[Check]:
    yield Check("secretsmanager:BatchGetSecretValue", "*")
    if request.get("Filters"):
        yield Check("secretsmanager:ListSecrets", "*")


@operation("secretsmanager", "BatchGetSecretValue", checks=_on_batch, read_only=True)
def batch_get_secret_value(context: Context, request: Request) -> Response:
    """The current values of several secrets; each needs GetSecretValue, or stands among the errors."""
    named, filters = request.get("SecretIdList"), request.get("Filters")
    if bool(named) == bool(filters):
        raise BadParameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
    token = None
    if filters:
        secrets, token = _matching(context, request)
        named = [secret.arn for secret in secrets]
    values: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    for secret_id in named or ():
        try:
            values.append(_one(context, secret_id))
        except AwsError as error:
            errors.append({"SecretId": secret_id, "ErrorCode": error.code, "Message": error.message})
    answer: dict[str, Any] = {"SecretValues": values, "Errors": errors}
    return answer | ({"NextToken": token} if token else {})


def _matching(context: Context, request: Request) -> tuple[list[Secret], str | None]:
    own = select(Secret).where(Secret.account_id == context.account_id, Secret.region == context.region)
    found = filtered(context.session.scalars(own.where(Secret.deleted.is_(None)).order_by(Secret.id)), request)
    return page_of(context, found, request, _BATCH, bound_to=f"BatchGetSecretValue{request['Filters']}")


def _one(context: Context, secret_id: str) -> dict[str, Any]:
    keys: dict[str, ContextValue] = {"secretsmanager:VersionStage": CURRENT}
    context.authorize(secret_check(context, secret_id, "GetSecretValue", keys))
    secret = find_secret(context, secret_id)
    return _read(context, secret, _version(context, secret, None, None))


@operation("secretsmanager", "PutSecretValue", checks=on_secret("PutSecretValue"))
def put_secret_value(context: Context, request: Request) -> Response:
    """Add a value; by default it becomes AWSCURRENT."""
    secret, value = find_secret(context, request["SecretId"]), value_of(request)
    if value is None:
        raise BadRequest("You must provide either SecretString or SecretBinary.")
    token = request.get("ClientRequestToken") or randoms.token_hex(16)
    version = add_version(context, secret, token, value, request.get("VersionStages") or [CURRENT])
    return identity(secret) | {"VersionId": version.version_id, "VersionStages": version.stages}


@operation("secretsmanager", "ListSecretVersionIds", checks=on_secret("ListSecretVersionIds"))
def list_secret_version_ids(context: Context, request: Request) -> Response:
    """The versions, newest first; those without labels on request."""
    secret = find_secret(context, request["SecretId"], deleted=True)
    deprecated = bool(request.get("IncludeDeprecated"))
    versions = [version for version in versions_of(context.session, secret) if version.stages or deprecated]
    bound_to = f"ListSecretVersionIds {secret.id} {deprecated}"
    page, token = page_of(context, versions, request, 100, bound_to=bound_to)
    answer = identity(secret) | {"Versions": [_entry(version) for version in page]}
    return answer | ({"NextToken": token} if token else {})


def _entry(version: SecretVersion) -> dict[str, Any]:
    shown = {
        "VersionId": version.version_id,
        "VersionStages": version.stages or None,
        "LastAccessedDate": version.accessed,
        "CreatedDate": version.created,
        "KmsKeyIds": [version.key_id.replace("alias/aws/secretsmanager", "DefaultEncryptionKey")],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _stage_key(request: Request) -> Mapping[str, ContextValue]:
    return {"secretsmanager:VersionStage": request["VersionStage"]}


@operation("secretsmanager", "UpdateSecretVersionStage", checks=on_secret("UpdateSecretVersionStage", _stage_key))
def update_secret_version_stage(context: Context, request: Request) -> Response:
    """Move a label from one version to another, add it, or take it away."""
    secret, stage = find_secret(context, request["SecretId"]), request["VersionStage"]
    source, target = request.get("RemoveFromVersionId"), request.get("MoveToVersionId")
    holder = staged(context.session, secret, stage)
    if target is None and stage == CURRENT:
        raise BadParameter(
            "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed."
        )
    if source is not None and (holder is None or holder.version_id != source):
        raise BadParameter(f"The staging label {stage} is not attached to version {source}.")
    if holder is not None and source is None and holder.version_id != target:
        raise BadParameter(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version "
            f"{holder.version_id}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    moved = _version(context, secret, target, None) if target is not None else None
    move_stage(context.session, secret, stage, moved)
    secret.changed = context.now()
    return identity(secret)
