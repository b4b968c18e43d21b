"""Session policies of Identity Center's users: user role and session policy, groups, the user's own mapping."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping as Json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.context import Caller, Check
from emr_studio.iam import entities, writing
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide
from emr_studio.iam.model import Role
from emr_studio.iam.tiers import Place, tier
from emr_studio.studios.session_policies import GROUP, USER, Mapping, NotAssigned, applying, caller_in_studio
from tests.support.emr_world import ACCOUNT, World, emr_world, statement

ARN = f"arn:aws:iam::{ACCOUNT}:policy/"
RUN, LIST, OPEN = (f"elasticmapreduce:{name}" for name in ("RunJobFlow", "ListClusters", "OpenEditorInConsole"))
ANA, ANALYSTS, ENGINEERS = "u-ana", "g-analysts", "g-engineers"


@dataclass
class Studio:
    """A world with a user role that has the advanced tier, and policies to map."""

    world: World

    def policy(self, name: str, document: Json[str, Any]) -> str:
        """Make a managed policy; returns its ARN."""
        with self.world.database.write() as session:
            account, now = entities.get_account(session, ACCOUNT), self.world.clock.now()
            return writing.new_policy(session, account, name, json.dumps(document), now, tags={}).arn

    def may(self, action: str, mappings: list[Mapping], groups: tuple[str, ...] = ()) -> bool:
        """Whether Ana, who is in these groups, may do it in a Studio with these mappings."""
        with self.world.database.read() as session:
            role = entities.find_by_name(session, Role, ACCOUNT, "user-role")
            assert role
            caller = caller_in_studio(session, role, "ana@example.com", applying(mappings, ANA, groups))
            return self.allowed(session, caller, action)

    def allowed(self, session: Any, caller: Caller, action: str) -> bool:
        return decide(session, caller, Check(action), Circumstances(self.world.clock.now())).allowed


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with emr_world(tmp_path) as world:
        world.role("user-role", *tier("advanced", Place())["Statement"])
        made = Studio(world)
        made.policy("basic", tier("basic", Place()))
        made.policy("lists", {"Version": "2012-10-17", "Statement": [statement([LIST, "iam:CreateUser"])]})
        made.policy("runs", {"Version": "2012-10-17", "Statement": [statement(RUN)]})
        made.policy("opens", {"Version": "2012-10-17", "Statement": [statement(OPEN)]})
        yield made


def user(policy: str, who: str = ANA) -> Mapping:
    return Mapping(USER, who, f"{ARN}{policy}")


def group(policy: str, which: str = ANALYSTS) -> Mapping:
    return Mapping(GROUP, which, f"{ARN}{policy}")


def test_user_role_and_session_policy_must_both_allow(studio: Studio) -> None:
    assert studio.may(LIST, [user("lists")])
    assert not studio.may("iam:CreateUser", [user("lists")])  # the session policy alone
    assert not studio.may(RUN, [user("lists")])  # the user role alone
    assert studio.may(OPEN, [user("basic")])
    assert not studio.may(RUN, [user("basic")])


def test_groups_are_a_union(studio: Studio) -> None:
    mappings = [group("lists"), group("runs", ENGINEERS)]
    assert [studio.may(action, mappings, (ANALYSTS, ENGINEERS)) for action in (LIST, RUN, OPEN)] == [True, True, False]
    assert [studio.may(action, mappings, (ANALYSTS,)) for action in (LIST, RUN)] == [True, False]


def test_the_users_own_mapping_replaces_those_of_her_groups(studio: Studio) -> None:
    mappings = [group("lists"), group("runs", ENGINEERS), user("opens")]
    found = [studio.may(action, mappings, (ANALYSTS, ENGINEERS)) for action in (LIST, RUN, OPEN)]
    assert found == [False, False, True]
    # Another user's mapping is nothing to her.
    assert studio.may(LIST, [group("lists"), user("opens", "u-ben")], (ANALYSTS,))


def test_without_a_mapping_nobody_enters(studio: Studio) -> None:
    for mappings in ([], [user("basic", "u-ben")], [group("basic", "g-others")]):
        with pytest.raises(NotAssigned):
            studio.may(LIST, mappings, (ANALYSTS,))


def test_a_session_policy_that_is_gone_allows_nothing(studio: Studio) -> None:
    assert not studio.may(LIST, [user("no-such-policy")])
    assert studio.may(LIST, [group("no-such-policy"), group("lists", ENGINEERS)], (ANALYSTS, ENGINEERS))


def test_order_and_doubles_do_not_matter() -> None:
    mappings = [group("b", ENGINEERS), group("a"), group("a", "g-more")]
    forward = applying(mappings, ANA, (ANALYSTS, ENGINEERS, "g-more"))
    backward = applying(mappings[::-1], ANA, (ANALYSTS, ENGINEERS, "g-more"))
    assert sorted(forward) == sorted(backward) == [f"{ARN}a", f"{ARN}b"]
