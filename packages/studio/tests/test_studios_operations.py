"""Studios: every rule of creation and change, tags, permissions; through real IAM."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.errors import AccessDenied, AwsError, InvalidRequest
from emr_studio.iam.sealing import Sealer
from emr_studio.keys.making import new_key
from emr_studio.keys.master import FileMaster, Masters
from emr_studio.keys.model import KmsKey
from emr_studio.keys.ring import KeyRing
from emr_studio.network.model import SecurityGroup, Subnet, Vpc
from emr_studio.storage.model import Bucket
from emr_studio.studios.model import Studio
from tests.support.emr_world import (
    ACCOUNT,
    BUCKET,
    OTHER_ACCOUNT,
    OTHER_BUCKET,
    SERVICE_ROLE,
    World,
    emr_world,
    statement,
)

UNKNOWN = "es-0000000000000000000000000"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with emr_world(tmp_path) as made:
        yield made


_S3_ACTIONS = (*("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetEncryptionConfiguration"),)


def refused(world: World, **changes: Any) -> str:
    """Create with these changes; it must be refused and store nothing. Returns the message."""
    with pytest.raises(AwsError) as caught:
        world.studio(**changes)
    assert (caught.value.code, caught.value.status) == ("InvalidRequestException", 400)
    with world.database.read() as session:
        assert session.query(Studio).count() == 0
    return caught.value.message


def kms_key(world: World, *statements: dict[str, Any], account_id: str = ACCOUNT) -> str:
    """A key; without statements its policy leaves all to IAM and lets the Studio's service role use it through S3."""
    root = f"arn:aws:iam::{account_id}:root"
    use = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{SERVICE_ROLE}"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncrypt*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": ACCOUNT,
                "kms:ViaService": "s3.us-east-1.amazonaws.com",
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BUCKET}",
            }
        },
    }
    manage = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [manage, *(statements or (use,))]})
    ring = KeyRing(Masters(FileMaster(Sealer(b"k" * 32))))
    with world.database.write() as session:
        key = new_key(session, ring, account_id=account_id, region="us-east-1", policy=policy, now=world.clock.now())
        return key.arn


# Create and describe.


@pytest.mark.capability("ST-01", "ST-10")
def test_create_and_describe_echo_every_member(world: World) -> None:
    key = kms_key(world)
    request = world.studio_request(
        Description="what for",
        IdpAuthUrl="https://idp.example.com/login",
        IdpRelayStateParameterName="TargetResource",
        EncryptionKeyArn=key,
        Tags=[{"Key": "team", "Value": "red"}, {"Key": "empty"}],
    )
    made = world.call("CreateStudio", **request)
    assert set(made) == {"StudioId", "Url"}
    assert re.fullmatch("es-[0-9A-Z]{25}", made["StudioId"])
    assert made["Url"] == f"http://{made['StudioId'].lower()}.studio.localhost:8080"
    described = world.call("DescribeStudio", StudioId=made["StudioId"])["Studio"]
    assert described == request | {
        "StudioId": made["StudioId"],
        "StudioArn": f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/{made['StudioId']}",
        "Url": made["Url"],
        "CreationTime": world.clock.now(),
        "Tags": [{"Key": "team", "Value": "red"}, {"Key": "empty", "Value": ""}],
    }


@pytest.mark.capability("ST-01")
def test_absent_members_stay_absent(world: World) -> None:
    described = world.call("DescribeStudio", StudioId=world.studio(SubnetIds=[world.network.subnet_ids[0]]))["Studio"]
    assert not {"Description", "UserRole", "IdpAuthUrl", "EncryptionKeyArn", "IdcInstanceArn"} & set(described)
    assert described["Tags"] == []


@pytest.mark.capability("ST-04")
def test_description_and_tags_at_creation(world: World) -> None:
    described = world.call("DescribeStudio", StudioId=world.studio(Description="d", Tags=[{"Key": "k", "Value": ""}]))
    assert described["Studio"]["Description"] == "d"
    assert described["Studio"]["Tags"] == [{"Key": "k", "Value": ""}]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "a" * 257, "a\n"])
