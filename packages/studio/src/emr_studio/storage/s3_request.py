"""What a request to S3 wants: bucket and key as the store will read them, or a refusal.

Names are read strictly. Whatever the store could read in another way than we do (dot segments,
backslashes, doubled parameters, parameters that we do not know) is refused, so that what IAM
allowed is what is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from emr_studio.aws.errors import ClientError

_SLASHES = re.compile(r"//+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00]")

SUBRESOURCES = frozenset(
    {
        "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
        "inventory", "legal-hold", "lifecycle", "location", "logging", "metrics", "notification", "object-lock",
        "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore",
        "retention", "select", "tagging", "torrent", "uploads", "versioning", "versions", "website",
    }
)  # fmt: skip
_PARAMETERS = frozenset(
    {
        "continuation-token", "delimiter", "encoding-type", "fetch-owner", "id", "key-marker", "list-type", "marker",
        "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix", "select-type",
        "start-after", "upload-id-marker", "uploadId", "version-id-marker", "versionId", "x-id",
        "response-cache-control", "response-content-disposition", "response-content-encoding",
        "response-content-language", "response-content-type", "response-expires", "max-buckets", "bucket-region",
        "optional-object-attributes",
        "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token",
        "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Content-Sha256", "x-amz-checksum-mode",
    }
)  # fmt: skip
_OF_SIGNATURE = frozenset(
    {
        "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token",
        "x-amz-signature", "x-amz-signedheaders", "x-amz-content-sha256",
    }
)  # fmt: skip
_KEYS_IN_PARAMETERS = ("prefix", "marker", "key-marker", "start-after", "continuation-token")


@dataclass(frozen=True)
class S3Request:
    """One request, understood. `key` is empty for the bucket itself, `bucket` for the service."""

    method: str
    bucket: str
    key: str
    subresource: str
    parameters: dict[str, str]


def understand(method: str, path: str, query: str, host_bucket: str = "") -> S3Request:
    """Read a path-style request, or one to the host of `host_bucket` whose path is the key.

    Raises:
        ClientError: InvalidURI, InvalidArgument or NotImplemented.
    """
    bucket, key = (host_bucket, _whole(path)) if host_bucket else _names(path)
    parameters = _parameters(query)
    found = [name for name in parameters if name in SUBRESOURCES]
    if len(found) > 1:
        raise ClientError("InvalidArgument", f"Conflicting sub-resources: {', '.join(found)}", 400)
    return S3Request(method, bucket, key, found[0] if found else "", parameters)


@lru_cache(maxsize=1024)
def bucket_of_host(host: str, base_domain: str) -> str | None:
    """The bucket in `<bucket>.s3.<base domain>`; empty for `s3.<base domain>`, None for other hosts.

    `base_domain` is without a port; the port of `host` does not matter.
    """
    name = re.sub(r":\d+$", "", host).lower()
    if name == f"s3.{base_domain}":
        return ""
    return name.removesuffix(f".s3.{base_domain}") if name.endswith(f".s3.{base_domain}") else None


def path_style(request: S3Request, query: str) -> str:
    """Path and query of the request as one to `/bucket/key`, with the query as it was sent.

    There is always a query: without one the edge would leave that of the client's own URL.
    """
    return quote(f"/{request.bucket}/{request.key}", safe="/~") + "?" + (query or "x-id=S3")


def without_signature(query: str) -> str:
    """The query without what signs a presigned request."""
    return "&".join(part for part in query.split("&") if part.partition("=")[0].lower() not in _OF_SIGNATURE)


def read_copy_source(value: str) -> tuple[str, str, str]:
    """Bucket, key and version (may be empty) of `x-amz-copy-source`.

    Raises:
        ClientError: InvalidArgument.
    """
    path, _, query = value.partition("?")
    version = query.removeprefix("versionId=")
    if (query and not query.startswith("versionId=")) or "&" in query:
        raise _invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    bucket, key = _names("/" + path.removeprefix("/"))
    if not bucket or not key:
        raise _invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    return bucket, key, version


def write_copy_source(bucket: str, key: str, version: str) -> str:
    """`x-amz-copy-source` in the one form that the store gets from us."""
    return quote(f"/{bucket}/{key}", safe="/~") + (f"?versionId={quote(version, safe='')}" if version else "")


def normal_key(key: str) -> str:
    """A key as the store will read it.

    Raises:
        ClientError: InvalidArgument, for one that it cannot keep.
    """
    _check_key(key)
    return _SLASHES.sub("/", "/" + key)[1:]


def _names(path: str) -> tuple[str, str]:
    bucket, _, key = _whole(path).partition("/")
    return bucket, key


def _whole(path: str) -> str:
    """The path decoded, without its first slash."""
    # An absolute-form target ("GET http://…") does not begin with a slash.
    if not path.startswith("/") or _BAD_ESCAPE.search(path):
        raise ClientError("InvalidURI", "Couldn't parse the specified URI.", 400)
    decoded = _decoded(path)
    # The store takes repeated slashes for one.
    return _SLASHES.sub("/", decoded)[1:]


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ClientError("InvalidURI", "Couldn't parse the specified URI.", 400) from None
    _check_key(decoded)
    return decoded


def _check_key(decoded: str) -> None:
    if "\\" in decoded or _CONTROL.search(decoded):
        raise _invalid("A key with a backslash or a null character cannot be kept by this store.")
    if any(part in {".", ".."} for part in decoded.split("/")):
        raise _invalid("A key cannot have a part `.` or `..`.")


def _parameters(query: str) -> dict[str, str]:
    if not query:
        return {}
    if _BAD_ESCAPE.search(query) or ";" in query:
        raise ClientError("InvalidURI", "Couldn't parse the specified URI.", 400)
    parameters: dict[str, str] = {}
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = (_text(piece) for piece in part.partition("="))
        if name in parameters:
            raise _invalid(f"The parameter {name} was given twice.")
        if name not in SUBRESOURCES and name not in _PARAMETERS:
            message = f"A parameter you provided implies functionality that is not implemented: {name[:64]}"
            raise ClientError("NotImplemented", message, 501)
        parameters[name] = value
    for name in _KEYS_IN_PARAMETERS:
        _check_key(parameters.get(name, ""))
    if prefix := parameters.get("prefix"):
        # A policy must see the prefix as the store does: `//bob/` lists `bob/`.
        parameters["prefix"] = normal_key(prefix)
    return parameters


def _text(piece: str) -> str:
    try:
        return unquote(piece.replace("+", " "), errors="strict")
    except UnicodeDecodeError:
        raise ClientError("InvalidURI", "Couldn't parse the specified URI.", 400) from None


def _invalid(message: str) -> ClientError:
    return ClientError("InvalidArgument", message, 400)
