"""CreateBucket, DeleteBucket, ListBuckets: answered from our table of buckets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.settings import Settings
from emr_studio.storage import buckets, s3_xml
from emr_studio.storage.model import ENFORCED, Bucket
from emr_studio.storage.s3_limits import CANNED, not_implemented
from emr_studio.storage.s3_settings import canonical_id, check_ownership
from emr_studio.storage.s3_xml import Served

_FIRST_REGION = "us-east-1"
_MOST_LISTED = 10_000


def create(settings: Settings, context: Context, name: str, headers: Mapping[str, str], body: bytes) -> Served:
    """CreateBucket.

    Raises:
        AwsError
    """
    tags = _read_configuration(settings.region, body)
    ownership = check_ownership(headers.get("x-amz-object-ownership", ENFORCED))
    _check_acl(headers)
    known = buckets.find_bucket(context.session, name)
    if known is not None and known.account_id == context.account_id and settings.region != _FIRST_REGION:
        message = "Your previous request to create the named bucket succeeded and you already own it."
        raise ClientError("BucketAlreadyOwnedByYou", message, 409)
    made = buckets.create_bucket(
        context.session, settings, context.account_id, name, now=context.now(), headers=headers, tags=tags
    )
    if known is None:
        made.ownership = ownership
    return Served(headers={"Location": f"/{name}"})


def delete(settings: Settings, context: Context, bucket: Bucket) -> Served:
    """DeleteBucket.

    Raises:
        AwsError
    """
    buckets.delete_bucket(context.session, settings, bucket)
    return Served(204)


def listed(context: Context, parameters: Mapping[str, str]) -> Served:
    """ListBuckets, a page of it where `max-buckets` is given.

    Raises:
        ClientError: InvalidArgument.
    """
    prefix, region = parameters.get("prefix", ""), parameters.get("bucket-region")
    most = _page_size(parameters.get("max-buckets"))
    after = _read_token(parameters["continuation-token"]) if "continuation-token" in parameters else ""
    found = [
        bucket
        for bucket in buckets.list_buckets(context.session, context.account_id)
        if bucket.name.startswith(prefix) and bucket.name > after and region in {None, bucket.region}
    ]
    page = found[:most]
    inner = f"<Owner><ID>{canonical_id(context.account_id)}</ID></Owner>"
    inner += f"<Buckets>{''.join(map(_item, page))}</Buckets>"
    if len(found) > len(page):
        inner += f"<ContinuationToken>{_token(page[-1].name)}</ContinuationToken>"
    if prefix:
        inner += f"<Prefix>{escape(prefix)}</Prefix>"
    return s3_xml.document("ListAllMyBucketsResult", inner)


def _item(bucket: Bucket) -> str:
    return (
        f"<Bucket><Name>{escape(bucket.name)}</Name>"
        f"<CreationDate>{bucket.created:%Y-%m-%dT%H:%M:%S.000Z}</CreationDate>"
        f"<BucketRegion>{bucket.region}</BucketRegion></Bucket>"
    )


def _page_size(given: str | None) -> int:
    if given is None:
        return _MOST_LISTED
    if not (given.isascii() and given.isdigit() and len(given) <= 5 and 1 <= int(given) <= _MOST_LISTED):
        raise ClientError(
            "InvalidArgument", f"Argument max-buckets must be an integer between 1 and {_MOST_LISTED}", 400
        )
    return int(given)


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(f"buckets:{name}".encode()).decode()


def _read_token(token: str) -> str:
    try:
        kind, _, name = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except (binascii.Error, ValueError):
        kind, name = "", ""
    if kind != "buckets":
        raise ClientError("InvalidArgument", "The continuation token provided is incorrect", 400)
    return name


def _check_acl(headers: Mapping[str, str]) -> None:
    granted = any(name.startswith("x-amz-grant-") for name in headers)
    if granted or headers.get("x-amz-acl", "private") not in CANNED:
        message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise ClientError("InvalidBucketAclWithObjectOwnership", message, 400)


def _read_configuration(region: str, body: bytes) -> dict[str, str]:
    """Check the region that the body asks for; returns the tags that it brings."""
    given, tags = None, {}
    if body.strip():
        root = s3_xml.parse(body, "CreateBucketConfiguration")
        if s3_xml.text_of(root, "Location/Type") or s3_xml.text_of(root, "Bucket/Type"):
            raise not_implemented("Directory buckets are not implemented by this store.")
        given, tags = s3_xml.text_of(root, "LocationConstraint"), _tags(root)
    if region == _FIRST_REGION and given is not None:
        raise ClientError("InvalidLocationConstraint", "The specified location-constraint is not valid", 400)
    if region not in {_FIRST_REGION, given}:
        shown = given or "unspecified"
        message = (
            f"The {shown} location constraint is incompatible for the region specific endpoint "
            "this request was sent to."
        )
        raise ClientError("IllegalLocationConstraintException", message, 400)
    return tags


def _tags(root: ElementTree.Element) -> dict[str, str]:
    found = {}
    for holder in root:
        if s3_xml.name_of(holder) == "Tags":
            for tag in holder:
                found[s3_xml.text_of(tag, "Key") or ""] = s3_xml.text_of(tag, "Value") or ""
    return found
