"""Policies of the sample world, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.iam.policy.grammar import CURRENT_VERSION

Json = dict[str, Any]
_EMR_TAG = "for-use-with-amazon-emr-managed-policies"

_STUDIO = ("CreateStudioPresignedUrl", "DescribeStudio")
_EMR_BASIC = (
    *("CreateEditor", "DescribeEditor", "ListEditors", "StartEditor", "StopEditor", "DeleteEditor"),
    *("OpenEditorInConsole", "AttachEditor", "DetachEditor", "ListStudios"),
    *("CreateRepository", "DescribeRepository", "DeleteRepository", "ListRepositories"),
    *("LinkRepository", "UnlinkRepository"),
    *("DescribeCluster", "ListInstanceGroups", "ListInstances", "ListBootstrapActions", "ListClusters", "ListSteps"),
    *("CreatePersistentAppUI", "DescribePersistentAppUI", "GetPersistentAppUIPresignedURL"),
    *("GetOnClusterAppUIPresignedURL", "ListReleaseLabels", "DescribeReleaseLabel", "ListSupportedInstanceTypes"),
    *("GetAutoTerminationPolicy", "GetManagedScalingPolicy"),
)
_EMR_CLUSTERS = (
    *("RunJobFlow", "TerminateJobFlows", "AddJobFlowSteps", "CancelSteps", "DescribeStep"),
    *("PutAutoTerminationPolicy", "RemoveAutoTerminationPolicy", "AddTags", "RemoveTags"),
)
_EMR_EXECUTIONS = (
    *("StartNotebookExecution", "DescribeNotebookExecution", "ListNotebookExecutions", "StopNotebookExecution"),
)
_COLLABORATION = ("UpdateEditor", "PutWorkspaceAccess", "DeleteWorkspaceAccess", "ListWorkspaceAccessIdentities")
_NETWORK_OF_SERVICE = (
    *("AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
    *("RevokeSecurityGroupIngress", "CreateNetworkInterface", "CreateNetworkInterfacePermission"),
    *("DeleteNetworkInterface", "DeleteNetworkInterfacePermission", "ModifyNetworkInterfaceAttribute"),
    *("CreateSecurityGroup", "CreateTags", "DescribeInstances", "DescribeNetworkInterfaces"),
    *("DescribeSecurityGroups", "DescribeSubnets", "DescribeTags", "DescribeVpcs"),
)


def allow(
    sid: str, vendor: str, actions: Sequence[str], resource: str | Sequence[str] = "*", condition: Json | None = None
) -> Json:
    """One statement that allows `vendor:action` for each action."""
    made: Json = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"{vendor}:{action}" for action in actions],
        "Resource": resource if isinstance(resource, str) else list(resource),
    }
    return made | ({"Condition": condition} if condition else {})


def document(*statements: Mapping[str, Any]) -> Json:
    """A policy of `statements`."""
    return {"Version": CURRENT_VERSION, "Statement": [dict(statement) for statement in statements]}


def trust_policy(service: str, account_id: str, partition: str) -> Json:
    """Trust a service, EMR only for resources of this account (emr-studio.md section 3.8)."""
    statement: Json = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if service.startswith("elasticmapreduce"):
        source = f"arn:{partition}:elasticmapreduce:*:{account_id}:*"
        statement["Condition"] = {
            "StringEquals": {"aws:SourceAccount": account_id},
            "ArnLike": {"aws:SourceArn": source},
        }
    return document(statement)


def service_role_policy(bucket: str, partition: str) -> Json:
    """What the Studio does with its service role: notebooks in S3, the network, secrets for Git."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return document(
        allow("NotebookFiles", "s3", ("PutObject", "GetObject", "DeleteObject"), f"{arn}/*"),
        allow("NotebookBucket", "s3", ("ListBucket", "GetEncryptionConfiguration", "GetBucketLocation"), arn),
        allow("ClusterState", "elasticmapreduce", ("ListInstances", "DescribeCluster", "ListSteps")),
        allow("Network", "ec2", _NETWORK_OF_SERVICE),
        allow(
            "GitCredentials",
            "secretsmanager",
            ("GetSecretValue",),
            f"arn:{partition}:secretsmanager:*:*:secret:*",
            {"StringEquals": {f"aws:ResourceTag/{_EMR_TAG}": "true"}},
        ),
        allow("Collaboration", "iam", ("GetUser", "GetRole", "ListUsers", "ListRoles")),
    )


def analyst_policy(account_id: str, partition: str, bucket: str, role_arns: Sequence[str]) -> Json:
    """The main job of a Studio's user: sign in, Workspaces, clusters, data (the advanced tier)."""
    emr, s3 = "elasticmapreduce", f"arn:{partition}:s3:::"
    secret = f"arn:{partition}:secretsmanager:*:{account_id}:secret:emr-studio-*"
    own = {"StringEquals": {"elasticmapreduce:ResourceTag/creatorUserId": "${aws:userId}"}}
    return document(
        allow("SignInToStudio", emr, _STUDIO, f"arn:{partition}:elasticmapreduce:*:{account_id}:studio/*"),
        allow("AllowEMRBasicActions", emr, _EMR_BASIC),
        allow("AllowEMRCreateClusterAdvancedActions", emr, _EMR_CLUSTERS),
        allow("NotebookExecutions", emr, _EMR_EXECUTIONS),
        allow("AllowConfigurationForWorkspaceCollaboration", emr, _COLLABORATION, "*", own),
        allow("AllowPassingServiceRoleForWorkspaceCreation", "iam", ("PassRole",), role_arns),
        allow("ListIAMRoles", "iam", ("ListRoles", "ListInstanceProfiles")),
        allow("DescribeNetwork", "ec2", ("DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups")),
        allow("AllowSecretManagerListSecrets", "secretsmanager", ("ListSecrets",)),
        allow(
            "AllowSecretCreationWithEMRTagsAndEMRStudioPrefix",
            "secretsmanager",
            ("CreateSecret",),
            secret,
            {"StringEquals": {f"aws:RequestTag/{_EMR_TAG}": "true"}},
        ),
        allow("AllowAddingTagsOnSecretsWithEMRStudioPrefix", "secretsmanager", ("TagResource",), secret),
        allow("AllowS3ListAndLocationPermissions", "s3", ("ListAllMyBuckets", "GetBucketLocation"), "*"),
        allow("ReadDataAndNotebooks", "s3", ("ListBucket", "GetObject"), (f"{s3}{bucket}", f"{s3}{bucket}/*")),
        allow("AllowS3ReadOnlyAccessToLogs", "s3", ("GetObject",), f"{s3}aws-logs-{account_id}-*/elasticmapreduce/*"),
    )
