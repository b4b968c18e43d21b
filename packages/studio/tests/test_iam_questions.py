"""The question that policies are asked: all condition keys, in lower case, whoever asks."""

from __future__ import annotations

import datetime as dt
from typing import Never

import pytest

from emr_studio.aws.context import Caller, Check, RequestInfo
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import full_context, principal_of, question

NOW = dt.datetime(2026, 11, 26, 10, 0, 0, 900_000, tzinfo=dt.UTC)
ACCOUNT = "111111111111"
USER = f"arn:aws:iam::{ACCOUNT}:user/Ann"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/R"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s"
CALLERS = [
    Caller(ACCOUNT, "root", f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT),
    Caller(ACCOUNT, "user", USER, USER, "AIDA1", user_name="Ann", tags={"Team": "Blue"}, console=True),
    Caller(ACCOUNT, "user", USER, USER, "AIDA1", user_name="Ann", mfa_at=NOW - dt.timedelta(seconds=90)),
    Caller(
        *(ACCOUNT, "role-session", SESSION, ROLE, "AROA1:s"),
        token_issued_at=NOW,
        source_identity="Ann",
        session_keys={"aws:FederatedProvider": "idp", "Host:amr": ["a", "b"]},
    ),
    Caller("", "anonymous", "*", "*", "anonymous"),
    Caller("", "service", "ec2.amazonaws.com", "ec2.amazonaws.com", "ec2.amazonaws.com"),
]
CHECKS = [
    Check("elasticmapreduce:ListStudios"),
    Check("s3:GetObject", "arn:aws:s3:::b/k", {"aws:ResourceAccount": "222222222222", "S3:Prefix": "a"}),
    Check("ec2:RunInstances", "arn:aws:ec2:us-east-1:333333333333:instance/i", {"aws:TagKeys": ["A", "b"]}),
]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.kind)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.action)
def test_the_question_holds_the_full_context(caller: Caller, check: Check) -> None:
    for later in range(2):  # the second time what is known of the caller is used again
        request = RequestInfo("10.0.0.1", "boto3" if later else "", secure=bool(later))
        circumstances = Circumstances(NOW + dt.timedelta(seconds=later), "eu-west-1", request)
        full = full_context(caller, check, circumstances)
        asked = question(caller, check, circumstances)
        assert asked.context == {key.lower(): value for key, value in full.items()}
        assert asked.principal == principal_of(caller)
        assert asked.resource_account == full["aws:ResourceAccount"]
        assert full["aws:CurrentTime"] == f"2026-11-26T10:00:0{later}Z"


def test_what_is_known_of_one_caller_is_not_used_for_another() -> None:
    """Callers made anew may lie where a former one lay in memory."""
    for number in range(10_000):
        caller = Caller(ACCOUNT, "user", f"{USER}{number}", f"{USER}{number}", f"AIDA{number}", user_name=f"u{number}")
        asked = question(caller, CHECKS[0], Circumstances(NOW))
        assert asked.context["aws:username"] == f"u{number}"
        assert asked.principal.arn == f"{USER}{number}"


def test_nothing_is_made_for_a_key_that_nobody_asks_for() -> None:
    """Most decisions need no condition key at all: then not even the clock is read out."""

    class Unreadable(dict[str, str]):
        def keys(self) -> Never:
            raise AssertionError

        __iter__ = items = values = keys

    asked = question(CALLERS[1], Check("s3:GetObject", "arn:aws:s3:::b/k", Unreadable()), Circumstances(NOW))
    assert asked.resource_account == ACCOUNT
    assert question(CALLERS[1], CHECKS[1], Circumstances(NOW)).context.get("s3:prefix") == "a"
    assert question(CALLERS[1], CHECKS[1], Circumstances(NOW)).context.get("aws:sourcevpc") is None
    with pytest.raises(KeyError):
        _ = question(CALLERS[1], CHECKS[0], Circumstances(NOW)).context["aws:sourcevpc"]
