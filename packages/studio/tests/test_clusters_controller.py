"""The clusters' controller: from rows to running nodes and back to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.clusters.controller import BOOTSTRAP_SECONDS, MAX_RESTARTS, START_SECONDS
from emr_studio.clusters.model import gateway_of
from emr_studio.runtime.contract import ProcessSpec, WorkloadState
from emr_studio.runtime.inprocess import Stage
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

PROGRAMS = ("master", "gateway", "kernels", "connect", "livy", "worker")
ALL_STATES = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def kinds(play: ClusterPlay) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in play.running())


def test_a_cluster_goes_through_all_states(play: ClusterPlay) -> None:
    cluster_id = play.create(core=2)
    assert play.settle(cluster_id) == ALL_STATES
    assert kinds(play) == ["connect", "gateway", "kernels", "livy", "master", "worker", "worker"]
    described = play.describe(cluster_id)
    assert described["Status"]["StateChangeReason"] == {"Message": "Cluster ready to run steps."}
    assert "ReadyDateTime" in described["Status"]["Timeline"]
    assert {node.state for node in play.nodes(cluster_id)} == {"RUNNING"}
    primary = play.nodes(cluster_id)[0]
    assert described["MasterPublicDnsName"] == f"ip-{primary.private_ip.replace('.', '-')}.ec2.internal"
    with play.emr.database.read() as session:
        gateway = gateway_of(session, play.row(cluster_id))
    assert gateway.address == f"{primary.bind_ip}:18888"
    assert primary.bind_ip.startswith("127.31.")


def test_one_node_computes_by_itself(play: ClusterPlay) -> None:
    cluster_id = play.create(core=0)
    assert play.settle(cluster_id) == ALL_STATES
    assert kinds(play) == ["connect", "gateway", "kernels", "livy"]
    spec = play.runtime.workloads[play.workload(cluster_id, "connect")].spec
    assert isinstance(spec, ProcessSpec)
    (config,) = spec.files.values()
    assert json.loads(config)["local_mode"] is True


def test_the_gateway_alone_is_told_when_kernels_are_idle(play: ClusterPlay) -> None:
    culling = {"RemoteMappingKernelManager.cull_idle_timeout": "10800"}
    cluster_id = play.create(Configurations=[{"Classification": "jeg-config", "Properties": culling}])
    play.settle(cluster_id)
    told = {}
    for kind in ("gateway", "kernels"):
        spec = play.runtime.workloads[play.workload(cluster_id, kind)].spec
        assert isinstance(spec, ProcessSpec)
        (config,) = spec.files.values()
        told[kind] = json.loads(config)["jeg_config"]
    assert told == {"gateway": culling, "kernels": {}}


def test_workers_and_connect_come_after_the_master(play: ClusterPlay) -> None:
    cluster_id = play.create()
    while play.state(cluster_id) == "STARTING":
        assert not {"worker", "connect"} & set(kinds(play))
        play.turn(cluster_id)
    assert play.runtime.state(play.workload(cluster_id, "master")) is WorkloadState.RUNNING


def test_nodes_get_the_credentials_of_the_instance_profile(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    spec = play.runtime.workloads[play.workload(cluster_id, "worker")].spec
    assert isinstance(spec, ProcessSpec)
    assert spec.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:8080/_credentials"
    assert spec.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == play.row(cluster_id).role_token != ""
    assert spec.uid == 300_001
    assert spec.owner == f"cluster/{cluster_id}"
    # Secrets stand in the file that only the node's user can read.
    secret = play.row(cluster_id).secret
    assert secret not in " ".join((*spec.argv, *spec.environment.values()))
    assert secret in "".join(spec.files.values())


def test_termination_leaves_nothing(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    folder = play.emr.settings.clusters_dir / cluster_id
    folder.mkdir(parents=True)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    assert play.settle(cluster_id) == ["TERMINATING", "TERMINATED"]
    assert play.nothing_left()
    assert not play.runtime.workloads
    assert not folder.exists()
    assert play.describe(cluster_id)["Status"]["StateChangeReason"] == {
        "Code": "USER_REQUEST",
        "Message": "Terminated by user request",
    }
    assert {node.state for node in play.nodes(cluster_id)} == {"TERMINATED"}
    assert play.row(cluster_id).role_token == ""
    assert play.controller.owner_exists(f"cluster/{cluster_id}") is False


@pytest.mark.parametrize("turns", range(8))
def test_termination_at_any_moment_of_the_start(play: ClusterPlay, turns: int) -> None:
    cluster_id = play.create()
    for _ in range(turns):
        play.turn(cluster_id)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    assert play.nothing_left()


def test_a_controller_killed_after_every_turn_is_resumed(play: ClusterPlay) -> None:
    cluster_id = play.create()
    for _ in range(80):
        play.controller = play.new_controller()
        if play.turn(cluster_id) is None:
            break
    assert play.state(cluster_id) == "WAITING"
    launched = [name for call, name in play.runtime.calls if call == "launch"]
    assert len(launched) == len(set(launched)) == 7
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    for _ in range(80):
        play.controller = play.new_controller()
        if play.turn(cluster_id) is None:
            break
    assert play.state(cluster_id) == "TERMINATED"
    assert play.nothing_left()


@pytest.mark.parametrize("stage", [Stage.LAUNCH, Stage.LAUNCHED, Stage.OBSERVE])
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_agent_that_is_away_is_waited_for(play: ClusterPlay, stage: Stage, program: str) -> None:
    play.runtime.fail(stage, containing=f"/{program}", times=3)
    cluster_id = play.create()
    assert play.settle(cluster_id)[-1] == "WAITING"
    assert kinds(play) == ["connect", "gateway", "kernels", "livy", "master", "worker", "worker"]


def test_an_agent_that_is_away_delays_the_end(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    play.runtime.fail(Stage.STOP, times=4)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    assert play.nothing_left()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_cannot_start_ends_the_cluster_with_the_reason(play: ClusterPlay, program: str) -> None:
    play.runtime.fail(Stage.START, containing=f"/{program}", reason="Java was not found")
    cluster_id = play.create()
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    status = play.describe(cluster_id)["Status"]
    assert status["StateChangeReason"]["Code"] == ("INSTANCE_FAILURE" if program == "worker" else "BOOTSTRAP_FAILURE")
    assert "Java was not found" in status["StateChangeReason"]["Message"]
    assert status["ErrorDetails"][0]["ErrorData"] == [{"log": "Java was not found"}]
    assert "EndDateTime" in status["Timeline"]
    assert play.nothing_left()


@pytest.mark.parametrize(("held_from", "limit"), [("STARTING", START_SECONDS), ("BOOTSTRAPPING", BOOTSTRAP_SECONDS)])
def test_what_does_not_come_up_in_time_ends(play: ClusterPlay, held_from: str, limit: float) -> None:
    cluster_id = play.create()
    while play.state(cluster_id) != held_from:
        play.turn(cluster_id)
    play.runtime.hold()
    for _ in range(3):
        play.turn(cluster_id)
    play.emr.clock.advance(limit + 1)
    play.turn(cluster_id)
    play.runtime.hold(False)
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    assert f"not ready after {limit:.0f} seconds" in play.describe(cluster_id)["Status"]["StateChangeReason"]["Message"]
    assert play.nothing_left()


def test_a_gateway_that_does_not_answer_ends_the_cluster(play: ClusterPlay) -> None:
    play.probe.answers = False
    cluster_id = play.create()
    for _ in range(20):
        play.turn(cluster_id)
    assert play.state(cluster_id) == "BOOTSTRAPPING"
    play.emr.clock.advance(BOOTSTRAP_SECONDS + 1)
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"


def test_too_little_memory_is_said_before_anything_starts(play: ClusterPlay) -> None:
    play.probe.memory = 500
    cluster_id = play.create()
    assert play.settle(cluster_id) == ["TERMINATING", "TERMINATED_WITH_ERRORS"]
    reason = play.describe(cluster_id)["Status"]["StateChangeReason"]
    assert reason["Code"] == "INSTANCE_FAILURE"
    assert "too little memory" in reason["Message"]
    assert not play.runtime.calls
    assert play.nothing_left()


def test_a_role_that_is_gone_ends_the_cluster(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.emr.set_cluster(cluster_id, role_arn="arn:aws:iam::123456789012:role/Gone")
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    assert play.describe(cluster_id)["Status"]["StateChangeReason"]["Code"] == "VALIDATION_ERROR"
    assert play.nothing_left()


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_dies_is_started_again(play: ClusterPlay, program: str) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    assert play.controller.changed() == []
    play.runtime.crash(play.workload(cluster_id, program))
    assert play.controller.changed() == [cluster_id]
    assert play.settle(cluster_id) == ["WAITING"]
    assert kinds(play) == ["connect", "gateway", "kernels", "livy", "master", "worker", "worker"]


def test_what_dies_again_and_again_ends_the_cluster(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    for _ in range(MAX_RESTARTS):
        play.runtime.crash(play.workload(cluster_id, "connect"))
        assert play.settle(cluster_id) == ["WAITING"]
    play.runtime.crash(play.workload(cluster_id, "connect"))
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    message = play.describe(cluster_id)["Status"]["StateChangeReason"]["Message"]
    assert "the Spark Connect server ended 6 times in 10 minutes" in message
    assert play.nothing_left()


def test_old_deaths_are_forgiven(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    for _ in range(3 * MAX_RESTARTS):
        play.emr.clock.advance(300)
        play.runtime.crash(play.workload(cluster_id, "worker"))
        assert play.settle(cluster_id) == ["WAITING"]


def test_a_cluster_that_is_not_kept_alive_ends_by_itself(play: ClusterPlay) -> None:
    cluster_id = play.create(Instances={"KeepJobFlowAliveWhenNoSteps": False})
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    reason = play.describe(cluster_id)["Status"]["StateChangeReason"]
    assert reason == {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed"}
    assert play.nothing_left()


def test_what_is_pending_and_who_owns(play: ClusterPlay) -> None:
    cluster_id = play.create()
    assert play.controller.pending() == [cluster_id]
    assert play.controller.owner_exists(f"cluster/{cluster_id}") is True
    assert play.controller.owner_exists("cluster/j-NONE") is False
    assert play.controller.owner_exists("editor/e-1") is None
    play.settle(cluster_id)
    assert play.controller.pending() == []
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    assert play.controller.pending() == [cluster_id]
    play.settle(cluster_id)
    assert play.controller.pending() == []
    assert play.turn(cluster_id) is None
    assert play.turn("j-NONE") is None


def test_clusters_do_not_share_addresses_or_users(play: ClusterPlay) -> None:
    # In the order in which they get their turn: made at the same (fake) time, by their ids.
    made = sorted(play.create() for _ in range(3))
    for cluster_id in made:
        play.settle(cluster_id)
    addresses = [node.bind_ip for cluster_id in made for node in play.nodes(cluster_id)]
    assert len(set(addresses)) == 9
    assert len({play.row(cluster_id).uid for cluster_id in made}) == 3
    play.emr.call("TerminateJobFlows", JobFlowIds=[made[0]])
    play.settle(made[0])
    assert len(play.running()) == 14
