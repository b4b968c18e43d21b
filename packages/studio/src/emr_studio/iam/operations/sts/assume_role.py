"""AssumeRole (spec: IAM evaluation, section 12)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from emr_studio.aws.context import Caller, Check, Context, ContextValue
from emr_studio.aws.errors import AccessDenied
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities
from emr_studio.iam.model import Role
from emr_studio.iam.operations import common
from emr_studio.iam.operations.sts import parts
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.sessions import SessionOptions, issue_role_session, merge_tags

ROLE_ARN = re.compile(r"arn:[a-z\-]+:iam::\d{12}:role/[\x21-\x7e]+")


def _checks(context: Context, request: Request) -> Iterable[Check]:
    arn = str(request["RoleArn"])
    if not ROLE_ARN.fullmatch(arn):
        raise common.validation_error(f"{arn} is invalid")
    if context.caller.kind == "root":
        raise AccessDenied("Roles may not be assumed by root accounts.")
    role = entities.find_role_by_arn(context.session, arn)
    inherited = _inherited_tags(context.caller)
    keys = _keys(context, request, role, inherited)
    yield Check("sts:AssumeRole", arn, keys)
    # Tags and identity that come down a chain are set anew on each role of it.
    if request.get("Tags") or inherited:
        yield Check("sts:TagSession", arn, keys)
    if request.get("SourceIdentity") or context.caller.source_identity:
        yield Check("sts:SetSourceIdentity", arn, keys)


def _keys(context: Context, request: Request, role: Role | None, inherited: dict[str, str]) -> dict[str, ContextValue]:
    keys: dict[str, ContextValue] = {
        "sts:RoleSessionName": str(request["RoleSessionName"]),
        "sts:DurationSeconds": str(request.get("DurationSeconds") or parts.HOUR),
    }
    keys |= {f"aws:RequestTag/{key}": value for key, value in inherited.items()}
    keys |= parts.tag_context(
        {str(tag["Key"]): str(tag.get("Value", "")) for tag in request.get("Tags") or ()},
        [str(key) for key in request.get("TransitiveTagKeys") or ()],
    )
    if role is not None:
        keys |= common.resource_tag_context(merge_tags(role.tags, inherited))
    if request.get("ExternalId"):
        keys["sts:ExternalId"] = str(request["ExternalId"])
    if source_identity := request.get("SourceIdentity") or context.caller.source_identity:
        keys["sts:SourceIdentity"] = str(source_identity)
    return keys | parts.code_context(context.prepared)


def _duration(request: Request, caller: Caller, role: Role) -> int:
    seconds = int(request.get("DurationSeconds") or parts.HOUR)
    parts.refuse_too_long(seconds, role.max_session_duration)
    if caller.kind == "role-session" and seconds > parts.HOUR:
        raise common.validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    return seconds


def _options(context: Context, request: Request, role: Role) -> SessionOptions:
    if request.get("ProvidedContexts"):  # said, not passed over: policies may count on what they would bring
        raise common.validation_error("ProvidedContexts cannot be used: there is no trusted context provider.")
    tags = parts.session_tags(request)
    transitive = parts.checked_transitive([str(key) for key in request.get("TransitiveTagKeys") or ()], tags)
    inherited = _inherited_tags(context.caller)
    if {key.lower() for key in inherited} & {key.lower() for key in tags}:
        raise parts.invalid_value(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session."
        )
    policies = parts.session_policies(context, request, role.account_id)
    parts.refuse_large(policies, tags | inherited)
    return SessionOptions(
        policies=policies,
        tags=tags | inherited,
        transitive=[*transitive, *inherited],
        source_identity=_source_identity(context.caller, request, role),
    )


def _source_identity(caller: Caller, request: Request, role: Role) -> str | None:
    """Once set it stays, down the whole chain."""
    given = request.get("SourceIdentity")
    if caller.source_identity and given and given != caller.source_identity:
        raise AccessDenied(
            f"User: {caller.arn} is not authorized to perform: sts:SetSourceIdentity on resource: {role.arn}"
        )
    return str(given) if given else caller.source_identity


def _inherited_tags(caller: Caller) -> dict[str, str]:
    """Transitive tags of the calling session: they pass down the chain and cannot be overridden there."""
    keys = {key.lower() for key in caller.transitive_tags}
    return {key: value for key, value in caller.tags.items() if key.lower() in keys}


@operation("sts", "AssumeRole", checks=_checks, read_only=True, prepare=parts.shown_code)
def assume_role(context: Context, request: Request) -> Response:
    arn = str(request["RoleArn"])
    role = entities.find_role_by_arn(context.session, arn)
    if role is None:
        # The checks denied a role that is not there; it went away since.
        raise AccessDenied(
            f"User: {context.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        )
    seconds = _duration(request, context.caller, role)
    options = _options(context, request, role)
    name = str(request["RoleSessionName"])
    made = issue_role_session(context.port(Sealer), role, name, now=context.now(), seconds=seconds, options=options)
    return parts.assumed(made, options)
