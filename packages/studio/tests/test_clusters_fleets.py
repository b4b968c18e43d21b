"""Instance fleets: what they may say, how they are met, resized and scaled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.fleets.scaling import resize_fleets
from emr_studio.clusters.model import InstanceFleet, InstanceGroup, fleets_of
from emr_studio.clusters.probe import Load
from emr_studio.clusters.scaling.managed import QUIET
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

TYPES = [{"InstanceType": "m5.xlarge"}, {"InstanceType": "r5.xlarge"}]
WEIGHTED = [{"InstanceType": "m5.2xlarge", "WeightedCapacity": 2, "BidPrice": "0.3"}]
MASTER = {"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": TYPES}
CORE = {"InstanceFleetType": "CORE", "TargetOnDemandCapacity": 2, "InstanceTypeConfigs": TYPES}
TASK = {"InstanceFleetType": "TASK", "TargetSpotCapacity": 3, "InstanceTypeConfigs": WEIGHTED}


class Fleets:
    """A cluster with fleets that has come up."""

    def __init__(self, play: ClusterPlay, *fleets: dict[str, Any]) -> None:
        self.play = play
        self.cluster_id = play.create(Instances=instances(*fleets))
        self.turn(40)

    def turn(self, turns: int = 20) -> None:
        for _ in range(turns):
            self.play.turn(self.cluster_id)

    def all(self) -> dict[str, dict[str, Any]]:
        found = self.play.emr.call("ListInstanceFleets", ClusterId=self.cluster_id)["InstanceFleets"]
        return {fleet["InstanceFleetType"]: fleet for fleet in found}

    def targets(self, role: str = "CORE") -> tuple[int, ...]:
        """Targets and what is provisioned: on demand, spot, on demand, spot."""
        fleet = self.all()[role]
        kinds = ("TargetOnDemand", "TargetSpot", "ProvisionedOnDemand", "ProvisionedSpot")
        return tuple(fleet[f"{kind}Capacity"] for kind in kinds)

    def modify(self, role: str = "CORE", **change: Any) -> None:
        fleet = {"InstanceFleetId": self.all()[role]["Id"], **change}
        self.play.emr.call("ModifyInstanceFleet", ClusterId=self.cluster_id, InstanceFleet=fleet)

    def refused(self, role: str, **change: Any) -> str:
        fleet = {"InstanceFleetId": self.all()[role]["Id"], **change}
        code, message = self.play.refused("ModifyInstanceFleet", ClusterId=self.cluster_id, InstanceFleet=fleet)
        assert code == "InvalidRequestException"
        return message

    def listed(self, **filters: Any) -> list[dict[str, Any]]:
        found = self.play.emr.call("ListInstances", ClusterId=self.cluster_id, **filters)["Instances"]
        return [one for one in found if one["Status"]["State"] != "TERMINATED"]


def instances(*fleets: dict[str, Any]) -> dict[str, Any]:
    return {"InstanceGroups": None, "InstanceFleets": list(fleets)}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


@pytest.fixture
def fleets(play: ClusterPlay) -> Fleets:
    return Fleets(play, TASK, CORE, MASTER)


def test_a_cluster_of_fleets(play: ClusterPlay, fleets: Fleets) -> None:
    assert play.state(fleets.cluster_id) == "WAITING"
    assert play.describe(fleets.cluster_id)["InstanceCollectionType"] == "INSTANCE_FLEET"
    assert list(fleets.all()) == ["MASTER", "CORE", "TASK"]
    assert [fleets.targets(role) for role in fleets.all()] == [(1, 0, 1, 0), (2, 0, 2, 0), (0, 3, 0, 4)]
    task = fleets.all()["TASK"]
    assert task["Id"].startswith("if-")
    assert task["InstanceTypeSpecifications"] == [WEIGHTED[0] | {"EbsBlockDevices": []}]
    assert task["Status"]["State"] == "RUNNING"
    assert fleets.all()["CORE"]["InstanceTypeSpecifications"][0]["BidPriceAsPercentageOfOnDemandPrice"] == 100.0
    shown = [(one["InstanceType"], one["Market"]) for one in fleets.listed()]
    assert shown == [("m5.xlarge", "ON_DEMAND")] * 3 + [("m5.2xlarge", "SPOT")] * 2
    assert fleets.listed(InstanceFleetId=task["Id"]) == fleets.listed(InstanceFleetType="TASK")
    assert {one["InstanceFleetId"] for one in fleets.listed(InstanceFleetType="TASK")} == {task["Id"]}
    assert all("InstanceGroupId" not in one for one in fleets.listed())
    play.emr.call("TerminateJobFlows", JobFlowIds=[fleets.cluster_id])
    assert fleets.all()["CORE"]["Status"]["State"] == "TERMINATING"
    play.settle(fleets.cluster_id)
    assert fleets.all()["CORE"]["Status"]["State"] == "TERMINATED"
    assert play.nothing_left()


def test_a_primary_alone_on_spot(play: ClusterPlay) -> None:
    spot = {"InstanceFleetType": "MASTER", "TargetSpotCapacity": 1, "InstanceTypeConfigs": TYPES}
    alone = Fleets(play, spot)
    assert play.state(alone.cluster_id) == "WAITING"
    assert [one["Market"] for one in alone.listed()] == ["SPOT"]
    answer = play.refused("AddInstanceFleet", ClusterId=alone.cluster_id, InstanceFleet=TASK)
    assert (answer[0], "cannot be resized" in answer[1]) == ("InvalidRequestException", True)


def test_which_type_is_taken(play: ClusterPlay) -> None:
    types = [{"InstanceType": "m5.xlarge", "Priority": 2.0}, {"InstanceType": "c5.xlarge", "Priority": 0.0}]
    launch = {"OnDemandSpecification": {"AllocationStrategy": "prioritized"}}
    core = CORE | {"InstanceTypeConfigs": types, "LaunchSpecifications": launch, "TargetSpotCapacity": 1}
    found = Fleets(play, MASTER, core)
    shown = [(one["InstanceType"], one["Market"]) for one in found.listed(InstanceFleetType="CORE")]
    assert shown == [("c5.xlarge", "ON_DEMAND")] * 2 + [("m5.xlarge", "SPOT")]
    assert found.all()["CORE"]["LaunchSpecifications"] == launch


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([CORE], "exactly one fleet with InstanceFleetType MASTER"),
        ([MASTER, MASTER], "exactly one fleet with InstanceFleetType MASTER"),
        ([MASTER, CORE, CORE], "at most one fleet with InstanceFleetType CORE"),
        ([MASTER, CORE, TASK, TASK], "at most one fleet with InstanceFleetType TASK"),
        ([MASTER, TASK], "need a fleet with InstanceFleetType CORE"),
        ([MASTER | {"TargetOnDemandCapacity": 2}], "it must be 1"),
        ([MASTER | {"TargetSpotCapacity": 1}], "it must be 1"),
        ([MASTER | {"InstanceTypeConfigs": WEIGHTED}], "WeightedCapacity of m5.2xlarge in the MASTER fleet must be 1"),
        ([MASTER, CORE | {"TargetOnDemandCapacity": 0}], "must be greater than 0"),
        ([MASTER, CORE | {"TargetOnDemandCapacity": 99}], "more than the 20"),
        ([MASTER, CORE | {"InstanceTypeConfigs": []}], "must have 1 to 30"),
        ([MASTER, CORE | {"InstanceTypeConfigs": TYPES + TYPES}], "more than once"),
        ([MASTER, CORE | {"InstanceTypeConfigs": [{"InstanceType": "big"}]}], "InstanceType 'big' of the CORE fleet"),
        ([MASTER, CORE | {"InstanceTypeConfigs": [TYPES[0] | {"WeightedCapacity": 0}]}], "must be at least 1"),
        ([MASTER, CORE | {"InstanceTypeConfigs": [TYPES[0] | {"CustomAmiId": "ami"}]}], "CustomAmiId is not"),
        (
            [MASTER, CORE | {"InstanceTypeConfigs": [WEIGHTED[0] | {"BidPriceAsPercentageOfOnDemandPrice": 0.0}]}],
            "are mutually exclusive",
        ),
        ([MASTER, CORE | {"InstanceTypeConfigs": [TYPES[0] | {"Configurations": [{}]}]}], "Classification is missing"),
        (
            [MASTER, CORE | {"LaunchSpecifications": {"SpotSpecification": {"TimeoutDurationMinutes": 1}}}],
            "TimeoutDurationMinutes",
        ),
    ],
)
def test_fleets_that_are_refused(play: ClusterPlay, given: list[dict[str, Any]], says: str) -> None:
    code, message = play.refused("RunJobFlow", **play.request(Instances=instances(*given)))
    assert (code, says in message) == ("ValidationException", True), message


def test_groups_and_fleets_exclude_each_other(play: ClusterPlay, fleets: Fleets) -> None:
    both = play.request(Instances={"InstanceFleets": [MASTER]})
    code, message = play.refused("RunJobFlow", **both)
    assert (code, "InstanceFleets and Instances.InstanceGroups" in message) == ("ValidationException", True)
    grouped = play.create()
    group = {"InstanceRole": "TASK", "InstanceType": "m5.xlarge", "InstanceCount": 1}
    fleet = {"InstanceFleetId": "if-1", "TargetSpotCapacity": 1}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("fleets", "ListInstanceGroups", {"ClusterId": fleets.cluster_id}),
        ("fleets", "ListInstances", {"ClusterId": fleets.cluster_id, "InstanceGroupTypes": ["CORE"]}),
        ("fleets", "AddInstanceGroups", {"JobFlowId": fleets.cluster_id, "InstanceGroups": [group]}),
        ("fleets", "ModifyInstanceGroups", {"ClusterId": fleets.cluster_id}),
        ("groups", "ListInstanceFleets", {"ClusterId": grouped}),
        ("groups", "ListInstances", {"ClusterId": grouped, "InstanceFleetType": "CORE"}),
        ("groups", "AddInstanceFleet", {"ClusterId": grouped, "InstanceFleet": TASK}),
        ("groups", "ModifyInstanceFleet", {"ClusterId": grouped, "InstanceFleet": fleet}),
    ]
    for other, operation, request in requests:
        assert play.refused(operation, **request) == (
            "InvalidRequestException",
            "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses "
            f"instance {other}. The {operation} request does not support clusters that use instance {other}.",
        )


# Resizing.


def test_a_fleet_grows_and_shrinks(play: ClusterPlay, fleets: Fleets) -> None:
    before = [one["Id"] for one in fleets.listed(InstanceFleetType="CORE")]
    resizing = {"SpotResizeSpecification": {"TimeoutDurationMinutes": 20}}
    fleets.modify(TargetOnDemandCapacity=3, TargetSpotCapacity=1, ResizeSpecifications=resizing)
    assert fleets.targets() == (3, 1, 2, 0)
    assert fleets.all()["CORE"]["Status"]["State"] == "RESIZING"
    fleets.turn()
    assert fleets.targets() == (3, 1, 3, 1)
    assert fleets.all()["CORE"]["ResizeSpecifications"] == resizing
    fleets.modify(TargetSpotCapacity=0)
    fleets.modify(TargetOnDemandCapacity=1)
    fleets.turn()
    assert fleets.targets() == (1, 0, 1, 0)
    assert [one["Id"] for one in fleets.listed(InstanceFleetType="CORE")] == before[:1]
    fleets.modify("TASK", TargetSpotCapacity=0)
    fleets.turn()
    assert fleets.targets("TASK") == (0, 0, 0, 0)
    assert play.state(fleets.cluster_id) == "WAITING"


def test_a_fleet_that_cannot_grow(play: ClusterPlay, fleets: Fleets) -> None:
    play.probe.memory = 10
    fleets.modify(TargetSpotCapacity=1)
    fleets.turn()
    core = fleets.all()["CORE"]["Status"]
    assert core["State"] == "SUSPENDED"
    assert "too little memory" in core["StateChangeReason"]["Message"]
    play.probe.memory = 64_000
    fleets.modify(TargetSpotCapacity=2)
    fleets.turn()
    assert fleets.targets() == (2, 2, 2, 2)


def test_a_task_fleet_is_added(play: ClusterPlay) -> None:
    small = Fleets(play, MASTER, CORE)
    answer = play.emr.call("AddInstanceFleet", ClusterId=small.cluster_id, InstanceFleet=TASK)
    assert answer["ClusterArn"].endswith(small.cluster_id)
    assert small.all()["TASK"]["Id"] == answer["InstanceFleetId"]
    small.turn()
    assert small.targets("TASK") == (0, 3, 0, 4)
    for fleet, says in ((TASK, "it can have one"), (CORE, "Only a task instance fleet")):
        code, message = play.refused("AddInstanceFleet", ClusterId=small.cluster_id, InstanceFleet=fleet)
        assert (code, says in message) == ("InvalidRequestException", True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"TargetOnDemandCapacity": 99}, "more than the 20"),
        ({"InstanceTypeConfigs": []}, "must have 1 to 30"),
    ],
)
def test_fleets_that_are_not_added(play: ClusterPlay, change: dict[str, Any], says: str) -> None:
    small = Fleets(play, MASTER, CORE)
    code, message = play.refused("AddInstanceFleet", ClusterId=small.cluster_id, InstanceFleet=TASK | change)
    assert (code, says in message) == ("InvalidRequestException", True)
    assert list(small.all()) == ["MASTER", "CORE"]


def test_changes_that_are_refused(play: ClusterPlay, fleets: Fleets) -> None:
    assert "cannot be resized" in fleets.refused("MASTER", TargetSpotCapacity=1)
    assert "must be greater than 0" in fleets.refused("CORE", TargetOnDemandCapacity=0)
    assert "more than the 20" in fleets.refused("CORE", TargetOnDemandCapacity=20)
    assert "InstanceTypeConfigs" in fleets.refused("CORE", InstanceTypeConfigs=TYPES)
    assert fleets.targets() == (2, 0, 2, 0)
    wrong = {"InstanceFleetId": "if-1"}
    code, message = play.refused("ModifyInstanceFleet", ClusterId=fleets.cluster_id, InstanceFleet=wrong)
    assert (code, message) == ("InvalidRequestException", "Instance fleet id 'if-1' is not valid.")
    unknown = play.refused("ListInstances", ClusterId=fleets.cluster_id, InstanceFleetId="if-1")
    assert unknown == ("InvalidRequestException", "Instance fleet id 'if-1' is not valid.")
    own = fleets.all()["CORE"]["Id"]
    play.emr.call("TerminateJobFlows", JobFlowIds=[fleets.cluster_id])
    ended = {"InstanceFleetId": own, "TargetSpotCapacity": 1}
    code, message = play.refused("ModifyInstanceFleet", ClusterId=fleets.cluster_id, InstanceFleet=ended)
    assert (code, "may not be modified" in message) == ("InvalidRequestException", True)


@pytest.mark.parametrize("turns", range(8))
def test_termination_at_any_moment_of_a_resize(play: ClusterPlay, turns: int) -> None:
    fleets = Fleets(play, MASTER, CORE)
    fleets.modify(TargetOnDemandCapacity=1, TargetSpotCapacity=2)
    for _ in range(turns):
        play.controller = play.new_controller()
        play.turn(fleets.cluster_id)
    play.emr.call("TerminateJobFlows", JobFlowIds=[fleets.cluster_id])
    assert play.settle(fleets.cluster_id)[-1] == "TERMINATED"
    assert play.nothing_left()


# Managed scaling.

LIMITS = {"UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 6}


def test_a_cluster_follows_its_load(play: ClusterPlay) -> None:
    fleets = Fleets(play, MASTER, CORE)
    policy = {"ComputeLimits": LIMITS | {"MaximumOnDemandCapacityUnits": 3}}
    play.emr.call("PutManagedScalingPolicy", ClusterId=fleets.cluster_id, ManagedScalingPolicy=policy)
    play.probe.load_now = Load(running_tasks=2, waiting_tasks=9)
    fleets.turn()
    assert fleets.targets() == (3, 3, 3, 3)
    play.probe.load_now = Load()
    fleets.turn()
    play.emr.clock.advance((QUIET + timedelta(seconds=1)).total_seconds())
    fleets.turn()
    assert fleets.targets() == (1, 0, 1, 0)
    wrong = {"ComputeLimits": LIMITS | {"UnitType": "Instances"}}
    answer = play.refused("PutManagedScalingPolicy", ClusterId=fleets.cluster_id, ManagedScalingPolicy=wrong)
    assert answer == ("ValidationException", "UnitType Instances is for clusters with instance groups.")


def test_a_policy_from_the_start(play: ClusterPlay) -> None:
    made = play.create(Instances=instances(MASTER, CORE), ManagedScalingPolicy={"ComputeLimits": LIMITS})
    assert play.row(made).managed_scaling == {"ComputeLimits": LIMITS}
    with play.emr.database.read() as session:
        assert [fleet.role for fleet in fleets_of(session, made)] == ["MASTER", "CORE"]


@pytest.mark.parametrize(
    ("targets", "limits", "wanted", "expected"),
    [
        ([(2, 0)], {}, 9, [(6, 0)]),
        ([(2, 0)], {}, 2, [(2, 0)]),
        ([(2, 2)], {}, 0, [(1, 0)]),
        ([(0, 2)], {"MaximumOnDemandCapacityUnits": 0}, 9, [(0, 6)]),
        ([(4, 0)], {"MaximumOnDemandCapacityUnits": 1}, 4, [(1, 3)]),
        ([(2, 0), (0, 0)], {}, 4, [(2, 0), (4, 0)]),
        ([(2, 0), (0, 0)], {"MaximumOnDemandCapacityUnits": 3}, 9, [(2, 0), (1, 3)]),
        ([(3, 0), (1, 0)], {"MaximumCoreCapacityUnits": 1}, 4, [(1, 0), (3, 0)]),
        ([(2, 0), (1, 3)], {}, 0, [(1, 0), (0, 0)]),
    ],
)
def test_limits(
    targets: list[tuple[int, int]], limits: dict[str, int], wanted: int, expected: list[tuple[int, int]]
) -> None:
    """The task fleet's instances weigh two units."""
    fleets, groups = [], []
    for role, weight, (on_demand, spot) in zip(("CORE", "TASK"), (1, 2), targets, strict=False):
        types = [{"InstanceType": "m5.xlarge", "WeightedCapacity": weight}]
        fleet = InstanceFleet(
            id=role, role=role, target_on_demand=on_demand, target_spot=spot, instance_types=types, details={}
        )
        fleets.append(fleet)
        for market, target in (("ON_DEMAND", on_demand), ("SPOT", spot)):
            count = -(-target // weight)
            groups.append(
                InstanceGroup(fleet_id=role, role=role, market=market, instance_type="m5.xlarge", requested_count=count)
            )
    resize_fleets(fleets, groups, LIMITS | limits, wanted)
    assert [(fleet.target_on_demand, fleet.target_spot) for fleet in fleets] == expected
    for fleet in fleets:
        weight = fleet.instance_types[0]["WeightedCapacity"]
        own = {group.market: group.requested_count for group in groups if group.fleet_id == fleet.id}
        assert own == {"ON_DEMAND": -(-fleet.target_on_demand // weight), "SPOT": -(-fleet.target_spot // weight)}


def test_job_flows_show_no_groups_of_fleets(play: ClusterPlay, fleets: Fleets) -> None:
    (flow,) = play.emr.call("DescribeJobFlows", JobFlowIds=[fleets.cluster_id])["JobFlows"]
    assert (flow["Instances"]["InstanceCount"], flow["Instances"]["InstanceGroups"]) == (5, [])
