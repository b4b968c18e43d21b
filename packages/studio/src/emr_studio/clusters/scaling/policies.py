"""What policies of managed scaling and auto-termination may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emr_studio.aws.errors import ValidationError

IDLE_DEFAULT, IDLE_LEAST, IDLE_MOST = 3600, 60, 604_800
"""Seconds (emr-studio.md 5.7)."""


def check_auto_termination(policy: Mapping[str, Any]) -> int:
    """The idle timeout of a policy in seconds.

    Raises:
        ValidationError: it is out of bounds.
    """
    seconds = int(policy.get("IdleTimeout") or IDLE_DEFAULT)
    if not IDLE_LEAST <= seconds <= IDLE_MOST:
        raise ValidationError(f"IdleTimeout must be between {IDLE_LEAST} and {IDLE_MOST} seconds, not {seconds}.")
    return seconds


def check_managed_scaling(policy: Mapping[str, Any], *, fleets: bool) -> dict[str, Any]:
    """The policy as it is kept.

    Raises:
        ValidationError: naming the limit that is wrong.
    """
    limits = policy.get("ComputeLimits")
    if not limits:
        raise ValidationError("ManagedScalingPolicy must have ComputeLimits.")
    if policy.get("ScalingStrategy") == "ADVANCED" or policy.get("UtilizationPerformanceIndex") is not None:
        raise ValidationError("ScalingStrategy ADVANCED is not supported by this installation.")
    if (limits["UnitType"] == "InstanceFleetUnits") != fleets:
        collection = "groups" if fleets else "fleets"
        raise ValidationError(f"UnitType {limits['UnitType']} is for clusters with instance {collection}.")
    least, most = limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if least < 1 or most < least:
        raise ValidationError(f"MinimumCapacityUnits {least} must be between 1 and MaximumCapacityUnits {most}.")
    for name in ("MaximumOnDemandCapacityUnits", "MaximumCoreCapacityUnits"):
        value = limits.get(name)
        if value is not None and not 0 <= value <= most:
            raise ValidationError(f"{name} {value} must be between 0 and MaximumCapacityUnits {most}.")
    if limits.get("MaximumCoreCapacityUnits", 1) < 1:
        raise ValidationError("MaximumCoreCapacityUnits must be at least 1.")
    return {"ComputeLimits": dict(limits), **{k: v for k, v in policy.items() if k != "ComputeLimits"}}
