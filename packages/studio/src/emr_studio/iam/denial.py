"""AWS's words for a denial (spec: IAM evaluation, section 14)."""

from __future__ import annotations

from emr_studio.aws.context import Caller, Check
from emr_studio.iam.policy import EXPLICITLY_DENIED, Decision

_MISSING = {
    "identity": "identity-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
    "resource": "resource-based policy",
    "trust": "role trust policy",
}
_DENYING = {
    "identity": "an identity-based policy",
    "boundary": "a permissions boundary",
    "session": "a session policy",
    "resource": "a resource-based policy",
    "trust": "the role trust policy",
}


_OF_A_ROLE = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")


def message(caller: Caller, check: Check, decision: Decision) -> str:
    """The whole sentence. Answers across accounts give no reason, nor does STS where a role may not even exist."""
    start = f"User: {caller.arn} is not authorized to perform: {check.action} on resource: {check.resource}"
    is_of_role = check.action in _OF_A_ROLE and ":role/" in check.resource
    may_not_exist = is_of_role and decision.outcome != EXPLICITLY_DENIED
    return start if decision.cross_account or may_not_exist else f"{start} {reason(check, decision)}"


def reason(check: Check, decision: Decision) -> str:
    """The kind of policy that denied, or whose Allow is missing; a managed policy by its ARN."""
    if decision.outcome != EXPLICITLY_DENIED:
        return f"because no {_MISSING[decision.layer]} allows the {check.action} action"
    said = f"with an explicit deny in {_DENYING[decision.layer]}"
    policy = decision.by[0].policy if decision.by else ""
    # Only managed policies have an ARN of their own; inline ones are `entity ARN#name`.
    is_managed = ":policy/" in policy and "#" not in policy
    return f"{said}: {policy}" if is_managed else said
