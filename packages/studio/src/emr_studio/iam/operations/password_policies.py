"""The account's password policy."""

from __future__ import annotations

from typing import Any

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam import password_policy
from emr_studio.iam.errors import NoSuchEntity
from emr_studio.iam.model import AccountSettings
from emr_studio.iam.operations import common

_SWITCHES = (
    *("RequireSymbols", "RequireNumbers", "RequireUppercaseCharacters", "RequireLowercaseCharacters"),
    *("AllowUsersToChangePassword", "HardExpiry"),
)
_NUMBERS = ("MaxPasswordAge", "PasswordReusePrevention")
_SHORTEST = 6


def settings_of(context: Context) -> AccountSettings:
    """The account's settings, to be changed."""
    found = context.session.get(AccountSettings, context.account_id)
    if found is None:
        found = AccountSettings(account_id=common.account_of(context).account_id, global_token_version=1)
        context.session.add(found)
    return found


@operation("iam", "UpdateAccountPasswordPolicy", checks=action("iam:UpdateAccountPasswordPolicy"))
def update_account_password_policy(context: Context, request: Request) -> Response:
    """What is not given goes back to its default: there are no partial updates."""
    policy: dict[str, Any] = {"MinimumPasswordLength": int(request.get("MinimumPasswordLength") or _SHORTEST)}
    policy |= {name: bool(request.get(name)) for name in _SWITCHES}
    policy |= {name: int(request[name]) for name in _NUMBERS if request.get(name)}
    policy["ExpirePasswords"] = "MaxPasswordAge" in policy
    settings_of(context).password_policy = policy
    return None


@operation("iam", "GetAccountPasswordPolicy", checks=action("iam:GetAccountPasswordPolicy"))
def get_account_password_policy(context: Context, _request: Request) -> Response:
    policy = password_policy.policy_of(context.session, context.account_id)
    if policy is None:
        raise _none(context)
    return {"PasswordPolicy": policy}


@operation("iam", "DeleteAccountPasswordPolicy", checks=action("iam:DeleteAccountPasswordPolicy"))
def delete_account_password_policy(context: Context, _request: Request) -> Response:
    if password_policy.policy_of(context.session, context.account_id) is None:
        raise _none(context)
    settings_of(context).password_policy = None
    return None


def _none(context: Context) -> NoSuchEntity:
    # AWS's default policy holds; AWS says so by this error.
    return NoSuchEntity(f"The Password Policy with domain name {context.account_id} cannot be found.")


@operation("iam", "SetSecurityTokenServicePreferences", checks=action("iam:SetSecurityTokenServicePreferences"))
def set_security_token_service_preferences(context: Context, request: Request) -> Response:
    """Tokens here are of one form, good in every region; the choice is kept for GetAccountSummary."""
    settings_of(context).global_token_version = 2 if request["GlobalEndpointTokenVersion"] == "v2Token" else 1
    return None
