"""Names, paths, renames, tags, conflicts: what AWS does when things are there already, still, or no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from emr_studio.clock import SystemClock
from tests.api.test_iam_api import error_of
from tests.support.iam_api import ACCOUNT, IamWorld, allow, policy, served_iam, trust

ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TRUST = trust({"Service": "ec2.amazonaws.com"})
DOCUMENT = json.dumps(policy(allow("s3:GetObject")))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def iam(world: IamWorld) -> Any:
    return world.client("iam")


@pytest.mark.parametrize(
    ("call", "member", "more", "message"),
    [
        ("create_user", "UserName", {}, "User with name {} already exists."),
        ("create_group", "GroupName", {}, "Group with name {} already exists."),
        ("create_role", "RoleName", {"AssumeRolePolicyDocument": TRUST}, "Role with name {} already exists."),
        ("create_instance_profile", "InstanceProfileName", {}, "Instance Profile {} already exists."),
        (
            "create_policy",
            "PolicyName",
            {"PolicyDocument": DOCUMENT},
            "A policy called {} already exists. Duplicate names are not allowed.",
        ),
    ],
)
def test_names_are_unique_ignoring_case(iam: Any, call: str, member: str, more: dict[str, str], message: str) -> None:
    getattr(iam, call)(**{member: "Twice"}, **more)
    found = error_of(getattr(iam, call), **{member: "tWICE"}, Path="/elsewhere/", **more)
    assert found == ("EntityAlreadyExists", 409, message.format("tWICE"))


@pytest.mark.parametrize("path", ["no-slash", "/open", "//\x7f/", "/" + "a" * 511 + "/"])
def test_paths_that_are_none(iam: Any, path: str) -> None:
    assert error_of(iam.create_user, UserName="pathless", Path=path)[:2] == ("ValidationError", 400)


def test_a_group_keeps_its_members_and_policies_when_renamed(world: IamWorld, iam: Any) -> None:
    member = world.client("iam", *world.new_user("stays"))
    before = iam.create_group(GroupName="before")["Group"]["GroupId"]
    iam.add_user_to_group(GroupName="before", UserName="stays")
    iam.put_group_policy(GroupName="before", PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:ListUsers"))))
    iam.update_group(GroupName="before", NewGroupName="after", NewPath="/new/")
    assert iam.get_group(GroupName="after")["Group"]["GroupId"] == before
    assert member.list_users()["Users"]
    assert iam.list_groups_for_user(UserName="stays")["Groups"][0]["Arn"] == f"{ARN}:group/new/after"
    iam.create_group(GroupName="other")
    assert error_of(iam.update_group, GroupName="after", NewGroupName="OTHER")[0] == "EntityAlreadyExists"
    iam.update_group(GroupName="after", NewGroupName="AFTER")
    assert iam.get_group(GroupName="AFTER")["Group"]["GroupId"] == before
    assert error_of(iam.delete_group, GroupName="AFTER") == (
        "DeleteConflict",
        409,
        "Cannot delete entity, must remove users from group first.",
    )


def test_a_renamed_user_keeps_key_and_password(world: IamWorld, iam: Any) -> None:
    key = world.new_user("maiden", policy(allow("iam:GetUser")))
    iam.create_login_profile(UserName="maiden", Password="Long-enough-1")
    iam.update_user(UserName="maiden", NewUserName="married")
    assert world.client("iam", *key).get_user()["User"]["UserName"] == "married"
    assert iam.get_login_profile(UserName="married")["LoginProfile"]["UserName"] == "married"
    again = iam.create_user(UserName="maiden")["User"]["UserId"]
    assert again != iam.get_user(UserName="married")["User"]["UserId"]


def test_what_keeps_a_role_from_going(iam: Any) -> None:
    iam.create_role(RoleName="held", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=READ_ONLY)
    iam.attach_role_policy(RoleName="held", PolicyArn=READ_ONLY)
    iam.put_role_policy(RoleName="held", PolicyName="p", PolicyDocument=DOCUMENT)
    assert error_of(iam.delete_role, RoleName="held")[2] == "Cannot delete entity, must detach all policies first."
    iam.detach_role_policy(RoleName="held", PolicyArn=READ_ONLY)
    assert error_of(iam.delete_role, RoleName="held")[2] == "Cannot delete entity, must delete policies first."
    iam.delete_role_policy(RoleName="held", PolicyName="p")
    iam.delete_role_permissions_boundary(RoleName="held")
    assert error_of(iam.delete_role_permissions_boundary, RoleName="held")[:2] == ("NoSuchEntity", 404)
    iam.delete_role(RoleName="held")


def test_a_boundary_keeps_its_policy(iam: Any) -> None:
    edge = iam.create_policy(PolicyName="boundary", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    iam.create_user(UserName="edged", PermissionsBoundary=edge)
    assert error_of(iam.delete_policy, PolicyArn=edge)[2] == "Cannot delete a policy attached to entities."
    iam.delete_user_permissions_boundary(UserName="edged")
    iam.delete_policy(PolicyArn=edge)
    assert error_of(iam.put_user_permissions_boundary, UserName="edged", PermissionsBoundary=edge) == (
        "NoSuchEntity",
        404,
        f"Policy {edge} does not exist or is not attachable.",
    )


def test_ten_policies_and_ten_groups(iam: Any) -> None:
    iam.create_user(UserName="ten")
    for number in range(10):
        arn = iam.create_policy(PolicyName=f"ten{number}", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="ten", PolicyArn=arn)
        iam.create_group(GroupName=f"ten{number}")
        iam.add_user_to_group(GroupName=f"ten{number}", UserName="ten")
    assert error_of(iam.attach_user_policy, UserName="ten", PolicyArn=READ_ONLY) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for PoliciesPerUser: 10",
    )
    iam.attach_user_policy(UserName="ten", PolicyArn=arn)
    iam.create_group(GroupName="eleventh")
    assert error_of(iam.add_user_to_group, GroupName="eleventh", UserName="ten")[2] == (
        "Cannot exceed quota for GroupsPerUser: 10"
    )
    pages = iam.get_paginator("list_attached_user_policies").paginate(UserName="ten", PaginationConfig={"PageSize": 4})
    assert [len(page["AttachedPolicies"]) for page in pages] == [4, 4, 2]


@pytest.mark.parametrize(
    ("word", "name", "create"),
    [
        ("user", {"UserName": "tags"}, {}),
        ("role", {"RoleName": "tags"}, {"AssumeRolePolicyDocument": TRUST}),
        ("instance_profile", {"InstanceProfileName": "tags"}, {}),
        ("policy", {"PolicyName": "tags"}, {"PolicyDocument": DOCUMENT}),
    ],
)
def test_tags_of_everything(iam: Any, word: str, name: dict[str, str], create: dict[str, str]) -> None:
    made = getattr(iam, f"create_{word}")(**name, **create, Tags=[{"Key": "Team", "Value": "a"}])
    named = {"PolicyArn": made["Policy"]["Arn"]} if word == "policy" else name
    tag, untag, shown = getattr(iam, f"tag_{word}"), getattr(iam, f"untag_{word}"), getattr(iam, f"list_{word}_tags")
    tag(**named, Tags=[{"Key": "TEAM", "Value": "b"}, {"Key": "empty", "Value": ""}])
    assert shown(**named)["Tags"] == [{"Key": "TEAM", "Value": "b"}, {"Key": "empty", "Value": ""}]
    tag(**named, Tags=[{"Key": f"k{number:02}", "Value": "v"} for number in range(48)])
    assert error_of(tag, **named, Tags=[{"Key": "one-more", "Value": "v"}])[0] == "LimitExceeded"
    first = shown(**named, MaxItems=30)
    rest = shown(**named, MaxItems=30, Marker=first["Marker"])
    assert (len(first["Tags"]), len(rest["Tags"]), rest["IsTruncated"]) == (30, 20, False)
    twice = [{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}]
    assert error_of(tag, **named, Tags=twice)[2] == (
        "Duplicate tag keys found. Please note that Tag keys are case insensitive."
    )
    assert error_of(tag, **named, Tags=[{"Key": "aws:x", "Value": "1"}])[0] == "InvalidInput"
    untag(**named, TagKeys=["team", "never-there", *(f"k{number:02}" for number in range(48))])
    assert [one["Key"] for one in shown(**named)["Tags"]] == ["empty"]


def test_an_alias_is_one_accounts(world: IamWorld, iam: Any) -> None:
    other = world.client("iam", *world.other_root)
    iam.create_account_alias(AccountAlias="shared-name")
    assert error_of(other.create_account_alias, AccountAlias="shared-name") == (
        "EntityAlreadyExists",
        409,
        "The account alias shared-name already exists.",
    )
    assert error_of(other.delete_account_alias, AccountAlias="shared-name")[0] == "NoSuchEntity"
    assert other.list_account_aliases()["AccountAliases"] == []
    iam.delete_account_alias(AccountAlias="shared-name")
    other.create_account_alias(AccountAlias="shared-name")


def test_sizes_do_not_count_white_space(iam: Any) -> None:
    wide = json.dumps(policy(allow([f"s3:Action{number}" for number in range(120)])), indent=40)
    assert len(wide) > 6144
    iam.create_policy(PolicyName="wide", PolicyDocument=wide)
    long = json.dumps(policy(allow([f"s3:Action{number:050}" for number in range(120)])))
    assert error_of(iam.create_policy, PolicyName="long", PolicyDocument=long) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for PolicySize: 6144",
    )
    statements = [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}] * 40
    assert error_of(iam.create_role, RoleName="long", AssumeRolePolicyDocument=json.dumps(policy(*statements)))[2] == (
        "Cannot exceed quota for ACLSizePerRole: 2048"
    )
