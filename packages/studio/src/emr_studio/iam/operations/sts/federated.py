"""What AssumeRoleWithSAML and AssumeRoleWithWebIdentity share: a stranger with a proof becomes a session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emr_studio.aws.context import Context, ContextValue
from emr_studio.aws.errors import AccessDenied, ClientError
from emr_studio.aws.registry import Request
from emr_studio.iam import entities
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide_by_trust
from emr_studio.iam.model import Role
from emr_studio.iam.operations import common
from emr_studio.iam.operations.sts import parts
from emr_studio.iam.operations.sts.assume_role import ROLE_ARN
from emr_studio.iam.policy import Principal
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.sessions import SessionOptions, issue_role_session

_MOST_CLAIMS = 8192
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@dataclass(frozen=True)
class Stranger:
    """Somebody whose provider vouches for her.

    `keys` are condition keys of trust policy and session alike (`saml:sub`), `longest` the seconds that
    her own session at the provider still has.
    """

    principal: Principal
    provider: str
    session_name: str
    keys: Mapping[str, ContextValue]
    tags: dict[str, str] = field(default_factory=dict)
    transitive: list[str] = field(default_factory=list)
    source_identity: str | None = None
    longest: int | None = None


def invalid_token(message: str) -> ClientError:
    """STS's `InvalidIdentityToken`."""
    return ClientError("InvalidIdentityToken", message)


def expired_token(message: str) -> ClientError:
    """STS's `ExpiredTokenException`."""
    return ClientError("ExpiredTokenException", message)


def rejected_claim(message: str) -> ClientError:
    """STS's `IDPRejectedClaim`."""
    return ClientError("IDPRejectedClaim", message, 403)


def checked_role_arn(request: Request) -> str:
    """Raises ValidationError for what is no ARN of a role."""
    arn = str(request["RoleArn"])
    if not ROLE_ARN.fullmatch(arn):
        raise common.validation_error(f"{arn} is invalid")
    return arn


def not_authorized(action: str) -> AccessDenied:
    """All that a stranger learns, whether the role is there or not."""
    return AccessDenied(f"Not authorized to perform {action}")


def become(context: Context, request: Request, action: str, stranger: Stranger) -> dict[str, Any]:
    """Ask the trust policy and make the session; returns the answer's common members."""
    arn = checked_role_arn(request)
    role = entities.find_role_by_arn(context.session, arn)
    if role is None:
        raise not_authorized(action)
    _ask(context, action, role, stranger, int(request.get("DurationSeconds") or parts.HOUR))
    _refuse_large_claims(stranger.keys)
    parts.checked_transitive(stranger.transitive, stranger.tags)
    policies = parts.session_policies(context, request, role.account_id)
    parts.refuse_large(policies, stranger.tags)
    options = SessionOptions(
        policies=policies,
        tags=stranger.tags,
        transitive=stranger.transitive,
        source_identity=stranger.source_identity,
        keys={**stranger.keys, "aws:FederatedProvider": stranger.provider},
    )
    made = issue_role_session(
        context.port(Sealer),
        role,
        stranger.session_name,
        now=context.now(),
        seconds=_duration(request, role, stranger),
        options=options,
    )
    return parts.assumed(made, options)


def _refuse_large_claims(keys: Mapping[str, ContextValue]) -> None:
    """The session's token carries them, and headers have an end."""
    size = sum(len(key) + len("".join(value)) for key, value in keys.items())
    if size > _MOST_CLAIMS:
        raise invalid_token("The claims of the identity provider are too large for a session.")


def _duration(request: Request, role: Role, stranger: Stranger) -> int:
    seconds = int(request.get("DurationSeconds") or parts.HOUR)
    parts.refuse_too_long(seconds, role.max_session_duration)
    return seconds if stranger.longest is None else min(seconds, stranger.longest)


def _ask(context: Context, action: str, role: Role, stranger: Stranger, seconds: int) -> None:
    keys: dict[str, ContextValue] = {
        **stranger.keys,
        **parts.tag_context(stranger.tags, stranger.transitive),
        **common.resource_tag_context(role.tags),
        "aws:FederatedProvider": stranger.provider,
        "sts:RoleSessionName": stranger.session_name,
        "sts:DurationSeconds": str(seconds),
    }
    actions = [action]
    if stranger.tags:
        actions.append("sts:TagSession")
    if stranger.source_identity:
        keys["sts:SourceIdentity"] = stranger.source_identity
        actions.append("sts:SetSourceIdentity")
    circumstances = Circumstances(context.now(), context.region, context.request)
    for asked in actions:
        if not decide_by_trust(
            context.session, stranger.principal, asked, role.arn, keys, circumstances=circumstances
        ).allowed:
            raise not_authorized(asked)
