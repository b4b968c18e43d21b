"""Control by tags, identities and passed roles, as users of EMR Studio set it up (spec: EMR Studio, 2.4, 3.5, 3.6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.iam.bootstrap import SERVICE_ROLE, bucket_name
from tests.support.iam_api import allow, policy
from tests.support.trail_api import ACCOUNT, TrailApi, served_trail

ARN = f"arn:aws:iam::{ACCOUNT}:"
SIGN_IN = "elasticmapreduce:CreateStudioPresignedUrl"
RED = [{"Key": "team", "Value": "red"}]
TRUSTED = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


@dataclass
class Place:
    """A served control plane with two Studios, one of them tagged `team=red`."""

    api: TrailApi
    red: str
    plain: str

    def emr(self, *key: str) -> Any:
        return self.api.client("emr", *key)

    def opens(self, client: Any) -> list[bool]:
        """Whether the caller may sign in to the red and to the plain Studio."""
        return [_may(client.create_studio_presigned_url, StudioId=studio) for studio in (self.red, self.plain)]

    def session(self, role: str, **more: Any) -> Any:
        """An EMR client of a session of a role."""
        made = self.api.client("sts").assume_role(RoleArn=f"{ARN}role/{role}", RoleSessionName="ana", **more)
        found = made["Credentials"]
        return self.emr(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def role(self, name: str, *statements: dict[str, Any]) -> None:
        """A role that the account's users may take."""
        trust = {"Effect": "Allow", "Principal": {"AWS": f"{ARN}root"}, "Action": TRUSTED}
        iam = self.api.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy(trust)))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy(*statements)))


def _may(call: Any, **request: Any) -> bool:
    try:
        call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served_trail(tmp_path_factory.mktemp("conditions")) as api:
        api.bucket(bucket_name(api.settings))
        studios = [_studio(api, RED), _studio(api, [])]
        yield Place(api, *studios)


def _request(api: TrailApi, tags: list[dict[str, str]]) -> dict[str, Any]:
    from emr_studio.network.model import ensure_default_network

    with api.database.write() as session:
        network = ensure_default_network(session, api.settings, ACCOUNT)
    return {
        "Name": "studio",
        "AuthMode": "IAM",
        "VpcId": network.vpc_id,
        "SubnetIds": list(network.subnet_ids),
        "ServiceRole": SERVICE_ROLE,
        "WorkspaceSecurityGroupId": network.workspace_security_group_id,
        "EngineSecurityGroupId": network.engine_security_group_id,
        "DefaultS3Location": f"s3://{bucket_name(api.settings)}/conditions",
        "Tags": tags,
    }


def _studio(api: TrailApi, tags: list[dict[str, str]]) -> str:
    return str(api.client("emr").create_studio(**_request(api, tags))["StudioId"])


def test_by_arn(place: Place) -> None:
    arn = f"arn:aws:elasticmapreduce:*:{ACCOUNT}:studio/{place.plain}"
    key = place.api.user("by-arn", allow(SIGN_IN, arn))
    assert place.opens(place.emr(*key)) == [False, True]


@pytest.mark.parametrize("prefix", ["elasticmapreduce", "aws"])
def test_by_the_studios_tag_until_it_is_gone(place: Place, prefix: str) -> None:
    condition = {"StringEquals": {f"{prefix}:ResourceTag/team": "red"}}
    client = place.emr(*place.api.user(f"by-tag-{prefix}", allow(SIGN_IN, Condition=condition)))
    admin = place.emr()
    assert place.opens(client) == [True, False]
    admin.remove_tags(ResourceId=place.red, TagKeys=["team"])
    assert place.opens(client) == [False, False]
    admin.add_tags(ResourceId=place.red, Tags=RED)
    assert place.opens(client) == [True, False]


def test_by_source_identity(place: Place) -> None:
    condition = {"StringLike": {"aws:SourceIdentity": "*@example.com"}}
    place.role("federation", allow(SIGN_IN, Condition=condition))
    assert place.opens(place.session("federation", SourceIdentity="ana@example.com")) == [True, True]
    assert place.opens(place.session("federation", SourceIdentity="ana@elsewhere.org")) == [False, False]
    assert place.opens(place.session("federation")) == [False, False]


def test_by_the_tags_of_who_asks(place: Place) -> None:
    """ABAC: one policy for all teams, by tags of users and of sessions."""
    same = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    key = place.api.user("by-principal", allow(SIGN_IN, Condition=same))
    iam, client = place.api.client("iam"), place.emr(*key)
    assert place.opens(client) == [False, False]
    iam.tag_user(UserName="by-principal", Tags=RED)
    assert place.opens(client) == [True, False]
    place.role("teams", allow(SIGN_IN, Condition=same))
    assert place.opens(place.session("teams", Tags=RED)) == [True, False]
    assert place.opens(place.session("teams", Tags=[{"Key": "team", "Value": "blue"}])) == [False, False]


