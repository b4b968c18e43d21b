"""The policy simulator through stock boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from emr_studio.clock import SystemClock
from tests.api.test_iam_api import error_of
from tests.support.iam_api import ACCOUNT, OTHER, IamWorld, allow, policy, served_iam

BUCKET = "arn:aws:s3:::b"
USER = f"arn:aws:iam::{ACCOUNT}:user"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def iam(world: IamWorld) -> Any:
    return world.client("iam")


def deny(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def custom(iam: Any, document: Any, *actions: str, **more: Any) -> list[dict[str, Any]]:
    text = document if isinstance(document, str) else json.dumps(document)
    results = iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=list(actions), **more)
    return list(results["EvaluationResults"])


def test_the_example_of_the_documentation(iam: Any) -> None:
    text = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":'
        '{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    when = {"ContextKeyName": "aws:CurrentTime", "ContextKeyType": "date"}
    entry = [{**when, "ContextKeyValues": ["2019-04-25T11:00:00Z"]}]
    (found,) = custom(iam, text, "dynamodb:CreateBackup", ContextEntries=entry)
    assert found == {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": "allowed",
        "MatchedStatements": [
            {
                "SourcePolicyId": "PolicyInputList.1",
                "SourcePolicyType": "none",
                "StartPosition": {"Line": 1, "Column": 38},
                "EndPosition": {"Line": 1, "Column": 167},
            }
        ],
        "MissingContextValues": [],
    }
    entry = [{**when, "ContextKeyValues": ["2014-04-25T11:00:00Z"]}]
    (found,) = custom(iam, text, "dynamodb:CreateBackup", ContextEntries=entry)
    assert (found["EvalDecision"], found["MatchedStatements"]) == ("implicitDeny", [])


def test_a_result_for_each_action_and_resource(iam: Any) -> None:
    document = policy(allow("s3:Get*", f"{BUCKET}/*"), deny("s3:GetObject", f"{BUCKET}/secret/*"))
    arns = [f"{BUCKET}/a", f"{BUCKET}/secret/a"]
    found = custom(iam, json.dumps(document, indent=2), "s3:GetObject", "s3:PutObject", ResourceArns=arns)
    decided = [(one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"]) for one in found]
    assert decided == [
        ("s3:GetObject", arns[0], "allowed"),
        ("s3:GetObject", arns[1], "explicitDeny"),
        ("s3:PutObject", arns[0], "implicitDeny"),
        ("s3:PutObject", arns[1], "implicitDeny"),
    ]
    # On a Deny just the Denys; positions are those of the text.
    (matched,) = found[1]["MatchedStatements"]
    assert (matched["StartPosition"], matched["EndPosition"]) == (
        {"Line": 9, "Column": 6},
        {"Line": 13, "Column": 6},
    )
    (below,) = found[1]["ResourceSpecificResults"]
    assert (below["EvalResourceName"], below["EvalResourceDecision"]) == (arns[1], "explicitDeny")


def test_pages(iam: Any) -> None:
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[json.dumps(policy(allow("s3:*")))],
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=[f"{BUCKET}/{number}" for number in range(3)],
        PaginationConfig={"PageSize": 4},
    )
    assert [len(page["EvaluationResults"]) for page in pages] == [4, 2]


def test_missing_context_is_named(iam: Any) -> None:
    document = policy(
        allow("s3:*", f"{BUCKET}/${{aws:username}}/*", Condition={"StringEquals": {"aws:PrincipalTag/Team": "data"}}),
        allow("ec2:*", Condition={"Bool": {"ec2:Region": "x"}}),
    )
    (alone,) = custom(iam, document, "s3:GetObject")
    assert alone["MissingContextValues"] == ["aws:PrincipalTag/Team", "aws:username"]
    entries = [
        {"ContextKeyName": "AWS:UserName", "ContextKeyValues": ["ann"], "ContextKeyType": "string"},
        {"ContextKeyName": "aws:principaltag/team", "ContextKeyValues": ["data"], "ContextKeyType": "string"},
    ]
    arns = [f"{BUCKET}/ann/x", f"{BUCKET}/ben/x"]
    found = custom(iam, document, "s3:GetObject", ContextEntries=entries, ResourceArns=arns)
    assert [one["EvalDecision"] for one in found] == ["allowed", "implicitDeny"]
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[json.dumps(document)])["ContextKeyNames"] == [
        "aws:PrincipalTag/Team",
        "aws:username",
        "ec2:Region",
    ]


@pytest.mark.parametrize(
    ("kind", "values", "operator", "wanted"),
    [
        ("numeric", ["5"], "NumericLessThan", "6"),
        ("boolean", ["true"], "Bool", "true"),
        ("ip", ["10.0.0.9"], "IpAddress", "10.0.0.0/8"),
        ("date", ["2026-01-01T00:00:00Z"], "DateLessThan", "2027-01-01T00:00:00Z"),
        ("binary", ["QQ=="], "BinaryEquals", "QQ=="),
        ("string", ["x"], "StringEquals", "x"),
        ("stringList", ["x", "y"], "ForAllValues:StringEquals", ["x", "y"]),
        ("numericList", ["5", "7"], "ForAnyValue:NumericEquals", "7"),
    ],
)
def test_types_of_context(iam: Any, kind: str, values: list[str], operator: str, wanted: Any) -> None:
    document = policy(allow("s3:*", Condition={operator: {"s3:key": wanted}}))
    entry = {"ContextKeyName": "s3:key", "ContextKeyValues": values, "ContextKeyType": kind}
    assert custom(iam, document, "s3:GetObject", ContextEntries=[entry])[0]["EvalDecision"] == "allowed"
    wrong = {**entry, "ContextKeyValues": ["~"]}
    if not kind.startswith("string"):
        assert error_of(
            iam.simulate_custom_policy,
            PolicyInputList=[json.dumps(document)],
            ActionNames=["s3:GetObject"],
            ContextEntries=[wrong],
        )[:2] == ("InvalidInput", 400)


def test_a_boundary_speaks_too(iam: Any) -> None:
    boundary = [json.dumps(policy(allow("s3:GetObject")))]
    found = custom(
        iam, policy(allow("s3:*")), "s3:GetObject", "s3:PutObject", PermissionsBoundaryPolicyInputList=boundary
    )
    assert [one["EvalDecision"] for one in found] == ["allowed", "implicitDeny"]
    details = [one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for one in found]
    assert details == [True, False]
    assert [one["SourcePolicyId"] for one in found[0]["MatchedStatements"]] == [
        "PolicyInputList.1",
        "PermissionsBoundaryPolicyInputList.1",
    ]


def test_a_resource_policy_in_the_account_and_across(iam: Any) -> None:
    ann = f"{USER}/ann"
    statement = {"Effect": "Allow", "Principal": {"AWS": ann}, "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
    more = {"ResourcePolicy": json.dumps(policy(statement)), "CallerArn": ann, "ResourceArns": [f"{BUCKET}/k"]}
    nothing = policy(allow("ec2:*"))
    (found,) = custom(iam, nothing, "s3:GetObject", **more)
    assert found["EvalDecision"] == "allowed"
    assert found["MatchedStatements"][0]["SourcePolicyType"] == "resource"
    (found,) = custom(iam, nothing, "s3:GetObject", **more, ResourceOwner=f"arn:aws:iam::{OTHER}:root")
    assert found["EvalDecision"] == "implicitDeny"
    assert found["EvalDecisionDetails"] == {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"}
    (found,) = custom(iam, policy(allow("s3:*")), "s3:GetObject", **more, ResourceOwner=OTHER)
    assert found["EvalDecision"] == "allowed"
    assert error_of(
        iam.simulate_custom_policy,
        PolicyInputList=[json.dumps(nothing)],
        ActionNames=["s3:GetObject"],
        ResourcePolicy=more["ResourcePolicy"],
    )[2] == ("CallerArn is required when ResourcePolicy is given.")


@pytest.fixture(scope="module")
def people(iam: Any) -> dict[str, str]:
    """A user with an inline policy, a group's policy, a managed policy; ARNs by word."""
    iam.create_user(UserName="sam", Path="/team/", Tags=[{"Key": "Team", "Value": "data"}])
    iam.create_group(GroupName="crew")
    iam.add_user_to_group(GroupName="crew", UserName="sam")
    own = policy(allow("s3:GetObject", f"{BUCKET}/${{aws:username}}/*"))
    iam.put_user_policy(UserName="sam", PolicyName="own", PolicyDocument=json.dumps(own))
    iam.put_group_policy(GroupName="crew", PolicyName="crews", PolicyDocument=json.dumps(policy(allow("s3:List*"))))
    made = iam.create_policy(PolicyName="ours", PolicyDocument=json.dumps(policy(deny("s3:ListBucket"))))["Policy"]
    iam.attach_user_policy(UserName="sam", PolicyArn=made["Arn"])
    iam.attach_user_policy(UserName="sam", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    return {"user": f"{USER}/team/sam", "group": f"arn:aws:iam::{ACCOUNT}:group/crew", "policy": made["Arn"]}


def principal(iam: Any, arn: str, *actions: str, **more: Any) -> list[dict[str, Any]]:
    results = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(actions), **more)
    return list(results["EvaluationResults"])


