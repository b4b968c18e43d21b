"""Trails: made, changed, deleted, listed, started and stopped."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, select

from emr_studio.aws.context import Check, Context, Preparation
from emr_studio.aws.errors import ClientError
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.storage.buckets import is_bucket_name
from emr_studio.trail.bucket_access import BucketAccess
from emr_studio.trail.collector import Collector, last_batch
from emr_studio.trail.delivery import cut_file
from emr_studio.trail.lines import event_time
from emr_studio.trail.model import Trail
from emr_studio.trail.naming import sample_key
from emr_studio.trail.operations.common import (
    arn_of,
    check_tag_count,
    checked_name,
    find_trail,
    on_trail,
    read_tags,
    request_tags,
    trail_arn,
)

_MOST_TRAILS = 5
_PAGE = 100
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()&$@=;:+ ,?/-]{1,200}")
_COLUMN_OF = {
    "IncludeGlobalServiceEvents": "includes_global",
    "IsMultiRegionTrail": "is_multi_region",
    "EnableLogFileValidation": "validates",
}


def _collected(preparation: Preparation, _request: Request) -> None:
    """What happened until now is before the trail's start or stop."""
    preparation.ports[Collector].collect(all_processes=True)


def _on_create(context: Context, request: Request) -> Iterable[Check]:
    name = checked_name(str(request["Name"]))
    return (
        Check("cloudtrail:CreateTrail", trail_arn(context.account_id, context.region, name), request_tags(request)),
    )


@operation("cloudtrail", "CreateTrail", checks=_on_create)
def create_trail(context: Context, request: Request) -> Response:
    """Make a trail; it begins to log at StartLogging."""
    name = str(request["Name"])
    _check_room(context, name)
    _refuse_what_is_not_here(request)
    trail = Trail(
        id=str(uuid.uuid4()),
        account_id=context.account_id,
        region=context.region,
        name=name,
        bucket="",
        created=context.now(),
        tags=dict(check_tag_count(read_tags(request.get("TagsList")))),
        includes_global=True,
        is_multi_region=False,
        validates=False,
        is_logging=False,
        cursor=0,
    )
    _set(context, trail, request)
    context.session.add(trail)
    context.session.flush()
    return _made(trail)


def _check_room(context: Context, name: str) -> None:
    own = select(Trail).where(Trail.account_id == context.account_id, Trail.region == context.region)
    if context.session.scalars(own.where(Trail.name == name)).first() is not None:
        raise ClientError(
            "TrailAlreadyExistsException", f"Trail {name} already exists for customer: {context.account_id}"
        )
    count = context.session.scalar(select(func.count()).select_from(own.subquery())) or 0
    if count >= _MOST_TRAILS:
        raise ClientError(
            "MaximumNumberOfTrailsExceededException",
            f"User: {context.account_id} already has {_MOST_TRAILS} trails in {context.region}.",
        )


def _refuse_what_is_not_here(request: Request) -> None:
    """Nothing is taken and then not done: no topics, no log groups, no organisations; KMS for none of its files."""
    if request.get("SnsTopicName"):
        raise ClientError("InvalidSnsTopicNameException", "SNS topics are not available in this installation.")
    if request.get("CloudWatchLogsLogGroupArn") or request.get("CloudWatchLogsRoleArn"):
        raise ClientError(
            "CloudWatchLogsDeliveryUnavailableException", "CloudWatch Logs is not available in this installation."
        )
    if request.get("KmsKeyId"):
        raise ClientError("InvalidKmsKeyIdException", "Log files encrypted with KMS keys are not available here.")
    if request.get("IsOrganizationTrail"):
        raise ClientError("OrganizationsNotInUseException", "Your account is not a member of an organization.")


def _set(context: Context, trail: Trail, request: Request) -> None:
    """Set what the request names; whether CloudTrail may write there is asked each time."""
    for member, column in _COLUMN_OF.items():
        if request.get(member) is not None:
            setattr(trail, column, bool(request[member]))
    if trail.is_multi_region and not trail.includes_global:
        raise ClientError(
            "InvalidParameterCombinationException", "Multi-Region trail must include global service events."
        )
    if not trail.validates:
        trail.digest_start = None
    if "S3KeyPrefix" in request:
        trail.prefix = _prefix(str(request["S3KeyPrefix"]))
    if request.get("S3BucketName"):
        trail.bucket = str(request["S3BucketName"])
    _check_bucket(context, trail)


def _prefix(given: str) -> str | None:
    stripped = given.strip("/")
    if not stripped:
        return None
    if not _PREFIX.fullmatch(stripped) or any(part in {"", ".", ".."} for part in stripped.split("/")):
        raise ClientError("InvalidS3PrefixException", f"S3 prefix: {given[:256]} is not valid.")
    return stripped


def _check_bucket(context: Context, trail: Trail) -> None:
    if not is_bucket_name(trail.bucket):
        raise ClientError("InvalidS3BucketNameException", f"Bucket name {trail.bucket[:128]} is not valid.")
    access = BucketAccess(context.session, context.authorizer, context.clock, arn_of(trail), trail.region)
    bucket = access.find(trail.bucket)
    if bucket is None:
        raise ClientError("S3BucketDoesNotExistException", f"S3 bucket {trail.bucket} does not exist!")
    if not access.may_write(bucket, sample_key(trail.account_id, trail.prefix)):
        raise ClientError(
            "InsufficientS3BucketPolicyException",
            f"Incorrect S3 bucket policy is detected for bucket: {trail.bucket}",
        )


