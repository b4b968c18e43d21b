"""Realistic sets of IAM policies with requests, and the same policies in Cedar.

Every set has 200 requests of which some are allowed, some denied by no Allow and some by a Deny. What Cedar cannot
say (a wildcard built from a variable) is left out, so that both sides have equal work and equal answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

ACCOUNT = "123456789012"
CLUSTER = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:cluster/"
EDITOR = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:editor/"
STUDIO = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/"
Policy = dict[str, Any]
Request = dict[str, Any]


@dataclass(frozen=True)
class PolicySets:
    """`layers` are identity, then (where there are any) boundary and session policies: each must allow."""

    name: str
    layers: tuple[tuple[Policy, ...], ...]
    requests: tuple[Request, ...]


def allow(action: str | list[str], resource: str | list[str], **conditions: Any) -> dict[str, Any]:
    """An Allow; `conditions` by operator."""
    made = {"Effect": "Allow", "Action": action, "Resource": resource}
    return made | ({"Condition": conditions} if conditions else {})


def deny(action: str | list[str], resource: str | list[str], **conditions: Any) -> dict[str, Any]:
    """A Deny; `conditions` by operator."""
    return allow(action, resource, **conditions) | {"Effect": "Deny"}


def policy(*statements: dict[str, Any]) -> Policy:
    """A document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


