"""ListPublicKeys: with what digest files are verified."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.settings import Settings
from emr_studio.trail.signing import DigestKey


@operation("cloudtrail", "ListPublicKeys", checks=action("cloudtrail:ListPublicKeys"))
def list_public_keys(context: Context, request: Request) -> Response:
    """The public keys that were in use at some time of the range; by default now."""
    start = request.get("StartTime") or request.get("EndTime") or context.now()
    end = request.get("EndTime") or max(context.now(), start)
    if start > end:
        raise ClientError("InvalidTimeRangeException", "Start time must not be after end time.")
    if request.get("NextToken"):
        raise ClientError("InvalidTokenException", "The token is not valid.")
    key = DigestKey.load(context.port(Settings).keys_dir)
    if end < key.valid_from or start > key.valid_until:
        return {"PublicKeyList": []}
    described = {
        "Value": key.public_key,
        "ValidityStartTime": key.valid_from,
        "ValidityEndTime": key.valid_until,
        "Fingerprint": key.fingerprint,
    }
    return {"PublicKeyList": [described]}
