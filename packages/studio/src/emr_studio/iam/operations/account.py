"""The account: its alias and its figures."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam.errors import EntityAlreadyExists, NoSuchEntity
from emr_studio.iam.model import (
    AccessKey,
    Account,
    AccountSettings,
    Group,
    InstanceProfile,
    LoginProfile,
    MfaDevice,
    OidcProvider,
    Policy,
    PolicyVersion,
    Role,
    SamlProvider,
    ServerCertificate,
    User,
)
from emr_studio.iam.operations import common, groups, instance_profiles, policies, roles, server_certificates, users

_QUOTAS = {
    "UsersQuota": users.QUOTA,
    "GroupsQuota": groups.QUOTA,
    "RolesQuota": roles.QUOTA,
    "PoliciesQuota": policies.QUOTA,
    "InstanceProfilesQuota": instance_profiles.QUOTA,
    "ServerCertificatesQuota": server_certificates.QUOTA,
    "AccessKeysPerUserQuota": 2,
    "SigningCertificatesPerUserQuota": 2,
    "GroupsPerUserQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "PolicySizeQuota": 6144,
    "UserPolicySizeQuota": 2048,
    "GroupPolicySizeQuota": 5120,
    "RolePolicySizeQuota": 10240,
    "AssumeRolePolicySizeQuota": 2048,
    "VersionsPerPolicyQuota": 5,
    "PolicyVersionsInUseQuota": 10000,
}
_COUNTED: dict[str, Any] = {
    "Users": User,
    "Groups": Group,
    "Roles": Role,
    "Policies": Policy,
    "InstanceProfiles": InstanceProfile,
    "ServerCertificates": ServerCertificate,
    "PolicyVersionsInUse": PolicyVersion,
    "MFADevices": MfaDevice,
}


@operation("iam", "CreateAccountAlias", checks=action("iam:CreateAccountAlias"))
def create_account_alias(context: Context, request: Request) -> Response:
    alias = str(request["AccountAlias"])
    owner = context.session.scalars(select(Account).where(Account.alias == alias)).first()
    if owner is not None and owner.account_id != context.account_id:
        raise EntityAlreadyExists(f"The account alias {alias} already exists.")
    common.account_of(context).alias = alias
    return None


@operation("iam", "DeleteAccountAlias", checks=action("iam:DeleteAccountAlias"))
def delete_account_alias(context: Context, request: Request) -> Response:
    account = common.account_of(context)
    if account.alias != request["AccountAlias"]:
        raise NoSuchEntity(f"The account alias {request['AccountAlias']} cannot be found.")
    account.alias = None
    return None


@operation("iam", "ListAccountAliases", checks=action("iam:ListAccountAliases"))
def list_account_aliases(context: Context, _request: Request) -> Response:
    alias = common.account_of(context).alias
    return {"AccountAliases": [alias] if alias else [], "IsTruncated": False}


@operation("iam", "GetAccountSummary", checks=action("iam:GetAccountSummary"))
def get_account_summary(context: Context, _request: Request) -> Response:
    session, account_id = context.session, context.account_id
    counts = {name: _count(context, table) for name, table in _COUNTED.items()}
    counts["Providers"] = _count(context, SamlProvider) + _count(context, OidcProvider)
    counts["MFADevicesInUse"] = _count(context, MfaDevice, MfaDevice.user_id.is_not(None))
    settings = session.get(AccountSettings, account_id)
    of_root = {
        # Root has no MFA device and no signing certificate here.
        "AccountMFAEnabled": 0,
        "AccountSigningCertificatesPresent": 0,
        "AccountAccessKeysPresent": min(_count(context, AccessKey, AccessKey.user_id.is_(None)), 1),
        "AccountPasswordPresent": 1 if session.get(LoginProfile, account_id) else 0,
        "GlobalEndpointTokenVersion": settings.global_token_version if settings else 1,
    }
    return {"SummaryMap": counts | of_root | _QUOTAS}


def _count(context: Context, table: Any, *conditions: Any) -> int:
    query = select(func.count()).select_from(table).where(table.account_id == context.account_id, *conditions)
    return context.session.scalar(query) or 0
