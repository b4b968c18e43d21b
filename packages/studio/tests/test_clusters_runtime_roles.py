"""Steps with a runtime role: who may have which, and that such a step shares nothing with its cluster."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.clusters.logs import archive
from emr_studio.clusters.logs.archive import LogArchive
from emr_studio.clusters.results import RESULT_FILE
from emr_studio.iam.model import RoleGrant
from emr_studio.runtime.contract import ProcessSpec
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world, statement
from tests.support.runtime_roles import DATA, allow_runtime_roles, let_nodes_assume

STEP = {
    "Name": "s",
    "ActionOnFailure": "CONTINUE",
    "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]},
}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


@pytest.fixture
def cluster_id(play: ClusterPlay) -> str:
    """A cluster with runtime roles, whose nodes may assume `data`."""
    made = play.create(**allow_runtime_roles(play))
    let_nodes_assume(play, DATA)
    play.settle(made)
    return made


def add(play: ClusterPlay, cluster_id: str, role: str | None = DATA, **changes: Any) -> str:
    own = {"ExecutionRoleArn": role} if role else {}
    return str(play.emr.call("AddJobFlowSteps", JobFlowId=cluster_id, Steps=[STEP | changes], **own)["StepIds"][0])


def turn(play: ClusterPlay, cluster_id: str, times: int = 4) -> None:
    for _ in range(times):
        play.turn(cluster_id)


def describe(play: ClusterPlay, cluster_id: str, step_id: str) -> dict[str, Any]:
    return dict(play.emr.call("DescribeStep", ClusterId=cluster_id, StepId=step_id)["Step"])


def specification(play: ClusterPlay, cluster_id: str, step_id: str) -> ProcessSpec:
    spec = play.runtime.workloads[f"{cluster_id}/{step_id}/step"].spec
    assert isinstance(spec, ProcessSpec)
    return spec


def end(play: ClusterPlay, cluster_id: str, step_id: str) -> None:
    """The step's program ends well."""
    folder = Path(specification(play, cluster_id, step_id).folder) / "steps" / step_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_FILE).write_text(json.dumps({"exit_code": 0}))
    play.runtime.crash(f"{cluster_id}/{step_id}/step", 0)


def grants(play: ClusterPlay, step_id: str) -> list[tuple[str, str]]:
    with play.emr.database.read() as session:
        found = session.query(RoleGrant).filter_by(owner=f"step/{step_id}")
        return [(grant.role_arn, grant.session_name) for grant in found]


def test_a_step_with_a_role_shares_nothing_with_its_cluster(play: ClusterPlay, cluster_id: str) -> None:
    with_role, plain = add(play, cluster_id), add(play, cluster_id, None)
    assert describe(play, cluster_id, with_role)["ExecutionRoleArn"] == DATA
    assert "ExecutionRoleArn" not in describe(play, cluster_id, plain)
    turn(play, cluster_id)
    row, spec = play.row(cluster_id), specification(play, cluster_id, with_role)
    node = json.loads(spec.files[f"steps/{with_role}/node.json"])
    assert grants(play, with_role) == [(DATA, with_role)]
    assert spec.uid not in (0, row.uid)
    assert Path(spec.folder).name == f"{cluster_id}.{with_role}"
    assert node["master_url"] == "local-cluster[2,1,1024]"
    for secret in (row.secret, row.connect_token, row.gateway_token, row.role_token):
        assert secret not in json.dumps([spec.files, spec.environment], default=dict)
    end(play, cluster_id, with_role)
    turn(play, cluster_id)
    assert describe(play, cluster_id, with_role)["Status"]["State"] == "COMPLETED"
    assert not Path(spec.folder).exists()
    assert grants(play, with_role) == []
    assert specification(play, cluster_id, plain).uid == row.uid


