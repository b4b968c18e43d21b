"""RotateSecret, CancelRotateSecret, replication: what AWS says where there is no Lambda and one Region."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AccessDenied
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.secrets.errors import BadParameter, BadRequest
from emr_studio.secrets.finding import find_secret, on_secret
from emr_studio.secrets.values import identity


@operation("secretsmanager", "RotateSecret", checks=on_secret("RotateSecret"))
def rotate_secret(context: Context, request: Request) -> Response:
    """Always refused: rotation is a Lambda function's work."""
    find_secret(context, request["SecretId"])
    if not request.get("RotationLambdaARN"):
        raise BadRequest("No Lambda rotation function ARN is associated with this secret.")
    raise AccessDenied(
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to "
        "the principal secretsmanager.amazonaws.com."
    )


@operation("secretsmanager", "CancelRotateSecret", checks=on_secret("CancelRotateSecret"))
def cancel_rotate_secret(context: Context, request: Request) -> Response:
    """Nothing rotates; so it is."""
    return identity(find_secret(context, request["SecretId"]))


@operation("secretsmanager", "ReplicateSecretToRegions", checks=on_secret("ReplicateSecretToRegions"))
def replicate_secret_to_regions(context: Context, request: Request) -> Response:
    """Always refused."""
    find_secret(context, request["SecretId"])
    raise BadParameter("Secrets cannot be replicated: this installation has one Region.")
