"""GetSessionToken and GetFederationToken: temporary credentials of a user, or for somebody in her name."""

from __future__ import annotations

from collections.abc import Iterable

from emr_studio.aws.context import Caller, Check, Context
from emr_studio.aws.errors import AccessDenied
from emr_studio.aws.registry import Request, Response, no_check, operation
from emr_studio.iam.operations.sts import parts
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.sessions import SessionOptions, federated_arn, issue_federated_session, issue_own_session


def _refuse_sessions(caller: Caller, operation_name: str) -> None:
    """Only keys that last may ask; the console's sessions are sessions too."""
    if caller.kind not in ("user", "root") or caller.token_issued_at is not None or caller.console:
        raise AccessDenied(f"Cannot call {operation_name} with session credentials")


def _duration(request: Request, caller: Caller) -> int:
    """Sessions of root end after an hour, whatever was asked."""
    seconds = int(request.get("DurationSeconds") or parts.HALF_DAY)
    return min(seconds, parts.HOUR) if caller.kind == "root" else seconds


@operation("sts", "GetSessionToken", checks=no_check, prepare=parts.shown_code)
def get_session_token(context: Context, request: Request) -> Response:
    caller = context.caller
    _refuse_sessions(caller, "GetSessionToken")
    made = issue_own_session(
        context.port(Sealer),
        caller,
        now=context.now(),
        seconds=_duration(request, caller),
        with_mfa=context.prepared is not None,
    )
    return {"Credentials": parts.credentials(made)}


def _federation_checks(context: Context, request: Request) -> Iterable[Check]:
    _refuse_sessions(context.caller, "GetFederationToken")
    arn = federated_arn(context.caller, str(request["Name"]))
    keys = parts.tag_context({str(tag["Key"]): str(tag.get("Value", "")) for tag in request.get("Tags") or ()}, ())
    yield Check("sts:GetFederationToken", arn, keys)
    if request.get("Tags"):
        yield Check("sts:TagSession", arn, keys)


@operation("sts", "GetFederationToken", checks=_federation_checks)
def get_federation_token(context: Context, request: Request) -> Response:
    caller = context.caller
    tags = parts.session_tags(request)
    policies = parts.session_policies(context, request, caller.account_id)
    parts.refuse_large(policies, tags)
    made = issue_federated_session(
        context.port(Sealer),
        caller,
        str(request["Name"]),
        now=context.now(),
        seconds=_duration(request, caller),
        options=SessionOptions(policies=policies, tags=tags),
    )
    user = {"FederatedUserId": made.caller.user_id, "Arn": made.caller.arn}
    return {"Credentials": parts.credentials(made), "FederatedUser": user, **parts.packed(policies, tags)}
