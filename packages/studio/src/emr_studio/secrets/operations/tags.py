"""TagResource, UntagResource."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.secrets.finding import find_secret, on_secret, request_tags
from emr_studio.secrets.tagging import limited, read_tags


@operation("secretsmanager", "TagResource", checks=on_secret("TagResource", lambda r: request_tags(r["Tags"])))
def tag_resource(context: Context, request: Request) -> Response:
    """Tag a secret."""
    secret = find_secret(context, request["SecretId"])
    secret.tags = limited({**secret.tags, **read_tags(request["Tags"])})
    return None


@operation(
    "secretsmanager",
    "UntagResource",
    checks=on_secret("UntagResource", lambda r: {"aws:TagKeys": list(r["TagKeys"])}),
)
def untag_resource(context: Context, request: Request) -> Response:
    """Remove tags; those that are not there are ignored."""
    secret = find_secret(context, request["SecretId"])
    gone = set(request["TagKeys"])
    secret.tags = {name: value for name, value in secret.tags.items() if name not in gone}
    return None
