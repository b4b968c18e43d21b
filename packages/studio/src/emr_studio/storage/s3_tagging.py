"""PutObjectTagging where a policy speaks of the tags that are to be put: they stand in the body.

Without such a policy the request goes to the store as any other.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import httpx

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import Unavailable
from emr_studio.storage import s3_gate, s3_xml
from emr_studio.storage.model import Bucket
from emr_studio.storage.s3_actions import Signed, needed
from emr_studio.storage.s3_existing import Mentions, asks_for_tags, with_tags
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_request import S3Request
from emr_studio.storage.s3_xml import Served
from emr_studio.storage.store import store_client

_WORD = "requestobjecttag"


def is_decided_by_body(mentions: Mentions, context: Context, request: S3Request, bucket: Bucket) -> bool:
    """True if the body of this request may decide whether it is allowed."""
    if (request.method, request.subresource) != ("PUT", "tagging") or not request.key:
        return False
    if bucket.policy is not None and _WORD in bucket.policy.lower():
        return True
    return mentions(context.session, context.caller, _WORD)


def put_object_tagging(ports: S3Ports, context: Context, request: S3Request, signed: Signed, body: bytes) -> Served:
    """Ask IAM with the tags of the body, then hand it to the store.

    Raises:
        AwsError
    """
    tags = _tags(body)
    given: dict[str, ContextValue] = {f"s3:RequestObjectTag/{key}": value for key, value in tags}
    given["s3:RequestObjectTagKeys"] = [key for key, _ in tags]
    bucket = s3_gate.bucket_of(context, request.bucket)
    version = request.parameters.get("versionId", "")
    for check in needed(request, {}, ports.settings.partition, signed):
        full = replace(check, context={**check.context, **given})
        s3_gate.authorize(context, _with_existing(ports, context, full, bucket, version), bucket)
    return _ask_store(ports, request, version, body)


def _with_existing(ports: S3Ports, context: Context, check: Check, bucket: Bucket, version: str) -> Check:
    wanted = asks_for_tags(ports.mentions, context, check, bucket)
    return with_tags(ports.settings, check, version) if wanted else check


def _tags(body: bytes) -> list[tuple[str, str]]:
    root = s3_xml.parse(body, "Tagging")
    return [
        (s3_xml.text_of(tag, "Key") or "", s3_xml.text_of(tag, "Value") or "")
        for tags in root
        if s3_xml.name_of(tags) == "TagSet"
        for tag in tags
    ]


def _ask_store(ports: S3Ports, request: S3Request, version: str, body: bytes) -> Served:
    query = "tagging" + (f"&versionId={quote(version, safe='')}" if version else "")
    path = quote(f"/{request.bucket}/{request.key}", safe="/~")
    try:
        with store_client(ports.settings) as client:
            answer = client.put(f"{path}?{query}", content=body)
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable("The store does not answer. Try again.") from error
    return Served(answer.status_code, answer.content)
