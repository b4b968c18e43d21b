"""Versions of managed policies."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import writing
from emr_studio.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from emr_studio.iam.managed import AwsManagedPolicy
from emr_studio.iam.model import Policy, PolicyVersion
from emr_studio.iam.operations import common
from emr_studio.iam.operations.policies import AWS_POLICY_DATE, any_policy, arn_checks, check_size, the_policy
from emr_studio.iam.policy import PolicyKind

_MOST = 5
_LONGEST_NUMBER = 9


def _versions(context: Context, policy: Policy) -> list[PolicyVersion]:
    query = select(PolicyVersion).where(PolicyVersion.policy_id == policy.id).order_by(PolicyVersion.number.desc())
    return list(context.session.scalars(query))


def _version(context: Context, policy: Policy, version_id: str) -> PolicyVersion:
    number = version_id.removeprefix("v")
    sensible = number.isdecimal() and len(number) <= _LONGEST_NUMBER
    found = context.session.get(PolicyVersion, (policy.id, int(number))) if sensible else None
    if found is None:
        raise NoSuchEntity(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")
    return found


def _shape(policy: Policy, version: PolicyVersion, *, document: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default_version,
        "CreateDate": version.created_at,
    }
    if document:
        made["Document"] = common.url_quoted(version.document)
    return made


def _aws_shape() -> dict[str, Any]:
    """The only version of any of AWS's policies."""
    return {"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": AWS_POLICY_DATE}


def all_shapes(context: Context, policy: Policy | AwsManagedPolicy) -> list[dict[str, Any]]:
    """All versions with their documents."""
    if isinstance(policy, AwsManagedPolicy):
        return [{"Document": common.url_quoted(policy.document), **_aws_shape()}]
    return [_shape(policy, version, document=True) for version in _versions(context, policy)]


@operation("iam", "CreatePolicyVersion", checks=arn_checks("CreatePolicyVersion"))
def create_policy_version(context: Context, request: Request) -> Response:
    policy = the_policy(context, request)
    document = str(request["PolicyDocument"])
    common.checked_policy(document, PolicyKind.IDENTITY)
    check_size(document)
    common.one_at_a_time(context)
    context.session.refresh(policy)
    if len(_versions(context, policy)) >= _MOST:
        raise LimitExceeded(
            f"A managed policy can have up to {_MOST} versions. Before you create a new version, you must delete an "
            "existing version."
        )
    policy.latest_version += 1
    policy.updated_at = context.now()
    version = writing.add_version(context.session, policy, policy.latest_version, document, context.now())
    if request.get("SetAsDefault"):
        policy.default_version = version.number
    return {"PolicyVersion": _shape(policy, version)}


@operation("iam", "GetPolicyVersion", checks=arn_checks("GetPolicyVersion"))
def get_policy_version(context: Context, request: Request) -> Response:
    policy = any_policy(context, request)
    version_id = str(request["VersionId"])
    if isinstance(policy, Policy):
        return {"PolicyVersion": _shape(policy, _version(context, policy, version_id), document=True)}
    if version_id != "v1":
        arn = request["PolicyArn"]
        raise NoSuchEntity(f"Policy {arn} version {version_id} does not exist or is not attachable.")
    return {"PolicyVersion": {"Document": common.url_quoted(policy.document), **_aws_shape()}}


@operation("iam", "ListPolicyVersions", checks=arn_checks("ListPolicyVersions"))
def list_policy_versions(context: Context, request: Request) -> Response:
    policy = any_policy(context, request)
    if isinstance(policy, Policy):
        shapes = [_shape(policy, version) for version in _versions(context, policy)]
    else:
        shapes = [_aws_shape()]
    return common.page(context, request, "ListPolicyVersions", shapes, "Versions")


@operation("iam", "DeletePolicyVersion", checks=arn_checks("DeletePolicyVersion"))
def delete_policy_version(context: Context, request: Request) -> Response:
    policy = the_policy(context, request)
    version = _version(context, policy, str(request["VersionId"]))
    if version.number == policy.default_version:
        raise DeleteConflict("Cannot delete the default version of a policy.")
    context.session.delete(version)
    return None


@operation("iam", "SetDefaultPolicyVersion", checks=arn_checks("SetDefaultPolicyVersion"))
def set_default_policy_version(context: Context, request: Request) -> Response:
    policy = the_policy(context, request)
    policy.default_version = _version(context, policy, str(request["VersionId"])).number
    policy.updated_at = context.now()
    return None
