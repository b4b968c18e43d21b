"""What this S3 does not do is said, never passed over: encryption kinds, storage classes, ACLs, redirects, appends."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from emr_studio.aws.errors import ClientError
from emr_studio.storage.s3_request import S3Request

CANNED = frozenset({"private", "bucket-owner-full-control"})
"""Canned ACLs that say what is so anyhow."""
# They differ in price and in how many copies Amazon keeps; a read is a read.
_CLASSES = frozenset(
    {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
)
_OTHER_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS"})
# S3 has these for directory buckets alone. The store would pass over them: an append would replace the object,
# and a delete would not look at size and time.
_OF_DIRECTORY_BUCKETS = ("x-amz-write-offset-bytes", "x-amz-if-match-last-modified-time", "x-amz-if-match-size")
_METADATA = "x-amz-meta-"
_NO_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_METADATA = 2048
"""Bytes of all names and values of user metadata: S3's limit."""
_MAX_PARTS = 10_000
_MD5_BYTES = 16
_NO_MD5 = "A" * 22 + "=="


def not_implemented(message: str) -> ClientError:
    """S3's NotImplemented."""
    return ClientError("NotImplemented", message, 501)


def acls_not_supported() -> ClientError:
    """S3's answer to every ACL where the bucket owner owns all."""
    return ClientError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def check_supported(request: S3Request, headers: Mapping[str, str], *, kms: bool) -> None:
    """Return if the store really does what the headers of a (permitted) request ask for.

    `kms`: it knows the keys of our KMS (an external S3 does not).

    Raises:
        ClientError: NotImplemented, AccessControlListNotSupported, InvalidStorageClass, InvalidArgument,
            MetadataTooLarge, InvalidDigest.
    """
    if headers.get("x-amz-bypass-governance-retention", "").lower() == "true":
        raise not_implemented("Bypassing a governance retention is not implemented by this store.")
    for name in _OF_DIRECTORY_BUCKETS:
        if name in headers:
            raise not_implemented(f"A header you provided implies functionality that is not implemented: {name}")
    _check_response_headers(request.parameters)
    if request.method not in {"PUT", "POST"} or not request.key:
        return
    _check_part(request.parameters)
    _check_metadata(headers)
    _check_md5(headers)
    _check_folder(request, headers)
    _check_encryption(headers, kms)
    _check_storage_class(headers.get("x-amz-storage-class", "STANDARD"))
    if request.subresource != "acl":
        check_acl_headers(headers)
    if "x-amz-website-redirect-location" in headers:
        raise not_implemented("Websites are not served: x-amz-website-redirect-location is not implemented.")


def _check_response_headers(parameters: Mapping[str, str]) -> None:
    """The store answers with these as they are, and no proxy passes on a header with such characters."""
    for name, value in parameters.items():
        if name.startswith("response-") and _NO_HEADER.search(value):
            raise ClientError("InvalidArgument", f"{name} has characters that no header may have", 400)


def _check_folder(request: S3Request, headers: Mapping[str, str]) -> None:
    """The store makes a folder of a key that ends with a slash, and drops the bytes that come with it."""
    length = headers.get("x-amz-decoded-content-length") or headers.get("content-length")
    empty = length == "0" or (length is None and "transfer-encoding" not in headers)
    uploads = request.subresource in {"", "uploads"} and not (empty and request.method == "PUT")
    if request.key.endswith("/") and uploads:
        raise not_implemented("An object whose key ends with a slash is kept by this store only if it is empty.")


def _check_part(parameters: Mapping[str, str]) -> None:
    number = parameters.get("partNumber", "1")
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= _MAX_PARTS):
        message = f"Part number must be an integer between 1 and {_MAX_PARTS}, inclusive"
        raise ClientError("InvalidArgument", message, 400)


def _check_metadata(headers: Mapping[str, str]) -> None:
    own = [name for name in headers if name.startswith(_METADATA)]
    if sum(len(name) - len(_METADATA) + len(headers[name]) for name in own) > _MAX_METADATA:
        raise ClientError("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", 400)


def _check_md5(headers: Mapping[str, str]) -> None:
    try:
        sound = len(base64.b64decode(headers.get("content-md5", _NO_MD5), validate=True)) == _MD5_BYTES
    except ValueError:
        sound = False
    if not sound:
        raise ClientError("InvalidDigest", "The Content-MD5 you specified was invalid.", 400)


def check_acl_headers(headers: Mapping[str, str]) -> None:
    """Return if an upload's headers give nothing to anybody but the bucket's owner.

    Raises:
        ClientError: AccessControlListNotSupported.
    """
    if headers.get("x-amz-acl", "private") not in CANNED or any(name.startswith("x-amz-grant-") for name in headers):
        raise acls_not_supported()


def _check_encryption(headers: Mapping[str, str], kms: bool) -> None:
    kind = headers.get("x-amz-server-side-encryption", "AES256")
    if kind in {"aws:kms:dsse", "aws:fsx"} or (kind == "aws:kms" and not kms):
        raise not_implemented(f"The encryption {kind} is not implemented by this store.")
    if kind not in {"AES256", "aws:kms"}:
        raise ClientError("InvalidArgument", "The encryption method specified is not supported", 400)


def _check_storage_class(name: str) -> None:
    if name in _OTHER_CLASSES:
        raise not_implemented(f"The storage class {name} is not implemented by this store.")
    if name not in _CLASSES:
        raise ClientError("InvalidStorageClass", "The storage class you specified is not valid", 400)
