"""GetClusterSessionCredentials: kernels with a runtime role for any Jupyter client, through the edge."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from emr_studio.aws.errors import AccessDenied, InvalidRequest
from emr_studio.clusters.sessions.controller import SessionReconciler
from emr_studio.clusters.sessions.credentials import LIFETIME, GatewayEdge
from emr_studio.clusters.sessions.model import SparkSession
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.bootstrap_policies import trust_policy
from emr_studio.iam.sealing import Sealer
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.runtime_roles import end_unused_kernels
from tests.support.cluster_play import EC2, PROFILE
from tests.support.emr_world import ACCOUNT, World, emr_world, statement
from tests.support.runtime_roles import DATA, SCOPED, TRUST


class Probe:
    def is_busy(self, row: SparkSession) -> bool | None:
        return False

    def kernels(self, row: SparkSession) -> int | None:
        return 1

    def free_memory(self) -> int:
        return 64_000


class Kernels:
    """A cluster with runtime roles, and the edge before its kernel gateways."""

    def __init__(self, emr: World) -> None:
        self.emr, self.runtime = emr, InProcessRuntime()
        emr.role(PROFILE, statement("sts:AssumeRole", DATA), trust=trust_policy(EC2, ACCOUNT, "aws"))
        emr.role("data", statement("s3:GetObject"), trust=TRUST)
        self.cluster_id = emr.cluster(security=SCOPED, uid=300_900)
        self.edge = GatewayEdge(emr.database, emr.clock, Sealer.load(emr.settings.keys_dir))

    def credentials(self, caller: Any = None, role: str = DATA) -> tuple[str, str, dt.datetime]:
        found = self.emr.call("GetClusterSessionCredentials", caller, ClusterId=self.cluster_id, ExecutionRoleArn=role)
        pair = found["Credentials"]["UsernamePassword"]
        return pair["Username"], pair["Password"], found["ExpiresAt"]

    def settle(self) -> None:
        emr = self.emr
        for _ in range(6):
            sessions = SessionReconciler(emr.database, emr.clock, self.runtime, emr.settings, Probe())
            for session_id in sessions.pending():
                sessions.reconcile(session_id)

    def ask(self, user: str, password: str, uri: str = "", **headers: str) -> EdgeAnswer:
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        sent = {"authorization": f"Basic {basic}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        uri = uri or f"/_gateway/{self.cluster_id}/api/kernels?x=1"
        return self.edge(EdgeRequest("GET", uri, "localhost", Headers(sent), "127.0.0.1"))

    def rows(self) -> list[SparkSession]:
        with self.emr.database.read() as session:
            return session.query(SparkSession).all()


@pytest.fixture
def kernels(tmp_path: Path) -> Iterator[Kernels]:
    with emr_world(tmp_path) as emr:
        yield Kernels(emr)


def test_they_open_a_gateway_of_ones_own(kernels: Kernels) -> None:
    user, password, expires = kernels.credentials()
    assert expires == kernels.emr.clock.now() + LIFETIME
    assert len(password) <= 256
    assert kernels.ask(user, password).status == 503
    kernels.settle()
    (row,) = kernels.rows()
    answer = kernels.ask(user, password)
    assert (answer.upstream, answer.uri) == (f"{row.bind_ip}:18888", "/api/kernels?x=1")
    assert answer.headers == {"Authorization": f"token {row.gateway_token}", "Cookie": DELETE}
    assert kernels.ask("", "", authorization=f"token {password}") == answer
    # The same user and role: the same gateway, for longer; another user: another one.
    kernels.emr.clock.advance(60)
    assert kernels.credentials()[2] == expires + dt.timedelta(seconds=60)
    assert len(kernels.rows()) == 1
    other = kernels.credentials(kernels.emr.user("ann"))
    kernels.settle()
    assert kernels.ask(*other[:2]).upstream != answer.upstream
    # It is no Workspace's, and none that the API shows.
    end_unused_kernels(kernels.emr.database, kernels.emr.clock)
    assert {row.state for row in kernels.rows()} == {"BUSY"}
    assert kernels.emr.call("ListSessions", ClusterId=kernels.cluster_id) == {"Sessions": []}


def test_what_the_edge_refuses(kernels: Kernels) -> None:
    user, password, _ = kernels.credentials()
    kernels.settle()
    for wrong in ("", "x", password[:-1], password + "A", "ü"):
        assert kernels.ask(user, wrong).status == 401, wrong
    assert kernels.ask(user, password, "/_gateway/j-OTHER/api/kernels").status == 401
    for name in ("origin", "sec_fetch_site"):
        assert kernels.ask(user, password, **{name: "null"}).status == 403
    bare = EdgeRequest("GET", f"/_gateway/{kernels.cluster_id}/api", "localhost", Headers({}), "127.0.0.1")
    assert kernels.edge(bare).status == 401


def test_it_ends_with_the_credentials(kernels: Kernels) -> None:
    user, password, _ = kernels.credentials()
    kernels.settle()
    kernels.emr.clock.advance(LIFETIME.total_seconds())
    assert kernels.ask(user, password).status == 401
    kernels.settle()
    (row,) = kernels.rows()
    assert (row.state, row.message) == ("TERMINATED", "Its credentials have expired.")
    kernels.credentials()
    kernels.settle()
    assert sorted(row.state for row in kernels.rows()) == ["BUSY", "TERMINATED"]


def test_what_is_refused(kernels: Kernels) -> None:
    def refused(**request: Any) -> str:
        with pytest.raises(InvalidRequest) as caught:
            kernels.emr.call("GetClusterSessionCredentials", **request)
        return str(caught.value)

    cluster = {"ClusterId": kernels.cluster_id}
    kernels.emr.set_cluster(kernels.cluster_id, applications=["Spark"])
    assert "ExecutionRoleArn is required" in refused(**cluster)
    plain = kernels.emr.cluster(bind_ip="127.31.0.10", uid=300_901)
    assert "Runtime roles are not enabled" in refused(ClusterId=plain, ExecutionRoleArn=DATA)
    closed = kernels.emr.role("closed", statement("s3:*"))
    assert "sts:AssumeRole" in refused(**cluster, ExecutionRoleArn=closed)
    kernels.emr.set_cluster(kernels.cluster_id, release_label="emr-7.12.0")
    assert "need a release with Spark 4" in refused(**cluster, ExecutionRoleArn=DATA)
    kernels.emr.set_cluster(kernels.cluster_id, state="STARTING")
    assert "is STARTING" in refused(**cluster, ExecutionRoleArn=DATA)
    assert "is STARTING" in refused(**cluster)
    assert kernels.rows() == []


def test_only_roles_that_the_policy_names(kernels: Kernels) -> None:
    key = {"elasticmapreduce:ExecutionRoleArn": DATA}
    allowed = statement("elasticmapreduce:GetClusterSessionCredentials", StringEquals=key)
    user = kernels.emr.user("bob", allowed)
    assert kernels.credentials(user)[0] == "bob"
    with pytest.raises(AccessDenied):
        kernels.credentials(user, f"{DATA}2")
