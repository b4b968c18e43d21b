"""The Studio's service role: who may hand it over, who may act as it, what it can reach in S3.

Checked at creation (emr-studio.md 1.2, rules 6 and 7): the caller may pass it, Amazon EMR may
assume it for this account, it may read, write, list and delete at the Studio's S3 location, and it may
use the Studio's KMS key, if there is one. Checked when a Workspace is attached (3.8): it may make the network
interface that leads from the Workspace to the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import ClientError, InvalidRequest
from emr_studio.clock import Clock
from emr_studio.iam.entities import get_account
from emr_studio.iam.entities import role_arn as arn_of_name
from emr_studio.iam.errors import RoleNotFound
from emr_studio.iam.services import (
    assume_for_service,
    denied_checks,
    grant_role,
    pass_role_check,
    resolve_role,
    revoke_grants,
)
from emr_studio.keys.finding import FoundKey, find_key, usable
from emr_studio.keys.services import data_check
from emr_studio.network.model import EMR_MANAGED_TAG, SecurityGroup, Subnet
from emr_studio.settings import partition_of
from emr_studio.storage.model import Bucket
from emr_studio.studios.model import Studio, s3_prefix

SERVICE = "elasticmapreduce.amazonaws.com"
SESSION_NAME = "ElasticMapReduceEditorsSession"
"""Role session name of all that the Studio does with its service role (emr-studio.md 3.8)."""
# Where a Workspace's notebook would lie: policies may end in `<prefix>/*` or `<prefix>/e-*`.
_NO_ACCESS = (
    "Service role does not have permission to access the S3 location: "
    "'ServiceRole' does not have permission to access the 'S3 Location' or associated KMS key(s)."
)
# What the service role needs of a key (emr-studio.md 3.8); older policies say `kms:ReEncrypt`.
_KEY_ACTIONS = (
    ("Decrypt",),
    ("GenerateDataKey",),
    ("ReEncryptFrom", "ReEncrypt"),
    ("ReEncryptTo", "ReEncrypt"),
    ("DescribeKey",),
)
_SAMPLE_KEY = "e-0000000000000000000000000/notebook.ipynb"


def pass_role(context: Context, name_or_arn: str) -> Check:
    """The question whether the caller may hand the role to Amazon EMR.

    A role that does not exist is asked about under the ARN that it would have, so that only those
    who could pass it learn that it is missing.
    """
    try:
        arn = resolve_role(context.session, context.account_id, name_or_arn).arn
    except RoleNotFound:
        arn = arn_of_name(get_account(context.session, context.account_id), name_or_arn)
    return pass_role_check(arn, SERVICE)


def usable_role_arn(context: Context, name_or_arn: str, source: str) -> str:
    """Return the ARN of a role that Amazon EMR may assume for `source` (an EMR ARN).

    Raises:
        RoleNotFound: there is no such role in the account.
        AssumeRoleDenied: its trust policy does not let Amazon EMR in.
    """
    role = resolve_role(context.session, context.account_id, name_or_arn)
    assume_for_service(context.session, role.arn, SERVICE, source, SESSION_NAME, clock=context.clock)
    return role.arn


def check_location_access(context: Context, role_arn: str, location: str) -> None:
    """Refuse a location whose bucket is not there, or that the role cannot fully use.

    Raises:
        InvalidRequest: in AWS's words, with what is missing.
    """
    name = s3_prefix(location)[0]
    bucket = context.session.get(Bucket, name)
    if bucket is None:
        raise InvalidRequest(f"{_NO_ACCESS} The bucket {name} does not exist.")
    # Another account's bucket is good where its own policy lets the role in.
    owner = {"aws:ResourceAccount": bucket.account_id, "s3:ResourceAccount": bucket.account_id}
    checks = [
        replace(check, context={**check.context, **owner}, resource_policy=bucket.policy)
        for check in _location_checks(context.region, location)
    ]
    if denied := _denied(context, role_arn, checks):
        raise InvalidRequest(_no_access(role_arn, location, denied))


def check_key_access(context: Context, role_arn: str, key_id: str, location: str) -> str:
    """Refuse a key that is not there, not of this account, not usable, or not for the role; returns its ARN.

    Raises:
        InvalidRequest: in AWS's words, with what is missing.
    """
    try:
        found = find_key(context.session, context.account_id, context.region, key_id)
        usable(found.key)
    except ClientError as error:
        raise InvalidRequest(f"{_NO_ACCESS} {error.message}") from error
    if found.key.account_id != context.account_id:
        raise InvalidRequest(f"{_NO_ACCESS} The key {found.key.arn} is not in this account.")
    missing = [names[0] for names in _KEY_ACTIONS if not _may_use(context, role_arn, found, names, location)]
    if missing:
        actions = ", ".join(f"kms:{name} on {found.key.arn}" for name in missing)
        policies = f"Review the policies of {role_arn} and the policy of the key {found.key.arn}."
        raise InvalidRequest(f"{_NO_ACCESS} {policies} Missing: {actions}.")
    return found.key.arn


def _may_use(context: Context, role_arn: str, found: FoundKey, names: Sequence[str], location: str) -> bool:
    """True if the role may do one of `names` with the key, through S3, for objects of the location's bucket."""
    pairs = {"aws:s3:arn": f"arn:{partition_of(context.region)}:s3:::{s3_prefix(location)[0]}"}
    checks = [data_check(context.session, context.account_id, found, name, service="s3", pairs=pairs) for name in names]
    return len(_denied(context, role_arn, checks)) < len(checks)


