"""Collaboration: the toggle, who is added, who sees and who opens what (emr-studio.md 6.4, 6.9)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied
from emr_studio.iam import writing
from emr_studio.iam.entities import get_role
from emr_studio.iam.model import User
from emr_studio.iam.sessions import role_caller
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.model import Collaborator
from tests.support.emr_world import ACCOUNT, OTHER_ACCOUNT, SERVICE_ROLE, emr_world, statement
from tests.support.workspace_play import Play

OWN = {"StringEquals": {"elasticmapreduce:ResourceTag/creatorUserId": "${aws:userId}"}}
SHARING = [f"elasticmapreduce:{name}WorkspaceAccess" for name in ("Put", "Delete")]
USER = (
    statement(["elasticmapreduce:CreateEditor", "elasticmapreduce:ListEditors", "iam:PassRole"]),
    statement("elasticmapreduce:CreateStudioPresignedUrl"),
    statement(["elasticmapreduce:DescribeEditor", "elasticmapreduce:OpenEditorInConsole"]),
    statement([*SHARING, "elasticmapreduce:UpdateEditor", "elasticmapreduce:ListWorkspaceAccessIdentities"], **OWN),
)
"""A Studio's user as the spec has her: collaboration of her own Workspaces only."""


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        yield Play(emr, InProcessRuntime(), emr.studio())


def listed(play: Play, caller: Caller) -> list[str]:
    return [e["EditorId"] for e in play.call("ListEditors", caller, StudioId=play.studio_id)["Editors"]]


def names(play: Play, editor_id: str) -> list[str]:
    found = play.call("ListWorkspaceAccessIdentities", EditorId=editor_id)["WorkspaceAccessIdentities"]
    return [identity["IdentityName"] for identity in found]


def session_of(play: Play, role: str, name: str) -> Caller:
    with play.emr.database.read() as session:
        return role_caller(get_role(session, ACCOUNT, role), name)


def put_policy(play: Play, caller: Caller, *statements: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    with play.emr.database.write() as session:
        writing.put_inline(session, ACCOUNT, caller.user_id, "own", document)


def drop_policies(session: Session, entity_id: str) -> None:
    writing.put_inline(
        session,
        ACCOUNT,
        entity_id,
        "own",
        json.dumps({"Version": "2012-10-17", "Statement": [statement("s3:ListAllMyBuckets")]}),
    )


@pytest.mark.capability("CO-01", "CO-05")
def test_who_sees_and_who_opens_what(play: Play) -> None:
    """The rows of table 6.9, one after the other."""
    ana, ben, cleo = (play.emr.user(name, *USER) for name in ("ana", "ben", "cleo"))
    editor_id = play.ready(ana)

    def sees(*callers: Caller) -> None:
        assert [c for c in (ana, ben, cleo) if editor_id in listed(play, c)] == list(callers)

    def opens(*callers: Caller) -> None:
        for caller in (ana, ben, cleo):
            if caller in callers:
                play.call("OpenEditorInConsole", caller, EditorId=editor_id)
            else:
                with pytest.raises(AccessDenied, match="neither owner nor collaborator"):
                    play.call("OpenEditorInConsole", caller, EditorId=editor_id)

    sees(ana, ben, cleo)
    play.call("OpenEditorInConsole", ben, EditorId=editor_id)
    assert "in use by ben" in play.refused("OpenEditorInConsole", ana, EditorId=editor_id)
    play.call("UpdateEditor", ana, EditorId=editor_id, CollaborationEnabled=True)
    sees(ana)
    opens(ana)
    play.call("PutWorkspaceAccess", ana, EditorId=editor_id, IdentityName="ben")
    assert names(play, editor_id) == ["ben"]
    sees(ana, ben)
    opens(ana, ben)
    with pytest.raises(AccessDenied):
        play.call("DescribeEditor", cleo, EditorId=editor_id)
    assert play.call("DescribeEditor", ben, EditorId=editor_id)["Editor"]["CollaborationEnabled"] is True
    play.call("UpdateEditor", ana, EditorId=editor_id, CollaborationEnabled=False)
    sees(ana, ben, cleo)
    assert "in use by ben" in play.refused("OpenEditorInConsole", cleo, EditorId=editor_id)


@pytest.mark.capability("CO-01")
def test_on_from_the_beginning(play: Play) -> None:
    ana, ben = play.emr.user("ana", *USER), play.emr.user("ben", *USER)
    editor_id = play.ready(ana, CollaborationEnabled=True)
    assert (listed(play, ana), listed(play, ben)) == ([editor_id], [])


@pytest.mark.capability("CO-02")
def test_only_who_has_the_permission_for_it(play: Play) -> None:
    ana, ben = play.emr.user("ana", *USER), play.emr.user("ben", *USER)
    editor_id = play.ready(ana, CollaborationEnabled=True)
    play.call("PutWorkspaceAccess", ana, EditorId=editor_id, IdentityName="ben")
    for operation, more in (
        ("UpdateEditor", {"CollaborationEnabled": False}),
        ("PutWorkspaceAccess", {"IdentityName": "admin"}),
        ("DeleteWorkspaceAccess", {"IdentityName": "ben"}),
        ("ListWorkspaceAccessIdentities", {}),
    ):
        with pytest.raises(AccessDenied, match=f"elasticmapreduce:{operation} on resource: .*editor/{editor_id}"):
            play.call(operation, ben, EditorId=editor_id, **more)


@pytest.mark.capability("CO-03")
def test_at_most_five_with_the_owner(play: Play) -> None:
    editor_id = play.ready(CollaborationEnabled=True)
    for number in range(5):
        play.emr.user(f"u{number}")
    for number in range(4):
        play.emr.clock.advance(1)
        play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName=f"u{number}")
    play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName="u0")
    refusal = play.refused("PutWorkspaceAccess", EditorId=editor_id, IdentityName="u4")
    assert "5 collaborators including its owner" in refusal
    play.call("DeleteWorkspaceAccess", EditorId=editor_id, IdentityName="u1")
    play.emr.clock.advance(1)
    play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName="u4")
    assert names(play, editor_id) == ["u0", "u2", "u3", "u4"]
    gone = play.refused("DeleteWorkspaceAccess", EditorId=editor_id, IdentityName="u1")
    assert gone == f"'u1' is not a collaborator of Editor '{editor_id}'."


