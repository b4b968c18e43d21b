"""May the caller do this to that bucket? IAM's policies, the bucket's own, its public access block, its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from emr_studio.aws.context import Caller, Check, Context
from emr_studio.aws.errors import AccessDenied, ClientError
from emr_studio.storage import buckets
from emr_studio.storage.model import Bucket, PublicAccess
from emr_studio.storage.s3_actions import OBJECT_ACTIONS

# Root can always repair a policy that locks everybody out ("Bucket policies": the owner's root user).
_REPAIRS = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
# What nobody may do without a signature, whatever a policy says: these change or show a bucket's set-up.
_OPEN_TO_ALL = OBJECT_ACTIONS | {"listbucket", "listbucketversions", "listbucketmultipartuploads", "getbucketlocation"}


def bucket_of(context: Context, name: str) -> Bucket:
    """The bucket.

    Raises:
        ClientError: NoSuchBucket.
    """
    bucket = buckets.find_bucket(context.session, name)
    if bucket is None:
        raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
    return bucket


def check_owner(bucket: Bucket, headers: Mapping[str, str], name: str = "x-amz-expected-bucket-owner") -> None:
    """Return if the bucket is whose the caller thinks.

    Raises:
        ClientError: AccessDenied.
    """
    expected = headers.get(name)
    if expected is not None and expected != bucket.account_id:
        raise ClientError("AccessDenied", "Access Denied", 403)


def authorize(context: Context, check: Check, bucket: Bucket) -> None:
    """Return if the caller may do what `check` says to `bucket` or an object in it.

    Raises:
        AccessDenied, ClientError
    """
    caller = context.caller
    if _is_shut(caller, check, bucket):
        raise ClientError("AccessDenied", "Access Denied", 403)
    try:
        context.authorize(whole(caller, check, bucket))
    except AccessDenied as error:
        if caller.kind == "anonymous":  # there is nobody to be told who may not
            raise ClientError("AccessDenied", "Access Denied", 403) from error
        raise


def whole(caller: Caller, check: Check, bucket: Bucket) -> Check:
    """The check as IAM is asked it: with the bucket's owner and policy."""
    repairs = caller.kind == "root" and caller.account_id == bucket.account_id and check.action in _REPAIRS
    owner = {"aws:ResourceAccount": bucket.account_id, "s3:ResourceAccount": bucket.account_id}
    return replace(check, context={**check.context, **owner}, resource_policy=None if repairs else bucket.policy)


def _is_shut(caller: Caller, check: Check, bucket: Bucket) -> bool:
    if caller.kind == "anonymous" and check.action.lower().removeprefix("s3:") not in _OPEN_TO_ALL:
        return True
    # "RestrictPublicBuckets": only services and users of the bucket owner's account get through a public policy.
    public = bucket.policy_is_public and bucket.forbids(PublicAccess.RESTRICT)
    return public and caller.kind != "service" and caller.account_id != bucket.account_id
