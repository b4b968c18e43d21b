"""Policies of the sample world: the examples of `tiers.py`, and what its analyst has beside her tier."""

from __future__ import annotations

from emr_studio.iam import tiers
from emr_studio.iam.tiers import Json, Place, allow, document

_SHOWN_OF_CLUSTERS = (
    *("ListInstances", "ListReleaseLabels", "DescribeReleaseLabel", "ListSupportedInstanceTypes"),
    *("GetAutoTerminationPolicy", "GetManagedScalingPolicy"),
)
_OWN_CLUSTERS = (
    *("TerminateJobFlows", "AddJobFlowSteps", "CancelSteps", "DescribeStep", "PutAutoTerminationPolicy"),
    "RemoveAutoTerminationPolicy",
)
_EXECUTIONS = (
    *("StartNotebookExecution", "DescribeNotebookExecution", "ListNotebookExecutions", "StopNotebookExecution"),
)
_ANYWHERE = "*"


def trust_policy(service: str, account_id: str, partition: str) -> Json:
    """Trust a service, EMR only for resources of this account."""
    return tiers.trust(service, Place(account_id, partition))


def service_role_policy(bucket: str, partition: str) -> Json:
    """What the Studio does with its service role; reading versions of notebooks is ours (AWS's Studio has none)."""
    statements = tiers.service_role(Place(_ANYWHERE, partition, bucket=bucket))["Statement"]
    s3 = f"arn:{partition}:s3:::{bucket}"
    versions = ("ListBucketVersions", "GetObjectVersion")
    return document(*statements, allow("AllowNotebookVersions", "s3", versions, (s3, f"{s3}/*")))


def analyst_policy(account_id: str, partition: str, bucket: str) -> Json:
    """What the sample's analyst has beside the advanced tier: her Studio, clusters and data."""
    place, s3 = Place(account_id, partition), f"arn:{partition}:s3:::{bucket}"
    emr, of_creators = "elasticmapreduce", {"ForAllValues:StringNotEquals": {"aws:TagKeys": ["creatorUserId"]}}
    return document(
        *tiers.studio_access(place)["Statement"],
        allow("SeeClusters", emr, _SHOWN_OF_CLUSTERS),
        allow("ManageClusters", emr, _OWN_CLUSTERS),
        # Who made a Workspace is not for users to change: policies go by that tag.
        allow("Tag", emr, ("AddTags", "RemoveTags"), "*", of_creators),
        allow("NotebookExecutions", emr, _EXECUTIONS),
        # AWS's tiers register and link repositories, but leave this one out.
        allow("EditRepositories", emr, ("UpdateRepository",)),
        allow("ListInstanceProfiles", "iam", ("ListInstanceProfiles",)),
        allow("ReadDataAndNotebooks", "s3", ("ListBucket", "GetObject"), (s3, f"{s3}/*")),
    )
