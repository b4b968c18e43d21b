"""IAM and STS through stock boto3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clock import SystemClock
from tests.support.iam_api import ACCOUNT, OTHER, IamWorld, OffsetClock, allow, policy, served_iam, trust

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def iam(world: IamWorld) -> Any:
    return world.client("iam")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    """(code, status, message) of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_caller_identity_of_user_and_root(world: IamWorld) -> None:
    identity = world.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    assert identity["UserId"].startswith("AIDA")
    root = world.client("sts", *world.other_root).get_caller_identity()
    assert (root["Arn"], root["Account"], root["UserId"]) == (f"arn:aws:iam::{OTHER}:root", OTHER, OTHER)


def test_user_life(iam: Any) -> None:
    made = iam.create_user(UserName="Life", Path="/team/", Tags=[{"Key": "Team", "Value": "data"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/Life"
    assert error_of(iam.create_user, UserName="life") == (
        "EntityAlreadyExists",
        409,
        "User with name life already exists.",
    )
    iam.tag_user(UserName="Life", Tags=[{"Key": "team", "Value": "ops"}])
    assert iam.list_user_tags(UserName="Life")["Tags"] == [{"Key": "team", "Value": "ops"}]
    iam.update_user(UserName="Life", NewUserName="Living", NewPath="/")
    assert iam.get_user(UserName="Living")["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/Living"
    iam.put_user_policy(UserName="Living", PolicyName="p", PolicyDocument=json.dumps(policy(allow("s3:*"))))
    assert error_of(iam.delete_user, UserName="Living") == (
        "DeleteConflict",
        409,
        "Cannot delete entity, must delete policies first.",
    )
    iam.delete_user_policy(UserName="Living", PolicyName="p")
    iam.untag_user(UserName="Living", TagKeys=["TEAM"])
    iam.delete_user(UserName="Living")
    assert error_of(iam.get_user, UserName="Living") == (
        "NoSuchEntity",
        404,
        "The user with name Living cannot be found.",
    )


def test_lists_come_in_pages(iam: Any) -> None:
    for number in range(7):
        iam.create_user(UserName=f"page{number}", Path="/pages/")
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 3}))
    assert [len(page["Users"]) for page in pages] == [3, 3, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == [f"page{number}" for number in range(7)]
    code, status, _ = error_of(iam.list_users, PathPrefix="/", Marker=pages[0]["Marker"])
    assert (code, status) == ("InvalidInput", 400)
    with pytest.raises(ClientError):
        iam.list_users(Marker="junk")


def test_access_keys(world: IamWorld, iam: Any) -> None:
    first = world.new_user("keys", policy(allow("iam:GetUser")))
    user = world.client("iam", *first)
    assert user.get_user()["User"]["UserName"] == "keys"
    iam.create_access_key(UserName="keys")
    assert error_of(iam.create_access_key, UserName="keys") == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    used = iam.get_access_key_last_used(AccessKeyId=first[0])
    assert (used["UserName"], used["AccessKeyLastUsed"]["ServiceName"]) == ("keys", "iam")
    iam.update_access_key(UserName="keys", AccessKeyId=first[0], Status="Inactive")
    assert error_of(user.get_user) == (
        "InvalidClientTokenId",
        403,
        "The security token included in the request is invalid.",
    )
    iam.update_access_key(UserName="keys", AccessKeyId=first[0], Status="Active")
    assert user.get_user()["User"]["UserName"] == "keys"
    iam.delete_access_key(UserName="keys", AccessKeyId=first[0])
    assert error_of(user.get_user)[0] == "InvalidClientTokenId"
    assert len(iam.list_access_keys(UserName="keys")["AccessKeyMetadata"]) == 1


def test_login_profile(world: IamWorld, iam: Any) -> None:
    key = world.new_user("login", policy(allow("iam:ChangePassword", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}")))
    assert error_of(iam.create_login_profile, UserName="login", Password="short")[0] == "PasswordPolicyViolation"
    iam.create_login_profile(UserName="login", Password="Long-enough-1", PasswordResetRequired=True)
    assert error_of(iam.create_login_profile, UserName="login", Password="Long-enough-1")[0] == "EntityAlreadyExists"
    assert iam.get_login_profile(UserName="login")["LoginProfile"]["PasswordResetRequired"]
    world.client("iam", *key).change_password(OldPassword="Long-enough-1", NewPassword="Other-enough-2")
    assert not iam.get_login_profile(UserName="login")["LoginProfile"]["PasswordResetRequired"]
    iam.delete_login_profile(UserName="login")
    assert error_of(iam.get_login_profile, UserName="login") == (
        "NoSuchEntity",
        404,
        "Login Profile for User login cannot be found.",
    )


def test_groups_grant(world: IamWorld, iam: Any) -> None:
    user = world.client("iam", *world.new_user("member"))
    iam.create_group(GroupName="readers", Path="/g/")
    document = policy(allow("iam:List*"))
    iam.put_group_policy(GroupName="readers", PolicyName="list", PolicyDocument=json.dumps(document))
    code, status, message = error_of(user.list_groups)
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/member is not authorized to perform: iam:ListGroups on resource: "
        f"arn:aws:iam::{ACCOUNT}:group/ because no identity-based policy allows the iam:ListGroups action"
    )
    iam.add_user_to_group(GroupName="readers", UserName="member")
    assert "readers" in [group["GroupName"] for group in user.list_groups()["Groups"]]
    assert [one["UserName"] for one in iam.get_group(GroupName="readers")["Users"]] == ["member"]
    assert iam.get_group_policy(GroupName="readers", PolicyName="list")["PolicyDocument"] == document
    iam.remove_user_from_group(GroupName="readers", UserName="member")
    assert error_of(user.list_groups)[0] == "AccessDenied"


def test_managed_policies_and_versions(world: IamWorld, iam: Any) -> None:
    user = world.client("iam", *world.new_user("versions"))
    arn = iam.create_policy(PolicyName="vers", PolicyDocument=json.dumps(policy(allow("iam:ListUsers"))))["Policy"][
        "Arn"
    ]
    iam.attach_user_policy(UserName="versions", PolicyArn=arn)
    assert user.list_users()["Users"]
    wider = policy(allow("iam:*"), {"Effect": "Deny", "Action": "iam:ListUsers", "Resource": "*"})
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(wider), SetAsDefault=True)
    message = error_of(user.list_users)[2]
    assert message.endswith(f"with an explicit deny in an identity-based policy: {arn}")
    assert user.list_roles()["Roles"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == wider
    assert error_of(iam.delete_policy_version, PolicyArn=arn, VersionId="v2")[:2] == ("DeleteConflict", 409)
    assert error_of(iam.delete_policy, PolicyArn=arn)[2] == "Cannot delete a policy attached to entities."
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"][0]["UserName"] == "versions"
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(wider))
    assert error_of(iam.create_policy_version, PolicyArn=arn, PolicyDocument=json.dumps(wider)) == (
        "LimitExceeded",
        409,
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing "
        "version.",
    )
    iam.detach_user_policy(UserName="versions", PolicyArn=arn)
    assert error_of(user.list_roles)[0] == "AccessDenied"
    for number in (1, 3, 4, 5):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    iam.delete_policy(PolicyArn=arn)
    assert error_of(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", 404, f"Policy {arn} was not found.")


def test_aws_managed_policies(iam: Any) -> None:
    names = {one["PolicyName"] for one in iam.list_policies(Scope="AWS", MaxItems=200)["Policies"]}
    assert {
        "AdministratorAccess",
        "ReadOnlyAccess",
        "AmazonEMRFullAccessPolicy_v2",
        "AmazonEMRReadOnlyAccessPolicy_v2",
        "AmazonEMRServicePolicy_v2",
        "AmazonElasticMapReduceforEC2Role",
        "AmazonElasticMapReduceEditorsRole",
    } <= names
    arn = "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (found["Path"], found["DefaultVersionId"]) == ("/service-role/", "v1")
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]["Version"] == "2012-10-17"
    assert error_of(iam.delete_policy, PolicyArn=arn)[0] == "NoSuchEntity"


def test_malformed_policies_are_refused(iam: Any) -> None:
    iam.create_user(UserName="malformed")

    def put(document: Any) -> str:
        text = document if isinstance(document, str) else json.dumps(document)
        code, status, message = error_of(iam.put_user_policy, UserName="malformed", PolicyName="p", PolicyDocument=text)
        assert (code, status) == ("MalformedPolicyDocument", 400)
        return message

    assert put("{") == "Syntax errors in policy."
    assert put({"Statement": []}) == "Syntax errors in policy."
    assert put({"Version": "2008-10-17", "Statement": allow("s3:*")}) == (
        "Policy document must be version 2012-10-17 or greater."
    )
    assert put(policy({**allow("s3:*"), "Principal": "*"})) == "Syntax errors in policy."
    assert put(policy(allow("GetObject"))).startswith("Actions/Conditions must be prefaced by a vendor")
    assert put(policy(allow("s3:*", "bucket"))) == 'Resource bucket must be in ARN format or "*".'
    long = policy(allow([f"s3:Action{number:04}" for number in range(200)]))
    assert error_of(iam.put_user_policy, UserName="malformed", PolicyName="p", PolicyDocument=json.dumps(long)) == (
        "LimitExceeded",
        409,
        "Maximum policy size of 2048 bytes exceeded for user malformed",
    )


def test_role_and_instance_profile_life(iam: Any) -> None:
    document = trust({"Service": "ec2.amazonaws.com"})
    made = iam.create_role(
        RoleName="node",
        Path="/emr/",
        AssumeRolePolicyDocument=document,
        Description="nodes",
        MaxSessionDuration=7200,
        Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]
    assert made["Arn"] == f"{ROLE_ARN}/emr/node"
    found = iam.get_role(RoleName="node")["Role"]
    assert found["AssumeRolePolicyDocument"] == json.loads(document)
    assert (found["Description"], found["MaxSessionDuration"], found["Tags"]) == (
        "nodes",
        7200,
        [{"Key": "a", "Value": "b"}],
    )
    iam.put_role_policy(RoleName="node", PolicyName="p+", PolicyDocument=json.dumps(policy(allow("s3:Get+%*"))))
    assert iam.get_role_policy(RoleName="node", PolicyName="p+")["PolicyDocument"]["Statement"][0]["Action"] == (
        "s3:Get+%*"
    )
    iam.create_instance_profile(InstanceProfileName="node")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    assert error_of(iam.add_role_to_instance_profile, InstanceProfileName="node", RoleName="node")[0] == "LimitExceeded"
    assert iam.get_instance_profile(InstanceProfileName="node")["InstanceProfile"]["Roles"][0]["RoleName"] == "node"
    assert len(iam.list_instance_profiles_for_role(RoleName="node")["InstanceProfiles"]) == 1
    assert error_of(iam.delete_role, RoleName="node")[2] == (
        "Cannot delete entity, must remove roles from instance profile first."
    )
    iam.remove_role_from_instance_profile(InstanceProfileName="node", RoleName="node")
    iam.delete_instance_profile(InstanceProfileName="node")
    iam.delete_role_policy(RoleName="node", PolicyName="p+")
    iam.update_role(RoleName="node", Description="")
    iam.delete_role(RoleName="node")


def test_trusted_entity_is_kept_by_its_id(world: IamWorld, iam: Any) -> None:
    key = world.new_user("trusted")
    arn = f"arn:aws:iam::{ACCOUNT}:user/trusted"
    iam.create_role(RoleName="by-id", AssumeRolePolicyDocument=trust({"AWS": arn}))
    assume = {"RoleArn": f"{ROLE_ARN}/by-id", "RoleSessionName": "s1"}
    assert world.client("sts", *key).assume_role(**assume)["Credentials"]
    shown = iam.get_role(RoleName="by-id")["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"][0]["Principal"] == {"AWS": arn}
    iam.delete_access_key(UserName="trusted", AccessKeyId=key[0])
    iam.delete_user(UserName="trusted")
    again = world.new_user("trusted")
    shown = iam.get_role(RoleName="by-id")["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"][0]["Principal"]["AWS"].startswith("AIDA")
    assert error_of(world.client("sts", *again).assume_role, **assume)[0] == "AccessDenied"
    assert error_of(iam.update_assume_role_policy, RoleName="by-id", PolicyDocument=trust({"AWS": arn + "x"})) == (
        "MalformedPolicyDocument",
        400,
        f'Invalid principal in policy: "AWS":"{arn}x"',
    )


def test_assume_role_and_session_policies(world: IamWorld, iam: Any) -> None:
    key = world.new_user("assumer", policy(allow("sts:AssumeRole", f"{ROLE_ARN}/wide")))
    iam.create_role(RoleName="wide", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    iam.put_role_policy(RoleName="wide", PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:List*"))))
    sts = world.client("sts", *key)
    made = sts.assume_role(
        RoleArn=f"{ROLE_ARN}/wide",
        RoleSessionName="me",
        Policy=json.dumps(policy(allow(["iam:ListUsers", "iam:Get*"]))),
    )
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/wide/me"
    assert made["PackedPolicySize"] > 0
    session = world.session(made["Credentials"], "iam")
    assert session.list_users()["Users"]
    assert error_of(session.list_roles)[2].endswith("because no session policy allows the iam:ListRoles action")
    assert error_of(session.get_user, UserName="admin")[2].endswith(
        "because no identity-based policy allows the iam:GetUser action"
    )
    identity = world.session(made["Credentials"], "sts").get_caller_identity()
    assert identity["UserId"].startswith("AROA")
    assert identity["UserId"].endswith(":me")
    iam.delete_role_policy(RoleName="wide", PolicyName="p")
    assert error_of(session.list_users)[0] == "AccessDenied"
    iam.delete_role(RoleName="wide")
    assert error_of(session.list_users)[0] == "InvalidClientTokenId"


def test_assume_role_is_refused_as_aws_does(world: IamWorld, iam: Any) -> None:
    user_key = world.new_user("plain", policy(allow("iam:*")))
    sts = world.client("sts", *user_key)
    for role in ("EMRStudio_ServiceRole", "nobody"):
        assert error_of(sts.assume_role, RoleArn=f"{ROLE_ARN}/{role}", RoleSessionName="s1") == (
            "AccessDenied",
            403,
            f"User: arn:aws:iam::{ACCOUNT}:user/plain is not authorized to perform: sts:AssumeRole on resource: "
            f"{ROLE_ARN}/{role}",
        )
    iam.create_role(RoleName="short", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    admin = world.client("sts")
    code, _, message = error_of(
        admin.assume_role, RoleArn=f"{ROLE_ARN}/short", RoleSessionName="s1", DurationSeconds=7200
    )
    assert (code, message) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    other_root = world.client("sts", *world.other_root)
    assert error_of(other_root.assume_role, RoleArn=f"{ROLE_ARN}/short", RoleSessionName="s1")[0] == "AccessDenied"


def test_external_id_and_other_account(world: IamWorld, iam: Any) -> None:
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": "abc"}}}
    iam.create_role(RoleName="partner", AssumeRolePolicyDocument=trust({"AWS": OTHER}, **condition))
    other = world.client("iam", *world.other_root)
    other.create_user(UserName="guest")
    key = other.create_access_key(UserName="guest")["AccessKey"]
    guest = world.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assume = {"RoleArn": f"{ROLE_ARN}/partner", "RoleSessionName": "s1", "ExternalId": "abc"}
    assert error_of(guest.assume_role, **assume)[0] == "AccessDenied"
    document = json.dumps(policy(allow("sts:AssumeRole", f"{ROLE_ARN}/partner")))
    other.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=document)
    assert error_of(guest.assume_role, **{**assume, "ExternalId": "abd"})[0] == "AccessDenied"
    made = guest.assume_role(**assume)
    assert world.session(made["Credentials"], "sts").get_caller_identity()["Account"] == ACCOUNT
    names = [user["UserName"] for user in other.list_users()["Users"]]
    assert names == ["guest"]


def test_session_tags_and_source_identity(world: IamWorld, iam: Any) -> None:
    document = policy(
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
        {
            "Effect": "Allow",
            "Principal": {"AWS": ACCOUNT},
            "Action": ["sts:TagSession", "sts:SetSourceIdentity"],
            "Condition": {"StringLike": {"aws:RequestTag/team": "*"}},
        },
    )
    iam.create_role(RoleName="tagged", AssumeRolePolicyDocument=json.dumps(document))
    condition: dict[str, Any] = {
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "data", "aws:SourceIdentity": "ann"}}
    }
    iam.put_role_policy(
        RoleName="tagged", PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:ListUsers", **condition)))
    )
    sts = world.client("sts")
    arn = f"{ROLE_ARN}/tagged"
    assert error_of(sts.assume_role, RoleArn=arn, RoleSessionName="s1", Tags=[{"Key": "x", "Value": "y"}])[0] == (
        "AccessDenied"
    )
    tags = [{"Key": "team", "Value": "data"}]
    made = sts.assume_role(RoleArn=arn, RoleSessionName="s1", Tags=tags, SourceIdentity="ann")
    assert made["SourceIdentity"] == "ann"
    assert world.session(made["Credentials"], "iam").list_users()["Users"]
    plain = sts.assume_role(RoleArn=arn, RoleSessionName="s1")
    assert error_of(world.session(plain["Credentials"], "iam").list_users)[0] == "AccessDenied"


def test_transitive_tags_pass_down_a_chain(world: IamWorld, iam: Any) -> None:
    actions = ["sts:AssumeRole", "sts:TagSession"]
    first = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": actions})
    condition = {"StringEquals": {"aws:RequestTag/team": "data"}}
    second = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": actions, "Condition": condition})
    for name, document in (("chain1", first), ("chain2", second)):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy(allow(["sts:*", "iam:List*"])))
        )
    tags = [{"Key": "team", "Value": "data"}]
    start = {"RoleArn": f"{ROLE_ARN}/chain1", "RoleSessionName": "s1", "Tags": tags}
    follow = {"RoleArn": f"{ROLE_ARN}/chain2", "RoleSessionName": "s2"}
    plain = world.session(world.client("sts").assume_role(**start)["Credentials"], "sts")
    assert error_of(plain.assume_role, **follow)[0] == "AccessDenied"
    passed = world.session(world.client("sts").assume_role(**start, TransitiveTagKeys=["team"])["Credentials"], "sts")
    assert passed.assume_role(**follow)["Credentials"]
    assert error_of(passed.assume_role, **follow, Tags=tags)[0] == "InvalidParameterValue"
    assert error_of(passed.assume_role, **follow, DurationSeconds=3700)[0] == "ValidationError"


