"""DescribeJobFlows: its filters and the words of old."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.clusters.model import Reason, State
from tests.support.cluster_play import PROFILE, SERVICE_ROLE, ClusterPlay
from tests.support.emr_world import OTHER_ACCOUNT, emr_world, statement

ARN = "arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/"


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def ids(play: ClusterPlay, **request: Any) -> list[str]:
    return [flow["JobFlowId"] for flow in play.emr.call("DescribeJobFlows", **request)["JobFlows"]]


def test_a_job_flow(play: ClusterPlay) -> None:
    jar = {"Jar": "command-runner.jar", "Args": ["true"], "Properties": [{"Key": "k", "Value": "v"}]}
    step = {"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    action = {"Name": "b", "ScriptBootstrapAction": {"Path": "s3://b/x.sh", "Args": ["1"]}}
    cluster_id = play.create(
        LogUri="s3://b/l/", Steps=[step], BootstrapActions=[action], Instances={"Ec2KeyName": "key"}
    )
    (flow,) = play.emr.call("DescribeJobFlows", JobFlowIds=[cluster_id])["JobFlows"]
    now = play.emr.clock.now()
    assert flow["ExecutionStatusDetail"] == {
        "State": "STARTING",
        "CreationDateTime": now,
        "StartDateTime": now,
        "LastStateChangeReason": "Provisioning instances",
    }
    expected = {
        "Name": "c",
        "LogUri": "s3://b/l/",
        "JobFlowRole": PROFILE,
        "ServiceRole": SERVICE_ROLE,
        "VisibleToAllUsers": True,
        "BootstrapActions": [{"BootstrapActionConfig": action}],
    }
    assert {name: flow[name] for name in expected} == expected
    (shown,) = flow["Steps"]
    assert shown["StepConfig"] == step
    assert shown["ExecutionStatusDetail"] == {"State": "PENDING", "CreationDateTime": now}
    instances = flow["Instances"]
    assert (instances["InstanceCount"], instances["SlaveInstanceType"], instances["Ec2KeyName"]) == (
        3,
        "m5.xlarge",
        "key",
    )
    groups = instances["InstanceGroups"]
    assert [(one["InstanceRole"], one["InstanceRequestCount"], one["State"]) for one in groups] == [
        ("MASTER", 1, "PROVISIONING"),
        ("CORE", 2, "PROVISIONING"),
    ]


def test_a_running_one(play: ClusterPlay) -> None:
    cluster_id = play.create(core=0)
    play.settle(cluster_id)
    (flow,) = play.emr.call("DescribeJobFlows", JobFlowStates=["WAITING"])["JobFlows"]
    assert flow["Instances"]["MasterPublicDnsName"].startswith("ip-172-31-")
    assert flow["Instances"]["MasterInstanceId"] == play.nodes(cluster_id)[0].ec2_id
    assert flow["Instances"]["InstanceGroups"][0]["InstanceRunningCount"] == 1
    assert "ReadyDateTime" in flow["ExecutionStatusDetail"]


@pytest.mark.parametrize(
    ("state", "code", "shown"),
    [
        (State.TERMINATING, None, "SHUTTING_DOWN"),
        (State.TERMINATED, Reason.USER_REQUEST, "TERMINATED"),
        (State.TERMINATED, Reason.ALL_STEPS_COMPLETED, "COMPLETED"),
        (State.TERMINATED_WITH_ERRORS, Reason.STEP_FAILURE, "FAILED"),
        (State.RUNNING, None, "RUNNING"),
    ],
)
def test_states(play: ClusterPlay, state: State, code: Reason | None, shown: str) -> None:
    cluster_id = play.create()
    play.emr.set_cluster(cluster_id, state=state, state_code=code)
    assert ids(play, JobFlowStates=[shown]) == [cluster_id]
    assert ids(play, JobFlowStates=["STARTING"]) == []


def test_which_are_shown(play: ClusterPlay) -> None:
    old, ended, living = (play.create() for _ in range(3))
    now = play.emr.clock.now()
    days = {old: 62, ended: 15, living: 15}
    for cluster_id, age in days.items():
        play.emr.set_cluster(cluster_id, creation_time=now - dt.timedelta(days=age))
    play.emr.set_cluster(ended, state=State.TERMINATED)
    new = play.create()
    assert ids(play) == [new, living]
    assert set(ids(play, CreatedAfter=now - dt.timedelta(days=16))) == {new, living, ended}
    assert set(ids(play, CreatedBefore=now - dt.timedelta(days=1))) == {living, ended}
    assert set(ids(play, JobFlowIds=[old, ended])) == {ended}
    gone = ("ValidationException", "Specified job flow ID does not exist.")
    assert play.refused("DescribeJobFlows", JobFlowIds=[new, "j-NONE"]) == gone
    other = play.emr.user("eve", account_id=OTHER_ACCOUNT)
    assert play.emr.call("DescribeJobFlows", other) == {"JobFlows": []}


def test_who_may(play: ClusterPlay) -> None:
    mine, other = play.create(), play.create()
    reader = play.emr.user("reader", statement("elasticmapreduce:DescribeJobFlows", ARN + mine))
    assert play.emr.call("DescribeJobFlows", reader, JobFlowIds=[mine])["JobFlows"]
    for request in ({}, {"JobFlowIds": [mine, other]}):
        with pytest.raises(AccessDenied):
            play.emr.call("DescribeJobFlows", reader, **request)
