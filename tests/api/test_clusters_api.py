"""Clusters through stock boto3: shapes, codes, pages and waiters as scripts and Terraform meet them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from emr_studio.clock import SystemClock
from tests.support.cluster_play import PROFILE, SERVICE_ROLE, ClusterPlay
from tests.support.emr_api import EmrApi, refused


@pytest.fixture(scope="module")
def play(api: EmrApi) -> ClusterPlay:
    return ClusterPlay(api.world, api.runtime, SystemClock())


def reconciled(play: ClusterPlay, cluster_id: str, waiter: Any) -> None:
    """Let boto3's waiter wait while the controller works."""
    worker = threading.Thread(target=play.settle, args=(cluster_id,))
    worker.start()
    waiter.wait(ClusterId=cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    worker.join()


def test_from_run_job_flow_to_the_end(emr: Any, play: ClusterPlay) -> None:
    made = emr.run_job_flow(**play.request(core=2, Name="wired"))
    cluster_id = made["JobFlowId"]
    reconciled(play, cluster_id, emr.get_waiter("cluster_running"))
    cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
    assert cluster["ClusterArn"] == made["ClusterArn"]
    assert cluster["Status"]["State"] == "WAITING"
    assert cluster["Status"]["Timeline"]["ReadyDateTime"] >= cluster["Status"]["Timeline"]["CreationDateTime"]
    assert (cluster["ServiceRole"], cluster["Ec2InstanceAttributes"]["IamInstanceProfile"]) == (SERVICE_ROLE, PROFILE)
    groups = emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    assert [(g["InstanceGroupType"], g["RunningInstanceCount"]) for g in groups] == [("MASTER", 1), ("CORE", 2)]
    assert len(emr.list_instances(ClusterId=cluster_id)["Instances"]) == 3
    assert emr.list_bootstrap_actions(ClusterId=cluster_id)["BootstrapActions"] == []
    assert emr.list_steps(ClusterId=cluster_id)["Steps"] == []
    assert "AutoTerminationPolicy" not in emr.get_auto_termination_policy(ClusterId=cluster_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    reconciled(play, cluster_id, emr.get_waiter("cluster_terminated"))
    status = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]
    assert status["StateChangeReason"] == {"Code": "USER_REQUEST", "Message": "Terminated by user request"}


def test_pages_and_filters(emr: Any, play: ClusterPlay) -> None:
    made = {emr.run_job_flow(**play.request(core=0, Name=f"n{i}"))["JobFlowId"] for i in range(51)}
    pages = list(emr.get_paginator("list_clusters").paginate(ClusterStates=["STARTING"]))
    assert [len(page["Clusters"]) for page in pages] == [50, 1]
    assert {cluster["Id"] for page in pages for cluster in page["Clusters"]} == made
    assert refused(emr.list_clusters, Marker="nonsense")[:2] == ("InvalidRequestException", 400)
    emr.terminate_job_flows(JobFlowIds=sorted(made))


def test_codes(emr: Any, play: ClusterPlay) -> None:
    gone = ("InvalidRequestException", 400, "Cluster id 'j-NONE' is not valid.")
    assert refused(emr.describe_cluster, ClusterId="j-NONE") == gone
    release = refused(emr.run_job_flow, **play.request(ReleaseLabel="emr-99.0.0"))
    assert release == ("ValidationException", 400, "The supplied release label is invalid: emr-99.0.0.")
    cluster_id = emr.run_job_flow(**play.request(Instances={"TerminationProtected": True}))["JobFlowId"]
    protected = refused(emr.terminate_job_flows, JobFlowIds=[cluster_id])
    assert protected[0] == "ValidationException"
    assert "termination protected" in protected[2]
    assert refused(emr.list_instance_fleets, ClusterId=cluster_id)[0] == "InvalidRequestException"
    assert emr.list_release_labels()["ReleaseLabels"] == ["emr-8.0.0", "emr-7.12.0"]
    assert emr.describe_release_label(ReleaseLabel="emr-8.0.0")["Applications"]


@pytest.mark.capability("CL-14")
def test_auto_termination_policies(emr: Any, play: ClusterPlay) -> None:
    cluster_id = emr.run_job_flow(**play.request())["JobFlowId"]

    def put(policy: dict[str, int]) -> Any:
        emr.put_auto_termination_policy(ClusterId=cluster_id, AutoTerminationPolicy=policy)
        return emr.get_auto_termination_policy(ClusterId=cluster_id)["AutoTerminationPolicy"]

    assert put({}) == {"IdleTimeout": 3600}
    for seconds in (60, 604_800):
        assert put({"IdleTimeout": seconds}) == {"IdleTimeout": seconds}
    for seconds in (59, 604_801):
        policy = {"IdleTimeout": seconds}
        code = refused(emr.put_auto_termination_policy, ClusterId=cluster_id, AutoTerminationPolicy=policy)
        assert code[:2] == ("ValidationException", 400)
        assert "between 60 and 604800" in code[2]
    found = emr.get_auto_termination_policy(ClusterId=cluster_id)
    assert found["AutoTerminationPolicy"] == {"IdleTimeout": 604_800}
    emr.remove_auto_termination_policy(ClusterId=cluster_id)
    assert "AutoTerminationPolicy" not in emr.get_auto_termination_policy(ClusterId=cluster_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_security_configurations(emr: Any, play: ClusterPlay) -> None:
    text = '{"InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": 2}}'
    made = emr.create_security_configuration(Name="imds", SecurityConfiguration=text)
    assert emr.describe_security_configuration(Name="imds")["SecurityConfiguration"] == text
    listed = emr.list_security_configurations()["SecurityConfigurations"]
    assert listed == [{"Name": "imds", "CreationDateTime": made["CreationDateTime"]}]
    cluster_id = emr.run_job_flow(**play.request(SecurityConfiguration="imds"))["JobFlowId"]
    assert emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["SecurityConfiguration"] == "imds"
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    emr.delete_security_configuration(Name="imds")
    gone = ("InvalidRequestException", 400, "Security configuration with name 'imds' does not exist.")
    assert refused(emr.describe_security_configuration, Name="imds") == gone
    deep = refused(emr.create_security_configuration, Name="deep", SecurityConfiguration="[" * 100_000)
    assert deep[:2] == ("InvalidRequestException", 400)


def test_block_public_access(emr: Any) -> None:
    default = emr.get_block_public_access_configuration()
    ranges = [{"MinRange": 22, "MaxRange": 22}]
    configuration = {"BlockPublicSecurityGroupRules": True, "PermittedPublicSecurityGroupRuleRanges": ranges}
    assert default["BlockPublicAccessConfiguration"] == configuration
    assert default["BlockPublicAccessConfigurationMetadata"]["CreatedByArn"] == "arn:aws:iam::123456789012:root"
    configuration["BlockPublicSecurityGroupRules"] = False
    emr.put_block_public_access_configuration(BlockPublicAccessConfiguration=configuration)
    found = emr.get_block_public_access_configuration()
    assert found["BlockPublicAccessConfiguration"] == configuration
    assert found["BlockPublicAccessConfigurationMetadata"]["CreatedByArn"] == "arn:aws:iam::123456789012:user/admin"


def test_describe_job_flows(emr: Any, play: ClusterPlay) -> None:
    """With the parser and the required members of the stock model."""
    jar = {"Jar": "command-runner.jar", "Args": ["ls"]}
    step = {"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    cluster_id = emr.run_job_flow(**play.request(Name="old", Steps=[step]))["JobFlowId"]
    (flow,) = emr.describe_job_flows(JobFlowIds=[cluster_id])["JobFlows"]
    assert (flow["Name"], flow["ExecutionStatusDetail"]["State"]) == ("old", "STARTING")
    assert flow["Steps"][0]["StepConfig"] == step | {"HadoopJarStep": {**jar, "Properties": []}}
    assert flow in emr.describe_job_flows(JobFlowStates=["STARTING"])["JobFlows"]
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_instance_fleets(emr: Any, play: ClusterPlay) -> None:
    types = [{"InstanceType": "m5.xlarge", "WeightedCapacity": 1}]
    fleets = [
        {"InstanceFleetType": kind, "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": types}
        for kind in ("MASTER", "CORE")
    ]
    instances = {"InstanceFleets": fleets, "KeepJobFlowAliveWhenNoSteps": True}
    cluster_id = emr.run_job_flow(**play.request() | {"Instances": instances})["JobFlowId"]
    reconciled(play, cluster_id, emr.get_waiter("cluster_running"))
    assert emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["InstanceCollectionType"] == "INSTANCE_FLEET"
    core = emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"][1]
    change = {"InstanceFleetId": core["Id"], "TargetSpotCapacity": 2}
    emr.modify_instance_fleet(ClusterId=cluster_id, InstanceFleet=change)
    play.settle(cluster_id)
    (core,) = [f for f in emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"] if f["Id"] == core["Id"]]
    assert (core["ProvisionedOnDemandCapacity"], core["ProvisionedSpotCapacity"]) == (1, 2)
    listed = emr.list_instances(ClusterId=cluster_id, InstanceFleetId=core["Id"])["Instances"]
    assert [one["Market"] for one in listed] == ["ON_DEMAND", "SPOT", "SPOT"]
    assert refused(emr.list_instance_groups, ClusterId=cluster_id)[0] == "InvalidRequestException"
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_automatic_scaling_as_scripts_put_it(emr: Any, play: ClusterPlay) -> None:
    cluster_id = emr.run_job_flow(**play.request(core=1, AutoScalingRole="EMR_AutoScaling_DefaultRole"))["JobFlowId"]
    play.settle(cluster_id)
    group = emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"][1]["Id"]
    alarm = {"ComparisonOperator": "LESS_THAN", "MetricName": "YARNMemoryAvailablePercentage", "Period": 300}
    rule = {
        "Name": "out",
        "Action": {"SimpleScalingPolicyConfiguration": {"ScalingAdjustment": 1, "CoolDown": 300}},
        "Trigger": {"CloudWatchAlarmDefinition": alarm | {"Threshold": 15.0}},
    }
    named = {"ClusterId": cluster_id, "InstanceGroupId": group}
    policy = {"Constraints": {"MinCapacity": 1, "MaxCapacity": 3}, "Rules": [rule]}
    put = emr.put_auto_scaling_policy(**named, AutoScalingPolicy=policy)
    assert put["AutoScalingPolicy"]["Status"]["State"] == "ATTACHED"
    assert put["ClusterArn"].endswith(cluster_id)
    shown = emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"][1]["AutoScalingPolicy"]
    assert shown["Rules"][0]["Trigger"]["CloudWatchAlarmDefinition"]["Statistic"] == "AVERAGE"
    emr.remove_auto_scaling_policy(**named)
    assert "AutoScalingPolicy" not in emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"][1]
    bad = policy | {"Constraints": {"MinCapacity": 0, "MaxCapacity": 3}}
    assert refused(emr.put_auto_scaling_policy, **named, AutoScalingPolicy=bad)[:2] == ("ValidationException", 400)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    play.settle(cluster_id)