def test_boundary_limits(world: IamWorld, iam: Any) -> None:
    document = json.dumps(policy(allow("iam:ListUsers")))
    boundary = iam.create_policy(PolicyName="edge", PolicyDocument=document)["Policy"]["Arn"]
    user = world.client("iam", *world.new_user("bounded", policy(allow("iam:*"))))
    assert user.list_roles()["Roles"]
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=boundary)
    assert user.list_users()["Users"]
    assert error_of(user.list_roles)[2].endswith("because no permissions boundary allows the iam:ListRoles action")
    assert iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_user_permissions_boundary(UserName="bounded")
    assert user.list_roles()["Roles"]


def test_get_session_token_calls_no_iam(world: IamWorld) -> None:
    made = world.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    assert world.session(made, "sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    assert error_of(world.session(made, "iam").list_users)[0] == "InvalidClientTokenId"
    assert error_of(world.session(made, "sts").get_session_token)[0] == "AccessDenied"
    wrong = {**made, "AccessKeyId": "ASIA" + "A" * 16}
    assert error_of(world.session(wrong, "sts").get_caller_identity)[0] == "InvalidClientTokenId"


def test_tag_based_control_of_identities(world: IamWorld, iam: Any) -> None:
    same_team = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    on_create = {
        "StringEquals": {"aws:RequestTag/team": "data"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
    }
    document = policy(allow("iam:GetUser", Condition=same_team), allow("iam:CreateUser", Condition=on_create))
    key = world.new_user("lead", document)
    iam.tag_user(UserName="lead", Tags=[{"Key": "team", "Value": "data"}])
    lead = world.client("iam", *key)
    assert error_of(lead.create_user, UserName="t1")[0] == "AccessDenied"
    extra = [{"Key": "team", "Value": "data"}, {"Key": "x", "Value": "y"}]
    assert error_of(lead.create_user, UserName="t1", Tags=extra)[0] == "AccessDenied"
    lead.create_user(UserName="t1", Tags=extra[:1])
    assert lead.get_user(UserName="t1")["User"]["UserName"] == "t1"
    iam.tag_user(UserName="t1", Tags=[{"Key": "team", "Value": "ops"}])
    assert error_of(lead.get_user, UserName="t1")[0] == "AccessDenied"


def test_account_alias(iam: Any) -> None:
    iam.create_account_alias(AccountAlias="my-studio")
    assert iam.list_account_aliases()["AccountAliases"] == ["my-studio"]
    assert iam.get_account_summary()["SummaryMap"]["AccessKeysPerUserQuota"] == 2
    iam.delete_account_alias(AccountAlias="my-studio")
    assert iam.list_account_aliases()["AccountAliases"] == []


def test_session_ends_at_its_expiry(tmp_path: Any) -> None:
    clock = OffsetClock()
    with served_iam(tmp_path, clock) as world:
        role = f"{ROLE_ARN}/brief"
        world.client("iam").create_role(RoleName="brief", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
        made = world.client("sts").assume_role(RoleArn=role, RoleSessionName="s1", DurationSeconds=900)["Credentials"]
        session = world.session(made, "sts")
        assert session.get_caller_identity()["Arn"].endswith("assumed-role/brief/s1")
        clock.seconds = 901
        assert error_of(session.get_caller_identity)[0] == "ExpiredToken"


def test_odd_input_is_refused_in_order(iam: Any) -> None:
    odd = "arn:aws:iam::aws:policy/\u4e2d" + "x" * 20
    surrogate = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":%s}}'
    arn = iam.create_policy(PolicyName="odd", PolicyDocument=json.dumps(policy(allow("s3:*"))))["Policy"]["Arn"]
    for found in (
        error_of(iam.get_policy, PolicyArn=odd),
        error_of(iam.attach_user_policy, UserName="admin", PolicyArn=odd),
        error_of(iam.detach_user_policy, UserName="admin", PolicyArn=odd),
        error_of(iam.get_policy_version, PolicyArn=arn, VersionId="v" + "9" * 30),
        error_of(iam.create_user, UserName="odd", PermissionsBoundary=odd),
        error_of(
            iam.create_role,
            RoleName="odd",
            AssumeRolePolicyDocument=surrogate % f'{{"AWS":"arn:aws:iam::{ACCOUNT}:user/\\ud800"}}',
        ),
        error_of(iam.create_role, RoleName="odd", AssumeRolePolicyDocument=surrogate % ("[" * 3000 + "]" * 3000)),
        error_of(iam.put_user_policy, UserName="admin", PolicyName="odd", PolicyDocument="[" * 100_000),
    ):
        assert 400 <= found[1] < 500, found
