"""Managed policies: ours, and AWS's to read."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.registry import ChecksFunction, Request, Response, operation
from emr_studio.iam import entities, managed, writing
from emr_studio.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from emr_studio.iam.managed import AwsManagedPolicy
from emr_studio.iam.model import Attachment, Group, Policy, PolicyVersion, Role, User
from emr_studio.iam.operations import common
from emr_studio.iam.policy import PolicyKind, size_without_white_space

QUOTA = 1500
MOST_CHARACTERS = 6144
AWS_POLICY_DATE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""AWS's policies have dates; ours stand for them since this one."""


def arn_checks(action: str, *, tags: bool = False) -> ChecksFunction:
    """Checks of `iam:<action>` on the policy that `PolicyArn` names."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        arn = str(request["PolicyArn"])
        policy = entities.find_policy(context.session, context.account_id, arn)
        supplied = common.resource_tag_context(policy.tags) if policy else {}
        if tags:
            supplied |= common.request_tag_context(request)
        return (common.iam_check(action, arn, supplied),)

    return checks


def the_policy(context: Context, request: Request) -> Policy:
    """Our own policy that a request names.

    Raises:
        NoSuchEntity: also for AWS's, which nobody changes.
    """
    arn = common.valid_arn(str(request["PolicyArn"]))
    policy = entities.find_policy(context.session, context.account_id, arn)
    if policy is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


def any_policy(context: Context, request: Request) -> Policy | AwsManagedPolicy:
    """Our own or AWS's policy.

    Raises:
        NoSuchEntity: if there is none.
    """
    return managed.find(common.valid_arn(str(request["PolicyArn"]))) or the_policy(context, request)


def check_size(document: str) -> str:
    """Return `document`.

    Raises:
        LimitExceeded: if it is longer than AWS allows (white space not counted).
    """
    if size_without_white_space(document) > MOST_CHARACTERS:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {MOST_CHARACTERS}")
    return document


def attachment_count(context: Context, arn: str) -> int:
    """How many entities of this account have the policy attached."""
    query = select(func.count()).where(Attachment.account_id == context.account_id, Attachment.policy_arn == arn)
    return context.session.scalar(query) or 0


def boundary_count(context: Context, arn: str) -> int:
    """How many users and roles of this account have the policy as their boundary."""
    session, account_id = context.session, context.account_id
    users = select(func.count()).where(User.account_id == account_id, User.boundary_arn == arn)
    roles = select(func.count()).where(Role.account_id == account_id, Role.boundary_arn == arn)
    return (session.scalar(users) or 0) + (session.scalar(roles) or 0)


@dataclass(frozen=True)
class Counts:
    """How often each policy of an account is attached, and is a boundary; by ARN."""

    attached: Mapping[str, int]
    boundaries: Mapping[str, int]


def all_counts(context: Context) -> Counts:
    """The counts of all policies, in three queries."""
    attached = _tally(context, Attachment, Attachment.policy_arn)
    of_users, of_roles = _tally(context, User, User.boundary_arn), _tally(context, Role, Role.boundary_arn)
    return Counts(attached, {arn: of_users[arn] + of_roles[arn] for arn in (*of_users, *of_roles)})


def _tally(context: Context, table: Any, column: Any) -> Counter[str]:
    query = select(column, func.count()).where(table.account_id == context.account_id, column.is_not(None))
    return Counter({row[0]: row[1] for row in context.session.execute(query.group_by(column))})


def _counts_of(context: Context, arn: str) -> Counts:
    return Counts({arn: attachment_count(context, arn)}, {arn: boundary_count(context, arn)})


def shape(
    context: Context, policy: Policy | AwsManagedPolicy, counts: Counts | None = None, *, full: bool = False
) -> dict[str, Any]:
    """A policy as the API shows it; `full` where AWS shows description and tags."""
    aws = isinstance(policy, AwsManagedPolicy)
    arn = policy.arn(common.account_of(context).partition) if isinstance(policy, AwsManagedPolicy) else policy.arn
    counts = counts or _counts_of(context, arn)
    made: dict[str, Any] = {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id if isinstance(policy, AwsManagedPolicy) else policy.id,
        "Arn": arn,
        "Path": policy.path,
        "DefaultVersionId": "v1" if isinstance(policy, AwsManagedPolicy) else f"v{policy.default_version}",
        "AttachmentCount": counts.attached.get(arn, 0),
        "PermissionsBoundaryUsageCount": counts.boundaries.get(arn, 0),
        "IsAttachable": True,
        "CreateDate": AWS_POLICY_DATE if isinstance(policy, AwsManagedPolicy) else policy.created_at,
        "UpdateDate": AWS_POLICY_DATE if isinstance(policy, AwsManagedPolicy) else policy.updated_at,
    }
    if full:
        made["Description"] = policy.description
        made["Tags"] = [] if aws else common.tag_list(policy.tags if isinstance(policy, Policy) else {})
    return made


def _named(context: Context, request: Request) -> Policy | str:
    name = str(request["PolicyName"])
    return entities.find_by_name(context.session, Policy, context.account_id, name) or name


@operation("iam", "CreatePolicy", checks=common.entity_checks("CreatePolicy", "policy", _named, tags=True))
def create_policy(context: Context, request: Request) -> Response:
    name = str(request["PolicyName"])
    document = str(request["PolicyDocument"])
    common.checked_policy(document, PolicyKind.IDENTITY)
    check_size(document)
    if entities.name_is_taken(context.session, Policy, context.account_id, name):
        raise EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    common.check_quota(context, Policy, "Policies", QUOTA)
    policy = writing.new_policy(
        context.session,
        common.account_of(context),
        name,
        document,
        context.now(),
        path=str(request.get("Path") or "/"),
        tags=common.read_tags(request),
    )
    policy.description = request.get("Description")
    return {"Policy": shape(context, policy, full=True)}


@operation("iam", "GetPolicy", checks=arn_checks("GetPolicy"))
def get_policy(context: Context, request: Request) -> Response:
    return {"Policy": shape(context, any_policy(context, request), full=True)}


@operation("iam", "ListPolicies", checks=common.list_check("ListPolicies", "policy"))
def list_policies(context: Context, request: Request) -> Response:
    scope = request.get("Scope") or "All"
    prefix = str(request.get("PathPrefix") or "/")
    found: list[Policy | AwsManagedPolicy] = []
    if scope in ("All", "AWS"):
        found += managed.all_policies().values()
    if scope in ("All", "Local"):
        query = select(Policy).where(Policy.account_id == context.account_id).order_by(Policy.name_key)
        found += context.session.scalars(query)
    counts = all_counts(context)
    shapes = [shape(context, policy, counts) for policy in found if policy.path.startswith(prefix)]
    if request.get("OnlyAttached"):
        shapes = [one for one in shapes if one["AttachmentCount"]]
    usage = {"PermissionsPolicy": "AttachmentCount", "PermissionsBoundary": "PermissionsBoundaryUsageCount"}
    if member := usage.get(str(request.get("PolicyUsageFilter"))):
        shapes = [one for one in shapes if one[member]]
    return common.page(context, request, "ListPolicies", shapes, "Policies")


@operation("iam", "DeletePolicy", checks=arn_checks("DeletePolicy"))
def delete_policy(context: Context, request: Request) -> Response:
    session = context.session
    policy = the_policy(context, request)
    if attachment_count(context, policy.arn) or boundary_count(context, policy.arn):
        raise DeleteConflict("Cannot delete a policy attached to entities.")
    versions = list(session.scalars(select(PolicyVersion).where(PolicyVersion.policy_id == policy.id)))
    if len(versions) > 1:
        raise DeleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's "
            "versions. The default version is deleted with the policy."
        )
    for version in versions:
        session.delete(version)
    session.flush()
    session.delete(policy)
    return None


@operation("iam", "ListEntitiesForPolicy", checks=arn_checks("ListEntitiesForPolicy"))
def list_entities_for_policy(context: Context, request: Request) -> Response:
    any_policy(context, request)
    kinds: tuple[tuple[str, Any], ...] = (("Group", Group), ("User", User), ("Role", Role))
    wanted = request.get("EntityFilter") or "All"
    found = [
        (word, row) for word, table in kinds if wanted in ("All", word) for row in _users_of(context, request, table)
    ]
    answer = common.page(context, request, "ListEntitiesForPolicy", found, "entities")
    made: dict[str, Any] = {f"Policy{word}s": [] for word, _ in kinds}
    for word, row in answer.pop("entities"):
        made[f"Policy{word}s"].append({f"{word}Name": row.name, f"{word}Id": row.id})
    return made | answer


def _users_of(context: Context, request: Request, table: Any) -> list[Any]:
    """The entities of one kind that have the policy, attached or as their boundary as `PolicyUsageFilter` says."""
    arn, usage = str(request["PolicyArn"]), request.get("PolicyUsageFilter")
    attached = select(Attachment.entity_id).where(Attachment.policy_arn == arn)
    query = select(table).where(table.account_id == context.account_id).order_by(table.name_key)
    if prefix := request.get("PathPrefix"):
        query = query.where(table.path.startswith(str(prefix), autoescape=True))
    conditions = [] if usage == "PermissionsBoundary" else [table.id.in_(attached)]
    if usage != "PermissionsPolicy" and table is not Group:
        conditions.append(table.boundary_arn == arn)
    return list(context.session.scalars(query.where(or_(*conditions)))) if conditions else []
