"""What a request may say of a cluster's instances, and what several requests share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.aws.errors import ValidationError
from emr_studio.clusters.model import Role
from emr_studio.clusters.scaling.rules import check_policy

MAX_INSTANCES = 20
"""In one cluster: each is processes on this machine."""
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_MAX_DEPTH = 4
_REFUSED_OF_GROUPS = ("CustomAmiId",)


def read_groups(instances: Mapping[str, Any], details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The instance groups of a request, primary first, whichever of its two forms it uses.

    `details`: the members of the cluster, or of the request for one, that say which roles it has.

    Raises:
        ValidationError: naming what is wrong.
    """
    groups = [dict(group) for group in instances.get("InstanceGroups") or ()] or _counted(instances)
    for group in groups:
        check_group(group, details)
    by_role = {role: [g for g in groups if g["InstanceRole"] == role] for role in Role}
    if len(by_role[Role.MASTER]) != 1:
        raise ValidationError("InstanceGroups must contain exactly one group with InstanceRole MASTER.")
    if by_role[Role.MASTER][0]["InstanceCount"] != 1:
        raise ValidationError("InstanceCount of the MASTER group must be 1: several primary nodes are not supported.")
    if len(by_role[Role.CORE]) > 1:
        raise ValidationError("InstanceGroups can contain at most one group with InstanceRole CORE.")
    if by_role[Role.TASK] and not by_role[Role.CORE]:
        raise ValidationError("InstanceGroups with InstanceRole TASK need a group with InstanceRole CORE.")
    check_total(sum(group["InstanceCount"] for group in groups))
    return [group for role in Role for group in by_role[role]]


def _counted(instances: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The older form: a count, and the types of the primary and of the others."""
    count, primary = instances.get("InstanceCount"), instances.get("MasterInstanceType")
    if count is None or not primary:
        raise ValidationError("Instances must have InstanceGroups, or InstanceCount and MasterInstanceType.")
    if count < 1:
        raise ValidationError("InstanceCount must be at least 1.")
    groups = [{"InstanceRole": "MASTER", "InstanceType": primary, "InstanceCount": 1}]
    if count > 1:
        other = instances.get("SlaveInstanceType") or primary
        groups.append({"InstanceRole": "CORE", "InstanceType": other, "InstanceCount": count - 1})
    return groups


def check_group(group: dict[str, Any], details: Mapping[str, Any]) -> None:
    """Check one group of a request; its automatic scaling policy, if it has one, is put into the form that is kept.

    Raises:
        ValidationError: naming what is wrong.
    """
    role, count, instance_type = group["InstanceRole"], group["InstanceCount"], group["InstanceType"]
    refuse(group, _REFUSED_OF_GROUPS, f"InstanceGroups: {role}: ")
    if count < (0 if role == Role.TASK else 1):
        raise ValidationError(f"InstanceCount of the {role} group must be at least 1, not {count}.")
    check_instance_type(instance_type, f"the {role} group")
    if group.get("BidPrice") and group.get("Market") == "ON_DEMAND":
        raise ValidationError(f"BidPrice of the {role} group needs Market SPOT.")
    check_configurations(group.get("Configurations"), f"Configurations of the {role} group")
    if policy := group.get("AutoScalingPolicy"):
        check_auto_scaling_role(details)
        group["AutoScalingPolicy"] = check_policy(policy, role, MAX_INSTANCES - 1)


def check_auto_scaling_role(details: Mapping[str, Any]) -> None:
    """Check that a cluster that is to have an automatic scaling policy has the role for it.

    Raises:
        ValidationError: it has none.
    """
    if not details.get("AutoScalingRole"):
        raise ValidationError("AutoScalingPolicy needs a cluster with an AutoScalingRole.")


def refuse(values: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> None:
    """Refuse members that this installation does not support.

    Raises:
        ValidationError: naming the first that is there.
    """
    for name in names:
        if values.get(name):
            raise ValidationError(f"{prefix}{name} is not supported by this installation.")


def check_configurations(given: Sequence[Mapping[str, Any]] | None, where: str, depth: int = 1) -> list[Any]:
    """Configurations of a request, as they are kept.

    Raises:
        ValidationError: one without a classification, or nested too deeply.
    """
    for entry in given or ():
        if not entry.get("Classification"):
            raise ValidationError(f"{where}: Classification is missing.")
        if depth >= _MAX_DEPTH and entry.get("Configurations"):
            raise ValidationError(f"{where}: nested too deeply below {entry['Classification']}.")
        check_configurations(entry.get("Configurations"), where, depth + 1)
    return [dict(entry) for entry in given or ()]


def check_instance_type(name: str, where: str) -> None:
    """Check that it is a type's name; any of EC2's sizes is scaled to the machine.

    Raises:
        ValidationError: it is none.
    """
    if not _INSTANCE_TYPE.fullmatch(name):
        raise ValidationError(f"InstanceType '{name}' of {where} is not supported.")


def check_total(count: int) -> None:
    """Check how many instances a cluster is to have.

    Raises:
        ValidationError: they are too many for one machine.
    """
    if count > MAX_INSTANCES:
        raise ValidationError(f"InstanceCount: {count} instances are more than the {MAX_INSTANCES} of one cluster.")