def test_a_removed_collaborator_is_out(play: Play) -> None:
    ana, ben = play.emr.user("ana", *USER), play.emr.user("ben", *USER)
    editor_id = play.ready(ana, CollaborationEnabled=True)
    play.call("PutWorkspaceAccess", ana, EditorId=editor_id, IdentityName="ben")
    play.call("OpenEditorInConsole", ben, EditorId=editor_id)
    play.call("DeleteWorkspaceAccess", ana, EditorId=editor_id, IdentityName="ben")
    with pytest.raises(AccessDenied):
        play.call("OpenEditorInConsole", ben, EditorId=editor_id)


@pytest.mark.capability("CO-04")
def test_a_users_workspace_takes_users(play: Play) -> None:
    play.emr.role("Analysts")
    editor_id = play.ready(CollaborationEnabled=True)

    def refusal(name: str, **more: str) -> str:
        return play.refused("PutWorkspaceAccess", EditorId=editor_id, IdentityName=name, **more)

    assert "'Analysts' is a role" in refusal("Analysts")
    assert "is an Identity Center user" in refusal("ana@example.com", IdentityType="IDENTITY_CENTER_USER")
    assert refusal("nobody") == "There is no user 'nobody'."
    assert "is the owner" in refusal("admin")
    play.emr.user("stranger", account_id=OTHER_ACCOUNT)
    assert refusal("stranger") == "There is no user 'stranger'."


@pytest.mark.capability("CO-04", "CO-08")
def test_a_role_sessions_workspace_takes_roles_and_their_sessions(play: Play) -> None:
    everything = statement("*")
    for role in ("Owners", "Analysts", "Engineers"):
        play.emr.role(role, everything)
    play.emr.user("ana")
    owner = session_of(play, "Owners", "olga")
    editor_id = play.ready(owner, CollaborationEnabled=True)

    def add(name: str) -> None:
        play.call("PutWorkspaceAccess", owner, EditorId=editor_id, IdentityName=name)

    add("Analysts")
    add("Engineers:eve@example.com")
    assert set(names(play, editor_id)) == {"Analysts", "Engineers:eve@example.com"}
    sees = {
        (role, name): listed(play, session_of(play, role, name)) == [editor_id]
        for role in ("Owners", "Analysts", "Engineers")
        for name in ("olga", "eve@example.com")
    }
    assert [who for who, seen in sees.items() if not seen] == [("Owners", "eve@example.com"), ("Engineers", "olga")]
    for bad in ("Analysts:", "Analysts:a b", "Nobody:eve"):
        assert "There is no role" in play.refused("PutWorkspaceAccess", owner, EditorId=editor_id, IdentityName=bad)
    assert "'ana' is an IAM user" in play.refused("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ana")
    assert "is the owner" in play.refused("PutWorkspaceAccess", EditorId=editor_id, IdentityName="Owners:olga")


def test_a_later_user_of_the_same_name_is_somebody_else(play: Play) -> None:
    first = play.emr.user("ben")
    editor_id = play.ready(CollaborationEnabled=True)
    play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ben")
    with play.emr.database.write() as session:
        drop_policies(session, first.user_id)
        session.delete(session.get_one(User, first.user_id))
    second = play.emr.user("ben")
    assert second.user_id != first.user_id
    assert listed(play, second) == []
    play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ben")
    assert listed(play, second) == [editor_id]
    assert names(play, editor_id) == ["ben"]


