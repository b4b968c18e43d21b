"""Console passwords of users."""

from __future__ import annotations

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import AccessDenied, ClientError
from emr_studio.aws.registry import Request, Response, no_check, operation
from emr_studio.iam import entities, password_policy, passwords, writing
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.errors import EntityAlreadyExists, NoSuchEntity
from emr_studio.iam.model import LoginProfile, User
from emr_studio.iam.operations import common
from emr_studio.iam.operations.users import named_user, the_user


def _profile(context: Context, user: User) -> LoginProfile:
    profile = context.session.get(LoginProfile, user.id)
    if profile is None:
        raise NoSuchEntity(f"Login Profile for User {user.name} cannot be found.")
    return profile


def _shape(user: User, profile: LoginProfile) -> dict[str, object]:
    return {
        "UserName": user.name,
        "CreateDate": profile.created_at,
        "PasswordResetRequired": profile.reset_required,
    }


@operation("iam", "CreateLoginProfile", checks=common.entity_checks("CreateLoginProfile", "user", named_user))
def create_login_profile(context: Context, request: Request) -> Response:
    user = the_user(context, request)
    if context.session.get(LoginProfile, user.id) is not None:
        raise EntityAlreadyExists(f"Login Profile for user {user.name} already exists.")
    password = str(request.get("Password") or "")
    password_policy.check(context.session, context.account_id, user.id, password)
    reset = bool(request.get("PasswordResetRequired"))
    profile = writing.set_password(context.session, user.id, password, context.now(), reset_required=reset)
    return {"LoginProfile": _shape(user, profile)}


@operation("iam", "GetLoginProfile", checks=common.entity_checks("GetLoginProfile", "user", named_user))
def get_login_profile(context: Context, request: Request) -> Response:
    user = the_user(context, request)
    return {"LoginProfile": _shape(user, _profile(context, user))}


@operation("iam", "UpdateLoginProfile", checks=common.entity_checks("UpdateLoginProfile", "user", named_user))
def update_login_profile(context: Context, request: Request) -> Response:
    user = the_user(context, request)
    profile = _profile(context, user)
    if "Password" in request:
        password = str(request["Password"])
        password_policy.check(context.session, context.account_id, user.id, password)
        reset = profile.reset_required
        writing.set_password(context.session, user.id, password, context.now(), reset_required=reset)
    if "PasswordResetRequired" in request:
        profile.reset_required = bool(request["PasswordResetRequired"])
    return None


@operation("iam", "DeleteLoginProfile", checks=common.entity_checks("DeleteLoginProfile", "user", named_user))
def delete_login_profile(context: Context, request: Request) -> Response:
    context.session.delete(_profile(context, the_user(context, request)))
    return None


def _self(context: Context) -> User | str:
    name = context.caller.user_name or ""
    return entities.find_by_name(context.session, User, context.account_id, name) or name


@operation("iam", "ChangePassword", checks=no_check)
def change_password(context: Context, request: Request) -> Response:
    """The permission is asked for inside: the account's password policy may give it to all."""
    user = _self(context)
    if isinstance(user, str):
        raise ClientError("InvalidUserType", "Only IAM Users can change their own password")
    circumstances = Circumstances(context.now(), context.region, context.request)
    check = Check("iam:ChangePassword", user.arn, common.resource_tag_context(user.tags))
    password_policy.refuse_change(context.session, context.caller, check, circumstances)
    if context.caller.token_issued_at is not None:
        raise AccessDenied("Temporary credentials cannot change a password.")
    profile = _profile(context, user)
    if not passwords.verify(profile.password_hash, str(request["OldPassword"])):
        raise AccessDenied("The old password was incorrect.")
    password_policy.set_own(context.session, context.caller, str(request["NewPassword"]), context.now())
    return None
