"""Users."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities, mfa, password_policy, uses, writing
from emr_studio.iam.errors import DeleteConflict
from emr_studio.iam.model import AccessKey, GroupMember, LoginProfile, User, UserCredential
from emr_studio.iam.operations import common

QUOTA = 5000
_WORDS = {"ssh": "SSH public keys", "certificate": "signing certificates", "service": "service specific credentials"}


def named_user(context: Context, request: Request) -> User | str:
    """The user that a request names, or the caller; the name if there is no such user."""
    name = user_name(context, request)
    return entities.find_by_name(context.session, User, context.account_id, name) or name


def user_name(context: Context, request: Request) -> str:
    """`UserName`, or the caller's own name."""
    return str(request.get("UserName") or context.caller.user_name or "")


def the_user(context: Context, request: Request) -> User:
    """The user that a request names, or the caller.

    Raises:
        ClientError: ValidationError if neither is a user; NoSuchEntity.
    """
    name = user_name(context, request)
    if not name:
        raise common.validation_error("Must specify userName when calling with non-User credentials")
    return entities.get_user(context.session, context.account_id, name)


def shape(user: User, *, full: bool = False) -> dict[str, Any]:
    """A user as the API shows it; `full` where AWS shows tags and boundary."""
    made = common.base_shape(user, "User")
    if user.password_last_used:
        made["PasswordLastUsed"] = user.password_last_used
    if full:
        made |= common.boundary_shape(user.boundary_arn)
        if user.tags:
            made["Tags"] = common.tag_list(user.tags)
    return made


@operation("iam", "CreateUser", checks=common.entity_checks("CreateUser", "user", named_user, tags=True))
def create_user(context: Context, request: Request) -> Response:
    name = str(request["UserName"])
    common.refuse_taken(context, User, "User", name)
    common.check_quota(context, User, "Users", QUOTA)
    user = writing.new_user(
        context.session,
        common.account_of(context),
        name,
        context.now(),
        path=str(request.get("Path") or "/"),
        tags=common.read_tags(request),
    )
    user.boundary_arn = common.boundary_of(context, request)
    return {"User": shape(user, full=True)}


@operation("iam", "GetUser", checks=common.entity_checks("GetUser", "user", named_user))
def get_user(context: Context, request: Request) -> Response:
    if context.caller.kind == "root" and "UserName" not in request:
        account = common.account_of(context)
        caller = context.caller
        return {"User": {"UserId": caller.user_id, "Arn": caller.arn, "CreateDate": account.created_at}}
    return {"User": shape(the_user(context, request), full=True)}


@operation("iam", "ListUsers", checks=common.list_check("ListUsers", "user"))
def list_users(context: Context, request: Request) -> Response:
    return common.page_of_entities(context, request, "ListUsers", table=User, shape=shape, member="Users")


@operation("iam", "UpdateUser", checks=common.rename_checks("UpdateUser", "user", "User", named_user))
def update_user(context: Context, request: Request) -> Response:
    common.rename(context, the_user(context, request), "user", request, "User")
    return None


@operation("iam", "DeleteUser", checks=common.entity_checks("DeleteUser", "user", named_user))
def delete_user(context: Context, request: Request) -> Response:
    session = context.session
    user = the_user(context, request)
    in_the_way = {
        "must delete login profile first": session.get(LoginProfile, user.id),
        "must delete MFA device first": next(iter(mfa.devices_of(session, user.id)), None),
        "must delete access keys first": session.scalars(select(AccessKey).filter_by(user_id=user.id)).first(),
        "must remove users from group first": session.scalars(select(GroupMember).filter_by(user_id=user.id)).first(),
        "must detach all policies first": next(iter(entities.attachments(session, user.id)), None),
        "must delete policies first": next(iter(entities.inline_policies(session, user.id)), None),
    }
    for words, found in in_the_way.items():
        if found is not None:
            raise DeleteConflict(f"Cannot delete entity, {words}.")
    if other := session.scalars(select(UserCredential).filter_by(user_id=user.id)).first():
        raise DeleteConflict(f"Cannot delete entity, must delete {_WORDS[other.kind]} first.")
    uses.forget(session, user.id)
    password_policy.forget(session, user.id)
    session.delete(user)
    return None


@operation(
    "iam", "PutUserPermissionsBoundary", checks=common.entity_checks("PutUserPermissionsBoundary", "user", named_user)
)
def put_user_permissions_boundary(context: Context, request: Request) -> Response:
    the_user(context, request).boundary_arn = common.boundary_of(context, request)
    return None


@operation(
    "iam",
    "DeleteUserPermissionsBoundary",
    checks=common.entity_checks("DeleteUserPermissionsBoundary", "user", named_user),
)
def delete_user_permissions_boundary(context: Context, request: Request) -> Response:
    user = the_user(context, request)
    if user.boundary_arn is None:
        raise ClientError("NoSuchEntity", f"The user {user.name} has no permissions boundary.", 404)
    user.boundary_arn = None
    return None
