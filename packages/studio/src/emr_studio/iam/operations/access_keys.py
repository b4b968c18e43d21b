"""Access keys."""

from __future__ import annotations

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import uses, writing
from emr_studio.iam.errors import LimitExceeded, NoSuchEntity
from emr_studio.iam.model import AccessKey, User
from emr_studio.iam.operations import common
from emr_studio.iam.operations.users import named_user, the_user
from emr_studio.iam.sealing import Sealer

_MOST = 2


def _owner(context: Context, request: Request) -> User | None:
    """The user in question; None for root's own keys."""
    if context.caller.kind == "root" and "UserName" not in request:
        return None
    return the_user(context, request)


def _keys(context: Context, user: User | None) -> list[AccessKey]:
    query = select(AccessKey).where(AccessKey.account_id == context.account_id)
    query = query.where(AccessKey.user_id == (user.id if user else None))
    return list(context.session.scalars(query.order_by(AccessKey.created_at, AccessKey.id)))


def _key(context: Context, request: Request) -> AccessKey:
    user = _owner(context, request)
    key_id = str(request["AccessKeyId"])
    for key in _keys(context, user):
        if key.id == key_id:
            return key
    raise NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")


@operation("iam", "CreateAccessKey", checks=common.entity_checks("CreateAccessKey", "user", named_user))
def create_access_key(context: Context, request: Request) -> Response:
    user = _owner(context, request)
    common.one_at_a_time(context)
    if len(_keys(context, user)) >= _MOST:
        raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {_MOST}")
    key, secret = writing.new_access_key(
        context.session, context.port(Sealer), context.account_id, user.id if user else None, context.now()
    )
    shape = {
        "UserName": user.name if user else None,
        "AccessKeyId": key.id,
        "Status": key.status,
        "SecretAccessKey": secret,
        "CreateDate": key.created_at,
    }
    return {"AccessKey": shape}


@operation("iam", "ListAccessKeys", checks=common.entity_checks("ListAccessKeys", "user", named_user))
def list_access_keys(context: Context, request: Request) -> Response:
    user = _owner(context, request)
    name = user.name if user else None
    shapes = [
        {"UserName": name, "AccessKeyId": key.id, "Status": key.status, "CreateDate": key.created_at}
        for key in _keys(context, user)
    ]
    return common.page(context, request, "ListAccessKeys", shapes, "AccessKeyMetadata")


@operation("iam", "UpdateAccessKey", checks=common.entity_checks("UpdateAccessKey", "user", named_user))
def update_access_key(context: Context, request: Request) -> Response:
    key = _key(context, request)
    if request["Status"] == "Expired":
        raise common.validation_error("Status can be set to Active or Inactive.")
    key.status = str(request["Status"])
    return None


@operation("iam", "DeleteAccessKey", checks=common.entity_checks("DeleteAccessKey", "user", named_user))
def delete_access_key(context: Context, request: Request) -> Response:
    context.session.delete(_key(context, request))
    return None


def _key_owner(context: Context, request: Request) -> User | str:
    key = context.session.get(AccessKey, str(request["AccessKeyId"]))
    if key is None or key.account_id != context.account_id or key.user_id is None:
        return "*"
    return context.session.get_one(User, key.user_id)


@operation("iam", "GetAccessKeyLastUsed", checks=common.entity_checks("GetAccessKeyLastUsed", "user", _key_owner))
def get_access_key_last_used(context: Context, request: Request) -> Response:
    owner = _key_owner(context, request)
    if isinstance(owner, str):
        raise NoSuchEntity(f"The Access Key with id {request['AccessKeyId']} cannot be found.")
    use = uses.last_use(context.session, str(request["AccessKeyId"]))
    if use is None:
        last = {"ServiceName": "N/A", "Region": "N/A"}
        return {"UserName": owner.name, "AccessKeyLastUsed": last}
    shape = {"LastUsedDate": use.used_at, "ServiceName": use.service, "Region": use.region}
    return {"UserName": owner.name, "AccessKeyLastUsed": shape}
