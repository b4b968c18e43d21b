"""What is remembered as allowed whatever the circumstances: never more, and never longer, than policies say."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.context import Caller, Check, Context, RequestInfo
from emr_studio.aws.errors import AccessDenied
from emr_studio.clock import FakeClock
from emr_studio.db import Base, Database
from emr_studio.iam import entities, services, writing
from emr_studio.iam.bootstrap import ensure_account
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide
from emr_studio.iam.identity import IamAuthorizer
from emr_studio.iam.model import User
from emr_studio.iam.settled import is_settled, subject_alone
from emr_studio.settings import Settings

ACCOUNT, OTHER = "123456789012", "210987654321"
LIST = Check("elasticmapreduce:ListStudios")
ALLOW = {"Effect": "Allow", "Action": "elasticmapreduce:List*", "Resource": "*"}
FROM_HOME = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}


class World:
    """A user whose policies tests write."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=folder)
        self.clock = FakeClock()
        self.database = Database(settings.sqlalchemy_url)
        Base.metadata.create_all(self.database.engine)
        with self.database.write() as session:
            ensure_account(session, settings, self.clock)
            account = entities.get_account(session, ACCOUNT)
            self.user_id = writing.new_user(session, account, "ann", self.clock.now(), tags={}).id
        self.authorizer = IamAuthorizer()

    def policy(self, *statements: Mapping[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        with self.database.write() as session:
            writing.put_inline(session, ACCOUNT, self.user_id, "own", document)

    def bound(self, *statements: Mapping[str, Any]) -> None:
        with self.database.write() as session:
            account = entities.get_account(session, ACCOUNT)
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            made = writing.new_policy(session, account, "boundary", document, self.clock.now(), tags={})
            session.get_one(User, self.user_id).boundary_arn = made.arn

    def caller(self) -> Caller:
        with self.database.read() as session:
            return services.caller_for_user(session, ACCOUNT, "ann")

    def ask(self, check: Check, source_ip: str = "127.0.0.1", caller: Caller | None = None) -> tuple[bool, bool]:
        """Whether it is allowed, and whether that is remembered afterwards."""
        who = caller or self.caller()
        with self.database.read() as session:
            info = RequestInfo(source_ip)
            context = Context(who, "us-east-1", session, self.clock, "r", info, self.authorizer)
            try:
                self.authorizer.authorize(context, check)
                allowed = True
            except AccessDenied:
                allowed = False
            alone = subject_alone(session, who, check)
            right = decide(session, who, check, Circumstances(self.clock.now(), "us-east-1", info)).allowed
            assert allowed is right
            return allowed, alone is not None and is_settled(alone, check)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.dispose()


def test_a_plain_allow_is_remembered_until_something_changes(world: World) -> None:
    world.policy(ALLOW)
    assert world.ask(LIST) == (True, True)
    assert world.ask(LIST) == (True, True)
    world.policy(ALLOW | {"Effect": "Deny"})
    assert world.ask(LIST) == (False, False)
    world.policy(ALLOW)
    assert world.ask(LIST) == (True, True)


@pytest.mark.parametrize(
    "statements",
    [
        (ALLOW | {"Condition": FROM_HOME},),
        (ALLOW, ALLOW | {"Effect": "Deny", "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}),
    ],
)
def test_what_depends_on_the_request_is_asked_each_time(
    world: World, statements: tuple[Mapping[str, Any], ...]
) -> None:
    world.policy(*statements)
    assert world.ask(LIST, "10.1.2.3") == (True, False)
    assert world.ask(LIST, "127.0.0.1") == (False, False)


def test_variables_depend_on_the_request(world: World) -> None:
    world.policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:SourceIp}/*"})
    check = Check("s3:GetObject", "arn:aws:s3:::b/10.0.0.1/x")
    assert world.ask(check, "10.0.0.1") == (True, False)
    assert world.ask(check, "10.0.0.2") == (False, False)


def test_conditions_of_other_actions_do_not_matter(world: World) -> None:
    world.policy(ALLOW, {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": FROM_HOME})
    assert world.ask(LIST) == (True, True)


def test_a_boundary_with_a_condition(world: World) -> None:
    world.policy(ALLOW)
    world.bound(ALLOW | {"Condition": FROM_HOME})
    assert world.ask(LIST, "10.1.2.3") == (True, False)
    assert world.ask(LIST) == (False, False)


def test_whose_the_resource_is_matters(world: World) -> None:
    world.policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    own = Check("s3:GetObject", "arn:aws:s3:::b/x", {"aws:ResourceAccount": ACCOUNT})
    foreign = Check("s3:GetObject", "arn:aws:s3:::b/x", {"aws:ResourceAccount": OTHER})
    assert world.ask(own) == (True, True)
    assert world.ask(foreign) == (False, False)


def test_policies_on_resources_and_sessions_speak_each_time(world: World) -> None:
    world.policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    check = Check("s3:GetObject", "arn:aws:s3:::b/x")
    assert world.ask(check) == (True, True)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    with_policy = Check(check.action, check.resource, {}, json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    assert world.ask(with_policy) == (False, False)


def test_random_policies_and_circumstances(world: World) -> None:
    choose = random.Random(7)
    actions = ("elasticmapreduce:*", "elasticmapreduce:List*", "s3:Get*", "*")
    resources = ("*", "arn:aws:s3:::b/*", "arn:aws:s3:::${aws:SourceIp}/*")
    checks = (LIST, Check("s3:GetObject", "arn:aws:s3:::b/x"), Check("s3:GetObject", "arn:aws:s3:::10.0.0.1/x"))
    for _ in range(40):
        statements = []
        for _ in range(choose.randint(1, 4)):
            made: dict[str, Any] = {
                "Effect": choose.choice(("Allow", "Allow", "Deny")),
                "Action": choose.choice(actions),
                "Resource": choose.choice(resources),
            }
            if choose.random() < 0.3:
                made["Condition"] = FROM_HOME
            statements.append(made)
        world.policy(*statements)
        for _ in range(6):  # `ask` compares each answer with that of the engine itself
            world.ask(choose.choice(checks), choose.choice(("10.0.0.1", "127.0.0.1")))
