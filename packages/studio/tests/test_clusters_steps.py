"""Steps and bootstrap actions: what requests may say, and what the controller makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.controller import ACTIONS_SECONDS, BOOTSTRAP_SECONDS
from emr_studio.clusters.results import RESULT_FILE, read_result
from emr_studio.clusters.steps.reading import MOST_UNFINISHED
from emr_studio.runtime.contract import ProcessSpec
from emr_studio.runtime.inprocess import Stage
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

CONTINUE = {"ActionOnFailure": "CONTINUE"}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def step(name: str = "count", **changes: Any) -> dict[str, Any]:
    jar = {"Jar": "command-runner.jar", "Args": ["spark-submit", "s3://b/count.py"]}
    return {"Name": name, "HadoopJarStep": jar} | changes


class Steps:
    """The steps of one cluster."""

    def __init__(self, play: ClusterPlay, cluster_id: str) -> None:
        self.play = play
        self.cluster_id = cluster_id

    def add(self, *steps: dict[str, Any]) -> list[str]:
        answer = self.play.emr.call("AddJobFlowSteps", JobFlowId=self.cluster_id, Steps=list(steps))
        return [str(step_id) for step_id in answer["StepIds"]]

    def states(self) -> list[str]:
        """Oldest first."""
        found = self.play.emr.call("ListSteps", ClusterId=self.cluster_id)["Steps"]
        return [str(one["Status"]["State"]) for one in reversed(found)]

    def describe(self, step_id: str) -> dict[str, Any]:
        return dict(self.play.emr.call("DescribeStep", ClusterId=self.cluster_id, StepId=step_id)["Step"])

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            self.play.turn(self.cluster_id)

    def end(self, step_id: str, exit_code: int = 0, **result: Any) -> None:
        """The step's program ends, having left its result."""
        folder = self.play.emr.settings.clusters_dir / self.cluster_id / "steps" / step_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT_FILE).write_text(json.dumps({"exit_code": exit_code} | result))
        self.play.runtime.crash(f"{self.cluster_id}/{step_id}/step", exit_code=exit_code)
        self.turn()

    def running(self) -> list[str]:
        return [name.split("/")[1] for name in self.play.running() if name.endswith("/step")]


@pytest.fixture
def steps(play: ClusterPlay) -> Steps:
    cluster_id = play.create()
    play.settle(cluster_id)
    return Steps(play, cluster_id)


def test_steps_run_one_after_the_other(play: ClusterPlay, steps: Steps) -> None:
    first, second = steps.add(step("one"), step("two"))
    steps.turn()
    assert steps.states() == ["RUNNING", "PENDING"]
    assert play.state(steps.cluster_id) == "RUNNING"
    assert steps.running() == [first]
    steps.end(first)
    assert steps.states() == ["COMPLETED", "RUNNING"]
    steps.end(second)
    assert steps.states() == ["COMPLETED", "COMPLETED"]
    assert play.settle(steps.cluster_id)[-1] == "WAITING"
    timeline = steps.describe(second)["Status"]["Timeline"]
    assert timeline["CreationDateTime"] <= timeline["StartDateTime"] <= timeline["EndDateTime"]
    assert not [name for name in play.runtime.workloads if name.endswith("/step")]


def test_what_a_step_is_told(play: ClusterPlay) -> None:
    jar = {"Jar": "s3://b/p.jar", "MainClass": "a.B", "Args": ["x"], "Properties": [{"Key": "k", "Value": "v"}]}
    cluster_id = play.create(LogUri="s3://b/logs/")
    play.settle(cluster_id)
    steps = Steps(play, cluster_id)
    (step_id,) = steps.add(step(HadoopJarStep=jar))
    steps.turn()
    spec = play.runtime.workloads[f"{cluster_id}/{step_id}/step"].spec
    assert isinstance(spec, ProcessSpec)
    assert spec.argv[1:3] == ("-m", "emr_studio_cluster.step")
    assert spec.uid == play.row(cluster_id).uid
    told = json.loads(spec.files[f"steps/{step_id}/task.json"])
    assert told == {
        "jar": "s3://b/p.jar",
        "main_class": "a.B",
        "arguments": ["x"],
        "properties": {"k": "v"},
        "log_uri": f"s3://b/logs/{cluster_id}/steps/{step_id}",
    }
    config = {"Jar": "s3://b/p.jar", "Properties": {"k": "v"}, "MainClass": "a.B", "Args": ["x"]}
    assert steps.describe(step_id)["Config"] == config


