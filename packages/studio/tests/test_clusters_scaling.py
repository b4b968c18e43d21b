"""Clusters that grow, shrink, and end when nobody uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.model import Instance, InstanceGroup
from emr_studio.clusters.probe import Load
from emr_studio.clusters.scaling.managed import QUIET, resize, wanted_instances
from emr_studio.clusters.scaling.resizing import DECOMMISSION_SECONDS, JOIN_SECONDS
from emr_studio.runtime.inprocess import Stage
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


class Groups:
    """The groups of one cluster that is up."""

    def __init__(self, play: ClusterPlay, **changes: Any) -> None:
        self.play = play
        self.cluster_id = play.create(**changes)
        play.settle(self.cluster_id)

    def all(self) -> dict[str, dict[str, Any]]:
        """By role."""
        found = self.play.emr.call("ListInstanceGroups", ClusterId=self.cluster_id)["InstanceGroups"]
        return {group["InstanceGroupType"]: group for group in found}

    def modify(self, role: str = "CORE", **change: Any) -> None:
        group = {"InstanceGroupId": self.all()[role]["Id"]} | change
        self.play.emr.call("ModifyInstanceGroups", ClusterId=self.cluster_id, InstanceGroups=[group])

    def refused(self, role: str = "CORE", **change: Any) -> str:
        group = {"InstanceGroupId": self.all()[role]["Id"]} | change
        _, message = self.play.refused("ModifyInstanceGroups", ClusterId=self.cluster_id, InstanceGroups=[group])
        return message

    def counts(self, role: str = "CORE") -> tuple[int, int]:
        group = self.all()[role]
        return group["RequestedInstanceCount"], group["RunningInstanceCount"]

    def turn(self, times: int = 12) -> None:
        for _ in range(times):
            self.play.turn(self.cluster_id)

    def nodes(self) -> list[Instance]:
        return [node for node in self.play.nodes(self.cluster_id) if node.role != "MASTER"]

    def state(self, role: str = "CORE") -> str:
        return str(self.all()[role]["Status"]["State"])


@pytest.fixture
def groups(play: ClusterPlay) -> Groups:
    return Groups(play)


def test_growing(play: ClusterPlay, groups: Groups) -> None:
    groups.modify(InstanceCount=4)
    assert groups.state() == "RESIZING"
    assert groups.cluster_id in play.controller.pending()
    groups.turn()
    assert groups.counts() == (4, 4)
    assert groups.state() == "RUNNING"
    assert len([name for name in play.running() if name.endswith("/worker")]) == 4
    assert len({node.bind_ip for node in groups.nodes()}) == 4
    assert groups.cluster_id not in play.controller.pending()
    assert play.state(groups.cluster_id) == "WAITING"


def test_shrinking_waits_for_what_runs(play: ClusterPlay, groups: Groups) -> None:
    leaving = groups.nodes()[1]
    play.probe.used = {leaving.bind_ip: 1}
    groups.modify(InstanceCount=1)
    groups.turn()
    assert play.probe.decommissioned == {leaving.bind_ip}
    assert len([name for name in play.running() if name.endswith("/worker")]) == 2
    play.probe.used = {}
    groups.turn()
    assert groups.counts() == (1, 1)
    assert [name for name in play.running() if name.endswith("/worker")] == [play.workload(groups.cluster_id, "worker")]
    described = play.emr.call("ListInstances", ClusterId=groups.cluster_id, InstanceStates=["TERMINATED"])["Instances"]
    assert [one["Id"] for one in described] == [leaving.id]
    assert "resized" in described[0]["Status"]["StateChangeReason"]["Message"]


def test_shrinking_has_an_end(play: ClusterPlay, groups: Groups) -> None:
    play.probe.used = {node.bind_ip: 1 for node in groups.nodes()}
    groups.modify(InstanceCount=1)
    groups.turn()
    assert len([name for name in play.running() if name.endswith("/worker")]) == 2
    play.emr.clock.advance(DECOMMISSION_SECONDS)
    groups.turn()
    assert groups.counts() == (1, 1)


def test_a_timeout_of_the_callers(play: ClusterPlay, groups: Groups) -> None:
    play.probe.used = {node.bind_ip: 1 for node in groups.nodes()}
    groups.modify(InstanceCount=1, ShrinkPolicy={"DecommissionTimeout": 30})
    assert groups.all()["CORE"]["ShrinkPolicy"] == {"DecommissionTimeout": 30}
    play.emr.clock.advance(31)
    groups.turn()
    play.emr.clock.advance(31)
    groups.turn()
    assert groups.counts() == (1, 1)


def test_named_instances_leave(play: ClusterPlay, groups: Groups) -> None:
    first, second = groups.nodes()
    groups.modify(EC2InstanceIdsToTerminate=[first.ec2_id])
    groups.turn()
    assert groups.counts() == (1, 1)
    assert [node.id for node in groups.nodes() if node.state == "RUNNING"] == [second.id]


def test_protected_instances_stay(play: ClusterPlay, groups: Groups) -> None:
    first, second = groups.nodes()
    groups.modify(InstanceCount=1, ShrinkPolicy={"InstanceResizePolicy": {"InstancesToProtect": [second.ec2_id]}})
    groups.turn()
    assert [node.id for node in groups.nodes() if node.state == "RUNNING"] == [second.id]
    assert first.id not in [node.id for node in groups.nodes() if node.state == "RUNNING"]


def test_a_task_group_comes_and_goes(play: ClusterPlay, groups: Groups) -> None:
    group = {"InstanceRole": "TASK", "InstanceType": "m5.xlarge", "InstanceCount": 2, "Name": "more"}
    answer = play.emr.call("AddInstanceGroups", JobFlowId=groups.cluster_id, InstanceGroups=[group])
    assert len(answer["InstanceGroupIds"]) == 1
    groups.turn()
    assert groups.counts("TASK") == (2, 2)
    groups.modify("TASK", InstanceCount=0)
    groups.turn()
    assert groups.counts("TASK") == (0, 0)
    assert groups.counts("CORE") == (2, 2)


def test_steps_do_not_make_joining_instances_running(play: ClusterPlay, groups: Groups) -> None:
    play.runtime.fail(Stage.LAUNCH, "/worker", times=100)
    groups.modify(InstanceCount=3)
    for _ in range(4):
        groups.turn(1)
    assert groups.counts() == (3, 2)
    runner = {"Jar": "command-runner.jar", "Args": ["true"]}
    step = {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": runner}
    play.emr.call("AddJobFlowSteps", JobFlowId=groups.cluster_id, Steps=[step])
    groups.turn(2)
    assert groups.counts() == (3, 2)


def test_an_instance_that_cannot_join_suspends_its_group(play: ClusterPlay, groups: Groups) -> None:
    play.runtime.fail(Stage.START, "/worker", reason="no Java")
    groups.modify(InstanceCount=3)
    groups.turn()
    assert groups.state() == "SUSPENDED"
    assert "the Spark worker ended" in groups.all()["CORE"]["Status"]["StateChangeReason"]["Message"]
    assert groups.counts() == (3, 2)
    assert play.state(groups.cluster_id) == "WAITING"
    groups.modify(InstanceCount=3)
    groups.turn()
    assert groups.counts() == (3, 3)


def test_an_instance_that_takes_too_long_is_given_up(play: ClusterPlay, groups: Groups) -> None:
    groups.modify(InstanceCount=3)
    groups.turn(2)
    play.runtime.hold()
    play.emr.clock.advance(JOIN_SECONDS + 1)
    groups.turn(1)
    play.runtime.hold(False)
    groups.turn()
    assert "was not ready after" in groups.all()["CORE"]["Status"]["StateChangeReason"]["Message"]


def test_no_memory_for_another_instance(play: ClusterPlay, groups: Groups) -> None:
    play.probe.memory = 10
    groups.modify(InstanceCount=3)
    groups.turn()
    assert "too little memory" in groups.all()["CORE"]["Status"]["StateChangeReason"]["Message"]


@pytest.mark.parametrize("turns", range(10))
def test_termination_at_any_moment_of_a_resize(play: ClusterPlay, turns: int) -> None:
    groups = Groups(play, core=2)
    groups.modify(InstanceCount=4)
    for number in range(turns):
        play.controller = play.new_controller()
        play.turn(groups.cluster_id)
        if number == 5:
            groups.modify(InstanceCount=1)
    play.emr.call("TerminateJobFlows", JobFlowIds=[groups.cluster_id])
    assert play.settle(groups.cluster_id)[-1] == "TERMINATED"
    assert play.nothing_left()


def test_what_is_refused(play: ClusterPlay, groups: Groups) -> None:
    assert "cannot be resized" in groups.refused("MASTER", InstanceCount=2)
    assert "too small" in groups.refused(InstanceCount=0)
    assert "more than the 20" in groups.refused(InstanceCount=20)
    assert "mutually exclusive" in groups.refused(InstanceCount=1, EC2InstanceIdsToTerminate=["i-1"])
    assert "is not one of instance group" in groups.refused(EC2InstanceIdsToTerminate=["i-1"])
    both = [node.ec2_id for node in groups.nodes()]
    assert "must keep one" in groups.refused(EC2InstanceIdsToTerminate=both)
    assert groups.counts() == (2, 2)
    core = {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 1}
    code, message = play.refused("AddInstanceGroups", JobFlowId=groups.cluster_id, InstanceGroups=[core])
    assert (code, "Only task instance groups" in message) == ("ValidationException", True)
    small = Groups(play, core=0)
    task = core | {"InstanceRole": "TASK"}
    code, message = play.refused("AddInstanceGroups", JobFlowId=small.cluster_id, InstanceGroups=[task])
    assert (code, "cannot be resized" in message) == ("ValidationException", True)


# Managed scaling.

LIMITS = {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 4}


def scaled(play: ClusterPlay, **limits: Any) -> Groups:
    groups = Groups(play)
    policy = {"ComputeLimits": LIMITS | limits}
    play.emr.call("PutManagedScalingPolicy", ClusterId=groups.cluster_id, ManagedScalingPolicy=policy)
    return groups


def test_a_cluster_follows_its_load(play: ClusterPlay) -> None:
    groups = scaled(play)
    assert groups.cluster_id in play.controller.pending()
    play.probe.load_now = Load(running_tasks=2, waiting_tasks=5)
    groups.turn(20)
    assert groups.counts() == (4, 4)
    play.probe.load_now = Load()
    groups.turn()
    assert groups.counts() == (4, 4)
    play.emr.clock.advance(QUIET.total_seconds() + 1)
    groups.turn(20)
    assert groups.counts() == (1, 1)
    policy = play.emr.call("GetManagedScalingPolicy", ClusterId=groups.cluster_id)["ManagedScalingPolicy"]
    assert policy == {"ComputeLimits": LIMITS}
    play.emr.call("RemoveManagedScalingPolicy", ClusterId=groups.cluster_id)
    assert play.emr.call("GetManagedScalingPolicy", ClusterId=groups.cluster_id) == {}


def test_a_minimum_above_what_is_there(play: ClusterPlay) -> None:
    groups = scaled(play, MinimumCapacityUnits=3)
    groups.turn()
    assert groups.counts() == (3, 3)


@pytest.mark.parametrize(
    ("present", "load", "quiet", "wanted"),
    [
        (2, Load(), False, 2),
        (2, Load(), True, 0),
        (2, Load(running_tasks=2), False, 2),
        (2, Load(running_tasks=2, waiting_tasks=1), False, 3),
        (2, Load(running_applications=1, waiting_applications=1), False, 3),
        (4, Load(running_tasks=4, waiting_tasks=10, cores_of_a_worker=2), False, 7),
    ],
)
def test_how_many_are_wanted(present: int, load: Load, quiet: bool, wanted: int) -> None:
    assert wanted_instances(present, load, quiet=quiet) == wanted


@pytest.mark.parametrize(
    ("counts", "limits", "wanted", "expected"),
    [
        ((2,), {}, 9, [4]),
        ((2,), {}, 0, [1]),
        ((2, 0), {}, 9, [2, 2]),
        ((2, 2), {}, 0, [1, 0]),
        ((3, 0), {"MaximumCoreCapacityUnits": 1}, 3, [1, 2]),
        ((1,), {"UnitType": "VCPU", "MinimumCapacityUnits": 4, "MaximumCapacityUnits": 12}, 9, [3]),
        ((1, 0, 1), {}, 4, [1, 2, 1]),
    ],
)
def test_limits(counts: tuple[int, ...], limits: dict[str, Any], wanted: int, expected: list[int]) -> None:
    roles = ("CORE", *["TASK"] * (len(counts) - 1))
    groups = [
        InstanceGroup(role=role, requested_count=count, instance_type="m5.xlarge")
        for role, count in zip(roles, counts, strict=True)
    ]
    resize(groups, LIMITS | limits, wanted)
    assert [group.requested_count for group in groups] == expected


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"MinimumCapacityUnits": 5}, "must be between 1 and"),
        ({"UnitType": "InstanceFleetUnits"}, "is for clusters with instance fleets"),
        ({"MaximumCoreCapacityUnits": 5}, "MaximumCoreCapacityUnits 5"),
    ],
)
def test_policies_that_are_refused(play: ClusterPlay, groups: Groups, limits: dict[str, Any], says: str) -> None:
    policy = {"ComputeLimits": LIMITS | limits}
    code, message = play.refused("PutManagedScalingPolicy", ClusterId=groups.cluster_id, ManagedScalingPolicy=policy)
    assert (code, says in message) == ("ValidationException", True)


# Auto-termination.


@pytest.mark.capability("CL-14")
def test_an_idle_cluster_ends(play: ClusterPlay) -> None:
    groups = Groups(play)
    play.emr.call("PutAutoTerminationPolicy", ClusterId=groups.cluster_id, AutoTerminationPolicy={"IdleTimeout": 60})
    policy = play.emr.call("GetAutoTerminationPolicy", ClusterId=groups.cluster_id)
    assert policy == {"AutoTerminationPolicy": {"IdleTimeout": 60}}
    assert groups.cluster_id in play.controller.pending()
    groups.turn(1)
    play.emr.clock.advance(40)
    groups.turn(1)
    assert play.state(groups.cluster_id) == "WAITING"
    play.emr.clock.advance(21)
    assert play.settle(groups.cluster_id)[-1] == "TERMINATED"
    assert "idle for 60 seconds" in play.describe(groups.cluster_id)["Status"]["StateChangeReason"]["Message"]


@pytest.mark.parametrize("used", ["kernel", "load", "silent gateway", "silent Spark"])
def test_a_cluster_in_use_is_not_idle(play: ClusterPlay, used: str) -> None:
    cluster_id = play.create(AutoTerminationPolicy={"IdleTimeout": 60})
    for _ in range(30):
        play.turn(cluster_id)
    if used == "kernel":
        play.probe.kernels_now = 1
    elif used == "load":
        play.probe.load_now = Load(running_tasks=1)
    elif used == "silent gateway":
        play.probe.kernels_now = None
    else:
        play.probe.load_now = None
    for _ in range(5):
        play.emr.clock.advance(59)
        play.turn(cluster_id)
    assert play.state(cluster_id) == "WAITING"
    assert play.row(cluster_id).idle_since is None


@pytest.mark.capability("CL-13")
def test_the_time_counts_from_the_last_connection(play: ClusterPlay) -> None:
    """A Workspace's kernel is what a Studio's connection to a cluster is: while one lives, nothing ends."""
    cluster_id = play.create(AutoTerminationPolicy={"IdleTimeout": 60})
    for _ in range(30):
        play.turn(cluster_id)
    play.probe.kernels_now = 2
    for kernels in (2, 2, 1, 1):
        play.probe.kernels_now = kernels
        play.emr.clock.advance(61)
        play.turn(cluster_id)
        assert play.state(cluster_id) == "WAITING"
    play.probe.kernels_now = 0
    play.turn(cluster_id)
    play.emr.clock.advance(59)
    play.turn(cluster_id)
    assert play.state(cluster_id) == "WAITING"
    play.emr.clock.advance(1)
    assert play.settle(cluster_id)[-1] == "TERMINATED"


@pytest.mark.capability("CL-14")
def test_a_protected_cluster_does_not_end(play: ClusterPlay) -> None:
    instances = {"TerminationProtected": True}
    cluster_id = play.create(AutoTerminationPolicy={}, Instances=instances)
    assert play.row(cluster_id).idle_timeout == 3600
    play.settle(cluster_id)
    play.emr.clock.advance(4000)
    play.settle(cluster_id)
    assert play.state(cluster_id) == "WAITING"
    play.emr.call("RemoveAutoTerminationPolicy", ClusterId=cluster_id)
    assert play.emr.call("GetAutoTerminationPolicy", ClusterId=cluster_id) == {}


@pytest.mark.capability("CL-14")
@pytest.mark.parametrize("seconds", [59, 604_801])
def test_idle_timeouts_that_are_refused(play: ClusterPlay, groups: Groups, seconds: int) -> None:
    policy = {"IdleTimeout": seconds}
    code, message = play.refused("PutAutoTerminationPolicy", ClusterId=groups.cluster_id, AutoTerminationPolicy=policy)
    assert (code, "between 60 and 604800" in message) == ("ValidationException", True)
