"""The example policies of EMR Studio: user tiers, administrators, roles (spec: EMR Studio, 3.4 to 3.10).

One source for the sample world, the pages in `docs/reference/policies` and the tests. `policies(place)`
gives every document by its name; `TIERS` says which statements a tier has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emr_studio.iam.policy.grammar import CURRENT_VERSION

Json = dict[str, Any]
EMR_TAG = "for-use-with-amazon-emr-managed-policies"
EMR_SERVICE = "elasticmapreduce.amazonaws.com"

_EVERYBODY = (
    *("AllowEMRBasicActions", "AllowEMRContainersBasicActions", "AllowRetrievingManagedEndpointCredentials"),
    *("AllowConfigurationForWorkspaceCollaboration", "AllowPassingServiceRoleForWorkspaceCreation"),
    *("AllowSecretManagerListSecrets", "AllowSecretCreationWithEMRTagsAndEMRStudioPrefix"),
    *("AllowAddingTagsOnSecretsWithEMRStudioPrefix", "DescribeNetwork", "ListIAMRoles"),
)
_BUCKETS = ("AllowS3ListAndLocationPermissions", "AllowS3ReadOnlyAccessToLogs")
_INTERMEDIATE = (
    *("AllowClusterTemplateRelatedIntermediateActions", "AllowServerlessActions"),
    "AllowPassingRuntimeRoleForRunningServerlessJob",
)
TIERS: Mapping[str, Sequence[str]] = {
    "basic": (
        *_EVERYBODY,
        *_BUCKETS,
        "AllowDefaultEC2SecurityGroupsCreationInVPCWithEMRTags",
        "AllowAddingEMRTagsDuringDefaultSecurityGroupCreation",
    ),
    "intermediate": (*_EVERYBODY, *_BUCKETS, *_INTERMEDIATE),
    "advanced": (
        *_EVERYBODY,
        *_BUCKETS,
        *_INTERMEDIATE,
        *("AllowEMRCreateClusterAdvancedActions", "SageMakerDataWranglerForEMRStudio", "AllowCodeWhisperer"),
    ),
    # The rest of the advanced tier: one managed policy cannot hold it all.
    "advanced-athena": ("AllowAthenaSQL", "AllowAthenaQueryResults"),
}

_WORKSPACES = (
    *("CreateEditor", "DescribeEditor", "ListEditors", "StartEditor", "StopEditor", "DeleteEditor"),
    *("OpenEditorInConsole", "AttachEditor", "DetachEditor"),
)
_BASIC = (
    *_WORKSPACES,
    *("CreateRepository", "DescribeRepository", "DeleteRepository", "ListRepositories"),
    *("LinkRepository", "UnlinkRepository"),
    *("DescribeCluster", "ListInstanceGroups", "ListBootstrapActions", "ListClusters", "ListSteps"),
    *("CreatePersistentAppUI", "DescribePersistentAppUI", "GetPersistentAppUIPresignedURL"),
    "GetOnClusterAppUIPresignedURL",
)
_COLLABORATION = ("UpdateEditor", "PutWorkspaceAccess", "DeleteWorkspaceAccess", "ListWorkspaceAccessIdentities")
_EKS_READ = (
    *("DescribeVirtualCluster", "ListVirtualClusters", "DescribeManagedEndpoint", "ListManagedEndpoints"),
    *("DescribeJobRun", "ListJobRuns"),
)
_SERVERLESS = (
    *("CreateApplication", "UpdateApplication", "DeleteApplication", "ListApplications", "GetApplication"),
    *("StartApplication", "StopApplication", "StartJobRun", "CancelJobRun", "ListJobRuns", "GetJobRun"),
    *("GetDashboardForJobRun", "AccessInteractiveEndpoints"),
)
_TEMPLATES = (
    *("DescribeProduct", "DescribeProductView", "DescribeProvisioningParameters", "ProvisionProduct"),
    *("UpdateProvisionedProduct", "ListProvisioningArtifacts", "DescribeRecord", "ListLaunchPaths"),
    "SearchProducts",
)
_ATHENA = {
    "athena": (
        *("StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "GetQueryRuntimeStatistics"),
        *("GetQueryResults", "ListQueryExecutions", "BatchGetQueryExecution", "GetNamedQuery", "ListNamedQueries"),
        *("BatchGetNamedQuery", "UpdateNamedQuery", "DeleteNamedQuery", "CreateNamedQuery", "ListDataCatalogs"),
        *("GetDataCatalog", "ListDatabases", "GetDatabase", "ListTableMetadata", "GetTableMetadata"),
        *("ListWorkGroups", "GetWorkGroup", "GetPreparedStatement"),
    ),
    "glue": (
        *("CreateDatabase", "DeleteDatabase", "GetDatabase", "GetDatabases", "UpdateDatabase", "CreateTable"),
        *("DeleteTable", "BatchDeleteTable", "UpdateTable", "GetTable", "GetTables", "BatchCreatePartition"),
        *("CreatePartition", "DeletePartition", "BatchDeletePartition", "UpdatePartition", "GetPartition"),
        *("GetPartitions", "BatchGetPartition"),
    ),
    "kms": ("ListAliases", "ListKeys", "DescribeKey"),
    "lakeformation": ("GetDataAccess",),
}
_QUERY_RESULTS = (
    *("GetBucketLocation", "GetObject", "ListBucket", "ListBucketMultipartUploads", "ListMultipartUploadParts"),
    *("AbortMultipartUpload", "PutObject", "PutBucketPublicAccessBlock"),
)
_NETWORK_READ = ("DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups")
_STUDIO = ("DescribeStudio", "CreateStudioPresignedUrl")


@dataclass(frozen=True)
class Place:
    """What the documents name: an account, its roles and buckets."""

    account_id: str = "123456789012"
    partition: str = "aws"
    region: str = "*"
    service_role: str = "EMRStudio_ServiceRole"
    cluster_roles: Sequence[str] = ("EMR_DefaultRole_V2", "EMR_EC2_DefaultRole")
    runtime_role: str = "EMRServerlessRuntimeRole"
    execution_role: str = "EMRContainersExecutionRole"
    bucket: str = "emr-studio-123456789012-us-east-1"

    def role(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:role/{name}"

    def emr(self, resource: str, service: str = "elasticmapreduce") -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def allow(
    sid: str, vendor: str, actions: Sequence[str], resource: str | Sequence[str] = "*", condition: Json | None = None
) -> Json:
    """One statement that allows `vendor:action` for each action."""
    return _allow(sid, [f"{vendor}:{action}" for action in actions], resource, condition)


def _allow(
    sid: str, actions: Sequence[str], resource: str | Sequence[str] = "*", condition: Json | None = None
) -> Json:
    made: Json = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resource if isinstance(resource, str) else list(resource),
    }
    return made | ({"Condition": condition} if condition else {})


def document(*statements: Mapping[str, Any]) -> Json:
    """A policy of `statements`."""
    return {"Version": CURRENT_VERSION, "Statement": [dict(statement) for statement in statements]}


def _tagged(kind: str, **more: str) -> Json:
    return {"StringEquals": {f"aws:{kind}/{EMR_TAG}": "true", **{k.replace("_", ":", 1): v for k, v in more.items()}}}


# The tiers of users.


def tier(name: str, place: Place) -> Json:
    """The policy of a tier: `basic`, `intermediate`, `advanced` and its second half `advanced-athena`."""
    known = {statement["Sid"]: statement for statement in _of_users(place)}
    if name == "advanced":
        roles = [place.role(role) for role in (place.service_role, *place.cluster_roles)]
        known["AllowPassingServiceRoleForWorkspaceCreation"]["Resource"] = roles
    return document(*(known[sid] for sid in TIERS[name]))


def _of_users(place: Place) -> list[Json]:
    return [*_network(place), *_emr(place), *_secrets(place), *_clusters(place), *_data(place), *_analysis(place)]


def _network(place: Place) -> list[Json]:
    ec2 = place.emr("", "ec2")
    return [
        allow(
            "AllowDefaultEC2SecurityGroupsCreationInVPCWithEMRTags",
            "ec2",
            ["CreateSecurityGroup"],
            f"{ec2}vpc/*",
            _tagged("ResourceTag"),
        ),
        allow(
            "AllowAddingEMRTagsDuringDefaultSecurityGroupCreation",
            "ec2",
            ["CreateTags"],
            f"{ec2}security-group/*",
            _tagged("RequestTag", ec2_CreateAction="CreateSecurityGroup"),
        ),
        allow("DescribeNetwork", "ec2", _NETWORK_READ),
    ]


def _emr(place: Place) -> list[Json]:
    own = {"StringEquals": {"elasticmapreduce:ResourceTag/creatorUserId": "${aws:userId}"}}
    execution = {"StringEquals": {"emr-containers:ExecutionRoleArn": [place.role(place.execution_role)]}}
    endpoint = place.emr("/virtualclusters/*/endpoints/*", "emr-containers")
    return [
        allow("AllowEMRBasicActions", "elasticmapreduce", _BASIC),
        allow("AllowEMRContainersBasicActions", "emr-containers", _EKS_READ),
        allow(
            "AllowRetrievingManagedEndpointCredentials",
            "emr-containers",
            ["GetManagedEndpointSessionCredentials"],
            endpoint,
            execution,
        ),
        allow("AllowConfigurationForWorkspaceCollaboration", "elasticmapreduce", _COLLABORATION, "*", own),
        allow("AllowServerlessActions", "emr-serverless", _SERVERLESS),
    ]


def _secrets(place: Place) -> list[Json]:
    secret = place.emr("secret:emr-studio-*", "secretsmanager")
    return [
        allow("AllowSecretManagerListSecrets", "secretsmanager", ["ListSecrets"]),
        allow(
            "AllowSecretCreationWithEMRTagsAndEMRStudioPrefix",
            "secretsmanager",
            ["CreateSecret"],
            secret,
            _tagged("RequestTag"),
        ),
        allow("AllowAddingTagsOnSecretsWithEMRStudioPrefix", "secretsmanager", ["TagResource"], secret),
    ]


def _clusters(place: Place) -> list[Json]:
    serverless = {"StringLike": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}
    templates = [*(f"servicecatalog:{name}" for name in _TEMPLATES), "cloudformation:DescribeStackResources"]
    return [
        allow("AllowPassingServiceRoleForWorkspaceCreation", "iam", ["PassRole"], [place.role(place.service_role)]),
        allow(
            "AllowPassingRuntimeRoleForRunningServerlessJob",
            "iam",
            ["PassRole"],
            place.role(place.runtime_role),
            serverless,
        ),
        allow("ListIAMRoles", "iam", ["ListRoles"]),
        _allow("AllowClusterTemplateRelatedIntermediateActions", templates),
        allow("AllowEMRCreateClusterAdvancedActions", "elasticmapreduce", ["RunJobFlow"]),
    ]


def _data(place: Place) -> list[Json]:
    s3 = f"arn:{place.partition}:s3:::"
    listing = ("ListAllMyBuckets", "ListBucket", "GetBucketLocation")
    logs = f"{s3}aws-logs-{place.account_id}-{place.region}/elasticmapreduce/*"
    return [
        allow("AllowS3ListAndLocationPermissions", "s3", listing, f"{s3}*"),
        allow("AllowS3ReadOnlyAccessToLogs", "s3", ["GetObject"], logs),
    ]


def _analysis(place: Place) -> list[Json]:
    results = f"arn:{place.partition}:s3:::aws-athena-query-results-*"
    wrangler = ("CreatePresignedDomainUrl", "DescribeDomain", "ListDomains", "ListUserProfiles")
    return [
        allow("SageMakerDataWranglerForEMRStudio", "sagemaker", wrangler),
        allow("AllowCodeWhisperer", "codewhisperer", ["GenerateRecommendations"]),
        _allow("AllowAthenaSQL", [f"{vendor}:{name}" for vendor, names in _ATHENA.items() for name in names]),
        # AWS's page has every bucket here, which would give users all data of the account.
        allow("AllowAthenaQueryResults", "s3", _QUERY_RESULTS, [results, f"{results}/*"]),
    ]


# Others than the tiers.


def studio_access(place: Place, studio: str = "*") -> Json:
    """What assigns a user to a Studio in IAM mode: beside her tier, which does not have it."""
    return document(
        allow("SeeStudios", "elasticmapreduce", ["ListStudios"]),
        allow("SignInToStudio", "elasticmapreduce", _STUDIO, place.emr(f"studio/{studio}")),
    )


def admin(place: Place) -> Json:
    """Administrators of Studios, Identity Center's part with it (spec: EMR Studio, 3.7)."""
    on_studios = (
        *("CreateStudio", "DescribeStudio", "UpdateStudio", "DeleteStudio", "CreateStudioSessionMapping"),
        *("GetStudioSessionMapping", "UpdateStudioSessionMapping", "DeleteStudioSessionMapping"),
    )
    sso = (
        *("CreateApplication", "DescribeApplication", "DeleteApplication", "PutApplicationAuthenticationMethod"),
        *("DeleteApplicationAuthenticationMethod", "PutApplicationGrant", "DeleteApplicationGrant"),
        *("PutApplicationAccessScope", "DeleteApplicationAccessScope", "PutApplicationAssignmentConfiguration"),
        *("CreateApplicationAssignment", "DeleteApplicationAssignment", "ListApplicationAssignments"),
        *("GetManagedApplicationInstance", "CreateManagedApplicationInstance", "DeleteManagedApplicationInstance"),
        *("GetProfile", "ListProfiles", "AssociateProfile", "DisassociateProfile", "ListDirectoryAssociations"),
        *("ListInstances", "DescribeInstance", "CreateInstance", "DescribeRegisteredRegions"),
        "GetSharedSsoConfiguration",
    )
    directory = ("SearchUsers", "SearchGroups", "DescribeUser", "DescribeGroup")
    roles = [place.role(name) for name in (place.service_role, "EMRStudio_UserRole")]
    return document(
        # The action has no resource: a Studio that is to be made has no ARN yet.
        allow("CreateStudios", "elasticmapreduce", on_studios[:1]),
        allow("ManageStudios", "elasticmapreduce", on_studios[1:], place.emr("studio/*")),
        allow("ListStudios", "elasticmapreduce", ("ListStudios", "ListStudioSessionMappings")),
        allow("PassRolesToStudios", "iam", ["PassRole"], roles, {"StringEquals": {"iam:PassedToService": EMR_SERVICE}}),
        allow("ChooseSessionPolicies", "iam", ("ListPolicies", "ListRoles")),
        allow("ChooseNetwork", "ec2", _NETWORK_READ),
        allow("IdentityCenter", "sso", sso),
        allow("IdentityCenterDirectory", "sso-directory", directory),
        allow("Organization", "organizations", ("DescribeOrganization", "ListDelegatedAdministrators")),
    )