def test_steps_of_run_job_flow_come_first_and_the_cluster_ends_with_the_last(play: ClusterPlay) -> None:
    instances = {"KeepJobFlowAliveWhenNoSteps": False}
    cluster_id = play.create(Instances=instances, Steps=[step("one"), step("two")])
    steps = Steps(play, cluster_id)
    while not steps.running():
        steps.turn(1)
    for _ in range(2):
        steps.end(steps.running()[0])
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    assert play.describe(cluster_id)["Status"]["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"
    assert steps.states() == ["COMPLETED", "COMPLETED"]
    assert play.nothing_left()


def test_a_failed_step_ends_the_cluster_unless_told_otherwise(play: ClusterPlay, steps: Steps) -> None:
    first, _second = steps.add(step("load"), step("sum"))
    steps.turn()
    steps.end(first, 1, message="ValueError: no data", reason="Unknown Error.", lines=["Traceback", "ValueError"])
    assert play.settle(steps.cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    reason = play.describe(steps.cluster_id)["Status"]["StateChangeReason"]
    assert reason == {"Code": "STEP_FAILURE", "Message": "Shut down as step failed: load"}
    assert steps.states() == ["FAILED", "CANCELLED"]
    assert steps.describe(first)["Status"]["FailureDetails"] == {
        "Reason": "Unknown Error.",
        "Message": "ValueError: no data",
    }
    assert play.nothing_left()


def test_cancel_and_wait(play: ClusterPlay, steps: Steps) -> None:
    first, second = steps.add(step(ActionOnFailure="CANCEL_AND_WAIT"), step())
    steps.turn()
    steps.end(first, 3)
    assert steps.states() == ["FAILED", "CANCELLED"]
    assert steps.describe(second)["Status"]["StateChangeReason"] == {"Message": "Cancelled because another step failed"}
    assert play.settle(steps.cluster_id)[-1] == "WAITING"


def test_continue(play: ClusterPlay, steps: Steps) -> None:
    first, second = steps.add(step(**CONTINUE), step(**CONTINUE))
    steps.turn()
    steps.end(first, 3)
    assert steps.states() == ["FAILED", "RUNNING"]
    steps.end(second)
    assert play.settle(steps.cluster_id)[-1] == "WAITING"


def test_several_at_a_time(play: ClusterPlay) -> None:
    cluster_id = play.create(StepConcurrencyLevel=2)
    play.settle(cluster_id)
    steps = Steps(play, cluster_id)
    first, *_ = steps.add(*[step(**CONTINUE)] * 3)
    steps.turn()
    assert steps.states() == ["RUNNING", "RUNNING", "PENDING"]
    steps.end(first)
    assert steps.states() == ["COMPLETED", "RUNNING", "RUNNING"]
    code, message = play.refused("AddJobFlowSteps", JobFlowId=cluster_id, Steps=[step()])
    assert (code, "ActionOnFailure TERMINATE_CLUSTER is not valid" in message) == ("ValidationException", True)


def test_cancelling(play: ClusterPlay, steps: Steps) -> None:
    running, waiting = steps.add(step(**CONTINUE), step(**CONTINUE))
    steps.turn()
    wanted = [running, waiting, "s-NONE"]
    answers = play.emr.call("CancelSteps", ClusterId=steps.cluster_id, StepIds=wanted)["CancelStepsInfoList"]
    assert [answer["Status"] for answer in answers] == ["SUBMITTED", "SUBMITTED", "FAILED"]
    assert steps.states() == ["CANCEL_PENDING", "CANCELLED"]
    play.settle(steps.cluster_id)
    assert steps.states() == ["CANCELLED", "CANCELLED"]
    assert play.runtime.graces[f"{steps.cluster_id}/{running}/step"] == 10
    (answer,) = play.emr.call("CancelSteps", ClusterId=steps.cluster_id, StepIds=[running])["CancelStepsInfoList"]
    assert answer == {
        "StepId": running,
        "Status": "FAILED",
        "Reason": f"Cannot cancel step {running} because it is CANCELLED.",
    }


def test_cancelling_by_force(play: ClusterPlay, steps: Steps) -> None:
    (running,) = steps.add(step(**CONTINUE))
    steps.turn()
    play.emr.call(
        "CancelSteps", ClusterId=steps.cluster_id, StepIds=[running], StepCancellationOption="TERMINATE_PROCESS"
    )
    play.settle(steps.cluster_id)
    assert steps.states() == ["CANCELLED"]
    assert play.runtime.graces[f"{steps.cluster_id}/{running}/step"] == 0


def test_the_cluster_ends_under_its_steps(play: ClusterPlay, steps: Steps) -> None:
    steps.add(step(), step())
    steps.turn()
    play.emr.call("TerminateJobFlows", JobFlowIds=[steps.cluster_id])
    play.settle(steps.cluster_id)
    assert steps.states() == ["INTERRUPTED", "CANCELLED"]
    assert play.nothing_left()
    refused = play.refused("AddJobFlowSteps", JobFlowId=steps.cluster_id, Steps=[step()])
    assert refused[0] == "ValidationException"
    assert "shutting down, terminating, or finished" in refused[1]


@pytest.mark.parametrize("turns", range(6))
def test_a_controller_killed_at_any_step_starts_each_once(play: ClusterPlay, steps: Steps, turns: int) -> None:
    (step_id,) = steps.add(step(**CONTINUE))
    play.runtime.fail(Stage.LAUNCHED, "/step")
    for _ in range(turns):
        play.controller = play.new_controller()
        try:
            steps.turn(1)
        except Exception:
            play.controller = play.new_controller()
    steps.turn(3)
    launches = [name for method, name in play.runtime.calls if method == "launch" and name.endswith("/step")]
    assert set(launches) == {f"{steps.cluster_id}/{step_id}/step"}
    assert steps.states() == ["RUNNING"]
    steps.end(step_id)
    assert steps.states() == ["COMPLETED"]


def test_a_step_that_is_gone_without_a_word_has_failed(play: ClusterPlay, steps: Steps) -> None:
    (step_id,) = steps.add(step(**CONTINUE))
    steps.turn()
    play.runtime.workloads.pop(f"{steps.cluster_id}/{step_id}/step")
    steps.turn()
    assert steps.states() == ["FAILED"]
    assert "no exit code is known" in steps.describe(step_id)["Status"]["FailureDetails"]["Message"]


def test_a_step_that_waits_wakes_a_resting_cluster(play: ClusterPlay, steps: Steps) -> None:
    assert steps.cluster_id not in play.controller.pending()
    steps.add(step())
    assert steps.cluster_id in play.controller.pending()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"HadoopJarStep": {"Jar": "command-runner.jar"}}, "needs Args"),
        ({"HadoopJarStep": {"Jar": "/tmp/x.jar"}}, "neither command-runner.jar nor an object in S3"),
        ({"StepMonitoringConfiguration": {"S3MonitoringConfiguration": {}}}, "StepMonitoringConfiguration is not"),
        ({"HadoopJarStep": {"Jar": "s3://b/x.jar", "Properties": [{"Value": "v"}]}}, "must have a Key"),
    ],
)
def test_what_is_refused(play: ClusterPlay, steps: Steps, changes: dict[str, Any], says: str) -> None:
    code, message = play.refused("AddJobFlowSteps", JobFlowId=steps.cluster_id, Steps=[step(), step(**changes)])
    assert code == "ValidationException"
    assert says in message
    assert steps.states() == []


