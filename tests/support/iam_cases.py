"""Random cases of `emr-studio iam evaluate`, small alphabets so that things often meet.

Every kind of principal, every operator with every prefix and suffix, every layer of policies: a test
(`test_iam_policy_reference.py`) measures that ten thousand of them reach all of the engine.
"""

from __future__ import annotations

from random import Random
from typing import Any

A, B = "111111111111", "222222222222"
USER = f"arn:aws:iam::{A}:user/x/Ann"
ROLE = f"arn:aws:iam::{A}:role/p/R"
SESSION = f"arn:aws:sts::{A}:assumed-role/R/s"
FEDERATED = f"arn:aws:sts::{A}:federated-user/bob"
SERVICE, IDP = "ec2.amazonaws.com", "accounts.google.com"
SAML = f"arn:aws:iam::{A}:saml-provider/corp"
USER_ID, ROLE_ID = "AIDAAAAAAAAAAAAAAAAAA", "AROAAAAAAAAAAAAAAAAAA"
LONG = "0123456789" * 6
"""Longer than the pieces that a regular expression searches for."""

ACTIONS = ("s3:GetObject", "s3:PutObject", "S3:getobject", "iam:PassRole", "sts:AssumeRole", "sts:TagSession")
RARE_ACTIONS = ("sts:AssumeRoleWithSAML", "sts:SetSourceIdentity", "sts:GetCallerIdentity", "s3:GetObjectAcl")
ACTION_PATTERNS = (
    *("*", "s3:*", "s3:Get*", "s3:?etObject", "S3:*OBJECT", "iam:PassRole", "sts:*", "sts:AssumeRole"),
    *("**", "s3:*et*", "s3:????bject", "*:*", "sts:assumerole*", "s3:Get?*t"),
)
RESOURCES = (
    *("arn:aws:s3:::b/Ann/x", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a:b", "*", ROLE),
    *(f"arn:aws:ec2:us-east-1:{A}:instance/i-1", f"arn:aws:ec2:eu-west-1:{B}:instance/i-2"),
    *(f"arn:aws:s3:::b/{LONG}/{LONG}x", "arn:aws:s3:::b/", "arn:aws:s3:::b/a/b/Ann/c:d"),
)
RESOURCE_PATTERNS = (
    *RESOURCES,
    *("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/${aws:PrincipalTag/k, 'Ann'}/?", "arn:aws:s3:::*"),
    *("arn:aws:s3:*", "arn:aws:*:*:*:*", "arn:aws:ec2:*:*:instance/i-?", "arn:aws:ec2:us-*", "arn:aws:s3:::b/${*}"),
    *(
        f"arn:aws:s3:::b/*{LONG}x",
        f"arn:aws:s3:::*{LONG[:-1]}?/*",
        f"arn:aws:s3:::*?{LONG[1:]}*x*",
        "arn:aws:s3:::b/?*",
    ),
    *("arn:aws:s3:::b/${*}${aws:username}*", "arn:aws:s3:::*/${aws:username}/c?d", "arn:aws:s3:::b/*${aws:username}?*"),
    *("arn:aws:s3:::b/${aws:TagKeys, 'a'}*", "arn:aws:*3::?:b/${aws:username}*", "arn:aws:s3:${aws:username}::b/*"),
    *("arn:aws:s3:::b/${aws:username", "arn:aws:ec2:*", "arn:aws:s3:::${aws:UserName,'b'}/*"),
    *("${aws:username}", "arn:aws:*:::b/${aws:username}*", "arn:a?s:s3:::b/${aws:PrincipalTag/k, 'Ann'}/?"),
    *("arn:a*:s3:::b/${aws:username}/*", "arn:aws:*s3:::${aws:PrincipalTag/k}*"),
    *("arn:aws:ec2:us-*-1:*:*/i*1", "arn:*:ec2:*1:instance/*", "arn:aws:s3:::*/*/*", "arn:aws:s3:::b/${nokey}/*"),
)
KEYS = ("aws:username", "AWS:PrincipalTag/k", "aws:TagKeys", "x:n", "x:d", "x:b", "aws:SourceIp", "x:arn", "x:bin")
VALUES = {
    "aws:username": ("Ann", "ann", "Bob", "", "A*", LONG, f"x{LONG}{LONG}y"),
    "AWS:PrincipalTag/k": ("Ann", "v", "*"),
    "aws:TagKeys": ("k1", "k2", "K1"),
    "x:n": ("10", "10.0", "9.5", "-1", "ten", "1e1", "9007199254740993", "9007199254740992", "9" * 70, "١"),
    "x:d": ("2026-01-01", "2026-01-01T00:00:00Z", "1767225600", "2026-01-01T01:00:00+01:00", "2027", "soon", "2026-01"),
    "x:b": ("true", "TRUE", "false", "yes"),
    "aws:SourceIp": ("10.1.2.3", "10.1.2.0/24", "10.0.0.1", "2001:db8::1", "2001:db8::/32", "here"),
    "x:arn": (USER, ROLE, f"arn:aws:iam::{A}:role/*", "arn:aws:iam::*:*", "arn:aws", "${aws:PrincipalArn}", "*"),
    "x:bin": ("QUJD", "ABC", "QUI=", "!"),
}
VALUES["x:d"] += ("2025-12-31T23:59:59.5Z", "1767225599.5", "1969-12-31T23:59:59.25Z", "-0.75", "2026-02-30", "٢٠٢٦")
VALUES["x:d"] += ("2026-01-01T00:00:00+99:00", "2026-01-01T00:00:00.000000000000000001Z", "2026-01-01T00:00Z")
TEMPLATES = (
    *(
        f"*{LONG}?",
        f"?{LONG[1:]}*",
        f"*?{LONG[:50]}*y",
        "${*}${?}",
        "${aws:UserName}*",
        "*${x:n, '1'}",
        "${aws:username",
    ),
    "${aws:username}",
    "${aws:PrincipalTag/k, 'v'}",
    "A${*}",
    "*",
    "?nn",
    "${aws:TagKeys}",
    "k?",
)
ARN_TEMPLATES = (
    *("arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*/${aws:username}", "arn:aws:*:role/p/R"),
    *(f"arn:aws:iam::{A}:*{ROLE[-60:]}", "${aws:PrincipalArn}*", "arn:aws:ia?::*:*/?/*", "${aws:nokey}"),
)
OPERATORS = {
    "aws:username": ("String",),
    "AWS:PrincipalTag/k": ("String",),
    "aws:TagKeys": ("String",),
    "x:n": ("Numeric",),
    "x:d": ("Date",),
    "x:b": ("Bool",),
    "aws:SourceIp": ("Ip",),
    "x:arn": ("Arn", "String"),
    "x:bin": ("Binary",),
}
_ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
FAMILIES = {
    "String": (
        *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
        *("StringLike", "StringNotLike"),
    ),
    "Numeric": tuple(f"Numeric{name}" for name in _ORDER),
    "Date": tuple(f"Date{name}" for name in _ORDER),
    "Bool": ("Bool",),
    "Ip": ("IpAddress", "NotIpAddress"),
    "Arn": ("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"),
    "Binary": ("BinaryEquals",),
}
PRINCIPALS: tuple[dict[str, Any], ...] = (
    {"type": "user", "arn": USER, "account": A},
    {"type": "role-session", "arn": SESSION, "account": A, "roleArn": ROLE},
    {"type": "federated-user", "arn": FEDERATED, "account": A, "userArn": USER},
    {"type": "root", "arn": f"arn:aws:iam::{A}:root", "account": A},
    {"type": "service", "arn": SERVICE, "account": ""},
    {"type": "web-identity", "arn": IDP, "account": ""},
    {"type": "saml", "arn": SAML},
    {"type": "user", "arn": USER, "account": A, "userId": USER_ID, "userName": "Ann", "tags": {"k": "v"}},
    {"type": "role-session", "arn": SESSION, "account": A, "userId": f"{ROLE_ID}:s"},
    {"type": "role-session", "arn": SESSION, "account": A, "roleArn": ROLE, "userId": f"{ROLE_ID}:s"},
    {"type": "user", "arn": f"arn:aws:iam::{B}:user/Eve", "account": B},
    {"type": "root", "arn": f"arn:aws:iam::{B}:root", "account": B},
    {"type": "anonymous", "arn": "", "account": ""},
)
PRINCIPAL_ELEMENTS: tuple[Any, ...] = (
    *("*", {"AWS": "*"}, {"AWS": A}, {"AWS": f"arn:aws:iam::{A}:root"}, {"AWS": B}),
    *({"AWS": USER}, {"AWS": [ROLE, FEDERATED]}, {"AWS": SESSION}, {"Service": SERVICE}, {"Federated": IDP}),
    {"AWS": [A, USER], "Service": [SERVICE]},
    *({"Federated": [SAML, IDP]}, {"AWS": [USER_ID]}, {"AWS": ROLE_ID}, {"CanonicalUser": "79a59df900b949e5"}),
    *({"AWS": [SESSION, ROLE, A]}, {"AWS": [f"arn:aws:iam::{A}:role/R", "arn:aws:iam::*:user/*"]}, {"AWS": ["*"]}),
)


def random_case(random: Random) -> dict[str, Any]:
    """One well-formed case: half are of everything at once, half turn on one thing alone."""
    what = random.randrange(8)
    if what < 2:
        return _focused(random, {"Condition": _conditions(random, 1)})
    if what == 2:
        member = random.choice(("Resource", "NotResource"))
        return _focused(random, {member: _some(random, RESOURCE_PATTERNS)})
    return _of_principals(random) if what == 3 else _of_everything(random)


def _focused(random: Random, changes: dict[str, Any]) -> dict[str, Any]:
    """A user with one statement."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"} | changes
    if "NotResource" in changes:
        del statement["Resource"]
    return {
        "id": random.randrange(10**9),
        "principal": PRINCIPALS[0],
        "identityPolicies": [_policy(random, [statement])],
        "request": {
            "action": "s3:GetObject",
            "resource": random.choice(RESOURCES),
            "resourceAccount": A,
            "context": context(random, 0.85),
        },
    }


def _of_principals(random: Random) -> dict[str, Any]:
    """Who may, with layers that allow all or nothing."""
    nothing, everything = ({"Effect": "Allow", "Action": action, "Resource": "*"} for action in ("no:Thing", "*"))

    def layer(odds: float) -> list[dict[str, Any]]:
        return [{"Statement": random.choice((nothing, everything))}] if random.random() < odds else []

    statements = []
    for _ in range(random.randrange(1, 3)):
        effect = random.choice(("Allow", "Allow", "Deny"))
        named = "NotPrincipal" if effect == "Deny" and random.random() < 0.6 else "Principal"
        statements.append({"Effect": effect, "Action": "*", named: random.choice(PRINCIPAL_ELEMENTS)})
    return {
        "id": random.randrange(10**9),
        "principal": random.choice(PRINCIPALS),
        "identityPolicies": layer(0.9),
        "sessionPolicies": layer(0.4),
        "permissionBoundaries": layer(0.4),
        "resourcePolicy": random.choice(({"Statement": statements}, {"Statement": statements}, None)),
        "request": {
            "action": random.choice(("s3:GetObject", "s3:GetObject", *ACTIONS, *RARE_ACTIONS)),
            "resource": random.choice(RESOURCES),
            "resourceAccount": random.choice((A, A, B)),
            "context": {},
        },
    }


def _of_everything(random: Random) -> dict[str, Any]:
    principal = random.choice(PRINCIPALS)
    action = random.choice(ACTIONS if random.random() < 0.9 else RARE_ACTIONS)
    case = {
        "id": random.randrange(10**9),
        "principal": principal,
        "identityPolicies": [identity_policy(random) for _ in range(random.randrange(3))],
        "request": {
            "action": action,
            "resource": random.choice(RESOURCES),
            "resourceAccount": random.choice((A, A, B)),
            "context": context(random),
        },
    }
    if random.random() < 0.3:
        case["sessionPolicies"] = [identity_policy(random) for _ in range(random.randrange(4))]
    if random.random() < 0.3:
        case["permissionBoundaries"] = [identity_policy(random)]
    if random.random() < 0.6:
        case["resourcePolicy"] = resource_policy(random)
    return case


def context(random: Random, odds: float = 0.6) -> dict[str, Any]:
    made: dict[str, Any] = {"aws:PrincipalArn": USER}
    for key in KEYS:
        if random.random() < odds:
            many = key == "aws:TagKeys" or random.random() < 0.1
            values = VALUES[key]
            made[key] = random.choices(values, k=random.randrange(4)) if many else random.choice(values)
    return made


def identity_policy(random: Random) -> dict[str, Any]:
    return _policy(random, [_statement(random) for _ in range(random.randrange(1, 4))])


def resource_policy(random: Random) -> dict[str, Any]:
    found = []
    for _ in range(random.randrange(1, 4)):
        statement = _statement(random)
        named = "NotPrincipal" if statement["Effect"] == "Deny" and random.random() < 0.5 else "Principal"
        statement[named] = random.choice(PRINCIPAL_ELEMENTS)
        if random.random() < 0.5:
            statement.pop("Resource", None)
            statement.pop("NotResource", None)
        found.append(statement)
    return _policy(random, found)


def _policy(random: Random, statements: list[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"Statement": statements[0] if len(statements) == 1 else statements}
    version = random.choice(("2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17", None))
    return made | ({"Version": version} if version else {})


def _statement(random: Random) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": "Allow" if random.random() < 0.75 else "Deny"}
    made["Action" if random.random() < 0.85 else "NotAction"] = _some(random, ACTION_PATTERNS)
    made["Resource" if random.random() < 0.85 else "NotResource"] = _some(random, RESOURCE_PATTERNS + ("*",) * 8)
    if random.random() < 0.5:
        made["Condition"] = _conditions(random, random.randrange(1, 3))
    return made


def _conditions(random: Random, count: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(count):
        operator, key, values = _condition(random)
        made.setdefault(operator, {})[key] = values
    return made


def _condition(random: Random) -> tuple[str, str, Any]:
    key = random.choice(KEYS)
    if random.random() < 0.1:
        return "Null", key, random.choice(("true", "false", True, "FALSE", ["true", "false"], "maybe"))
    family = random.choice(OPERATORS[key])
    operator = random.choice(FAMILIES[family])
    values: tuple[Any, ...] = VALUES[key] + {"String": TEMPLATES, "Arn": ARN_TEMPLATES}.get(family, ())
    if family in ("Numeric", "Bool"):
        values += (10, True)
    if random.random() < 0.2:
        operator += "IfExists"
    if random.random() < (0.7 if key == "aws:TagKeys" else 0.15):
        operator = random.choice(("ForAllValues:", "ForAnyValue:")) + operator
    return operator, random.choice((key, key.lower(), key.upper())), _some(random, values)


def _some(random: Random, values: tuple[Any, ...]) -> Any:
    if random.random() < 0.5:
        return random.choice(values)
    return random.sample(values, random.randrange(1, 3))