def sources(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["SourcePolicyId"], one["SourcePolicyType"]) for one in found["MatchedStatements"]}


def test_policies_of_a_user(iam: Any, people: dict[str, str]) -> None:
    arns = [f"{BUCKET}/sam/x"]
    found = principal(iam, people["user"], "s3:GetObject", "s3:ListBucket", "s3:ListAllMyBuckets", ResourceArns=arns)
    assert [each["EvalDecision"] for each in found] == ["allowed", "explicitDeny", "allowed"]
    assert ("own", "user") in sources(found[0])
    assert ("ReadOnlyAccess", "aws-managed") in sources(found[0])
    assert sources(found[1]) == {("ours", "user-managed")}
    assert ("crews", "group") in sources(found[2])
    without: list[dict[str, Any]] = [{"PolicyArn": people["policy"]}, {"PolicyArn": "arn:aws:iam::aws:policy/Read*"}]
    (one,) = principal(iam, people["user"], "s3:ListBucket", PolicyExclusionList=without)
    assert (one["EvalDecision"], sources(one)) == ("allowed", {("crews", "group")})
    without.append(
        {"InlinePolicyIdentifier": {"PolicyName": "crews", "AttachmentType": "group", "AttachmentName": "crew"}}
    )
    (one,) = principal(iam, people["user"], "s3:ListBucket", PolicyExclusionList=without)
    assert one["EvalDecision"] == "implicitDeny"
    extra = [json.dumps(policy(allow("ec2:RunInstances")))]
    assert principal(iam, people["user"], "ec2:RunInstances", PolicyInputList=extra)[0]["EvalDecision"] == "allowed"
    assert principal(iam, people["group"], "s3:ListBucket")[0]["EvalDecision"] == "allowed"
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=people["user"])["ContextKeyNames"]
    assert "aws:username" in keys


