"""AssumeRole as AWS does it: ids, external ids, session policies, tags, source identity, chains, ends."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest

from emr_studio.aws.auth import ExpiredToken
from emr_studio.clock import SystemClock
from emr_studio.iam.identity import IamCredentialStore
from tests.support.iam_api import (
    ACCOUNT,
    OTHER,
    IamWorld,
    OffsetClock,
    allow,
    error_of,
    policy,
    served_iam,
    trust,
)

ROLE = f"arn:aws:iam::{ACCOUNT}:role"
_SECOND = dt.timedelta(seconds=1)
STS_ALL = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("sts"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def iam(world: IamWorld) -> Any:
    return world.client("iam")


def role(iam: Any, name: str, actions: list[str] | str = "sts:*", principal: Any = None, **more: Any) -> dict[str, Any]:
    """Make a role that the account (or `principal`) may assume in every way; returns the call's first arguments."""
    statement = {"Effect": "Allow", "Principal": principal or {"AWS": ACCOUNT}, "Action": STS_ALL, **more}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy(statement)))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy(allow(actions))))
    return {"RoleArn": f"{ROLE}/{name}", "RoleSessionName": "s1"}


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def denied(arn: str, action: str, resource: str) -> tuple[str, int, str]:
    return ("AccessDenied", 403, f"User: {arn} is not authorized to perform: {action} on resource: {resource}")


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"RoleSessionName": "a:b"}, "ValidationError", "'a:b' at 'roleSessionName' failed to satisfy constraint"),
        ({"RoleSessionName": "x"}, "ValidationError", "length greater than or equal to 2"),
        ({"RoleSessionName": "x" * 65}, "ValidationError", "length less than or equal to 64"),
        ({"RoleArn": "arn:aws:iam::1:role/too-short"}, "ValidationError", "is invalid"),
        ({"RoleArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y"}, "ValidationError", "is invalid"),
        ({"ExternalId": "a b"}, "ValidationError", "externalId"),
        ({"SourceIdentity": "aws:me"}, "ValidationError", "sourceIdentity"),
        ({"DurationSeconds": 899}, "ValidationError", "durationSeconds"),
        ({"DurationSeconds": 3601}, "ValidationError", "exceeds the MaxSessionDuration set for this role."),
        ({"Policy": "{"}, "MalformedPolicyDocument", ""),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/Nothing"}]}, "ValidationError", "cannot be found"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}] * 11}, "ValidationError", "10"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}, "InvalidParameterValue", "Duplicate"),
        ({"Tags": [{"Key": "aws:a", "Value": "1"}]}, "InvalidParameterValue", "reserved prefix"),
        ({"TransitiveTagKeys": ["a"]}, "InvalidParameterValue", "must be included in the requested tags."),
        ({"TokenCode": "123456"}, "AccessDenied", "must provide both MFA serial number and one time pass code."),
    ],
)
def test_odd_input(world: IamWorld, iam: Any, more: dict[str, Any], code: str, words: str) -> None:
    if not world.client("iam").list_roles(PathPrefix="/odd/")["Roles"]:
        document = json.dumps(policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": STS_ALL}))
        iam.create_role(RoleName="odd", Path="/odd/", AssumeRolePolicyDocument=document)
    start = {"RoleArn": f"{ROLE}/odd/odd", "RoleSessionName": "s1"}
    found = error_of(world.client("sts", checked=False).assume_role, **{**start, **more})
    assert found[0] == code
    assert words in found[2]


def test_a_role_that_is_not_there_is_like_one_that_is_forbidden(world: IamWorld) -> None:
    sts = world.client("sts")
    arn = f"arn:aws:iam::{ACCOUNT}:user/admin"
    found = error_of(sts.assume_role, RoleArn=f"{ROLE}/nobody", RoleSessionName="s1")
    assert found == denied(arn, "sts:AssumeRole", f"{ROLE}/nobody")


def test_managed_session_policies_count_by_their_arn_and_act_as_they_are(world: IamWorld, iam: Any) -> None:
    start = role(iam, "narrow", "iam:*")
    document = json.dumps(policy(allow("iam:ListUsers")))
    arn = iam.create_policy(PolicyName="narrowing", PolicyDocument=document)["Policy"]["Arn"]
    both = [{"arn": arn}, {"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]
    wide = world.client("sts").assume_role(**start, PolicyArns=both)
    assert 0 < wide["PackedPolicySize"] < 10
    assert world.session(wide["Credentials"], "iam").list_roles()["Roles"]
    made = world.session(world.client("sts").assume_role(**start, PolicyArns=both[:1])["Credentials"], "iam")
    assert made.list_users()["Users"]
    assert error_of(made.list_roles)[2].endswith("because no session policy allows the iam:ListRoles action")
    newer = json.dumps(policy(allow("iam:ListRoles")))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=newer, SetAsDefault=True)
    assert made.list_roles()["Roles"]
    assert error_of(made.list_users)[0] == "AccessDenied"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    assert error_of(made.list_roles)[2].endswith("because no session policy allows the iam:ListRoles action")


def test_large_policies_and_tags_are_refused(world: IamWorld, iam: Any) -> None:
    start = role(iam, "large", "iam:*")
    actions = [f"iam:Action{number:05d}" for number in range(140)]
    found = error_of(world.client("sts").assume_role, **start, Policy=json.dumps(policy(allow(actions))))
    assert found[0] == "PackedPolicyTooLarge"
    assert "% of allotted space, please use smaller policy." in found[2]
    tags = [{"Key": f"k{number}", "Value": "v" * 100} for number in range(45)]
    assert error_of(world.client("sts").assume_role, **start, Tags=tags)[0] == "PackedPolicyTooLarge"
    one = world.client("sts").assume_role(**start, Tags=tags[:10])["PackedPolicySize"]
    two = world.client("sts").assume_role(**start, Tags=tags[:20])["PackedPolicySize"]
    assert 0 < one < two
    assert "PackedPolicySize" not in world.client("sts").assume_role(**start)


def test_tags_and_source_identity_need_their_own_permissions(world: IamWorld, iam: Any) -> None:
    """Of the trust policy, and of the caller who is trusted by the account."""
    iam.create_role(RoleName="plain", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    start = {"RoleArn": f"{ROLE}/plain", "RoleSessionName": "s1"}
    admin = world.client("sts")
    arn = f"arn:aws:iam::{ACCOUNT}:user/admin"
    tags = [{"Key": "team", "Value": "data"}]
    assert error_of(admin.assume_role, **start, Tags=tags)[2].startswith(
        f"User: {arn} is not authorized to perform: sts:TagSession on resource: {ROLE}/plain"
    )
    assert "sts:SetSourceIdentity" in error_of(admin.assume_role, **start, SourceIdentity="ann")[2]
    role(iam, "open")
    key = world.new_user("tagger", policy(allow("sts:AssumeRole")))
    start["RoleArn"] = f"{ROLE}/open"
    limited = world.client("sts", *key)
    assert limited.assume_role(**start)["Credentials"]
    assert "sts:TagSession" in error_of(limited.assume_role, **start, Tags=tags)[2]
    named = role(iam, "named", principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/tagger"})
    assert limited.assume_role(**named, Tags=tags, SourceIdentity="ann")["SourceIdentity"] == "ann"


def test_conditions_on_what_is_asked(world: IamWorld, iam: Any) -> None:
    conditions = {
        "StringEquals": {"aws:RequestTag/team": "data", "sts:RoleSessionName": "s1", "sts:SourceIdentity": "ann"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"], "sts:TransitiveTagKeys": ["team"]},
    }
    start = role(iam, "conditions", Condition=conditions)
    good = {**start, "Tags": [{"Key": "team", "Value": "data"}], "SourceIdentity": "ann", "TransitiveTagKeys": ["team"]}
    sts = world.client("sts")
    assert sts.assume_role(**good)["Credentials"]
    for change in (
        {"RoleSessionName": "s2"},
        {"SourceIdentity": "bob"},
        {"Tags": [{"Key": "team", "Value": "ops"}]},
        {"Tags": [{"Key": "team", "Value": "data"}, {"Key": "x", "Value": "y"}]},
    ):
        assert error_of(sts.assume_role, **{**good, **change})[0] == "AccessDenied", change


def test_a_chain_keeps_tags_and_source_identity(world: IamWorld, iam: Any) -> None:
    first = role(iam, "first")
    second = role(iam, "second")
    same = {"StringEquals": {"aws:PrincipalTag/team": "data", "aws:SourceIdentity": "ann"}}
    document = json.dumps(policy(allow("iam:ListUsers", Condition=same), allow("sts:*")))
    iam.put_role_policy(RoleName="second", PolicyName="p", PolicyDocument=document)
    tags = [{"Key": "Team", "Value": "data"}, {"Key": "own", "Value": "1"}]
    sts = world.client("sts")
    one = sts.assume_role(**first, Tags=tags, TransitiveTagKeys=["team"], SourceIdentity="ann")
    chained = world.session(one["Credentials"], "sts")
    two = chained.assume_role(**second)
    assert two["SourceIdentity"] == "ann"
    assert world.session(two["Credentials"], "iam").list_users()["Users"]
    conflict = error_of(chained.assume_role, **second, Tags=[{"Key": "TEAM", "Value": "ops"}])
    assert conflict[0] == "InvalidParameterValue"
    assert "conflicts with a transitive tag key from the calling session." in conflict[2]
    assert "sts:SetSourceIdentity" in error_of(chained.assume_role, **second, SourceIdentity="bob")[2]
    assert error_of(chained.assume_role, **second, DurationSeconds=3601)[0] == "ValidationError"
    third = world.session(two["Credentials"], "sts").assume_role(**first)
    assert third["SourceIdentity"] == "ann"
    assert third["PackedPolicySize"] > 0


def test_contexts_that_nobody_vouches_for_are_refused(world: IamWorld, iam: Any) -> None:
    document = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName="with-context", AssumeRolePolicyDocument=json.dumps(document))
    provider = "arn:aws:iam::aws:contextProvider/IdentityCenter"
    code, _, message = error_of(
        world.client("sts").assume_role,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/with-context",
        RoleSessionName="s1",
        ProvidedContexts=[{"ProviderArn": provider, "ContextAssertion": "assertion"}],
    )
    assert (code, "ProvidedContexts" in message) == ("ValidationError", True)


def test_a_chain_is_limited_to_an_hour(world: IamWorld, iam: Any) -> None:
    start = role(iam, "long")
    iam.update_role(RoleName="long", MaxSessionDuration=43_200)
    made = world.client("sts").assume_role(**start, DurationSeconds=43_200)["Credentials"]
    found = error_of(world.session(made, "sts").assume_role, **start, DurationSeconds=3601)
    assert found[2] == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    )


def test_transitive_tags_win_over_the_next_roles_own(world: IamWorld, iam: Any) -> None:
    first = role(iam, "from")
    second = role(iam, "to", Condition={"StringEquals": {"aws:ResourceTag/team": "data"}})
    iam.tag_role(RoleName="to", Tags=[{"Key": "team", "Value": "ops"}])
    tags = [{"Key": "team", "Value": "data"}]
    sts = world.client("sts")
    plain = world.session(sts.assume_role(**first, Tags=tags)["Credentials"], "sts")
    assert error_of(plain.assume_role, **second)[0] == "AccessDenied"
    passed = sts.assume_role(**first, Tags=tags, TransitiveTagKeys=["team"])["Credentials"]
    assert world.session(passed, "sts").assume_role(**second)["Credentials"]


def test_a_role_does_not_trust_itself(world: IamWorld, iam: Any) -> None:
    admin = f"arn:aws:iam::{ACCOUNT}:user/admin"
    start = role(iam, "self", principal={"AWS": admin})
    session = world.session(world.client("sts").assume_role(**start)["Credentials"], "sts")
    assert error_of(session.assume_role, **start)[0] == "AccessDenied"
    document = policy({"Effect": "Allow", "Principal": {"AWS": [admin, f"{ROLE}/self"]}, "Action": "sts:AssumeRole"})
    iam.update_assume_role_policy(RoleName="self", PolicyDocument=json.dumps(document))
    assert session.assume_role(**start)["AssumedRoleUser"]["Arn"].endswith(":assumed-role/self/s1")


def test_a_unique_id_in_a_trust_policy(world: IamWorld, iam: Any) -> None:
    start = role(iam, "caller")
    identifier = iam.get_role(RoleName="caller")["Role"]["RoleId"]
    goal = role(iam, "goal", principal={"AWS": identifier})
    shown = iam.get_role(RoleName="goal")["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"][0]["Principal"] == {"AWS": f"{ROLE}/caller"}
    session = world.session(world.client("sts").assume_role(**start)["Credentials"], "sts")
    assert session.assume_role(**goal)["Credentials"]
    assert error_of(world.client("sts").assume_role, **goal)[0] == "AccessDenied"


def test_across_accounts_both_sides_must_allow(world: IamWorld, iam: Any) -> None:
    other = world.client("iam", *world.other_root)
    other.create_role(RoleName="visitor", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{OTHER}:root"}))
    other.create_user(UserName="guest")
    other.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=json.dumps(policy(allow("sts:AssumeRole"))))
    key = other.create_access_key(UserName="guest")["AccessKey"]
    guest = world.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    visitor = guest.assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/visitor", RoleSessionName="v1")["Credentials"]
    by_role = role(iam, "byrole", principal={"AWS": f"arn:aws:iam::{OTHER}:role/visitor"})
    session = world.session(visitor, "sts")
    assert error_of(session.assume_role, **by_role)[0] == "AccessDenied"
    document = json.dumps(policy(allow("sts:AssumeRole", f"{ROLE}/byrole")))
    other.put_role_policy(RoleName="visitor", PolicyName="p", PolicyDocument=document)
    made = session.assume_role(**by_role)["Credentials"]
    assert world.session(made, "sts").get_caller_identity()["Account"] == ACCOUNT
    assert error_of(guest.assume_role, **by_role)[0] == "AccessDenied"
    by_user = role(iam, "byuser", principal={"AWS": f"arn:aws:iam::{OTHER}:user/guest"})
    assert guest.assume_role(**by_user)["Credentials"]


def test_root_may_not_assume(world: IamWorld, iam: Any) -> None:
    start = role(iam, "forroot", principal={"AWS": OTHER})
    assert error_of(world.client("sts", *world.other_root).assume_role, **start) == (
        "AccessDenied",
        403,
        "Roles may not be assumed by root accounts.",
    )


def test_a_session_ends_to_the_second_and_is_revoked_by_issue_time(tmp_path: Any) -> None:
    clock = OffsetClock()
    with served_iam(tmp_path, clock) as world:
        iam = world.client("iam")
        start = role(iam, "brief", "iam:*")
        made = world.client("sts").assume_role(**start, DurationSeconds=900)["Credentials"]
        session = world.session(made, "iam")
        assert session.list_users()["Users"]
        revoke: dict[str, Any] = {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2999-01-01T00:00:00Z"}},
        }
        named = {"RoleName": "brief", "PolicyName": "AWSRevokeOlderSessions"}
        now = made["Expiration"].timestamp() - 900
        revoke["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = _iso(now)
        iam.put_role_policy(**named, PolicyDocument=json.dumps(policy(revoke)))
        assert session.list_users()["Users"]
        revoke["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = _iso(now + 1)
        iam.put_role_policy(**named, PolicyDocument=json.dumps(policy(revoke)))
        assert error_of(session.list_users)[2].endswith("with an explicit deny in an identity-based policy")
        clock.seconds = 2
        newer = world.client("sts").assume_role(**start)["Credentials"]
        assert world.session(newer, "iam").list_users()["Users"]
        iam.delete_role_policy(**named)
        find = IamCredentialStore(world.sealer).find
        with world.database.read() as read:
            token = (made["AccessKeyId"], made["SessionToken"])
            assert find(read, *token, made["Expiration"] - _SECOND).caller.role_name == "brief"
            with pytest.raises(ExpiredToken):
                find(read, *token, made["Expiration"])
        iam.delete_role_policy(RoleName="brief", PolicyName="p")
        iam.delete_role(RoleName="brief")
        assert error_of(world.session(newer, "iam").list_users)[0] == "InvalidClientTokenId"
