"""Collaboration and orphaned Workspaces as people reach them: stock boto3 and the AWS CLI with our overlay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.cli.configure_aws import configure_aws
from emr_studio.settings import Settings
from tests.support.emr_api import EmrApi, until
from tests.support.emr_world import statement

OWN = {"StringEquals": {"elasticmapreduce:ResourceTag/creatorUserId": "${aws:userId}"}}
USER = (
    statement(["elasticmapreduce:CreateEditor", "elasticmapreduce:ListEditors", "iam:PassRole"]),
    statement("elasticmapreduce:CreateStudioPresignedUrl"),
    statement(["elasticmapreduce:DescribeEditor", "elasticmapreduce:OpenEditorInConsole"]),
    statement(["elasticmapreduce:*WorkspaceAccess*", "elasticmapreduce:UpdateEditor"], **OWN),
)
Aws = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def people(api: EmrApi) -> dict[str, Any]:
    return {name: api.user(name, *USER) for name in ("ana", "ben", "cleo")}


@pytest.fixture
def studio_id(api: EmrApi, emr: Any) -> str:
    return str(emr.create_studio(**api.world.studio_request())["StudioId"])


def ids(answer: dict[str, Any]) -> list[str]:
    return [editor["EditorId"] for editor in answer["Editors"]]


def status(emr: Any, editor_id: str) -> str:
    return str(emr.describe_editor(EditorId=editor_id)["Editor"]["Status"])


@pytest.mark.capability("CO-01", "CO-03", "CO-05")
def test_a_private_workspace(studio_id: str, people: dict[str, Any]) -> None:
    ana, ben, cleo = people.values()
    editor_id = ana.create_editor(StudioId=studio_id, Name="ours", CollaborationEnabled=True)["EditorId"]
    until(lambda: status(ana, editor_id) == "Ready")
    ana.put_workspace_access(EditorId=editor_id, IdentityName="ben", IdentityType="IAM_USER")
    pages = ana.get_paginator("list_workspace_access_identities").paginate(EditorId=editor_id)
    found = [identity for page in pages for identity in page["WorkspaceAccessIdentities"]]
    assert [(i["IdentityType"], i["IdentityName"]) for i in found] == [("IAM_USER", "ben")]
    assert (ids(ben.list_editors(StudioId=studio_id)), ids(cleo.list_editors(StudioId=studio_id))) == ([editor_id], [])
    assert ids(cleo.list_editors()) == []
    for caller in (ana, ben):
        assert caller.open_editor_in_console(EditorId=editor_id)["Url"].startswith(f"link:{editor_id}")
    for call in (cleo.open_editor_in_console, cleo.describe_editor):
        with pytest.raises(ClientError, match=r"AccessDeniedException.*neither owner nor collaborator"):
            call(EditorId=editor_id)
    with pytest.raises(ClientError, match=r"AccessDeniedException.*elasticmapreduce:UpdateEditor"):
        ben.update_editor(EditorId=editor_id, CollaborationEnabled=False)
    ana.delete_workspace_access(EditorId=editor_id, IdentityName="ben")
    assert ids(ben.list_editors(StudioId=studio_id)) == []
    ana.update_editor(EditorId=editor_id, CollaborationEnabled=False)
    assert ids(cleo.list_editors(StudioId=studio_id)) == [editor_id]


def test_who_may_not_sign_in_to_the_studio_is_not_added(api: EmrApi, studio_id: str, people: dict[str, Any]) -> None:
    ana = people["ana"]
    api.user("outsider", statement("elasticmapreduce:OpenEditorInConsole"))
    editor_id = ana.create_editor(StudioId=studio_id, Name="ours", CollaborationEnabled=True)["EditorId"]
    until(lambda: status(ana, editor_id) == "Ready")
    with pytest.raises(ClientError, match=r"InvalidRequestException.*'outsider' has no access to Studio"):
        ana.put_workspace_access(EditorId=editor_id, IdentityName="outsider")
    assert ana.list_workspace_access_identities(EditorId=editor_id)["WorkspaceAccessIdentities"] == []


@pytest.mark.capability("AD-06")
def test_what_a_studio_leaves_behind(emr: Any, studio_id: str, people: dict[str, Any]) -> None:
    """An administrator finds, tags, stops and deletes Workspaces whose Studio is gone, private ones too."""
    shared = people["ana"].create_editor(StudioId=studio_id, Name="shared")["EditorId"]
    private = people["ben"].create_editor(StudioId=studio_id, Name="own", CollaborationEnabled=True)["EditorId"]
    for editor_id in (shared, private):
        until(lambda editor_id=editor_id: status(emr, editor_id) == "Ready")  # type: ignore[misc]
    emr.delete_studio(StudioId=studio_id)
    assert ids(emr.list_editors(StudioId=studio_id)) == [shared, private]
    assert {shared, private} <= set(ids(emr.list_editors()))
    assert ids(people["cleo"].list_editors(StudioId=studio_id)) == [shared]
    emr.add_tags(ResourceId=private, Tags=[{"Key": "left", "Value": "behind"}])
    emr.stop_editor(EditorId=shared)
    until(lambda: status(emr, shared) == "Idle")
    for editor_id in (shared, private):
        emr.delete_editor(EditorId=editor_id)
    until(lambda: ids(emr.list_editors(StudioId=studio_id)) == [])


@pytest.fixture
def aws(api: EmrApi, tmp_path: Path) -> Aws:
    """The AWS CLI with a profile of ours, as ana."""
    key_id, secret = api.key("ana")
    admin = {"access_key_id": key_id, "secret_access_key": secret}
    studio = {"endpoint_url": api.endpoint, "region": "us-east-1", "admin": admin}
    (tmp_path / "studio.json").write_text(json.dumps(studio))
    configure_aws(Settings(data_dir=tmp_path), aws_dir=tmp_path / ".aws")
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = own | {"HOME": str(tmp_path), "AWS_PROFILE": "emr-studio", "AWS_PAGER": ""}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("aws")), "emr", *arguments]
        return subprocess.run(program, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.usefixtures("people")
def test_by_the_aws_cli(aws: Aws, studio_id: str) -> None:
    made = aws("create-editor", "--studio-id", studio_id, "--name", "cli")
    editor_id = json.loads(made.stdout)["EditorId"]
    on = ("--collaboration-enabled", "--name", "renamed", "--idle-timeout-seconds", "3600")
    assert aws("update-editor", "--editor-id", editor_id, *on).returncode == 0
    assert aws("put-workspace-access", "--editor-id", editor_id, "--identity-name", "ben").returncode == 0
    listed = json.loads(aws("list-workspace-access-identities", "--editor-id", editor_id).stdout)
    assert [identity["IdentityName"] for identity in listed["WorkspaceAccessIdentities"]] == ["ben"]
    described = json.loads(aws("describe-editor", "--editor-id", editor_id).stdout)["Editor"]
    shown = ("Name", "CollaborationEnabled", "IdleTimeoutSeconds")
    assert [described[member] for member in shown] == ["renamed", True, 3600]
    assert aws("delete-workspace-access", "--editor-id", editor_id, "--identity-name", "ben").returncode == 0
    refused = aws("delete-workspace-access", "--editor-id", editor_id, "--identity-name", "ben")
    assert "(InvalidRequestException)" in refused.stderr
    assert aws("update-editor", "--editor-id", editor_id, "--no-collaboration-enabled").returncode == 0
