"""Buckets: made and deleted in the store and in our table together.

The control plane does both itself, in one transaction of the database, so that no bucket is without
an owner for long: where a process dies between the two, the store has a bucket that the table
lacks; nobody can reach it, and the next CreateBucket of that name takes it over.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

import httpx
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emr_studio.aws.errors import ClientError, Unavailable
from emr_studio.db.known import remembered
from emr_studio.settings import Settings
from emr_studio.storage.external import external
from emr_studio.storage.model import Bucket
from emr_studio.storage.store import PROBE_BUCKET, store_client

# "Bucket naming rules" of the S3 user guide.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# SeaweedFS serves its own pages under these names.
_RESERVED = frozenset({PROBE_BUCKET, "status", "healthz", "metrics"})
MOST_BUCKETS = 100
"""Buckets of an account (AWS's quota that needs no asking). The store takes some disk for each."""
_FORWARDED = ("x-amz-bucket-object-lock-enabled",)


def find_bucket(session: Session, name: str) -> Bucket | None:
    """The bucket of that name, whosever it is."""
    return remembered(session, ("bucket", name), lambda: session.get(Bucket, name))


def owner_of(session: Session, name: str) -> str:
    """The account of the bucket; empty if there is no such bucket."""
    bucket = find_bucket(session, name) if name else None
    return bucket.account_id if bucket else ""


def list_buckets(session: Session, account_id: str) -> list[Bucket]:
    """All buckets of an account, by name."""
    return list(session.scalars(select(Bucket).where(Bucket.account_id == account_id).order_by(Bucket.name)))


def create_bucket(
    session: Session,
    settings: Settings,
    account_id: str,
    name: str,
    *,
    now: dt.datetime,
    headers: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Bucket:
    """Make a bucket; one that the account has already is returned as it is (as us-east-1 does).

    Raises:
        ClientError: InvalidBucketName, BucketAlreadyExists, TooManyBuckets.
        Unavailable: if the store does not answer.
    """
    if not is_bucket_name(name):
        raise ClientError("InvalidBucketName", "The specified bucket is not valid.", 400)
    known = find_bucket(session, name)
    if known is not None and known.account_id == account_id:
        return known
    if known is not None or name in _RESERVED:
        message = (
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again."
        )
        raise ClientError("BucketAlreadyExists", message, 409)
    if (session.scalar(select(func.count()).where(Bucket.account_id == account_id)) or 0) >= MOST_BUCKETS:
        message = f"You have attempted to create more buckets than allowed ({MOST_BUCKETS})"
        raise ClientError("TooManyBuckets", message, 400)
    sent = {key: value for key, value in (headers or {}).items() if key in _FORWARDED}
    made = Bucket(name=name, account_id=account_id, region=settings.region, created=now, may_keep_versions=bool(sent))
    session.add(made)
    session.flush()
    answer = _ask_store(settings, "PUT", name, sent, _location(settings))
    if external(settings) is not None and _code(answer) in {"BucketAlreadyExists", "AccessDenied"}:
        message = "The external S3 does not give us a bucket of this name."
        raise ClientError("BucketAlreadyExists", message, 409)
    # 409: it is left over from a process that died between store and table.
    made.may_keep_versions |= answer.status_code == 409
    if answer.status_code not in {200, 409}:
        raise Unavailable(f"The store did not make the bucket: {_code(answer)}")
    if tags:
        _put_tags(settings, name, tags)
    return made


def _location(settings: Settings) -> bytes:
    """What an external S3 outside of the first region wants to be told."""
    outside = external(settings)
    if outside is None or outside.region == "us-east-1":
        return b""
    inner = f"<LocationConstraint>{outside.region}</LocationConstraint>"
    return f"<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>".encode()


def _put_tags(settings: Settings, bucket: str, tags: Mapping[str, str]) -> None:
    items = "".join(f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in tags.items())
    body = f"<Tagging><TagSet>{items}</TagSet></Tagging>".encode()
    answer = _ask_store(settings, "PUT", f"{bucket}?tagging", {}, body)
    if answer.status_code != httpx.codes.OK:
        _ask_store(settings, "DELETE", bucket, {})
        raise ClientError("InvalidTag", "The tag provided was not a valid tag.", 400)


def delete_bucket(session: Session, settings: Settings, bucket: Bucket) -> None:
    """Delete an empty bucket.

    Raises:
        ClientError: BucketNotEmpty.
        Unavailable: if the store does not answer.
    """
    # The store itself would delete versions and delete markers along with their bucket.
    if _has_versions(settings, bucket.name):
        message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
        raise ClientError("BucketNotEmpty", message, 409)
    answer = _ask_store(settings, "DELETE", bucket.name, {})
    if answer.status_code == 409:
        raise ClientError("BucketNotEmpty", "The bucket you tried to delete is not empty", 409)
    if answer.status_code not in {204, 404}:
        raise Unavailable(f"The store did not delete the bucket: {_code(answer)}")
    session.delete(bucket)


def _has_versions(settings: Settings, bucket: str) -> bool:
    answer = _ask_store(settings, "GET", f"{bucket}?versions&max-keys=1", {})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return False
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"The store did not list the bucket: {_code(answer)}")
    return "<Version>" in answer.text or "<DeleteMarker>" in answer.text


def is_bucket_name(name: str) -> bool:
    """True if S3 allows the name."""
    if not _NAME.fullmatch(name) or ".." in name or name.startswith(("xn--", "sthree-", "amzn-s3-demo-")):
        return False
    if name.endswith(("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _ask_store(
    settings: Settings, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
) -> httpx.Response:
    try:
        with store_client(settings) as client:
            return client.request(method, f"/{target}", headers=dict(headers), content=body)
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable("The store does not answer. Try again.") from error


def _code(answer: httpx.Response) -> str:
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    return found.group(1) if found else str(answer.status_code)
