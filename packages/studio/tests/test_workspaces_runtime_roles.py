"""Workspaces attached with a runtime role: whose kernels they have, who may use them, and what ends them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.clusters.model import State
from emr_studio.clusters.sessions.attachments import newest_attachment
from emr_studio.clusters.sessions.controller import SessionReconciler
from emr_studio.clusters.sessions.model import SparkSession, is_in_use
from emr_studio.iam.bootstrap_policies import trust_policy
from emr_studio.iam.model import RoleGrant
from emr_studio.runtime.contract import Gateway, ProcessSpec
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.model import edge_target, may_use
from tests.support.cluster_play import EC2, PROFILE
from tests.support.emr_world import ACCOUNT, emr_world, statement
from tests.support.runtime_roles import DATA, SCOPED, TRUST
from tests.support.workspace_play import Play, engine


class Probe:
    """What the gateway, Spark and the machine would say."""

    kernels_now: int | None = 0

    def is_busy(self, row: SparkSession) -> bool | None:
        return False

    def kernels(self, row: SparkSession) -> int | None:
        return self.kernels_now

    def free_memory(self) -> int:
        return 64_000


class Roles:
    """A Workspace, a cluster with runtime roles, and a role `data` that its instance profile may assume."""

    def __init__(self, play: Play) -> None:
        self.play, self.emr, self.probe = play, play.emr, Probe()
        self.emr.role(PROFILE, statement("sts:AssumeRole", DATA), trust=trust_policy(EC2, ACCOUNT, "aws"))
        self.emr.role("data", statement("s3:GetObject"), trust=TRUST)
        self.cluster_id = self.emr.cluster(security=SCOPED, uid=300_900)
        self.editor_id = play.ready()
        self.sessions = self.controller()

    def controller(self) -> SessionReconciler:
        """One that knows nothing but what was saved."""
        emr = self.emr
        return SessionReconciler(emr.database, emr.clock, self.play.runtime, emr.settings, self.probe)

    @property
    def engine(self) -> dict[str, str]:
        return engine(self.cluster_id) | {"ExecutionRoleArn": DATA}

    def attach(self) -> None:
        self.play.call("AttachEditor", EditorId=self.editor_id, ExecutionEngine=self.engine)
        self.settle()

    def settle(self) -> None:
        """Let both controllers work."""
        for _ in range(10):
            workspaces = self.play.reconciler()
            for editor_id in {*workspaces.pending(), self.editor_id}:
                workspaces.reconcile(editor_id)
            self.sessions = self.controller()
            for session_id in self.sessions.pending():
                self.sessions.reconcile(session_id)

    def row(self) -> SparkSession:
        with self.emr.database.read() as session:
            row = newest_attachment(session, self.cluster_id, self.editor_id)
        assert row is not None
        return row

    def reason(self) -> str:
        return str(self.play.describe(self.editor_id)["StateChangeReason"]["Message"])


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[Roles]:
    with emr_world(tmp_path) as emr:
        yield Roles(Play(emr, InProcessRuntime(), emr.studio()))


@pytest.mark.capability("CL-15")
def test_its_kernels_have_the_role_and_share_nothing_with_the_cluster(roles: Roles) -> None:
    roles.attach()
    found = roles.play.describe(roles.editor_id)
    assert (found["Status"], found["ExecutionEngine"]) == ("Attached", roles.engine)
    row = roles.row()
    gateway = Gateway(f"{row.bind_ip}:18888", row.gateway_token, roles.cluster_id, row.role_token)
    assert roles.play.gateway(roles.editor_id) == gateway
    with roles.emr.database.read() as session:
        (grant,) = session.query(RoleGrant).filter_by(owner=f"session/{row.id}")
    assert (grant.role_arn, grant.session_name) == (DATA, row.id)
    for kind in ("connect", "gateway", "kernels"):
        spec = roles.play.runtime.workloads[f"{row.id}/{kind}"].spec
        assert isinstance(spec, ProcessSpec)
        assert spec.uid == row.uid != 300_900
        assert spec.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == row.role_token
        node = json.loads(spec.files[f"{kind}/node.json"])
        assert (node["address"], node["connect_token"]) == (row.bind_ip, row.connect_token)
        assert node["gateway_token"] == ("" if kind == "connect" else row.gateway_token)
    # It is none of the sessions that the API shows.
    assert roles.play.call("ListSessions", ClusterId=roles.cluster_id) == {"Sessions": []}
    refused = roles.play.refused("GetSession", ClusterId=roles.cluster_id, SessionId=row.id)
    assert refused == f"Session id '{row.id}' is not valid."


def test_it_ends_with_the_attachment(roles: Roles) -> None:
    roles.attach()
    first = roles.row()
    roles.play.call("DetachEditor", EditorId=roles.editor_id)
    roles.settle()
    assert roles.row().state == "TERMINATED"
    assert roles.play.gateway(roles.editor_id) is None
    assert "ExecutionEngine" not in roles.play.describe(roles.editor_id)
    roles.emr.clock.advance(1)
    roles.attach()
    assert roles.row().id != first.id
    assert roles.play.status(roles.editor_id) == "Attached"
    roles.play.call("StopEditor", EditorId=roles.editor_id)
    roles.settle()
    assert roles.row().state == "TERMINATED"
    assert roles.play.status(roles.editor_id) == "Idle"


def test_without_a_role_it_has_the_clusters_gateway_again(roles: Roles) -> None:
    roles.attach()
    roles.play.call("DetachEditor", EditorId=roles.editor_id)
    roles.settle()
    roles.play.call("AttachEditor", EditorId=roles.editor_id, ExecutionEngine=engine(roles.cluster_id))
    roles.settle()
    assert roles.play.gateway(roles.editor_id) == Gateway("127.31.0.9:18888", "gateway-token", roles.cluster_id)
    assert roles.play.describe(roles.editor_id)["ExecutionEngine"] == engine(roles.cluster_id)


def test_its_spark_dies(roles: Roles) -> None:
    roles.attach()
    roles.play.runtime.crash(f"{roles.row().id}/connect")
    roles.settle()
    assert roles.play.status(roles.editor_id) == "Ready"
    assert "Detached: The Spark Connect server of the session ended" in roles.reason()
    assert roles.row().state == "FAILED"


def test_a_role_that_was_withdrawn_meanwhile(roles: Roles) -> None:
    roles.play.call("AttachEditor", EditorId=roles.editor_id, ExecutionEngine=roles.engine)
    with roles.emr.database.write() as session:
        from emr_studio.iam.entities import resolve_role

        resolve_role(session, ACCOUNT, "data").trust_policy = json.dumps(trust_policy(EC2, ACCOUNT, "aws"))
    roles.settle()
    assert roles.play.status(roles.editor_id) == "Ready"
    assert "Attaching the workspace(notebook) failed." in roles.reason()
    assert "sts:AssumeRole" in roles.reason()


def test_a_cluster_that_is_coming_is_waited_for(roles: Roles) -> None:
    roles.emr.set_cluster(roles.cluster_id, state=State.STARTING)
    roles.play.call("AttachEditor", EditorId=roles.editor_id, ExecutionEngine=roles.engine)
    roles.settle()
    assert roles.play.status(roles.editor_id) == "Attaching"
    roles.emr.clock.advance(1)
    roles.emr.set_cluster(roles.cluster_id, state=State.WAITING)
    roles.settle()
    assert roles.play.status(roles.editor_id) == "Attached"


def test_only_who_attached_it_uses_it_and_nobody_with_her(roles: Roles) -> None:
    roles.attach()
    with roles.emr.database.read() as session:
        target = edge_target(session, roles.editor_id)
        assert target is not None
        assert may_use(session, target, roles.emr.admin.user_id)
        assert not may_use(session, target, "AIDAOTHER")
    other = roles.emr.user("eve", statement("elasticmapreduce:*"))
    with pytest.raises(AccessDenied, match=r"did not attach .* with its runtime role"):
        roles.play.call("OpenEditorInConsole", other, EditorId=roles.editor_id)
    share = {"EditorId": roles.editor_id, "CollaborationEnabled": True}
    assert "Collaboration is not available" in roles.play.refused("UpdateEditor", **share)
    roles.play.call("DetachEditor", EditorId=roles.editor_id)
    roles.settle()
    with roles.emr.database.read() as session:
        target = edge_target(session, roles.editor_id)
        assert target is not None
        assert may_use(session, target, "AIDAOTHER")
    roles.play.call("UpdateEditor", **share)
    attach = {"EditorId": roles.editor_id, "ExecutionEngine": roles.engine}
    assert "with collaboration cannot be attached" in roles.play.refused("AttachEditor", **attach)


def test_what_is_refused(roles: Roles) -> None:
    plain = roles.emr.cluster(bind_ip="127.31.0.10")
    for cluster_id, role, says in (
        (plain, DATA, "Runtime roles are not enabled"),
        (roles.cluster_id, f"{DATA}2", "ExecutionRoleArn"),
        (roles.cluster_id, roles.emr.role("closed", statement("s3:*")), "sts:AssumeRole"),
    ):
        wanted = engine(cluster_id) | {"ExecutionRoleArn": role}
        assert says in roles.play.refused("AttachEditor", EditorId=roles.editor_id, ExecutionEngine=wanted)
    assert roles.play.status(roles.editor_id) == "Ready"


@pytest.mark.capability("CL-15")
def test_only_roles_that_the_policy_names(roles: Roles) -> None:
    key = {"elasticmapreduce:ExecutionRoleArn": DATA}
    attach = statement(["elasticmapreduce:AttachEditor", "elasticmapreduce:DescribeEditor"])
    credentials = statement("elasticmapreduce:GetClusterSessionCredentials", StringEquals=key)
    allowed, other = roles.emr.user("ann", attach, credentials), roles.emr.user("bob", attach)
    wanted = {"EditorId": roles.editor_id, "ExecutionEngine": roles.engine}
    with pytest.raises(AccessDenied, match="GetClusterSessionCredentials"):
        roles.play.call("AttachEditor", other, **wanted)
    roles.play.call("AttachEditor", allowed, **wanted)


def test_a_cluster_is_idle_without_a_live_kernel(roles: Roles) -> None:
    roles.attach()
    database = roles.emr.database
    for kernels, used in ((0, False), (1, True), (None, True), (0, False)):
        roles.probe.kernels_now = kernels
        roles.sessions.reconcile(roles.row().id)
        assert is_in_use(database, roles.cluster_id) is used
