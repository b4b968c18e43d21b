"""Whose turn it is to start: in order, few at a time, and never more than the machine has memory for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.clusters.admission import AT_ONCE, QUEUED
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

ACTION = {"Name": "a", "ScriptBootstrapAction": {"Path": "s3://scripts/a.sh"}}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def created(play: ClusterPlay, count: int) -> list[str]:
    """Clusters, in the order in which they were asked for."""
    made = []
    for _ in range(count):
        made.append(play.create(core=0))
        play.emr.clock.advance(1)
    return made


def starting(play: ClusterPlay, made: list[str]) -> list[str]:
    """Those of them that have addresses after a turn of each."""
    for cluster_id in reversed(made):
        play.turn(cluster_id)
    return [one for one in made if play.nodes(one)[0].bind_ip]


def reason(play: ClusterPlay, cluster_id: str) -> str:
    return str(play.describe(cluster_id)["Status"]["StateChangeReason"].get("Message", ""))


def test_few_start_at_a_time_in_order(play: ClusterPlay) -> None:
    made = created(play, AT_ONCE + 2)
    assert starting(play, made) == made[:AT_ONCE]
    assert [reason(play, one) for one in made[AT_ONCE:]] == [
        f"{QUEUED}: {AT_ONCE} before it.",
        f"{QUEUED}: {AT_ONCE + 1} before it.",
    ]
    play.settle(made[0])
    assert starting(play, made[1:]) == made[1 : AT_ONCE + 1]
    assert reason(play, made[AT_ONCE]) == ""


def test_all_that_wait_come_up(play: ClusterPlay) -> None:
    made = created(play, 2 * AT_ONCE + 1)
    for cluster_id in made:
        assert play.settle(cluster_id)[-1] == "WAITING"


def test_one_that_ends_makes_room(play: ClusterPlay) -> None:
    made = created(play, AT_ONCE + 2)
    starting(play, made)
    # One that starts and one that waits.
    play.emr.call("TerminateJobFlows", JobFlowIds=[made[0], made[AT_ONCE]])
    assert starting(play, [made[-1]]) == [made[-1]]
    assert play.settle(made[AT_ONCE])[-1] == "TERMINATED"


def test_bootstrap_actions_hold_no_place(play: ClusterPlay) -> None:
    slow = [play.create(core=0, BootstrapActions=[ACTION]) for _ in range(AT_ONCE)]
    play.emr.clock.advance(1)
    for cluster_id in slow:
        while play.state(cluster_id) == "STARTING":
            play.turn(cluster_id)
    assert starting(play, created(play, 1))


def test_the_time_in_the_queue_is_not_that_of_the_start(play: ClusterPlay) -> None:
    made = created(play, AT_ONCE + 1)
    starting(play, made)
    play.emr.clock.advance(3600)
    for cluster_id in made[:AT_ONCE]:
        play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
        play.settle(cluster_id)
    assert play.settle(made[-1])[-1] == "WAITING"


def test_memory_that_others_will_take_is_not_free(play: ClusterPlay) -> None:
    made = created(play, 2)
    # Enough for one of them alone.
    play.probe.memory = 2000
    assert starting(play, made) == made[:1]
    assert "may need the memory" in reason(play, made[1])
    play.settle(made[0])
    assert play.settle(made[1])[-1] == "WAITING"