def trust(service: str, place: Place, *actions: str) -> Json:
    """Trust a service; EMR only for resources of this account (spec: EMR Studio, 3.8)."""
    statement: Json = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", *actions] if actions else "sts:AssumeRole",
    }
    if service == EMR_SERVICE:
        statement["Condition"] = {
            "StringEquals": {"aws:SourceAccount": place.account_id},
            "ArnLike": {"aws:SourceArn": place.emr("*")},
        }
    return document(statement)


def service_role(place: Place) -> Json:
    """What a Studio does with its service role: notebooks in S3, the network, secrets for Git."""
    bucket = f"arn:{place.partition}:s3:::{place.bucket}"
    secrets = place.emr("secret:*", "secretsmanager")
    return document(
        allow("AllowEMRReadOnlyActions", "elasticmapreduce", ("ListInstances", "DescribeCluster", "ListSteps")),
        *_service_network(place),
        allow(
            "AllowSecretsManagerReadOnlyActionsWithEMRTags",
            "secretsmanager",
            ["GetSecretValue"],
            secrets,
            _tagged("ResourceTag"),
        ),
        allow("AllowWorkspaceCollaboration", "iam", ("GetUser", "GetRole", "ListUsers", "ListRoles")),
        allow("AllowNotebookFiles", "s3", ("PutObject", "GetObject", "DeleteObject"), f"{bucket}/*"),
        allow("AllowNotebookBucket", "s3", ("ListBucket", "GetEncryptionConfiguration", "GetBucketLocation"), bucket),
    )


