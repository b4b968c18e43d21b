"""Who has a Workspace open may be asked about long after the request that opened it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.signin.presence import PATH, Presence
from emr_studio.signin.sessions import LONGEST
from tests.support.emr_world import statement
from tests.support.signin_rig import SignInRig, signin_rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SignInRig]:
    with signin_rig(tmp_path) as rig:
        yield rig


def may_stay(rig: SignInRig, *tokens: str) -> list[bool]:
    front = rig.front
    return Presence(rig.world.settings, rig.world.database, rig.world.clock, front.sessions, front.issuer).of(
        list(tokens)
    )


def test_a_removed_collaborator_may_not_stay(rig: SignInRig) -> None:
    ann, ben = rig.person("ann"), rig.person("ben")
    rig.set_editor(rig.editor_id, creator_user_id=ann.user_id, collaboration=True)
    rig.world.call("PutWorkspaceAccess", EditorId=rig.editor_id, IdentityName="ben")
    tokens = [rig.opened(who).ask().identity for who in (ann, ben)]
    assert may_stay(rig, *tokens) == [True, True]
    rig.world.clock.advance(3600)
    assert may_stay(rig, *tokens) == [True, True]
    rig.world.call("DeleteWorkspaceAccess", EditorId=rig.editor_id, IdentityName="ben")
    assert may_stay(rig, *tokens) == [True, False]


def test_whom_a_policy_no_longer_lets_in_may_not_stay(rig: SignInRig) -> None:
    ann = rig.person("ann")
    token = rig.opened(ann).ask().identity
    rig.change_policy(ann, statement("elasticmapreduce:Describe*"))
    assert may_stay(rig, token) == [False]


def test_an_idle_session_is_judged_as_long_as_its_time_is_not_over(rig: SignInRig) -> None:
    ann = rig.person("ann")
    page = rig.opened(ann)
    token = page.ask().identity
    rig.world.clock.advance(3600)
    # Others sign in meanwhile; her session is over, what she has open stays.
    rig.opened(rig.person("ben"))
    assert page.ask().status == 401
    assert may_stay(rig, token) == [True]
    rig.change_policy(ann, statement("elasticmapreduce:Describe*"))
    assert may_stay(rig, token) == [False]


def test_whom_another_keeps_out_may_not_stay(rig: SignInRig) -> None:
    ann, ben = rig.person("ann"), rig.person("ben")
    token = rig.opened(ann).ask().identity
    now = rig.world.clock.now()
    rig.set_editor(rig.editor_id, open_by_user_id=ben.user_id, open_by_name="ben", open_seen_at=now)
    assert may_stay(rig, token) == [False]


def test_nobody_stays_longer_than_a_session_or_with_a_token_that_is_not_ours(rig: SignInRig) -> None:
    token = rig.opened(rig.person("ann")).ask().identity
    header, payload, signature = token.split(".")
    assert may_stay(rig, f"{header}.{payload}.{signature[::-1]}", "", "a.b.c") == [False, False, False]
    rig.world.clock.advance(LONGEST.total_seconds() + 1)
    assert may_stay(rig, token) == [False]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{}", 400), (b"[1]", 400), (json.dumps(["x"] * 201).encode(), 413), (b"[" + b" " * 300_000 + b"]", 413)],
)
def test_questions_that_are_none(rig: SignInRig, body: bytes, status: int) -> None:
    browser = rig.browser(rig.console_host)
    assert browser.request("POST", PATH, content=body).status_code == status
