"""The Workspaces' controller killed at every step of a start and of an end, or overtaken by a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.iam.services import find_grant
from emr_studio.runtime.contract import WorkspaceSpec
from emr_studio.workspaces import controller
from emr_studio.workspaces.model import Status, Target
from tests.support.controller_play import ID, Play, controller_play


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Play]:
    with controller_play(tmp_path) as made:
        yield made


class Killed(BaseException):
    """Stands for kill -9: no handler of the controller catches it."""


def kill_at(world: Play, patch: pytest.MonkeyPatch, call: str, before: bool) -> None:
    """Let the runtime's `call`, or the controller's own, die once, before or after it did its work."""
    owner: Any = world.runtime if hasattr(world.runtime, call) else controller
    real, left = getattr(owner, call), [1]

    def dying(*args: Any, **kwargs: Any) -> Any:
        dies = left[0] > 0
        left[0] = 0
        if dies and before:
            raise Killed
        result = real(*args, **kwargs)
        if dies:
            raise Killed
        return result

    patch.setattr(owner, call, dying)


def settle_killed(world: Play) -> None:
    for _ in range(4):
        try:
            world.settle()
        except Killed:
            continue
        return


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("call", ["observe", "launch", "wait", "grant_service_role", "end_grants"])
def test_a_kill_anywhere_in_a_start_is_made_good(
    world: Play, monkeypatch: pytest.MonkeyPatch, call: str, before: bool
) -> None:
    kill_at(world, monkeypatch, call, before)
    settle_killed(world)
    world.start()
    assert len(world.runtime.workloads) == 1
    assert len(world.grants()) == 1
    spec = world.runtime.workloads[ID].spec
    assert isinstance(spec, WorkspaceSpec)
    with world.database.read() as session:
        assert find_grant(session, spec.credentials_token) is not None


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("call", ["observe", "stop", "wait", "forget", "end_grants"])
@pytest.mark.parametrize("target", [Target.IDLE, Target.GONE])
def test_a_kill_anywhere_in_an_end_is_made_good(
    world: Play, monkeypatch: pytest.MonkeyPatch, call: str, before: bool, target: Target
) -> None:
    world.start()
    kill_at(world, monkeypatch, call, before)
    world.change(status=Status.STOPPING if target is Target.IDLE else Status.DELETING, target=target, address="")
    settle_killed(world)
    world.settle()
    assert world.grants() == []
    assert world.runtime.workloads == {}
    assert not world.exists() if target is Target.GONE else world.editor().status == Status.IDLE


def test_a_request_in_the_middle_of_a_turn_wins(world: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    real = world.runtime.wait

    def wait_while_the_user_stops(*args: Any) -> Any:
        monkeypatch.setattr(world.runtime, "wait", real)
        seen = real(*args)
        world.stop()
        return seen

    monkeypatch.setattr(world.runtime, "wait", wait_while_the_user_stops)
    assert world.reconciler().reconcile(ID) == 0.0
    assert world.editor().status == Status.STOPPING
    assert world.settle() == ["Stopping", "Idle"]
