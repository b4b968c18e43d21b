"""Workspaces' operations: creation, lists, states, the hold; with the controller in step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.runtime.contract import WorkspaceSpec
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.model import Editor
from tests.support.emr_world import ACCOUNT, OTHER_ACCOUNT, SERVICE_ROLE, emr_world, statement
from tests.support.workspace_play import Play, engine

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{SERVICE_ROLE}"
UNKNOWN = "e-0000000000000000000000000"
EVERY = ("StartEditor", "StopEditor", "DeleteEditor", "DetachEditor", "OpenEditorInConsole")


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        yield Play(emr, InProcessRuntime(), emr.studio())


# Create, describe, list.


@pytest.mark.capability("WS-14")
def test_create_and_describe(play: Play) -> None:
    tags = [{"Key": "team", "Value": "red"}]
    made = play.call("CreateEditor", StudioId=play.studio_id, Name="My work", Description="d", Tags=tags)
    editor_id = made["EditorId"]
    assert re.fullmatch("e-[0-9A-Z]{25}", editor_id)
    assert made["EditorArn"] == f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:editor/{editor_id}"
    assert made["Url"] == f"http://{editor_id.lower()}.workspace.localhost:8080"
    assert play.emr.wakes.seen == [("workspace", editor_id)]
    described = play.describe(editor_id)
    zone = described.pop("AvailabilityZone")
    assert described.pop("SubnetId") in play.emr.network.subnet_ids
    assert zone.startswith("us-east-1")
    now = play.emr.clock.now()
    assert described == made | {
        "Name": "My work",
        "Description": "d",
        "StudioId": play.studio_id,
        "Status": "Starting",
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatorUserId": play.emr.admin.user_id,
        "CollaborationEnabled": False,
        "IdleTimeoutSeconds": 86_400,
        "DiskQuotaMiB": 10_240,
        "S3Location": f"s3://emr-studio-123456789012-us-east-1/studio/{editor_id}/",
        "DefaultNotebook": "My work.ipynb",
        "Tags": [*tags, {"Key": "creatorUserId", "Value": play.emr.admin.user_id}],
    }
    assert play.settle(editor_id) == ["Starting", "Ready"]


@pytest.mark.capability("SG-06")
def test_a_studios_new_location_is_that_of_new_workspaces(play: Play) -> None:
    """A Workspace keeps the place that it was made with: its files are there, and only there."""
    old = play.ready()
    before = play.describe(old)["S3Location"]
    location = "s3://emr-studio-123456789012-us-east-1/elsewhere"
    play.call("UpdateStudio", StudioId=play.studio_id, DefaultS3Location=location)
    new = play.ready(Name="new")
    assert play.describe(new)["S3Location"] == f"{location}/{new}/"
    for operation, status in (("StopEditor", "Idle"), ("StartEditor", "Ready")):
        play.call(operation, EditorId=old)
        assert play.settle(old)[-1] == status
    assert play.describe(old)["S3Location"] == before
    specs = [play.runtime.workloads[editor_id].spec for editor_id in (old, new)]
    assert [spec.s3_location for spec in specs if isinstance(spec, WorkspaceSpec)] == [before, f"{location}/{new}/"]


@pytest.mark.parametrize(
    "name", ["", "a" * 129, "a/b", "a\\b", "a:b", "a\x00", "a\nb", ".hidden", " a", "a ", "ä" * 101]
)
def test_names_that_cannot_be_a_files(play: Play, name: str) -> None:
    assert "Name must" in play.refused("CreateEditor", StudioId=play.studio_id, Name=name)


@pytest.mark.parametrize("name", ["a", "Fluggäste 2026 (v1.2)", "日本語", "x" * 128])
def test_names_that_can(play: Play, name: str) -> None:
    assert play.describe(play.create(Name=name))["DefaultNotebook"] == f"{name}.ipynb"


def test_every_workspace_has_a_user_id_of_its_own_for_ever(play: Play) -> None:
    first = play.ready()
    play.call("DeleteEditor", EditorId=first)
    play.settle(first)
    second = play.create()
    with play.emr.database.read() as session:
        assert session.get_one(Editor, second).uid == 200_002


@pytest.mark.capability("WS-14")
def test_nobody_else_can_be_named_as_creator(play: Play) -> None:
    tag = {"Key": "creatorUserId", "Value": "AIDASOMEBODYELSE"}
    assert "creatorUserId" in play.refused("CreateEditor", StudioId=play.studio_id, Name="a", Tags=[tag])


@pytest.mark.capability("WS-12")
def test_list_is_per_studio_and_paged(play: Play) -> None:
    other = play.emr.studio()
    play.call("CreateEditor", StudioId=other, Name="elsewhere")
    made = []
    for number in range(55):
        play.emr.clock.advance(1)
        made.append(play.create(Name=f"w{number}"))
    first = play.call("ListEditors", StudioId=play.studio_id)
    second = play.call("ListEditors", StudioId=play.studio_id, Marker=first["Marker"])
    assert [e["EditorId"] for e in first["Editors"] + second["Editors"]] == made
    assert "Marker" not in second
    assert {"Name", "Status", "CreationTime", "LastModifiedTime"} <= set(first["Editors"][0])
    assert "Marker" in play.refused("ListEditors", StudioId=other, Marker=first["Marker"])
    assert play.call("ListEditors", StudioId=other, Status="Idle") == {"Editors": []}


def test_another_account_sees_nothing(play: Play) -> None:
    editor_id = play.ready()
    stranger = play.emr.user("stranger", account_id=OTHER_ACCOUNT)
    assert play.call("ListEditors", stranger) == {"Editors": []}
    assert "Studio does not exist" in play.refused("CreateEditor", stranger, StudioId=play.studio_id, Name="a")
    for operation in ("DescribeEditor", *EVERY):
        for unknown in (editor_id, UNKNOWN):
            assert play.refused(operation, stranger, EditorId=unknown) == f"Editor '{unknown}' does not exist."


# Life.


@pytest.mark.capability("WS-07", "WS-10")
def test_stop_and_start_in_another_zone(play: Play) -> None:
    editor_id = play.ready()
    before = play.describe(editor_id)
    play.emr.clock.advance(60)
    play.call("StopEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Stopping", "Idle"]
    zones = {before["AvailabilityZone"]}
    for _ in range(2):
        play.call("StartEditor", EditorId=editor_id)
        assert play.settle(editor_id) == ["Starting", "Ready"]
        zones.add(play.describe(editor_id)["AvailabilityZone"])
        play.call("StopEditor", EditorId=editor_id)
        play.settle(editor_id)
    assert zones == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert play.describe(editor_id)["LastModifiedTime"] > before["LastModifiedTime"]


def test_with_one_subnet_it_stays(play: Play) -> None:
    only = play.emr.network.subnet_ids[0]
    play.studio_id = play.emr.studio(SubnetIds=[only])
    editor_id = play.ready()
    play.call("StopEditor", EditorId=editor_id)
    play.settle(editor_id)
    play.call("StartEditor", EditorId=editor_id)
    assert play.describe(editor_id)["SubnetId"] == only


def test_start_is_idempotent_while_starting(play: Play) -> None:
    editor_id = play.create()
    assert play.call("StartEditor", EditorId=editor_id) == {}
    assert play.settle(editor_id) == ["Starting", "Ready"]


def test_delete_vanishes(play: Play) -> None:
    editor_id = play.ready()
    play.call("DeleteEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Deleting", "gone"]
    assert play.call("ListEditors") == {"Editors": []}


def test_every_wrong_state_is_refused_by_name(play: Play) -> None:
    cluster_id = play.emr.cluster()
    attach = {"ExecutionEngine": engine(cluster_id)}
    editor_id = play.create()

    def wrong(status: str, *operations: str) -> None:
        assert play.status(editor_id) == status
        for operation in operations:
            more = attach if operation == "AttachEditor" else {}
            assert f"is {status}" in play.refused(operation, EditorId=editor_id, **more)

    wrong("Starting", "DeleteEditor", "AttachEditor", "DetachEditor", "OpenEditorInConsole")
    play.settle(editor_id)
    wrong("Ready", "StartEditor", "DetachEditor")
    play.call("AttachEditor", EditorId=editor_id, **attach)
    wrong("Attaching", "StartEditor", "AttachEditor", "DeleteEditor")
    play.settle(editor_id)
    wrong("Attached", "StartEditor", "AttachEditor")
    play.call("StopEditor", EditorId=editor_id)
    wrong(
        "Stopping", "StartEditor", "StopEditor", "DeleteEditor", "AttachEditor", "DetachEditor", "OpenEditorInConsole"
    )
    play.settle(editor_id)
    wrong("Idle", "StopEditor", "AttachEditor", "DetachEditor")
    play.call("DeleteEditor", EditorId=editor_id)
    wrong("Deleting", "AttachEditor", *EVERY)


def test_a_deleted_studio_leaves_its_workspaces_manageable(play: Play) -> None:
    editor_id = play.ready()
    play.call("DeleteStudio", StudioId=play.studio_id)
    assert [e["EditorId"] for e in play.call("ListEditors", StudioId=play.studio_id)["Editors"]] == [editor_id]
    play.call("StopEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Stopping", "Idle"]
    play.call("StartEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Starting", "Ready"]
    play.call("DeleteEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Deleting", "gone"]


# Open.


@pytest.mark.capability("WS-13")
def test_one_user_at_a_time(play: Play) -> None:
    editor_id = play.ready()
    ana, ben = play.emr.user("ana"), play.emr.user("ben")
    link = play.call("OpenEditorInConsole", ana, EditorId=editor_id)
    assert link["Url"] == f"link:{editor_id}:{play.studio_id}:work.ipynb:{ana.user_id}"
    assert play.describe(editor_id)["User"] == "ana"
    assert "in use by ana" in play.refused("OpenEditorInConsole", ben, EditorId=editor_id)
    play.call("OpenEditorInConsole", ana, EditorId=editor_id)


@pytest.mark.capability("WS-13")
def test_the_hold_ends_when_idle_or_stopped(play: Play) -> None:
    editor_id = play.ready()
    ana, ben = play.emr.user("ana"), play.emr.user("ben")
    play.call("OpenEditorInConsole", ana, EditorId=editor_id)
    play.emr.clock.advance(play.emr.settings.session_idle_seconds + 1)
    assert "User" not in play.describe(editor_id)
    play.call("OpenEditorInConsole", ben, EditorId=editor_id)
    assert play.describe(editor_id)["User"] == "ben"
    play.call("StopEditor", EditorId=editor_id)
    assert "User" not in play.describe(editor_id)
    play.settle(editor_id)
    play.call("StartEditor", EditorId=editor_id)
    play.settle(editor_id)
    play.call("OpenEditorInConsole", ana, EditorId=editor_id)


@pytest.mark.capability("WS-07")
def test_opening_a_stopped_workspace_starts_it(play: Play) -> None:
    editor_id = play.ready()
    play.call("StopEditor", EditorId=editor_id)
    play.settle(editor_id)
    opener = play.emr.user("opener", statement("elasticmapreduce:OpenEditorInConsole"))
    with pytest.raises(AccessDenied, match="elasticmapreduce:StartEditor"):
        play.call("OpenEditorInConsole", opener, EditorId=editor_id)
    assert play.status(editor_id) == "Idle"
    play.call("OpenEditorInConsole", EditorId=editor_id)
    assert play.settle(editor_id) == ["Starting", "Ready"]
