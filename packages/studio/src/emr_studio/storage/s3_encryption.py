"""A bucket's default encryption with KMS: read, shown, and put on uploads that name no encryption of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from emr_studio.aws.errors import ClientError
from emr_studio.storage import s3_xml
from emr_studio.storage.model import Bucket
from emr_studio.storage.s3_keys import KMS, SSE
from emr_studio.storage.s3_limits import not_implemented
from emr_studio.storage.s3_request import S3Request
from emr_studio.storage.s3_xml import Served, document

KEY_ID, BUCKET_KEY = f"{SSE}-aws-kms-key-id", f"{SSE}-bucket-key-enabled"
_BY_DEFAULT = "Rule/ApplyServerSideEncryptionByDefault"


@dataclass(frozen=True)
class Rule:
    """`ServerSideEncryptionConfiguration`. `key` is empty for AWS's own."""

    algorithm: str
    key: str = ""
    bucket_key: bool = False


def read(body: bytes) -> Rule:
    """Read a configuration.

    Raises:
        ClientError: MalformedXML, InvalidArgument, NotImplemented.
    """
    root = s3_xml.parse(body, "ServerSideEncryptionConfiguration")
    algorithm = s3_xml.text_of(root, f"{_BY_DEFAULT}/SSEAlgorithm")
    key = s3_xml.text_of(root, f"{_BY_DEFAULT}/KMSMasterKeyID") or ""
    if algorithm is None or len(key) > 2048:
        raise s3_xml.malformed_xml()
    if algorithm in {"aws:kms:dsse", "aws:fsx"}:
        raise not_implemented(f"The encryption {algorithm} is not implemented by this store.")
    if algorithm not in {"AES256", KMS}:
        raise s3_xml.malformed_xml()
    if key and algorithm != KMS:
        message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        raise ClientError("InvalidArgument", message, 400)
    return Rule(algorithm, key, s3_xml.text_of(root, "Rule/BucketKeyEnabled") == "true")


def shown(bucket: Bucket) -> Served:
    """The configuration of a bucket whose default is KMS."""
    key = f"<KMSMasterKeyID>{escape(bucket.default_key)}</KMSMasterKeyID>" if bucket.default_key else ""
    default = f"<SSEAlgorithm>{KMS}</SSEAlgorithm>{key}"
    by_default = f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
    by_bucket_key = f"<BucketKeyEnabled>{str(bucket.default_bucket_key).lower()}</BucketKeyEnabled>"
    return document("ServerSideEncryptionConfiguration", f"<Rule>{by_default}{by_bucket_key}</Rule>")


def by_default(bucket: Bucket, request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that the bucket's default adds to an upload; names in lower case."""
    if bucket.default_key is None or SSE in headers or not _begins_object(request):
        return {}
    added = {SSE: KMS} | ({KEY_ID: bucket.default_key} if bucket.default_key else {})
    # What the upload says of a bucket key goes before the bucket's own word.
    return added | ({BUCKET_KEY: "true"} if bucket.default_bucket_key and BUCKET_KEY not in headers else {})


def _begins_object(request: S3Request) -> bool:
    """PutObject, CopyObject, CreateMultipartUpload: parts are sealed as their upload is."""
    whole = request.method == "PUT" and not request.subresource and "uploadId" not in request.parameters
    return bool(request.key) and (whole or (request.method, request.subresource) == ("POST", "uploads"))
