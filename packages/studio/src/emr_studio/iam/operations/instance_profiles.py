"""Instance profiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities, writing
from emr_studio.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from emr_studio.iam.model import InstanceProfile, Role
from emr_studio.iam.operations import common, roles

QUOTA = 1000
_KIND = "instance-profile"


def named_profile(context: Context, request: Request) -> InstanceProfile | str:
    """The profile that a request names; the name if there is none."""
    name = str(request["InstanceProfileName"])
    return entities.find_by_name(context.session, InstanceProfile, context.account_id, name) or name


def the_profile(context: Context, request: Request) -> InstanceProfile:
    """Raises NoSuchEntity."""
    return entities.get_instance_profile(context.session, context.account_id, str(request["InstanceProfileName"]))


def shape(context: Context, profile: InstanceProfile, *, full: bool = False) -> dict[str, Any]:
    """An instance profile with its role."""
    made = common.base_shape(profile, "InstanceProfile")
    role = context.session.get(Role, profile.role_id) if profile.role_id else None
    made["Roles"] = [roles.shape(context, role)] if role else []
    if full and profile.tags:
        made["Tags"] = common.tag_list(profile.tags)
    return made


@operation(
    "iam",
    "CreateInstanceProfile",
    checks=common.entity_checks("CreateInstanceProfile", _KIND, named_profile, tags=True),
)
def create_instance_profile(context: Context, request: Request) -> Response:
    name = str(request["InstanceProfileName"])
    if entities.name_is_taken(context.session, InstanceProfile, context.account_id, name):
        raise EntityAlreadyExists(f"Instance Profile {name} already exists.")
    common.check_quota(context, InstanceProfile, "InstanceProfiles", QUOTA)
    profile = writing.new_instance_profile(
        context.session,
        common.account_of(context),
        name,
        context.now(),
        path=str(request.get("Path") or "/"),
        tags=common.read_tags(request),
    )
    return {"InstanceProfile": shape(context, profile, full=True)}


@operation("iam", "GetInstanceProfile", checks=common.entity_checks("GetInstanceProfile", _KIND, named_profile))
def get_instance_profile(context: Context, request: Request) -> Response:
    return {"InstanceProfile": shape(context, the_profile(context, request), full=True)}


@operation("iam", "ListInstanceProfiles", checks=common.list_check("ListInstanceProfiles", _KIND))
def list_instance_profiles(context: Context, request: Request) -> Response:
    return common.page_of_entities(
        context,
        request,
        "ListInstanceProfiles",
        table=InstanceProfile,
        shape=lambda profile: shape(context, profile),
        member="InstanceProfiles",
    )


@operation("iam", "DeleteInstanceProfile", checks=common.entity_checks("DeleteInstanceProfile", _KIND, named_profile))
def delete_instance_profile(context: Context, request: Request) -> Response:
    profile = the_profile(context, request)
    if profile.role_id is not None:
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    context.session.delete(profile)
    return None


_adding = common.entity_checks("AddRoleToInstanceProfile", _KIND, named_profile)


def _add_checks(context: Context, request: Request) -> Iterable[Check]:
    """Whoever puts a role into a profile hands it to EC2: that takes `iam:PassRole` too."""
    yield from _adding(context, request)
    role = roles.named_role(context, request)
    arn = common.entity_arn(context, "role", role) if isinstance(role, str) else role.arn
    tags = {} if isinstance(role, str) else common.resource_tag_context(role.tags)
    yield Check("iam:PassRole", arn, tags | {"iam:PassedToService": "ec2.amazonaws.com"})


@operation("iam", "AddRoleToInstanceProfile", checks=_add_checks)
def add_role_to_instance_profile(context: Context, request: Request) -> Response:
    profile = the_profile(context, request)
    role = roles.changeable_role(context, request)
    if profile.role_id is not None:
        raise LimitExceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    profile.role_id = role.id
    return None


@operation(
    "iam",
    "RemoveRoleFromInstanceProfile",
    checks=common.entity_checks("RemoveRoleFromInstanceProfile", _KIND, named_profile),
)
def remove_role_from_instance_profile(context: Context, request: Request) -> Response:
    profile = the_profile(context, request)
    name = str(request["RoleName"])
    role = entities.find_by_name(context.session, Role, context.account_id, name)
    if role is None or profile.role_id != role.id:
        raise NoSuchEntity(f"The role with name {name} cannot be found.")
    profile.role_id = None
    return None


@operation(
    "iam",
    "ListInstanceProfilesForRole",
    checks=common.entity_checks("ListInstanceProfilesForRole", "role", roles.named_role),
)
def list_instance_profiles_for_role(context: Context, request: Request) -> Response:
    role = roles.the_role(context, request)
    query = select(InstanceProfile).where(InstanceProfile.role_id == role.id).order_by(InstanceProfile.name_key)
    shapes = [shape(context, profile) for profile in context.session.scalars(query)]
    return common.page(context, request, "ListInstanceProfilesForRole", shapes, "InstanceProfiles")
