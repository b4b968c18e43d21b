"""Automatic scaling policies: what they may say, when they act, and that they rest in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.probe import Load
from emr_studio.clusters.scaling.rules import METRICS, check_policy, is_on, metrics, wanted
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

ROLE = {"AutoScalingRole": "EMR_AutoScaling_DefaultRole"}
NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
BUSY, IDLE = Load(running_tasks=4, waiting_tasks=9), Load()


def rule(name: str = "out", **alarm: Any) -> dict[str, Any]:
    """Out by two where less than 15 % are available for five minutes, then five minutes' rest."""
    change = {"ScalingAdjustment": alarm.pop("by", 2), "CoolDown": alarm.pop("cool_down", 300)}
    if "kind" in alarm:
        change["AdjustmentType"] = alarm.pop("kind")
    defaults = {
        "ComparisonOperator": "LESS_THAN",
        "MetricName": "YARNMemoryAvailablePercentage",
        "Period": 300,
        "Threshold": 15.0,
    }
    action = {"SimpleScalingPolicyConfiguration": change}
    return {"Name": name, "Action": action, "Trigger": {"CloudWatchAlarmDefinition": defaults | alarm}}


def policy(*rules: dict[str, Any], least: int = 1, most: int = 6) -> dict[str, Any]:
    return {"Constraints": {"MinCapacity": least, "MaxCapacity": most}, "Rules": list(rules or (rule(),))}


IN = rule("in", ComparisonOperator="GREATER_THAN", Threshold=75.0, by=-1, cool_down=120)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