def test_bad_names(world: World, name: str) -> None:
    assert "Name" in refused(world, Name=name)


@pytest.mark.capability("ST-03")
def test_user_role_is_refused_in_iam_mode(world: World) -> None:
    assert refused(world, UserRole=SERVICE_ROLE) == "UserRole is not allowed when AuthMode is IAM."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AuthMode": "SSO"}, "UserRole is required when AuthMode is SSO."),
        ({"AuthMode": "SSO", "UserRole": SERVICE_ROLE}, "IAM Identity Center is not enabled"),
        ({"AuthMode": "SSO", "UserRole": SERVICE_ROLE, "IdpAuthUrl": "https://x.example"}, "IdpAuthUrl is not allowed"),
        ({"IdcUserAssignment": "REQUIRED"}, "IdcUserAssignment is not allowed when AuthMode is IAM."),
        ({"TrustedIdentityPropagationEnabled": True}, "TrustedIdentityPropagationEnabled is not allowed"),
        ({"IdcInstanceArn": "arn:aws:sso:::instance/ssoins-1"}, "IdcInstanceArn is not allowed"),
        ({"IdpAuthUrl": "http://plain.example"}, "IdpAuthUrl must be an https URL"),
        ({"IdpAuthUrl": "https://x.example/" + "a" * 4096}, "IdpAuthUrl must be an https URL"),
    ],
)
def test_rules_of_the_authentication_mode(world: World, changes: dict[str, Any], message: str) -> None:
    assert message in refused(world, **changes)


@pytest.mark.parametrize("location", ["bucket/x", "s3://", "s3:///x", "s3://UPPER/x", "https://bucket", "s3://a"])
def test_bad_locations(world: World, location: str) -> None:
    assert "DefaultS3Location" in refused(world, DefaultS3Location=location)


@pytest.mark.parametrize("key", ["k", "arn:aws:s3:::x", f"arn:aws:kms:us-east-1:{ACCOUNT}:grant/1"])
def test_bad_keys(world: World, key: str) -> None:
    assert "EncryptionKeyArn" in refused(world, EncryptionKeyArn=key)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([{"Key": "aws:x", "Value": ""}], "reserved"),
        ([{"Key": "AWS:x", "Value": ""}], "reserved"),
        ([{"Key": "", "Value": ""}], "1 to 128"),
        ([{"Value": "v"}], "1 to 128"),
        ([{"Key": "k" * 129}], "1 to 128"),
        ([{"Key": "k", "Value": "v" * 257}], "longer than 256"),
        ([{"Key": "k"}, {"Key": "k"}], "more than once"),
        ([{"Key": str(n)} for n in range(51)], "at most 50"),
    ],
)
def test_bad_tags(world: World, tags: list[dict[str, str]], message: str) -> None:
    assert message in refused(world, Tags=tags)


# Network.


def other_vpc(world: World) -> tuple[str, str, str]:
    """A second VPC of the account with a subnet and a group; returns their ids."""
    own = {"account_id": ACCOUNT, "region": "us-east-1"}
    with world.database.write() as session:
        session.add(Vpc(id="vpc-1", cidr_block="10.0.0.0/16", **own))
        session.flush()
        session.add(
            Subnet(
                id="subnet-1", vpc_id="vpc-1", cidr_block="10.0.0.0/24", availability_zone="us-east-1a", tags={}, **own
            )
        )
        session.add(SecurityGroup(id="sg-1", vpc_id="vpc-1", name="other", tags={}, **own))
    return "vpc-1", "subnet-1", "sg-1"


@pytest.mark.capability("ST-05")
def test_subnets_and_groups_must_be_of_the_vpc(world: World) -> None:
    vpc, subnet, group = other_vpc(world)
    assert subnet in refused(world, SubnetIds=[*world.network.subnet_ids, subnet])
    assert "EngineSecurityGroupId" in refused(world, EngineSecurityGroupId=group)
    assert "WorkspaceSecurityGroupId" in refused(world, WorkspaceSecurityGroupId=group)
    assert "does not belong to VPC 'vpc-1'" in refused(world, VpcId=vpc)