def _denied(context: Context, role_arn: str, checks: Sequence[Check]) -> list[Check]:
    return denied_checks(
        context.session, role_arn, checks, clock=context.clock, region=context.region, session_name=SESSION_NAME
    )


def _no_access(role_arn: str, location: str, denied: Sequence[Check]) -> str:
    missing = ", ".join(f"{check.action} on {check.resource}" for check in denied)
    return f"{_NO_ACCESS} Review the policies of {role_arn} and the policies of {location}. Missing: {missing}."


def _location_checks(region: str, location: str) -> list[Check]:
    bucket, prefix = s3_prefix(location)
    arn = f"arn:{partition_of(region)}:s3:::{bucket}"
    key = f"{prefix}/{_SAMPLE_KEY}" if prefix else _SAMPLE_KEY
    listing = Check("s3:ListBucket", arn, {"s3:prefix": key.rpartition("/")[0] + "/"})
    objects = [Check(f"s3:{name}", f"{arn}/{key}") for name in ("PutObject", "GetObject", "DeleteObject")]
    return [*objects, listing, Check("s3:GetEncryptionConfiguration", arn)]


def lacks_interface(session: Session, clock: Clock, studio: Studio, role_arn: str, subnet_id: str) -> str:
    """Why the role cannot make a Workspace's network interface in this subnet; empty if it can.

    AWS's policies for it allow that only for subnets and security groups with EMR's tag, so it is mostly the tag
    that is missing. The words are AWS's.
    """
    checks = _interface_checks(session, studio, subnet_id)
    denied = denied_checks(session, role_arn, checks, clock=clock, region=studio.region, session_name=SESSION_NAME)
    if not denied:
        return ""
    missing = ", ".join(f"{check.action} on {check.resource}" for check in denied)
    return (
        f"Service Role does not have the required permissions: {role_arn} is not authorized to perform {missing}. "
        f"Review its policies, and the tag {EMR_MANAGED_TAG}=true of the Studio's subnets and security groups."
    )


def _interface_checks(session: Session, studio: Studio, subnet_id: str) -> list[Check]:
    action, group_id = "ec2:CreateNetworkInterface", studio.workspace_security_group_id
    prefix = f"arn:{partition_of(studio.region)}:ec2:{studio.region}:{studio.account_id}:"
    made_with: dict[str, ContextValue] = {f"aws:RequestTag/{EMR_MANAGED_TAG}": "true", "aws:TagKeys": [EMR_MANAGED_TAG]}
    return [
        Check(action, f"{prefix}subnet/{subnet_id}", _tags_of(session.get(Subnet, subnet_id))),
        Check(action, f"{prefix}security-group/{group_id}", _tags_of(session.get(SecurityGroup, group_id))),
        Check(action, f"{prefix}network-interface/*", made_with),
    ]


def _tags_of(row: Subnet | SecurityGroup | None) -> dict[str, ContextValue]:
    tags = row.tags if row else {}
    return {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "ec2")}


def grant_service_role(
    session: Session, clock: Clock, *, account_id: str, role_arn: str, source: str, owner: str
) -> str:
    """Let `owner` (a Workspace) fetch sessions of the role; returns the token for that.

    Raises:
        AssumeRoleDenied: its trust policy does not let Amazon EMR act for `source`.
        RoleNotFound: it is gone.
    """
    assume_for_service(session, role_arn, SERVICE, source, SESSION_NAME, clock=clock)
    return grant_role(session, account_id=account_id, role_arn=role_arn, session_name=SESSION_NAME, owner=owner)


def end_grants(session: Session, owner: str) -> None:
    """No session of the role for `owner` any more."""
    revoke_grants(session, owner)
