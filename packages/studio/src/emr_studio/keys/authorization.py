"""What IAM is asked about keys: the key's policy speaks first, KMS's condition keys are supplied.

Source: "Condition keys for AWS KMS" (developer guide), service authorization reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.keys.finding import FoundKey, alias_names, find_key

_ALGORITHM = "SYMMETRIC_DEFAULT"


def key_check(
    session: Session, caller_account: str, found: FoundKey, action: str, more: Mapping[str, ContextValue] | None = None
) -> Check:
    """The question whether the caller may do `kms:<action>` with a key."""
    key = found.key
    context: dict[str, ContextValue] = {
        "kms:CallerAccount": caller_account,
        "kms:KeySpec": _ALGORITHM,
        "kms:KeyUsage": "ENCRYPT_DECRYPT",
        "kms:KeyOrigin": "AWS_KMS",
        "kms:MultiRegion": "false",
        "aws:ResourceAccount": key.account_id,
        **{f"aws:ResourceTag/{name}": value for name, value in key.tags.items()},
    }
    if found.alias:
        context["kms:RequestAlias"] = found.alias
    if names := alias_names(session, key):
        context["kms:ResourceAliases"] = names
    return Check(f"kms:{action}", key.arn, context | dict(more or {}), key.policy)


def encryption_context_keys(pairs: Mapping[str, str]) -> dict[str, ContextValue]:
    """Condition keys of an encryption context, and of the algorithm."""
    context: dict[str, ContextValue] = {"kms:EncryptionAlgorithm": _ALGORITHM}
    for name, value in pairs.items():
        context[f"kms:EncryptionContext:{name}"] = value
    if pairs:
        context["kms:EncryptionContextKeys"] = list(pairs)
    return context


More = Callable[[Request], Mapping[str, ContextValue]]


def on_key(action: str, *, aliases: bool = False, more: More | None = None, member: str = "KeyId") -> ChecksFunction:
    """Checks of an operation on one key. `aliases`: whether it may be named by an alias."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        found = requested(context, request[member], aliases=aliases)
        return (key_check(context.session, context.account_id, found, action, more(request) if more else None),)

    return checks


def requested(context: Context, key_id: str, *, aliases: bool = False) -> FoundKey:
    """The key that a request names.

    Raises:
        NotFound
    """
    return find_key(context.session, context.account_id, context.region, key_id, aliases=aliases)


def request_tags(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, ContextValue]:
    """`aws:RequestTag/…` and `aws:TagKeys` of a request's tags."""
    given = {tag["TagKey"]: tag["TagValue"] for tag in tags or ()}
    context: dict[str, ContextValue] = {f"aws:RequestTag/{name}": value for name, value in given.items()}
    return context | ({"aws:TagKeys": list(given)} if given else {})
