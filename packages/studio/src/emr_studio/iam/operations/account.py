"""The account: its alias and its figures."""

from __future__ import annotations

from sqlalchemy import func, select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam.errors import EntityAlreadyExists, NoSuchEntity
from emr_studio.iam.model import Account, Group, InstanceProfile, Policy, Role, User
from emr_studio.iam.operations import common

_QUOTAS = {
    "UsersQuota": 5000,
    "GroupsQuota": 300,
    "RolesQuota": 1000,
    "PoliciesQuota": 1500,
    "InstanceProfilesQuota": 1000,
    "AccessKeysPerUserQuota": 2,
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
    tables: dict[str, type[common.AnyEntity]]
    tables = {"Users": User, "Groups": Group, "Roles": Role, "Policies": Policy, "InstanceProfiles": InstanceProfile}
    counts = {
        name: context.session.scalar(select(func.count()).where(table.account_id == context.account_id)) or 0
        for name, table in tables.items()
    }
    return {"SummaryMap": counts | _QUOTAS}


@operation("iam", "GetAccountPasswordPolicy", checks=action("iam:GetAccountPasswordPolicy"))
def get_account_password_policy(context: Context, _request: Request) -> Response:
    # The default policy holds; AWS says so by this error.
    raise NoSuchEntity(f"The Password Policy with domain name {context.account_id} cannot be found.")


@operation("iam", "ListVirtualMFADevices", checks=action("iam:ListVirtualMFADevices"))
def list_virtual_mfa_devices(_context: Context, _request: Request) -> Response:
    return {"VirtualMFADevices": [], "IsTruncated": False}
