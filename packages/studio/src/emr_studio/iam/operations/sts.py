"""STS: AssumeRole, GetSessionToken, GetCallerIdentity."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from emr_studio.aws.context import Caller, Check, Context, ContextValue
from emr_studio.aws.errors import AccessDenied, ClientError
from emr_studio.aws.registry import Request, Response, action, no_check, operation
from emr_studio.iam import entities
from emr_studio.iam.errors import NoSuchEntity
from emr_studio.iam.model import AccessKey, Role
from emr_studio.iam.operations import common
from emr_studio.iam.policy import PolicyKind
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.sessions import SessionOptions, TemporaryCredentials, issue_role_session, issue_user_session

_ROLE_ARN = re.compile(r"arn:[a-z\-]+:iam::\d{12}:role/[\x21-\x7e]+")
_HOUR = 3600
_DAYS_AND_A_HALF = 129_600
_SHORTEST = 900
_HALF_DAY = 43_200
_MOST_POLICY_CHARACTERS = 2048


def _credentials(made: TemporaryCredentials) -> dict[str, Any]:
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": made.session_token,
        "Expiration": made.expiration,
    }


@operation("sts", "GetCallerIdentity", checks=no_check)
def get_caller_identity(context: Context, _request: Request) -> Response:
    caller = context.caller
    return {"UserId": caller.user_id, "Account": caller.account_id, "Arn": caller.arn}


@operation("sts", "GetAccessKeyInfo", checks=action("sts:GetAccessKeyInfo"))
def get_access_key_info(context: Context, request: Request) -> Response:
    key = context.session.get(AccessKey, str(request["AccessKeyId"]))
    if key is None:
        raise common.validation_error(f"Invalid access key id {request['AccessKeyId']}")
    return {"Account": key.account_id}


# AssumeRole


def _assume_checks(context: Context, request: Request) -> Iterable[Check]:
    arn = str(request["RoleArn"])
    if not _ROLE_ARN.fullmatch(arn):
        raise common.validation_error(f"{arn} is invalid")
    if context.caller.kind == "root":
        raise AccessDenied("Roles may not be assumed by root accounts.")
    role = entities.find_role_by_arn(context.session, arn)
    keys = _assume_context(context, request, role)
    yield Check("sts:AssumeRole", arn, keys)
    if request.get("Tags"):
        yield Check("sts:TagSession", arn, keys)
    if request.get("SourceIdentity"):
        yield Check("sts:SetSourceIdentity", arn, keys)


def _assume_context(context: Context, request: Request, role: Role | None) -> dict[str, ContextValue]:
    keys: dict[str, ContextValue] = {"sts:RoleSessionName": str(request["RoleSessionName"])}
    keys |= {f"aws:RequestTag/{key}": value for key, value in _inherited_tags(context.caller).items()}
    keys |= common.request_tag_context(request)
    if role is not None:
        keys |= common.resource_tag_context(role.tags)
    if request.get("ExternalId"):
        keys["sts:ExternalId"] = str(request["ExternalId"])
    if request.get("SourceIdentity"):
        keys["sts:SourceIdentity"] = str(request["SourceIdentity"])
    if request.get("TransitiveTagKeys"):
        keys["sts:TransitiveTagKeys"] = [str(key) for key in request["TransitiveTagKeys"]]
    return keys


def _duration(request: Request, caller: Caller, role: Role) -> int:
    seconds = int(request.get("DurationSeconds") or _HOUR)
    if seconds > role.max_session_duration:
        raise common.validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if caller.kind == "role-session" and seconds > _HOUR:
        raise common.validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    return seconds


def _session_policies(context: Context, request: Request) -> tuple[str, ...]:
    texts = [str(request["Policy"])] if request.get("Policy") else []
    for text in texts:
        common.checked_policy(text, PolicyKind.SESSION, newest=False)
    for given in request.get("PolicyArns") or ():
        arn = common.valid_arn(str(given.get("arn")))
        managed = entities.policy_text(context.session, context.account_id, arn)
        if managed is None:
            raise common.validation_error(f"The policy {arn} cannot be found.")
        texts.append(managed)
    size = _packed(texts)
    if size > 100:
        raise ClientError(
            "PackedPolicyTooLarge", f"Packed policy consumes {size}% of allotted space, please use smaller policy."
        )
    return tuple(texts)


def _packed(texts: Iterable[str]) -> int:
    """Fill of the space for session policies in per cent; AWS's own measure is not public."""
    size = sum(len(text) for text in texts)
    return -(-size * 100 // _MOST_POLICY_CHARACTERS)


def _session_options(context: Context, request: Request, role: Role) -> SessionOptions:
    tags = _session_tags(request)
    caller = context.caller
    inherited = _inherited_tags(caller)
    transitive = [str(key) for key in request.get("TransitiveTagKeys") or ()]
    if {key.lower() for key in inherited} & {key.lower() for key in tags}:
        raise ClientError(
            "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session.",
        )
    if not {key.lower() for key in transitive} <= {key.lower() for key in tags}:
        raise ClientError(
            "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."
        )
    source_identity = request.get("SourceIdentity") or caller.source_identity
    if caller.source_identity and source_identity != caller.source_identity:
        raise AccessDenied(
            f"User: {caller.arn} is not authorized to perform: sts:SetSourceIdentity on resource: {role.arn}"
        )
    return SessionOptions(
        policies=_session_policies(context, request),
        tags=tags | inherited,
        transitive=[*transitive, *inherited],
        source_identity=str(source_identity) if source_identity else None,
    )


def _inherited_tags(caller: Caller) -> dict[str, str]:
    """Transitive tags of the calling session: they pass down the chain and cannot be overridden there."""
    return {key: caller.tags[key] for key in caller.transitive_tags if key in caller.tags}


def _session_tags(request: Request) -> dict[str, str]:
    given = request.get("Tags") or ()
    tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in given}
    if len({key.lower() for key in tags}) != len(given):
        raise ClientError(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    return common.check_tag_count(tags)


@operation("sts", "AssumeRole", checks=_assume_checks, read_only=True)
def assume_role(context: Context, request: Request) -> Response:
    role = entities.find_role_by_arn(context.session, str(request["RoleArn"]))
    if role is None:
        # The checks denied a role that is not there; it went away since.
        raise NoSuchEntity(f"The role {request['RoleArn']} cannot be found.")
    seconds = _duration(request, context.caller, role)
    options = _session_options(context, request, role)
    made = issue_role_session(
        context.port(Sealer), role, str(request["RoleSessionName"]), now=context.now(), seconds=seconds, options=options
    )
    answer: dict[str, Any] = {
        "Credentials": _credentials(made),
        "AssumedRoleUser": {"Arn": made.caller.arn, "AssumedRoleId": made.caller.user_id},
    }
    if options.policies or options.tags:
        answer["PackedPolicySize"] = _packed([*options.policies, *options.tags, *options.tags.values()])
    if options.source_identity:
        answer["SourceIdentity"] = options.source_identity
    return answer


@operation("sts", "GetSessionToken", checks=no_check)
def get_session_token(context: Context, request: Request) -> Response:
    caller = context.caller
    if caller.kind != "user" or caller.token_issued_at is not None:
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    if request.get("SerialNumber") or request.get("TokenCode"):
        raise AccessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    seconds = int(request.get("DurationSeconds") or _HALF_DAY)
    if not _SHORTEST <= seconds <= _DAYS_AND_A_HALF:
        raise common.validation_error(f"The requested DurationSeconds {seconds} is not valid.")
    user = entities.get_user(context.session, context.account_id, caller.user_name or "")
    made = issue_user_session(context.port(Sealer), user, now=context.now(), seconds=seconds)
    return {"Credentials": _credentials(made)}