def _service_network(place: Place) -> list[Json]:
    ec2 = place.emr("", "ec2")
    groups, interfaces = f"{ec2}security-group/*", f"{ec2}network-interface/*"
    on_groups = (
        *("AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
        *("RevokeSecurityGroupIngress", "DeleteNetworkInterfacePermission"),
    )
    reads = (
        *("DescribeSecurityGroups", "DescribeNetworkInterfaces", "DescribeTags", "DescribeInstances"),
        *("DescribeSubnets", "DescribeVpcs"),
    )
    made_with = {"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}}
    of_interfaces = ("CreateNetworkInterfacePermission", "DeleteNetworkInterface")
    return [
        allow("AllowEC2ENIActionsWithEMRTags", "ec2", of_interfaces, interfaces, _tagged("ResourceTag")),
        allow(
            "AllowEC2ENIAttributeAction",
            "ec2",
            ["ModifyNetworkInterfaceAttribute"],
            [f"{ec2}instance/*", interfaces, groups],
        ),
        allow("AllowEC2SecurityGroupActionsWithEMRTags", "ec2", on_groups, "*", _tagged("ResourceTag")),
        allow(
            "AllowDefaultEC2SecurityGroupsCreationWithEMRTags",
            "ec2",
            ["CreateSecurityGroup"],
            groups,
            _tagged("RequestTag"),
        ),
        *_network(place)[:2],
        allow("AllowEC2ENICreationWithEMRTags", "ec2", ["CreateNetworkInterface"], interfaces, _tagged("RequestTag")),
        allow(
            "AllowEC2ENICreationInSubnetAndSecurityGroupWithEMRTags",
            "ec2",
            ["CreateNetworkInterface"],
            [f"{ec2}subnet/*", groups],
            _tagged("ResourceTag"),
        ),
        allow("AllowAddingTagsDuringEC2ENICreation", "ec2", ["CreateTags"], interfaces, made_with),
        allow("AllowEC2ReadOnlyActions", "ec2", reads),
    ]


def runtime_role_forms(place: Place) -> dict[str, Json]:
    """The three forms of the right to attach with a runtime role (spec: EMR Studio, 3.10)."""
    action, key = ["GetClusterSessionCredentials"], "elasticmapreduce:ExecutionRoleArn"
    named = {"StringEquals": {key: [place.role("runtime-red"), place.role("runtime-blue")]}}
    by_tag = {
        "StringEquals": {"elasticmapreduce:ResourceTag/team": "red"},
        "StringLike": {key: place.role("runtime-*")},
    }
    cluster = place.emr("cluster/j-EXAMPLE12345A")
    return {
        "runtime-role-any-cluster": document(allow("AttachWithRoles", "elasticmapreduce", action, "*", named)),
        "runtime-role-one-cluster": document(allow("AttachWithRoles", "elasticmapreduce", action, cluster, named)),
        "runtime-role-by-tag": document(allow("AttachWithRoles", "elasticmapreduce", action, "*", by_tag)),
    }


def serverless_minimum(place: Place) -> Json:
    """The least for users of EMR Serverless alone, who make their Studio themselves (3.4)."""
    studios = ("CreateStudio", "UpdateStudio", "DescribeStudio", "DeleteStudio", "ListStudios")
    known = {statement["Sid"]: statement for statement in _of_users(place)}
    s3 = ("ListAllMyBuckets", "ListBucket", "GetBucketLocation", "GetObject")
    return document(
        allow("AllowWorkspaces", "elasticmapreduce", _WORKSPACES),
        allow("AllowStudios", "elasticmapreduce", (*studios, "CreateStudioPresignedUrl")),
        allow("AllowS3", "s3", s3, f"arn:{place.partition}:s3:::*"),
        *(
            known[sid]
            for sid in (
                *("AllowServerlessActions", "AllowPassingServiceRoleForWorkspaceCreation"),
                *("AllowPassingRuntimeRoleForRunningServerlessJob", "DescribeNetwork", "ListIAMRoles"),
            )
        ),
    )


def migrated_minimum(_place: Place) -> Json:
    """The least for a user of EMR Notebooks who moves to Studio (3.4)."""
    return document(allow("SignInToStudio", "elasticmapreduce", ("ListStudios", "CreateStudioPresignedUrl")))


def migrated(place: Place) -> Json:
    """All that a user of EMR Notebooks who moves to Studio needs beside what she has (3.4)."""
    known = {statement["Sid"]: statement for statement in _of_users(place)}
    return document(
        allow("SignInToStudio", "elasticmapreduce", ("ListStudios", "DescribeStudio", "CreateStudioPresignedUrl")),
        known["AllowConfigurationForWorkspaceCollaboration"],
        known["AllowEMRContainersBasicActions"],
        known["AllowClusterTemplateRelatedIntermediateActions"],
        allow("FindCollaborators", "iam", ("GetUser", "GetRole", "ListUsers", "ListRoles")),
        allow("FindCollaboratorsInDirectory", "sso-directory", ["SearchUsers"]),
        allow("FindApplication", "sso", ["GetManagedApplicationInstance"]),
    )


def policies(place: Place) -> dict[str, Json]:
    """Every example by the name of its file."""
    return {
        **{name: tier(name, place) for name in TIERS},
        "studio-access": studio_access(place),
        "admin": admin(place),
        "service-role": service_role(place),
        "service-role-trust": trust(EMR_SERVICE, place),
        "user-role-trust": trust(EMR_SERVICE, place, "sts:SetContext"),
        "serverless-minimum": serverless_minimum(place),
        "migrated-minimum": migrated_minimum(place),
        "migrated": migrated(place),
        **runtime_role_forms(place),
    }