class Scaled:
    """A cluster whose core group has a policy."""

    def __init__(self, play: ClusterPlay, *rules: dict[str, Any], **constraints: int) -> None:
        self.play = play
        self.cluster_id = play.create(**ROLE)
        play.settle(self.cluster_id)
        self.put(policy(*rules, **constraints))

    def group(self, role: str = "CORE") -> dict[str, Any]:
        found = self.play.emr.call("ListInstanceGroups", ClusterId=self.cluster_id)["InstanceGroups"]
        return next(group for group in found if group["InstanceGroupType"] == role)

    def put(self, given: dict[str, Any], role: str = "CORE") -> dict[str, Any]:
        names = {"ClusterId": self.cluster_id, "InstanceGroupId": self.group(role)["Id"]}
        return self.play.emr.call("PutAutoScalingPolicy", **names, AutoScalingPolicy=given)

    def refused(self, given: dict[str, Any], role: str = "CORE") -> str:
        names = {"ClusterId": self.cluster_id, "InstanceGroupId": self.group(role)["Id"]}
        return self.play.refused("PutAutoScalingPolicy", **names, AutoScalingPolicy=given)[1]

    def pass_time(self, seconds: int, load: Load | None) -> int:
        """So much time with this load; how many instances are asked for then."""
        self.play.probe.load_now = load
        for _ in range(seconds // 30):
            self.play.emr.clock.advance(30)
            self.play.turn(self.cluster_id)
        return int(self.group()["RequestedInstanceCount"])


def test_a_policy_is_kept_and_shown_with_its_defaults(play: ClusterPlay) -> None:
    scaled = Scaled(play, rule(), IN)
    shown = scaled.group()["AutoScalingPolicy"]
    assert shown["Status"]["State"] == "ATTACHED"
    assert shown["Constraints"] == {"MinCapacity": 1, "MaxCapacity": 6}
    alarm = shown["Rules"][0]["Trigger"]["CloudWatchAlarmDefinition"]
    assert (alarm["EvaluationPeriods"], alarm["Statistic"], alarm["Namespace"]) == (
        1,
        "AVERAGE",
        "AWS/ElasticMapReduce",
    )
    simple = shown["Rules"][1]["Action"]["SimpleScalingPolicyConfiguration"]
    assert simple == {"AdjustmentType": "CHANGE_IN_CAPACITY", "ScalingAdjustment": -1, "CoolDown": 120}
    assert scaled.put(policy())["AutoScalingPolicy"]["Status"]["State"] == "ATTACHED"
    names = {"ClusterId": scaled.cluster_id, "InstanceGroupId": scaled.group()["Id"]}
    play.emr.call("RemoveAutoScalingPolicy", **names)
    assert "AutoScalingPolicy" not in scaled.group()
    assert scaled.pass_time(1200, BUSY) == 2


def test_it_grows_rests_and_grows_again_to_its_end(play: ClusterPlay) -> None:
    scaled = Scaled(play, rule(), most=5)
    assert scaled.cluster_id in play.controller.pending()
    # A whole period must have been watched.
    assert scaled.pass_time(300, BUSY) == 2
    assert scaled.pass_time(60, BUSY) == 4
    assert scaled.pass_time(240, BUSY) == 4
    assert scaled.pass_time(120, BUSY) == 5
    assert scaled.pass_time(1200, BUSY) == 5
    assert scaled.group()["RunningInstanceCount"] == 5


def test_it_shrinks_to_its_least(play: ClusterPlay) -> None:
    scaled = Scaled(play, rule(), IN)
    assert scaled.pass_time(330, IDLE) == 1
    assert scaled.pass_time(1200, IDLE) == 1


def test_a_controller_that_is_started_anew_keeps_the_cool_down_and_watches_anew(play: ClusterPlay) -> None:
    scaled = Scaled(play, rule(cool_down=3600))
    assert scaled.pass_time(330, BUSY) == 4
    play.controller = play.new_controller()
    assert scaled.pass_time(1800, BUSY) == 4
    assert scaled.pass_time(1800, BUSY) == 6


def test_spark_that_does_not_answer_is_no_reason(play: ClusterPlay) -> None:
    scaled = Scaled(play, rule())
    assert scaled.pass_time(1200, None) == 2
    scaled.pass_time(120, BUSY)
    assert scaled.pass_time(1200, None) == 2


def test_a_new_cluster_and_a_new_group_can_bring_theirs(play: ClusterPlay) -> None:
    groups = [
        {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 1, "AutoScalingPolicy": policy()},
    ]
    code, message = play.refused("RunJobFlow", **play.request(Instances={"InstanceGroups": groups}))
    assert (code, "AutoScalingRole" in message) == ("ValidationException", True)
    cluster_id = play.create(Instances={"InstanceGroups": groups}, **ROLE)
    found = play.emr.call("ListInstanceGroups", ClusterId=cluster_id)["InstanceGroups"]
    assert [one.get("AutoScalingPolicy", {}).get("Constraints") for one in found][1] == policy()["Constraints"]
    task = {
        "InstanceRole": "TASK",
        "InstanceType": "m5.xlarge",
        "InstanceCount": 0,
        "AutoScalingPolicy": policy(least=0),
    }
    play.emr.call("AddInstanceGroups", JobFlowId=cluster_id, InstanceGroups=[task])
    found = play.emr.call("ListInstanceGroups", ClusterId=cluster_id)["InstanceGroups"]
    assert found[2]["AutoScalingPolicy"]["Constraints"]["MinCapacity"] == 0


def test_what_is_refused(play: ClusterPlay) -> None:
    scaled = Scaled(play)
    wrong = {
        "MinCapacity 0 of the CORE group": policy(least=0),
        "MaxCapacity 1 must be between": policy(least=2, most=1),
        "MaxCapacity 99 must be between": policy(most=99),
        "must be unique": policy(rule(), rule()),
        "1 to 10 rules": {**policy(), "Rules": []},
        "metric 'HDFSUtilization' is not known": policy(rule(MetricName="HDFSUtilization")),
        "metric 'IsIdle' is not known": policy(rule(MetricName="IsIdle", Namespace="Mine")),
        "Period 90 must be a multiple of 60": policy(rule(Period=90)),
        "EvaluationPeriods times Period": policy(rule(EvaluationPeriods=1000)),
        "CoolDown must not be negative": policy(rule(cool_down=-1)),
        "ScalingAdjustment must not be 0": policy(rule(by=0)),
        "must not be negative with EXACT": policy(rule(by=-1, kind="EXACT_CAPACITY")),
    }
    for message, given in wrong.items():
        assert message in scaled.refused(given)
    assert "for core and task" in scaled.refused(policy(), "MASTER")
    managed = {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 3}
    named = {"ClusterId": scaled.cluster_id, "ManagedScalingPolicy": {"ComputeLimits": managed}}
    assert "automatic scaling" in play.refused("PutManagedScalingPolicy", **named)[1]
    unknown = {"ClusterId": scaled.cluster_id, "InstanceGroupId": "ig-X"}
    assert play.refused("RemoveAutoScalingPolicy", **unknown)[0] == "InvalidRequestException"
    plain = play.create()
    play.emr.call("PutManagedScalingPolicy", **(named | {"ClusterId": plain}))
    group = play.emr.call("ListInstanceGroups", ClusterId=plain)["InstanceGroups"][1]["Id"]
    request = {"ClusterId": plain, "InstanceGroupId": group, "AutoScalingPolicy": policy()}
    assert "managed scaling" in play.refused("PutAutoScalingPolicy", **request)[1]
    play.emr.call("RemoveManagedScalingPolicy", ClusterId=plain)
    assert "AutoScalingRole" in play.refused("PutAutoScalingPolicy", **request)[1]


def test_metrics_of_a_load() -> None:
    assert set(METRICS) == set(metrics(BUSY, 2))
    assert metrics(IDLE, 2)["YARNMemoryAvailablePercentage"] == 100
    assert metrics(Load(running_tasks=1), 2)["YARNMemoryAvailablePercentage"] == 50
    assert metrics(Load(running_applications=1), 2)["YARNMemoryAvailablePercentage"] == 0
    assert metrics(BUSY, 4)["YARNMemoryAvailablePercentage"] == 0
    assert metrics(BUSY, 4)["ContainerPendingRatio"] == 9 / 4
    assert (metrics(IDLE, 2)["IsIdle"], metrics(BUSY, 2)["IsIdle"]) == (1, 0)


@pytest.mark.parametrize(
    ("statistic", "threshold", "on"),
    [
        ("AVERAGE", 15, True),
        ("MINIMUM", 9, False),
        ("MAXIMUM", 21, True),
        ("SUM", 29, False),
        ("SAMPLE_COUNT", 3, True),
    ],
)
def test_statistics(statistic: str, threshold: float, on: bool) -> None:
    alarm = _alarm(rule(Statistic=statistic, Threshold=threshold, Period=60))
    times = (70, 40, 20)
    samples = [
        (NOW - dt.timedelta(seconds=ago), {"YARNMemoryAvailablePercentage": value})
        for ago, value in zip(times, (99.0, 20.0, 9.0), strict=True)
    ]
    assert is_on(alarm, samples, NOW) == on


def test_all_periods_must_breach() -> None:
    alarm = _alarm(rule(EvaluationPeriods=2, Period=60))

    def low(*ago: int) -> bool:
        samples = [(NOW - dt.timedelta(seconds=one), {"YARNMemoryAvailablePercentage": 1.0}) for one in ago]
        return is_on(alarm, samples, NOW)

    assert low(130, 90, 30)
    # One that nobody watched, or a beginning that nobody saw.
    assert not low(130, 30)
    assert not low(90, 30)


@pytest.mark.parametrize(
    ("kind", "by", "present", "count"),
    [
        ("CHANGE_IN_CAPACITY", 3, 2, 5),
        ("CHANGE_IN_CAPACITY", 9, 2, 6),
        ("CHANGE_IN_CAPACITY", -9, 4, 1),
        ("PERCENT_CHANGE_IN_CAPACITY", 10, 2, 3),
        ("PERCENT_CHANGE_IN_CAPACITY", -50, 3, 1),
        ("EXACT_CAPACITY", 5, 2, 5),
        ("EXACT_CAPACITY", 2, 2, 2),
    ],
)
def test_adjustments(kind: str, by: int, present: int, count: int) -> None:
    kept = check_policy(policy(rule(by=by, kind=kind, Period=60)), "CORE", 19)
    samples = [(NOW - dt.timedelta(seconds=ago), {"YARNMemoryAvailablePercentage": 1.0}) for ago in (61, 30)]
    assert wanted(kept, present, samples, NOW)[0] == count


def test_the_rule_that_leaves_most_wins() -> None:
    kept = check_policy(policy(rule("less", by=-1, Period=60), rule("more", by=2, Period=60)), "CORE", 19)
    samples = [(NOW - dt.timedelta(seconds=ago), {"YARNMemoryAvailablePercentage": 1.0}) for ago in (61, 30)]
    assert wanted(kept, 2, samples, NOW) == (4, 300)


def _alarm(given: dict[str, Any]) -> dict[str, Any]:
    kept = check_policy(policy(given), "CORE", 19)
    found: dict[str, Any] = kept["Rules"][0]["Trigger"]["CloudWatchAlarmDefinition"]
    return found
