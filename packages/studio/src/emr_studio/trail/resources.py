"""Which resources a record speaks of: what LookupEvents is asked by ResourceName and ResourceType.

Found by the names of the members of request and answer; types are CloudFormation's, as CloudTrail's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Named = tuple[str, str]
"""(type, name)"""
_MOST = 20
_LONGEST = 2048
_BY_MEMBER = {
    "StudioId": "AWS::EMR::Studio",
    "EditorId": "AWS::EMR::Editor",
    "ClusterId": "AWS::EMR::Cluster",
    "JobFlowId": "AWS::EMR::Cluster",
    "JobFlowIds": "AWS::EMR::Cluster",
    "StepId": "AWS::EMR::Step",
    "NotebookExecutionId": "AWS::EMR::NotebookExecution",
    "RepositoryId": "AWS::EMR::Repository",
    "virtualClusterId": "AWS::EMRContainers::VirtualCluster",
    "UserName": "AWS::IAM::User",
    "RoleName": "AWS::IAM::Role",
    "GroupName": "AWS::IAM::Group",
    "PolicyArn": "AWS::IAM::Policy",
    "PolicyName": "AWS::IAM::Policy",
    "InstanceProfileName": "AWS::IAM::InstanceProfile",
    "AccessKeyId": "AWS::IAM::AccessKey",
    "SAMLProviderArn": "AWS::IAM::SAMLProvider",
    "OpenIDConnectProviderArn": "AWS::IAM::OIDCProvider",
    "RoleArn": "AWS::IAM::Role",
    "ServiceRole": "AWS::IAM::Role",
    "JobFlowRole": "AWS::IAM::InstanceProfile",
    "SecretId": "AWS::SecretsManager::Secret",
    "KeyId": "AWS::KMS::Key",
    "VpcId": "AWS::EC2::VPC",
    "SubnetId": "AWS::EC2::Subnet",
    "SubnetIds": "AWS::EC2::Subnet",
    "GroupId": "AWS::EC2::SecurityGroup",
    "BucketName": "AWS::S3::Bucket",
    "S3BucketName": "AWS::S3::Bucket",
    "TrailName": "AWS::CloudTrail::Trail",
    "TrailARN": "AWS::CloudTrail::Trail",
    "ProductId": "AWS::ServiceCatalog::CloudFormationProduct",
    "PortfolioId": "AWS::ServiceCatalog::Portfolio",
}
# `Name` is a resource's where nothing but one kind can be meant.
_BY_NAME = {"cloudtrail": "AWS::CloudTrail::Trail"}
# `ResourceId` of EMR's tags: by its prefix.
_BY_PREFIX = {"es-": "AWS::EMR::Studio", "e-": "AWS::EMR::Editor", "j-": "AWS::EMR::Cluster"}


def named_resources(service: str, *blocks: Mapping[str, Any] | None) -> list[Named]:
    """The resources in a call's input and output, each once, twenty at most."""
    found: dict[Named, None] = {}
    for block in blocks:
        for member, value in (block or {}).items():
            for name in _texts(value):
                kind = _kind(service, member, name)
                if kind is not None:
                    found[kind, name[:_LONGEST]] = None
    return list(found)[:_MOST]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value[:_MOST] if isinstance(item, str))


def _kind(service: str, member: str, name: str) -> str | None:
    if member == "Name":
        return _BY_NAME.get(service)
    if member == "ResourceId":
        return next((kind for prefix, kind in _BY_PREFIX.items() if name.startswith(prefix)), None)
    if member == "GroupName" and service == "ec2":
        return "AWS::EC2::SecurityGroup"
    return _BY_MEMBER.get(member)