@operation("cloudtrail", "UpdateTrail", checks=on_trail("UpdateTrail"))
def update_trail(context: Context, request: Request) -> Response:
    """Change what is named, leave the rest."""
    trail = find_trail(context, str(request["Name"]))
    _refuse_what_is_not_here(request)
    _set(context, trail, request)
    return _made(trail)


@operation("cloudtrail", "DeleteTrail", checks=on_trail("DeleteTrail"))
def delete_trail(context: Context, request: Request) -> Response:
    """Delete a trail; its files in S3 stay."""
    context.session.delete(find_trail(context, str(request["Name"])))
    return {}


@operation("cloudtrail", "DescribeTrails", checks=action("cloudtrail:DescribeTrails"))
def describe_trails(context: Context, request: Request) -> Response:
    """All trails, or those that are named; names that are not there are passed over."""
    wanted = select(Trail).where(Trail.account_id == context.account_id).order_by(Trail.name)
    trails = list(context.session.scalars(wanted))
    names = [str(name) for name in request.get("trailNameList") or ()]
    for name in names:
        if not name.startswith("arn:"):
            checked_name(name)
    if names:
        trails = [trail for trail in trails if trail.name in names or arn_of(trail) in names]
    return {"trailList": [_described(trail) for trail in trails]}


@operation("cloudtrail", "GetTrail", checks=on_trail("GetTrail"))
def get_trail(context: Context, request: Request) -> Response:
    return {"Trail": _described(find_trail(context, str(request["Name"])))}


@operation("cloudtrail", "ListTrails", checks=action("cloudtrail:ListTrails"))
def list_trails(context: Context, request: Request) -> Response:
    page, token = paginate(
        context,
        select(Trail).where(Trail.account_id == context.account_id),
        (Trail.name, Trail.id),
        _PAGE,
        request.get("NextToken"),
        bound_to="ListTrails",
        invalid=lambda _: ClientError("InvalidTokenException", "The token is not valid."),
    )
    listed = [{"TrailARN": arn_of(trail), "Name": trail.name, "HomeRegion": trail.region} for trail in page]
    return {"Trails": listed} | ({"NextToken": token} if token else {})


@operation("cloudtrail", "StartLogging", checks=on_trail("StartLogging"), prepare=_collected)
def start_logging(context: Context, request: Request) -> Response:
    """Deliver what happens from now on. A trail that was stopped begins anew; what it still owed is not forgotten."""
    trail = find_trail(context, str(request["Name"]))
    if not trail.is_logging:
        while trail.last_batch is not None and trail.cursor < trail.last_batch:
            cut_file(context.session, trail, context.now())
        trail.is_logging, trail.started, trail.last_batch = True, context.now(), None
        trail.cursor = last_batch(context.session)
    return {}


@operation("cloudtrail", "StopLogging", checks=on_trail("StopLogging"), prepare=_collected)
def stop_logging(context: Context, request: Request) -> Response:
    """Deliver what happened until now, and no more."""
    trail = find_trail(context, str(request["Name"]))
    if trail.is_logging:
        trail.is_logging, trail.stopped = False, context.now()
        trail.last_batch = last_batch(context.session)
    return {}


@operation("cloudtrail", "GetTrailStatus", checks=on_trail("GetTrailStatus"))
def get_trail_status(context: Context, request: Request) -> Response:
    """How the logging and the deliveries go."""
    trail = find_trail(context, str(request["Name"]))
    status: dict[str, Any] = {
        "IsLogging": trail.is_logging,
        "LatestDeliveryError": trail.delivery_error,
        "LatestDeliveryTime": trail.delivered,
        "LatestDigestDeliveryTime": trail.digested,
        "LatestDigestDeliveryError": trail.digest_error,
        "StartLoggingTime": trail.started,
        "StopLoggingTime": trail.stopped,
        "LatestDeliveryAttemptTime": event_time(trail.attempted) if trail.attempted else "",
        "LatestDeliveryAttemptSucceeded": event_time(trail.delivered) if trail.delivered else "",
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "TimeLoggingStarted": event_time(trail.started) if trail.started else "",
        "TimeLoggingStopped": event_time(trail.stopped) if trail.stopped else "",
    }
    return {name: value for name, value in status.items() if value is not None}


def _made(trail: Trail) -> Mapping[str, Any]:
    """What CreateTrail and UpdateTrail answer."""
    shape: dict[str, Any] = {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "S3KeyPrefix": trail.prefix,
        "IncludeGlobalServiceEvents": trail.includes_global,
        "IsMultiRegionTrail": trail.is_multi_region,
        "TrailARN": arn_of(trail),
        "LogFileValidationEnabled": trail.validates,
        "IsOrganizationTrail": False,
    }
    return {name: value for name, value in shape.items() if value is not None}


def _described(trail: Trail) -> Mapping[str, Any]:
    more = {
        "HomeRegion": trail.region,
        "HasCustomEventSelectors": trail.selectors is not None or trail.advanced_selectors is not None,
        "HasInsightSelectors": False,
    }
    return {**_made(trail), **more}
