"""Questions about callers, keys and denials."""

from __future__ import annotations

import re

from emr_studio.aws.context import Context, Preparation
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, action, no_check, operation
from emr_studio.iam import authorization_message
from emr_studio.iam.authorization_message import KeptMessages
from emr_studio.iam.model import AccessKey, Account
from emr_studio.iam.operations import common
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.ids import account_in_key

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


def _bring_in(preparation: Preparation, request: Request) -> None:
    """A denial of just now shall be found by its id."""
    if _ID.fullmatch(str(request["EncodedMessage"])) and (kept := preparation.ports.get(KeptMessages)):
        kept.bring_in()


@operation(
    "sts",
    "DecodeAuthorizationMessage",
    checks=action("sts:DecodeAuthorizationMessage"),
    prepare=_bring_in,
    read_only=True,
)
def decode_authorization_message(context: Context, request: Request) -> Response:
    """Of the caller's own account only: another's message is like one that was never made.

    Beyond AWS: the id of a request, or of a record of the trail, stands for the message of its denial.
    """
    text = str(request["EncodedMessage"])
    if _ID.fullmatch(text) and (kept := context.ports.get(KeptMessages)):
        text = kept.message(context.session, context.account_id, text) or ""
    try:
        decoded = authorization_message.decode(context.port(Sealer), context.account_id, text)
    except BadSeal:
        raise ClientError("InvalidAuthorizationMessageException", "Message is not valid.") from None
    return {"DecodedMessage": decoded}
