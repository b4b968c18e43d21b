"""Attaching Workspaces to clusters: what may be attached, what happens when a cluster goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.model import State
from emr_studio.network.model import (
    EMR_MANAGED_TAG,
    DefaultNetwork,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    ensure_default_network,
)
from emr_studio.runtime.contract import Gateway
from emr_studio.runtime.inprocess import InProcessRuntime
from tests.support.emr_world import ACCOUNT, SERVICE_ROLE, emr_world
from tests.support.workspace_play import Play, engine

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{SERVICE_ROLE}"


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        yield Play(emr, InProcessRuntime(), emr.studio())


# Compute.


@pytest.mark.capability("CL-05")
def test_attach_detach_and_switch(play: Play) -> None:
    first, second = play.emr.cluster(), play.emr.cluster(bind_ip="127.31.0.10")
    editor_id = play.ready()
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(first))
    assert play.settle(editor_id) == ["Attaching", "Attached"]
    assert play.describe(editor_id)["ExecutionEngine"] == engine(first)
    assert play.gateway(editor_id) == Gateway("127.31.0.9:18888", "gateway-token", first)
    assert "detach that first" in play.refused("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(second))
    play.call("DetachEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Attached", "Ready"]
    assert play.gateway(editor_id) is None
    assert "ExecutionEngine" not in play.describe(editor_id)
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(second))
    play.settle(editor_id)
    found = play.gateway(editor_id)
    assert found is not None
    assert found.cluster_id == second
    assert [call for call, _ in play.runtime.calls].count("launch") == 1


@pytest.mark.capability("CL-02")
def test_attach_on_create_and_on_start(play: Play) -> None:
    cluster_id = play.emr.cluster()
    editor_id = play.create(ExecutionEngine=engine(cluster_id))
    assert play.settle(editor_id) == ["Starting", "Attaching", "Attached"]
    play.call("StopEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Stopping", "Idle"]
    assert "ExecutionEngine" not in play.describe(editor_id)
    play.call("StartEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    assert play.settle(editor_id) == ["Starting", "Attaching", "Attached"]


@pytest.mark.capability("CL-08")
def test_many_workspaces_share_a_cluster(play: Play) -> None:
    cluster_id = play.emr.cluster()
    for editor_id in (play.ready(), play.ready()):
        play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
        assert play.settle(editor_id)[-1] == "Attached"


def test_a_cluster_that_is_coming_is_waited_for(play: Play) -> None:
    cluster_id = play.emr.cluster(state=State.STARTING)
    editor_id = play.ready()
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    assert play.settle(editor_id) == ["Attaching"]
    assert "is STARTING" in play.describe(editor_id)["StateChangeReason"]["Message"]
    play.emr.set_cluster(cluster_id, state=State.WAITING)
    assert play.settle(editor_id) == ["Attaching", "Attached"]
    assert "StateChangeReason" not in play.describe(editor_id)


def test_a_cluster_that_fails_meanwhile_is_reported(play: Play) -> None:
    cluster_id = play.emr.cluster(state=State.STARTING)
    editor_id = play.ready()
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    play.emr.set_cluster(cluster_id, state=State.TERMINATED_WITH_ERRORS)
    assert play.settle(editor_id) == ["Attaching", "Ready"]
    reason = play.describe(editor_id)["StateChangeReason"]
    assert reason["Code"] == "ATTACH_FAILED"
    assert cluster_id in reason["Message"]
    assert "TERMINATED_WITH_ERRORS" in reason["Message"]
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(play.emr.cluster()))
    assert play.settle(editor_id) == ["Attaching", "Attached"]
    assert "StateChangeReason" not in play.describe(editor_id)


@pytest.mark.capability("SR-03", "CL-12")
@pytest.mark.parametrize("untagged", ["subnet", "security-group"])
def test_without_emrs_tag_the_service_role_cannot_connect(play: Play, untagged: str) -> None:
    """AWS's policy for the role goes by that tag: the attach fails with AWS's words, the Workspace goes on."""
    cluster_id, editor_id = play.emr.cluster(), play.ready()
    subnet_id, group_id = play.describe(editor_id)["SubnetId"], play.emr.network.workspace_security_group_id
    row_id = subnet_id if untagged == "subnet" else group_id
    set_tags(play, row_id, {})
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    assert play.settle(editor_id) == ["Attaching", "Ready"]
    reason = play.describe(editor_id)["StateChangeReason"]
    assert reason["Code"] == "ATTACH_FAILED"
    told = "Attaching the workspace(notebook) failed. Service Role does not have the required permissions: "
    where = f"arn:aws:ec2:us-east-1:{ACCOUNT}:{untagged}/{row_id}."
    assert f"{told}{ROLE_ARN} is not authorized to perform ec2:CreateNetworkInterface on {where}" in reason["Message"]
    assert play.call("OpenEditorInConsole", EditorId=editor_id)["Url"].startswith(f"link:{editor_id}")
    set_tags(play, row_id, {EMR_MANAGED_TAG: "true"})
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    assert play.settle(editor_id) == ["Attaching", "Attached"]
    assert "StateChangeReason" not in play.describe(editor_id)
    # What is attached stays so.
    set_tags(play, row_id, {})
    assert play.settle(editor_id) == ["Attached"]


def set_tags(play: Play, row_id: str, tags: dict[str, str]) -> None:
    """Of a subnet or a security group."""
    with play.emr.database.write() as session:
        row = session.get(Subnet, row_id) or session.get_one(SecurityGroup, row_id)
        row.tags = tags


def test_a_waiting_attach_can_be_cancelled(play: Play) -> None:
    editor_id = play.ready()
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(play.emr.cluster(state=State.STARTING)))
    play.settle(editor_id)
    play.call("DetachEditor", EditorId=editor_id)
    assert play.settle(editor_id) == ["Attaching", "Ready"]


def test_a_cluster_that_ends_leaves_the_workspace_ready(play: Play) -> None:
    cluster_id = play.emr.cluster()
    editor_id = play.ready(ExecutionEngine=engine(cluster_id))
    reconciler = play.reconciler()
    assert reconciler.changed() == []
    play.emr.set_cluster(cluster_id, state=State.TERMINATING)
    assert reconciler.changed() == [editor_id]
    assert play.settle(editor_id) == ["Attached", "Ready"]
    assert play.gateway(editor_id) is None
    assert play.describe(editor_id)["StateChangeReason"]["Code"] == "CLUSTER_LOST"


def test_a_crashed_server_is_attached_again(play: Play) -> None:
    editor_id = play.ready(ExecutionEngine=engine(play.emr.cluster()))
    play.runtime.crash(editor_id)
    assert play.settle(editor_id) == ["Attached", "Starting", "Attaching", "Attached"]
    assert play.gateway(editor_id) is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"applications": ["Spark", "Livy"]}, "JupyterEnterpriseGateway"),
        ({"state": State.TERMINATED}, "TERMINATED"),
        ({"state": State.TERMINATING}, "TERMINATING"),
        ({"vpc_id": "vpc-0"}, "vpc-0"),
        ({"details": {"KerberosAttributes": {"Realm": "X"}}}, "Kerberos"),
    ],
)
def test_bad_clusters_are_refused_with_the_reason(play: Play, changes: dict[str, Any], reason: str) -> None:
    cluster_id = play.emr.cluster(**changes)
    editor_id = play.ready()
    assert reason in play.refused("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    create = {"StudioId": play.studio_id, "Name": "a", "ExecutionEngine": engine(cluster_id)}
    assert reason in play.refused("CreateEditor", **create)
    assert play.status(editor_id) == "Ready"


def test_engines_that_are_not_there(play: Play) -> None:
    editor_id, cluster_id = play.ready(), play.emr.cluster()
    for bad, reason in (
        (engine("j-0"), "Cluster id 'j-0' is not valid."),
        ({"Id": cluster_id, "Type": "EMR_SERVERLESS"}, "EMR_SERVERLESS"),
        ({"Id": cluster_id, "ExecutionRoleArn": ROLE_ARN}, "Runtime roles are not enabled"),
    ):
        assert reason in play.refused("AttachEditor", EditorId=editor_id, ExecutionEngine=bad)


@pytest.mark.capability("NW-01")
@pytest.mark.parametrize("egress", [False, True])
def test_the_security_groups_must_let_the_gateway_through(play: Play, egress: bool) -> None:
    """Without the rule into the engine's group, or that out of the Workspaces', no attach; with both it works."""
    editor_id, cluster_id = play.ready(), play.emr.cluster()
    network = play.emr.network
    group_id = network.workspace_security_group_id if egress else network.engine_security_group_id

    def put_port(before: int, after: int) -> None:
        with play.emr.database.write() as session:
            rules = session.query(SecurityGroupRule).filter_by(group_id=group_id, from_port=before)
            rules.update({"from_port": after, "to_port": after})

    put_port(18888, 18889)
    message = play.refused("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    assert network.engine_security_group_id in message
    put_port(18889, 18888)
    play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
    assert play.settle(editor_id)[-1] == "Attached"


@pytest.mark.capability("NW-04")
def test_clusters_in_all_subnets_of_the_studio_are_reached(play: Play) -> None:
    editor_id = play.ready()
    mine = play.describe(editor_id)["SubnetId"]
    others = [subnet_id for subnet_id in play.emr.network.subnet_ids if subnet_id != mine]
    assert len(others) == 2
    for number, subnet_id in enumerate(others):
        cluster_id = play.emr.cluster(f"127.31.{number}.9", subnet_id=subnet_id)
        play.call("AttachEditor", EditorId=editor_id, ExecutionEngine=engine(cluster_id))
        assert play.settle(editor_id)[-1] == "Attached"
        assert play.gateway(editor_id) == Gateway(f"127.31.{number}.9:18888", "gateway-token", cluster_id)
        play.call("DetachEditor", EditorId=editor_id)
        play.settle(editor_id)


@pytest.mark.capability("NW-05")
def test_a_studio_for_each_vpc_reaches_the_clusters_of_its_own(play: Play) -> None:
    here, there = play.emr.network, second_network(play)
    studios = {
        here.vpc_id: play.studio_id,
        there.vpc_id: play.emr.studio(
            VpcId=there.vpc_id,
            SubnetIds=list(there.subnet_ids),
            WorkspaceSecurityGroupId=there.workspace_security_group_id,
            EngineSecurityGroupId=there.engine_security_group_id,
        ),
    }
    clusters = {
        here.vpc_id: play.emr.cluster(),
        there.vpc_id: play.emr.cluster("127.31.0.10", vpc_id=there.vpc_id, subnet_id=there.subnet_ids[0]),
    }
    for of_studio, studio_id in studios.items():
        editor_id = play.ready(StudioId=studio_id)
        for of_cluster, cluster_id in clusters.items():
            request = {"EditorId": editor_id, "ExecutionEngine": engine(cluster_id)}
            if of_studio == of_cluster:
                play.call("AttachEditor", **request)
                assert play.settle(editor_id)[-1] == "Attached"
                play.call("DetachEditor", EditorId=editor_id)
                play.settle(editor_id)
            else:
                assert f"in VPC {of_cluster}, the Studio in {of_studio}" in play.refused("AttachEditor", **request)
                assert play.status(editor_id) == "Ready"


def second_network(play: Play) -> DefaultNetwork:
    """Another VPC of the account, like the first: made as the default of another Region, then moved to this one."""
    elsewhere = play.emr.settings.model_copy(update={"region": "eu-west-1"})
    with play.emr.database.write() as session:
        network = ensure_default_network(session, elsewhere, ACCOUNT)
        session.get_one(Vpc, network.vpc_id).is_default = False
        session.flush()
        for table in (Vpc, Subnet, SecurityGroup):
            session.query(table).filter_by(region="eu-west-1").update({"region": "us-east-1"})
    return network
