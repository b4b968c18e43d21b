"""GetResourcePolicy, PutResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam.policy import MalformedPolicy, PolicyKind
from emr_studio.iam.policy.validation import validate
from emr_studio.secrets.errors import BadPolicy
from emr_studio.secrets.finding import find_secret, on_secret, secret_check
from emr_studio.secrets.values import identity


@operation("secretsmanager", "GetResourcePolicy", checks=on_secret("GetResourcePolicy"))
def get_resource_policy(context: Context, request: Request) -> Response:
    """The policy, if there is one."""
    secret = find_secret(context, request["SecretId"])
    return identity(secret) | ({"ResourcePolicy": secret.policy} if secret.policy else {})


def _block(request: Request) -> Mapping[str, ContextValue]:
    return {"secretsmanager:BlockPublicPolicy": str(bool(request.get("BlockPublicPolicy"))).lower()}


@operation("secretsmanager", "PutResourcePolicy", checks=on_secret("PutResourcePolicy", _block))
def put_resource_policy(context: Context, request: Request) -> Response:
    """Give a secret a policy."""
    secret, text = find_secret(context, request["SecretId"]), request["ResourcePolicy"]
    _check(text)
    if request.get("BlockPublicPolicy") and _is_public(text):
        raise ClientError("PublicPolicyException", "The resource policy allows broad access to the secret.")
    secret.policy = text
    return identity(secret)


def _check(text: str) -> None:
    try:
        validate(text, PolicyKind.RESOURCE)
    except MalformedPolicy as error:
        raise BadPolicy(f"This resource policy contains a syntax error: {error}") from error


def _is_public(text: str) -> bool:
    """True if some Allow is for everybody, and no condition narrows it."""
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, dict) else principal
        everybody = "*" in (named if isinstance(named, list) else [named])
        if statement.get("Effect") == "Allow" and everybody and not statement.get("Condition"):
            return True
    return False


@operation("secretsmanager", "DeleteResourcePolicy", checks=on_secret("DeleteResourcePolicy"))
def delete_resource_policy(context: Context, request: Request) -> Response:
    """Take it away."""
    secret = find_secret(context, request["SecretId"])
    secret.policy = None
    return identity(secret)


def _on_validate(context: Context, request: Request) -> Iterable[Check]:
    if request.get("SecretId"):
        yield secret_check(context, request["SecretId"], "ValidateResourcePolicy")
    else:
        yield Check("secretsmanager:ValidateResourcePolicy", "*")


@operation("secretsmanager", "ValidateResourcePolicy", checks=_on_validate, read_only=True)
def validate_resource_policy(_context: Context, request: Request) -> Response:
    """Whether a policy could be saved and lets in no stranger."""
    text = request["ResourcePolicy"]
    _check(text)
    if not _is_public(text):
        return {"PolicyValidationPassed": True, "ValidationErrors": []}
    error = {"CheckName": "PUBLIC_ACCESS", "ErrorMessage": "The resource policy allows broad access to the secret."}
    return {"PolicyValidationPassed": False, "ValidationErrors": [error]}