def test_what_does_not_exist_is_named(world: World) -> None:
    assert "vpc-0" in refused(world, VpcId="vpc-0")
    assert "subnet-0" in refused(world, SubnetIds=["subnet-0"])
    assert "sg-0" in refused(world, EngineSecurityGroupId="sg-0")


@pytest.mark.capability("ST-06")
def test_one_to_five_subnets(world: World) -> None:
    with world.database.write() as session:
        for number in range(3, 6):
            session.add(
                Subnet(
                    id=f"subnet-{number}",
                    account_id=ACCOUNT,
                    region="us-east-1",
                    vpc_id=world.network.vpc_id,
                    cidr_block=f"172.31.{number * 16}.0/20",
                    availability_zone="us-east-1a",
                    tags={},
                )
            )
    five = [*world.network.subnet_ids, "subnet-3", "subnet-4"]
    assert "1 to 5" in refused(world, SubnetIds=[])
    assert "1 to 5" in refused(world, SubnetIds=[*five, "subnet-5"])
    assert "more than once" in refused(world, SubnetIds=[five[0], five[0]])
    studio_id = world.studio(SubnetIds=five)
    with pytest.raises(InvalidRequest, match="1 to 5"):
        world.call("UpdateStudio", StudioId=studio_id, SubnetIds=[*five, "subnet-5"])


# The service role.


@pytest.mark.capability("ST-07")
@pytest.mark.parametrize("missing", _S3_ACTIONS)
def test_a_role_that_cannot_use_the_location_is_refused(world: World, missing: str) -> None:
    world.role("weak", statement(sorted({*_S3_ACTIONS} - {missing})))
    message = refused(world, ServiceRole="weak")
    assert "Service role does not have permission to access" in message
    assert "'ServiceRole' does not have permission to access the 'S3 Location'" in message
    assert missing in message


