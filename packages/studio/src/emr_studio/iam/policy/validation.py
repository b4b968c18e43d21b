"""The late checks: what AWS makes of a policy when it is saved, beyond the grammar.

Message texts are those recorded from AWS and kept in moto's table (spec: IAM evaluation, section 11).
"""

from __future__ import annotations

import re

from emr_studio.iam.policy import values as read
from emr_studio.iam.policy.errors import LEGACY, SYNTAX, MalformedPolicy
from emr_studio.iam.policy.grammar import CURRENT_VERSION, Document, PolicyKind, Statement, parse

_VENDOR = re.compile(r"[A-Za-z0-9\-.]+")
_SID = re.compile(r"[A-Za-z0-9]*")
_CHARACTERS = re.compile(r"[\t\n\r\x20-\xff]*")
_PARTITIONS = frozenset({"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"})
_IAM_PATHS = (
    *("user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/"),
    *("sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"),
)
_TRUST_ACTIONS = frozenset(
    name.lower()
    for name in (
        *("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"),
        *("sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext"),
    )
)
_TRUST_MESSAGE = (
    "Trust Policy statement actions can only be "
    "sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity"
)


def validate(text: str, kind: PolicyKind, *, newest: bool = False, any_sid: bool = False) -> Document:
    """Read a policy that is to be saved; `newest` refuses the language's old version.

    `any_sid`: policies of resources (S3, KMS) take any text as a statement's id, and one twice.

    Raises:
        MalformedPolicy: with AWS's message.
    """
    if not _CHARACTERS.fullmatch(text):
        raise MalformedPolicy
    document = parse(text, kind)
    if newest and document.version != CURRENT_VERSION:
        raise MalformedPolicy("Policy document must be version 2012-10-17 or greater.")
    if not any_sid:
        _check_sids(document)
    for statement in document.statements:
        _check_statement(statement, kind)
    return document


def size_without_white_space(text: str) -> int:
    """Characters that count for AWS's size quotas."""
    return len("".join(text.split()))


def _check_sids(document: Document) -> None:
    sids = [statement.sid for statement in document.statements if statement.sid]
    if any(not _SID.fullmatch(sid) for sid in sids):
        raise MalformedPolicy(
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*"
        )
    if len(set(sids)) != len(sids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")


def _check_statement(statement: Statement, kind: PolicyKind) -> None:
    for action in statement.actions:
        _check_action(action)
    if kind is PolicyKind.TRUST:
        _check_trust(statement)
    for resource in statement.resources or ():
        _check_resource(resource)
    for condition in statement.conditions:
        _check_condition(condition.operator.base, condition.key, condition.values)


def _check_action(action: str) -> None:
    if action == "*":
        return
    vendor, colon, rest = action.partition(":")
    if not colon:
        raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if ":" in rest:
        raise MalformedPolicy("Actions/Condition can contain only one colon.")
    if not _VENDOR.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor} is not valid")


def _check_trust(statement: Statement) -> None:
    if any(action.lower() not in _TRUST_ACTIONS for action in statement.actions):
        raise MalformedPolicy(_TRUST_MESSAGE)
    for kind, name in statement.principals or ():
        wild = "*" in name or "?" in name
        if wild and not (kind == "AWS" and name == "*"):
            spelled = "AWS" if kind == "AWS" else kind.upper()
            raise MalformedPolicy(f'Invalid principal in policy: "{spelled}":"{name}"')


def _check_condition(base: str, key: str, values: tuple[str, ...]) -> None:
    if ":" not in key:
        raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    readers = {"Numeric": read.number, "Date": read.date, "Null": read.boolean, "IpAddress": read.network}
    for prefix, reader in readers.items():
        if base.startswith(prefix) and any(reader(value) is None for value in values):
            raise MalformedPolicy(LEGACY if prefix == "Date" else SYNTAX)


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    prefix, colon, rest = resource.partition(":")
    if not colon or prefix != "arn":
        raise MalformedPolicy(f'Resource {resource} must be in ARN format or "*".')
    partition, _, rest = rest.partition(":")
    if partition not in _PARTITIONS:
        _refuse_partition(partition, rest)
    vendor, colon, rest = rest.partition(":")
    if not colon and not vendor.endswith("*"):
        raise MalformedPolicy(LEGACY)
    if "*" in vendor or "?" in vendor:
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    _check_parts(resource, vendor, rest)


def _refuse_partition(partition: str, rest: str) -> None:
    parts = [part or "*" for part in (rest.split(":", 3) if rest else [])]
    shown = ":".join((*parts, *"****"[len(parts) :]))
    raise MalformedPolicy(f'Partition "{partition}" is not valid for resource "arn:{partition}:{shown}".')


def _check_parts(resource: str, vendor: str, rest: str) -> None:
    """`rest` is what follows the vendor: region, account, resource (or `*` that covers them)."""
    if rest.endswith("*") and rest.count(":") < 2:
        return
    if rest.count(":") < 2:
        raise MalformedPolicy(LEGACY)
    region, _, name = rest.split(":", 2)
    if vendor == "iam" and region not in ("", "*"):
        raise MalformedPolicy(f"IAM resource {resource} cannot contain region information.")
    if vendor == "s3" and region not in ("", "*"):
        raise MalformedPolicy(f"Resource {resource} can not contain region information.")
    if vendor == "iam" and name not in ("*", "root") and not name.startswith(_IAM_PATHS):
        raise MalformedPolicy(
            'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, '
            "instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, "
            "report/, access-report/."
        )
