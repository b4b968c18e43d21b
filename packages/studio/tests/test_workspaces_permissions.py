"""Who may do what with Workspaces: tags, conditions on both resources, policy variables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.runtime.inprocess import InProcessRuntime
from tests.support.emr_world import ACCOUNT, SERVICE_ROLE, emr_world, statement
from tests.support.workspace_play import Play, engine

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{SERVICE_ROLE}"
PASS = statement("iam:PassRole", ROLE_ARN)
ALL_EDITORS = statement("elasticmapreduce:*Editor*")
EVERY = ("StartEditor", "StopEditor", "DeleteEditor", "DetachEditor", "OpenEditorInConsole")


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        yield Play(emr, InProcessRuntime(), emr.studio())


# Permissions.


@pytest.mark.capability("IP-05")
def test_creation_needs_the_right_to_pass_the_service_role(play: Play) -> None:
    user = play.emr.user("ana", ALL_EDITORS)
    with pytest.raises(AccessDenied, match="iam:PassRole"):
        play.create(user)
    assert play.create(play.emr.user("ben", ALL_EDITORS, PASS))


@pytest.mark.capability("IP-06")
@pytest.mark.parametrize("prefix", ["elasticmapreduce", "aws"])
def test_actions_by_the_workspaces_tag(play: Play, prefix: str) -> None:
    condition = {"StringEquals": {f"{prefix}:ResourceTag/team": "red"}}
    user = play.emr.user("ana", statement("elasticmapreduce:StopEditor", **condition))
    red, blue = play.ready(Tags=[{"Key": "team", "Value": "red"}]), play.ready(Tags=[{"Key": "team", "Value": "blue"}])
    play.call("StopEditor", user, EditorId=red)
    with pytest.raises(AccessDenied, match=f"elasticmapreduce:StopEditor on resource: arn:aws:.*editor/{blue}"):
        play.call("StopEditor", user, EditorId=blue)


@pytest.mark.capability("IP-07")
@pytest.mark.parametrize("prefix", ["elasticmapreduce", "aws"])
def test_tags_required_at_creation(play: Play, prefix: str) -> None:
    condition = {"StringEquals": {f"{prefix}:RequestTag/team": "red"}}
    user = play.emr.user("ana", statement("elasticmapreduce:CreateEditor", **condition), PASS)
    with pytest.raises(AccessDenied, match="elasticmapreduce:CreateEditor"):
        play.create(user)
    with pytest.raises(AccessDenied):
        play.create(user, Tags=[{"Key": "team", "Value": "blue"}])
    assert play.create(user, Tags=[{"Key": "team", "Value": "red"}])


@pytest.mark.capability("IP-08")
@pytest.mark.parametrize("action", ["StartEditor", "AttachEditor"])
def test_a_condition_holds_for_cluster_and_workspace(play: Play, action: str) -> None:
    red = {"Key": "team", "Value": "red"}
    condition = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "red"}}
    names = ["elasticmapreduce:StartEditor", "elasticmapreduce:AttachEditor"]
    user = play.emr.user("ana", statement(names, **condition))
    tagged, plain = play.emr.cluster(tags={"team": "red"}), play.emr.cluster()

    def attempt(editor_tags: list[dict[str, str]], cluster_id: str) -> None:
        editor_id = play.ready(Tags=editor_tags)
        if action == "StartEditor":
            play.call("StopEditor", EditorId=editor_id)
            play.settle(editor_id)
        play.call(action, user, EditorId=editor_id, ExecutionEngine=engine(cluster_id))

    attempt([red], tagged)
    for editor_tags, cluster_id in (([red], plain), ([], tagged), ([], plain)):
        with pytest.raises(AccessDenied):
            attempt(editor_tags, cluster_id)


@pytest.mark.capability("IP-09")
def test_only_the_creator_by_policy_variable(play: Play) -> None:
    own = {"StringEquals": {"elasticmapreduce:ResourceTag/creatorUserId": "${aws:userId}"}}
    rights = (statement("elasticmapreduce:CreateEditor"), PASS, statement("elasticmapreduce:DeleteEditor", **own))
    ana, ben = play.emr.user("ana", *rights), play.emr.user("ben", *rights)
    editor_id = play.ready(ana)
    with pytest.raises(AccessDenied):
        play.call("DeleteEditor", ben, EditorId=editor_id)
    play.call("DeleteEditor", ana, EditorId=editor_id)


@pytest.mark.capability("WS-15")
def test_tags_of_a_workspace(play: Play) -> None:
    editor_id = play.create()
    play.call("AddTags", ResourceId=editor_id, Tags=[{"Key": "team", "Value": "red"}])
    assert {"Key": "team", "Value": "red"} in play.describe(editor_id)["Tags"]
    play.call("RemoveTags", ResourceId=editor_id, TagKeys=["team"])
    assert [tag["Key"] for tag in play.describe(editor_id)["Tags"]] == ["creatorUserId"]


def test_every_operation_is_denied_without_a_statement(play: Play) -> None:
    nobody = play.emr.user("nobody", statement("s3:*"))
    editor_id = play.ready()
    for operation in ("DescribeEditor", *EVERY):
        with pytest.raises(AccessDenied, match=f"elasticmapreduce:{operation}"):
            play.call(operation, nobody, EditorId=editor_id)
    with pytest.raises(AccessDenied):
        play.call("ListEditors", nobody)
