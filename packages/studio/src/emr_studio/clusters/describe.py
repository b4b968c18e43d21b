"""The API's shapes of clusters, groups and instances."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from emr_studio.clusters.catalog.releases import find_release
from emr_studio.clusters.model import (
    COMING,
    ENDED,
    OUTSIDE,
    Cluster,
    Instance,
    InstanceGroup,
    State,
    cluster_arn,
    is_outside,
)
from emr_studio.tagging import tag_list


def cluster_shape(cluster: Cluster, primary: Instance) -> dict[str, Any]:
    """`Cluster` of DescribeCluster."""
    details = {name: value for name, value in cluster.details.items() if name != "Ec2InstanceAttributes"}
    if is_outside(cluster):
        return _outside_shape(cluster)
    shape: dict[str, Any] = {
        **details,
        **summary_shape(cluster),
        "Ec2InstanceAttributes": _ec2_attributes(cluster),
        "InstanceCollectionType": cluster.collection,
        "ReleaseLabel": cluster.release_label,
        "AutoTerminate": not cluster.keep_alive,
        "TerminationProtected": cluster.termination_protected,
        "VisibleToAllUsers": cluster.visible_to_all_users,
        "Applications": _applications(cluster),
        "Tags": tag_list(cluster.tags),
        "ServiceRole": cluster.service_role,
        "Configurations": cluster.configurations,
    }
    if primary.private_ip:
        shape["MasterPublicDnsName"] = private_dns_name(primary.private_ip, cluster.region)
    return shape


def _outside_shape(cluster: Cluster) -> dict[str, Any]:
    """That of one from outside, of which we know neither release nor instances."""
    return {
        **summary_shape(cluster),
        "Ec2InstanceAttributes": {"Ec2SubnetId": cluster.subnet_id, "Ec2AvailabilityZone": cluster.availability_zone},
        "AutoTerminate": False,
        "TerminationProtected": cluster.termination_protected,
        "VisibleToAllUsers": cluster.visible_to_all_users,
        "Applications": [],
        "Tags": tag_list(cluster.tags),
    }


def summary_shape(cluster: Cluster) -> dict[str, Any]:
    """`ClusterSummary` of ListClusters."""
    status: dict[str, Any] = {
        "State": cluster.state,
        "StateChangeReason": present(Code=cluster.state_code, Message=cluster.state_message),
        "Timeline": timeline(cluster.creation_time, cluster.ready_time, cluster.end_time),
        "Phases": cluster.phases,
    }
    if cluster.log_lines and cluster.state in (State.TERMINATING, *ENDED):
        status["ErrorDetails"] = [
            {
                "ErrorCode": cluster.state_code or "",
                "ErrorMessage": cluster.state_message or "",
                "ErrorData": [{"log": line} for line in cluster.log_lines],
            }
        ]
    shape = {"Id": cluster.id, "Name": cluster.name, "Status": status, "ClusterArn": cluster_arn(cluster)}
    return shape | ({OUTSIDE: cluster.details[OUTSIDE]} if is_outside(cluster) else {})


def _applications(cluster: Cluster) -> list[dict[str, str]]:
    release = find_release(cluster.release_label)
    versions = release.applications if release else {}
    return [present(Name=name, Version=versions.get(name)) for name in cluster.applications]


def _ec2_attributes(cluster: Cluster) -> dict[str, Any]:
    profile = cluster.job_flow_role
    return {
        **cluster.details.get("Ec2InstanceAttributes", {}),
        "Ec2SubnetId": cluster.subnet_id,
        "RequestedEc2SubnetIds": [cluster.subnet_id],
        "Ec2AvailabilityZone": cluster.availability_zone,
        "RequestedEc2AvailabilityZones": [],
        "IamInstanceProfile": profile,
    }


def group_shape(group: InstanceGroup, cluster: Cluster, instances: Sequence[Instance]) -> dict[str, Any]:
    """`InstanceGroup` of ListInstanceGroups."""
    own = [instance for instance in instances if instance.group_id == group.id]
    ready = [instance.ready_time for instance in own if instance.ready_time]
    shape = present(
        Id=group.id,
        Name=group.name,
        Market=group.market,
        InstanceGroupType=group.role,
        BidPrice=group.bid_price,
        InstanceType=group.instance_type,
        RequestedInstanceCount=group.requested_count,
        RunningInstanceCount=sum(1 for instance in own if instance.state == "RUNNING"),
        Configurations=group.configurations,
        EbsBlockDevices=[],
        ShrinkPolicy={name: value for name, value in group.shrink_policy.items() if name != "Named"},
        AutoScalingPolicy=auto_scaling_shape(group) if group.auto_scaling else None,
    )
    reason = {"Code": "INSTANCE_FAILURE", "Message": group.suspended} if group.suspended else {"Message": ""}
    shape["Status"] = {
        "State": group_state(group, cluster, own),
        "StateChangeReason": reason,
        "Timeline": timeline(cluster.creation_time, max(ready, default=None), cluster.end_time),
    }
    return shape


def auto_scaling_shape(group: InstanceGroup) -> dict[str, Any]:
    """`AutoScalingPolicy` of a group that has one: in force as soon as it is there."""
    reason = {"Code": "USER_REQUEST", "Message": "Created By User"}
    return {**group.auto_scaling, "Status": {"State": "ATTACHED", "StateChangeReason": reason}}


def group_state(group: InstanceGroup, cluster: Cluster, own: Sequence[Instance]) -> str:
    """State of a group of which these are the instances."""
    if cluster.state == State.STARTING:
        return "PROVISIONING"
    if cluster.state in COMING:
        return "BOOTSTRAPPING"
    if cluster.state == State.TERMINATING:
        return "SHUTTING_DOWN"
    if cluster.state in ENDED:
        return "TERMINATED"
    if group.suspended:
        return "SUSPENDED"
    living = [node for node in own if node.state != "TERMINATED"]
    settled = [node for node in living if node.state == "RUNNING" and node.leaving_since is None]
    return "RUNNING" if len(settled) == len(living) == group.requested_count else "RESIZING"


def instance_shape(instance: Instance, group: InstanceGroup, cluster: Cluster) -> dict[str, Any]:
    """`Instance` of ListInstances."""
    shape = present(
        Id=instance.id,
        Ec2InstanceId=instance.ec2_id,
        PublicDnsName="",
        PrivateIpAddress=instance.private_ip or None,
        PrivateDnsName=private_dns_name(instance.private_ip, cluster.region) if instance.private_ip else None,
        InstanceGroupId=None if group.fleet_id else group.id,
        InstanceFleetId=group.fleet_id,
        Market=group.market,
        InstanceType=instance.instance_type,
        EbsVolumes=[],
    )
    ended = instance.state == "TERMINATED"
    reason = _end_reason(instance, cluster) if ended else {}
    shape["Status"] = {
        "State": instance.state,
        "StateChangeReason": reason,
        "Timeline": timeline(instance.creation_time, instance.ready_time, instance.end_time),
    }
    return shape


def _end_reason(instance: Instance, cluster: Cluster) -> dict[str, Any]:
    if instance.end_reason:
        return {"Code": "INSTANCE_FAILURE", "Message": instance.end_reason}
    if instance.leaving_since is not None:
        return {"Message": "Instance was terminated because its group was resized."}
    return present(Code=cluster.state_code, Message=cluster.state_message)


def private_dns_name(ip: str, region: str) -> str:
    """EC2's name of a private address: `ip-172-31-0-9.ec2.internal`."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{ip.replace('.', '-')}.{domain}"


def timeline(created: dt.datetime, ready: dt.datetime | None, ended: dt.datetime | None) -> dict[str, Any]:
    """`Timeline` of a cluster, a group, a fleet or an instance."""
    return present(CreationDateTime=created, ReadyDateTime=ready, EndDateTime=ended)


def present(**members: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
