"""Which IAM actions a request to S3 needs, on which resources, with which condition keys.

Source: "Actions, resources, and condition keys for Amazon S3" (service authorization reference) and
"Required permissions for Amazon S3 API operations" (S3 user guide).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from emr_studio.aws.context import Check, ContextValue
from emr_studio.aws.errors import ClientError
from emr_studio.aws.sigv4 import moment_of
from emr_studio.storage.s3_request import S3Request, read_copy_source

# (method, sub-resource) -> action. HEAD is as GET.
_BUCKET: dict[tuple[str, str], str] = {
    ("GET", ""): "ListBucket",
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
    ("GET", "uploads"): "ListBucketMultipartUploads",
    ("GET", "versions"): "ListBucketVersions",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "versioning"): "GetBucketVersioning",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "acl"): "GetBucketAcl",
    ("GET", "policyStatus"): "GetBucketPolicyStatus",
    ("GET", "policy"): "GetBucketPolicy",
    ("PUT", "policy"): "PutBucketPolicy",
    ("DELETE", "policy"): "DeleteBucketPolicy",
    ("PUT", "acl"): "PutBucketAcl",
    ("GET", "cors"): "GetBucketCORS",
    ("PUT", "cors"): "PutBucketCORS",
    ("DELETE", "cors"): "PutBucketCORS",
    ("GET", "lifecycle"): "GetLifecycleConfiguration",
    ("PUT", "lifecycle"): "PutLifecycleConfiguration",
    ("DELETE", "lifecycle"): "PutLifecycleConfiguration",
    ("GET", "tagging"): "GetBucketTagging",
    ("PUT", "tagging"): "PutBucketTagging",
    ("DELETE", "tagging"): "PutBucketTagging",
    ("GET", "encryption"): "GetEncryptionConfiguration",
    ("PUT", "encryption"): "PutEncryptionConfiguration",
    ("DELETE", "encryption"): "PutEncryptionConfiguration",
    ("GET", "object-lock"): "GetBucketObjectLockConfiguration",
    ("PUT", "object-lock"): "PutBucketObjectLockConfiguration",
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("PUT", "ownershipControls"): "PutBucketOwnershipControls",
    ("DELETE", "ownershipControls"): "PutBucketOwnershipControls",
    ("GET", "publicAccessBlock"): "GetBucketPublicAccessBlock",
    ("PUT", "publicAccessBlock"): "PutBucketPublicAccessBlock",
    ("DELETE", "publicAccessBlock"): "PutBucketPublicAccessBlock",
    ("GET", "website"): "GetBucketWebsite",
    ("DELETE", "website"): "DeleteBucketWebsite",
    ("GET", "logging"): "GetBucketLogging",
    ("PUT", "logging"): "PutBucketLogging",
    ("GET", "notification"): "GetBucketNotification",
    ("PUT", "notification"): "PutBucketNotification",
    ("GET", "replication"): "GetReplicationConfiguration",
    ("DELETE", "replication"): "PutReplicationConfiguration",
    ("GET", "requestPayment"): "GetBucketRequestPayment",
    ("PUT", "requestPayment"): "PutBucketRequestPayment",
    ("GET", "accelerate"): "GetAccelerateConfiguration",
    ("PUT", "accelerate"): "PutAccelerateConfiguration",
    ("GET", "analytics"): "GetAnalyticsConfiguration",
    ("GET", "inventory"): "GetInventoryConfiguration",
    ("GET", "metrics"): "GetMetricsConfiguration",
    ("GET", "intelligent-tiering"): "GetIntelligentTieringConfiguration",
    ("POST", "delete"): "DeleteObject",
}
_OBJECT: dict[tuple[str, str], str] = {
    ("GET", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("POST", "uploads"): "PutObject",
    ("GET", "attributes"): "GetObject",
    ("GET", "acl"): "GetObjectAcl",
    ("PUT", "acl"): "PutObjectAcl",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("DELETE", "tagging"): "DeleteObjectTagging",
    ("GET", "retention"): "GetObjectRetention",
    ("PUT", "retention"): "PutObjectRetention",
    ("GET", "legal-hold"): "GetObjectLegalHold",
    ("PUT", "legal-hold"): "PutObjectLegalHold",
}
# With `uploadId`: a multipart upload.
_UPLOAD: dict[str, str] = {
    "GET": "ListMultipartUploadParts",
    "PUT": "PutObject",
    "POST": "PutObject",
    "DELETE": "AbortMultipartUpload",
}
# Actions with a twin for a certain version: GetObject -> GetObjectVersion.
_VERSIONED = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
}
_HEADER_KEYS = (
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
_LOCK_KEYS = {
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
}
_PARAMETER_KEYS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


OBJECT_ACTIONS = frozenset(name.lower() for name in (*_OBJECT.values(), *_UPLOAD.values(), *_VERSIONED.values()))
"""Lower case, of what is served: actions on an object."""
BUCKET_ACTIONS = frozenset(name.lower() for name in _BUCKET.values()) - OBJECT_ACTIONS
"""Lower case, of what is served: actions on the bucket itself."""


@dataclass(frozen=True)
class Signed:
    """How the request was signed, for the condition keys about it."""

    kind: str = ""
    """`REST-HEADER`, `REST-QUERY-STRING`, `POST`; empty for one that was not signed."""
    timestamp: str = ""
    """`X-Amz-Date`."""
    now: dt.datetime | None = None
    tls_version: str = ""


def needed(
    request: S3Request, headers: Mapping[str, str], partition: str, signed: Signed = Signed("REST-HEADER")
) -> list[Check]:
    """The checks that must all succeed; the first one is the request's own.

    Raises:
        ClientError: NotImplemented or MethodNotAllowed for what is not served.
    """
    context = _context(request, headers) | _about_signature(signed)
    arn = f"arn:{partition}:s3:::{request.bucket}"
    if not request.bucket:
        return [Check("s3:ListAllMyBuckets", "*", context)]
    if not request.key:
        return [Check(f"s3:{_find(_BUCKET, request)}", arn, context)]
    action = _object_action(request)
    resource = f"{arn}/{request.key}"
    checks = [Check(f"s3:{action}", resource, context)]
    if request.subresource == "attributes":
        checks.append(Check("s3:GetObjectAttributes", resource, context))
    if headers.get("x-amz-bypass-governance-retention", "").lower() == "true":
        checks.append(Check("s3:BypassGovernanceRetention", resource, context))
    if action == "PutObject":
        checks += _with_put(headers, resource, context, partition)
    return checks


def _object_action(request: S3Request) -> str:
    if "uploadId" in request.parameters and not request.subresource:
        action = _UPLOAD.get("GET" if request.method == "HEAD" else request.method)
        if action is None:
            raise _not_allowed()
        return action
    action = _find(_OBJECT, request)
    return _VERSIONED.get(action, action) if "versionId" in request.parameters else action


def _with_put(
    headers: Mapping[str, str], resource: str, context: Mapping[str, ContextValue], partition: str
) -> list[Check]:
    """What the headers of a PutObject, CopyObject, UploadPartCopy or CreateMultipartUpload ask for besides."""
    checks = []
    if "x-amz-tagging" in headers or headers.get("x-amz-tagging-directive", "").upper() == "REPLACE":
        checks.append(Check("s3:PutObjectTagging", resource, context))
    if any(name == "x-amz-acl" or name.startswith("x-amz-grant-") for name in headers):
        checks.append(Check("s3:PutObjectAcl", resource, context))
    if "x-amz-object-lock-legal-hold" in headers:
        checks.append(Check("s3:PutObjectLegalHold", resource, context))
    if "x-amz-object-lock-mode" in headers or "x-amz-object-lock-retain-until-date" in headers:
        checks.append(Check("s3:PutObjectRetention", resource, context))
    if source := headers.get("x-amz-copy-source"):
        bucket, key, version = read_copy_source(source)
        action = "GetObjectVersion" if version else "GetObject"
        checks.append(Check(f"s3:{action}", f"arn:{partition}:s3:::{bucket}/{key}", context))
    return checks


def _find(table: Mapping[tuple[str, str], str], request: S3Request) -> str:
    method = "GET" if request.method == "HEAD" else request.method
    action = table.get((method, request.subresource))
    if action is not None:
        return action
    if request.subresource:
        message = "A header or query you provided requested a function that is not implemented."
        raise ClientError("NotImplemented", message, 501)
    raise _not_allowed()


def _not_allowed() -> ClientError:
    return ClientError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)


def _context(request: S3Request, headers: Mapping[str, str]) -> dict[str, ContextValue]:
    context: dict[str, ContextValue] = {f"s3:{name}": headers[name] for name in _HEADER_KEYS if name in headers}
    for parameter, key in _PARAMETER_KEYS.items():
        if parameter in request.parameters:
            context[key] = request.parameters[parameter]
    if version := request.parameters.get("versionId"):
        context["s3:VersionId"] = version
    context.update({key: headers[name] for name, key in _LOCK_KEYS.items() if name in headers})
    if tagging := headers.get("x-amz-tagging"):
        tags = parse_qsl(tagging, keep_blank_values=True)
        context.update({f"s3:RequestObjectTag/{name}": value for name, value in tags})
        if tags:
            context["s3:RequestObjectTagKeys"] = [name for name, _ in tags]
    return context


def _about_signature(signed: Signed) -> dict[str, ContextValue]:
    context: dict[str, ContextValue] = {}
    if signed.kind:
        context = {"s3:authType": signed.kind, "s3:signatureversion": "AWS4-HMAC-SHA256"}
    if signed.kind == "REST-QUERY-STRING" and signed.now is not None:
        # In milliseconds, and of presigned requests only: the policy key reference of S3.
        made = moment_of(signed.timestamp)
        context["s3:signatureAge"] = str(max(0, int((signed.now - made).total_seconds() * 1000)))
    if signed.tls_version:
        context["s3:TlsVersion"] = signed.tls_version
    return context
