"""DeleteObjects: the request whose body names what it deletes; each key is put to IAM.

Those that the caller may delete are deleted in the store, the others are told one by one. One that is to
be deleted only if its ETag is a certain one is deleted by a request of its own: the store's DeleteObjects
does not look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import AwsError, Unavailable
from emr_studio.storage import s3_gate, s3_xml
from emr_studio.storage.model import Bucket
from emr_studio.storage.s3_limits import not_implemented
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import normal_key
from emr_studio.storage.s3_xml import Served
from emr_studio.storage.store import store_client

_MOST_KEYS = 1000
_UNKNOWN = ("LastModifiedTime", "Size")


@dataclass(frozen=True)
class _Wanted:
    """One object to delete."""

    key: str
    version: str
    etag: str = ""
    """Delete it only if this is its ETag (or `*`: if it is there)."""
    unknown: str = ""
    """A condition that only directory buckets have."""

    def xml(self) -> str:
        version = f"<VersionId>{escape(self.version)}</VersionId>" if self.version else ""
        return f"<Key>{escape(self.key)}</Key>{version}"


def delete_objects(ports: S3Ports, context: Context, call: S3Call, body: bytes) -> Served:
    """Delete what the body names and the caller may; `call` is told the keys.

    Raises:
        AwsError: for the request as a whole (no such bucket, a body that cannot be read).
    """
    assert call.request is not None
    wanted, quiet = _parse(body)
    call.keys = [item.key for item in wanted]
    bucket = s3_gate.bucket_of(context, call.request.bucket)
    allowed, refused = [], []
    for item in wanted:
        try:
            allowed.append(replace(item, key=_check(ports, context, bucket, item)))
        except AwsError as error:
            told = call.refuse(error)
            refused.append(_error(item, told.code, told.message))
    done = _ask_store(ports, bucket.name, allowed, quiet)
    return s3_xml.document("DeleteResult", done + "".join(refused))


def _check(ports: S3Ports, context: Context, bucket: Bucket, item: _Wanted) -> str:
    """Return the key as the store reads it.

    Raises:
        AwsError: the caller may not delete it, or not on that condition.
    """
    if item.unknown:
        raise not_implemented(f"The condition {item.unknown} is not implemented by this store.")
    key = normal_key(item.key)
    action = "s3:DeleteObjectVersion" if item.version else "s3:DeleteObject"
    resource = f"arn:{ports.settings.partition}:s3:::{bucket.name}/{key}"
    s3_gate.authorize(context, Check(action, resource), bucket)
    return key


def _ask_store(ports: S3Ports, bucket: str, allowed: list[_Wanted], quiet: bool) -> str:
    together = [item for item in allowed if not item.etag]
    try:
        with store_client(ports.settings, timeout=60) as client:
            done = _delete_together(client, bucket, together, quiet) if together else ""
            return done + "".join(_delete_if(client, bucket, item, quiet) for item in allowed if item.etag)
    except (httpx.HTTPError, OSError, ElementTree.ParseError) as error:
        raise Unavailable("The store does not answer. Try again.") from error


def _delete_together(client: httpx.Client, bucket: str, wanted: list[_Wanted], quiet: bool) -> str:
    items = "".join(f"<Object>{item.xml()}</Object>" for item in wanted)
    body = f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{items}</Delete>".encode()
    answer = client.post(f"/{bucket}?delete", content=body)
    answer.raise_for_status()
    return "".join(_plain(child) for child in ElementTree.fromstring(answer.content))


def _delete_if(client: httpx.Client, bucket: str, item: _Wanted, quiet: bool) -> str:
    """Delete one object if its ETag is as said."""
    version = {"versionId": item.version} if item.version else {}
    path = quote(f"/{bucket}/{item.key}", safe="/~")
    answer = client.delete(path, params=version, headers={"If-Match": item.etag})
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return "" if quiet else f"<Deleted>{item.xml()}{_marker(answer.headers)}</Deleted>"
    told = {s3_xml.name_of(child): child.text or "" for child in ElementTree.fromstring(answer.content)}
    return _error(item, told.get("Code", "InternalError"), told.get("Message", ""))


def _marker(headers: Mapping[str, str]) -> str:
    """What a deletion without a version left in a bucket with versions."""
    if headers.get("x-amz-delete-marker") != "true":
        return ""
    version = escape(headers.get("x-amz-version-id", ""))
    return f"<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>{version}</DeleteMarkerVersionId>"


def _error(item: _Wanted, code: str, message: str) -> str:
    return f"<Error>{item.xml()}<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"


def _plain(element: ElementTree.Element) -> str:
    """The element again, without its namespace."""
    name = s3_xml.name_of(element)
    inner = "".join(_plain(child) for child in element) or escape(element.text or "")
    return f"<{name}>{inner}</{name}>"


def _parse(body: bytes) -> tuple[list[_Wanted], bool]:
    wanted, quiet = [], False
    for element in s3_xml.parse(body, "Delete"):
        name = s3_xml.name_of(element)
        fields = {s3_xml.name_of(child): child.text or "" for child in element}
        if name == "Quiet":
            quiet = (element.text or "").strip().lower() == "true"
        elif name == "Object" and fields.get("Key"):
            unknown = next((name for name in _UNKNOWN if name in fields), "")
            wanted.append(_Wanted(fields["Key"], fields.get("VersionId", ""), fields.get("ETag", ""), unknown))
        else:
            raise s3_xml.malformed_xml()
    if not 0 < len(wanted) <= _MOST_KEYS:
        raise s3_xml.malformed_xml()
    return wanted, quiet
