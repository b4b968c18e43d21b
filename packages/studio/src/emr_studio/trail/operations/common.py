"""What the operations on trails share: finding them, their ARNs, checks, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.settings import partition_of
from emr_studio.tagging import tag_keys_context
from emr_studio.trail.model import Trail

_ARN = re.compile(r"arn:[a-z-]+:cloudtrail:([a-z0-9-]+):(\d{12}):trail/([\x21-\x7e]+)")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?![._-]))*")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
MOST_TAGS = 50


def trail_arn(account_id: str, region: str, name: str) -> str:
    """ARN of a trail."""
    return f"arn:{partition_of(region)}:cloudtrail:{region}:{account_id}:trail/{name}"


def arn_of(trail: Trail) -> str:
    """ARN of a trail that is there."""
    return trail_arn(trail.account_id, trail.region, trail.name)


def checked_name(name: str) -> str:
    """A trail's name.

    Raises:
        ClientError: InvalidTrailNameException.
    """
    if not 3 <= len(name) <= 128:
        raise _invalid_name("Trail name length must be between 3 and 128 characters.")
    if not _NAME.fullmatch(name) or not name[-1].isalnum() or _ADDRESS.fullmatch(name):
        raise _invalid_name(
            "Trail name must contain only letters, numbers, periods, underscores or dashes, start and end with a "
            "letter or number, have no adjacent periods, underscores or dashes, and not be an IP address."
        )
    return name


def _invalid_name(message: str) -> ClientError:
    return ClientError("InvalidTrailNameException", message)


def full_arn(context: Context, name_or_arn: str) -> str:
    """The ARN that is meant, whether or not such a trail is there.

    Raises:
        ClientError: CloudTrailARNInvalidException, InvalidTrailNameException.
    """
    if not name_or_arn.startswith("arn:"):
        return trail_arn(context.account_id, context.region, checked_name(name_or_arn))
    if not _ARN.fullmatch(name_or_arn):
        raise ClientError("CloudTrailARNInvalidException", f"ARN {name_or_arn[:256]} is not valid.")
    return name_or_arn


def find_trail(context: Context, name_or_arn: str) -> Trail:
    """The trail of that name or ARN.

    Raises:
        ClientError: TrailNotFoundException, or as `full_arn`.
    """
    arn = full_arn(context, name_or_arn)
    found = lookup_trail(context.session, context.account_id, arn)
    if found is None:
        raise ClientError("TrailNotFoundException", f"Unknown trail: {arn} for the user: {context.account_id}")
    return found


def lookup_trail(session: Session, account_id: str, arn: str) -> Trail | None:
    """The account's trail of that ARN."""
    parts = _ARN.fullmatch(arn)
    if parts is None or parts[2] != account_id:
        return None
    wanted = select(Trail).where(Trail.account_id == account_id, Trail.region == parts[1], Trail.name == parts[3])
    return session.scalars(wanted).first()


def on_trail(
    action: str, member: str = "Name", more: Callable[[Request], Mapping[str, ContextValue]] = lambda _: {}
) -> ChecksFunction:
    """Checks of `cloudtrail:<action>` on the trail that a member of the request names."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        return (trail_check(context, action, str(request[member]), more(request)),)

    return checks


def trail_check(context: Context, action: str, name_or_arn: str, more: Mapping[str, ContextValue]) -> Check:
    """The question `cloudtrail:<action>` about a trail, with its tags; one that is not there has none."""
    arn = full_arn(context, name_or_arn)
    found = lookup_trail(context.session, context.account_id, arn)
    tags: dict[str, ContextValue] = (
        {f"aws:ResourceTag/{key}": value for key, value in found.tags.items()} if found else {}
    )
    return Check(f"cloudtrail:{action}", arn, {**tags, **more})


def request_tags(request: Request) -> Mapping[str, ContextValue]:
    """Condition keys of the tags in a request."""
    given = request.get("TagsList") or ()
    found: dict[str, ContextValue] = {f"aws:RequestTag/{tag['Key']}": str(tag.get("Value", "")) for tag in given}
    return found | tag_keys_context([str(tag["Key"]) for tag in given])


def read_tags(given: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """A `TagsList`.

    Raises:
        ClientError: InvalidTagParameterException.
    """
    found: dict[str, str] = {}
    for tag in given or ():
        key = str(tag["Key"])
        if any(ord(character) < 32 for character in key + str(tag.get("Value", ""))):
            raise ClientError("InvalidTagParameterException", "A tag must not contain control characters.")
        if key.lower().startswith("aws:"):
            raise ClientError("InvalidTagParameterException", f"Tag keys that start with aws: are reserved: {key}")
        if key in found:
            raise ClientError("InvalidTagParameterException", f"The tag key {key} is given more than once.")
        found[key] = str(tag.get("Value", ""))
    return found


def check_tag_count(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Raises TagsLimitExceededException for more than fifty."""
    if len(tags) > MOST_TAGS:
        raise ClientError("TagsLimitExceededException", f"A trail can have at most {MOST_TAGS} tags.")
    return tags
