"""Studios through stock boto3: what Terraform, scripts and the AWS CLI see."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from tests.support.emr_api import EmrApi, put_policy, refused
from tests.support.emr_world import ACCOUNT, BUCKET, SERVICE_ROLE, statement


@pytest.mark.capability("ST-01", "ST-04", "ST-10", "AD-04")
def test_create_describe_delete(api: EmrApi, emr: Any) -> None:
    request = api.world.studio_request(Description="for all", Tags=[{"Key": "team", "Value": ""}])
    made = emr.create_studio(**request)
    other = emr.create_studio(**request)
    assert re.fullmatch("es-[0-9A-Z]{25}", made["StudioId"])
    assert made["Url"] == f"http://{made['StudioId'].lower()}.studio.localhost:8080"
    assert other["Url"] != made["Url"]
    described = emr.describe_studio(StudioId=made["StudioId"])["Studio"]
    assert described.pop("CreationTime").tzinfo is not None
    assert described == request | {
        "StudioId": made["StudioId"],
        "StudioArn": f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/{made['StudioId']}",
        "Url": made["Url"],
    }
    for studio in (made, other):
        emr.delete_studio(StudioId=studio["StudioId"])
        gone = refused(emr.describe_studio, StudioId=studio["StudioId"])
        assert gone == ("InvalidRequestException", 400, "Studio does not exist.")


@pytest.mark.capability("ST-12", "ST-13", "ST-18", "AD-04")
def test_update_and_tags(api: EmrApi, emr: Any) -> None:
    first, second, third = api.world.network.subnet_ids
    studio_id = emr.create_studio(**api.world.studio_request(SubnetIds=[first]))["StudioId"]
    answer = emr.update_studio(StudioId=studio_id, Name="renamed", SubnetIds=[second, first, third])
    assert set(answer) == {"ResponseMetadata"}
    emr.add_tags(ResourceId=studio_id, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
    emr.remove_tags(ResourceId=studio_id, TagKeys=["a"])
    described = emr.describe_studio(StudioId=studio_id)["Studio"]
    assert (described["Name"], described["Tags"]) == ("renamed", [{"Key": "b", "Value": ""}])
    code, status, message = refused(emr.update_studio, StudioId=studio_id, SubnetIds=[second])
    assert (code, status) == ("InvalidRequestException", 400)
    assert first in message
    emr.delete_studio(StudioId=studio_id)


@pytest.mark.capability("ST-03", "ST-05", "ST-07")
def test_refusals(api: EmrApi, emr: Any) -> None:
    api.world.role("without-s3", statement("ec2:*"))
    for changes, words in (
        ({"UserRole": SERVICE_ROLE}, "UserRole is not allowed"),
        ({"AuthMode": "SSO"}, "UserRole is required"),
        ({"AuthMode": "SSO", "UserRole": SERVICE_ROLE}, "IAM Identity Center is not enabled"),
        ({"SubnetIds": ["subnet-00000000"]}, "subnet-00000000"),
        ({"ServiceRole": "without-s3"}, "Service role does not have permission to access"),
        ({"DefaultS3Location": f"https://{BUCKET}"}, "DefaultS3Location"),
        ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "reserved"),
    ):
        code, status, message = refused(emr.create_studio, **api.world.studio_request(**changes))
        assert (code, status) == ("InvalidRequestException", 400)
        assert words in message
    assert emr.list_studios()["Studios"] == []


@pytest.mark.capability("ST-11")
def test_the_stock_paginator_finds_all(api: EmrApi, emr: Any) -> None:
    made = [emr.create_studio(**api.world.studio_request())["StudioId"] for _ in range(55)]
    pages = list(emr.get_paginator("list_studios").paginate())
    assert [len(page["Studios"]) for page in pages] == [50, 5]
    assert [studio["StudioId"] for page in pages for studio in page["Studios"]] == made
    for studio_id in made:
        emr.delete_studio(StudioId=studio_id)


@pytest.mark.capability("UA-01", "UA-02", "UA-04")
def test_assignment_and_unassignment(api: EmrApi, emr: Any) -> None:
    iam = api.client("iam", *api.key("admin"))
    studio_id = emr.create_studio(**api.world.studio_request(Tags=[{"Key": "team", "Value": "red"}]))["StudioId"]
    tagged = statement(
        "elasticmapreduce:CreateStudioPresignedUrl", StringEquals={"elasticmapreduce:ResourceTag/team": "red"}
    )
    user = api.user("ana", tagged)
    assert studio_id in user.create_studio_presigned_url(StudioId=studio_id)["Url"]
    put_policy(iam, "ana", statement("elasticmapreduce:ListStudios"))
    code, status, message = refused(user.create_studio_presigned_url, StudioId=studio_id)
    assert (code, status) == ("AccessDeniedException", 400)
    assert "elasticmapreduce:CreateStudioPresignedUrl" in message
    put_policy(iam, "ana", tagged)
    user.create_studio_presigned_url(StudioId=studio_id)
    emr.remove_tags(ResourceId=studio_id, TagKeys=["team"])
    assert refused(user.create_studio_presigned_url, StudioId=studio_id)[0] == "AccessDeniedException"
    emr.delete_studio(StudioId=studio_id)


@pytest.mark.capability("UA-03")
def test_assignment_by_source_identity(api: EmrApi, emr: Any) -> None:
    studio_id = emr.create_studio(**api.world.studio_request())["StudioId"]
    role_arn = api.world.role(
        "federated",
        statement("elasticmapreduce:CreateStudioPresignedUrl", StringLike={"aws:SourceIdentity": "ana*"}),
        trust={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                    "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                }
            ],
        },
    )
    sts = api.client("sts", *api.key("admin"))

    def as_person(identity: str) -> Any:
        made = sts.assume_role(RoleArn=role_arn, RoleSessionName="work", SourceIdentity=identity)["Credentials"]
        return api.client("emr", made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    assert as_person("ana.lopez").create_studio_presigned_url(StudioId=studio_id)["Url"]
    denied = refused(as_person("ben").create_studio_presigned_url, StudioId=studio_id)
    assert denied[0] == "AccessDeniedException"
    emr.delete_studio(StudioId=studio_id)


@pytest.mark.capability("ST-15")
def test_what_is_settled_at_creation_stays(api: EmrApi, emr: Any) -> None:
    """UpdateStudio has no members for it: boto3 sends none, and what others send changes nothing."""
    studio_id = emr.create_studio(**api.world.studio_request())["StudioId"]
    before = emr.describe_studio(StudioId=studio_id)["Studio"]
    network, role = api.world.network, api.world.role("another", statement("s3:*"))
    fixed = {
        "AuthMode": "SSO",
        "VpcId": "vpc-0",
        "ServiceRole": role,
        "UserRole": role,
        "WorkspaceSecurityGroupId": network.engine_security_group_id,
        "EngineSecurityGroupId": network.workspace_security_group_id,
        "TrustedIdentityPropagationEnabled": True,
        "IdcUserAssignment": "OPTIONAL",
        "IdcInstanceArn": "arn:aws:sso:::instance/ssoins-0000000000000000",
    }
    for member, value in fixed.items():
        with pytest.raises(ParamValidationError, match=f'Unknown parameter in input: "{member}"'):
            emr.update_studio(StudioId=studio_id, **{member: value})

    def add_members(params: dict[str, Any], **_: Any) -> None:
        params["body"] = json.dumps(json.loads(params["body"]) | fixed).encode()

    bold = api.client("emr", *api.key("admin"))
    bold.meta.events.register("before-call.emr.UpdateStudio", add_members)
    bold.update_studio(StudioId=studio_id, Description="changed")
    assert emr.describe_studio(StudioId=studio_id)["Studio"] == before | {"Description": "changed"}
    emr.delete_studio(StudioId=studio_id)


@pytest.mark.capability("AD-04")
def test_the_stock_command_line(api: EmrApi) -> None:
    """A Studio from creation to its end by the AWS CLI, told of the endpoint by its own option."""
    key_id, secret = api.key("admin")
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1"}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_PAGER": ""}

    def aws(*arguments: str) -> Any:
        program = [str(Path(sys.executable).with_name("aws")), "--endpoint-url", api.endpoint, "emr", *arguments]
        done = subprocess.run(program, env=own | keys | nowhere, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    network = api.world.network
    first, second, third = network.subnet_ids
    groups = ["--workspace-security-group-id", network.workspace_security_group_id]
    groups += ["--engine-security-group-id", network.engine_security_group_id]
    place = ["--vpc-id", network.vpc_id, "--subnet-ids", first, second, "--default-s3-location", f"s3://{BUCKET}/cli"]
    about = ["--description", "by hand", "--tags", "Key=team,Value=red", "Key=empty,Value="]
    who = ["--name", "cli", "--auth-mode", "IAM", "--service-role", SERVICE_ROLE]
    made = aws("create-studio", *who, *place, *groups, *about)
    named = ["--studio-id", made["StudioId"]]
    studio = aws("describe-studio", *named)["Studio"]
    assert (studio["Name"], studio["Description"], studio["SubnetIds"]) == ("cli", "by hand", [first, second])
    assert studio["Tags"] == [{"Key": "team", "Value": "red"}, {"Key": "empty", "Value": ""}]
    assert [one["Url"] for one in aws("list-studios")["Studios"] if one["StudioId"] == made["StudioId"]] == [
        made["Url"]
    ]
    change = ["--name", "renamed", "--description", "d", "--subnet-ids", first, second, third]
    assert aws("update-studio", *named, *change, "--default-s3-location", f"s3://{BUCKET}/other") is None
    aws("add-tags", "--resource-id", made["StudioId"], "--tags", "Team=Data Analytics")
    aws("remove-tags", "--resource-id", made["StudioId"], "--tag-keys", "team", "empty")
    studio = aws("describe-studio", *named)["Studio"]
    assert (studio["Name"], studio["Description"]) == ("renamed", "d")
    assert (studio["SubnetIds"], studio["DefaultS3Location"]) == ([first, second, third], f"s3://{BUCKET}/other")
    assert studio["Tags"] == [{"Key": "Team", "Value": "Data Analytics"}]
    assert aws("delete-studio", *named) is None
    assert made["StudioId"] not in [one["StudioId"] for one in aws("list-studios")["Studios"]]
