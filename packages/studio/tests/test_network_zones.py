"""Impaired zones: nothing new starts there, what runs says so, Workspaces move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emr_studio.cli import installation, zones
from emr_studio.network.zones import impair, restore
from emr_studio.runtime.inprocess import InProcessRuntime
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world
from tests.support.workspace_play import Play


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        yield Play(emr, InProcessRuntime(), emr.studio())


def break_zone(play: Play, *names: str) -> None:
    with play.emr.database.write() as session:
        for name in names:
            impair(session, name, play.emr.clock.now(), "rehearsal")


def mend_zone(play: Play, name: str) -> bool:
    with play.emr.database.write() as session:
        return restore(session, name)


def zone_of(play: Play, editor_id: str) -> str:
    return str(play.describe(editor_id)["AvailabilityZone"])


@pytest.mark.capability("WS-10")
def test_a_workspace_fails_over(play: Play) -> None:
    editor_id = play.ready()
    zone = zone_of(play, editor_id)
    others = {"us-east-1a", "us-east-1b", "us-east-1c"} - {zone}
    break_zone(play, zone)
    reason = play.describe(editor_id)["StateChangeReason"]
    assert reason["Code"] == "ZONE_IMPAIRED"
    assert reason["Message"].startswith(f"Availability Zone {zone} is impaired (rehearsal)")
    play.call("StopEditor", EditorId=editor_id)
    play.settle(editor_id)
    for _ in range(3):
        play.call("StartEditor", EditorId=editor_id)
        assert play.settle(editor_id)[-1] == "Ready"
        assert zone_of(play, editor_id) in others
        assert "StateChangeReason" not in play.describe(editor_id)
        play.call("StopEditor", EditorId=editor_id)
        play.settle(editor_id)
    spec = play.runtime.calls
    assert ("launch", editor_id) in spec


def test_new_ones_avoid_it(play: Play) -> None:
    break_zone(play, "us-east-1b")
    assert {zone_of(play, play.create()) for _ in range(4)} == {"us-east-1a", "us-east-1c"}


def test_where_all_are_impaired_nothing_starts(play: Play) -> None:
    idle, opened = play.ready(), play.ready()
    for editor_id in (idle, opened):
        play.call("StopEditor", EditorId=editor_id)
        play.settle(editor_id)
    break_zone(play, "us-east-1a", "us-east-1b", "us-east-1c")
    for operation, request in (
        ("CreateEditor", {"StudioId": play.studio_id, "Name": "x"}),
        ("StartEditor", {"EditorId": idle}),
        ("OpenEditorInConsole", {"EditorId": opened}),
    ):
        assert "is impaired (rehearsal): nothing new starts there" in play.refused(operation, **request)
    assert play.status(idle) == "Idle"
    assert mend_zone(play, "us-east-1c")
    assert not mend_zone(play, "us-east-1c")
    play.call("StartEditor", EditorId=idle)
    assert zone_of(play, idle) == "us-east-1c"


def test_one_without_its_studio_waits_for_its_zone(play: Play) -> None:
    editor_id = play.ready()
    play.call("StopEditor", EditorId=editor_id)
    play.settle(editor_id)
    play.call("DeleteStudio", StudioId=play.studio_id)
    break_zone(play, zone_of(play, editor_id))
    assert "is impaired" in play.refused("StartEditor", EditorId=editor_id)
    mend_zone(play, zone_of(play, editor_id))
    play.call("StartEditor", EditorId=editor_id)


def test_clusters_avoid_it_too(tmp_path: Path) -> None:
    with emr_world(tmp_path) as emr:
        first, second, _ = emr.network.subnet_ids
        play = ClusterPlay(emr, InProcessRuntime())
        there = emr.cluster(subnet_id=first, availability_zone="us-east-1a")
        with emr.database.write() as session:
            impair(session, "us-east-1a", emr.clock.now(), "rehearsal")
        several = {"Ec2SubnetId": None, "Ec2SubnetIds": [first, second]}
        assert play.row(play.create(Instances=several)).subnet_id == second
        code, message = play.refused("RunJobFlow", **play.request(Instances={"Ec2SubnetId": first}))
        assert code == "ValidationException"
        assert message.startswith("Instances.Ec2SubnetId: Availability Zone us-east-1a is impaired (rehearsal)")
        reason = emr.call("DescribeCluster", ClusterId=there)["Cluster"]["Status"]["StateChangeReason"]
        assert "us-east-1a is impaired" in reason["Message"]


def test_the_command(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "load", lambda _folder: play.emr.settings)
    run = CliRunner().invoke
    answer = run(zones.app, ["impair", "us-east-1a", "--reason", "fire"])
    assert (answer.exit_code, "nothing new starts there" in answer.output) == (0, True)
    assert "us-east-1a  Availability Zone us-east-1a is impaired (fire)" in run(zones.app, ["list"]).output
    found = zones.impaired_zones(play.emr.settings)
    assert [(zone["zone"], zone["reason"]) for zone in json.loads(json.dumps(found))] == [("us-east-1a", "fire")]
    wrong = run(zones.app, ["impair", "mars-1a"])
    assert wrong.exit_code == 1
    assert "There are: us-east-1a, us-east-1b, us-east-1c." in wrong.output
    assert run(zones.app, ["restore", "us-east-1a"]).exit_code == 0
    assert run(zones.app, ["restore", "us-east-1a"]).exit_code == 1
    assert zones.impaired_zones(play.emr.settings) == []
