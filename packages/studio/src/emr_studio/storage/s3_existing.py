"""`s3:ExistingObjectTag/…`: the tags that an object has, looked up only where a policy in play speaks of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol
from urllib.parse import quote
from xml.etree import ElementTree

import httpx
from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check, Context, ContextValue
from emr_studio.aws.errors import Unavailable
from emr_studio.settings import Settings
from emr_studio.storage import s3_xml
from emr_studio.storage.model import Bucket
from emr_studio.storage.store import store_client

_WORD = "existingobjecttag"
# Actions that know the key (service authorization reference of S3).
_ACTIONS = frozenset(
    f"s3:{name}".lower()
    for name in (
        "DeleteObjectTagging", "DeleteObjectVersionTagging", "GetObject", "GetObjectAcl", "GetObjectAttributes",
        "GetObjectTagging", "GetObjectVersion", "GetObjectVersionAcl", "GetObjectVersionTagging", "PutObjectAcl",
        "PutObjectTagging", "PutObjectVersionAcl", "PutObjectVersionTagging",
    )
)  # fmt: skip


class Mentions(Protocol):
    """Whether a policy of the caller has a word in it; implemented by `emr_studio.iam`."""

    def __call__(self, session: Session, caller: Caller, word: str) -> bool: ...


def asks_for_tags(mentions: Mentions, context: Context, check: Check, bucket: Bucket) -> bool:
    """True if the decision about `check` may depend on the object's tags."""
    if check.action.lower() not in _ACTIONS:
        return False
    if bucket.policy is not None and _WORD in bucket.policy.lower():
        return True
    return mentions(context.session, context.caller, _WORD)


def with_tags(settings: Settings, check: Check, version: str) -> Check:
    """The check with the tags of its object, as they are in the store; an object that is not there has none.

    Raises:
        Unavailable: if the store does not answer.
    """
    name = check.resource.partition(":::")[2]
    query = "tagging" + (f"&versionId={quote(version, safe='')}" if version else "")
    try:
        with store_client(settings) as client:
            answer = client.get(f"/{quote(name, safe='/~')}?{query}")
        tags = _read(answer)
    except (OSError, httpx.HTTPError, ElementTree.ParseError) as error:
        raise Unavailable("The store does not answer. Try again.") from error
    return replace(check, context={**check.context, **tags})


def _read(answer: httpx.Response) -> dict[str, ContextValue]:
    if answer.is_server_error:
        raise OSError(answer.status_code)
    if not answer.is_success:
        return {}
    found = {}
    for element in ElementTree.fromstring(answer.content).iter():
        if s3_xml.name_of(element) == "Tag":
            key, value = s3_xml.text_of(element, "Key"), s3_xml.text_of(element, "Value")
            found[f"s3:ExistingObjectTag/{key}"] = value or ""
    return dict(found)
