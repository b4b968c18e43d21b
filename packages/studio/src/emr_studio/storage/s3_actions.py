"""Which IAM actions a request to S3 needs, on which resources, with which condition keys.

Source: "Actions, resources, and condition keys for Amazon S3" (service authorization reference) and
"Required permissions for Amazon S3 API operations" (S3 user guide).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from emr_studio.aws.context import Check, ContextValue
from emr_studio.aws.errors import ClientError
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
    ("GET", "object-lock"): "GetBucketObjectLockConfiguration",
    ("PUT", "object-lock"): "PutBucketObjectLockConfiguration",
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("PUT", "ownershipControls"): "PutBucketOwnershipControls",
    ("DELETE", "ownershipControls"): "PutBucketOwnershipControls",
    ("GET", "publicAccessBlock"): "GetBucketPublicAccessBlock",
    ("GET", "website"): "GetBucketWebsite",
    ("GET", "logging"): "GetBucketLogging",
    ("GET", "notification"): "GetBucketNotification",
    ("GET", "replication"): "GetReplicationConfiguration",
    ("GET", "requestPayment"): "GetBucketRequestPayment",
    ("GET", "accelerate"): "GetAccelerateConfiguration",
    ("POST", "delete"): "DeleteObject",
}
_OBJECT: dict[tuple[str, str], str] = {
    ("GET", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("POST", "uploads"): "PutObject",
    ("GET", "attributes"): "GetObject",
    ("GET", "acl"): "GetObjectAcl",
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
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
}
_HEADER_KEYS = (
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-object-ownership",
)
_PARAMETER_KEYS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


def needed(request: S3Request, headers: Mapping[str, str], partition: str) -> list[Check]:
    """The checks that must all succeed; the first one is the request's own.

    Raises:
        ClientError: NotImplemented or MethodNotAllowed for what is not served.
    """
    if headers.get("x-amz-server-side-encryption", "AES256") != "AES256":
        raise ClientError("NotImplemented", "Encryption with KMS keys is not implemented by this store.", 501)
    context = _context(request, headers)
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
    in_query = "X-Amz-Signature" in request.parameters
    context["s3:authType"] = "REST-QUERY-STRING" if in_query else "REST-HEADER"
    context["s3:signatureversion"] = "AWS4-HMAC-SHA256"
    tags = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
    context.update({f"s3:RequestObjectTag/{name}": value for name, value in tags})
    if tags:
        context["s3:RequestObjectTagKeys"] = [name for name, _ in tags]
    return context
