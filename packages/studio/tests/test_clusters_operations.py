"""The cluster operations of the EMR API: what they accept, refuse, answer and ask of IAM."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.clusters.attachable import compatible_for_attach
from emr_studio.clusters.model import Cluster
from emr_studio.network.model import ensure_default_network
from tests.support.cluster_play import EC2, PROFILE, SERVICE_ROLE, ClusterPlay
from tests.support.emr_world import EMR, OTHER_ACCOUNT, emr_world, statement

ARN = "arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/"
GROUP = {"InstanceType": "m5.xlarge", "InstanceCount": 1}
MASTER = GROUP | {"InstanceRole": "MASTER"}
CORE = GROUP | {"InstanceRole": "CORE"}
TASK = GROUP | {"InstanceRole": "TASK"}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def test_run_and_describe(play: ClusterPlay) -> None:
    answer = play.emr.call(
        "RunJobFlow",
        **play.request(
            Name="mine",
            LogUri="s3://b/logs/",
            Tags=[{"Key": "team", "Value": "a"}],
            Configurations=[{"Classification": "spark-defaults", "Properties": {"spark.x": "1"}}],
            StepConcurrencyLevel=3,
        ),
    )
    cluster_id = answer["JobFlowId"]
    assert answer["ClusterArn"] == ARN + cluster_id
    assert ("cluster", cluster_id) in play.emr.wakes.seen
    found = play.describe(cluster_id)
    assert found["Status"]["State"] == "STARTING"
    assert found["Status"]["Timeline"] == {"CreationDateTime": play.emr.clock.now()}
    expected = {
        "Id": cluster_id,
        "Name": "mine",
        "ClusterArn": ARN + cluster_id,
        "ReleaseLabel": "emr-8.0.0",
        "InstanceCollectionType": "INSTANCE_GROUP",
        "AutoTerminate": False,
        "TerminationProtected": False,
        "VisibleToAllUsers": True,
        "LogUri": "s3://b/logs/",
        "ServiceRole": SERVICE_ROLE,
        "StepConcurrencyLevel": 3,
        "Tags": [{"Key": "team", "Value": "a"}],
        "Configurations": [{"Classification": "spark-defaults", "Properties": {"spark.x": "1"}}],
    }
    assert {name: found[name] for name in expected} == expected
    assert [a["Name"] for a in found["Applications"]] == ["JupyterEnterpriseGateway", "Livy", "Spark"]
    assert {"Name": "Spark", "Version": "4.1.4"} in found["Applications"]
    attributes = found["Ec2InstanceAttributes"]
    assert attributes["Ec2SubnetId"] == play.emr.network.subnet_ids[1]
    assert attributes["Ec2AvailabilityZone"] == "us-east-1b"
    assert attributes["IamInstanceProfile"] == PROFILE


def test_instances_and_groups(play: ClusterPlay) -> None:
    groups = [TASK, CORE | {"InstanceCount": 2, "Name": "core", "Market": "SPOT", "BidPrice": "0.1"}, MASTER]
    cluster_id = play.create(Instances={"InstanceGroups": groups})
    found = play.emr.call("ListInstanceGroups", ClusterId=cluster_id)["InstanceGroups"]
    assert [(g["InstanceGroupType"], g["RequestedInstanceCount"]) for g in found] == [
        ("MASTER", 1),
        ("CORE", 2),
        ("TASK", 1),
    ]
    assert (found[1]["Name"], found[1]["Market"], found[1]["BidPrice"]) == ("core", "SPOT", "0.1")
    assert [g["Status"]["State"] for g in found] == ["PROVISIONING"] * 3
    play.settle(cluster_id)
    found = play.emr.call("ListInstanceGroups", ClusterId=cluster_id)["InstanceGroups"]
    assert [(g["RunningInstanceCount"], g["Status"]["State"]) for g in found] == [
        (1, "RUNNING"),
        (2, "RUNNING"),
        (1, "RUNNING"),
    ]

    def listed(**filters: Any) -> list[dict[str, Any]]:
        return list(play.emr.call("ListInstances", ClusterId=cluster_id, **filters)["Instances"])

    assert len(listed()) == 4
    assert len(listed(InstanceGroupTypes=["CORE"])) == 2
    assert len(listed(InstanceGroupId=found[2]["Id"])) == 1
    assert listed(InstanceStates=["TERMINATED"]) == []
    one = listed(InstanceGroupTypes=["MASTER"])[0]
    assert one["PrivateIpAddress"].startswith("172.31.")
    assert one["PrivateDnsName"] == "ip-" + one["PrivateIpAddress"].replace(".", "-") + ".ec2.internal"
    assert one["Ec2InstanceId"].startswith("i-")
    assert one["Id"].startswith("ci-")
    refused = play.refused("ListInstances", ClusterId=cluster_id, InstanceGroupId="ig-NONE")
    assert refused == ("InvalidRequestException", "Instance group id 'ig-NONE' is not valid.")


def test_the_older_form_of_instances(play: ClusterPlay) -> None:
    older = {"InstanceGroups": None, "MasterInstanceType": "m5.xlarge", "SlaveInstanceType": "r5.xlarge"}
    cluster_id = play.create(Instances=older | {"InstanceCount": 3})
    found = play.emr.call("ListInstanceGroups", ClusterId=cluster_id)["InstanceGroups"]
    assert [(g["InstanceGroupType"], g["InstanceType"], g["RequestedInstanceCount"]) for g in found] == [
        ("MASTER", "m5.xlarge", 1),
        ("CORE", "r5.xlarge", 2),
    ]
    single = play.create(Instances=older | {"InstanceCount": 1})
    assert len(play.emr.call("ListInstances", ClusterId=single)["Instances"]) == 1


def test_a_subnet_is_found(play: ClusterPlay) -> None:
    network = play.emr.network
    assert play.row(play.create(Instances={"Ec2SubnetId": None})).subnet_id == network.subnet_ids[0]
    several = {"Ec2SubnetId": None, "Ec2SubnetIds": [network.subnet_ids[2], network.subnet_ids[0]]}
    assert play.row(play.create(Instances=several)).subnet_id == network.subnet_ids[2]
    zone = {"Ec2SubnetId": None, "Placement": {"AvailabilityZone": "us-east-1c"}}
    assert play.row(play.create(Instances=zone)).subnet_id == network.subnet_ids[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ReleaseLabel": None}, "ReleaseLabel is required"),
        ({"ReleaseLabel": "emr-99.0.0"}, "The supplied release label is invalid: emr-99.0.0."),
        ({"Applications": [{"Name": "Nonsense"}]}, "Applications: Nonsense is not valid for release label emr-8.0.0"),
        ({"ServiceRole": None}, "ServiceRole is required for creating cluster."),
        ({"ServiceRole": "Nobody"}, "Invalid ServiceRole: Nobody."),
        ({"JobFlowRole": None}, "InstanceProfile is required for creating cluster."),
        ({"JobFlowRole": "Nobody"}, "Invalid InstanceProfile: Nobody."),
        ({"SecurityConfiguration": "x"}, "name 'x' does not exist"),
        ({"KerberosAttributes": {"Realm": "x"}}, "KerberosAttributes is not supported"),
        ({"AmiVersion": "3.1"}, "AmiVersion is not supported"),
        ({"StepConcurrencyLevel": 0}, "StepConcurrencyLevel must be between 1 and 256"),
        ({"Configurations": [{"Properties": {}}]}, "Configurations: Classification is missing"),
        ({"Instances": {"HadoopVersion": "2"}}, "Instances.HadoopVersion is not supported"),
        ({"Instances": {"InstanceGroups": None}}, "must have InstanceGroups, or InstanceCount"),
        ({"Instances": {"InstanceGroups": [CORE]}}, "exactly one group with InstanceRole MASTER"),
        ({"Instances": {"InstanceGroups": [MASTER, MASTER]}}, "exactly one group with InstanceRole MASTER"),
        ({"Instances": {"InstanceGroups": [MASTER | {"InstanceCount": 3}]}}, "several primary nodes"),
        ({"Instances": {"InstanceGroups": [MASTER, CORE | {"InstanceCount": 0}]}}, "InstanceCount of the CORE group"),
        ({"Instances": {"InstanceGroups": [MASTER, CORE, CORE]}}, "at most one group with InstanceRole CORE"),
        ({"Instances": {"InstanceGroups": [MASTER, TASK]}}, "need a group with InstanceRole CORE"),
        ({"Instances": {"InstanceGroups": [MASTER, CORE | {"InstanceCount": 99}]}}, "more than the 20"),
        ({"Instances": {"InstanceGroups": [MASTER | {"InstanceType": "big"}]}}, "InstanceType 'big'"),
        ({"Instances": {"InstanceGroups": [MASTER | {"AutoScalingPolicy": {"a": 1}}]}}, "AutoScalingPolicy"),
        ({"Instances": {"Ec2SubnetId": "subnet-1"}}, "Instances.Ec2SubnetId: Subnet 'subnet-1' does not exist."),
        ({"Instances": {"EmrManagedMasterSecurityGroup": "sg-1"}}, "EmrManagedMasterSecurityGroup: Security group"),
        ({"Instances": {"Placement": {"AvailabilityZone": "us-east-1a"}}}, "mutually exclusive"),
    ],
)
def test_what_is_refused(play: ClusterPlay, changes: dict[str, Any], words: str) -> None:
    code, message = play.refused("RunJobFlow", **play.request(**changes))
    assert code == "ValidationException"
    assert words in message
    assert play.emr.call("ListClusters")["Clusters"] == []


def test_a_subnet_of_another_account_does_not_exist(play: ClusterPlay) -> None:
    with play.emr.database.read() as session:
        foreign = ensure_default_network(session, play.emr.settings, OTHER_ACCOUNT).subnet_ids[0]
    code, message = play.refused("RunJobFlow", **play.request(Instances={"Ec2SubnetId": foreign}))
    assert (code, f"Subnet '{foreign}' does not exist." in message) == ("ValidationException", True)


def test_list_filter_and_page(play: ClusterPlay) -> None:
    made = []
    for _ in range(53):
        made.append(play.create(core=0))
        play.emr.clock.advance(60)
    first = play.emr.call("ListClusters")
    assert [c["Id"] for c in first["Clusters"]] == made[:2:-1]
    second = play.emr.call("ListClusters", Marker=first["Marker"])
    assert [c["Id"] for c in second["Clusters"]] == made[2::-1]
    assert "Marker" not in second
    play.settle(made[0])
    waiting = play.emr.call("ListClusters", ClusterStates=["WAITING", "RUNNING"])["Clusters"]
    assert [c["Id"] for c in waiting] == [made[0]]
    start = play.row(made[10]).creation_time
    between = {"CreatedAfter": start - dt.timedelta(seconds=1), "CreatedBefore": start + dt.timedelta(seconds=61)}
    assert [c["Id"] for c in play.emr.call("ListClusters", **between)["Clusters"]] == [made[11], made[10]]
    code, _ = play.refused("ListClusters", Marker=first["Marker"], ClusterStates=["WAITING"])
    assert code == "InvalidRequestException"


def test_termination_protection(play: ClusterPlay) -> None:
    kept = play.create(Instances={"TerminationProtected": True})
    other = play.create()
    refused = play.refused("TerminateJobFlows", JobFlowIds=[kept, other])
    assert refused == (
        "ValidationException",
        "Could not shut down one or more job flows since they are termination protected.",
    )
    assert play.state(other) == "STARTING"
    play.emr.call("SetTerminationProtection", JobFlowIds=[kept], TerminationProtected=False)
    assert play.describe(kept)["TerminationProtected"] is False
    play.emr.call("TerminateJobFlows", JobFlowIds=[kept, other])
    assert [play.settle(kept)[-1], play.settle(other)[-1]] == ["TERMINATED"] * 2
    play.emr.call("TerminateJobFlows", JobFlowIds=[kept])
    assert play.state(kept) == "TERMINATED"
    assert play.refused("SetTerminationProtection", JobFlowIds=[kept], TerminationProtected=True)[0] == (
        "ValidationException"
    )


def test_ids_that_are_not_there(play: ClusterPlay) -> None:
    expected = ("InvalidRequestException", "Cluster id 'j-NONE' is not valid.")
    assert play.refused("DescribeCluster", ClusterId="j-NONE") == expected
    assert play.refused("ListInstances", ClusterId="j-NONE") == expected
    assert play.refused("TerminateJobFlows", JobFlowIds=["j-NONE"]) == (
        "ValidationException",
        "Specified job flow ID does not exist.",
    )
    cluster_id = play.create()
    stranger = play.emr.user("stranger", account_id=OTHER_ACCOUNT)
    with pytest.raises(Exception, match="is not valid"):
        play.emr.call("DescribeCluster", stranger, ClusterId=cluster_id)


def test_what_terraform_reads(play: ClusterPlay) -> None:
    cluster_id = play.create()
    assert play.emr.call("ListBootstrapActions", ClusterId=cluster_id) == {"BootstrapActions": []}
    assert play.emr.call("ListSteps", ClusterId=cluster_id) == {"Steps": []}
    assert play.emr.call("GetAutoTerminationPolicy", ClusterId=cluster_id) == {}
    code, message = play.refused("ListInstanceFleets", ClusterId=cluster_id)
    assert code == "InvalidRequestException"
    assert message.startswith("Instance fleets and instance groups are mutually exclusive.")
    play.emr.call("SetVisibleToAllUsers", JobFlowIds=[cluster_id], VisibleToAllUsers=False)
    assert play.describe(cluster_id)["VisibleToAllUsers"] is False
    play.emr.call("AddTags", ResourceId=cluster_id, Tags=[{"Key": "a", "Value": "b"}])
    assert play.describe(cluster_id)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_releases(play: ClusterPlay) -> None:
    assert play.emr.call("ListReleaseLabels") == {"ReleaseLabels": ["emr-8.0.0", "emr-7.12.0"]}
    assert play.emr.call("ListReleaseLabels", Filters={"Prefix": "emr-7"}) == {"ReleaseLabels": ["emr-7.12.0"]}
    assert play.emr.call("ListReleaseLabels", Filters={"Application": "spark@4.1.4"})["ReleaseLabels"]
    assert not play.emr.call("ListReleaseLabels", Filters={"Application": "spark@3.5"})["ReleaseLabels"]
    found = play.emr.call("DescribeReleaseLabel", ReleaseLabel="emr-8.0.0")
    assert {"Name": "Spark", "Version": "4.1.4"} in found["Applications"]
    assert play.refused("DescribeReleaseLabel", ReleaseLabel="emr-1")[0] == "InvalidRequestException"


# Permissions.

PASS = (
    statement(
        "iam:PassRole", f"arn:aws:iam::123456789012:role/{SERVICE_ROLE}", StringEquals={"iam:PassedToService": EMR}
    ),
    statement("iam:PassRole", f"arn:aws:iam::123456789012:role/{PROFILE}", StringEquals={"iam:PassedToService": EC2}),
)
RUN = statement("elasticmapreduce:RunJobFlow")


@pytest.mark.parametrize(
    ("statements", "denied"),
    [
        ((RUN, *PASS), None),
        (PASS, "elasticmapreduce:RunJobFlow"),
        ((RUN, PASS[0]), "iam:PassRole"),
        ((RUN, PASS[1]), "iam:PassRole"),
        ((RUN, statement("iam:PassRole", StringEquals={"iam:PassedToService": EMR})), "iam:PassRole"),
    ],
)
def test_who_may_create(play: ClusterPlay, statements: tuple[dict[str, Any], ...], denied: str | None) -> None:
    user = play.emr.user("u", *statements)
    if denied is None:
        assert play.emr.call("RunJobFlow", user, **play.request())["JobFlowId"]
    else:
        with pytest.raises(AccessDenied, match=denied):
            play.emr.call("RunJobFlow", user, **play.request())


@pytest.mark.parametrize("prefix", ["aws", "elasticmapreduce"])
def test_tags_decide(play: ClusterPlay, prefix: str) -> None:
    mine = {"StringEquals": {f"{prefix}:RequestTag/owner": "u"}}
    own = {"StringEquals": {f"{prefix}:ResourceTag/owner": "u"}}
    user = play.emr.user(
        "u",
        statement("elasticmapreduce:RunJobFlow", **mine),
        *PASS,
        statement(["elasticmapreduce:DescribeCluster", "elasticmapreduce:TerminateJobFlows"], ARN + "*", **own),
    )
    with pytest.raises(AccessDenied):
        play.emr.call("RunJobFlow", user, **play.request())
    tags = [{"Key": "owner", "Value": "u"}]
    cluster_id = play.emr.call("RunJobFlow", user, **play.request(Tags=tags))["JobFlowId"]
    assert play.emr.call("DescribeCluster", user, ClusterId=cluster_id)["Cluster"]["Id"] == cluster_id
    other = play.create()
    for operation, request in (
        ("DescribeCluster", {"ClusterId": other}),
        ("TerminateJobFlows", {"JobFlowIds": [cluster_id, other]}),
        ("SetTerminationProtection", {"JobFlowIds": [cluster_id], "TerminationProtected": True}),
        ("ListClusters", {}),
    ):
        with pytest.raises(AccessDenied, match=operation):
            play.emr.call(operation, user, **request)
    play.emr.call("TerminateJobFlows", user, JobFlowIds=[cluster_id])
    assert play.state(cluster_id) == "TERMINATING"


# What a Workspace may attach to.


def test_only_compatible_clusters(play: ClusterPlay) -> None:
    def unfit(cluster: Cluster) -> str | None:
        with play.emr.database.read() as session:
            return compatible_for_attach(session, cluster)

    good = play.row(play.create())
    assert unfit(good) is None
    plain = play.row(play.create(Applications=[{"Name": "Spark"}]))
    assert unfit(plain) == "The cluster lacks the application(s) Livy, JupyterEnterpriseGateway."
    good.details = {"KerberosAttributes": {"Realm": "X"}}
    assert "Kerberos" in str(unfit(good))
    good.release_label = "emr-5.0.0"
    assert unfit(good) == "The release emr-5.0.0 is too old: it must be at least emr-5.32.0."
    ended = play.create()
    play.emr.call("TerminateJobFlows", JobFlowIds=[ended])
    assert unfit(play.row(ended)) == "The cluster is TERMINATING."


def test_flags_of_clusters(play: ClusterPlay) -> None:
    cluster_id = play.create()
    play.settle(cluster_id)
    call = play.emr.call
    call("SetUnhealthyNodeReplacement", JobFlowIds=[cluster_id], UnhealthyNodeReplacement=True)
    assert play.describe(cluster_id)["UnhealthyNodeReplacement"] is True
    assert call("ModifyCluster", ClusterId=cluster_id, StepConcurrencyLevel=3) == {"StepConcurrencyLevel": 3}
    assert play.describe(cluster_id)["StepConcurrencyLevel"] == 3
    for wrong in ({}, {"StepConcurrencyLevel": 0}, {"StepConcurrencyLevel": 257}):
        assert play.refused("ModifyCluster", ClusterId=cluster_id, **wrong)[0] == "InvalidRequestException"
    call("SetKeepJobFlowAliveWhenNoSteps", JobFlowIds=[cluster_id], KeepJobFlowAliveWhenNoSteps=False)
    assert play.describe(cluster_id)["AutoTerminate"] is True
    assert cluster_id in play.controller.pending()
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    assert play.describe(cluster_id)["Status"]["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"


def test_supported_instance_types(play: ClusterPlay) -> None:
    found = play.emr.call("ListSupportedInstanceTypes", ReleaseLabel="emr-8.0.0")["SupportedInstanceTypes"]
    by_name = {one["Type"]: one for one in found}
    assert (by_name["m5.xlarge"]["VCPU"], by_name["m5.xlarge"]["MemoryGB"]) == (4, 16)
    assert by_name["r6g.2xlarge"]["Architecture"] == "ARM64"
    assert by_name["c5d.large"]["StorageGB"] == 75
    assert play.refused("ListSupportedInstanceTypes", ReleaseLabel="emr-1")[0] == "InvalidRequestException"


def test_additional_groups_that_terraform_does_not_name(play: ClusterPlay) -> None:
    group = play.emr.network.engine_security_group_id
    additional = {"AdditionalMasterSecurityGroups": [""], "AdditionalSlaveSecurityGroups": ["", group]}
    attributes = play.describe(play.create(Instances=additional))["Ec2InstanceAttributes"]
    assert {name: attributes[name] for name in additional} == {
        "AdditionalMasterSecurityGroups": [],
        "AdditionalSlaveSecurityGroups": [group],
    }