def test_the_boundary_of_a_role_is_simulated(iam: Any) -> None:
    trusting = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    arn = iam.create_role(
        RoleName="edged",
        AssumeRolePolicyDocument=json.dumps(trusting),
        PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
    )["Role"]["Arn"]
    iam.attach_role_policy(RoleName="edged", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    found = principal(iam, arn, "s3:GetObject", "s3:PutObject")
    assert [one["EvalDecision"] for one in found] == ["allowed", "implicitDeny"]
    assert not found[1]["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]
    assert sources(found[0]) == {("AdministratorAccess", "aws-managed"), ("AmazonS3ReadOnlyAccess", "aws-managed")}
    as_other = principal(iam, arn, "s3:GetObject", CallerArn=f"{USER}/nobody", ResourceArns=[f"{BUCKET}/x"])
    assert as_other[0]["EvalDecision"] == "allowed"


def test_what_is_refused(iam: Any) -> None:
    good = {"PolicyInputList": [json.dumps(policy(allow("s3:*")))], "ActionNames": ["s3:GetObject"]}
    for wrong in (
        {"PolicyInputList": ["{"]},
        {"PolicyInputList": [json.dumps(policy({**allow("s3:*"), "Principal": "*"}))]},
        {"ActionNames": ["GetObject"]},
        {"ActionNames": ["s3:*"]},
        {"ResourceArns": ["bucket"]},
        {"CallerArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s"},
        {"ResourceOwner": "somebody"},
        {"PermissionsBoundaryPolicyInputList": good["PolicyInputList"] * 2},
        {"ContextEntries": [{"ContextKeyName": "aws:b", "ContextKeyValues": ["1", "2"], "ContextKeyType": "string"}]},
        {"ResourceHandlingOption": "EC2-VPC-EBS"},
    ):
        assert error_of(iam.simulate_custom_policy, **{**good, **wrong})[:2] == ("InvalidInput", 400), wrong
    assert error_of(iam.simulate_principal_policy, PolicySourceArn=f"{USER}/nobody", ActionNames=["s3:Get"]) == (
        "NoSuchEntity",
        404,
        "The user with name nobody cannot be found.",
    )
    assert error_of(
        iam.simulate_principal_policy, PolicySourceArn=f"arn:aws:iam::{OTHER}:user/x", ActionNames=["s3:Get"]
    )[0] == ("AccessDenied")
    assert error_of(iam.simulate_principal_policy, PolicySourceArn=BUCKET + "/xxxxxxxx", ActionNames=["s3:Get"])[0] == (
        "InvalidInput"
    )


def test_simulation_agrees_with_what_happens(world: IamWorld, iam: Any) -> None:
    document = policy(allow("iam:List*"), deny("iam:ListRoles"))
    client = world.client("iam", *world.new_user("agrees", document))
    found = principal(iam, f"{USER}/agrees", "iam:ListUsers", "iam:ListRoles", "iam:GetUser")
    assert [one["EvalDecision"] for one in found] == ["allowed", "explicitDeny", "implicitDeny"]
    assert client.list_users()["Users"]
    assert error_of(client.list_roles)[0] == "AccessDenied"
    assert error_of(client.get_user)[0] == "AccessDenied"
