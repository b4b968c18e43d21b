"""TagResource, UntagResource, ListResourceTags."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.keys.authorization import on_key, request_tags, requested
from emr_studio.keys.finding import not_pending
from emr_studio.keys.tagging import limited, read_tags


@operation("kms", "TagResource", checks=on_key("TagResource", more=lambda r: request_tags(r["Tags"])))
def tag_resource(context: Context, request: Request) -> Response:
    """Tag a key."""
    key = not_pending(requested(context, request["KeyId"]).key)
    key.tags = limited({**key.tags, **read_tags(request["Tags"])})
    return None


@operation("kms", "UntagResource", checks=on_key("UntagResource", more=lambda r: {"aws:TagKeys": list(r["TagKeys"])}))
def untag_resource(context: Context, request: Request) -> Response:
    """Remove tags; those that are not there are ignored."""
    key = not_pending(requested(context, request["KeyId"]).key)
    gone = set(request["TagKeys"])
    key.tags = {name: value for name, value in key.tags.items() if name not in gone}
    return None


@operation("kms", "ListResourceTags", checks=on_key("ListResourceTags"))
def list_resource_tags(context: Context, request: Request) -> Response:
    """All tags of a key; 50 at most, so always one page."""
    key = requested(context, request["KeyId"]).key
    tags = [{"TagKey": name, "TagValue": value} for name, value in key.tags.items()]
    return {"Tags": tags, "Truncated": False}
