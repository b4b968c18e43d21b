"""DeleteObjects: the request whose body names what it deletes; each key is put to IAM.

Those that the caller may delete are deleted in the store, the others are told one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import AwsError, Unavailable
from emr_studio.storage import s3_gate, s3_xml
from emr_studio.storage.model import Bucket
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import normal_key
from emr_studio.storage.s3_xml import Served
from emr_studio.storage.store import store_client

_MOST_KEYS = 1000


@dataclass(frozen=True)
class _Wanted:
    """One object to delete."""

    key: str
    version: str

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
            allowed.append(_Wanted(_check(ports, context, bucket, item), item.version))
        except AwsError as error:
            told = call.refuse(error)
            code, message = told.code, escape(told.message)
            refused.append(f"<Error>{item.xml()}<Code>{code}</Code><Message>{message}</Message></Error>")
    done = _ask_store(ports, bucket.name, allowed, quiet) if allowed else ""
    return s3_xml.document("DeleteResult", done + "".join(refused))


def _check(ports: S3Ports, context: Context, bucket: Bucket, item: _Wanted) -> str:
    """Return the key as the store reads it.

    Raises:
        AwsError: the caller may not delete it.
    """
    key = normal_key(item.key)
    action = "s3:DeleteObjectVersion" if item.version else "s3:DeleteObject"
    resource = f"arn:{ports.settings.partition}:s3:::{bucket.name}/{key}"
    s3_gate.authorize(context, Check(action, resource), bucket)
    return key


def _ask_store(ports: S3Ports, bucket: str, allowed: list[_Wanted], quiet: bool) -> str:
    items = "".join(f"<Object>{item.xml()}</Object>" for item in allowed)
    body = f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{items}</Delete>".encode()
    try:
        with store_client(ports.settings, timeout=60) as client:
            answer = client.post(f"/{bucket}?delete", content=body)
        answer.raise_for_status()
        root = ElementTree.fromstring(answer.content)
    except (httpx.HTTPError, OSError, ElementTree.ParseError) as error:
        raise Unavailable("The store does not answer. Try again.") from error
    return "".join(_plain(child) for child in root)


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
            wanted.append(_Wanted(fields["Key"], fields.get("VersionId", "")))
        else:
            raise s3_xml.malformed_xml()
    if not 0 < len(wanted) <= _MOST_KEYS:
        raise s3_xml.malformed_xml()
    return wanted, quiet
