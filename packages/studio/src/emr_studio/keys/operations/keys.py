"""CreateKey, DescribeKey, ListKeys, UpdateKeyDescription."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.keys.authorization import on_key, request_tags, requested
from emr_studio.keys.errors import Unsupported
from emr_studio.keys.finding import not_pending
from emr_studio.keys.making import new_key
from emr_studio.keys.model import KmsKey
from emr_studio.keys.operations.common import metadata, page_of
from emr_studio.keys.policies import check_lockout, check_policy, default_policy
from emr_studio.keys.ring import KeyRing
from emr_studio.keys.tagging import read_tags


def _on_create(context: Context, request: Request) -> Iterable[Check]:
    keys = {
        "kms:KeySpec": _spec(request),
        "kms:KeyUsage": request.get("KeyUsage") or "ENCRYPT_DECRYPT",
        "kms:KeyOrigin": request.get("Origin") or "AWS_KMS",
        "kms:MultiRegion": str(bool(request.get("MultiRegion"))).lower(),
        "kms:CallerAccount": context.account_id,
        "kms:BypassPolicyLockoutSafetyCheck": str(bool(request.get("BypassPolicyLockoutSafetyCheck"))).lower(),
    }
    yield Check("kms:CreateKey", "*", keys | request_tags(request.get("Tags")))
    if request.get("Tags"):
        yield Check("kms:TagResource", "*", request_tags(request["Tags"]))


def _spec(request: Request) -> str:
    return request.get("KeySpec") or request.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"


@operation("kms", "CreateKey", checks=_on_create)
def create_key(context: Context, request: Request) -> Response:
    """Make a symmetric key for encryption."""
    _check_kind(request)
    policy = request.get("Policy")
    if policy is not None:
        check_policy(policy)
    key = new_key(
        context.session,
        context.port(KeyRing),
        account_id=context.account_id,
        region=context.region,
        policy=policy or default_policy(context.account_id, context.region),
        now=context.now(),
        description=request.get("Description") or "",
        tags=read_tags(request.get("Tags")),
    )
    if policy is not None and not request.get("BypassPolicyLockoutSafetyCheck"):
        check_lockout(context, key)
    return {"KeyMetadata": metadata(key)}


def _check_kind(request: Request) -> None:
    kind = (_spec(request), request.get("KeyUsage") or "ENCRYPT_DECRYPT", request.get("Origin") or "AWS_KMS")
    if kind != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS") or request.get("MultiRegion"):
        raise Unsupported(
            "Only single-Region symmetric encryption keys (SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT, origin AWS_KMS) "
            "can be created here."
        )


@operation("kms", "DescribeKey", checks=on_key("DescribeKey", aliases=True))
def describe_key(context: Context, request: Request) -> Response:
    """Describe a key."""
    return {"KeyMetadata": metadata(requested(context, request["KeyId"], aliases=True).key)}


@operation("kms", "ListKeys", checks=action("kms:ListKeys"))
def list_keys(context: Context, request: Request) -> Response:
    """All keys of the account here."""
    own = select(KmsKey).where(KmsKey.account_id == context.account_id, KmsKey.region == context.region)
    return page_of(context, request, own, (KmsKey.id,), member="Keys", shape=_entry, bound_to="kms:ListKeys")


def _entry(key: KmsKey) -> dict[str, str]:
    return {"KeyId": key.id, "KeyArn": key.arn}


@operation("kms", "UpdateKeyDescription", checks=on_key("UpdateKeyDescription"))
def update_key_description(context: Context, request: Request) -> Response:
    """Describe a key anew."""
    not_pending(requested(context, request["KeyId"]).key).description = request["Description"]
    return None
