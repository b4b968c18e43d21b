"""Could somebody ever do it? What hangs on her session is no "no"; what hangs on her and the resource is decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.context import Check
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.entities import get_role, get_user
from emr_studio.iam.prospects import could_be_allowed
from tests.support.emr_world import ACCOUNT, World, emr_world, statement

ENTER = "elasticmapreduce:CreateStudioPresignedUrl"
ARN = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/es-1"
TAGS = {"elasticmapreduce:ResourceTag/team": "data", "aws:ResourceTag/team": "data"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with emr_world(tmp_path) as world:
        yield world


def user_could(world: World, *statements: dict[str, Any]) -> bool:
    world.user("ben", *statements)
    with world.database.read() as session:
        ben = get_user(session, ACCOUNT, "ben")
        return could_be_allowed(session, ben, Check(ENTER, ARN, TAGS), Circumstances(world.clock.now()))


def role_could(world: World, *statements: dict[str, Any], session_name: str = "") -> bool:
    world.role("Analysts", *statements)
    with world.database.read() as session:
        role = get_role(session, ACCOUNT, "Analysts")
        check = Check(ENTER, ARN, TAGS)
        return could_be_allowed(session, role, check, Circumstances(world.clock.now()), session_name)


def deny(**condition: dict[str, Any]) -> dict[str, Any]:
    return statement(ENTER, **condition) | {"Effect": "Deny"}


MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NO_MFA = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
HOME = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
TEAM = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "data"}}
OTHER = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "sales"}}


@pytest.mark.parametrize(
    ("statements", "could"),
    [
        ([statement(ENTER)], True),
        ([statement(ENTER, ARN)], True),
        ([statement("s3:*")], False),
        ([statement(ENTER, ARN + "2")], False),
        ([statement(ENTER, **TEAM)], True),
        ([statement(ENTER, **OTHER)], False),
        ([statement(ENTER, **MFA)], True),
        ([statement(ENTER, **HOME)], True),
        ([statement(ENTER, **HOME, **OTHER)], False),
        ([statement(ENTER), deny()], False),
        ([statement(ENTER), deny(**NO_MFA)], True),
        ([deny(**NO_MFA)], False),
        ([statement(ENTER), deny(**TEAM)], False),
        ([statement(ENTER, StringEquals={"aws:username": "ben"})], True),
        ([statement(ENTER, StringEquals={"aws:username": "ana"})], False),
        ([statement(ENTER, StringEquals={"aws:PrincipalTag/team": "data"})], False),
    ],
)
def test_a_user(world: World, statements: list[dict[str, Any]], could: bool) -> None:
    assert user_could(world, *statements) is could


@pytest.mark.parametrize(
    ("statements", "session_name", "could"),
    [
        ([statement(ENTER, StringLike={"aws:SourceIdentity": "eve*"})], "", True),
        ([statement(ENTER, StringEquals={"elasticmapreduce:ResourceTag/team": "${aws:PrincipalTag/team}"})], "", True),
        ([statement(ENTER, "arn:aws:elasticmapreduce:*:*:studio/${aws:PrincipalTag/studio}")], "", True),
        ([statement(ENTER, StringLike={"aws:userid": "*:eve"})], "", True),
        ([statement(ENTER, StringLike={"aws:userid": "*:eve"})], "eve", True),
        ([statement(ENTER, StringLike={"aws:userid": "*:eve"})], "adam", False),
        ([statement(["s3:*", "elasticmapreduce:OpenEditorInConsole"])], "", False),
    ],
)
def test_a_roles_sessions(world: World, statements: list[dict[str, Any]], session_name: str, could: bool) -> None:
    assert role_could(world, *statements, session_name=session_name) is could
