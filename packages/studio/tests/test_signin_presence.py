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


OPEN = statement("elasticmapreduce:OpenEditorInConsole")
ENTER = statement("elasticmapreduce:CreateStudioPresignedUrl")


def test_who_lost_the_studio_may_not_stay(rig: SignInRig) -> None:
    """Also with `OpenEditorInConsole`: she came as a user of the Studio. With access again she is in again."""
    ann = rig.person("ann", OPEN, ENTER)
    page = rig.opened(ann)
    token = page.ask().identity
    rig.change_policy(ann, OPEN)
    assert may_stay(rig, token) == [False]
    rig.world.clock.advance(2)  # what the edge remembers is a second old at most
    assert page.ask().status == 403
    rig.change_policy(ann, OPEN, ENTER)
    assert may_stay(rig, token) == [True]
    assert page.ask().status == 200


def test_who_lost_the_studio_by_its_tag_may_not_stay(rig: SignInRig) -> None:
    tagged = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "data"}}
    rig.world.call("AddTags", ResourceId=rig.studio_id, Tags=[{"Key": "team", "Value": "data"}])
    ann = rig.person("ann", OPEN, statement("elasticmapreduce:CreateStudioPresignedUrl", **tagged))
    token = rig.opened(ann).ask().identity
    assert may_stay(rig, token) == [True]
    rig.world.call("RemoveTags", ResourceId=rig.studio_id, TagKeys=["team"])
    assert may_stay(rig, token) == [False]


def test_who_never_had_the_studio_stays_by_the_permission_to_open(rig: SignInRig) -> None:
    """An administrator who opens a Workspace by the CLI is no user of its Studio."""
    ann = rig.person("ann", OPEN)
    page = rig.opened(ann)
    token = page.ask().identity
    assert may_stay(rig, token) == [True]
    rig.change_policy(ann, ENTER)
    assert may_stay(rig, token) == [False]


def test_a_studio_that_is_deleted_takes_nobody_along(rig: SignInRig) -> None:
    token = rig.opened(rig.person("ann", OPEN, ENTER)).ask().identity
    rig.world.call("DeleteStudio", StudioId=rig.studio_id)
    assert may_stay(rig, token) == [True]


def test_after_a_sleep_she_signs_in_again_beside_what_she_has_open(rig: SignInRig) -> None:
    """What the page has open (document, running cells) is never cut; its requests work again by the new cookie."""
    ann, ben = rig.person("ann"), rig.person("ben")
    asleep = rig.opened(ann)
    before = asleep.ask().identity
    rig.world.clock.advance(8 * 3600)
    assert asleep.ask().status == 401, "a session ends after 15 idle minutes"
    assert may_stay(rig, before) == [True]
    again = rig.opened(ann)
    after = again.ask().identity
    asleep.cookies = again.cookies  # one browser: the sleeping page's requests have the new cookie
    assert asleep.ask().status == 200
    assert may_stay(rig, before, after) == [True, True]
    assert rig.opened(ben).ask().status == 403, "nobody else may have taken it meanwhile"
    rig.world.clock.advance(LONGEST.total_seconds() - 8 * 3600 + 1)
    assert may_stay(rig, before, after) == [False, True], "the first session's 12 hours are over"


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
