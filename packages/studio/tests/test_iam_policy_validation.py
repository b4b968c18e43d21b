"""Malformed policies, with AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emr_studio.iam import managed
from emr_studio.iam.bootstrap_policies import analyst_policy, service_role_policy, trust_policy
from emr_studio.iam.policy import MalformedPolicy, PolicyKind, size_without_white_space, validate

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
TRUST_ACTIONS = (
    "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and "
    "sts:AssumeRoleWithWebIdentity"
)


def refusal(document: Any, kind: PolicyKind = PolicyKind.IDENTITY) -> str | None:
    """The message, or None if the policy is good."""
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    try:
        validate(text, kind, newest=kind is PolicyKind.IDENTITY)
    except MalformedPolicy as error:
        return error.message
    return None


def identity(**changes: Any) -> dict[str, Any]:
    """A good policy with some members of its statement changed; None takes one away."""
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"} | changes
    return {
        "Version": "2012-10-17",
        "Statement": {name: value for name, value in statement.items() if value is not None},
    }


def trust(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"} | changes
    kept = {name: value for name, value in statement.items() if value is not None}
    return {"Version": "2012-10-17", "Statement": kept}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (identity(), None),
        ("", SYNTAX),
        ("[1]", SYNTAX),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', SYNTAX),
        ({**identity(), "Extra": 1}, SYNTAX),
        ({**identity(), "Id": "x"}, SYNTAX),
        ({**identity(), "Version": "2013-01-01"}, SYNTAX),
        ({"Version": "2012-10-17"}, SYNTAX),
        ({"Version": "2012-10-17", "Statement": []}, SYNTAX),
        ({"Version": "2012-10-17", "Statement": ["x"]}, SYNTAX),
        ({"Statement": identity()["Statement"]}, "Policy document must be version 2012-10-17 or greater."),
        ({**identity(), "Version": "2008-10-17"}, "Policy document must be version 2012-10-17 or greater."),
        (identity(Effect=None), SYNTAX),
        (identity(Effect="allow"), "The policy failed legacy parsing"),
        (identity(Effect="Maybe"), SYNTAX),
        (identity(Action=None), "Policy statement must contain actions."),
        (identity(Action=[]), "Policy statement must contain actions."),
        (identity(Action=3), SYNTAX),
        (identity(NotAction="s3:*"), SYNTAX),
        (identity(Action="GetObject"), VENDOR),
        (identity(Action="s3:Get:Object"), "Actions/Condition can contain only one colon."),
        (identity(Action="s*:Get"), "Vendor s* is not valid"),
        (identity(Action="*:Get"), "Vendor * is not valid"),
        (identity(Action="s 3:Get"), "Vendor s 3 is not valid"),
        (identity(Action="nobody:Knows"), None),
        (identity(Resource=None), "Policy statement must contain resources."),
        (identity(Resource=[]), "Policy statement must contain resources."),
        (identity(NotResource="*"), SYNTAX),
        (identity(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        (identity(Resource="arn:aws:s3::b"), LEGACY),
        (identity(Resource="arn:aws:ec2:us-east-1:1"), LEGACY),
        (identity(Resource="arn:foo:s3:::b"), 'Partition "foo" is not valid for resource "arn:foo:s3:::b".'),
        (identity(Resource="arn:foo:s3"), 'Partition "foo" is not valid for resource "arn:foo:s3:*:*:*".'),
        (identity(Resource="aws:s3:::b"), 'Partition "s3" is not valid for resource "arn:s3:::b:*".'),
        (identity(Resource=["arn:*:s3:::b", "arn:aws:s3:us-east-1:1:accesspoint/a", "arn:aws:ec2:*"]), None),
        (identity(Resource="arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (identity(Resource="arn:aws:s3*"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            identity(Resource="arn:aws:*:::b"),
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (
            identity(Resource="arn:aws:s3:us-east-1::b"),
            "Resource arn:aws:s3:us-east-1::b can not contain region information.",
        ),
        (
            identity(Resource="arn:aws:iam:us-east-1:1:user/a"),
            "IAM resource arn:aws:iam:us-east-1:1:user/a cannot contain region information.",
        ),
        (identity(Resource="arn:aws:iam::1:users/a"), "IAM resource path must either be"),
        (identity(Resource=["arn:aws:s3:::b/*", "arn:aws:s3:*", "arn:aws:iam::1:role/*"]), None),
        (identity(Sid="a b"), "Statement IDs (SID) must be alpha-numeric"),
        (identity(Principal="*"), SYNTAX),
        (identity(Condition={"StringEquals": {"x:k": []}}), SYNTAX),
        (identity(Condition={"StringEquals": {"x:k": None}}), SYNTAX),
        (identity(Condition={"StringEquals": {"key": "v"}}), VENDOR),
        (identity(Condition={"StringIs": {"x:k": "v"}}), SYNTAX),
        (identity(Condition={"ForAllValues:Null": {"x:k": "true"}}), SYNTAX),
        (identity(Condition={"DateLessThan": {"x:k": "soon"}}), "The policy failed legacy parsing"),
        (identity(Condition={"ForAnyValue:StringLikeIfExists": {"x:k": ["v", 1, True]}}), None),
        (identity(Resource="arn:aws:s3:::\u4e2d"), SYNTAX),
    ],
)
def test_identity_policies(document: Any, message: str | None) -> None:
    found = refusal(document)
    assert found == message if message is None else str(found).startswith(message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        # syntax before all, wherever it stands
        ({**identity(Effect="allow", Action=None), "Extra": 1}, SYNTAX),
        (identity(Effect="allow", Condition={"Sounds": {"a:b": "c"}}), SYNTAX),
        # then the version, then the late parser, then actions, resources, vendors
        (
            {"Statement": identity(Effect="allow")["Statement"]},
            "Policy document must be version 2012-10-17 or greater.",
        ),
        (identity(Effect="allow", Action=None), LEGACY),
        (identity(Action=None, Resource="bucket"), "Policy statement must contain actions."),
        (identity(Action="GetObject", Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        (identity(Action="GetObject", Resource=None), VENDOR),
        (identity(Action=[], Resource=None), "Policy statement must contain actions."),
    ],
)
def test_of_several_faults_the_earliest_check_speaks(document: Any, message: str) -> None:
    assert refusal(document) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"Sid": ""},
        {"Action": ["nobody:Knows", "*", "*:*", "s3:Get?bject*"]},
        {"NotAction": "iam:*", "Action": None},
        {"NotResource": ["*"], "Resource": None},
        {"Condition": {}},
        {"Condition": {"NumericLessThan": {"any:key": 5}, "Bool": {"aws:SecureTransport": False}}},
        {"Condition": {"NumericEquals": {"any:key": [1.5, "2"]}, "DateLessThan": {"aws:CurrentTime": 1767225600}}},
        {"Condition": {"Null": {"aws:TokenIssueTime": [True, "false"]}}},
        {"Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}},
        {"Resource": "arn:aws:s3:::b/${aws:username}/${nobody:Knows, 'x'}"},
        {"Resource": "arn:aws-us-gov:iam::aws:policy/x"},
        {"Resource": "arn:aws:emr-containers:*:*:/virtualclusters/*"},
    ],
)
def test_what_aws_accepts(changes: dict[str, Any]) -> None:
    assert refusal(identity(**changes)) is None
    assert refusal({**identity(), "Statement": [identity(**changes)["Statement"]]}) is None


def test_resource_policies() -> None:
    def resource(**changes: Any) -> dict[str, Any]:
        return identity(Principal={"AWS": ["123456789012", "*"], "CanonicalUser": "x"}) | {"Id": "any"} | changes

    kind = PolicyKind.RESOURCE
    assert refusal(resource(), kind) is None
    assert refusal({**resource(), "Version": "2008-10-17"}, kind) is None
    assert refusal(identity(), kind) == SYNTAX
    assert refusal(identity(NotPrincipal="*"), kind) == SYNTAX
    assert refusal(identity(NotPrincipal="*", Effect="Deny"), kind) is None
    assert refusal(identity(NotPrincipal="*", Principal="*", Effect="Deny"), kind) == SYNTAX
    assert refusal(identity(Principal={}), kind) == SYNTAX
    assert refusal(identity(Principal={"AWS": 5}), kind) == SYNTAX


def test_statement_ids_are_unique() -> None:
    statement = identity(Sid="a")["Statement"]
    document = {"Version": "2012-10-17", "Statement": [statement, statement]}
    assert refusal(document) == "Statement IDs (SID) in a single policy must be unique."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (trust(), None),
        (trust(Principal="*"), None),
        (trust(Principal=["*"]), SYNTAX),
        (trust(Principal={"AWS": []}), SYNTAX),
        (trust(Principal={"Aws": "*"}), SYNTAX),
        (trust(Action="s3:Get*"), TRUST_ACTIONS),
        (trust(Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]), None),
        (trust(Resource="*"), "Has prohibited field Resource."),
        (trust(NotResource="*"), "Has prohibited field Resource."),
        (trust(NotPrincipal="*", Principal=None, Effect="Deny"), SYNTAX),
        (trust(Principal=None), SYNTAX),
        (trust(Action="sts:*"), TRUST_ACTIONS),
        (trust(Action="sts:AssumeRole", Principal={"Federated": "arn:aws:iam::1:saml-provider/p"}), None),
        (trust(Principal={"Service": "*.amazonaws.com"}), 'Invalid principal in policy: "SERVICE":"*.amazonaws.com"'),
        (
            trust(Principal={"AWS": "arn:aws:iam::1:user/*"}),
            'Invalid principal in policy: "AWS":"arn:aws:iam::1:user/*"',
        ),
        ({"Statement": trust()["Statement"]}, None),
    ],
)
def test_trust_policies(document: Any, message: str | None) -> None:
    assert refusal(document, PolicyKind.TRUST) == message


def test_policies_of_ours_are_good_and_fit() -> None:
    for policy in managed.all_policies().values():
        assert refusal(policy.document) is None, policy.name
    for document, most in (
        (analyst_policy("123456789012", "aws", "b" * 63), 6144),
        (service_role_policy("b" * 63, "aws"), 10_240),
    ):
        assert refusal(document) is None
        assert size_without_white_space(json.dumps(document)) <= most
    for service in ("ec2.amazonaws.com", "elasticmapreduce.amazonaws.com"):
        assert refusal(trust_policy(service, "123456789012", "aws"), PolicyKind.TRUST) is None
