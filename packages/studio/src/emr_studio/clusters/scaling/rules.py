"""Automatic scaling policies: what they may say, and when a rule's alarm is on.

CloudWatch's metrics of EMR speak of YARN; Spark's standalone cluster has their like (`METRICS`). An alarm is on when
the statistic of each of the last `EvaluationPeriods` periods compares so with the threshold; until a whole window has
been watched it is not on, as CloudWatch's are not with too little data.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emr_studio.aws.errors import ValidationError
from emr_studio.clusters.model import Role
from emr_studio.clusters.probe import Load

MOST_RULES = 10
NAMESPACE = "AWS/ElasticMapReduce"
_PERIOD = 60
_PERCENT, _EXACT, _CHANGE = "PERCENT_CHANGE_IN_CAPACITY", "EXACT_CAPACITY", "CHANGE_IN_CAPACITY"
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "GREATER_THAN": operator.gt,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
}
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SAMPLE_COUNT": len,
    "AVERAGE": lambda values: sum(values) / len(values),
    "SUM": sum,
    "MINIMUM": min,
    "MAXIMUM": max,
}
Sample = tuple[dt.datetime, Mapping[str, float]]


def metrics(load: Load, workers: int) -> dict[str, float]:
    """EMR's metrics of a cluster with so many core and task instances.

    Half of a worker is for notebooks, half for steps (`spark._seats`). An application of a step takes its half of all
    workers, so the cluster is as full as the fuller half; while something waits, nothing is available.
    """
    waiting = load.waiting_tasks + load.waiting_applications
    running = load.running_tasks + load.running_applications
    cores = max(1, workers * load.cores_of_a_worker)
    used = 1.0 if load.running_applications or waiting else min(1.0, load.running_tasks / cores)
    return {
        "YARNMemoryAvailablePercentage": round(100 * (1 - used), 2),
        "ContainerPendingRatio": waiting / max(1, running),
        "ContainerPending": float(waiting),
        "ContainerAllocated": float(running),
        "AppsRunning": float(load.running_applications),
        "AppsPending": float(load.waiting_applications),
        "IsIdle": float(not load.is_busy),
        "CoreNodesRunning": float(workers),
    }


METRICS = tuple(metrics(Load(), 1))


def check_policy(policy: Mapping[str, Any], role: str, most: int) -> dict[str, Any]:
    """The policy as it is kept, with CloudWatch's defaults.

    Raises:
        ValidationError: naming what is wrong.
    """
    least, largest = policy["Constraints"]["MinCapacity"], policy["Constraints"]["MaxCapacity"]
    if role == Role.MASTER:
        raise ValidationError("An automatic scaling policy is for core and task instance groups.")
    if least < (1 if role == Role.CORE else 0):
        raise ValidationError(f"MinCapacity {least} of the {role} group is too small.")
    if not least <= largest <= most:
        raise ValidationError(f"MaxCapacity {largest} must be between MinCapacity {least} and {most}.")
    rules = policy["Rules"]
    names = [rule["Name"] for rule in rules]
    if not 1 <= len(rules) <= MOST_RULES:
        raise ValidationError(f"An automatic scaling policy must have 1 to {MOST_RULES} rules.")
    if len(set(names)) < len(names):
        raise ValidationError("Names of rules must be unique.")
    return {"Constraints": dict(policy["Constraints"]), "Rules": [_rule(rule) for rule in rules]}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    where, alarm = f"Rule '{rule['Name']}'", rule["Trigger"]["CloudWatchAlarmDefinition"]
    action = rule["Action"]["SimpleScalingPolicyConfiguration"]
    if rule["Action"].get("Market") == "SPOT":
        raise ValidationError(f"{where}: Market must be that of the instance group.")
    if alarm.get("Namespace", NAMESPACE) != NAMESPACE or alarm["MetricName"] not in METRICS:
        known = ", ".join(METRICS)
        raise ValidationError(f"{where}: metric '{alarm['MetricName']}' is not known; {NAMESPACE} has {known}.")
    if alarm["Period"] < _PERIOD or alarm["Period"] % _PERIOD:
        raise ValidationError(f"{where}: Period {alarm['Period']} must be a multiple of {_PERIOD} seconds.")
    if alarm.get("EvaluationPeriods", 1) < 1 or alarm["Period"] * alarm.get("EvaluationPeriods", 1) > 86_400:
        raise ValidationError(f"{where}: EvaluationPeriods times Period must be between 1 period and a day.")
    if action.get("CoolDown", 0) < 0:
        raise ValidationError(f"{where}: CoolDown must not be negative.")
    _check_adjustment(where, action)
    defaults = {"EvaluationPeriods": 1, "Namespace": NAMESPACE, "Statistic": "AVERAGE", "Unit": "NONE"}
    defaults["Dimensions"] = [{"Key": "JobFlowId", "Value": "${emr.clusterId}"}]
    simple = {"AdjustmentType": _CHANGE, "CoolDown": 0, **action}
    kept = {"Action": {**rule["Action"], "SimpleScalingPolicyConfiguration": simple}}
    return {**rule, **kept, "Trigger": {"CloudWatchAlarmDefinition": {**defaults, **alarm}}}


def _check_adjustment(where: str, action: Mapping[str, Any]) -> None:
    kind, amount = action.get("AdjustmentType", _CHANGE), action["ScalingAdjustment"]
    if kind == _EXACT and amount < 0:
        raise ValidationError(f"{where}: ScalingAdjustment {amount} must not be negative with {_EXACT}.")
    if kind != _EXACT and amount == 0:
        raise ValidationError(f"{where}: ScalingAdjustment must not be 0 with {kind}.")


def window_of(policy: Mapping[str, Any]) -> dt.timedelta:
    """The longest time that a rule looks back."""
    alarms = [rule["Trigger"]["CloudWatchAlarmDefinition"] for rule in policy["Rules"]]
    return dt.timedelta(seconds=max(alarm["Period"] * alarm["EvaluationPeriods"] for alarm in alarms))


def is_on(alarm: Mapping[str, Any], samples: Sequence[Sample], now: dt.datetime) -> bool:
    """Whether the alarm is on, by samples in the order of their times."""
    period, compare = dt.timedelta(seconds=alarm["Period"]), _COMPARE[alarm["ComparisonOperator"]]
    begin = now - period * alarm["EvaluationPeriods"]
    if not samples or samples[0][0] > begin:
        return False
    for number in range(alarm["EvaluationPeriods"]):
        first = begin + period * number
        values = [found[alarm["MetricName"]] for at, found in samples if first < at <= first + period]
        if not values or not compare(_STATISTICS[alarm["Statistic"]](values), alarm["Threshold"]):
            return False
    return True


def wanted(policy: Mapping[str, Any], present: int, samples: Sequence[Sample], now: dt.datetime) -> tuple[int, int]:
    """How many instances the rules ask for, and the seconds before the next activity; `present` if none acts.

    Of several that act the one that leaves most instances wins.
    """
    limits = policy["Constraints"]
    found = [(present, 0)]
    for rule in policy["Rules"]:
        if is_on(rule["Trigger"]["CloudWatchAlarmDefinition"], samples, now):
            action = rule["Action"]["SimpleScalingPolicyConfiguration"]
            count = max(limits["MinCapacity"], min(_adjusted(action, present), limits["MaxCapacity"]))
            found.append((count, action["CoolDown"]))
    acting = [one for one in found if one[0] != present]
    return max(acting) if acting else (present, 0)


def _adjusted(action: Mapping[str, Any], present: int) -> int:
    kind, amount = action["AdjustmentType"], int(action["ScalingAdjustment"])
    if kind == _EXACT:
        return amount
    if kind == _CHANGE:
        return present + amount
    # Away from zero, so that a small group changes at all.
    change = present * amount / 100
    return present + (math.ceil(change) if change > 0 else math.floor(change))