def test_more_than_256_unfinished_steps_are_refused(play: ClusterPlay, steps: Steps) -> None:
    steps.add(*[step()] * MOST_UNFINISHED)
    code, message = play.refused("AddJobFlowSteps", JobFlowId=steps.cluster_id, Steps=[step()])
    assert code == "ValidationException"
    assert "Maximum number of active steps" in message


def test_listing(play: ClusterPlay, steps: Steps) -> None:
    added = steps.add(*[step(f"n{number}", **CONTINUE) for number in range(60)])
    call = play.emr.call
    first = call("ListSteps", ClusterId=steps.cluster_id)
    second = call("ListSteps", ClusterId=steps.cluster_id, Marker=first["Marker"])
    assert [one["Id"] for one in (*first["Steps"], *second["Steps"])] == added[::-1]
    assert "Marker" not in second
    by_id = call("ListSteps", ClusterId=steps.cluster_id, StepIds=added[:2])["Steps"]
    assert [one["Id"] for one in by_id] == added[1::-1]
    assert call("ListSteps", ClusterId=steps.cluster_id, StepStates=["FAILED"])["Steps"] == []
    code, _ = play.refused("ListSteps", ClusterId=steps.cluster_id, StepIds=added[:11])
    assert code == "InvalidRequestException"
    code, message = play.refused("DescribeStep", ClusterId=steps.cluster_id, StepId="s-NONE")
    assert (code, message) == ("InvalidRequestException", "Step id 's-NONE' is not valid.")


