"""RunJobFlow: what a request must be, and the rows that come of it.

Everything that this installation cannot do is refused with the member's name, never ignored: a
cluster that silently lacks its bootstrap actions would be worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import AwsError, ValidationError
from emr_studio.clusters.bootstrapping import read_actions
from emr_studio.clusters.catalog.releases import Release, find_release
from emr_studio.clusters.fleets.reading import groups_of_fleets, new_fleet, read_fleets
from emr_studio.clusters.model import (
    Cluster,
    Collection,
    InstanceGroup,
    Role,
    State,
    Target,
    new_instance,
)
from emr_studio.clusters.reading import check_configurations, read_groups, refuse
from emr_studio.clusters.roles import ClusterRoles
from emr_studio.clusters.scaling.policies import check_auto_termination, check_managed_scaling
from emr_studio.clusters.security.documents import check_honoured, read_document
from emr_studio.clusters.security.model import find_configuration, first_public_group
from emr_studio.clusters.spares import identify, settle_instances, take_spare
from emr_studio.network.model import Subnet, ensure_default_network, get_security_groups, get_subnets
from emr_studio.network.zones import healthy
from emr_studio.settings import Settings
from emr_studio.tagging import read_tags

MAX_CONCURRENCY = 256
STARTING_MESSAGE = "Provisioning instances"

# Members that are kept and shown as they are.
_SHOWN = (
    "SecurityConfiguration",
    "LogUri",
    "LogEncryptionKmsKeyId",
    "AutoScalingRole",
    "ScaleDownBehavior",
    "EbsRootVolumeSize",
    "EbsRootVolumeIops",
    "EbsRootVolumeThroughput",
    "RepoUpgradeOnBoot",
    "OSReleaseLabel",
    "StepConcurrencyLevel",
    "ExtendedSupport",
    "SessionEnabled",
)
_SHOWN_OF_INSTANCES = (
    "Ec2KeyName",
    "EmrManagedMasterSecurityGroup",
    "EmrManagedSlaveSecurityGroup",
    "ServiceAccessSecurityGroup",
    "AdditionalMasterSecurityGroups",
    "AdditionalSlaveSecurityGroups",
)
# Members that would change what the cluster does, in ways that this installation does not know.
_REFUSED = (
    "AmiVersion",
    "SupportedProducts",
    "NewSupportedProducts",
    "CustomAmiId",
    "KerberosAttributes",
    "PlacementGroupConfigs",
    "MonitoringConfiguration",
)
_REFUSED_OF_INSTANCES = ("HadoopVersion",)


def create_cluster(context: Context, request: Mapping[str, Any], roles: ClusterRoles) -> Cluster:
    """Check the request and add the rows of a new cluster.

    Raises:
        ValidationError: naming the member that is wrong or that this installation does not support.
        InvalidRequest: for a subnet or security group that does not exist.
    """
    instances: Mapping[str, Any] = request["Instances"]
    refuse(request, _REFUSED)
    refuse(instances, _REFUSED_OF_INSTANCES, "Instances.")
    release = _release(request)
    fleets = read_fleets(instances)
    groups = groups_of_fleets(fleets) if fleets else read_groups(instances, request)
    wanted = _new_cluster(context, request, roles, release, groups)
    spare = take_spare(context, wanted, groups)
    cluster = spare or wanted
    if spare is None:
        identify(context.session, cluster)
        context.session.add(cluster)
    context.session.flush()
    for position, fleet in enumerate(fleets):
        context.session.add(new_fleet(cluster, fleet, position, wanted.creation_time))
    context.session.flush()
    rows = [add_group(context, cluster, group, position) for position, group in enumerate(groups)]
    if spare is None:
        _add_instances(context, cluster, rows)
    else:
        settle_instances(context.session, cluster, rows)
    return cluster


def _new_cluster(
    context: Context,
    request: Mapping[str, Any],
    roles: ClusterRoles,
    release: Release,
    groups: Sequence[Mapping[str, Any]],
) -> Cluster:
    """The row, checked, that is in no session yet."""
    instances: Mapping[str, Any] = request["Instances"]
    subnet = _subnet(context, instances)
    _check_security_groups(context, instances)
    configurations = check_configurations(request.get("Configurations"), "Configurations")
    now = context.now()
    return Cluster(
        account_id=context.account_id,
        region=context.region,
        name=request["Name"],
        release_label=release.label,
        applications=_applications(request, release),
        service_role=request["ServiceRole"],
        job_flow_role=request["JobFlowRole"],
        role_arn=roles.instance_role_arn,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        collection=Collection.FLEETS if any(group.get("FleetId") for group in groups) else Collection.GROUPS,
        availability_zone=subnet.availability_zone,
        keep_alive=bool(instances.get("KeepJobFlowAliveWhenNoSteps", False)),
        termination_protected=bool(instances.get("TerminationProtected", False)),
        visible_to_all_users=request.get("VisibleToAllUsers", True),
        configurations=configurations,
        bootstrap_actions=read_actions(request),
        **_policies(request, groups),
        security=_security(context, request),
        details=_details(request, instances),
        tags=read_tags(request.get("Tags")),
        creator_user_id=context.caller.user_id,
        state=State.STARTING,
        target=Target.RUNNING,
        state_message=STARTING_MESSAGE,
        creation_time=now,
        phase_since=now,
    )


def _policies(request: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of the policies that govern the cluster's size and end."""
    found: dict[str, Any] = {}
    if request.get("ManagedScalingPolicy"):
        if not any(group["InstanceRole"] == Role.CORE for group in groups):
            raise ValidationError("ManagedScalingPolicy needs a group with InstanceRole CORE.")
        if any(group.get("AutoScalingPolicy") for group in groups):
            raise ValidationError(
                "ManagedScalingPolicy and AutoScalingPolicy of instance groups are mutually exclusive."
            )
        fleets = any(group.get("FleetId") for group in groups)
        found["managed_scaling"] = check_managed_scaling(request["ManagedScalingPolicy"], fleets=fleets)
    if request.get("AutoTerminationPolicy") is not None:
        found["idle_timeout"] = check_auto_termination(request["AutoTerminationPolicy"])
    return found


