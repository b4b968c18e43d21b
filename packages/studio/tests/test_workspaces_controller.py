"""The Workspaces' controller with the in-process runtime: every transition, every failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emr_studio.iam import entities
from emr_studio.iam.services import find_grant
from emr_studio.runtime.contract import Cause, WorkloadState, WorkspaceSpec
from emr_studio.runtime.inprocess import Stage
from emr_studio.studios.model import Studio
from emr_studio.workspaces.controller import MAX_CRASHES
from emr_studio.workspaces.model import Status, Target, edge_target, held_by_other, note_activity
from tests.support.controller_play import ID, ROLE, Play, controller_play


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Play]:
    with controller_play(tmp_path) as made:
        yield made


# Starting.


def test_starting_becomes_ready(world: Play) -> None:
    assert world.settle() == ["Starting", "Ready"]
    editor = world.editor()
    assert editor.address == f"unix//run/{ID}/s.sock"
    assert (editor.state_code, editor.unsettled) == (None, False)
    spec = world.runtime.workloads[ID].spec
    assert isinstance(spec, WorkspaceSpec)
    assert (spec.name, spec.default_notebook, spec.uid) == ("work", "work.ipynb", 200_001)
    assert (spec.s3_location, spec.s3_endpoint_url) == (f"s3://bucket/studio/{ID}/", "http://localhost:8080")
    assert spec.credentials_url == "http://localhost:8080/_credentials"
    assert spec.origin == f"http://{ID.lower()}.workspace.localhost:8080"
    with world.database.read() as session:
        grant, role = find_grant(session, spec.credentials_token) or pytest.fail("the token is not good")
    assert (grant.owner, grant.session_name, role.arn) == (f"editor/{ID}", "ElasticMapReduceEditorsSession", ROLE)


def _set_key(world: Play, key: str | None) -> None:
    with world.database.write() as session:
        session.get_one(Studio, world.editor().studio_id).encryption_key_arn = key


def test_it_starts_with_the_studios_key_and_follows_it(world: Play) -> None:
    _set_key(world, "arn:first")
    world.start()
    spec = world.runtime.workloads[ID].spec
    assert isinstance(spec, WorkspaceSpec)
    assert (spec.kms_key_id, world.editor().encryption_key_arn) == ("arn:first", "arn:first")
    assert world.reconciler().changed() == []
    _set_key(world, "arn:second")
    assert world.reconciler().changed() == [ID]
    world.settle()
    assert world.runtime.workloads[ID].kms_key_id == "arn:second"
    assert (world.editor().encryption_key_arn, world.reconciler().changed()) == ("arn:second", [])
    with world.database.write() as session:
        session.delete(session.get_one(Studio, world.editor().studio_id))
    assert world.reconciler().changed() == []
    assert world.editor().encryption_key_arn == "arn:second"


def test_the_edge_is_told_the_address_only_while_it_runs(world: Play) -> None:
    def target() -> tuple[str, str]:
        with world.database.read() as session:
            found = edge_target(session, ID)
        assert found is not None
        return found.address, found.status

    assert target() == ("", "Starting")
    world.start()
    assert target() == (f"unix//run/{ID}/s.sock", "Ready")
    world.stop()
    assert target() == ("", "Stopping")
    with world.database.read() as session:
        assert edge_target(session, "e-NONE") is None


def test_a_slow_start_says_what_it_waits_for(world: Play) -> None:
    world.runtime.hold()
    assert world.reconciler().reconcile(ID) == 0.0
    editor = world.editor()
    assert (editor.status, editor.state_code, editor.state_message) == ("Starting", "STARTING", "starting")
    world.runtime.hold(False)
    world.start()
    assert world.editor().state_code is None


def test_a_start_that_fails_is_tried_again_and_then_idle_with_the_cause(world: Play) -> None:
    world.runtime.fail(Stage.START, times=MAX_CRASHES, reason="no space left on device")
    assert world.settle() == ["Starting", "Idle"]
    editor = world.editor()
    assert (editor.target, editor.state_code, editor.unsettled) == ("IDLE", "START_FAILED", False)
    assert "no space left on device. Last lines of its log" in (editor.state_message or "")
    assert "start it again" in (editor.state_message or "")
    assert [call for call, _ in world.runtime.calls].count("launch") == MAX_CRASHES
    assert world.grants() == []
    assert world.runtime.list() == []


def test_one_failed_start_is_not_the_end(world: Play) -> None:
    world.runtime.fail(Stage.START, reason="port in use")
    world.start()
    assert world.editor().state_code == "RESTARTED"
    assert len(world.grants()) == 1


def test_a_role_that_cannot_be_used_is_said_at_once(world: Play) -> None:
    with world.database.write() as session:
        role = entities.find_role_by_arn(session, ROLE)
        assert role is not None
        role.trust_policy = role.trust_policy.replace("elasticmapreduce.amazonaws.com", "ec2.amazonaws.com")
    assert world.settle() == ["Starting", "Idle"]
    editor = world.editor()
    assert editor.state_code == "SERVICE_ROLE"
    assert "entity does not have permissions to assume role" in (editor.state_message or "")
    assert ROLE in (editor.state_message or "")
    assert world.runtime.workloads == {}


@pytest.mark.parametrize("stage", [Stage.LAUNCH, Stage.LAUNCHED, Stage.OBSERVE])
def test_an_agent_that_is_away_is_waited_for(world: Play, stage: Stage) -> None:
    world.runtime.fail(stage, times=2)
    again = world.reconciler().reconcile(ID)
    assert again is not None
    assert again > 0
    assert world.editor().state_code == "HOST_UNAVAILABLE"
    world.start()
    editor = world.editor()
    assert (editor.state_code, editor.crashes) == (None, 0)
    assert len(world.runtime.workloads) == len(world.grants()) == 1


# Running.


def test_a_crashed_server_comes_back(world: Play) -> None:
    world.start()
    world.runtime.crash(ID)
    assert world.reconciler().changed() == [ID]
    assert world.settle() == ["Ready", "Starting", "Ready"]
    assert "killed by signal 9" in (world.editor().state_message or "")


def suffer(world: Play, cause: str, reason: str) -> None:
    workload = world.runtime.workloads[ID]
    workload.observation = replace(workload.observation, cause=cause, reason=reason)


def test_what_a_running_workspace_suffers_from_is_shown_and_what_is_over_is_not(world: Play) -> None:
    world.start()
    suffer(world, Cause.DISK_FULL, "The disk is full.")
    assert world.reconciler().changed() == [ID]
    world.settle()
    editor = world.editor()
    assert (editor.status, editor.state_code, editor.state_message) == ("Ready", "DISK_FULL", "The disk is full.")
    suffer(world, "", "")
    # Seen by a controller that was not there when it began.
    assert world.reconciler().changed() == [ID]
    world.settle()
    assert world.editor().state_code is None
    assert world.reconciler().changed() == []


def test_that_memory_ran_out_stays_known_and_is_noted_once(world: Play) -> None:
    world.start()
    suffer(world, Cause.OUT_OF_MEMORY, "A program was ended.")
    reconciler = world.reconciler()
    assert reconciler.changed() == [ID]
    reconciler.reconcile(ID)
    assert reconciler.changed() == []
    suffer(world, "", "")
    reconciler.reconcile(ID)
    assert world.editor().state_code == "OUT_OF_MEMORY"


def test_a_start_that_fails_for_a_known_cause_has_its_code_and_next_step(world: Play) -> None:
    world.start()
    for _ in range(MAX_CRASHES):
        suffer(world, Cause.OUT_OF_MEMORY, "It ran out of memory.")
        world.runtime.crash(ID, reason="It ran out of memory.")
        world.settle()
    editor = world.editor()
    assert (editor.status, editor.state_code) == ("Idle", "OUT_OF_MEMORY")
    assert "It ran out of memory." in (editor.state_message or "")
    assert "workspace_memory_mb" in (editor.state_message or "")


def test_it_is_launched_with_the_limits_of_the_settings(world: Play) -> None:
    world.start()
    spec = world.runtime.workloads[ID].spec
    assert (spec.limits.memory_bytes, spec.limits.disk_bytes) == (4096 * 1024**2, 10_240 * 1024**2)
    assert (spec.limits.cpus, spec.limits.pids) == (2.0, 1024)


def test_a_server_that_crashes_again_and_again_ends_idle(world: Play) -> None:
    world.start()
    for _ in range(MAX_CRASHES - 1):
        world.runtime.crash(ID)
        world.settle()
        assert world.editor().status == Status.READY
    world.runtime.crash(ID)
    world.settle()
    editor = world.editor()
    assert (editor.status, editor.state_code, editor.address) == ("Idle", "START_FAILED", "")
    assert world.grants() == []


def test_crashes_long_apart_do_not_add_up(world: Play) -> None:
    world.start()
    for _ in range(2 * MAX_CRASHES):
        world.clock.advance(3600)
        world.runtime.crash(ID)
        world.settle()
        assert world.editor().status == Status.READY


def test_a_workload_that_vanished_is_started_again(world: Play) -> None:
    world.start()
    world.runtime.workloads.clear()
    assert world.settle() == ["Ready", "Starting", "Ready"]


def test_nothing_is_pending_when_all_is_well(world: Play) -> None:
    reconciler = world.reconciler()
    assert reconciler.pending() == [ID]
    world.start()
    assert reconciler.pending() == []
    assert world.reconciler().changed() == []


# Stopping and deleting.


def test_stop_saves_and_ends(world: Play) -> None:
    world.start()
    world.change(open_by_user_id="AIDAX", open_by_name="ana")
    world.stop()
    assert world.settle() == ["Stopping", "Idle"]
    editor = world.editor()
    assert (editor.address, editor.open_by_user_id, editor.launched_at, editor.state_code) == ("", None, None, None)
    calls = [call for call, _ in world.runtime.calls]
    assert calls.index("stop") < calls.index("forget")
    assert world.grants() == []
    assert world.runtime.workloads == {}
    world.change(status=Status.STARTING, target=Target.READY)
    assert world.settle() == ["Starting", "Ready"]


def test_a_stop_that_cannot_save_stops_and_says_so(world: Play) -> None:
    world.start()
    world.stop()
    world.runtime.crash(ID, 0, "S3 does not have the last changes (they are kept on this host): no route")
    assert world.settle() == ["Stopping", "Idle"]
    editor = world.editor()
    assert (editor.state_code, editor.files_unsaved) == ("NOT_SAVED", True)
    assert "no route. The next start saves them." in (editor.state_message or "")
    world.change(status=Status.DELETING, target=Target.GONE)
    folder = world.settings.workspaces_dir / ID
    folder.mkdir(parents=True)
    world.settle()
    assert not world.exists()
    assert folder.exists(), "what is not in S3 must not be removed"


def test_a_server_that_should_not_run_is_stopped(world: Play) -> None:
    world.start()
    spec = world.runtime.workloads[ID].spec
    world.stop()
    world.settle()
    world.runtime.launch(spec)
    assert world.reconciler().changed() == [ID]
    world.settle()
    assert world.runtime.workloads == {}
    assert world.editor().status == Status.IDLE


def test_stop_while_starting(world: Play) -> None:
    world.runtime.hold()
    world.reconciler().reconcile(ID)
    world.stop()
    world.runtime.hold(False)
    assert world.settle() == ["Stopping", "Idle"]
    assert world.runtime.workloads == {}


def test_delete_removes_the_row_last(world: Play) -> None:
    world.start()
    folder = world.settings.workspaces_dir / ID
    folder.mkdir(parents=True)
    world.change(status=Status.DELETING, target=Target.GONE, address="")
    assert world.settle() == ["Deleting"]
    assert not world.exists()
    assert not folder.exists()
    assert world.grants() == []
    assert world.runtime.workloads == {}


def test_delete_waits_until_s3_has_everything(world: Play) -> None:
    world.start()
    world.runtime.fail(Stage.FLUSH, times=2, reason="S3 does not answer")
    world.change(status=Status.DELETING, target=Target.GONE, address="")
    assert world.reconciler().reconcile(ID)
    editor = world.editor()
    assert (editor.status, editor.state_message) == (
        "Deleting",
        "Waiting for the host: S3 does not answer; trying again.",
    )
    assert world.runtime.state(ID) is WorkloadState.RUNNING
    world.settle()
    assert not world.exists()


def test_delete_of_an_idle_workspace(world: Play) -> None:
    world.start()
    world.stop()
    world.settle()
    world.change(status=Status.DELETING, target=Target.GONE)
    world.settle()
    assert not world.exists()
    assert world.reconciler().reconcile(ID) is None


@pytest.mark.parametrize("stage", [Stage.OBSERVE, Stage.STOP])
def test_stop_waits_for_the_agent(world: Play, stage: Stage) -> None:
    world.start()
    world.runtime.fail(stage, times=3)
    world.stop()
    world.settle()
    assert world.editor().status == Status.IDLE


# What other rooms ask.


def test_only_the_holders_use_is_noted(world: Play) -> None:
    world.start()
    now = world.clock.now()
    world.change(open_by_user_id="AIDAX", open_by_name="ana", open_seen_at=now)

    def seen_after(user_id: str, seconds: float) -> dt.datetime | None:
        with world.database.read() as session:
            target = edge_target(session, ID)
        assert target is not None
        note_activity(world.database, target, user_id, now + dt.timedelta(seconds=seconds))
        return world.editor().open_seen_at

    assert seen_after("AIDAX", 10) == now
    assert seen_after("AIDAY", 60) == now
    assert seen_after("AIDAX", 60) == now + dt.timedelta(seconds=60)
    with world.database.read() as session:
        target = edge_target(session, ID)
    assert target is not None
    later = now + dt.timedelta(seconds=70)
    assert held_by_other(target, "AIDAX", later, 900) is None
    assert held_by_other(target, "AIDAY", later, 900) == "ana"
    assert held_by_other(target, "AIDAY", now + dt.timedelta(seconds=961), 900) is None


def test_owners(world: Play) -> None:
    reconciler = world.reconciler()
    assert reconciler.owner_exists(f"editor/{ID}") is True
    assert reconciler.owner_exists("editor/e-GONE") is False
    assert reconciler.owner_exists("j-1") is None


def test_kernels_are_told_of_their_workspace(world: Play) -> None:
    world.start()
    spec = world.runtime.workloads[ID].spec
    assert isinstance(spec, WorkspaceSpec)
    told = {name: value for name, value in spec.environment.items() if name.startswith("KERNEL_")}
    bucket, _, prefix = world.editor().s3_location.removeprefix("s3://").partition("/")
    assert told == {
        "KERNEL_WORKSPACE_ID": ID,
        "KERNEL_WORKSPACE_DIR_S3_BUCKET": bucket,
        "KERNEL_WORKSPACE_DIR_S3_PREFIX": prefix.rstrip("/"),
        "KERNEL_WORKSPACE_DIR_S3_LOCATION": world.editor().s3_location,
    }
