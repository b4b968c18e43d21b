"""Key policies: what a new key gets, and what may be saved."""

from __future__ import annotations

import json
from typing import Any

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AccessDenied
from emr_studio.iam.policy import MalformedPolicy, PolicyKind
from emr_studio.iam.policy.validation import validate
from emr_studio.keys.authorization import key_check
from emr_studio.keys.errors import MalformedKeyPolicy, TooMany
from emr_studio.keys.finding import FoundKey
from emr_studio.keys.model import KmsKey
from emr_studio.settings import partition_of

LONGEST = 32_768
_LOCKED_OUT = "The new key policy will not allow you to update the key policy in the future."
_DATA = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")


def default_policy(account_id: str, region: str) -> str:
    """The policy of a key that was made without one: the account's IAM policies decide."""
    root = f"arn:{partition_of(region)}:iam::{account_id}:root"
    return _document("key-default-1", _statement("Enable IAM User Permissions", {"AWS": root}, "kms:*"))


def managed_policy(account_id: str, region: str, service: str) -> str:
    """The policy of `alias/aws/<service>`: all of the account, through the service only."""
    root = f"arn:{partition_of(region)}:iam::{account_id}:root"
    through = {"StringEquals": {"kms:CallerAccount": account_id, "kms:ViaService": f"{service}.{region}.amazonaws.com"}}
    use = _statement(f"Allow access through {service} for all principals in the account", {"AWS": "*"}, list(_DATA))
    look = ["kms:Describe*", "kms:Get*", "kms:List*"]
    return _document(
        f"auto-{service}-1",
        use | {"Condition": through},
        _statement("Allow direct access to key metadata to the account", {"AWS": root}, look),
    )


def _statement(sid: str, principal: dict[str, str], actions: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}


def _document(name: str, *statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": name, "Statement": list(statements)}, indent=2)


def check_policy(text: str) -> None:
    """A policy that can be saved.

    Raises:
        MalformedKeyPolicy, TooMany
    """
    if len(text.encode()) > LONGEST:
        raise TooMany(f"The key policy is larger than {LONGEST} bytes.")
    try:
        # Not `validate`: Sids of key policies may have spaces (AWS's own default has).
        validate(_without_sids(text), PolicyKind.RESOURCE)
    except MalformedPolicy as error:
        raise MalformedKeyPolicy(str(error)) from error


def _without_sids(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    statements = found.get("Statement") if isinstance(found, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if isinstance(statement, dict):
            statement.pop("Sid", None)
    return json.dumps(found)


def check_lockout(context: Context, key: KmsKey) -> None:
    """The caller must stay able to change the policy that `key` has now.

    Raises:
        MalformedKeyPolicy
    """
    check = key_check(context.session, context.account_id, FoundKey(key), "PutKeyPolicy")
    try:
        context.authorize(check)
    except AccessDenied:
        raise MalformedKeyPolicy(_LOCKED_OUT) from None
