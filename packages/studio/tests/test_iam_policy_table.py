"""The policy language by the table: what the specification of IAM evaluation says, row by row."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from emr_studio.iam.policy import PolicyKind, PolicySet, PolicySource, Principal, Request, compile_layer, evaluate
from emr_studio.iam.policy.cases import decide_line
from tests.support import iam_reference

ACCOUNT, OTHER = "111111111111", "222222222222"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/p/R"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s"


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def policy(*statements: dict[str, Any], version: str | None = "2012-10-17") -> dict[str, Any]:
    return {"Statement": list(statements)} | ({"Version": version} if version else {})


def case(
    identity: Any,
    *,
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::b/k",
    owner: str = ACCOUNT,
    context: dict[str, Any] | None = None,
    principal: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "id": 1,
        "principal": principal or {"type": "user", "arn": USER, "account": ACCOUNT},
        "identityPolicies": [identity] if identity else [],
        "request": {"action": action, "resource": resource, "resourceAccount": owner, "context": context or {}},
        **more,
    }


def answer(given: Any) -> dict[str, Any]:
    line = given if isinstance(given, bytes) else json.dumps(given).encode()
    found: dict[str, Any] = json.loads(decide_line(line))
    return found


def decision(given: Any) -> str:
    found = answer(given)
    assert "error" not in found, found
    assert iam_reference.decide(given) == found["decision"], "the second evaluator sees it otherwise"
    return str(found["decision"])


def allowed(identity: Any, **more: Any) -> bool:
    return decision(case(identity, **more)) == "Allowed"


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("*", "s3:GetObject", True),
        ("s3:*", "s3:GetObject", True),
        ("S3:GETobject", "s3:GetObject", True),
        ("s3:Get*", "s3:GetObject", True),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:Get?", "s3:GetObject", False),
        ("s3:*Object*", "s3:GetObjectAcl", True),
        ("s3:.*", "s3:GetObject", False),
        ("ec2:*", "s3:GetObject", False),
    ],
)
def test_actions(pattern: str, action: str, matches: bool) -> None:
    assert allowed(policy(allow(pattern)), action=action) is matches
    inverse = {"Effect": "Allow", "NotAction": pattern, "Resource": "*"}
    assert allowed(policy(inverse), action=action) is not matches


@pytest.mark.parametrize(
    ("pattern", "resource", "matches"),
    [
        ("*", "arn:aws:s3:::b/k", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::B/x", False),
        ("arn:aws:s3:*", "arn:aws:s3:::b/x", True),
        ("arn:aws:ec2:us-*", "arn:aws:ec2:us-east-1:1:instance/i", True),
        ("arn:aws:ec2:*:1:instance/*", "arn:aws:ec2:us-east-1:1:instance/i", True),
        ("arn:aws:ec2:*:instance/*", "arn:aws:ec2:us-east-1:1:instance/i", False),
        ("arn:aws:ec2:us-*:1:instance/i", "arn:aws:ec2:us-east-1:x:1:instance/i", False),
        ("arn:aws:s3:::b.c", "arn:aws:s3:::bxc", False),
        ("arn:aws:s3:::[a]?", "arn:aws:s3:::[a]b", True),
        ("arn:aws:s3:::b/k", "*", False),
        ("*", "*", True),
        ("arn:aws:s3:::*", "*", False),
    ],
)
def test_resources(pattern: str, resource: str, matches: bool) -> None:
    assert allowed(policy(allow("*", pattern)), resource=resource) is matches
    inverse = {"Effect": "Allow", "Action": "*", "NotResource": pattern}
    assert allowed(policy(inverse), resource=resource) is not matches


IN_2012 = "arn:aws:s3:::b/${aws:username}/*"


@pytest.mark.parametrize(
    ("pattern", "context", "resource", "matches"),
    [
        (IN_2012, {"aws:username": "ann"}, "arn:aws:s3:::b/ann/x", True),
        (IN_2012, {"AWS:UserName": "ann"}, "arn:aws:s3:::b/ann/x", True),
        (IN_2012, {}, "arn:aws:s3:::b/ann/x", False),
        (IN_2012, {"aws:username": "*"}, "arn:aws:s3:::b/ann/x", False),
        (IN_2012, {"aws:username": ["ann"]}, "arn:aws:s3:::b/ann/x", False),
        ("arn:aws:s3:::b/${aws:PrincipalTag/t, 'all'}/x", {}, "arn:aws:s3:::b/all/x", True),
        ("arn:aws:s3:::b/${aws:PrincipalTag/t, 'all'}/x", {"aws:principaltag/T": "me"}, "arn:aws:s3:::b/me/x", True),
        ("arn:aws:s3:::b/${*}", {}, "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b/${*}", {}, "arn:aws:s3:::b/x", False),
        ("arn:aws:s3:::b/${?}${$}", {}, "arn:aws:s3:::b/?$", True),
    ],
)
def test_variables(pattern: str, context: dict[str, Any], resource: str, matches: bool) -> None:
    assert allowed(policy(allow("*", pattern)), context=context, resource=resource) is matches


def test_variables_are_plain_text_in_the_old_version() -> None:
    old = policy(allow("*", IN_2012), version=None)
    assert not allowed(old, context={"aws:username": "ann"}, resource="arn:aws:s3:::b/ann/x")
    assert allowed(old, resource="arn:aws:s3:::b/${aws:username}/x")


def holds(operator: str, values: Any, context: Any) -> bool:
    """Whether a condition on x:k holds; `...` stands for an absent key."""
    condition = {"Condition": {operator: {"x:k": values}}}
    return allowed(policy(allow(**condition)), context={} if context is ... else {"x:k": context})


@pytest.mark.parametrize(
    ("operator", "values", "context", "expected"),
    [
        # the table of section 6
        ("StringEquals", "a", ..., False),
        ("StringNotEquals", "a", ..., True),
        ("StringEqualsIfExists", "a", ..., True),
        ("ForAllValues:StringEquals", "a", ..., True),
        ("ForAnyValue:StringEquals", "a", ..., False),
        ("ForAnyValue:StringNotEquals", "a", ..., False),
        ("ForAllValues:StringEquals", "a", [], True),
        ("ForAnyValue:StringEquals", "a", [], False),
        ("ForAnyValue:StringNotEquals", "a", [], False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "a"], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], False),
        ("ForAnyValue:StringLike", "a*", "abc", True),
        ("StringEquals", "a", ["a", "b"], False),
        ("StringNotEquals", "x", ["a", "b"], False),
        # strings
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "", "", True),
        ("StringEquals", "A", "a", False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringNotEqualsIgnoreCase", "A", "a", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringLike", "a?c*", "abcd", True),
        ("StringLike", "b", "abc", False),
        ("StringNotLike", "a*", "abc", False),
        # numbers
        ("NumericEquals", 10, "10.0", True),
        ("NumericEquals", "10", "ten", False),
        ("NumericNotEquals", "10", "ten", False),
        ("NumericLessThan", "10", "9.99", True),
        ("NumericLessThanEquals", 10, "10", True),
        ("NumericGreaterThan", [10, 5], "7", True),
        ("NumericGreaterThanEquals", "-1", "-2", False),
        ("NumericEquals", "9007199254740993", "9007199254740992", False),
        # dates
        ("DateEquals", "2026-01-01", "2026-01-01T00:00:00Z", True),
        ("DateEquals", "1767225600", "2026-01-01T01:00:00+01:00", True),
        ("DateLessThan", "2026-06-30T23:59:59Z", "2026-06-30T23:59:58.9Z", True),
        ("DateGreaterThan", "2026", "2026-01-01T00:00:01Z", True),
        ("DateGreaterThan", "soon", "2026-01-01T00:00:01Z", False),
        ("DateNotEquals", "2026-01-01", "never", False),
        # the rest
        ("Bool", "true", "TRUE", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "nonsense", False),
        ("BoolIfExists", "true", ..., True),
        ("Null", "true", ..., True),
        ("Null", "true", "x", False),
        ("Null", False, "x", True),
        ("Null", "false", ..., False),
        ("BinaryEquals", "QUJD", "ABC", True),
        ("IpAddress", "10.1.2.3/8", "10.200.1.1", True),
        ("IpAddress", "10.1.2.3", "10.1.2.4", False),
        ("NotIpAddress", ["10.0.0.0/8", "192.0.2.0/24"], "198.51.100.1", True),
        ("NotIpAddress", "10.0.0.0/8", "2001:db8::1", True),
        ("IpAddress", "2001:db8::/32", "2001:DB8::9", True),
        ("ArnEquals", "arn:aws:iam::*:role/a*", "arn:aws:iam::1:role/ab/c", True),
        ("ArnLike", "arn:aws:iam::*", "arn:aws:iam::1:role/a", False),
        ("StringLike", "arn:aws:iam::*", "arn:aws:iam::1:role/a", True),
        ("ArnLike", "arn:aws:sns:*:1:t", "arn:aws:sns:a:b:1:t", False),
        ("ArnNotLike", "arn:aws:iam::1:*", "arn:aws:iam::2:role/a", True),
        ("ArnLike", "arn:aws:iam::1:*", "not an arn", False),
    ],
)
def test_conditions(operator: str, values: Any, context: Any, expected: bool) -> None:
    assert holds(operator, values, context) is expected


def test_condition_keys_ignore_case_and_are_all_needed() -> None:
    both = {"Condition": {"StringEquals": {"aws:ResourceTag/Team": "a", "x:k": "1"}}}
    assert allowed(policy(allow(**both)), context={"aws:resourcetag/team": "a", "X:K": "1"})
    assert not allowed(policy(allow(**both)), context={"aws:resourcetag/team": "a"})


@pytest.mark.parametrize(
    ("value", "context", "expected"),
    [
        ("${aws:username}", {"x:k": "ann", "aws:username": "ann"}, True),
        ("${aws:username}", {"x:k": "ann"}, False),
        ("${aws:username, 'ann'}", {"x:k": "ann"}, True),
        ("${aws:TagKeys}", {"x:k": "ann", "aws:TagKeys": ["ann"]}, False),
    ],
)
def test_variables_in_conditions(value: str, context: dict[str, Any], expected: bool) -> None:
    condition = {"Condition": {"StringEquals": {"x:k": value}}}
    assert allowed(policy(allow(**condition)), context=context) is expected
    inverse = {"Condition": {"StringNotEquals": {"x:k": value}}}
    assert allowed(policy(allow(**inverse)), context=context) is not expected


def test_arn_of_the_caller_as_a_whole_pattern() -> None:
    condition = {"Condition": {"ArnEquals": {"x:k": "${aws:PrincipalArn}"}}}
    assert allowed(policy(allow(**condition)), context={"x:k": USER, "aws:PrincipalArn": USER})


def resource_policy(principal: Any, effect: str = "Allow", name: str = "Principal") -> dict[str, Any]:
    return policy({"Effect": effect, name: principal, "Action": "*", "Resource": "*"})


ROLE_SESSION = {"type": "role-session", "arn": SESSION, "account": ACCOUNT, "roleArn": ROLE}
FEDERATED = {
    "type": "federated-user",
    "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
    "account": ACCOUNT,
    "userArn": USER,
}
ROOT = {"type": "root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "account": ACCOUNT}
SERVICE = {"type": "service", "arn": "ec2.amazonaws.com", "account": ""}
YES, NO, NEVER = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"
NOTHING = policy(allow("none:None"))


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        # 1: a Deny anywhere
        (NEVER, {"identity": policy(allow(), deny())}),
        (NEVER, {"identity": policy(allow()), "permissionBoundaries": [policy(allow(), deny())]}),
        (NEVER, {"identity": policy(allow()), "sessionPolicies": [policy(allow()), policy(deny())]}),
        (NEVER, {"identity": policy(allow()), "resourcePolicy": resource_policy({"AWS": ACCOUNT}, "Deny")}),
        (YES, {"identity": policy(deny()), "action": "sts:GetCallerIdentity"}),
        # 2: same account, named by the resource policy
        (YES, {"identity": None, "resourcePolicy": resource_policy({"AWS": USER})}),
        (YES, {"identity": None, "resourcePolicy": resource_policy("*"), "permissionBoundaries": [NOTHING]}),
        (NO, {"identity": None, "resourcePolicy": resource_policy({"AWS": ACCOUNT})}),
        (YES, {"identity": None, "resourcePolicy": resource_policy({"AWS": ROLE}), "principal": ROLE_SESSION}),
        (
            NO,
            {
                "identity": policy(allow()),
                "resourcePolicy": resource_policy({"AWS": ROLE}),
                "principal": ROLE_SESSION,
                "sessionPolicies": [NOTHING],
            },
        ),
        (
            YES,
            {
                "identity": None,
                "resourcePolicy": resource_policy({"AWS": SESSION}),
                "principal": ROLE_SESSION,
                "sessionPolicies": [NOTHING],
            },
        ),
        (YES, {"identity": None, "resourcePolicy": resource_policy({"AWS": USER}), "principal": FEDERATED}),
        # 3
        (YES, {"identity": policy(allow())}),
        (NO, {"identity": policy(allow()), "permissionBoundaries": [NOTHING]}),
        (NO, {"identity": policy(allow()), "sessionPolicies": [NOTHING]}),
        (YES, {"identity": policy(allow()), "sessionPolicies": [NOTHING, policy(allow())]}),
        (NO, {"identity": policy(allow()), "principal": FEDERATED}),
        (YES, {"identity": policy(allow()), "principal": FEDERATED, "sessionPolicies": [policy(allow())]}),
        # 4: trust policies
        (NO, {"identity": policy(allow()), "action": "sts:AssumeRole", "resource": ROLE}),
        (
            YES,
            {
                "identity": policy(allow()),
                "action": "sts:AssumeRole",
                "resource": ROLE,
                "resourcePolicy": resource_policy({"AWS": ACCOUNT}),
            },
        ),
        (
            NO,
            {
                "identity": None,
                "action": "sts:AssumeRole",
                "resource": ROLE,
                "resourcePolicy": resource_policy({"AWS": ACCOUNT}),
            },
        ),
        (
            YES,
            {
                "identity": None,
                "action": "sts:AssumeRole",
                "resource": ROLE,
                "resourcePolicy": resource_policy({"AWS": USER}),
            },
        ),
        # 5: across accounts
        (NO, {"identity": policy(allow()), "owner": OTHER}),
        (NO, {"identity": None, "owner": OTHER, "resourcePolicy": resource_policy({"AWS": USER})}),
        (YES, {"identity": policy(allow()), "owner": OTHER, "resourcePolicy": resource_policy({"AWS": ACCOUNT})}),
        (
            NO,
            {
                "identity": policy(allow()),
                "owner": OTHER,
                "resourcePolicy": resource_policy({"AWS": USER}),
                "permissionBoundaries": [NOTHING],
            },
        ),
        # 6: root
        (YES, {"identity": None, "principal": ROOT}),
        (NEVER, {"identity": None, "principal": ROOT, "resourcePolicy": resource_policy("*", "Deny")}),
        (NO, {"identity": None, "principal": ROOT, "owner": OTHER}),
        (
            YES,
            {"identity": None, "principal": ROOT, "owner": OTHER, "resourcePolicy": resource_policy({"AWS": ACCOUNT})},
        ),
        # 7: services
        (YES, {"identity": None, "principal": SERVICE, "resourcePolicy": resource_policy({"Service": SERVICE["arn"]})}),
        (NO, {"identity": policy(allow()), "principal": SERVICE}),
        (
            NO,
            {"identity": None, "principal": SERVICE, "resourcePolicy": resource_policy({"Service": "x.amazonaws.com"})},
        ),
        # NotPrincipal
        (YES, {"identity": policy(allow()), "resourcePolicy": resource_policy({"AWS": USER}, "Deny", "NotPrincipal")}),
        (
            NEVER,
            {
                "identity": policy(allow()),
                "permissionBoundaries": [policy(allow())],
                "resourcePolicy": resource_policy({"AWS": USER}, "Deny", "NotPrincipal"),
            },
        ),
        (
            NEVER,
            {"identity": policy(allow()), "resourcePolicy": resource_policy({"AWS": ACCOUNT}, "Deny", "NotPrincipal")},
        ),
    ],
)
def test_decisions(expected: str, arguments: dict[str, Any]) -> None:
    assert decision(case(arguments.pop("identity"), **arguments)) == expected


def test_the_deciding_statements_are_named() -> None:
    identity = policy(allow("s3:*"), allow("ec2:*"), deny("s3:Put*"))
    assert answer(case(identity))["by"] == [{"policy": "identityPolicies[0]", "statement": 0}]
    assert answer(case(identity, action="s3:PutObject"))["by"] == [{"policy": "identityPolicies[0]", "statement": 2}]
    assert answer(case(identity, action="iam:GetUser"))["by"] == []
    both = answer(case(identity, sessionPolicies=[policy(allow())]))["by"]
    assert both[1] == {"policy": "sessionPolicies[0]", "statement": 0}


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"id": 7}',
        json.dumps(
            {**case(policy(allow())), "id": 7, "principal": {"type": "alien", "arn": "", "account": "1"}}
        ).encode(),
        json.dumps({**case(policy({**allow(), "Effect": "allow"})), "id": 7}).encode(),
        json.dumps({**case({"Statement": []}), "id": 7}).encode(),
        json.dumps({**case(policy({**allow(), "Principal": "*"})), "id": 7}).encode(),
        json.dumps({**case(policy(allow(Condition={"Sounds": {"a:b": "c"}}))), "id": 7}).encode(),
        json.dumps({**case(policy(allow(Condition={"NullIfExists": {"a:b": "true"}}))), "id": 7}).encode(),
        json.dumps(
            {**case(policy(allow())), "id": 7, "resourcePolicy": resource_policy("*", "Allow", "NotPrincipal")}
        ).encode(),
        json.dumps({**case(policy(allow()), context={"a:b": 3}), "id": 7}).encode(),
        b'{"id": 7, "identityPolicies": [{"Statement": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    ],
)
def test_malformed_cases_get_an_error_and_the_run_goes_on(line: bytes) -> None:
    found = answer(line)
    assert set(found) == {"id", "error"}
    assert found["id"] in (7, None)


def test_unknown_members_are_ignored() -> None:
    assert decision({**case(policy(allow())), "comment": {"any": ["thing"]}}) == "Allowed"


def test_decisions_are_fast() -> None:
    """A floor far below what an idle machine does (about 100,000 a second); the benchmark measures."""
    statements = [allow([f"svc{n}:Get*", f"svc{n}:Put*"], f"arn:aws:svc{n}:*:*:thing/*") for n in range(29)]
    statements.append(allow("s3:GetObject", "arn:aws:s3:::b/${aws:username}/*"))
    layer = compile_layer((PolicySource("p", json.dumps(policy(*statements))),), PolicyKind.IDENTITY)
    context = {"aws:username": "ann", "aws:SourceIp": "10.0.0.1", "aws:CurrentTime": "2026-01-01T00:00:00Z"}
    principal = Principal("user", USER, ACCOUNT)
    count, seconds = 600, []
    for _ in range(5):
        start = time.thread_time()
        for _ in range(count):
            request = Request(principal, "s3:GetObject", "arn:aws:s3:::b/ann/k", ACCOUNT, context)
            assert evaluate(request, PolicySet(layer)).allowed
        seconds.append(time.thread_time() - start)
    # The best of them: a collection of all that other tests have left takes longer than they do.
    assert count / min(seconds) > 5000
