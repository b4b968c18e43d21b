"""What the operations of STS share: session policies, session tags, codes of MFA devices, answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emr_studio.aws.context import Context, ContextValue, Preparation
from emr_studio.aws.errors import AccessDenied, ClientError
from emr_studio.aws.registry import Request
from emr_studio.iam import entities, mfa
from emr_studio.iam.operations import common
from emr_studio.iam.policy import PolicyKind
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.sessions import SessionOptions, TemporaryCredentials

HOUR = 3600
HALF_DAY = 43_200
_MOST_POLICY_CHARACTERS = 2048
_MOST_POLICIES = 10
_MOST_PACKED = 4096
"""Characters of policies and tags together; AWS's own measure is of a binary form that is not public."""
_MFA = "MultiFactorAuthentication failed"


def credentials(made: TemporaryCredentials) -> dict[str, Any]:
    """`Credentials` of an answer."""
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": made.session_token,
        "Expiration": made.expiration,
    }


def assumed(made: TemporaryCredentials, options: SessionOptions) -> dict[str, Any]:
    """What all three AssumeRole operations answer."""
    answer: dict[str, Any] = {
        "Credentials": credentials(made),
        "AssumedRoleUser": {"Arn": made.caller.arn, "AssumedRoleId": made.caller.user_id},
        **packed(options.policies, options.tags),
    }
    if options.source_identity:
        answer["SourceIdentity"] = options.source_identity
    return answer


def packed(policies: Sequence[str], tags: Mapping[str, str]) -> dict[str, int]:
    """`PackedPolicySize`, where there is something to pack."""
    return {"PackedPolicySize": _fill(policies, tags)} if policies or tags else {}


def session_policies(context: Context, request: Request, account_id: str) -> tuple[str, ...]:
    """Session policies of a request: the inline text, and ARNs of managed policies of `account_id` or AWS.

    Raises:
        ClientError: MalformedPolicyDocument, ValidationError for a policy that is not there.
    """
    inline = [str(request["Policy"])] if request.get("Policy") else []
    for text in inline:
        common.checked_policy(text, PolicyKind.SESSION, newest=False)
    arns = [str(given.get("arn") or "") for given in request.get("PolicyArns") or ()]
    if len(arns) > _MOST_POLICIES:
        raise common.validation_error(
            f"1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have "
            f"length less than or equal to {_MOST_POLICIES}"
        )
    for arn in arns:
        common.valid_arn(arn)
        if entities.policy_text(context.session, account_id, arn) is None:
            raise common.validation_error(f"The policy {arn} cannot be found.")
    return (*inline, *arns)


def refuse_large(policies: Sequence[str], tags: Mapping[str, str]) -> None:
    """Raises PackedPolicyTooLarge."""
    size = _fill(policies, tags)
    if size > 100:
        raise ClientError(
            "PackedPolicyTooLarge", f"Packed policy consumes {size}% of allotted space, please use smaller policy."
        )


def _fill(policies: Iterable[str], tags: Mapping[str, str]) -> int:
    """Fill of the space in per cent. A managed policy counts by its ARN, as only that is kept."""
    of_policies = sum(len(text) for text in policies)
    of_tags = sum(len(key) + len(value) for key, value in tags.items())
    by_policies = -(-of_policies * 100 // _MOST_POLICY_CHARACTERS)
    together = -(-(of_policies + of_tags) * 100 // _MOST_PACKED)
    return max(together, by_policies if by_policies > 100 else 0)


# Tags


def session_tags(request: Request) -> dict[str, str]:
    """`Tags` of a request.

    Raises:
        ClientError: InvalidParameterValue for keys that occur twice or are AWS's own.
    """
    return checked_tags([(str(tag["Key"]), str(tag.get("Value", ""))) for tag in request.get("Tags") or ()])


def checked_tags(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Session tags as a mapping; raises as `session_tags` does."""
    tags = dict(given)
    if len({key.lower() for key in tags}) != len(given):
        raise invalid_value("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise invalid_value("One or more tag keys use the reserved prefix 'aws:'.")
    if len(tags) > common.MOST_TAGS:
        raise invalid_value(f"The number of tags has reached the maximum limit: {common.MOST_TAGS}.")
    return tags


def checked_transitive(transitive: Sequence[str], tags: Mapping[str, str]) -> list[str]:
    """Keys of `tags` that are to pass down a chain.

    Raises:
        ClientError: InvalidParameterValue for a key without a tag.
    """
    known = {key.lower() for key in tags}
    if any(key.lower() not in known for key in transitive):
        raise invalid_value("The specified transitive tag key must be included in the requested tags.")
    return list(transitive)


def tag_context(tags: Mapping[str, str], transitive: Sequence[str]) -> dict[str, ContextValue]:
    """Condition keys of session tags that are asked for."""
    found: dict[str, ContextValue] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        found["aws:TagKeys"] = list(tags)
    if transitive:
        found["sts:TransitiveTagKeys"] = list(transitive)
    return found


def invalid_value(message: str) -> ClientError:
    """STS's `InvalidParameterValue`."""
    return ClientError("InvalidParameterValue", message)


# Durations


def refuse_too_long(seconds: int, longest: int) -> None:
    """Raises ValidationError for more than the role's longest session."""
    if seconds > longest:
        raise common.validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


# MFA


def shown_code(preparation: Preparation, request: Request) -> dt.datetime | None:
    """The `prepare` of operations that take a code: when it was shown, None if there is none.

    In a transaction of its own: a code is used up, and a wrong one counted, whatever comes after.

    Raises:
        AccessDenied: the code is wrong, used or the device not the caller's.
    """
    serial, code = request.get("SerialNumber"), request.get("TokenCode")
    if serial is None and code is None:
        return None
    if serial is None or code is None:
        raise AccessDenied(f"{_MFA}, must provide both MFA serial number and one time pass code.")
    caller, now = preparation.caller, preparation.clock.now()
    owner = caller.user_id if caller.kind == "user" and caller.token_issued_at is None else None
    with preparation.database.write() as session:
        outcome = mfa.use_code(session, preparation.ports[Sealer], owner, str(serial), str(code), now=now)
    if outcome is mfa.Outcome.NO_DEVICE:
        raise AccessDenied(
            f"{_MFA}, unable to validate MFA code.  Please verify your MFA serial number is valid and associated "
            "with this user."
        )
    if outcome is not mfa.Outcome.RIGHT:
        raise AccessDenied(f"{_MFA} with invalid MFA one time pass code. ")
    return now


def code_context(shown_at: dt.datetime | None) -> dict[str, ContextValue]:
    """Condition keys of a code that came with this very request."""
    if shown_at is None:
        return {}
    return {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "0"}
