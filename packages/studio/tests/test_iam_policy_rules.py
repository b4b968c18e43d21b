"""Rules of evaluation where readers differ: principals, trust, limits, odd contexts (specification 3 to 8).

`test_iam_policy_table.py` has the plain rows; here are those that an adversary would ask.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from emr_studio.iam.policy.cases import decide_line
from tests.support import iam_reference
from tests.support.iam_cases import FEDERATED, IDP, ROLE, ROLE_ID, SAML, SERVICE, SESSION, USER, USER_ID, A, B

YES, NO, NEVER = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"
ANN = {"type": "user", "arn": USER, "account": A}
IN_ROLE = {"type": "role-session", "arn": SESSION, "account": A, "roleArn": ROLE}
BOB = {"type": "federated-user", "arn": FEDERATED, "account": A, "userArn": USER}
ROOT = {"type": "root", "arn": f"arn:aws:iam::{A}:root", "account": A}
EC2 = {"type": "service", "arn": SERVICE}
GOOGLE = {"type": "web-identity", "arn": IDP}
CORP = {"type": "saml", "arn": SAML, "account": A}
NOBODY = {"type": "anonymous"}
EVERYONE = (ANN, IN_ROLE, BOB, ROOT, EC2, GOOGLE, CORP, NOBODY)
ALL = [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}]
NONE = [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "no:Thing", "Resource": "*"}}]
DENY = [{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}]


def decide(
    principal: dict[str, Any],
    identity: list[Any],
    *,
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::b/k",
    owner: str = A,
    context: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    request = {"action": action, "resource": resource, "resourceAccount": owner, "context": context or {}}
    case = {"id": 1, "principal": principal, "identityPolicies": identity, "request": request, **more}
    found = json.loads(decide_line(json.dumps(case).encode()))
    assert "error" not in found, found
    assert iam_reference.decide(case) == found["decision"], "the second evaluator sees it otherwise"
    return str(found["decision"])


def on_resource(principal: Any, effect: str = "Allow", member: str = "Principal", **more: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": effect, member: principal, "Action": "*", **more}}


def spared(*listed: str) -> dict[str, Any]:
    return on_resource({"AWS": list(listed)}, "Deny", "NotPrincipal")


@pytest.mark.parametrize("principal", EVERYONE, ids=lambda one: one["type"])
def test_nobody_is_denied_get_caller_identity(principal: dict[str, Any]) -> None:
    denied = on_resource("*", "Deny")
    assert decide(principal, DENY, action="STS:getCallerIdentity", resourcePolicy=denied, sessionPolicies=DENY) == YES


@pytest.mark.parametrize("principal", EVERYONE, ids=lambda one: one["type"])
@pytest.mark.parametrize("star", ["*", {"AWS": "*"}, {"AWS": ["*"]}, {"AWS": [B, "*"], "Service": "x.amazonaws.com"}])
def test_a_star_names_everyone(principal: dict[str, Any], star: Any) -> None:
    assert decide(principal, [], resourcePolicy=on_resource(star)) == YES
    assert decide(principal, ALL, resourcePolicy=on_resource(star, "Deny")) == NEVER
    outside = decide(principal, NONE, owner=B, resourcePolicy=on_resource(star))
    assert outside == (NO if principal in (ANN, IN_ROLE, BOB) else YES)


@pytest.mark.parametrize("principal", [EC2, GOOGLE, CORP, NOBODY], ids=lambda one: one["type"])
def test_for_outsiders_the_resource_policy_speaks_alone(principal: dict[str, Any]) -> None:
    named = {"service": {"Service": SERVICE}, "web-identity": {"Federated": IDP}, "saml": {"Federated": [SAML]}}
    grant = on_resource(named.get(principal["type"], "*"))
    assert decide(principal, DENY, resourcePolicy=grant, sessionPolicies=DENY, permissionBoundaries=DENY) == YES
    assert decide(principal, ALL) == NO
    assert decide(principal, ALL, resourcePolicy=on_resource({"AWS": [A, USER]})) == NO
    assert decide(principal, ALL, resourcePolicy=on_resource({"Service": "other.amazonaws.com"})) == NO


@pytest.mark.parametrize(
    ("principal", "entry", "expected"),
    [
        (ANN, {"AWS": "arn:aws:iam::*:user/x/Ann"}, NO),  # no wildcard inside a principal's ARN
        (ANN, {"AWS": f"arn:aws:iam::{A}:user/x/*"}, NO),
        (ANN, {"AWS": f"arn:aws:iam::{A}:user/x/ann"}, NO),  # case-sensitive
        (ANN, {"AWS": f"arn:aws:iam::{A}:user/Ann"}, NO),  # the path is part of it
        (ANN, {"Federated": USER}, NO),
        (ANN, {"CanonicalUser": USER}, NO),
        ({**ANN, "userId": USER_ID}, {"AWS": USER_ID}, YES),
        ({**ANN, "userId": "AIDABBBBBBBBBBBBBBBBB"}, {"AWS": USER_ID}, NO),  # made anew: the old id grants nothing
        ({**IN_ROLE, "userId": f"{ROLE_ID}:s"}, {"AWS": ROLE_ID}, YES),
        (IN_ROLE, {"AWS": ROLE}, YES),
        (IN_ROLE, {"AWS": f"arn:aws:iam::{A}:role/R"}, NO),
        ({"type": "role-session", "arn": SESSION, "account": A}, {"AWS": f"arn:aws:iam::{A}:role/R"}, YES),
        (IN_ROLE, {"AWS": f"arn:aws:sts::{A}:assumed-role/R/other"}, NO),
        (BOB, {"AWS": FEDERATED}, YES),
        (BOB, {"AWS": USER}, YES),
        (EC2, {"Service": [SERVICE, "x.amazonaws.com"]}, YES),
        (EC2, {"AWS": SERVICE}, NO),
        (CORP, {"AWS": A}, NO),
    ],
)
def test_who_is_named(principal: dict[str, Any], entry: Any, expected: str) -> None:
    assert decide(principal, [], resourcePolicy=on_resource(entry)) == expected


@pytest.mark.parametrize("account", [A, f"arn:aws:iam::{A}:root"])
@pytest.mark.parametrize("principal", [ANN, IN_ROLE, BOB], ids=lambda one: one["type"])
def test_naming_the_account_is_no_grant_but_denies(principal: dict[str, Any], account: str) -> None:
    session: dict[str, Any] = {"sessionPolicies": ALL}
    assert decide(principal, NONE, resourcePolicy=on_resource({"AWS": account}), **session) == NO
    assert decide(principal, ALL, resourcePolicy=on_resource({"AWS": account}, "Deny"), **session) == NEVER
    assert decide(principal, ALL, owner=B, resourcePolicy=on_resource({"AWS": account}), **session) == YES


@pytest.mark.parametrize(
    ("principal", "entry", "boundary", "session", "expected"),
    [
        (ANN, USER, NONE, None, YES),
        (ANN, USER, DENY, None, NEVER),
        (IN_ROLE, SESSION, NONE, NONE, YES),
        (IN_ROLE, ROLE, ALL, ALL, YES),
        (IN_ROLE, ROLE, NONE, ALL, NO),
        (IN_ROLE, ROLE, ALL, NONE, NO),
        (BOB, FEDERATED, NONE, NONE, YES),
        (BOB, FEDERATED, None, None, YES),
        (BOB, USER, None, None, YES),
        (BOB, USER, ALL, NONE, NO),
        (BOB, USER, NONE, ALL, NO),
    ],
)
def test_limits_beside_a_grant_of_the_resource(
    principal: dict[str, Any], entry: str, boundary: Any, session: Any, expected: str
) -> None:
    more: dict[str, Any] = {
        "permissionBoundaries": boundary,
        "sessionPolicies": session,
        "resourcePolicy": on_resource({"AWS": entry}),
    }
    assert decide(principal, [], **more) == expected
    # In another account no naming goes round boundary or session, and identity must allow.
    if expected != NEVER:
        whole = boundary in (ALL, None) and (session == ALL or (session is None and principal is not BOB))
        assert decide(principal, ALL, owner=B, **more) == (YES if whole else NO)
        assert decide(principal, [], owner=B, **more) == NO


@pytest.mark.parametrize(
    "action", ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:tagSession", "STS:SetSourceIdentity"]
)
def test_a_trust_policy_must_allow(action: str) -> None:
    asked: dict[str, Any] = {"action": action, "resource": ROLE}
    account, direct = on_resource({"AWS": A}), on_resource({"AWS": USER})
    assert decide(ANN, ALL, **asked) == NO
    assert decide(ANN, ALL, **asked, resourcePolicy=on_resource({"AWS": B})) == NO
    assert decide(ANN, ALL, **asked, resourcePolicy=account) == YES
    assert decide(ANN, NONE, **asked, resourcePolicy=account) == NO
    assert decide(ANN, ALL, **asked, resourcePolicy=account, permissionBoundaries=NONE) == NO
    assert decide(ANN, NONE, **asked, resourcePolicy=direct, permissionBoundaries=NONE) == YES
    assert decide(ANN, DENY, **asked, resourcePolicy=direct) == NEVER
    assert decide(ANN, NONE, **asked, owner=B, resourcePolicy=direct) == NO
    assert decide(ANN, ALL, **asked, owner=B, resourcePolicy=direct) == YES
    assert decide(ROOT, [], **asked) == NO
    # A role is not trusted by itself.
    assert decide(IN_ROLE, ALL, **asked, resourcePolicy=on_resource({"AWS": USER})) == NO
    assert decide(IN_ROLE, NONE, **asked, resourcePolicy=on_resource({"AWS": ROLE}), sessionPolicies=NONE) == NO
    assert decide(IN_ROLE, NONE, **asked, resourcePolicy=on_resource({"AWS": ROLE})) == YES


def test_other_actions_of_sts_need_no_trust_policy() -> None:
    for action in ("sts:GetSessionToken", "sts:AssumeRoot", "sts:GetFederationToken"):
        assert decide(ANN, ALL, action=action, resource="*") == YES


@pytest.mark.parametrize(
    ("principal", "listed", "bounded", "plain"),
    [
        (ANN, [USER], NEVER, YES),
        (ANN, [USER, A], NEVER, YES),
        (ANN, [A], NEVER, NEVER),
        (ANN, [f"arn:aws:iam::{A}:root"], NEVER, NEVER),
        (ANN, [ROLE], NEVER, NEVER),
        (ANN, ["*"], NEVER, YES),
        (IN_ROLE, [SESSION, ROLE, A], NEVER, YES),
        (IN_ROLE, [ROLE, A], NEVER, NEVER),
        (BOB, [FEDERATED, USER, A], NEVER, YES),
        (BOB, [A], NEVER, NEVER),
        (ROOT, [A], NEVER, YES),
        (ROOT, [B], NEVER, NEVER),
        (EC2, [A], NEVER, NEVER),
        (NOBODY, [A], NEVER, NEVER),
    ],
)
def test_not_principal(principal: dict[str, Any], listed: list[str], bounded: str, plain: str) -> None:
    outsider = principal in (EC2, NOBODY)
    session: dict[str, Any] = {"sessionPolicies": ALL} if principal is BOB else {}
    granted = {"Effect": "Allow", "Principal": "*", "Action": "*"}
    policy = {"Statement": [granted, spared(*listed)["Statement"]]} if outsider else spared(*listed)
    assert decide(principal, ALL, resourcePolicy=policy, **session) == plain
    assert decide(principal, ALL, resourcePolicy=policy, permissionBoundaries=ALL, **session) == bounded


def test_root() -> None:
    assert decide(ROOT, []) == YES
    assert decide(ROOT, DENY, sessionPolicies=NONE, permissionBoundaries=NONE) == YES
    assert decide(ROOT, [], resourcePolicy=on_resource({"AWS": A}, "Deny")) == NEVER
    assert decide(ROOT, [], resourcePolicy=on_resource({"AWS": USER}, "Deny")) == YES
    assert decide(ROOT, ALL, owner=B) == NO
    assert decide(ROOT, [], owner=B, resourcePolicy=on_resource({"AWS": A})) == YES
    assert decide(ROOT, [], owner=B, resourcePolicy=on_resource({"AWS": USER})) == NO


def test_session_policies() -> None:
    assert decide(BOB, ALL) == NO
    assert decide(BOB, ALL, sessionPolicies=[]) == NO
    assert decide(BOB, ALL, sessionPolicies=NONE + ALL) == YES
    assert decide(ANN, ALL, sessionPolicies=[], permissionBoundaries=[]) == YES
    assert decide(IN_ROLE, ALL, sessionPolicies=NONE) == NO
    assert decide(IN_ROLE, NONE, sessionPolicies=ALL) == NO
    assert decide(IN_ROLE, ALL, sessionPolicies=ALL + DENY) == NEVER
    assert decide(IN_ROLE, ALL, sessionPolicies=ALL, permissionBoundaries=NONE) == NO


def identity(version: str | None = "2012-10-17", **changes: Any) -> list[Any]:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"} | changes
    statement = {name: value for name, value in statement.items() if value is not None}
    return [{"Statement": statement} | ({"Version": version} if version else {})]


@pytest.mark.parametrize(
    ("pattern", "resource", "matches"),
    [
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/", False),
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/:", True),
        ("arn:aws:s3:::*b", "arn:aws:s3:::a:b/b", True),
        ("arn:aws:s3*", "arn:aws:s3:::b", True),
        ("arn:aws:s3*", "arn:aws:s3-outposts:eu-west-1:1:x", True),
        ("arn:*", "arn:aws:s3:::b", True),
        ("arn:aws:ec2:*:*", "arn:aws:ec2:r:1:instance/i", True),
        ("arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:r:1:volume/instance/v", False),
        ("arn:aws:ec2:?:1:*", "arn:aws:ec2::1:x", False),
        ("arn:aws:ec2:r*1:x", "arn:aws:ec2:r:1:x", False),  # inside its segment
        ("arn:aws:sns:*", "*", False),
        ("**", "*", True),
        ("arn:aws:iam::1:role/${aws:x}", "arn:aws:iam::1:role/${aws:x}", False),
    ],
)
def test_resources(pattern: str, resource: str, matches: bool) -> None:
    assert decide(ANN, identity(Resource=["arn:aws:x:::y", pattern]), resource=resource) == (YES if matches else NO)
    inverse = identity(Resource=None, NotResource=["arn:aws:x:::y", pattern])
    assert decide(ANN, inverse, resource=resource) == (NO if matches else YES)


@pytest.mark.parametrize(
    ("operator", "values", "context", "expected"),
    [
        # a list is a multivalued key, however many values are in it
        ("StringEquals", "a", ["a"], False),
        ("StringNotEquals", "b", ["a"], False),
        ("StringEqualsIfExists", "a", ["a"], False),
        ("StringNotEqualsIfExists", "b", ["a"], False),
        ("StringEquals", "a", [], False),
        ("NotIpAddress", "10.0.0.0/8", ["11.0.0.1"], False),
        ("Null", "true", [], False),
        ("Null", "false", [], True),
        ("Null", "false", ["a"], True),
        ("ForAllValues:StringEquals", "a", "a", True),
        ("ForAnyValue:StringNotEquals", "a", "a", False),
        ("ForAllValues:StringLikeIfExists", "a*", ["ab", "b"], False),
        ("ForAnyValue:StringNotLike", ["a*", "b*"], ["ab", "ba", "c"], True),
        ("ForAllValues:StringNotLike", ["a*", "b*"], ["c", "ab"], False),
        ("ForAllValues:ArnNotEquals", "arn:aws:iam::1:*", ["arn:aws:iam::2:x"], True),
        ("ForAllValues:StringNotEqualsIgnoreCase", "A", ["b", "a"], False),
        ("ForAnyValue:NotIpAddress", "10.0.0.0/8", ["10.0.0.1", "11.0.0.1"], True),
        ("ForAllValues:NumericLessThan", "3", ["1", "2"], True),
        ("ForAnyValue:Bool", "true", ["false", "True"], True),
        ("ForAnyValue:BinaryEquals", "QUJD", ["QUI=", "QUJD"], True),
        ("ForAllValues:DateGreaterThan", "2020-01-01", ["2021-01-01", "1577836801"], True),
        # absent keys
        ("StringNotEqualsIfExists", "a", ..., True),
        ("ForAllValues:StringNotEquals", "a", ..., True),
        ("ForAllValues:StringEqualsIfExists", "a", ..., True),
        ("ForAnyValue:StringEqualsIfExists", "a", ..., True),
        ("ForAnyValue:StringNotLike", "a", ..., False),
        ("NumericNotEquals", "1", ..., True),
        ("DateNotEquals", "2020", ..., True),
        ("NotIpAddress", "10.0.0.0/8", ..., True),
        ("ArnNotLike", "arn:aws:iam::1:*", ..., True),
        ("Bool", "false", ..., False),
        ("BinaryEquals", "QUJD", ..., False),
        ("IpAddress", "0.0.0.0/0", ..., False),
        # values
        ("StringEquals", "", " ", False),
        ("StringLike", "*", "", True),
        ("StringLike", "?*", "", False),
        ("StringEquals", ["*"], "x", False),
        ("StringEquals", 5, "5", True),
        ("StringEquals", 5.0, "5.0", True),
        ("StringEquals", True, "true", True),
        ("NumericEquals", "0.1", "0.10", True),
        ("NumericLessThan", "-1.5", "-2", True),
        ("NumericEquals", "ten", "10", False),
        ("NumericNotEquals", ["ten", "9"], "10", True),
        ("DateEquals", "2026-01-01T00:00:00.5Z", "1767225600.5", True),
        ("DateEquals", "1969-12-31T23:59:59.25Z", "-0.75", True),
        ("DateLessThan", "2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00Z", False),
        ("DateLessThanEquals", "2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00Z", True),
        ("DateEquals", "2026-02", "2026-02-01", True),
        ("DateGreaterThan", "2026-02-30", "2027-01-01", False),
        ("Bool", ["true", "false"], "FALSE", True),
        ("IpAddress", "10.1.2.3/8", "10.255.0.1", True),
        ("IpAddress", "0.0.0.0/0", "::1", False),
        ("NotIpAddress", "::/0", "10.0.0.1", True),
        ("NotIpAddress", "10.0.0.0/8", "not an address", True),
        ("IpAddress", "2001:db8:0:0::1", "2001:DB8::1", True),
        ("ArnEquals", "arn:aws:iam::1:role/?", "arn:aws:iam::1:role/a", True),
        ("ArnLike", "*", "arn:aws:iam::1:role/a", False),
        ("ArnLike", "arn:*:iam::*:role/*", "arn:aws:iam::1:ROLE/a", False),
        ("ArnLike", "arn:aws:sns:*:*:a:b*", "arn:aws:sns:r:1:a:bc", True),
        ("ArnNotEquals", "arn:aws:iam::1:role/a", "arn:aws", True),
        ("StringLike", "arn:aws:sns:*:t", "arn:aws:sns:a:b:1:t", True),
        ("stringequals", "a", "a", True),
    ],
)
def test_conditions(operator: str, values: Any, context: Any, expected: bool) -> None:
    condition = {operator: {"x:K": values}}
    found = decide(ANN, identity(Condition=condition), context={} if context is ... else {"X:k": context})
    assert found == (YES if expected else NO)
    denied = identity(Condition=condition, Effect="Deny")
    denial = decide(ANN, ALL + denied, context={} if context is ... else {"X:k": context})
    assert denial == (NEVER if expected else YES)


@pytest.mark.parametrize(
    ("operator", "value", "context", "expected"),
    [
        ("StringLike", "${x:v}*", {"x:v": "a*"}, True),  # what was filled in is literal
        ("StringLike", "${x:v}", {"x:v": "*"}, False),
        ("StringEquals", "a*${*}${?}${$}", {}, False),
        ("StringLike", "a${*}b*", {}, True),
        ("StringEquals", "${X:V,'a*bc'}", {}, True),
        ("StringEquals", "${x:v, 'z'}", {"x:v": "a*bc"}, True),
        ("StringEquals", "${x:v, 'a*bc'}", {"x:v": ["z"]}, True),  # a multivalued key has no value here
        ("StringEquals", "${x:v}", {"x:v": ["a*bc"]}, False),
        ("StringNotEquals", "${x:v}", {}, True),
        ("StringNotLike", "${x:v}*", {}, True),
        ("StringEqualsIgnoreCase", "${x:v}", {"x:v": "A*BC"}, True),
        ("StringEquals", "${x:v", {"x:v": "a*bc"}, False),
        ("NumericEquals", "${x:v}", {"x:v": "1"}, False),  # not in these operators
        ("DateEquals", "${x:v}", {"x:v": "2020-01-01"}, False),
        ("IpAddress", "${x:v}", {"x:v": "10.0.0.1"}, False),
    ],
)
def test_variables_in_values(operator: str, value: str, context: dict[str, Any], expected: bool) -> None:
    actual = {"NumericEquals": "1", "DateEquals": "2020-01-01", "IpAddress": "10.0.0.1"}.get(operator, "a*bc")
    condition = {operator: {"x:k": value}}
    asked = {"x:k": actual, **context}
    assert decide(ANN, identity(Condition=condition), context=asked) == (YES if expected else NO)
    assert decide(ANN, identity(Condition={operator: {"x:k": [value, actual]}}), context=asked) == (
        NO if "Not" in operator else YES
    )


@pytest.mark.parametrize("version", [None, "2008-10-17"])
def test_the_old_version_has_no_variables(version: str | None) -> None:
    literal = identity(version, Condition={"StringEquals": {"x:k": "${aws:username}"}})
    assert decide(ANN, literal, context={"x:k": "Ann", "aws:username": "Ann"}) == NO
    assert decide(ANN, literal, context={"x:k": "${aws:username}"}) == YES
    wild = identity(version, Resource="arn:aws:s3:::${*}")
    assert decide(ANN, wild, resource="arn:aws:s3:::${anything}") == YES
    assert decide(ANN, wild, resource="arn:aws:s3:::*") == NO


def test_a_resource_without_a_value_matches_nothing() -> None:
    pattern = "arn:aws:s3:::b/${x:v}"
    assert decide(ANN, identity(Resource=pattern), resource="arn:aws:s3:::b/") == NO
    assert decide(ANN, identity(Resource=[pattern, "arn:aws:s3:::b/*"])) == YES
    assert decide(ANN, identity(Resource=None, NotResource=pattern)) == YES
    assert decide(ANN, identity(Resource=None, NotResource=[pattern, "arn:aws:s3:::b/*"])) == NO
    assert decide(ANN, identity(Resource="arn:aws:s3:${x:v}::b/k"), context={"x:v": ""}) == NO


def test_the_context_is_all_there_is() -> None:
    """Nothing of the principal is added to the context."""
    told = {**ANN, "userName": "Ann", "tags": {"k": "v"}, "userId": USER_ID}
    for key in ("aws:username", "aws:PrincipalTag/k", "aws:userid", "aws:PrincipalArn", "aws:PrincipalAccount"):
        assert decide(told, identity(Condition={"Null": {key: "true"}})) == YES


def test_operators_and_keys_are_all_needed() -> None:
    condition = {"StringEquals": {"x:a": "1", "x:b": ["2", "3"]}, "Bool": {"x:c": "true"}}
    good = {"x:a": "1", "x:b": "3", "x:c": "true"}
    assert decide(ANN, identity(Condition=condition), context=good) == YES
    for key in good:
        assert decide(ANN, identity(Condition=condition), context={**good, key: "9"}) == NO
    assert decide(ANN, identity(Condition={})) == YES
    assert decide(ANN, identity(Condition={"StringEquals": {}})) == YES


def test_actions_and_resources_of_one_statement_are_independent() -> None:
    both = identity(Action=["s3:GetObject", "ec2:Start*"], Resource=["arn:aws:s3:::b/*", "arn:aws:ec2:*:*:*"])
    assert decide(ANN, both, action="EC2:startinstances", resource="arn:aws:s3:::b/k") == YES
    # Across statements they are not.
    apart = identity(Action="s3:Put*") + identity(Resource="arn:aws:s3:::c/*")
    assert decide(ANN, apart) == NO
