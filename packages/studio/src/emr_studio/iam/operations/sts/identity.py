"""Questions about callers, keys and denials."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, action, no_check, operation
from emr_studio.iam import authorization_message
from emr_studio.iam.model import AccessKey, Account
from emr_studio.iam.operations import common
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.ids import account_in_key


@operation("sts", "GetCallerIdentity", checks=no_check)
def get_caller_identity(context: Context, _request: Request) -> Response:
    caller = context.caller
    return {"UserId": caller.user_id, "Account": caller.account_id, "Arn": caller.arn}


@operation("sts", "GetAccessKeyInfo", checks=action("sts:GetAccessKeyInfo"))
def get_access_key_info(context: Context, request: Request) -> Response:
    """Of a temporary key too: its account is written in it."""
    key_id = str(request["AccessKeyId"])
    key = context.session.get(AccessKey, key_id)
    written = account_in_key(key_id) if key_id.startswith("ASIA") else None
    account = context.session.get(Account, key.account_id if key else written) if key or written else None
    if account is None:
        raise common.validation_error(f"Invalid access key id {key_id}")
    return {"Account": account.account_id}


@operation("sts", "DecodeAuthorizationMessage", checks=action("sts:DecodeAuthorizationMessage"))
def decode_authorization_message(context: Context, request: Request) -> Response:
    """Of the caller's own account only: another's message is like one that was never made."""
    text = str(request["EncodedMessage"])
    try:
        decoded = authorization_message.decode(context.port(Sealer), context.account_id, text)
    except BadSeal:
        raise ClientError("InvalidAuthorizationMessageException", "Message is not valid.") from None
    return {"DecodedMessage": decoded}