def test_a_policy_on_a_user_a_group_a_role(place: Place) -> None:
    """Each place where a policy can be attached takes effect, and differently for each."""
    iam = place.api.client("iam")

    def by_studio(studio: str) -> dict[str, Any]:
        return allow(SIGN_IN, f"arn:aws:elasticmapreduce:*:{ACCOUNT}:studio/{studio}")

    of_user = place.emr(*place.api.user("of-user", by_studio(place.red)))
    iam.create_group(GroupName="plain-team")
    iam.put_group_policy(
        GroupName="plain-team", PolicyName="own", PolicyDocument=json.dumps(policy(by_studio(place.plain)))
    )
    of_group = place.emr(*place.api.user("of-group"))
    iam.add_user_to_group(GroupName="plain-team", UserName="of-group")
    place.role("both-studios", by_studio(place.red), by_studio(place.plain))
    assert place.opens(of_user) == [True, False]
    assert place.opens(of_group) == [False, True]
    assert place.opens(place.session("both-studios")) == [True, True]
    iam.add_user_to_group(GroupName="plain-team", UserName="of-user")
    assert place.opens(of_user) == [True, True]


def test_tags_that_a_studio_must_be_made_with(place: Place) -> None:
    condition = {
        "StringEquals": {"aws:RequestTag/team": "red"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "stage"]},
    }
    rights = (allow("elasticmapreduce:CreateStudio", Condition=condition), allow("iam:PassRole"))
    client = place.emr(*place.api.user("maker", *rights))
    other = {"Key": "other", "Value": "x"}
    assert _may(client.create_studio, **_request(place.api, RED))
    assert _may(client.create_studio, **_request(place.api, [*RED, {"Key": "stage", "Value": "x"}]))
    for tags in ([], [{"Key": "team", "Value": "blue"}], [*RED, other]):
        assert not _may(client.create_studio, **_request(place.api, tags))


def test_which_tags_may_be_changed(place: Place) -> None:
    spared = {"ForAllValues:StringNotEquals": {"aws:TagKeys": ["creatorUserId"]}}
    actions = ["elasticmapreduce:AddTags", "elasticmapreduce:RemoveTags"]
    client = place.emr(*place.api.user("tagger", allow(actions, Condition=spared)))
    assert _may(client.add_tags, ResourceId=place.plain, Tags=[{"Key": "stage", "Value": "x"}])
    assert _may(client.remove_tags, ResourceId=place.plain, TagKeys=["stage"])
    assert not _may(client.add_tags, ResourceId=place.plain, Tags=[{"Key": "creatorUserId", "Value": "x"}])
    assert not _may(client.remove_tags, ResourceId=place.plain, TagKeys=["stage", "creatorUserId"])


def test_to_whom_a_role_is_passed(place: Place) -> None:
    def maker(name: str, service: str) -> Any:
        to = {"StringEquals": {"iam:PassedToService": service}}
        return place.emr(*place.api.user(name, allow("elasticmapreduce:*"), allow("iam:PassRole", Condition=to)))

    request = _request(place.api, [])
    assert _may(maker("to-emr", "elasticmapreduce.amazonaws.com").create_studio, **request)
    assert not _may(maker("to-ec2", "ec2.amazonaws.com").create_studio, **request)
    cluster = {
        "Name": "c",
        "ReleaseLabel": "emr-8.0.0",
        "ServiceRole": "EMR_DefaultRole_V2",
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "Instances": {"InstanceCount": 1, "MasterInstanceType": "m5.xlarge"},
    }
    # A cluster's service role goes to EMR, the role of its nodes to EC2: both are asked for.
    assert not _may(maker("to-emr-alone", "elasticmapreduce.amazonaws.com").run_job_flow, **cluster)
    assert not _may(maker("to-ec2-alone", "ec2.amazonaws.com").run_job_flow, **cluster)


def test_what_is_not_there_is_told_only_to_those_who_may(place: Place) -> None:
    allowed, denied = place.emr(), place.emr(*place.api.user("stranger"))
    for name, member, value in (
        ("describe_studio", "StudioId", "es-0000000000000000000000000"),
        ("describe_editor", "EditorId", "e-0000000000000000000000000"),
        ("describe_cluster", "ClusterId", "j-0000000000000"),
    ):
        with pytest.raises(ClientError) as caught:
            getattr(allowed, name)(**{member: value})
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
        assert not _may(getattr(denied, name), **{member: value})
