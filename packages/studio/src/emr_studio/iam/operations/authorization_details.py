"""GetAccountAuthorizationDetails: everything that says who may do what, in pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam import entities, managed
from emr_studio.iam.managed import AwsManagedPolicy
from emr_studio.iam.model import Group, InstanceProfile, Policy, Role, User
from emr_studio.iam.operations import common, groups, instance_profiles, policies, policy_versions, roles, users

_Item = User | Group | Role | Policy | AwsManagedPolicy


def _attached(context: Context, entity: User | Group | Role) -> list[dict[str, str]]:
    arns = [one.policy_arn for one in entities.attachments(context.session, entity.id)]
    return [{"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in arns]


def _holder(context: Context, entity: User | Group | Role, word: str) -> dict[str, Any]:
    """What users, groups and roles show alike."""
    inline = [
        {"PolicyName": one.name, "PolicyDocument": common.url_quoted(one.document)}
        for one in entities.inline_policies(context.session, entity.id)
    ]
    return {f"{word}PolicyList": inline, "AttachedManagedPolicies": _attached(context, entity)}


def _user(context: Context, user: User) -> dict[str, Any]:
    made = users.shape(user, full=True) | _holder(context, user, "User")
    made.pop("PasswordLastUsed", None)
    return made | {"GroupList": [group.name for group in entities.groups_of(context.session, user.id)]}


def _group(context: Context, group: Group) -> dict[str, Any]:
    return groups.shape(group) | _holder(context, group, "Group")


def _role(context: Context, role: Role) -> dict[str, Any]:
    made = roles.shape(context, role, full=True) | _holder(context, role, "Role")
    query = select(InstanceProfile).where(InstanceProfile.role_id == role.id).order_by(InstanceProfile.name_key)
    made["InstanceProfileList"] = [
        instance_profiles.shape(context, profile) for profile in context.session.scalars(query)
    ]
    for member in ("Description", "MaxSessionDuration"):
        made.pop(member, None)
    return made


def _policy(context: Context, policy: Policy | AwsManagedPolicy) -> dict[str, Any]:
    made = policies.shape(context, policy, full=True)
    del made["Tags"]
    return made | {"PolicyVersionList": policy_versions.all_shapes(context, policy)}


_KINDS: dict[str, tuple[str, Any]] = {
    "User": ("UserDetailList", _user),
    "Group": ("GroupDetailList", _group),
    "Role": ("RoleDetailList", _role),
    "LocalManagedPolicy": ("Policies", _policy),
    "AWSManagedPolicy": ("Policies", _policy),
}
_TABLES: dict[str, Any] = {"User": User, "Group": Group, "Role": Role, "LocalManagedPolicy": Policy}


def _all(context: Context, wanted: Iterable[str]) -> list[tuple[str, _Item]]:
    found: list[tuple[str, _Item]] = []
    for kind in wanted:
        if kind == "AWSManagedPolicy":
            found += [(kind, policy) for policy in _aws_policies_in_use(context)]
            continue
        table = _TABLES[kind]
        query = select(table).where(table.account_id == context.account_id).order_by(table.name_key)
        found += [(kind, row) for row in context.session.scalars(query)]
    return found


def _aws_policies_in_use(context: Context) -> list[AwsManagedPolicy]:
    """AWS lists of its own policies those that the account uses."""
    partition, counts = common.account_of(context).partition, policies.all_counts(context)
    used = {*counts.attached, *counts.boundaries}
    return [policy for policy in managed.all_policies().values() if policy.arn(partition) in used]


@operation("iam", "GetAccountAuthorizationDetails", checks=action("iam:GetAccountAuthorizationDetails"))
def get_account_authorization_details(context: Context, request: Request) -> Response:
    given = [str(kind) for kind in request.get("Filter") or ()]
    wanted = [kind for kind in _KINDS if kind in given or not given]
    answer = common.page(context, request, "GetAccountAuthorizationDetails", _all(context, wanted), "items")
    made: dict[str, Any] = {member: [] for member, _ in _KINDS.values()}
    for kind, row in answer.pop("items"):
        member, shape = _KINDS[kind]
        made[member].append(shape(context, row))
    return made | answer
