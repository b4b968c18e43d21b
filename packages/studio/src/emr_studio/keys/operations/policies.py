"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies. A key has one policy; its name is `default`."""

from __future__ import annotations

from collections.abc import Mapping

from emr_studio.aws.context import Context, ContextValue
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.keys.authorization import on_key, requested
from emr_studio.keys.errors import NotFound
from emr_studio.keys.finding import not_pending
from emr_studio.keys.policies import check_lockout, check_policy

_NAME = "default"


def _check_name(request: Request) -> None:
    if request.get("PolicyName", _NAME) != _NAME:
        raise NotFound("No such policy exists")


def _bypass(request: Request) -> Mapping[str, ContextValue]:
    bypass = bool(request.get("BypassPolicyLockoutSafetyCheck"))
    return {"kms:BypassPolicyLockoutSafetyCheck": str(bypass).lower()}


@operation("kms", "GetKeyPolicy", checks=on_key("GetKeyPolicy"))
def get_key_policy(context: Context, request: Request) -> Response:
    """Read a key's policy."""
    _check_name(request)
    return {"Policy": requested(context, request["KeyId"]).key.policy, "PolicyName": _NAME}


@operation("kms", "PutKeyPolicy", checks=on_key("PutKeyPolicy", more=_bypass))
def put_key_policy(context: Context, request: Request) -> Response:
    """Replace a key's policy; unless told otherwise, by none that locks the caller out."""
    _check_name(request)
    check_policy(request["Policy"])
    key = not_pending(requested(context, request["KeyId"]).key)
    key.policy = request["Policy"]
    if not request.get("BypassPolicyLockoutSafetyCheck"):
        check_lockout(context, key)
    return None


@operation("kms", "ListKeyPolicies", checks=on_key("ListKeyPolicies"))
def list_key_policies(context: Context, request: Request) -> Response:
    """Always `default`."""
    requested(context, request["KeyId"])
    return {"PolicyNames": [_NAME], "Truncated": False}
