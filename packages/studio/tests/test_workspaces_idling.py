"""Workspaces are stopped when nothing was at work in them for long, after a warning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.runtime.contract import Activity
from emr_studio.runtime.inprocess import InProcessRuntime, Stage
from tests.support.emr_world import emr_world
from tests.support.workspace_play import Play, engine

LIMIT = 3600
WARNING = 600


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        emr.settings = emr.settings.model_copy(update={"workspace_idle_seconds": LIMIT})
        yield Play(emr, InProcessRuntime(), emr.studio())


def says(play: Play, editor_id: str, activity: Activity | None) -> None:
    play.runtime.workloads[editor_id].activity = activity


def pass_time(play: Play, editor_id: str, seconds: int, *, idle: bool = True) -> None:
    """Minute by minute; a new controller takes each look, as if the one before had been killed."""
    for _ in range(seconds // 60):
        play.emr.clock.advance(60)
        if idle and editor_id in play.runtime.workloads:
            before = play.runtime.workloads[editor_id].activity or Activity(False)
            says(play, editor_id, Activity(False, before.idle_seconds + 60))
        controller = play.reconciler()
        for due in controller.pending():
            controller.reconcile(due)


def quiet(play: Play, **request: object) -> str:
    editor_id = play.ready(**request)
    says(play, editor_id, Activity(False, 0))
    return editor_id


@pytest.mark.capability("WS-09")
def test_warned_then_stopped_with_its_files_saved(play: Play) -> None:
    editor_id = quiet(play)
    began = play.emr.clock.now()
    pass_time(play, editor_id, LIMIT - WARNING - 60)
    assert "IdleStopTime" not in play.describe(editor_id)
    pass_time(play, editor_id, 60)
    described = play.describe(editor_id)
    assert (described["Status"], described["IdleTimeoutSeconds"]) == ("Ready", LIMIT)
    assert described["IdleStopTime"] == began + dt.timedelta(seconds=LIMIT)
    assert described["LastActivityTime"] <= began
    pass_time(play, editor_id, WARNING - 60)
    assert play.status(editor_id) == "Ready"
    pass_time(play, editor_id, 60)
    assert play.settle(editor_id)[-1] == "Idle"
    described = play.describe(editor_id)
    assert described["StateChangeReason"]["Code"] == "IDLE_TIMEOUT"
    assert "after 60 minutes without activity" in described["StateChangeReason"]["Message"]
    assert "IdleStopTime" not in described
    assert ("stop", editor_id) in play.runtime.calls
    play.call("StartEditor", EditorId=editor_id)
    play.settle(editor_id)
    assert "StateChangeReason" not in play.describe(editor_id)
    pass_time(play, editor_id, 1800)
    assert play.status(editor_id) == "Ready", "its time begins anew"


@pytest.mark.capability("WS-09")
def test_what_runs_keeps_it(play: Play) -> None:
    editor_id = quiet(play)
    says(play, editor_id, Activity(True))
    pass_time(play, editor_id, 3 * LIMIT, idle=False)
    assert play.status(editor_id) == "Ready"
    assert "IdleStopTime" not in play.describe(editor_id)


def test_a_sign_of_life_withdraws_the_warning(play: Play) -> None:
    editor_id = quiet(play)
    pass_time(play, editor_id, LIMIT - 120)
    assert "IdleStopTime" in play.describe(editor_id)
    says(play, editor_id, Activity(False, 0))
    pass_time(play, editor_id, 60)
    assert "IdleStopTime" not in play.describe(editor_id)
    pass_time(play, editor_id, LIMIT - 180)
    assert play.status(editor_id) == "Ready"


def test_who_opens_it_gets_the_whole_time(play: Play) -> None:
    editor_id = quiet(play)
    pass_time(play, editor_id, LIMIT - 60)
    play.call("OpenEditorInConsole", EditorId=editor_id)
    assert "IdleStopTime" not in play.describe(editor_id)
    pass_time(play, editor_id, LIMIT - 60)
    assert play.status(editor_id) == "Ready", "though its kernels have been idle for long"
    pass_time(play, editor_id, 120)
    assert play.settle(editor_id)[-1] == "Idle"


def test_no_controller_for_a_day_and_still_a_warning(play: Play) -> None:
    editor_id = quiet(play)
    play.emr.clock.advance(86_400)
    says(play, editor_id, Activity(False, 86_400))
    play.reconciler().reconcile(editor_id)
    assert play.status(editor_id) == "Ready"
    assert play.describe(editor_id)["IdleStopTime"] == play.emr.clock.now() + dt.timedelta(seconds=WARNING)
    pass_time(play, editor_id, WARNING)
    assert play.settle(editor_id)[-1] == "Idle"


def test_one_that_says_nothing_is_never_stopped(play: Play) -> None:
    editor_id = quiet(play)
    says(play, editor_id, None)
    pass_time(play, editor_id, 2 * LIMIT, idle=False)
    assert play.status(editor_id) == "Ready"
    play.runtime.fail(Stage.OBSERVE, times=1000)
    pass_time(play, editor_id, 600, idle=False)
    assert play.status(editor_id) == "Ready"


def test_an_attached_one_is_stopped_too(play: Play) -> None:
    editor_id = quiet(play)
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(play.emr.cluster()))
    play.settle(editor_id)
    pass_time(play, editor_id, LIMIT + 120)
    assert play.settle(editor_id)[-1] == "Idle"
    assert "ExecutionEngine" not in play.describe(editor_id)


def test_each_has_its_own_limit(play: Play) -> None:
    editor_id, never = quiet(play), quiet(play)
    play.call("UpdateEditor", EditorId=editor_id, IdleTimeoutSeconds=600)
    play.call("UpdateEditor", EditorId=never, IdleTimeoutSeconds=0)
    says(play, never, Activity(False, 10**6))
    pass_time(play, editor_id, 720)
    assert play.settle(editor_id)[-1] == "Idle"
    pass_time(play, editor_id, 2 * LIMIT)
    assert play.status(never) == "Ready"
    for wrong in (-1, 1, 59, 604_801):
        refusal = play.refused("UpdateEditor", EditorId=never, IdleTimeoutSeconds=wrong)
        assert "between 60 and 604800" in refusal


def test_a_longer_limit_withdraws_the_warning(play: Play) -> None:
    editor_id = quiet(play)
    pass_time(play, editor_id, LIMIT - 60)
    assert "IdleStopTime" in play.describe(editor_id)
    play.call("UpdateEditor", EditorId=editor_id, IdleTimeoutSeconds=2 * LIMIT)
    pass_time(play, editor_id, 120)
    assert play.status(editor_id) == "Ready"
    assert "IdleStopTime" not in play.describe(editor_id)
