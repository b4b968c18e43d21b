"""S3 objects sealed with KMS keys: who may write them, and who may read them.

The store encrypts, with a key that it gets from KMS for each object and keeps beside the object, sealed.
It asks for itself, so the question whether the *caller* may use the key is asked here, at the edge, as
S3 does: `kms:GenerateDataKey` to write, `kms:Decrypt` to read, through S3, with the object's ARN (or,
with a bucket key, the bucket's) as encryption context.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from urllib.parse import quote

import httpx
from sqlalchemy.orm import Session

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError, Unavailable
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.db.known import remembered
from emr_studio.keys.errors import Disabled, InvalidState, NotFound
from emr_studio.keys.finding import FoundKey, find_key, usable
from emr_studio.keys.model import SealedBucket
from emr_studio.keys.ring import KeyRing
from emr_studio.keys.services import data_check, ensure_managed_key, managed_alias
from emr_studio.settings import Settings
from emr_studio.storage import buckets
from emr_studio.storage.s3_keys import KMS, SSE
from emr_studio.storage.s3_request import S3Request, read_copy_source
from emr_studio.storage.store import store_client

_KEY_ID = f"{SSE}-aws-kms-key-id"
_BUCKET_KEY = f"{SSE}-bucket-key-enabled"
_CONTEXT = f"{SSE}-context"
_SERVICE = "s3"


class KmsObjectKeys:
    """`storage.s3_keys.ObjectKeys`, with our KMS."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, ring: KeyRing) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._ring = ring
        self._noted: set[str] = set()
        self._lock = threading.Lock()

    def replaced(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
        try:
            self._check_reading(context, request, headers)
            return self._check_writing(context, request, headers)
        except (Disabled, InvalidState, NotFound) as error:
            raise ClientError(f"KMS.{error.code}", error.message, 400) from error

    def takes_time(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> bool:
        return (
            "x-amz-copy-source" in headers
            or any(name.startswith(SSE) for name in headers)
            or _is_sealed(context.session, request.bucket)
        )

    # --- reading

    def _check_reading(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> None:
        if (request.method, request.subresource) == ("GET", "") and request.key and _whole(request):
            self._check_object(context, request.bucket, request.key, request.parameters.get("versionId", ""))
        if source := headers.get("x-amz-copy-source"):
            self._check_object(context, *read_copy_source(source))

    def _check_object(self, context: Context, bucket: str, key: str, version: str) -> None:
        if not _is_sealed(context.session, bucket):
            return
        found = self._head(bucket, key, version)
        if found.get(SSE) != KMS:
            return
        used = self._find(context, bucket, found.get(_KEY_ID, ""))
        arn = _arn(self._settings, bucket, key, bucket_key=_has_bucket_key(found))
        self._authorize(context, used, "Decrypt", arn)

    def _head(self, bucket: str, key: str, version: str) -> Mapping[str, str]:
        query = {"versionId": version} if version else {}
        try:
            with store_client(self._settings) as client:
                return client.head(f"/{bucket}/{quote(key, safe='/~')}", params=query).headers
        except (OSError, httpx.HTTPError) as error:
            raise Unavailable("The store does not answer. Try again.") from error

    # --- writing

    def _check_writing(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
        if headers.get(SSE) != KMS or not request.key or request.method not in {"PUT", "POST"}:
            if _KEY_ID in headers and request.key:
                raise ClientError("InvalidArgument", f"{_KEY_ID} is for {KMS} alone.", 400)
            return {}
        if _CONTEXT in headers:
            raise ClientError("NotImplemented", "An encryption context of one's own is not implemented.", 501)
        found = self._find(context, request.bucket, headers.get(_KEY_ID, ""))
        bucket_key = headers.get(_BUCKET_KEY, "").lower() == "true"
        arn = _arn(self._settings, request.bucket, request.key, bucket_key=bucket_key)
        self._authorize(context, found, "GenerateDataKey", arn)
        if request.subresource == "uploads":
            self._authorize(context, found, "Decrypt", arn)
        self._note(request.bucket)
        return {_KEY_ID.title(): found.key.arn}

    def _note(self, bucket: str) -> None:
        """From now on readers of this bucket are asked for keys; noted before anything is written."""
        if bucket in self._noted:
            return
        with self._lock, self._database.write() as session:
            if session.get(SealedBucket, bucket) is None:
                session.add(SealedBucket(name=bucket))
        self._noted.add(bucket)

    # --- both

    def _find(self, context: Context, bucket: str, key_id: str) -> FoundKey:
        """A key by what was said (an id or alias alone is of the caller's account), else the bucket account's own."""
        account = buckets.owner_of(context.session, bucket) or context.account_id
        if key_id in {"", managed_alias(_SERVICE)}:
            with self._database.write() as session:
                now, region = self._clock.now(), self._settings.region
                return ensure_managed_key(session, self._ring, account, _SERVICE, region=region, now=now)
        return find_key(context.session, context.account_id or account, self._settings.region, key_id)

    def _authorize(self, context: Context, found: FoundKey, action: str, arn: str) -> None:
        if context.caller.kind == "anonymous":
            raise ClientError(
                "AccessDenied", "Requests specifying encryption with AWS KMS managed keys require a signature.", 403
            )
        pairs = {"aws:s3:arn": arn}
        check = data_check(context.session, context.account_id, found, action, service=_SERVICE, pairs=pairs)
        context.authorize(check)
        usable(found.key)


def _is_sealed(session: Session, bucket: str) -> bool:
    return remembered(session, ("sealed", bucket), lambda: session.get(SealedBucket, bucket) is not None)


def _whole(request: S3Request) -> bool:
    return "uploadId" not in request.parameters


def _arn(settings: Settings, bucket: str, key: str, *, bucket_key: bool) -> str:
    return f"arn:{settings.partition}:s3:::{bucket if bucket_key else f'{bucket}/{key}'}"


def _has_bucket_key(head: Mapping[str, str]) -> bool:
    """True if an object was sealed with its bucket's key: the store tells the encryption context."""
    try:
        pairs = json.loads(base64.b64decode(head.get(_CONTEXT, "")))
        return "/" not in pairs["aws:s3:arn"]
    except (ValueError, KeyError, TypeError):
        return False
