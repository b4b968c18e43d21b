"""Bucket policies: what S3 takes for one, and when it calls one public.

Sources: "Bucket policies for Amazon S3", "Policies and permissions in Amazon S3" and "The meaning of
public" (S3 user guide); the texts are those that S3 answers with.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Protocol

from sqlalchemy.orm import Session

from emr_studio.aws.errors import ClientError
from emr_studio.iam.policy import Document, MalformedPolicy, PolicyKind, validate
from emr_studio.iam.policy.grammar import Condition, Statement
from emr_studio.storage.s3_actions import BUCKET_ACTIONS, OBJECT_ACTIONS

LONGEST_POLICY = 20 * 1024
"""Bytes."""
_ACTION = re.compile(r"s3:[A-Za-z*?]+", re.IGNORECASE)
# "The meaning of public": a policy that binds one of these to fixed values is not public.
_NARROWING = frozenset(
    {
        "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount",
        "aws:sourcearn", "aws:sourceip", "aws:sourceowner", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourcevpc",
        "aws:sourcevpce", "aws:userid", "s3:dataaccesspointarn", "s3:dataaccesspointaccount",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)  # fmt: skip
_NARROWING_OPERATORS = frozenset(
    {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"}
)
# "aws:SourceIp … a very broad range is public": S3 draws the line at /8 for IPv4 and /32 for IPv6.
_BROADEST = {4: 8, 6: 32}


class Principals(Protocol):
    """What principals in a policy stand for; implemented by `emr_studio.iam`."""

    def to_keep(self, session: Session, text: str) -> str:
        """The policy with the unique ids of users and roles.

        Raises:
            AwsError: one of them does not exist.
        """
        ...

    def to_show(self, session: Session, text: str) -> str:
        """The kept policy with ARNs again."""
        ...


def read_bucket_policy(text: str, bucket: str, partition: str) -> Document:
    """Read a policy that is to be put on `bucket`.

    Raises:
        ClientError: MalformedPolicy.
    """
    if not text.lstrip().startswith("{"):
        raise malformed("Policies must be valid JSON and the first byte must be '{'")
    value = _load(text)
    if len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) > LONGEST_POLICY:
        raise malformed(f"Normalized policy document exceeds the maximum allowed size of {LONGEST_POLICY} bytes.")
    _check_members(value)
    try:
        document = validate(text, PolicyKind.RESOURCE, any_sid=True)
    except MalformedPolicy as error:
        raise malformed(_in_s3s_words(str(error))) from None
    for statement in document.statements:
        _check_statement(statement, f"arn:{partition}:s3:::{bucket}")
    return document


def malformed(message: str) -> ClientError:
    """S3's MalformedPolicy."""
    return ClientError("MalformedPolicy", message, 400)


def is_public(document: Document) -> bool:
    """True if the policy gives anything to everybody."""
    return any(statement.allow and _is_open(statement) for statement in document.statements)


def _load(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise malformed("Policies must be valid JSON and the first byte must be '{'") from None
    return value


def _check_members(value: Any) -> None:
    """What S3 misses first, by name."""
    if value.get("Version") not in {"2012-10-17", "2008-10-17"}:
        raise malformed("The policy must contain a valid version string")
    statements = value.get("Statement")
    if not statements:
        raise malformed("Missing required field Statement")
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, dict):
            raise malformed("This policy contains invalid Json")
        for name in ("Effect", "Principal", "Action", "Resource"):
            if name not in statement and f"Not{name}" not in statement:
                raise malformed(f"Missing required field {name}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise malformed(f"Invalid effect: {str(statement['Effect'])[:64]}")


def _in_s3s_words(message: str) -> str:
    if "principal" in message.lower():
        return "Invalid principal in policy"
    if "Resource" in message or "Partition" in message or "resource" in message:
        return "Policy has invalid resource"
    if message.startswith("Action") or "Vendor" in message:
        return "Policy has invalid action"
    return "This policy contains invalid Json" if message.startswith("Syntax") else message


def _check_statement(statement: Statement, arn: str) -> None:
    if any(kind == "CanonicalUser" for kind, _ in statement.principals or ()):
        raise malformed("Invalid principal in policy")
    for action in statement.actions:
        if action != "*" and not _ACTION.fullmatch(action):
            raise malformed("Policy has invalid action")
    for resource in statement.resources or ():
        _check_resource(resource, arn)
    if not statement.not_actions and not statement.not_resources:
        for action in statement.actions:
            _check_level(action.lower().removeprefix("s3:"), statement.resources or (), arn)


def _check_resource(resource: str, arn: str) -> None:
    rest = resource.removeprefix(arn)
    if rest == resource or (rest and rest[0] not in "/*?"):
        raise malformed("Policy has invalid resource")


def _check_level(action: str, resources: tuple[str, ...], arn: str) -> None:
    """An action on objects needs a resource that can be an object, one on the bucket the bucket itself."""
    if not resources:
        return
    objects = any("/" in (rest := resource.removeprefix(arn)) or "*" in rest for resource in resources)
    bucket = any("/" not in resource.removeprefix(arn) for resource in resources)
    if (action in OBJECT_ACTIONS and not objects) or (action in BUCKET_ACTIONS and not bucket):
        raise malformed("Action does not apply to any resource(s) in statement")


def _is_open(statement: Statement) -> bool:
    if statement.not_principals or ("AWS", "*") not in (statement.principals or ()):
        return False
    return not any(_narrows(condition) for condition in statement.conditions)


def _narrows(condition: Condition) -> bool:
    operator = condition.operator
    if condition.key not in _NARROWING or operator.base not in _NARROWING_OPERATORS or operator.negated:
        return False
    # `…IfExists` and `ForAllValues:` let those in whose request lacks the key.
    if operator.if_exists or operator.quantifier == "all":
        return False
    if condition.key == "aws:sourceip":
        return all(_is_narrow_network(value) for value in condition.values)
    return not any("*" in value or "?" in value or "${" in value for value in condition.values)


def _is_narrow_network(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _BROADEST[network.version]