def _security(context: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """The document of the named security configuration, as it is now."""
    name = request.get("SecurityConfiguration")
    if not name:
        return {}
    try:
        row = find_configuration(context.session, context.account_id, context.region, name)
    except AwsError as error:
        raise ValidationError(f"SecurityConfiguration: {error.message}") from error
    check_honoured(name, read_document(row.document))
    return dict(json.loads(row.document))


def _release(request: Mapping[str, Any]) -> Release:
    label = request.get("ReleaseLabel")
    if not label:
        raise ValidationError("ReleaseLabel is required for creating cluster.")
    release = find_release(label)
    if release is None:
        raise ValidationError(f"The supplied release label is invalid: {label}.")
    if request.get("SessionEnabled") and release.spark.startswith("3."):
        raise ValidationError(f"SessionEnabled needs a release with Spark 4, not {release.label}.")
    return release


def _applications(request: Mapping[str, Any], release: Release) -> list[str]:
    wanted = [application.get("Name") or "" for application in request.get("Applications") or ()]
    known = [release.application(name) for name in wanted]
    unknown = [name for name, proper in zip(wanted, known, strict=True) if proper is None]
    if unknown:
        raise ValidationError(
            f"Applications: {', '.join(unknown)} is not valid for release label {release.label}; "
            f"it has {', '.join(release.applications)}."
        )
    return sorted({name for name in known if name})


def _subnet(context: Context, instances: Mapping[str, Any]) -> Subnet:
    wanted = [instances["Ec2SubnetId"]] if instances.get("Ec2SubnetId") else list(instances.get("Ec2SubnetIds") or ())
    zone = (instances.get("Placement") or {}).get("AvailabilityZone")
    if not wanted:
        network = ensure_default_network(context.session, context.port(Settings), context.account_id)
        wanted = list(network.subnet_ids)
    elif zone:
        raise ValidationError("Instances: Ec2SubnetId and Placement.AvailabilityZone are mutually exclusive.")
    try:
        subnets = get_subnets(context.session, context.account_id, wanted)
    except AwsError as error:
        raise ValidationError(f"Instances.Ec2SubnetId: {error.message}") from error
    fitting = [subnet for subnet in subnets if zone in (None, subnet.availability_zone)]
    if not fitting:
        raise ValidationError(f"Placement.AvailabilityZone '{zone}' has no default subnet.")
    try:
        return healthy(context.session, fitting)[0]
    except AwsError as error:
        raise ValidationError(f"Instances.Ec2SubnetId: {error.message}") from error


def _check_security_groups(context: Context, instances: Mapping[str, Any]) -> None:
    """They must be there, and let nobody in whom block public access keeps out."""
    named: list[str] = []
    for name in _SHOWN_OF_INSTANCES:
        if name.endswith(("SecurityGroup", "SecurityGroups")) and (value := instances.get(name)):
            wanted = [value] if isinstance(value, str) else _named(value)
            try:
                get_security_groups(context.session, context.account_id, wanted)
            except AwsError as error:
                raise ValidationError(f"Instances.{name}: {error.message}") from error
            named += wanted
    public = first_public_group(context.session, context.account_id, context.region, named)
    if public:
        raise ValidationError(
            f"The security group {public} has an inbound rule that allows public access to a port that the block "
            "public access configuration of this account does not permit. Change the rule or the configuration."
        )


def _named(groups: Sequence[str]) -> list[str]:
    """Those that are named: Terraform writes an empty list as a list of one empty string."""
    return [group for group in groups if group]


def _details(request: Mapping[str, Any], instances: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: request[name] for name in _SHOWN if request.get(name) is not None}
    own = {name: instances[name] for name in _SHOWN_OF_INSTANCES if instances.get(name)}
    own |= {name: _named(groups) for name, groups in own.items() if isinstance(groups, list)}
    if instances.get("UnhealthyNodeReplacement") is not None:
        kept["UnhealthyNodeReplacement"] = instances["UnhealthyNodeReplacement"]
    level = kept.setdefault("StepConcurrencyLevel", 1)
    if not 1 <= level <= MAX_CONCURRENCY:
        raise ValidationError(f"StepConcurrencyLevel must be between 1 and {MAX_CONCURRENCY}.")
    kept.setdefault("ScaleDownBehavior", "TERMINATE_AT_TASK_COMPLETION")
    return {**kept, "Ec2InstanceAttributes": own}


def _add_instances(context: Context, cluster: Cluster, groups: Sequence[InstanceGroup]) -> None:
    members = [group for group in groups for _ in range(group.requested_count)]
    for number, group in enumerate(members):
        context.session.add(new_instance(group, number, cluster.creation_time))
    context.session.flush()


def add_group(context: Context, cluster: Cluster, group: Mapping[str, Any], position: int) -> InstanceGroup:
    """Add the row of a group that was checked (`check_group`); its instances come later."""
    row = InstanceGroup(
        id=ids.instance_group_id(),
        cluster_id=cluster.id,
        fleet_id=group.get("FleetId"),
        position=position,
        # Terraform replaces a cluster whose groups have names that it did not give.
        name=group.get("Name") or "",
        role=group["InstanceRole"],
        instance_type=group["InstanceType"],
        market=group.get("Market") or "ON_DEMAND",
        bid_price=group.get("BidPrice"),
        requested_count=group["InstanceCount"],
        configurations=[dict(entry) for entry in group.get("Configurations") or ()],
        details={"EbsConfiguration": group["EbsConfiguration"]} if group.get("EbsConfiguration") else {},
        auto_scaling=group.get("AutoScalingPolicy") or {},
    )
    context.session.add(row)
    context.session.flush()
    return row
