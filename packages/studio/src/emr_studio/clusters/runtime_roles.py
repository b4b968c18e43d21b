"""Runtime roles: roles that single steps, sessions and kernels have instead of the cluster's.

A cluster allows them by its security configuration (EnableApplicationScopedIAMRole). As on EMR it is
the instance profile's role that assumes them: its own policies and the runtime role's trust policy must
allow `sts:AssumeRole` ("Runtime roles for Amazon EMR steps", EMR Management Guide). Who may use which
role on a cluster is for policies with the key `elasticmapreduce:ExecutionRoleArn`.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check
from emr_studio.aws.errors import AwsError, InvalidRequest
from emr_studio.clock import Clock
from emr_studio.clusters.catalog.releases import find_release
from emr_studio.clusters.model import Cluster
from emr_studio.clusters.roles import node_session_policy
from emr_studio.clusters.security.documents import is_scoped
from emr_studio.iam.services import denied_checks, grant_role, resolve_role
from emr_studio.settings import Settings


def check_runtime_role(session: Session, clock: Clock, cluster: Cluster, role_arn: str) -> None:
    """Check that work on the cluster can have the role.

    Raises:
        InvalidRequest: the cluster has no runtime roles, or its instance profile may not assume this one.
    """
    if not is_scoped(cluster.security):
        raise InvalidRequest(
            f"Runtime roles are not enabled for the cluster {cluster.id}: its security configuration must set "
            "AuthorizationConfiguration.IAMConfiguration.EnableApplicationScopedIAMRole."
        )
    try:
        found = resolve_role(session, cluster.account_id, role_arn)
    except AwsError as error:
        raise InvalidRequest(f"ExecutionRoleArn: {error.message}") from error
    asked = Check("sts:AssumeRole", found.arn, {"sts:RoleSessionName": cluster.id})
    if denied_checks(session, cluster.role_arn, [asked], clock=clock, region=cluster.region, session_name=cluster.id):
        raise InvalidRequest(
            f"The instance profile's role {cluster.role_arn} is not authorized to perform sts:AssumeRole on "
            f"{role_arn}. Its policies and the trust policy of the runtime role must both allow it."
        )


def check_kernels_role(session: Session, clock: Clock, cluster: Cluster, role_arn: str) -> None:
    """Check that kernels on the cluster can have the role.

    Raises:
        InvalidRequest: see `check_runtime_role`; or the release's Spark has no sessions to put kernels on.
    """
    check_runtime_role(session, clock, cluster, role_arn)
    release = find_release(cluster.release_label)
    if release is None or release.spark.startswith("3."):
        raise InvalidRequest(f"Kernels with a runtime role need a release with Spark 4, not {cluster.release_label}.")


def grant_runtime_role(
    session: Session,
    clock: Clock,
    settings: Settings,
    cluster: Cluster,
    *,
    role_arn: str | None,
    session_name: str,
    owner: str,
) -> str:
    """Return a token that fetches credentials of the role, or of the instance profile's where none is named.

    Raises:
        InvalidRequest: see `check_runtime_role`; things may have changed since the request.
        RoleNotFound: the role is gone.
    """
    if role_arn:
        check_runtime_role(session, clock, cluster, role_arn)
    return grant_role(
        session,
        account_id=cluster.account_id,
        role_arn=role_arn or cluster.role_arn,
        session_name=session_name,
        owner=owner,
        session_policy=node_session_policy(settings.partition),
    )
