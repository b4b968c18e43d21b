"""Users and root as callers, and what their keys' secrets are sealed for."""

from __future__ import annotations

from emr_studio.aws.context import Caller
from emr_studio.iam.model import Account, User


def secret_purpose(access_key_id: str) -> str:
    """What a long-term key's secret is sealed for."""
    return f"iam:access-key:{access_key_id}"


def user_caller(user: User, *, access_key_id: str | None = None, console: bool = False) -> Caller:
    """An IAM user as a caller."""
    return Caller(
        account_id=user.account_id,
        kind="user",
        arn=user.arn,
        principal_arn=user.arn,
        user_id=user.id,
        user_name=user.name,
        access_key_id=access_key_id,
        tags=dict(user.tags),
        console=console,
    )


def root_caller(account: Account, *, access_key_id: str | None = None, console: bool = False) -> Caller:
    """The account's root user."""
    arn = f"arn:{account.partition}:iam::{account.account_id}:root"
    return Caller(
        account_id=account.account_id,
        kind="root",
        arn=arn,
        principal_arn=arn,
        user_id=account.account_id,
        access_key_id=access_key_id,
        console=console,
    )
