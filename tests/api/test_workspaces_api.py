"""Workspaces through stock boto3 with our overlay, the controllers running beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clusters import operations as clusters_operations  # noqa: F401 (registers what can be called)
from emr_studio.clusters.model import State
from emr_studio.iam import tiers
from emr_studio.iam.tiers import Place
from tests.support.emr_api import EmrApi, refused, served_emr, until
from tests.support.emr_world import SERVICE_ROLE, statement

PLACE = Place(service_role=SERVICE_ROLE)


@pytest.fixture(scope="module")
def studio_id(api: EmrApi, emr: Any) -> str:
    return str(emr.create_studio(**api.world.studio_request())["StudioId"])


def status(emr: Any, editor_id: str) -> str:
    return str(emr.describe_editor(EditorId=editor_id)["Editor"]["Status"])


def becomes(emr: Any, editor_id: str, wanted: str) -> None:
    until(lambda: status(emr, editor_id) == wanted)


@pytest.mark.capability("WS-07", "WS-10")
def test_the_life_of_a_workspace(api: EmrApi, emr: Any, studio_id: str) -> None:
    editor_id = emr.create_editor(StudioId=studio_id, Name="life")["EditorId"]
    becomes(emr, editor_id, "Ready")
    zone = emr.describe_editor(EditorId=editor_id)["Editor"]["AvailabilityZone"]
    cluster_id = api.world.cluster()
    emr.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    becomes(emr, editor_id, "Attached")
    api.world.set_cluster(cluster_id, state=State.TERMINATED)
    becomes(emr, editor_id, "Ready")
    assert emr.open_editor_in_console(EditorId=editor_id)["Url"].startswith(f"link:{editor_id}")
    emr.stop_editor(EditorId=editor_id)
    becomes(emr, editor_id, "Idle")
    emr.start_editor(EditorId=editor_id)
    becomes(emr, editor_id, "Ready")
    assert emr.describe_editor(EditorId=editor_id)["Editor"]["AvailabilityZone"] != zone
    emr.delete_editor(EditorId=editor_id)
    until(lambda: emr.list_editors(StudioId=studio_id)["Editors"] == [])
    with pytest.raises(ClientError, match="InvalidRequestException"):
        emr.describe_editor(EditorId=editor_id)


def test_a_workspace_is_ready_at_once(tmp_path: Path) -> None:
    """No polling wait lies between the request and the start: the controllers are woken."""
    with served_emr(tmp_path, poll_seconds=3600) as unpolled:
        emr = unpolled.client("emr", *unpolled.key("admin"))
        studio_id = emr.create_studio(**unpolled.world.studio_request())["StudioId"]
        for _ in range(3):
            editor_id = emr.create_editor(StudioId=studio_id, Name="quick")["EditorId"]
            becomes(emr, editor_id, "Ready")
            emr.delete_editor(EditorId=editor_id)
        until(lambda: emr.list_editors(StudioId=studio_id)["Editors"] == [])


def test_a_crashed_server_is_noticed(api: EmrApi, emr: Any, studio_id: str) -> None:
    editor_id = emr.create_editor(StudioId=studio_id, Name="crash")["EditorId"]
    becomes(emr, editor_id, "Ready")
    launches = len(api.runtime.calls)
    api.runtime.crash(editor_id)
    until(lambda: len(api.runtime.calls) > launches)
    becomes(emr, editor_id, "Ready")
    emr.delete_editor(EditorId=editor_id)


@pytest.mark.capability("WS-15")
def test_paging_and_tags(api: EmrApi, emr: Any) -> None:
    studio_id = emr.create_studio(**api.world.studio_request())["StudioId"]
    made = [emr.create_editor(StudioId=studio_id, Name=f"w{n}")["EditorId"] for n in range(52)]
    pages = list(emr.get_paginator("list_editors").paginate(StudioId=studio_id))
    assert [editor["EditorId"] for page in pages for editor in page["Editors"]] == made
    assert len(pages) == 2
    emr.add_tags(ResourceId=made[0], Tags=[{"Key": "team", "Value": "red"}])
    assert {"Key": "team", "Value": "red"} in emr.describe_editor(EditorId=made[0])["Editor"]["Tags"]
    emr.remove_tags(ResourceId=made[0], TagKeys=["team"])
    for editor_id in made:
        becomes(emr, editor_id, "Ready")
        emr.delete_editor(EditorId=editor_id)


@pytest.mark.capability("IP-05", "IP-06", "IP-07")
def test_permissions(api: EmrApi, emr: Any, studio_id: str) -> None:
    red = {"Key": "team", "Value": "red"}
    create = statement("elasticmapreduce:CreateEditor", StringEquals={"elasticmapreduce:RequestTag/team": "red"})
    stop = statement("elasticmapreduce:StopEditor", StringEquals={"elasticmapreduce:ResourceTag/team": "red"})

    def denied(call: Any, **arguments: Any) -> str:
        with pytest.raises(ClientError) as caught:
            call(**arguments)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        return str(caught.value)

    weak = api.user("weak", create, stop)
    assert "iam:PassRole" in denied(weak.create_editor, StudioId=studio_id, Name="a", Tags=[red])
    user = api.user("strong", create, stop, statement("iam:PassRole"))
    assert "CreateEditor" in denied(user.create_editor, StudioId=studio_id, Name="a")
    mine = user.create_editor(StudioId=studio_id, Name="a", Tags=[red])["EditorId"]
    other = emr.create_editor(StudioId=studio_id, Name="b")["EditorId"]
    for editor_id in (mine, other):
        becomes(emr, editor_id, "Ready")
    assert "StopEditor" in denied(user.stop_editor, EditorId=other)
    user.stop_editor(EditorId=mine)
    becomes(emr, mine, "Idle")


@pytest.mark.capability("WS-13")
def test_the_second_user_is_told_who_has_it(api: EmrApi, emr: Any, studio_id: str) -> None:
    editor_id = emr.create_editor(StudioId=studio_id, Name="held")["EditorId"]
    becomes(emr, editor_id, "Ready")
    emr.open_editor_in_console(EditorId=editor_id)
    assert emr.describe_editor(EditorId=editor_id)["Editor"]["User"] == "admin"
    second = api.user("second")
    with pytest.raises(ClientError, match="in use by admin"):
        second.open_editor_in_console(EditorId=editor_id)


@pytest.mark.capability("AU-14")
def test_a_user_with_a_studio_and_nothing_else(api: EmrApi, emr: Any, studio_id: str) -> None:
    """The basic tier and access to one Studio are enough for all that is done there, and good for nothing beside."""
    statements = [*tiers.tier("basic", PLACE)["Statement"], *tiers.studio_access(PLACE, studio_id)["Statement"]]
    user, cluster_id = api.user("plain", *statements), api.world.cluster("127.31.0.20", uid=300_020)
    assert studio_id in [one["StudioId"] for one in user.list_studios()["Studios"]]
    assert user.describe_studio(StudioId=studio_id)["Studio"]["Name"] == "sample"
    assert user.create_studio_presigned_url(StudioId=studio_id)["Url"].startswith(f"link:{studio_id}")
    editor_id = user.create_editor(StudioId=studio_id, Name="plain")["EditorId"]
    becomes(user, editor_id, "Ready")
    assert user.open_editor_in_console(EditorId=editor_id)["Url"].startswith(f"link:{editor_id}")
    assert cluster_id in [one["Id"] for one in user.list_clusters(ClusterStates=["WAITING"])["Clusters"]]
    user.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    becomes(user, editor_id, "Attached")
    user.detach_editor(EditorId=editor_id)
    becomes(user, editor_id, "Ready")
    user.update_editor(EditorId=editor_id, CollaborationEnabled=True)
    api.user("mate", *statements)
    user.put_workspace_access(EditorId=editor_id, IdentityName="mate")
    assert len(user.list_workspace_access_identities(EditorId=editor_id)["WorkspaceAccessIdentities"]) == 1
    user.delete_workspace_access(EditorId=editor_id, IdentityName="mate")
    user.stop_editor(EditorId=editor_id)
    becomes(user, editor_id, "Idle")
    user.start_editor(EditorId=editor_id)
    becomes(user, editor_id, "Ready")
    other = str(emr.create_studio(**api.world.studio_request())["StudioId"])
    for call in (user.describe_studio, user.create_studio_presigned_url, user.delete_studio):
        assert refused(call, StudioId=other)[0] == "AccessDeniedException"
    user.delete_editor(EditorId=editor_id)
    until(lambda: editor_id not in [one["EditorId"] for one in user.list_editors(StudioId=studio_id)["Editors"]])
