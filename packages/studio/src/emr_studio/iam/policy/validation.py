"""The late checks: what AWS makes of a policy when it is saved, beyond the grammar.

Message texts, and which of several faults is told, are those recorded from AWS and kept in moto's table (spec:
IAM evaluation, section 11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from emr_studio.iam.policy import values as read
from emr_studio.iam.policy.errors import LEGACY, MalformedPolicy, Stage, raise_first
from emr_studio.iam.policy.grammar import CURRENT_VERSION, Condition, Document, PolicyKind, Statement
from emr_studio.iam.policy.grammar import read as read_policy

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


_NO_VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
_READERS: dict[str, Callable[[str], object]] = {
    "Numeric": read.number,
    "Date": read.date,
    "Null": read.boolean,
    "IpAddress": read.network,
}
_WITHOUT_REGION = {
    "iam": "IAM resource {} cannot contain region information.",
    "s3": "Resource {} can not contain region information.",
}
_S3_IN_REGIONS = ("accesspoint/", "job/", "storage-lens/", "storage-lens-group/", "async-request/", "access-grants/")


def validate(text: str, kind: PolicyKind, *, newest: bool = False, any_sid: bool = False) -> Document:
    """Read a policy that is to be saved; `newest` refuses the language's old version.

    `any_sid`: policies of resources (S3, KMS) take any text as a statement's id, and one twice.

    Raises:
        MalformedPolicy: with AWS's message.
    """
    if not _CHARACTERS.fullmatch(text):
        raise MalformedPolicy
    document, faults = read_policy(text, kind)
    if newest and document.version != CURRENT_VERSION:
        faults.append(MalformedPolicy("Policy document must be version 2012-10-17 or greater.", Stage.VERSION))
    if not any_sid:
        faults.extend(_sid_faults(document))
    for statement in document.statements:
        faults.extend(_statement_faults(statement, kind))
    raise_first(faults)
    return document


def size_without_white_space(text: str) -> int:
    """Characters that count for AWS's size quotas."""
    return len("".join(text.split()))


Faults = Iterator[MalformedPolicy]


def _sid_faults(document: Document) -> Faults:
    sids = [statement.sid for statement in document.statements if statement.sid]
    if any(not _SID.fullmatch(sid) for sid in sids):
        yield MalformedPolicy(
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*",
            Stage.SID,
        )
    if len(set(sids)) != len(sids):
        yield MalformedPolicy("Statement IDs (SID) in a single policy must be unique.", Stage.SID)


def _statement_faults(statement: Statement, kind: PolicyKind) -> Faults:
    for condition in statement.conditions:
        yield from _condition_faults(condition)
    for resource in statement.resources or ():
        yield from _resource_faults(resource)
    for action in statement.actions:
        yield from _action_faults(action)
    if kind is PolicyKind.TRUST:
        yield from _trust_faults(statement)


def _action_faults(action: str) -> Faults:
    if action in ("*", "*:*"):
        return
    vendor, colon, rest = action.partition(":")
    if not colon:
        yield MalformedPolicy(_NO_VENDOR, Stage.ACTION)
    elif ":" in rest:
        yield MalformedPolicy("Actions/Condition can contain only one colon.", Stage.ACTION)
    elif not _VENDOR.fullmatch(vendor):
        yield MalformedPolicy(f"Vendor {vendor} is not valid", Stage.ACTION)


def _trust_faults(statement: Statement) -> Faults:
    if any(action.lower() not in _TRUST_ACTIONS for action in statement.actions):
        yield MalformedPolicy(_TRUST_MESSAGE, Stage.TRUST)
    for kind, name in statement.principals or ():
        wild = "*" in name or "?" in name
        if wild and not (kind == "AWS" and name == "*"):
            spelled = "AWS" if kind == "AWS" else kind.upper()
            yield MalformedPolicy(f'Invalid principal in policy: "{spelled}":"{name}"', Stage.PRINCIPAL)


def _condition_faults(condition: Condition) -> Faults:
    if ":" not in condition.key:
        yield MalformedPolicy(_NO_VENDOR, Stage.ACTION)
    for prefix, reader in _READERS.items():
        if condition.operator.base.startswith(prefix) and any(reader(value) is None for value in condition.values):
            yield MalformedPolicy(LEGACY, Stage.LEGACY)


def _resource_faults(resource: str) -> Faults:
    """Faults of an entry that is not `*`: its partition, its vendor, its region, its path, in this order."""
    if resource == "*":
        return
    _, colon, rest = resource.partition(":")
    if not colon:
        yield MalformedPolicy(f'Resource {resource} must be in ARN format or "*".', Stage.RESOURCE)
        return
    partition, more, rest = rest.partition(":")
    vendor, colon, rest = rest.partition(":")
    if partition not in _PARTITIONS and partition != "*":
        yield _wrong_partition(partition, resource)
    elif not more or "*" in vendor or "?" in vendor:
        yield MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.", Stage.RESOURCE)
    elif not vendor or not colon:
        yield MalformedPolicy(LEGACY, Stage.LEGACY)
    else:
        yield from _part_faults(resource, vendor, rest)


def _wrong_partition(partition: str, resource: str) -> MalformedPolicy:
    rest = resource.split(":", 2)[2] if resource.count(":") > 1 else ""
    parts = rest.split(":", 3) if rest else []
    shown = ":".join([*parts, *"****"[len(parts) :]])
    message = f'Partition "{partition}" is not valid for resource "arn:{partition}:{shown}".'
    return MalformedPolicy(message, Stage.RESOURCE)


def _part_faults(resource: str, vendor: str, rest: str) -> Faults:
    """`rest` is what follows the vendor: region, account, resource (or `*` that covers them)."""
    short = rest.count(":") < 2
    if short and rest.endswith("*"):
        return
    region, _, name = [*rest.split(":", 2), "", ""][:3]
    if vendor in _WITHOUT_REGION and region not in ("", "*") and not name.startswith(_S3_IN_REGIONS):
        yield MalformedPolicy(_WITHOUT_REGION[vendor].format(resource), Stage.RESOURCE)
    elif short:
        yield MalformedPolicy(LEGACY, Stage.LEGACY)
    elif vendor == "iam" and name not in ("*", "root") and not name.startswith(_IAM_PATHS):
        yield MalformedPolicy(
            f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.', Stage.RESOURCE
        )
