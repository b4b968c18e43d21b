"""The two roles of a cluster: the service's, and that of the instance profile its nodes carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check
from emr_studio.aws.errors import AwsError, ValidationError
from emr_studio.clusters.model import Cluster, workload_owner
from emr_studio.iam.entities import get_instance_profile
from emr_studio.iam.model import Role
from emr_studio.iam.services import grant_role, pass_role_check, resolve_role
from emr_studio.settings import Settings

_EMR = "elasticmapreduce.amazonaws.com"
# The 25 characters of a Workspace's id.
_WORKSPACE = "e-" + "?" * 25
_EC2 = "ec2.amazonaws.com"


def node_session_policy(partition: str) -> str:
    """The session policy of all code on a cluster: what the role may, but no Workspace's files.

    What Studios keep (`<DefaultS3Location>/<Workspace id>/…`, at any depth of any bucket) is for the
    Studios' service roles, however much the instance profile's role may do.
    """
    within = [f"{_WORKSPACE}*", f"*/{_WORKSPACE}*"]
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": f"arn:{partition}:s3:::*/{_WORKSPACE}/*"},
        {
            "Effect": "Deny",
            "Action": ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"],
            "Resource": "*",
            "Condition": {"StringLike": {"s3:prefix": within}},
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def grant_nodes(session: Session, settings: Settings, cluster: Cluster, ec2_id: str) -> None:
    """Let the nodes of a cluster fetch credentials of its role.

    Raises:
        RoleNotFound: if the role is gone.
    """
    cluster.role_token = grant_role(
        session,
        account_id=cluster.account_id,
        role_arn=cluster.role_arn,
        # EC2's name of the session of an instance profile's role is the instance.
        session_name=ec2_id,
        owner=workload_owner(cluster.id),
        session_policy=node_session_policy(settings.partition),
        token=cluster.role_token,
    )


@dataclass(frozen=True)
class ClusterRoles:
    """ARNs of roles that are there."""

    service_role_arn: str
    instance_role_arn: str

    def checks(self) -> tuple[Check, Check]:
        """Both are passed, so the caller must be allowed to."""
        return (pass_role_check(self.service_role_arn, _EMR), pass_role_check(self.instance_role_arn, _EC2))


def resolve_roles(session: Session, account_id: str, request: Mapping[str, Any]) -> ClusterRoles:
    """Find the roles that a RunJobFlow request names.

    Raises:
        ValidationError: for one that is missing or not there.
    """
    if not request.get("ServiceRole"):
        raise ValidationError("ServiceRole is required for creating cluster.")
    if not request.get("JobFlowRole"):
        raise ValidationError("InstanceProfile is required for creating cluster.")
    try:
        service_role = resolve_role(session, account_id, request["ServiceRole"])
    except AwsError as error:
        raise ValidationError(f"Invalid ServiceRole: {request['ServiceRole']}.") from error
    instance_role = _role_of_profile(session, account_id, request["JobFlowRole"])
    if instance_role is None:
        raise ValidationError(f"Invalid InstanceProfile: {request['JobFlowRole']}.")
    return ClusterRoles(service_role.arn, instance_role.arn)


def _role_of_profile(session: Session, account_id: str, name_or_arn: str) -> Role | None:
    try:
        profile = get_instance_profile(session, account_id, name_or_arn.rsplit("/", 1)[-1])
    except AwsError:
        return None
    if name_or_arn.startswith("arn:") and profile.arn != name_or_arn:
        return None
    return session.get(Role, profile.role_id) if profile.role_id else None
