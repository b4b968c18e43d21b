"""May CloudTrail write to a bucket? Asked of the bucket's policy, as on AWS.

Source: "Amazon S3 bucket policy for CloudTrail" (CloudTrail user guide).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from emr_studio.aws.context import Authorizer, Caller, Check, Context, ContextValue, RequestInfo
from emr_studio.aws.errors import AccessDenied
from emr_studio.clock import Clock
from emr_studio.settings import partition_of
from emr_studio.storage import buckets
from emr_studio.storage.model import Bucket

SERVICE = "cloudtrail.amazonaws.com"
_CALLER = Caller(account_id="", kind="service", arn=SERVICE, principal_arn=SERVICE, user_id=SERVICE)
FULL_CONTROL = "bucket-owner-full-control"


@dataclass(frozen=True)
class BucketAccess:
    """Questions of one trail (by its ARN and region) about a bucket."""

    session: Session
    authorizer: Authorizer
    clock: Clock
    trail_arn: str
    region: str

    def find(self, name: str) -> Bucket | None:
        """The bucket, whosever it is."""
        return buckets.find_bucket(self.session, name)

    def may_write(self, bucket: Bucket, key: str) -> bool:
        """True if the policy lets CloudTrail read the bucket's ACL and put an object at `key`."""
        arn = f"arn:{partition_of(self.region)}:s3:::{bucket.name}"
        put: dict[str, ContextValue] = {"s3:x-amz-acl": FULL_CONTROL}
        return self._allows(bucket, "s3:GetBucketAcl", arn, {}) and self._allows(
            bucket, "s3:PutObject", f"{arn}/{key}", put
        )

    def _allows(self, bucket: Bucket, action: str, resource: str, more: dict[str, ContextValue]) -> bool:
        keys: dict[str, ContextValue] = {
            "aws:SourceArn": self.trail_arn,
            "aws:SourceAccount": self.trail_arn.split(":")[4],
            "aws:ResourceAccount": bucket.account_id,
        }
        info = RequestInfo(secure=True)
        context = Context(_CALLER, self.region, self.session, self.clock, "", info, self.authorizer)
        try:
            context.authorize(Check(action, resource, keys | more, bucket.policy))
        except AccessDenied:
            return False
        return True
