"""What IAM tells of a whole account: authorization details, reports, figures; quotas; service-linked roles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clock import SystemClock
from emr_studio.iam import managed, uses
from emr_studio.iam.model import Group, InstanceProfile, Policy, Role, User
from emr_studio.iam.operations import groups, instance_profiles, policies, roles, users
from emr_studio.iam.policy import PolicyKind, size_without_white_space, validate
from tests.api.test_iam_api import error_of
from tests.support.iam_api import ACCOUNT, OTHER, IamWorld, allow, policy, served_iam, trust

ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def iam(world: IamWorld) -> Any:
    return world.client("iam")


@pytest.fixture(scope="module")
def identities(iam: Any) -> dict[str, Any]:
    """One of each kind, tied together."""
    document = json.dumps(policy(allow("s3:GetObject")))
    ours = iam.create_policy(PolicyName="detail", PolicyDocument=document)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=ours, PolicyDocument=document, SetAsDefault=True)
    iam.create_user(UserName="dora", Path="/d/", PermissionsBoundary=READ_ONLY, Tags=[{"Key": "a", "Value": "b"}])
    iam.create_group(GroupName="details")
    iam.add_user_to_group(GroupName="details", UserName="dora")
    iam.put_user_policy(UserName="dora", PolicyName="inline", PolicyDocument=document)
    iam.put_group_policy(GroupName="details", PolicyName="groups", PolicyDocument=document)
    iam.attach_group_policy(GroupName="details", PolicyArn=ours)
    iam.create_role(RoleName="detailed", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    iam.attach_role_policy(RoleName="detailed", PolicyArn=ours)
    iam.create_instance_profile(InstanceProfileName="detailed")
    iam.add_role_to_instance_profile(InstanceProfileName="detailed", RoleName="detailed")
    return {"policy": ours, "document": json.loads(document)}


def test_authorization_details_say_everything(iam: Any, identities: dict[str, Any]) -> None:
    found = iam.get_account_authorization_details(MaxItems=1000)
    assert not found["IsTruncated"]
    (user,) = [one for one in found["UserDetailList"] if one["UserName"] == "dora"]
    assert user["GroupList"] == ["details"]
    assert user["UserPolicyList"] == [{"PolicyName": "inline", "PolicyDocument": identities["document"]}]
    assert (user["PermissionsBoundary"]["PermissionsBoundaryArn"], user["Tags"]) == (
        READ_ONLY,
        [{"Key": "a", "Value": "b"}],
    )
    (group,) = found["GroupDetailList"]
    assert group["AttachedManagedPolicies"] == [{"PolicyName": "detail", "PolicyArn": identities["policy"]}]
    assert group["GroupPolicyList"][0]["PolicyName"] == "groups"
    (role,) = [one for one in found["RoleDetailList"] if one["RoleName"] == "detailed"]
    assert role["InstanceProfileList"][0]["InstanceProfileName"] == "detailed"
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": f"{ARN}:root"}
    by_name = {one["PolicyName"]: one for one in found["Policies"]}
    assert [one["VersionId"] for one in by_name["detail"]["PolicyVersionList"]] == ["v2", "v1"]
    assert by_name["detail"]["PolicyVersionList"][0]["Document"] == identities["document"]
    # Of AWS's own those in use, as a boundary too.
    assert by_name["ReadOnlyAccess"]["PermissionsBoundaryUsageCount"] == 1
    assert "SecurityAudit" not in by_name


def test_authorization_details_in_pages_and_kinds(iam: Any, identities: dict[str, Any]) -> None:
    whole = iam.get_account_authorization_details(MaxItems=1000)
    members = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) > 4
    for member in members:
        assert [one["Arn"] for page in pages for one in page[member]] == [one["Arn"] for one in whole[member]]
    found = iam.get_account_authorization_details(Filter=["Group", "LocalManagedPolicy"])
    assert (found["UserDetailList"], found["RoleDetailList"]) == ([], [])
    assert {one["Arn"].split(":")[4] for one in found["Policies"]} == {ACCOUNT}
    assert found["GroupDetailList"]


def test_account_summary_is_complete(world: IamWorld, iam: Any, identities: dict[str, Any]) -> None:
    found = iam.get_account_summary()["SummaryMap"]
    assert found["Users"] == len(iam.list_users(MaxItems=1000)["Users"])
    wanted = {"Providers": 0, "MFADevices": 0, "AccountPasswordPresent": 1, "AccountAccessKeysPresent": 0}
    assert {name: found[name] for name in wanted} == wanted
    local = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"], MaxItems=1000)["Policies"]
    assert found["PolicyVersionsInUse"] == sum(len(one["PolicyVersionList"]) for one in local)
    assert len(found) >= 34
    iam.set_security_token_service_preferences(GlobalEndpointTokenVersion="v2Token")
    assert iam.get_account_summary()["SummaryMap"]["GlobalEndpointTokenVersion"] == 2
    other = world.client("iam", *world.other_root).get_account_summary()["SummaryMap"]
    assert (other["Users"], other["AccountAccessKeysPresent"], other["GlobalEndpointTokenVersion"]) == (0, 1, 1)


def test_credential_report(tmp_path: Path) -> None:
    with served_iam(tmp_path, SystemClock()) as world:
        iam = world.client("iam")
        assert error_of(iam.get_credential_report)[:2] == ("ReportNotPresent", 410)
        assert iam.generate_credential_report()["State"] == "STARTED"
        assert iam.generate_credential_report()["State"] == "COMPLETE"
        found = iam.get_credential_report()
        assert found["ReportFormat"] == "text/csv"
        rows = {row["user"]: row for row in csv.DictReader(io.StringIO(found["Content"].decode()))}
        assert set(rows) == {"<root_account>", "admin", "analyst"}
        admin = rows["admin"]
        assert len(admin) == 22
        assert (admin["password_enabled"], admin["password_last_used"]) == ("true", "no_information")
        assert (admin["access_key_1_active"], admin["access_key_1_last_used_service"]) == ("true", "iam")
        assert (admin["access_key_2_active"], admin["access_key_2_last_rotated"]) == ("false", "N/A")
        assert (rows["<root_account>"]["password_enabled"], admin["mfa_active"]) == ("not_supported", "false")


def test_last_accessed(world: IamWorld, iam: Any, identities: dict[str, Any]) -> None:
    key = world.new_user("reader", policy(allow(["iam:List*", "s3:*"])))
    world.client("iam", *key).list_users()
    arn = f"{ARN}:user/reader"
    job = iam.generate_service_last_accessed_details(Arn=arn)["JobId"]
    found = iam.get_service_last_accessed_details(JobId=job)
    assert (found["JobStatus"], found["JobType"]) == ("COMPLETED", "SERVICE_LEVEL")
    by_name = {one["ServiceNamespace"]: one for one in found["ServicesLastAccessed"]}
    assert set(by_name) == {"iam", "s3"}
    assert (by_name["iam"]["LastAuthenticatedEntity"], by_name["iam"]["TotalAuthenticatedEntities"]) == (arn, 1)
    assert "LastAuthenticated" not in by_name["s3"]
    whose = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="iam")
    assert [one["EntityInfo"]["Name"] for one in whose["EntityDetailsList"]] == ["reader"]
    for given in (f"{ARN}:group/details", f"{ARN}:role/detailed", identities["policy"]):
        job = iam.generate_service_last_accessed_details(Arn=given, Granularity="ACTION_LEVEL")["JobId"]
        services = iam.get_service_last_accessed_details(JobId=job)["ServicesLastAccessed"]
        assert [one["ServiceNamespace"] for one in services] == ["s3"]
    assert error_of(iam.get_service_last_accessed_details, JobId="x" * 36)[0] == "NoSuchEntity"
    assert error_of(iam.generate_service_last_accessed_details, Arn=f"{ARN}:user/nobody")[0] == "NoSuchEntity"
    other = world.client("iam", *world.other_root)
    assert error_of(other.get_service_last_accessed_details, JobId=job)[0] == "NoSuchEntity"


def test_policies_that_grant(iam: Any, identities: dict[str, Any]) -> None:
    found = iam.list_policies_granting_service_access(Arn=f"{ARN}:user/d/dora", ServiceNamespaces=["s3", "ec2"])
    s3, ec2 = found["PoliciesGrantingServiceAccess"]
    assert (ec2["ServiceNamespace"], ec2["Policies"]) == ("ec2", [])
    named = {(one["PolicyName"], one["PolicyType"], one.get("EntityName")) for one in s3["Policies"]}
    assert named == {("inline", "INLINE", "dora"), ("groups", "INLINE", "details"), ("detail", "MANAGED", None)}


def test_last_use_of_a_role_is_told(world: IamWorld, iam: Any) -> None:
    iam.create_role(RoleName="used", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    iam.put_role_policy(RoleName="used", PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:ListUsers"))))
    assert iam.get_role(RoleName="used")["Role"]["RoleLastUsed"] == {}
    made = world.client("sts").assume_role(RoleArn=f"{ARN}:role/used", RoleSessionName="s1")
    world.session(made["Credentials"], "iam").list_users()
    assert iam.get_role(RoleName="used")["Role"]["RoleLastUsed"]["Region"] == "us-east-1"
    with world.database.write() as session:
        uses.flush(session)
    assert "LastUsedDate" in iam.get_role(RoleName="used")["Role"]["RoleLastUsed"]


def test_entities_of_a_policy(iam: Any, identities: dict[str, Any]) -> None:
    ours = identities["policy"]
    iam.create_user(UserName="holder", Path="/h/", PermissionsBoundary=ours)
    iam.attach_user_policy(UserName="holder", PolicyArn=ours)
    found = iam.list_entities_for_policy(PolicyArn=ours)
    assert [one["UserName"] for one in found["PolicyUsers"]] == ["holder"]
    assert [one["GroupName"] for one in found["PolicyGroups"]] == ["details"]
    assert [one["RoleName"] for one in found["PolicyRoles"]] == ["detailed"]
    pages = iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=ours, PaginationConfig={"PageSize": 2})
    assert [len(page["PolicyUsers"]) + len(page["PolicyGroups"]) + len(page["PolicyRoles"]) for page in pages] == [2, 1]
    only = iam.list_entities_for_policy(PolicyArn=ours, PolicyUsageFilter="PermissionsBoundary")
    assert (len(only["PolicyUsers"]), only["PolicyGroups"], only["PolicyRoles"]) == (1, [], [])
    below = iam.list_entities_for_policy(PolicyArn=ours, PathPrefix="/h/")
    assert (len(below["PolicyUsers"]), below["PolicyGroups"]) == (1, [])
    listed = {one["Arn"]: one for one in iam.list_policies(MaxItems=1000)["Policies"]}
    assert (listed[ours]["AttachmentCount"], listed[ours]["PermissionsBoundaryUsageCount"]) == (3, 1)
    bounds = iam.list_policies(PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert {one["PolicyName"] for one in bounds} == {"detail", "ReadOnlyAccess"}


# Quotas


_TRUST = trust({"Service": "ec2.amazonaws.com"})
_DOCUMENT = json.dumps(policy(allow("s3:*")))
_LIMITED: dict[str, tuple[Any, Any, str, dict[str, str]]] = {
    "Users": (User, users, "create_user", {"UserName": "more"}),
    "Groups": (Group, groups, "create_group", {"GroupName": "more"}),
    "Roles": (Role, roles, "create_role", {"RoleName": "more", "AssumeRolePolicyDocument": _TRUST}),
    "Policies": (Policy, policies, "create_policy", {"PolicyName": "more", "PolicyDocument": _DOCUMENT}),
    "InstanceProfiles": (
        InstanceProfile,
        instance_profiles,
        "create_instance_profile",
        {"InstanceProfileName": "more"},
    ),
}


@pytest.mark.parametrize("things", _LIMITED)
def test_quotas_of_an_account(world: IamWorld, things: str) -> None:
    table, module, operation, arguments = _LIMITED[things]
    other = world.client("iam", *world.other_root)
    now = world.clock.now()
    more = {"trust_policy": "{}"} if table is Role else {"updated_at": now} if table is Policy else {}
    with world.database.write() as session:
        session.add_all(
            table(
                id=f"{things[:4]}{number:017}",
                account_id=OTHER,
                name=f"n{number}",
                name_key=f"n{number}",
                path="/",
                arn=f"arn:aws:iam::{OTHER}:{things}/n{number}",
                tags={},
                created_at=now,
                **more,
            )
            for number in range(module.QUOTA)
        )
    assert error_of(getattr(other, operation), **arguments) == (
        "LimitExceeded",
        409,
        f"Cannot exceed quota for {things}PerAccount: {module.QUOTA}",
    )
    with world.database.write() as session:
        session.delete(session.get_one(table, f"{things[:4]}{0:017}"))
    getattr(other, operation)(**arguments)


def test_quotas_hold_when_all_ask_at_once(world: IamWorld, iam: Any) -> None:
    iam.create_user(UserName="rush")

    def ask(number: int) -> str:
        client = world.client("iam")
        client.tag_user(UserName="rush", Tags=[{"Key": f"k{number}", "Value": "v"}])
        try:
            return str(client.create_access_key(UserName="rush")["AccessKey"]["Status"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(ask, range(8)))
    assert outcomes == ["Active"] * 2 + ["LimitExceeded"] * 6
    assert len(iam.list_user_tags(UserName="rush")["Tags"]) == 8


# Service-linked roles


def test_life_of_a_service_linked_role(iam: Any) -> None:
    service = "elasticmapreduce.amazonaws.com"
    made = iam.create_service_linked_role(AWSServiceName=service, Description="cleans up")["Role"]
    name = "AWSServiceRoleForEMRCleanup"
    assert made["Arn"] == f"{ARN}:role/aws-service-role/{service}/{name}"
    assert made["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": [service]}
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == ["arn:aws:iam::aws:policy/aws-service-role/AmazonEMRCleanupPolicy"]
    assert error_of(iam.create_service_linked_role, AWSServiceName=service) == (
        "InvalidInput",
        400,
        f"Service role name {name} has been taken in this account, please try a different suffix.",
    )
    document = json.dumps(policy(allow("s3:*")))
    for call, more in (
        (iam.attach_role_policy, {"PolicyArn": READ_ONLY}),
        (iam.detach_role_policy, {"PolicyArn": attached[0]["PolicyArn"]}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": document}),
        (iam.delete_role_policy, {"PolicyName": "p"}),
        (iam.update_assume_role_policy, {"PolicyDocument": trust({"AWS": ACCOUNT})}),
        (iam.update_role, {"MaxSessionDuration": 7200}),
        (iam.put_role_permissions_boundary, {"PermissionsBoundary": READ_ONLY}),
        (iam.delete_role_permissions_boundary, {}),
        (iam.delete_role, {}),
    ):
        assert error_of(call, RoleName=name, **more) == (
            "UnmodifiableEntity",
            400,
            f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS",
        )
    iam.update_role_description(RoleName=name, Description="still cleans up")
    iam.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "b"}])
    task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/{service}/{name}/")
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert error_of(iam.get_role, RoleName=name)[0] == "NoSuchEntity"
    assert error_of(iam.get_service_linked_role_deletion_status, DeletionTaskId=task + "x")[0] == "NoSuchEntity"


def test_what_service_linked_roles_refuse(world: IamWorld, iam: Any) -> None:
    assert error_of(iam.create_service_linked_role, AWSServiceName="nothing.amazonaws.com")[0] == "NoSuchEntity"
    suffix = {"AWSServiceName": "spot.amazonaws.com", "CustomSuffix": "x"}
    assert error_of(iam.create_service_linked_role, **suffix)[0] == "InvalidInput"
    document = trust({"Service": "ec2.amazonaws.com"})
    reserved = {"RoleName": "fake", "Path": "/aws-service-role/x/", "AssumeRolePolicyDocument": document}
    assert error_of(iam.create_role, **reserved)[0] == "ValidationError"
    iam.create_role(RoleName="ordinary", AssumeRolePolicyDocument=document)
    assert error_of(
        iam.attach_role_policy,
        RoleName="ordinary",
        PolicyArn="arn:aws:iam::aws:policy/aws-service-role/AmazonEMRCleanupPolicy",
    )[:2] == ("PolicyNotAttachable", 400)
    assert error_of(iam.delete_service_linked_role, RoleName="ordinary")[0] == "InvalidInput"
    only_spot = {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}
    key = world.new_user("spotter", policy(allow("iam:CreateServiceLinkedRole", Condition=only_spot)))
    spotter = world.client("iam", *key)
    assert error_of(spotter.create_service_linked_role, AWSServiceName="emr-containers.amazonaws.com")[0] == (
        "AccessDenied"
    )
    assert spotter.create_service_linked_role(AWSServiceName="spot.amazonaws.com")["Role"]["RoleName"] == (
        "AWSServiceRoleForEC2Spot"
    )


# AWS's managed policies


def test_managed_policies_are_sound() -> None:
    found = managed.all_policies()
    assert len({one.policy_id for one in found.values()}) == len(found)
    for one in found.values():
        validate(one.document, PolicyKind.IDENTITY, newest=True)
        assert size_without_white_space(one.document) <= 6144, one.name
        assert managed.find(one.arn("aws")) is one


# Ways in that a permission alone must not open


def test_a_role_gets_into_a_profile_by_pass_role_only(world: IamWorld, iam: Any) -> None:
    document = trust({"Service": "ec2.amazonaws.com"})
    for name in ("strong", "weak"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    iam.create_instance_profile(InstanceProfileName="carrier")
    own = policy(allow("iam:AddRoleToInstanceProfile"), allow("iam:PassRole", f"{ARN}:role/weak"))
    carrier = world.client("iam", *world.new_user("carrier", own))
    denied = error_of(carrier.add_role_to_instance_profile, InstanceProfileName="carrier", RoleName="strong")
    assert denied[0] == "AccessDenied"
    assert f"iam:PassRole on resource: {ARN}:role/strong" in denied[2]
    carrier.add_role_to_instance_profile(InstanceProfileName="carrier", RoleName="weak")


def test_a_rename_needs_both_names(world: IamWorld, iam: Any) -> None:
    own = policy(allow("iam:UpdateUser", [f"{ARN}:user/old*", f"{ARN}:user/team/old*"]))  # type: ignore[arg-type]
    renamer = world.client("iam", *world.new_user("renamer", own))
    before = iam.create_user(UserName="old1")["User"]["UserId"]
    assert error_of(renamer.update_user, UserName="old1", NewUserName="admin2")[0] == "AccessDenied"
    assert error_of(renamer.update_user, UserName="old1", NewPath="/other/")[0] == "AccessDenied"
    iam.attach_user_policy(UserName="old1", PolicyArn=READ_ONLY)
    renamer.update_user(UserName="old1", NewUserName="old2", NewPath="/team/")
    found = iam.get_user(UserName="old2")["User"]
    assert (found["UserId"], found["Arn"]) == (before, f"{ARN}:user/team/old2")
    assert iam.list_attached_user_policies(UserName="old2")["AttachedPolicies"][0]["PolicyArn"] == READ_ONLY


def test_delegation_by_boundary(world: IamWorld, iam: Any) -> None:
    bounded = {"StringEquals": {"iam:PermissionsBoundary": READ_ONLY}}
    own = policy(allow(["iam:CreateUser", "iam:PutUserPolicy", "iam:AttachUserPolicy"], Condition=bounded))
    lead = world.client("iam", *world.new_user("delegate", own))
    assert error_of(lead.create_user, UserName="d1")[0] == "AccessDenied"
    lead.create_user(UserName="d1", PermissionsBoundary=READ_ONLY)
    lead.put_user_policy(UserName="d1", PolicyName="p", PolicyDocument=json.dumps(policy(allow("*"))))
    iam.create_user(UserName="d2")
    assert error_of(lead.attach_user_policy, UserName="d2", PolicyArn=READ_ONLY)[0] == "AccessDenied"


def test_trust_across_accounts_of_this_installation(world: IamWorld, iam: Any) -> None:
    other = world.client("iam", *world.other_root)
    with world.database.write() as session:
        for row in session.query(User).filter_by(account_id=OTHER).limit(3):
            session.delete(row)
    other.create_user(UserName="abroad")
    arn = f"arn:aws:iam::{OTHER}:user/abroad"
    iam.create_role(RoleName="foreign", AssumeRolePolicyDocument=trust({"AWS": [arn, OTHER]}))
    shown = iam.get_role(RoleName="foreign")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
    assert shown == [arn, f"arn:aws:iam::{OTHER}:root"]
    assert error_of(iam.create_role, RoleName="foreign2", AssumeRolePolicyDocument=trust({"AWS": arn + "x"})) == (
        "MalformedPolicyDocument",
        400,
        f'Invalid principal in policy: "AWS":"{arn}x"',
    )
    other.update_user(UserName="abroad", NewUserName="moved")
    shown = iam.get_role(RoleName="foreign")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
    assert shown[0].endswith("user/moved")


def test_trust_in_a_session_ends_with_its_role(world: IamWorld, iam: Any) -> None:
    anyone = json.dumps(policy(allow("sts:AssumeRole")))

    def new_inner() -> None:
        iam.create_role(RoleName="inner", Path="/deep/", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
        iam.put_role_policy(RoleName="inner", PolicyName="p", PolicyDocument=anyone)

    def assume_outer() -> Any:
        made = world.client("sts").assume_role(RoleArn=f"{ARN}:role/deep/inner", RoleSessionName="job")
        session = world.session(made["Credentials"], "sts")
        return session.assume_role, {"RoleArn": f"{ARN}:role/outer", "RoleSessionName": "s1"}

    named = f"arn:aws:sts::{ACCOUNT}:assumed-role/inner/job"
    missing = error_of(iam.create_role, RoleName="outer", AssumeRolePolicyDocument=trust({"AWS": named}))
    assert missing[2] == f'Invalid principal in policy: "AWS":"{named}"'
    new_inner()
    iam.create_role(RoleName="outer", AssumeRolePolicyDocument=trust({"AWS": named}))
    shown = iam.get_role(RoleName="outer")["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"][0]["Principal"] == {"AWS": named}
    call, arguments = assume_outer()
    assert call(**arguments)["AssumedRoleUser"]["Arn"].endswith("assumed-role/outer/s1")
    iam.delete_role_policy(RoleName="inner", PolicyName="p")
    iam.delete_role(RoleName="inner")
    new_inner()
    call, arguments = assume_outer()
    assert error_of(call, **arguments)[0] == "AccessDenied"
    # What is left of the name cannot be saved again either.
    shown = iam.get_role(RoleName="outer")["Role"]["AssumeRolePolicyDocument"]
    left = shown["Statement"][0]["Principal"]["AWS"]
    assert left.startswith("AROA")
    assert error_of(iam.update_assume_role_policy, RoleName="outer", PolicyDocument=json.dumps(shown))[2] == (
        f'Invalid principal in policy: "AWS":"{left}"'
    )
