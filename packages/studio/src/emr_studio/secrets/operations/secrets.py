"""CreateSecret, DescribeSecret, UpdateSecret."""

from __future__ import annotations

import re
import secrets as randoms
import string
from collections.abc import Iterable, Mapping
from typing import Any

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import ValidationError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.secrets.errors import BadParameter, BadRequest, Exists
from emr_studio.secrets.finding import find_secret, look_up, on_secret, request_tags
from emr_studio.secrets.model import CURRENT, Secret, secret_arn, versions_of
from emr_studio.secrets.tagging import read_tags
from emr_studio.secrets.values import add_version, identity, seal_anew, value_of

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_SUFFIX = string.ascii_letters + string.digits


def _about(request: Request) -> dict[str, ContextValue]:
    members = {"Description": "Description", "KmsKeyId": "KmsKeyId"}
    return {f"secretsmanager:{key}": request[member] for member, key in members.items() if request.get(member)}


def _on_create(context: Context, request: Request) -> Iterable[Check]:
    name = request["Name"]
    # The six characters are not known yet; `secret:name-*` and `secret:name-??????` both mean this.
    arn = secret_arn(context.region, context.account_id, f"{name}-??????")
    tags = request_tags(request.get("Tags"))
    yield Check("secretsmanager:CreateSecret", arn, {"secretsmanager:Name": name, **_about(request), **tags})
    if request.get("Tags"):
        yield Check("secretsmanager:TagResource", arn, tags)


@operation("secretsmanager", "CreateSecret", checks=_on_create)
def create_secret(context: Context, request: Request) -> Response:
    """Make a secret, with its first value if one is given."""
    name, value = request["Name"], value_of(request)
    if not _NAME.fullmatch(name):
        raise ValidationError(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
        )
    if request.get("AddReplicaRegions"):
        raise BadParameter("Secrets cannot be replicated: this installation has one Region.")
    token = request.get("ClientRequestToken") or _token()
    known = look_up(context.session, context.account_id, context.region, name)
    if known is not None:
        return _retried(context, known, token, value)
    secret = _new(context, request)
    if value is None:
        return identity(secret)
    add_version(context, secret, token, value, [CURRENT])
    return identity(secret) | {"VersionId": token}


def _retried(context: Context, known: Secret, token: str, value: tuple[bytes, bool] | None) -> Response:
    """The same call again finds what it made."""
    if known.deleted is not None:
        raise BadRequest(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    if value is None or token not in {version.version_id for version in versions_of(context.session, known)}:
        raise Exists(f"The operation failed because the secret {known.name} already exists.")
    add_version(context, known, token, value, [])
    return identity(known) | {"VersionId": token}


def _token() -> str:
    return randoms.token_hex(16)


def _new(context: Context, request: Request) -> Secret:
    suffix = "".join(randoms.choice(_SUFFIX) for _ in range(6))
    secret = Secret(
        id=secret_arn(context.region, context.account_id, f"{request['Name']}-{suffix}"),
        account_id=context.account_id,
        region=context.region,
        name=request["Name"],
        description=request.get("Description"),
        kms_key_id=request.get("KmsKeyId") or None,
        tags=read_tags(request.get("Tags")),
        created=context.now(),
        changed=context.now(),
    )
    context.session.add(secret)
    context.session.flush()
    return secret


@operation("secretsmanager", "DescribeSecret", checks=on_secret("DescribeSecret"))
def describe_secret(context: Context, request: Request) -> Response:
    """All but the value; of a secret that is marked for deletion too."""
    secret = find_secret(context, request["SecretId"], deleted=True)
    stages = {version.version_id: version.stages for version in versions_of(context.session, secret) if version.stages}
    return entry(secret) | ({"VersionIdsToStages": stages} if stages else {})


def entry(secret: Secret) -> dict[str, Any]:
    """What descriptions and lists show of a secret."""
    shown = {
        **identity(secret),
        "Description": secret.description,
        "KmsKeyId": secret.kms_key_id,
        "LastChangedDate": secret.changed,
        "LastAccessedDate": secret.accessed,
        "DeletedDate": secret.deleted,
        "Tags": [{"Key": name, "Value": value} for name, value in secret.tags.items()],
        "CreatedDate": secret.created,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _changes(request: Request) -> Mapping[str, ContextValue]:
    return _about(request)


@operation("secretsmanager", "UpdateSecret", checks=on_secret("UpdateSecret", _changes))
def update_secret(context: Context, request: Request) -> Response:
    """Change description, key or value."""
    secret, value = find_secret(context, request["SecretId"]), value_of(request)
    if request.get("Description") is not None:
        secret.description = request["Description"]
    if request.get("KmsKeyId") is not None and (request["KmsKeyId"] or None) != secret.kms_key_id:
        _change_key(context, secret, request["KmsKeyId"] or None)
    secret.changed = context.now()
    if value is None:
        return identity(secret)
    token = request.get("ClientRequestToken") or _token()
    add_version(context, secret, token, value, [CURRENT])
    return identity(secret) | {"VersionId": token}


def _change_key(context: Context, secret: Secret, key_id: str | None) -> None:
    secret.kms_key_id = key_id
    seal_anew(context, secret)
