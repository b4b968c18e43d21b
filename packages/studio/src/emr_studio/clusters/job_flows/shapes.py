"""`JobFlowDetail`: a cluster with all that belongs to it, in the words of old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emr_studio.clusters.describe import group_shape, present, private_dns_name
from emr_studio.clusters.model import Cluster, Instance, InstanceGroup, Reason, Role, State
from emr_studio.clusters.steps.model import Step, StepState

_STATES = {State.TERMINATING: "SHUTTING_DOWN", State.TERMINATED_WITH_ERRORS: "FAILED"}
"""The others have kept their names; TERMINATED is COMPLETED where all steps were done."""


@dataclass(frozen=True)
class JobFlow:
    """A cluster and its rows; groups and instances primary first, steps in their order."""

    cluster: Cluster
    groups: Sequence[InstanceGroup]
    instances: Sequence[Instance]
    steps: Sequence[Step]


def old_state(cluster: Cluster) -> str:
    """A cluster's state in the words of old."""
    if cluster.state == State.TERMINATED and cluster.state_code == Reason.ALL_STEPS_COMPLETED:
        return "COMPLETED"
    return _STATES.get(State(cluster.state), cluster.state)


def job_flow_shape(flow: JobFlow) -> dict[str, Any]:
    """`JobFlowDetail` of DescribeJobFlows."""
    cluster = flow.cluster
    kept = ("LogUri", "LogEncryptionKmsKeyId", "AutoScalingRole", "ScaleDownBehavior")
    return present(
        **{name: cluster.details.get(name) for name in kept},
        JobFlowId=cluster.id,
        Name=cluster.name,
        ExecutionStatusDetail=present(
            State=old_state(cluster),
            CreationDateTime=cluster.creation_time,
            # Instances are there from the beginning: nothing waits for EC2.
            StartDateTime=cluster.creation_time,
            ReadyDateTime=cluster.ready_time,
            EndDateTime=cluster.end_time,
            LastStateChangeReason=cluster.state_message,
        ),
        Instances=_instances(flow),
        Steps=[_step(step) for step in flow.steps],
        BootstrapActions=[_action(one) for one in cluster.bootstrap_actions],
        SupportedProducts=[],
        VisibleToAllUsers=cluster.visible_to_all_users,
        JobFlowRole=cluster.job_flow_role,
        ServiceRole=cluster.service_role,
    )


def _instances(flow: JobFlow) -> dict[str, Any]:
    cluster, primary = flow.cluster, next(node for node in flow.instances if node.role == Role.MASTER)
    others = [group.instance_type for group in flow.groups if group.role != Role.MASTER]
    groups = [_group(group, flow) for group in flow.groups if group.fleet_id is None]
    return present(
        MasterInstanceType=primary.instance_type,
        MasterInstanceId=primary.ec2_id,
        MasterPublicDnsName=private_dns_name(primary.private_ip, cluster.region) if primary.private_ip else None,
        SlaveInstanceType=others[0] if others else primary.instance_type,
        InstanceCount=sum(group.requested_count for group in flow.groups),
        InstanceGroups=groups,
        Ec2KeyName=cluster.details.get("Ec2InstanceAttributes", {}).get("Ec2KeyName"),
        Ec2SubnetId=cluster.subnet_id,
        Placement={"AvailabilityZone": cluster.availability_zone},
        KeepJobFlowAliveWhenNoSteps=cluster.keep_alive,
        TerminationProtected=cluster.termination_protected,
        UnhealthyNodeReplacement=cluster.details.get("UnhealthyNodeReplacement"),
    )


def _group(group: InstanceGroup, flow: JobFlow) -> dict[str, Any]:
    new = group_shape(group, flow.cluster, flow.instances)
    status = new["Status"]
    return present(
        InstanceGroupId=group.id,
        Name=group.name,
        Market=group.market,
        InstanceRole=group.role,
        BidPrice=group.bid_price,
        InstanceType=group.instance_type,
        InstanceRequestCount=group.requested_count,
        InstanceRunningCount=new["RunningInstanceCount"],
        State=status["State"],
        LastStateChangeReason=status["StateChangeReason"].get("Message"),
        StartDateTime=flow.cluster.creation_time,
        **status["Timeline"],
    )


def _step(step: Step) -> dict[str, Any]:
    # The old words have none for a step that is being cancelled: it still runs.
    state = StepState.RUNNING if step.state == StepState.CANCEL_PENDING else step.state
    jar = present(
        Jar=step.jar,
        MainClass=step.main_class,
        Args=step.arguments,
        Properties=[{"Key": key, "Value": value} for key, value in step.properties.items()],
    )
    return {
        "StepConfig": {"Name": step.name, "ActionOnFailure": step.action_on_failure, "HadoopJarStep": jar},
        "ExecutionStatusDetail": present(
            State=str(state),
            CreationDateTime=step.creation_time,
            StartDateTime=step.start_time,
            EndDateTime=step.end_time,
            LastStateChangeReason=step.message or None,
        ),
    }


def _action(one: dict[str, Any]) -> dict[str, Any]:
    script = {"Path": one["ScriptPath"], "Args": one["Args"]}
    return {"BootstrapActionConfig": {"Name": one["Name"], "ScriptBootstrapAction": script}}
