"""Repositories linked with Workspaces: statuses, the limit, stops that are refused, what a kill leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emr_studio.runtime.contract import Activity, GitProgress
from emr_studio.runtime.inprocess import InProcessRuntime, Stage
from emr_studio.workspaces.repositories.controller import RepositoryReconciler
from emr_studio.workspaces.repositories.model import RepositoryLink
from tests.support.emr_world import emr_world
from tests.support.workspace_play import Play

DONE, WORKING = GitProgress("done"), GitProgress("working")


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        made = Play(emr, InProcessRuntime(), emr.studio())
        for name in ("one", "two", "three", "four"):
            members = {"GitUrl": f"https://git.example.com/{name}.git", "Branch": "main"}
            made.call("CreateRepository", RepositoryName=name, **members)
        yield made


def link(play: Play, editor_id: str, name: str = "one") -> None:
    play.call("LinkRepository", EditorId=editor_id, RepositoryName=name)


def unlink(play: Play, editor_id: str, name: str = "one") -> None:
    play.call("UnlinkRepository", EditorId=editor_id, RepositoryName=name)


def links(play: Play, editor_id: str) -> dict[str, str]:
    return {found["RepositoryName"]: found["Status"] for found in _repositories(play, editor_id)}


def reason(play: Play, editor_id: str) -> str:
    found: str = _repositories(play, editor_id)[0].get("StateChangeReason", "")
    return found


def _repositories(play: Play, editor_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = play.describe(editor_id).get("Repositories", [])
    return found


def look(play: Play, says: GitProgress | None) -> list[float | None]:
    """One look at all links by a controller that knows nothing but what was saved."""
    play.runtime.git_says = says
    controller = RepositoryReconciler(play.emr.database, play.emr.clock, play.runtime)
    return [controller.reconcile(link_id) for link_id in controller.pending()]


def linked(play: Play, editor_id: str, name: str = "one") -> None:
    link(play, editor_id, name)
    look(play, DONE)


@pytest.mark.capability("GT-03", "GT-04")
def test_linking_linked_unlinking_gone(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    assert links(play, editor_id) == {"one": "Linking"}
    assert look(play, WORKING) != [None]
    assert links(play, editor_id) == {"one": "Linking"}
    assert look(play, DONE) == [None]
    assert links(play, editor_id) == {"one": "Linked"}
    unlink(play, editor_id)
    assert links(play, editor_id) == {"one": "Unlinking"}
    look(play, DONE)
    assert links(play, editor_id) == {}
    works = [(work.link, work.name, work.url, work.branch) for _, work in play.runtime.git_works]
    assert works[-1] == (False, "one", "https://git.example.com/one.git", "main")
    # A user's two requests are two attempts; looks at one of them are not.
    assert len({work.attempt for _, work in play.runtime.git_works}) == 2


@pytest.mark.capability("GT-04")
def test_failures_tell_why_and_can_be_tried_again(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    look(play, GitProgress("failed", "The branch 'main' does not exist."))
    assert links(play, editor_id) == {"one": "LinkFailed"}
    assert reason(play, editor_id) == "The branch 'main' does not exist."
    play.emr.clock.advance(1)
    linked(play, editor_id)
    assert (links(play, editor_id), reason(play, editor_id)) == ({"one": "Linked"}, "")
    unlink(play, editor_id)
    look(play, GitProgress("failed", "could not lock config file"))
    assert links(play, editor_id) == {"one": "UnlinkFailed"}
    assert reason(play, editor_id) == "could not lock config file"
    assert "unlink it everywhere" in play.refused("DeleteRepository", RepositoryName="one")
    play.emr.clock.advance(1)
    unlink(play, editor_id)
    look(play, DONE)
    assert links(play, editor_id) == {}


@pytest.mark.capability("GT-03")
def test_a_fourth_is_refused_until_one_is_unlinked(play: Play) -> None:
    editor_id = play.ready()
    for name in ("one", "two", "three"):
        linked(play, editor_id, name)
    refused = play.refused("LinkRepository", EditorId=editor_id, RepositoryName="four")
    assert refused == "At most 3 repositories can be linked with a Workspace. Unlink one first."
    unlink(play, editor_id, "two")
    assert "At most 3" in play.refused("LinkRepository", EditorId=editor_id, RepositoryName="four")
    look(play, DONE)
    linked(play, editor_id, "four")
    assert links(play, editor_id) == dict.fromkeys(("four", "one", "three"), "Linked")
    other = play.ready(Name="other")
    linked(play, other, "one")


def test_a_failed_link_neither_counts_nor_holds(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id, "four")
    look(play, GitProgress("failed", "no"))
    for name in ("one", "two", "three"):
        linked(play, editor_id, name)
    assert "At most 3" in play.refused("LinkRepository", EditorId=editor_id, RepositoryName="four")
    unlink(play, editor_id, "four")
    assert "four" not in links(play, editor_id)
    play.call("DeleteRepository", RepositoryName="four")


@pytest.mark.capability("GT-06")
def test_a_workspace_is_not_stopped_meanwhile(play: Play) -> None:
    play.emr.settings = play.emr.settings.model_copy(update={"workspace_idle_seconds": 3600})
    editor_id = play.ready()
    play.runtime.workloads[editor_id].activity = Activity(False, 10_000)
    for begin in (link, unlink):
        begin(play, editor_id)
        refused = play.refused("StopEditor", EditorId=editor_id)
        assert "cannot be stopped while a repository is being linked or unlinked" in refused
        for _ in range(120):
            play.emr.clock.advance(60)
            reconciler = play.reconciler()
            for due in reconciler.pending():
                reconciler.reconcile(due)
        assert play.status(editor_id) == "Ready"
        if begin is link:
            with play.emr.database.write() as session:
                session.scalars(select(RepositoryLink)).one().asked_at = play.emr.clock.now()
            look(play, DONE)
    look(play, DONE)
    play.call("StopEditor", EditorId=editor_id)
    assert play.settle(editor_id)[-1] == "Idle"


def test_what_is_under_way_is_not_asked_for_again(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    for operation in ("LinkRepository", "UnlinkRepository"):
        assert "is Linking" in play.refused(operation, EditorId=editor_id, RepositoryName="one")
    look(play, DONE)
    assert "is Linked" in play.refused("LinkRepository", EditorId=editor_id, RepositoryName="one")
    assert "is not linked" in play.refused("UnlinkRepository", EditorId=editor_id, RepositoryName="two")


@pytest.mark.capability("GT-04")
def test_a_workspace_that_is_killed_is_asked_anew_when_it_is_back(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    look(play, WORKING)
    play.runtime.crash(editor_id)
    play.reconciler().reconcile(editor_id)
    assert play.status(editor_id) == "Starting"
    asked = len(play.runtime.git_works)
    assert look(play, DONE) == [1.0]
    assert (links(play, editor_id), len(play.runtime.git_works)) == ({"one": "Linking"}, asked)
    play.emr.clock.advance(60)
    play.settle(editor_id)
    assert play.status(editor_id) == "Ready"
    look(play, DONE)
    assert links(play, editor_id) == {"one": "Linked"}


@pytest.mark.capability("GT-04")
def test_a_workspace_that_does_not_come_back_leaves_a_failed_link(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    for _ in range(3):
        play.runtime.crash(editor_id)
        play.settle(editor_id)
    assert play.status(editor_id) == "Idle"
    look(play, WORKING)
    assert links(play, editor_id) == {"one": "LinkFailed"}
    assert "was stopped meanwhile" in reason(play, editor_id)


@pytest.mark.parametrize("stage", [None, Stage.GIT])
def test_a_server_that_never_answers_is_not_waited_for_for_ever(play: Play, stage: Stage | None) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    if stage is not None:
        play.runtime.fail(stage, times=10_000)
    play.runtime.git_says = None
    controller = RepositoryReconciler(play.emr.database, play.emr.clock, play.runtime)
    looks = 0
    while due := controller.pending():
        play.emr.clock.advance(controller.reconcile(due[0]) or 0)
        looks += 1
        assert looks < 1000
    assert links(play, editor_id) == {"one": "LinkFailed"}
    assert "does not answer" in reason(play, editor_id)


def test_a_clone_that_never_ends_is_given_up(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    play.emr.clock.advance(3 * 3600)
    look(play, WORKING)
    assert links(play, editor_id) == {"one": "LinkFailed"}


@pytest.mark.capability("GT-05")
def test_a_stopped_workspace_stays_linked_and_is_unlinked_at_once(play: Play) -> None:
    editor_id = play.ready()
    linked(play, editor_id)
    assert "to link a repository it must be" in _stopped(play, editor_id)
    assert links(play, editor_id) == {"one": "Linked"}
    unlink(play, editor_id)
    assert links(play, editor_id) == {}


def _stopped(play: Play, editor_id: str) -> str:
    play.call("StopEditor", EditorId=editor_id)
    play.settle(editor_id)
    return play.refused("LinkRepository", EditorId=editor_id, RepositoryName="two")


def test_a_workspace_that_is_deleted_takes_its_links_along(play: Play) -> None:
    editor_id = play.ready()
    link(play, editor_id)
    play.call("DeleteEditor", EditorId=editor_id)
    play.settle(editor_id)
    assert look(play, DONE) == []
    play.call("DeleteRepository", RepositoryName="one")


def test_who_is_kept_out_of_a_private_workspace_links_nothing(play: Play) -> None:
    ana, ben = play.emr.user("ana"), play.emr.user("ben")
    editor_id = play.ready(ana, CollaborationEnabled=True)
    for operation in ("LinkRepository", "UnlinkRepository"):
        with pytest.raises(Exception, match="neither owner nor collaborator"):
            play.call(operation, ben, EditorId=editor_id, RepositoryName="one")
    play.call("LinkRepository", ana, EditorId=editor_id, RepositoryName="one")
