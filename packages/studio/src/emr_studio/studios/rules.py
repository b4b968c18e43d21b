"""What a Studio's members must be (emr-studio.md 1.1, 1.2, 1.5).

botocore's model is loose (lengths only); these are the rules of the service itself and of the
CloudFormation schema. AWS publishes no text for most of them: each message names the member.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emr_studio.aws.errors import InvalidRequest
from emr_studio.network.model import Subnet, find_vpc, get_security_groups, get_subnets
from emr_studio.studios.model import Studio, s3_prefix

MAX_SUBNETS = 5
MAX_STUDIOS = 100
_MAX_URL = 4096
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,256}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+")
_HTTPS = re.compile(r"https://[^\s/?#]+\S*")
_SSO_ONLY = ("TrustedIdentityPropagationEnabled", "IdcUserAssignment", "IdcInstanceArn")
_IAM_ONLY = ("IdpAuthUrl", "IdpRelayStateParameterName")


def check_create(session: Session, account_id: str, region: str, request: Mapping[str, Any]) -> None:
    """Check all members of CreateStudio but the service role's rights.

    Raises:
        InvalidRequest: for the first rule that is broken.
    """
    check_name(request["Name"])
    check_authentication(request)
    check_s3_location(request["DefaultS3Location"])
    check_encryption_key(request.get("EncryptionKeyArn"))
    check_network(session, account_id, region, request)
    count = session.scalar(
        select(func.count()).select_from(Studio).where(Studio.account_id == account_id, Studio.region == region)
    )
    if (count or 0) >= MAX_STUDIOS:
        raise InvalidRequest(f"This account has {count} Studios; the limit is {MAX_STUDIOS}.")


def check_name(name: str) -> None:
    """1 to 256 of letters, digits, `_` and `-`."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest("Name must have 1 to 256 characters, each a letter, a digit, '_' or '-'.")


def check_authentication(request: Mapping[str, Any]) -> None:
    """Which members go with which AuthMode; for SSO, IAM Identity Center must be enabled."""
    if request["AuthMode"] == "IAM":
        _refuse(request, ("UserRole", *_SSO_ONLY), "IAM")
        _check_idp(request)
        return
    if not request.get("UserRole"):
        raise InvalidRequest("UserRole is required when AuthMode is SSO.")
    _refuse(request, _IAM_ONLY, "SSO")
    raise InvalidRequest("IAM Identity Center is not enabled")


def _refuse(request: Mapping[str, Any], members: Sequence[str], mode: str) -> None:
    for member in members:
        # A console that sends `false` for a box that is not ticked asks for nothing.
        if request.get(member) not in (None, False):
            raise InvalidRequest(f"{member} is not allowed when AuthMode is {mode}.")


def _check_idp(request: Mapping[str, Any]) -> None:
    url = request.get("IdpAuthUrl")
    if url is not None and (len(url) > _MAX_URL or not _HTTPS.fullmatch(url)):
        raise InvalidRequest(f"IdpAuthUrl must be an https URL of at most {_MAX_URL} characters.")


def check_s3_location(location: str) -> None:
    """`s3://bucket` with or without a prefix."""
    if not location.startswith("s3://") or not _BUCKET.fullmatch(s3_prefix(location)[0]):
        raise InvalidRequest(f"DefaultS3Location '{location}' must be of the form s3://bucket or s3://bucket/prefix.")


def check_encryption_key(arn: str | None) -> None:
    """The ARN of a KMS key, if there is one."""
    if arn is not None and not _KMS_KEY.fullmatch(arn):
        raise InvalidRequest(f"EncryptionKeyArn '{arn}' is not the ARN of a KMS key.")


def check_network(session: Session, account_id: str, region: str, request: Mapping[str, Any]) -> None:
    """VPC, subnets and both security groups exist and belong together."""
    vpc = find_vpc(session, account_id, request["VpcId"])
    if vpc.region != region:
        raise InvalidRequest(f"VpcId '{vpc.id}' does not exist.")
    check_subnets(session, account_id, vpc.id, request["SubnetIds"])
    for member in ("EngineSecurityGroupId", "WorkspaceSecurityGroupId"):
        (group,) = get_security_groups(session, account_id, [request[member]])
        if group.vpc_id != vpc.id:
            raise InvalidRequest(f"{member} '{group.id}' does not belong to VPC '{vpc.id}'.")


def check_subnets(session: Session, account_id: str, vpc_id: str, subnet_ids: Sequence[str]) -> list[Subnet]:
    """One to five different subnets, all of the VPC; returns them in that order."""
    if not 1 <= len(subnet_ids) <= MAX_SUBNETS:
        raise InvalidRequest(f"SubnetIds must name 1 to {MAX_SUBNETS} subnets; it names {len(subnet_ids)}.")
    if len(set(subnet_ids)) != len(subnet_ids):
        raise InvalidRequest("SubnetIds names a subnet more than once.")
    subnets = get_subnets(session, account_id, subnet_ids)
    for subnet in subnets:
        if subnet.vpc_id != vpc_id:
            raise InvalidRequest(f"Subnet '{subnet.id}' does not belong to VPC '{vpc_id}'.")
    return subnets


def check_more_subnets(session: Session, studio: Studio, subnet_ids: Sequence[str]) -> None:
    """UpdateStudio's list: every present subnet, more or not, in any order."""
    missing = [s for s in studio.subnet_ids if s not in subnet_ids]
    if missing:
        raise InvalidRequest(
            f"You can't remove subnets from a Studio: SubnetIds must also include {', '.join(missing)}."
        )
    check_subnets(session, studio.account_id, studio.vpc_id, subnet_ids)
