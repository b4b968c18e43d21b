"""Roles."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities, trust, uses, writing
from emr_studio.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from emr_studio.iam.model import InstanceProfile, Role
from emr_studio.iam.operations import common
from emr_studio.iam.policy import PolicyKind, size_without_white_space

QUOTA = 1000
_LONGEST_TRUST = 2048


def named_role(context: Context, request: Request) -> Role | str:
    """The role that a request names; the name if there is none."""
    name = str(request["RoleName"])
    return entities.find_by_name(context.session, Role, context.account_id, name) or name


def the_role(context: Context, request: Request) -> Role:
    """Raises NoSuchEntity."""
    return entities.get_role(context.session, context.account_id, str(request["RoleName"]))


def shape(context: Context, role: Role, *, full: bool = False) -> dict[str, Any]:
    """A role as the API shows it; `full` where AWS shows tags, boundary and last use."""
    made = common.base_shape(role, "Role")
    made["AssumeRolePolicyDocument"] = common.url_quoted(trust.to_show(context.session, role.trust_policy))
    made["MaxSessionDuration"] = role.max_session_duration
    if role.description is not None:
        made["Description"] = role.description
    if full:
        made |= common.boundary_shape(role.boundary_arn)
        made["RoleLastUsed"] = last_used(context, role)
        if role.tags:
            made["Tags"] = common.tag_list(role.tags)
    return made


def last_used(context: Context, role: Role) -> dict[str, Any]:
    """When a session of the role last made a request, and where."""
    use = uses.last_use_of(context.session, role.id)
    return {"LastUsedDate": use.used_at, "Region": use.region} if use else {}


def changeable_role(context: Context, request: Request) -> Role:
    """Raises NoSuchEntity; UnmodifiableEntity for a service-linked role."""
    role = the_role(context, request)
    common.refuse_service_linked(role)
    return role


def _trust_policy(context: Context, text: str) -> str:
    common.checked_policy(text, PolicyKind.TRUST, newest=False)
    if size_without_white_space(text) > _LONGEST_TRUST:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {_LONGEST_TRUST}")
    return trust.to_keep(context.session, text)


@operation("iam", "CreateRole", checks=common.entity_checks("CreateRole", "role", named_role, tags=True))
def create_role(context: Context, request: Request) -> Response:
    name = str(request["RoleName"])
    if str(request.get("Path") or "/").startswith(common.SERVICE_ROLE_PATH):
        raise common.validation_error(f"The path {request['Path']} is reserved for service-linked roles.")
    common.refuse_taken(context, Role, "Role", name)
    common.check_quota(context, Role, "Roles", QUOTA)
    trust_policy = _trust_policy(context, str(request["AssumeRolePolicyDocument"]))
    role = writing.new_role(
        context.session,
        common.account_of(context),
        name,
        trust_policy,
        context.now(),
        path=str(request.get("Path") or "/"),
        tags=common.read_tags(request),
    )
    role.boundary_arn = common.boundary_of(context, request)
    role.description = request.get("Description")
    role.max_session_duration = int(request.get("MaxSessionDuration") or 3600)
    return {"Role": shape(context, role, full=True)}


@operation("iam", "GetRole", checks=common.entity_checks("GetRole", "role", named_role))
def get_role(context: Context, request: Request) -> Response:
    return {"Role": shape(context, the_role(context, request), full=True)}


@operation("iam", "ListRoles", checks=common.list_check("ListRoles", "role"))
def list_roles(context: Context, request: Request) -> Response:
    return common.page_of_entities(
        context, request, "ListRoles", table=Role, shape=lambda role: shape(context, role), member="Roles"
    )


@operation("iam", "UpdateRole", checks=common.entity_checks("UpdateRole", "role", named_role))
def update_role(context: Context, request: Request) -> Response:
    role = the_role(context, request)
    if "Description" in request:
        role.description = str(request["Description"])
    if "MaxSessionDuration" in request:
        common.refuse_service_linked(role)
        role.max_session_duration = int(request["MaxSessionDuration"])
    return {}


@operation("iam", "UpdateRoleDescription", checks=common.entity_checks("UpdateRoleDescription", "role", named_role))
def update_role_description(context: Context, request: Request) -> Response:
    role = the_role(context, request)
    role.description = str(request["Description"])
    return {"Role": shape(context, role)}


@operation("iam", "UpdateAssumeRolePolicy", checks=common.entity_checks("UpdateAssumeRolePolicy", "role", named_role))
def update_assume_role_policy(context: Context, request: Request) -> Response:
    role = changeable_role(context, request)
    role.trust_policy = _trust_policy(context, str(request["PolicyDocument"]))
    return None


@operation("iam", "DeleteRole", checks=common.entity_checks("DeleteRole", "role", named_role))
def delete_role(context: Context, request: Request) -> Response:
    session = context.session
    role = changeable_role(context, request)
    if session.scalars(select(InstanceProfile.id).where(InstanceProfile.role_id == role.id)).first():
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    if entities.attachments(session, role.id):
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    if entities.inline_policies(session, role.id):
        raise DeleteConflict("Cannot delete entity, must delete policies first.")
    uses.forget(session, role.id)
    session.delete(role)
    return None


@operation(
    "iam", "PutRolePermissionsBoundary", checks=common.entity_checks("PutRolePermissionsBoundary", "role", named_role)
)
def put_role_permissions_boundary(context: Context, request: Request) -> Response:
    changeable_role(context, request).boundary_arn = common.boundary_of(context, request)
    return None


@operation(
    "iam",
    "DeleteRolePermissionsBoundary",
    checks=common.entity_checks("DeleteRolePermissionsBoundary", "role", named_role),
)
def delete_role_permissions_boundary(context: Context, request: Request) -> Response:
    role = changeable_role(context, request)
    if role.boundary_arn is None:
        raise NoSuchEntity(f"The role {role.name} has no permissions boundary.")
    role.boundary_arn = None
    return None
