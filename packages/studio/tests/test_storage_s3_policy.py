"""What S3 takes for a bucket policy, and when it calls one public; the policies of forms."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest

from emr_studio.aws.errors import ClientError
from emr_studio.storage.s3_form_policy import check_form
from emr_studio.storage.s3_policy import is_public, read_bucket_policy

ARN = "arn:aws:s3:::lake"
STATEMENT = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}


def text(*statements: dict[str, Any], **members: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **members})


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in STATEMENT.items() if key != name}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        ("[]", "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "Policies must be valid JSON and the first byte must be '{'"),
        ("{}", "The policy must contain a valid version string"),
        (text(STATEMENT, Version="2020-01-01"), "The policy must contain a valid version string"),
        (text(), "Missing required field Statement"),
        (text(without("Principal")), "Missing required field Principal"),
        (text(without("Action")), "Missing required field Action"),
        (text(without("Resource")), "Missing required field Resource"),
        (text(without("Effect")), "Missing required field Effect"),
        (text(STATEMENT | {"Effect": "allow"}), "Invalid effect: allow"),
        (text(STATEMENT | {"Resource": "*"}), "Policy has invalid resource"),
        (text(STATEMENT | {"Resource": "arn:aws:s3:::other/*"}), "Policy has invalid resource"),
        (text(STATEMENT | {"Resource": "arn:aws:s3:::lakeside/*"}), "Policy has invalid resource"),
        (text(STATEMENT | {"Resource": "nothing"}), "Policy has invalid resource"),
        (text(STATEMENT | {"Action": "iam:GetUser"}), "Policy has invalid action"),
        (text(STATEMENT | {"Action": "GetObject"}), "Policy has invalid action"),
        (text(STATEMENT | {"Principal": {"CanonicalUser": "a" * 64}}), "Invalid principal in policy"),
        (text(STATEMENT | {"Resource": ARN}), "Action does not apply to any resource(s) in statement"),
        (text(STATEMENT | {"Action": "s3:ListBucket"}), "Action does not apply to any resource(s) in statement"),
        (
            text(STATEMENT | {"Sid": "x" * 21_000}),
            "Normalized policy document exceeds the maximum allowed size of 20480 bytes.",
        ),
    ],
)
def test_what_is_no_bucket_policy(policy: str, message: str) -> None:
    with pytest.raises(ClientError) as error:
        read_bucket_policy(policy, "lake", "aws")
    assert (error.value.code, error.value.message, error.value.status) == ("MalformedPolicy", message, 400)


def test_what_is_one() -> None:
    both = STATEMENT | {"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [ARN, f"{ARN}/*"]}
    read_bucket_policy(text(both | {"Sid": "Any text, with spaces."}), "lake", "aws")
    read_bucket_policy(text(STATEMENT | {"Action": "s3:*", "Resource": f"{ARN}*"}), "lake", "aws")
    read_bucket_policy(text(both | {"Sid": "a"}, both | {"Sid": "a"}, Id="x"), "lake", "aws")


@pytest.mark.parametrize(
    ("change", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": "123456789012"}}, False),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}}, False),
        ({"Condition": {"StringEqualsIfExists": {"aws:PrincipalAccount": "123456789012"}}}, True),
        ({"Condition": {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}}, True),
        ({"Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::/0"]}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
    ],
)
def test_the_meaning_of_public(change: dict[str, Any], public: bool) -> None:
    assert is_public(read_bucket_policy(text(STATEMENT | change), "lake", "aws")) is public


NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def form(conditions: list[Any], expiration: str = "2026-11-26T13:00:00.000Z", **fields: str) -> dict[str, str]:
    document = base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode()).decode()
    return {"bucket": "lake", "key": "user/a.txt", "policy": document, "x-amz-signature": "s", **fields}


def test_a_form_that_keeps_to_its_policy() -> None:
    conditions = [
        {"bucket": "lake"}, ["starts-with", "$key", "user/"], ["content-length-range", 1, "10"],
        ["starts-with", "$Content-Type", "image/"], {"acl": "private"}, ["starts-with", "$success_action_redirect", ""],
    ]  # fmt: skip
    fields = {"content-type": "image/png, image/gif", "acl": "private", "x-ignore-this": "x"}
    sizes = check_form(form(conditions, **fields), NOW)
    assert (sizes.smallest, sizes.largest) == (1, 10)


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        (form([{"bucket": "other"}, ["eq", "$key", "user/a.txt"]]), "AccessDenied", "Policy Condition failed"),
        (form([["eq", "$key", "user/b"]]), "AccessDenied", 'Policy Condition failed: ["eq", "$key", "user/b"]'),
        (form([["starts-with", "$key", "users"]]), "AccessDenied", "Policy Condition failed"),
        (form([["starts-with", "$key", ""]], acl="private"), "AccessDenied", "Extra input fields: acl"),
        (form([{"acl": "private"}, {"key": "user/a.txt"}]), "AccessDenied", "Policy Condition failed"),
        (form([["starts-with", "$key", ""]], "2026-11-26T12:00:00Z"), "AccessDenied", "Policy expired."),
        (form([["like", "$key", ""]]), "InvalidPolicyDocument", "Invalid Condition"),
        (form([["content-length-range", -1, 5]]), "InvalidPolicyDocument", "Invalid Condition"),
        (form([{"a": "b", "c": "d"}]), "InvalidPolicyDocument", "Invalid Condition"),
        (form([], "tomorrow"), "InvalidPolicyDocument", "Invalid 'expiration' value"),
        (form([], "2026-13-40T12:00:00Z"), "InvalidPolicyDocument", "Invalid 'expiration' value"),
        (form([]) | {"policy": "%%%"}, "InvalidPolicyDocument", "Invalid JSON"),
        (form([]) | {"policy": "W10="}, "InvalidPolicyDocument", "Invalid JSON"),
    ],
)
def test_a_form_that_does_not(fields: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(ClientError) as error:
        check_form(fields, NOW)
    assert error.value.code == code
    assert message in error.value.message