WORKSPACES = [
    allow(["elasticmapreduce:ListStudios", "elasticmapreduce:ListEditors", "elasticmapreduce:ListClusters"], "*"),
    allow(["elasticmapreduce:DescribeStudio", "elasticmapreduce:CreateStudioPresignedUrl"], f"{STUDIO}es-*"),
    allow("elasticmapreduce:*Editor", f"{EDITOR}*"),
    allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::team-bucket/work/*"),
    deny("s3:*", "arn:aws:s3:::team-bucket/secret/*"),
]
CLUSTERS = [
    allow(["elasticmapreduce:Describe*", "elasticmapreduce:List*"], "*"),
    allow(["elasticmapreduce:RunJobFlow"], "*", StringEquals={"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}),
    allow(["elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:CancelSteps"], f"{CLUSTER}j-*"),
    deny("elasticmapreduce:TerminateJobFlows", f"{CLUSTER}j-PROD*"),
    allow("elasticmapreduce:TerminateJobFlows", f"{CLUSTER}*", Bool={"aws:MultiFactorAuthPresent": "true"}),
    allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/EMR_*", StringLike={"iam:PassedToService": "ec2.*"}),
    allow(["s3:ListBucket"], ["arn:aws:s3:::team-bucket", "arn:aws:s3:::logs-bucket"]),
    allow("s3:Get*", ["arn:aws:s3:::logs-bucket/*", "arn:aws:s3:::data-*/*"]),
    deny("*", "*", NotIpAddress={"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}),
    deny("s3:*", "*", Bool={"aws:SecureTransport": "false"}),
]
SERVICES = [
    allow(
        [f"{service}:Describe*", f"{service}:List*", f"{service}:Get*"],
        [f"arn:aws:{service}:us-east-1:{ACCOUNT}:thing/*", f"arn:aws:{service}:eu-west-1:{ACCOUNT}:thing/*"],
    )
    for service in ("glue", "athena", "logs", "sns", "sqs", "kms", "dynamodb", "lambda", "ecr", "states")
] + [
    allow(f"{service}:*", f"arn:aws:{service}:*:{ACCOUNT}:own/*", StringEquals={"aws:RequestedRegion": "us-east-1"})
    for service in ("glue", "athena", "logs", "sns", "sqs")
]
ABAC = [
    allow("elasticmapreduce:List*", "*"),
    allow(
        ["elasticmapreduce:Describe*", "elasticmapreduce:StartEditor", "elasticmapreduce:OpenEditorInConsole"],
        [f"{EDITOR}*", f"{CLUSTER}*"],
        StringEquals={"aws:ResourceTag/team": "${aws:PrincipalTag/team}"},
    ),
    allow(
        ["elasticmapreduce:DeleteEditor", "elasticmapreduce:StopEditor"],
        f"{EDITOR}*",
        StringEquals={"elasticmapreduce:ResourceTag/creatorUserId": "${aws:userid}"},
    ),
    allow(
        "elasticmapreduce:RunJobFlow",
        "*",
        **{
            "StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost-center", "Name"]},
        },
    ),
    allow("elasticmapreduce:AddTags", f"{CLUSTER}*", **{"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}}),
    deny(["elasticmapreduce:*"], "*", StringNotEquals={"aws:PrincipalTag/project": ["blue", "green"]}),
    deny("elasticmapreduce:TerminateJobFlows", "*", StringEquals={"aws:ResourceTag/stage": "production"}),
    allow("elasticmapreduce:TerminateJobFlows", f"{CLUSTER}*", StringLike={"aws:ResourceTag/team": ["blue-*", "ops"]}),
]
BOUNDARY = [
    allow(["elasticmapreduce:*", "s3:*", "iam:PassRole", "logs:*", "glue:*"], "*"),
    deny(["iam:Create*", "iam:Put*"], "*"),
    deny("s3:*", "arn:aws:s3:::payroll-*"),
]
SESSION = [
    allow(["elasticmapreduce:*Editor", "elasticmapreduce:Describe*", "elasticmapreduce:List*"], "*"),
    allow("s3:*", ["arn:aws:s3:::team-bucket/work/*", "arn:aws:s3:::data-*/*"]),
]
ACTIONS = (
    *("elasticmapreduce:ListStudios", "elasticmapreduce:DescribeCluster", "elasticmapreduce:StartEditor"),
    *("elasticmapreduce:StopEditor", "elasticmapreduce:RunJobFlow", "elasticmapreduce:TerminateJobFlows"),
    *("elasticmapreduce:AddTags", "elasticmapreduce:DescribeStudio", "s3:GetObject", "s3:PutObject", "s3:ListBucket"),
    *("iam:PassRole", "glue:GetTable", "logs:CreateLogGroup", "sqs:ListQueues", "iam:CreateUser"),
)
RESOURCES = {
    "elasticmapreduce": (f"{CLUSTER}j-1ABC", f"{CLUSTER}j-PROD1", f"{EDITOR}e-1", f"{STUDIO}es-1", "*"),
    "s3": (
        *("arn:aws:s3:::team-bucket/work/a/b.ipynb", "arn:aws:s3:::team-bucket/secret/key", "arn:aws:s3:::team-bucket"),
        *("arn:aws:s3:::data-lake/2026/part-0", "arn:aws:s3:::payroll-2026/x"),
    ),
    "iam": (f"arn:aws:iam::{ACCOUNT}:role/EMR_EC2", f"arn:aws:iam::{ACCOUNT}:role/Admin"),
}


def policy_sets() -> tuple[PolicySets, ...]:
    """The sets that are measured."""
    random = Random(2026)
    plain = _requests(random)
    thirty = (policy(*WORKSPACES), policy(*CLUSTERS), policy(*SERVICES))
    return (
        PolicySets("5 statements", ((policy(*WORKSPACES),),), plain),
        PolicySets("15 statements", ((policy(*WORKSPACES), policy(*CLUSTERS)),), plain),
        PolicySets("30 statements", (thirty,), plain),
        PolicySets("tags (ABAC)", ((policy(*ABAC),),), plain),
        PolicySets("30 statements, boundary, session", (thirty, (policy(*BOUNDARY),), (policy(*SESSION),)), plain),
    )


def _requests(random: Random) -> tuple[Request, ...]:
    return tuple(_request(random) for _ in range(200))


def _request(random: Random) -> Request:
    action = random.choice(ACTIONS)
    service = action.partition(":")[0]
    things = tuple(f"arn:aws:{service}:us-east-1:{ACCOUNT}:{kind}/x" for kind in ("thing", "own", "other"))
    team = random.choice(("blue", "blue-2", "ops"))
    context = {
        "aws:CurrentTime": "2026-11-26T10:00:00Z",
        "aws:EpochTime": "1795687200",
        "aws:SecureTransport": random.choice(("true", "true", "true", "false")),
        "aws:SourceIp": random.choice(("10.1.2.3", "192.168.3.4", "10.200.0.1", "203.0.113.9")),
        "aws:RequestedRegion": random.choice(("us-east-1", "eu-west-1", "ap-south-1")),
        "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/Analyst",
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": "AssumedRole",
        "aws:userid": "AROAEXAMPLE:ann",
        "aws:MultiFactorAuthPresent": random.choice(("true", "false")),
        "aws:PrincipalTag/team": team,
        "aws:PrincipalTag/project": random.choice(("blue", "green", "red")),
        "aws:ResourceTag/team": random.choice((team, "other")),
        "aws:ResourceTag/stage": random.choice(("production", "test")),
        "elasticmapreduce:ResourceTag/creatorUserId": random.choice(("AROAEXAMPLE:ann", "AROAEXAMPLE:bob")),
        "aws:RequestTag/team": random.choice((team, "other")),
        "aws:TagKeys": random.choice((["team"], ["team", "Name"], ["team", "secret"], ["Name"])),
        "iam:PassedToService": random.choice(("ec2.amazonaws.com", "lambda.amazonaws.com")),
    }
    return {"action": action, "resource": random.choice(RESOURCES.get(service, things)), "context": context}


# The same in Cedar. `like` knows `*` alone, which is all that the patterns above have.


def to_cedar(policies: Iterable[Policy]) -> str:
    """The policies of one layer as Cedar's text."""
    return "\n".join(_cedar_statement(one) for document in policies for one in document["Statement"])


def _cedar_statement(statement: Mapping[str, Any]) -> str:
    # Our requests spell actions as the policies do: Cedar has no lower case.
    tests = [
        _any_like("context.action", statement["Action"]),
        _any_like("context.resource", statement["Resource"]),
    ]
    for operator, keys in statement.get("Condition", {}).items():
        tests += [_cedar_condition(operator, key, values) for key, values in keys.items()]
    effect = "permit" if statement["Effect"] == "Allow" else "forbid"
    return f"{effect} (principal, action, resource) when {{ {' && '.join(tests)} }};"


def _any_like(value: str, patterns: str | list[str]) -> str:
    tests = [_like(value, pattern) for pattern in _many(patterns)]
    return f"({' || '.join(tests)})"


def _like(value: str, pattern: str) -> str:
    if pattern == "*":
        return "true"
    return f"{value} {'like' if '*' in pattern else '=='} {json.dumps(pattern)}"


def _cedar_condition(operator: str, key: str, values: Any) -> str:
    name = json.dumps(key)
    value, given = f"context[{name}]", _many(values)
    present, absent = f"context has {name}", f"!(context has {name})"
    if operator == "StringNotEquals":
        return f"({absent} || !({_equals(value, given)}))"
    if operator == "NotIpAddress":
        ranges = " || ".join(f"ip({value}).isInRange(ip({json.dumps(one)}))" for one in given)
        return f"({absent} || !({ranges}))"
    listed = ", ".join(map(json.dumps, given))
    if operator == "ForAllValues:StringEquals":
        return f"({absent} || [{listed}].containsAll({value}))"
    test = {
        "StringEquals": lambda: _equals(value, given),
        "Bool": lambda: _equals(value, given),
        "StringLike": lambda: _any_like(value, given),
        "ForAnyValue:StringEquals": lambda: f"[{listed}].containsAny({value})",
    }[operator]()
    return f"({present} && ({test}))"


def _equals(value: str, given: list[str]) -> str:
    return " || ".join(f"{value} == {_operand(one)}" for one in given)


def _operand(value: str) -> str:
    """A literal, or a variable that is the whole value."""
    return f"context[{json.dumps(value[2:-1])}]" if value.startswith("${") else json.dumps(value)


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
