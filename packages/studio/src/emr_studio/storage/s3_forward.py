"""What the store gets in place of what the client sent: headers, and the path where the host named the bucket.

Since the store does not see the client's signature, what the signature stood for is seen to here:

* a SHA-256 of the body that the client declared (and signed) becomes `x-amz-checksum-sha256`, which the
  store compares with the body before it keeps anything, unless the request brings a checksum of its own
  (`x-amz-checksum-crc32` and so on, signed too): the store compares one checksum only, and a multipart
  upload takes only the kind that it was begun with;
* chunks that are signed one by one are decoded by the store as unsigned ones; a checksum in the trailer
  is compared.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from emr_studio.aws.errors import ClientError
from emr_studio.edge.decisions import DELETE
from emr_studio.storage.s3_request import S3Request, read_copy_source, write_copy_source

_SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CHECKSUM = re.compile(r"x-amz-checksum-(crc32|crc32c|crc64nvme|sha1|sha256|md5|sha512|xxhash\w*)")
_OWN_SHA256 = "x-amz-checksum-sha256"


def replacements(request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that the store must not see, or must see in another form.

    Raises:
        ClientError: BadDigest, where the client contradicts itself.
    """
    changed = {}
    if "x-amz-security-token" in headers:
        changed["X-Amz-Security-Token"] = DELETE
    if "x-amz-acl" in headers:
        changed["X-Amz-Acl"] = DELETE
    if "aws-chunked" in headers.get("content-encoding", ""):
        changed["Content-Encoding"] = _without_framing(headers["content-encoding"])
    if source := headers.get("x-amz-copy-source"):
        changed["X-Amz-Copy-Source"] = write_copy_source(*read_copy_source(source))
    return changed | _payload(request, headers)


def _without_framing(encoding: str) -> str:
    """`aws-chunked` says how the body is sent, not what the object is: the store would keep and show it."""
    kept = [part.strip() for part in encoding.split(",") if part.strip() != "aws-chunked"]
    return ", ".join(kept) or DELETE


def _payload(request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
    declared = headers.get("x-amz-content-sha256") or request.parameters.get("X-Amz-Content-Sha256", "")
    if declared.startswith(_SIGNED_CHUNKS):
        return {"X-Amz-Content-Sha256": _UNSIGNED_CHUNKS}
    if not _SHA256.fullmatch(declared) or not _is_upload(request, headers):
        return {}
    encoded = base64.b64encode(bytes.fromhex(declared)).decode()
    if (own := headers.get(_OWN_SHA256)) is not None and own != encoded:
        raise ClientError("BadDigest", "The SHA256 you specified did not match the calculated checksum.", 400)
    if any(_CHECKSUM.fullmatch(name) for name in headers):
        return {}
    changed = {"X-Amz-Checksum-Sha256": encoded}
    if "x-amz-sdk-checksum-algorithm" in headers:
        changed["X-Amz-Sdk-Checksum-Algorithm"] = DELETE
    return changed


def _is_upload(request: S3Request, headers: Mapping[str, str]) -> bool:
    """A PutObject or UploadPart, whose body is the object."""
    return bool(
        request.method == "PUT" and request.key and not request.subresource and "x-amz-copy-source" not in headers
    )
