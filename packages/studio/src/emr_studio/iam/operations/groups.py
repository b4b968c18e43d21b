"""Groups and who is in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities
from emr_studio.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from emr_studio.iam.model import Group, GroupMember, User, entity_values
from emr_studio.iam.operations import common, users

QUOTA = 300
_MOST_GROUPS_OF_A_USER = 10


def named_group(context: Context, request: Request) -> Group | str:
    """The group that a request names; the name if there is none."""
    name = str(request["GroupName"])
    return entities.find_by_name(context.session, Group, context.account_id, name) or name


def the_group(context: Context, request: Request) -> Group:
    """Raises NoSuchEntity."""
    return entities.get_group(context.session, context.account_id, str(request["GroupName"]))


def shape(group: Group) -> dict[str, Any]:
    """A group as the API shows it."""
    return common.base_shape(group, "Group")


@operation("iam", "CreateGroup", checks=common.entity_checks("CreateGroup", "group", named_group))
def create_group(context: Context, request: Request) -> Response:
    name = str(request["GroupName"])
    common.refuse_taken(context, Group, "Group", name)
    common.check_quota(context, Group, "Groups", QUOTA)
    values = entity_values(common.account_of(context), "group", name, str(request.get("Path") or "/"))
    group = Group(id=ids.iam_id("AGPA"), tags={}, created_at=context.now(), **values)
    context.session.add(group)
    return {"Group": shape(group)}


@operation("iam", "GetGroup", checks=common.entity_checks("GetGroup", "group", named_group))
def get_group(context: Context, request: Request) -> Response:
    group = the_group(context, request)
    query = select(User).join(GroupMember, GroupMember.user_id == User.id).where(GroupMember.group_id == group.id)
    members = [users.shape(user) for user in context.session.scalars(query.order_by(User.name_key))]
    return {"Group": shape(group), **common.page(context, request, "GetGroup", members, "Users")}


@operation("iam", "ListGroups", checks=common.list_check("ListGroups", "group"))
def list_groups(context: Context, request: Request) -> Response:
    return common.page_of_entities(context, request, "ListGroups", table=Group, shape=shape, member="Groups")


@operation("iam", "UpdateGroup", checks=common.rename_checks("UpdateGroup", "group", "Group", named_group))
def update_group(context: Context, request: Request) -> Response:
    common.rename(context, the_group(context, request), "group", request, "Group")
    return None


@operation("iam", "DeleteGroup", checks=common.entity_checks("DeleteGroup", "group", named_group))
def delete_group(context: Context, request: Request) -> Response:
    session = context.session
    group = the_group(context, request)
    if session.scalars(select(GroupMember).filter_by(group_id=group.id)).first():
        raise DeleteConflict("Cannot delete entity, must remove users from group first.")
    if entities.attachments(session, group.id):
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    if entities.inline_policies(session, group.id):
        raise DeleteConflict("Cannot delete entity, must delete policies first.")
    session.delete(group)
    return None


@operation("iam", "AddUserToGroup", checks=common.entity_checks("AddUserToGroup", "group", named_group))
def add_user_to_group(context: Context, request: Request) -> Response:
    session = context.session
    group = the_group(context, request)
    user = entities.get_user(session, context.account_id, str(request["UserName"]))
    common.one_at_a_time(context)
    if session.get(GroupMember, (group.id, user.id)) is not None:
        return None
    if len(entities.groups_of(session, user.id)) >= _MOST_GROUPS_OF_A_USER:
        raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {_MOST_GROUPS_OF_A_USER}")
    session.add(GroupMember(account_id=context.account_id, group_id=group.id, user_id=user.id))
    return None


@operation("iam", "RemoveUserFromGroup", checks=common.entity_checks("RemoveUserFromGroup", "group", named_group))
def remove_user_from_group(context: Context, request: Request) -> Response:
    group = the_group(context, request)
    user = entities.get_user(context.session, context.account_id, str(request["UserName"]))
    member = context.session.get(GroupMember, (group.id, user.id))
    if member is None:
        raise NoSuchEntity(f"User {user.name} not in group {group.name}")
    context.session.delete(member)
    return None


@operation("iam", "ListGroupsForUser", checks=common.entity_checks("ListGroupsForUser", "user", users.named_user))
def list_groups_for_user(context: Context, request: Request) -> Response:
    user = users.the_user(context, request)
    shapes = [shape(group) for group in entities.groups_of(context.session, user.id)]
    return common.page(context, request, "ListGroupsForUser", shapes, "Groups")
