"""AddTags, RemoveTags, ListTags of trails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.trail.model import Trail
from emr_studio.trail.operations.common import (
    check_tag_count,
    full_arn,
    lookup_trail,
    on_trail,
    read_tags,
    request_tags,
    trail_check,
)

_MOST_RESOURCES = 20


def _tagged(context: Context, arn: str) -> Trail:
    """The trail of an ARN; names do not do here.

    Raises:
        ClientError: CloudTrailARNInvalidException, ResourceNotFoundException.
    """
    if not arn.startswith("arn:"):
        raise ClientError("CloudTrailARNInvalidException", f"ARN {arn[:256]} is not valid.")
    found = lookup_trail(context.session, context.account_id, full_arn(context, arn))
    if found is None:
        raise ClientError("ResourceNotFoundException", f"The resource {arn} cannot be found.")
    return found


@operation("cloudtrail", "AddTags", checks=on_trail("AddTags", "ResourceId", request_tags))
def add_tags(context: Context, request: Request) -> Response:
    trail = _tagged(context, str(request["ResourceId"]))
    trail.tags = dict(check_tag_count({**trail.tags, **read_tags(request["TagsList"])}))
    return {}


@operation("cloudtrail", "RemoveTags", checks=on_trail("RemoveTags", "ResourceId", request_tags))
def remove_tags(context: Context, request: Request) -> Response:
    trail = _tagged(context, str(request["ResourceId"]))
    gone = {str(tag["Key"]) for tag in request["TagsList"]}
    trail.tags = {key: value for key, value in trail.tags.items() if key not in gone}
    return {}


def _on_all(context: Context, request: Request) -> Iterable[Check]:
    arns = [str(arn) for arn in request["ResourceIdList"]]
    return [trail_check(context, "ListTags", arn, {}) for arn in arns] or [Check("cloudtrail:ListTags", "*")]


@operation("cloudtrail", "ListTags", checks=_on_all)
def list_tags(context: Context, request: Request) -> Response:
    arns = [str(arn) for arn in request["ResourceIdList"]]
    if not 1 <= len(arns) <= _MOST_RESOURCES:
        raise ClientError("InvalidParameterException", f"Name 1 to {_MOST_RESOURCES} resources.")
    if request.get("NextToken"):
        raise ClientError("InvalidTokenException", "The token is not valid.")
    listed: list[dict[str, Any]] = []
    for arn in arns:
        tags = _tagged(context, arn).tags
        listed.append({"ResourceId": arn, "TagsList": [{"Key": key, "Value": tags[key]} for key in tags]})
    return {"ResourceTagList": listed}