def test_its_logs_are_sent_as_the_clusters_role_may(play: ClusterPlay, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, bytes] = {}

    def put_object(Bucket: str, Key: str, Body: bytes) -> None:
        sent[f"s3://{Bucket}/{Key}"] = gzip.decompress(Body)

    client = SimpleNamespace(put_object=put_object)
    monkeypatch.setattr(LogArchive, "_client", lambda _archive, _cluster: client)
    monkeypatch.setattr(archive, "user_of", lambda _uid: 0)
    made = play.create(**allow_runtime_roles(play), LogUri="s3://b/logs/")
    let_nodes_assume(play, DATA)
    play.settle(made)
    step_id = add(play, made)
    turn(play, made)
    spec = specification(play, made, step_id)
    assert json.loads(spec.files[f"steps/{step_id}/task.json"])["log_uri"] == ""
    folder = Path(spec.folder) / "steps" / step_id
    folder.mkdir(parents=True)
    (folder / "stderr").write_text(f"no {spec.environment['AWS_CONTAINER_AUTHORIZATION_TOKEN']}")
    (folder / "stdout").symlink_to("/etc/passwd")
    (folder / "other").write_text("not a log")
    end(play, made, step_id)
    turn(play, made)
    assert sent == {f"s3://b/logs/{made}/steps/{step_id}/stderr.gz": b"no ****"}


def test_a_controller_that_was_killed_starts_the_same_step_again(play: ClusterPlay, cluster_id: str) -> None:
    step_id = add(play, cluster_id)
    turn(play, cluster_id)
    first = specification(play, cluster_id, step_id)
    play.controller = play.new_controller()
    turn(play, cluster_id)
    assert specification(play, cluster_id, step_id) == first
    assert len(grants(play, step_id)) == 1


def test_the_steps_of_run_job_flow_may_have_a_role(play: ClusterPlay) -> None:
    scoped = allow_runtime_roles(play)
    refused = play.refused("RunJobFlow", **play.request(**scoped, Steps=[STEP], StepExecutionRoleArn=DATA))
    assert (refused[0], "sts:AssumeRole" in refused[1]) == ("ValidationException", True)
    let_nodes_assume(play, DATA)
    made = play.create(**scoped, Steps=[STEP], StepExecutionRoleArn=DATA)
    (step,) = play.emr.call("ListSteps", ClusterId=made)["Steps"]
    assert step["ExecutionRoleArn"] == DATA


def test_what_is_refused(play: ClusterPlay, cluster_id: str) -> None:
    for other, role, says in (
        (play.create(), DATA, "Runtime roles are not enabled"),
        (cluster_id, f"{DATA}2", "does not exist"),
        (cluster_id, play.emr.role("closed", statement("s3:*")), "is not authorized to perform sts:AssumeRole"),
    ):
        code, message = play.refused("AddJobFlowSteps", JobFlowId=other, Steps=[STEP], ExecutionRoleArn=role)
        assert (code, says in message) == ("ValidationException", True), message


@pytest.mark.parametrize(("action", "state"), [("CONTINUE", "WAITING"), ("TERMINATE_CLUSTER", "TERMINATING")])
def test_a_role_that_was_withdrawn_meanwhile(play: ClusterPlay, cluster_id: str, action: str, state: str) -> None:
    step_id = add(play, cluster_id, ActionOnFailure=action)
    let_nodes_assume(play, f"{DATA}-of-others")
    while play.state(cluster_id) == "WAITING":
        play.turn(cluster_id)
    while play.state(cluster_id) == "RUNNING":
        play.turn(cluster_id)
    status = describe(play, cluster_id, step_id)["Status"]
    assert (status["State"], play.state(cluster_id)) == ("FAILED", state)
    assert "sts:AssumeRole" in status["FailureDetails"]["Message"]


def test_nothing_is_left_when_the_cluster_ends(play: ClusterPlay, cluster_id: str) -> None:
    add(play, cluster_id)
    turn(play, cluster_id)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    play.settle(cluster_id)
    assert play.nothing_left()


def test_who_may_use_which_role(play: ClusterPlay, cluster_id: str) -> None:
    key = {"elasticmapreduce:ExecutionRoleArn": DATA}
    user = play.emr.user("ann", statement("elasticmapreduce:AddJobFlowSteps", StringEquals=key))
    wanted = {"JobFlowId": cluster_id, "Steps": [STEP]}
    play.emr.call("AddJobFlowSteps", user, **wanted, ExecutionRoleArn=DATA)
    for other in ({}, {"ExecutionRoleArn": f"{DATA}2"}):
        with pytest.raises(AccessDenied):
            play.emr.call("AddJobFlowSteps", user, **wanted, **other)