def test_a_role_limited_to_the_location_is_enough(world: World) -> None:
    arn = world.role(
        "narrow",
        statement(["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], f"arn:aws:s3:::{BUCKET}/studio/*"),
        statement("s3:ListBucket", f"arn:aws:s3:::{BUCKET}", StringLike={"s3:prefix": "studio/*"}),
        statement("s3:GetEncryptionConfiguration", f"arn:aws:s3:::{BUCKET}"),
    )
    studio_id = world.studio(ServiceRole=arn)
    assert world.call("DescribeStudio", StudioId=studio_id)["Studio"]["ServiceRole"] == arn
    assert "PutObject" in refused_update(world, studio_id, DefaultS3Location=f"s3://{BUCKET}/elsewhere")


@pytest.mark.capability("ST-07")
def test_the_bucket_must_be_there_and_let_the_role_in(world: World) -> None:
    role = world.role("strong", statement("s3:*"))
    message = refused(world, ServiceRole="strong", DefaultS3Location="s3://no-such-bucket/x")
    assert "The bucket no-such-bucket does not exist." in message
    message = refused(world, ServiceRole="strong", DefaultS3Location=f"s3://{OTHER_BUCKET}/x")
    assert "s3:PutObject" in message
    _set_policy(world, OTHER_BUCKET, {"Effect": "Allow", "Principal": {"AWS": role}})
    assert world.studio(ServiceRole="strong", DefaultS3Location=f"s3://{OTHER_BUCKET}/x")


@pytest.mark.capability("ST-07")
def test_a_bucket_policy_may_shut_the_role_out(world: World) -> None:
    _set_policy(world, BUCKET, {"Effect": "Deny", "Principal": "*"}, "s3:PutObject")
    message = refused(world)
    assert "'ServiceRole' does not have permission to access the 'S3 Location'" in message
    assert "Missing: s3:PutObject" in message


def _set_policy(world: World, bucket: str, statement: dict[str, Any], action: str = "s3:*") -> None:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    text = {"Version": "2012-10-17", "Statement": [statement | {"Action": action, "Resource": resources}]}
    with world.database.write() as session:
        session.get_one(Bucket, bucket).policy = json.dumps(text)


@pytest.mark.capability("ST-07")
def test_the_key_must_be_there_usable_and_for_the_role(world: World) -> None:
    told = "'ServiceRole' does not have permission to access the 'S3 Location' or associated KMS key(s)"
    absent = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
    message = refused(world, EncryptionKeyArn=absent)
    assert told in message
    assert "does not exist" in message
    kept = kms_key(world, {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"})
    message = refused(world, EncryptionKeyArn=kept)
    assert told in message
    assert f"kms:Decrypt on {kept}" in message
    foreign = kms_key(world, account_id=OTHER_ACCOUNT)
    assert "is not in this account" in refused(world, EncryptionKeyArn=foreign)
    key = kms_key(world)
    with world.database.write() as session:
        session.get_one(KmsKey, key.rpartition("/")[2]).enabled = False
    assert f"{key} is disabled." in refused(world, EncryptionKeyArn=key)
    world.role("older-text", statement("s3:*"), statement(["kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncrypt"]))
    assert "kms:DescribeKey" in refused(world, ServiceRole="older-text", EncryptionKeyArn=kms_key(world))


@pytest.mark.capability("ST-14")
def test_update_changes_the_key(world: World) -> None:
    studio_id, key = world.studio(), kms_key(world)
    world.call("UpdateStudio", StudioId=studio_id, EncryptionKeyArn=key)
    assert world.call("DescribeStudio", StudioId=studio_id)["Studio"]["EncryptionKeyArn"] == key
    other = kms_key(world, {"Effect": "Deny", "Principal": "*", "Action": "kms:GenerateDataKey", "Resource": "*"})
    assert "kms:GenerateDataKey" in refused_update(world, studio_id, EncryptionKeyArn=other)
    assert world.call("DescribeStudio", StudioId=studio_id)["Studio"]["EncryptionKeyArn"] == key


@pytest.mark.capability("SR-01")
def test_the_roles_trust_policy_must_let_emr_in(world: World) -> None:
    def trust(service: str, account_id: str) -> dict[str, Any]:
        principal = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        condition = {"Condition": {"StringEquals": {"aws:SourceAccount": account_id}}}
        return {"Version": "2012-10-17", "Statement": [principal | condition]}

    world.role("of-ec2", statement("s3:*"), trust=trust("ec2.amazonaws.com", ACCOUNT))
    world.role("of-another", statement("s3:*"), trust=trust("elasticmapreduce.amazonaws.com", OTHER_ACCOUNT))
    for name in ("of-ec2", "of-another"):
        assert "entity does not have permissions to assume role" in refused(world, ServiceRole=name)
    assert "absent" in refused(world, ServiceRole="absent")


def test_the_caller_must_be_allowed_to_pass_the_role(world: World) -> None:
    creator = world.user("creator", statement("elasticmapreduce:CreateStudio"))
    with pytest.raises(AccessDenied, match=r"iam:PassRole on resource: arn:aws:iam::123456789012:role/EMRStudio_Serv"):
        world.call("CreateStudio", creator, **world.studio_request())
    passer = world.user(
        "passer",
        statement("elasticmapreduce:CreateStudio"),
        statement(
            "iam:PassRole",
            f"arn:aws:iam::{ACCOUNT}:role/{SERVICE_ROLE}",
            StringEquals={"iam:PassedToService": "elasticmapreduce.amazonaws.com"},
        ),
    )
    assert world.call("CreateStudio", passer, **world.studio_request())
    with pytest.raises(AccessDenied):
        world.call("CreateStudio", passer, **world.studio_request(ServiceRole="absent"))


# List, update, delete.


@pytest.mark.capability("ST-08")
def test_a_hundred_studios_are_the_limit(world: World) -> None:
    for _ in range(100):
        world.studio()
    with pytest.raises(InvalidRequest, match="limit is 100"):
        world.studio()


@pytest.mark.capability("ST-11")
def test_list_pages_through_all_without_duplicates(world: World) -> None:
    made = []
    for _ in range(60):
        world.clock.advance(1)
        made.append(world.studio(Tags=[{"Key": "k"}]))
    found: list[dict[str, Any]] = []
    page = world.call("ListStudios")
    while True:
        found += page["Studios"]
        if "Marker" not in page:
            break
        page = world.call("ListStudios", Marker=page["Marker"])
    assert [studio["StudioId"] for studio in found] == made
    assert set(found[0]) == {"StudioId", "Name", "VpcId", "Url", "AuthMode", "CreationTime"}


def test_another_account_sees_nothing(world: World) -> None:
    studio_id = world.studio()
    stranger = world.user("stranger", account_id=OTHER_ACCOUNT)
    assert world.call("ListStudios", stranger) == {"Studios": []}
    for operation in ("DescribeStudio", "DeleteStudio", "UpdateStudio"):
        with pytest.raises(InvalidRequest, match=r"^InvalidRequestException: Studio does not exist\.$"):
            world.call(operation, stranger, StudioId=studio_id)


def refused_update(world: World, studio_id: str, **changes: Any) -> str:
    before = world.call("DescribeStudio", StudioId=studio_id)
    with pytest.raises(InvalidRequest) as caught:
        world.call("UpdateStudio", StudioId=studio_id, **changes)
    assert world.call("DescribeStudio", StudioId=studio_id) == before
    return caught.value.message


@pytest.mark.capability("ST-12")
def test_update_changes_what_is_given_and_nothing_else(world: World) -> None:
    studio_id = world.studio(Description="old")
    before = world.call("DescribeStudio", StudioId=studio_id)["Studio"]
    changes = {"Name": "new", "Description": "", "DefaultS3Location": f"s3://{BUCKET}/elsewhere/"}
    for member, value in changes.items():
        assert world.call("UpdateStudio", StudioId=studio_id, **{member: value}) == {}
        before |= {member: value}
        assert world.call("DescribeStudio", StudioId=studio_id)["Studio"] == before
    assert "Name" in refused_update(world, studio_id, Name="a b")
    assert "DefaultS3Location" in refused_update(world, studio_id, Name="c", DefaultS3Location="x")
    assert "EncryptionKeyArn" in refused_update(world, studio_id, EncryptionKeyArn="x")


@pytest.mark.capability("ST-13")
def test_subnets_are_added_and_never_removed(world: World) -> None:
    first, second, third = world.network.subnet_ids
    studio_id = world.studio(SubnetIds=[first, second])
    assert second in refused_update(world, studio_id, SubnetIds=[first, third])
    world.call("UpdateStudio", StudioId=studio_id, SubnetIds=[third, second, first])
    described = world.call("DescribeStudio", StudioId=studio_id)["Studio"]
    assert described["SubnetIds"] == [third, second, first]
    assert other_vpc(world)[1] in refused_update(world, studio_id, SubnetIds=[first, second, third, "subnet-1"])


@pytest.mark.capability("ST-10")
def test_an_unknown_studio(world: World) -> None:
    for operation in ("DescribeStudio", "UpdateStudio", "DeleteStudio", "CreateStudioPresignedUrl"):
        with pytest.raises(InvalidRequest, match=r"Studio does not exist\."):
            world.call(operation, StudioId=UNKNOWN)


def test_delete_keeps_workspaces(world: World) -> None:
    studio_id = world.studio()
    editor_id = world.call("CreateEditor", StudioId=studio_id, Name="work")["EditorId"]
    assert world.call("DeleteStudio", StudioId=studio_id) == {}
    with pytest.raises(InvalidRequest, match="Studio does not exist"):
        world.call("DescribeStudio", StudioId=studio_id)
    assert [e["EditorId"] for e in world.call("ListEditors")["Editors"]] == [editor_id]
    world.call("StopEditor", EditorId=editor_id)


# Tags and permissions.