def test_collaborators_need_collaboration_and_a_service_role_that_finds_them(play: Play) -> None:
    ben = play.emr.user("ben")
    editor_id = play.ready()
    add = {"EditorId": editor_id, "IdentityName": "ben"}
    assert "Collaboration is off" in play.refused("PutWorkspaceAccess", **add)
    play.call("UpdateEditor", EditorId=editor_id, CollaborationEnabled=True)
    with play.emr.database.write() as session:
        role = get_role(session, ACCOUNT, SERVICE_ROLE)
        drop_policies(session, role.id)
    assert f"may not do iam:GetUser on {ben.arn}" in play.refused("PutWorkspaceAccess", **add)


def test_only_who_has_access_to_the_studio_is_added(play: Play) -> None:
    """What lets somebody in is what sign-in asks; the refusal leaves nothing behind."""
    editor_id = play.ready(CollaborationEnabled=True)
    ben = play.emr.user("ben", *USER[2:], statement("elasticmapreduce:CreateStudioPresignedUrl", "*studio/es-OTHER"))
    add = {"EditorId": editor_id, "IdentityName": "ben"}
    refusal = play.refused("PutWorkspaceAccess", **add)
    assert refusal.startswith(f"'ben' has no access to Studio '{play.studio_id}' and cannot be added")
    assert (
        f"allows elasticmapreduce:CreateStudioPresignedUrl on arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:" in refusal
    )
    assert names(play, editor_id) == []
    tagged = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "data"}}
    put_policy(play, ben, statement("elasticmapreduce:CreateStudioPresignedUrl", **tagged))
    assert "has no access" in play.refused("PutWorkspaceAccess", **add)
    play.call("AddTags", ResourceId=play.studio_id, Tags=[{"Key": "team", "Value": "data"}])
    play.call("PutWorkspaceAccess", **add)
    assert names(play, editor_id) == ["ben"]


def test_nobody_is_added_when_the_studio_is_gone(play: Play) -> None:
    play.emr.user("ben")
    editor_id = play.ready(CollaborationEnabled=True)
    play.call("DeleteStudio", StudioId=play.studio_id)
    refusal = play.refused("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ben")
    assert refusal == f"The Studio of Editor '{editor_id}' no longer exists: nobody can be added to it."


def test_the_accounts_list_shows_private_ones_to_an_administrator_alone(play: Play) -> None:
    ana, ben = play.emr.user("ana", *USER), play.emr.user("ben", *USER)
    editor_id = play.ready(ana, CollaborationEnabled=True)
    assert listed(play, play.emr.admin) == [], "in a Studio she is a user like any other"
    assert [e["EditorId"] for e in play.call("ListEditors")["Editors"]] == [editor_id]
    assert play.call("ListEditors", ben) == {"Editors": []}
    assert play.describe(editor_id)["Name"] == "work"


def test_name_and_description(play: Play) -> None:
    editor_id = play.ready(Description="old")
    play.emr.clock.advance(5)
    play.call("UpdateEditor", EditorId=editor_id, Name="Sales 2026", Description="")
    described = play.describe(editor_id)
    assert (described["Name"], described["DefaultNotebook"]) == ("Sales 2026", "work.ipynb")
    assert "Description" not in described
    assert described["LastModifiedTime"] == play.emr.clock.now()
    play.call("UpdateEditor", EditorId=editor_id, Name="again")
    assert play.describe(editor_id)["DefaultNotebook"] == "work.ipynb"
    assert "Name must" in play.refused("UpdateEditor", EditorId=editor_id, Name="a/b")
    assert "Give at least one of" in play.refused("UpdateEditor", EditorId=editor_id)


def test_a_deleted_workspace_leaves_no_collaborators(play: Play) -> None:
    play.emr.user("ben")
    editor_id = play.ready(CollaborationEnabled=True)
    play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ben")
    play.call("DeleteEditor", EditorId=editor_id)
    refusal = play.refused("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ben")
    assert "is Deleting" in refusal
    play.settle(editor_id)
    with play.emr.database.read() as session:
        assert session.query(Collaborator).count() == 0


def test_of_another_account_nothing_is_shared(play: Play) -> None:
    editor_id = play.ready(CollaborationEnabled=True)
    stranger = play.emr.user("stranger", account_id=OTHER_ACCOUNT)
    for operation, more in (
        ("UpdateEditor", {"Name": "x"}),
        ("PutWorkspaceAccess", {"IdentityName": "stranger"}),
        ("DeleteWorkspaceAccess", {"IdentityName": "stranger"}),
        ("ListWorkspaceAccessIdentities", {}),
    ):
        refusal = play.refused(operation, stranger, EditorId=editor_id, **more)
        assert refusal == f"Editor '{editor_id}' does not exist."