def test_a_result_that_is_no_plain_file_is_none(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    (tmp_path / "other").write_text('{"exit_code": 0}')
    (tmp_path / RESULT_FILE).symlink_to(tmp_path / "other")
    assert read_result(tmp_path) is None
    (tmp_path / RESULT_FILE).unlink()
    (tmp_path / RESULT_FILE).write_text("[1]")
    assert read_result(tmp_path) is None


# Bootstrap actions.

ACTIONS = [
    {"Name": "libraries", "ScriptBootstrapAction": {"Path": "s3://b/a.sh", "Args": ["x"]}},
    {"Name": "more", "ScriptBootstrapAction": {"Path": "s3://b/b.sh"}},
]


def bootstraps(play: ClusterPlay) -> list[str]:
    return [name for name in play.running() if name.endswith("/bootstrap")]


def reach_actions(play: ClusterPlay, **changes: Any) -> str:
    cluster_id = play.create(BootstrapActions=ACTIONS, **changes)
    for _ in range(20):
        play.turn(cluster_id)
        if len(bootstraps(play)) == 3:
            return cluster_id
    raise AssertionError("no bootstrap action was started")


def test_bootstrap_actions_run_on_every_node_before_spark(play: ClusterPlay) -> None:
    cluster_id = reach_actions(play, LogUri="s3://b/l")
    assert play.state(cluster_id) == "BOOTSTRAPPING"
    assert {name.rpartition("/")[2] for name in play.running()} == {"bootstrap"}
    primary = play.nodes(cluster_id)[0]
    spec = play.runtime.workloads[f"{cluster_id}/{primary.id}/bootstrap"].spec
    assert isinstance(spec, ProcessSpec)
    told = json.loads(spec.files[f"{primary.id}/bootstrap/task.json"])
    assert told == {
        "actions": [
            {"Name": "libraries", "ScriptPath": "s3://b/a.sh", "Args": ["x"]},
            {"Name": "more", "ScriptPath": "s3://b/b.sh", "Args": []},
        ],
        "log_uri": f"s3://b/l/{cluster_id}/node/{primary.ec2_id}/bootstrap-actions",
    }
    play.emr.clock.advance(BOOTSTRAP_SECONDS * 2)
    for name in bootstraps(play):
        play.runtime.crash(name, exit_code=0)
    assert play.settle(cluster_id)[-1] == "WAITING"
    assert all(node.bootstrapped for node in play.nodes(cluster_id))
    shown = play.emr.call("ListBootstrapActions", ClusterId=cluster_id)["BootstrapActions"]
    assert shown == told["actions"]


def test_a_failed_action_ends_the_cluster(play: ClusterPlay) -> None:
    cluster_id = reach_actions(play)
    worker = play.nodes(cluster_id)[1]
    folder = play.emr.settings.clusters_dir / cluster_id / worker.id / "bootstrap"
    folder.mkdir(parents=True)
    (folder / RESULT_FILE).write_text(
        json.dumps({"exit_code": 2, "message": "bootstrap action 1 returned a non-zero return code (2)"})
    )
    play.runtime.crash(f"{cluster_id}/{worker.id}/bootstrap", exit_code=2)
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    reason = play.describe(cluster_id)["Status"]["StateChangeReason"]
    assert reason["Code"] == "BOOTSTRAP_FAILURE"
    says = f"On the core instance ({worker.ec2_id}), bootstrap action 1 returned a non-zero return code (2)"
    assert reason["Message"] == says
    assert play.nothing_left()


def test_actions_that_hang_end_the_cluster(play: ClusterPlay) -> None:
    cluster_id = reach_actions(play)
    play.runtime.hold()
    play.emr.clock.advance(ACTIONS_SECONDS + 1)
    play.turn(cluster_id)
    play.runtime.hold(False)
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    assert "not done after 60 minutes" in play.describe(cluster_id)["Status"]["StateChangeReason"]["Message"]
    assert play.nothing_left()


def test_actions_that_are_refused(play: ClusterPlay) -> None:
    wrong = [{"Name": "x", "ScriptBootstrapAction": {"Path": "a.sh"}}]
    code, message = play.refused("RunJobFlow", **play.request(BootstrapActions=wrong))
    assert (code, "is not one in S3" in message) == ("ValidationException", True)
    code, message = play.refused("RunJobFlow", **play.request(BootstrapActions=ACTIONS * 9))
    assert (code, "at most 16" in message) == ("ValidationException", True)
