"""Livy: its program, and who gets to its port through the edge."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from emr_studio.aws.errors import AccessDenied
from emr_studio.clusters.livy.credentials import LivyEdge
from emr_studio.clusters.model import Cluster
from emr_studio.clusters.nodes import CONNECT, LIVY, Layout, Program, Tenant, specification, task_specification
from emr_studio.clusters.nodes import Task as NodeTask
from emr_studio.clusters.ui_keys import livy_token
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.sealing import Sealer
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import World, emr_world, statement

CONF = {"Classification": "livy-conf", "Properties": {"livy.server.session.timeout": "2h"}}


@pytest.fixture
def emr(tmp_path: Path) -> Iterator[World]:
    with emr_world(tmp_path) as made:
        yield made


@pytest.fixture
def play(emr: World) -> ClusterPlay:
    return ClusterPlay(emr)


class Door:
    """A cluster and the edge before its Livy."""

    def __init__(self, emr: World) -> None:
        self.emr = emr
        self.cluster_id = emr.cluster()
        self.edge = LivyEdge(emr.database, emr.clock, Sealer.load(emr.settings.keys_dir))

    def password(self, caller: Any = None) -> str:
        found = self.emr.call("GetClusterSessionCredentials", caller, ClusterId=self.cluster_id)
        assert found["ExpiresAt"] - self.emr.clock.now() <= dt.timedelta(hours=12)
        return str(found["Credentials"]["UsernamePassword"]["Password"])

    def ask(self, password: str, cluster_id: str = "", **headers: str) -> EdgeAnswer:
        basic = base64.b64encode(f"whoever:{password}".encode()).decode()
        sent = {"authorization": f"Basic {basic}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        uri = f"/_livy/{cluster_id or self.cluster_id}/sessions?from=1"
        return self.edge(EdgeRequest("GET", uri, "localhost", Headers(sent), "127.0.0.1"))


@pytest.fixture
def door(emr: World) -> Door:
    return Door(emr)


def told(play: ClusterPlay, cluster_id: str, kind: str) -> dict[str, Any]:
    layout = Layout(play.row(cluster_id), play.nodes(cluster_id))
    (text,) = specification(play.emr.settings, layout, Program(kind, layout.primary)).files.values()
    return dict(json.loads(text))


def test_it_runs_where_it_is_an_application(play: ClusterPlay) -> None:
    with_livy, without = play.create(core=0, Configurations=[CONF]), play.create(Applications=[{"Name": "Spark"}])
    kinds = [
        [one.kind for one in Layout(play.row(c), play.nodes(c)).programs() if one.kind == LIVY]
        for c in (with_livy, without)
    ]
    assert kinds == [[LIVY], []]
    own = told(play, with_livy, LIVY)
    assert own["livy_conf"] == CONF["Properties"]
    assert own["livy_token"] == livy_token(play.row(with_livy).secret)
    assert own["gateway_token"] == play.row(with_livy).gateway_token
    assert told(play, with_livy, "kernels")["livy_token"] == own["livy_token"]
    assert told(play, with_livy, CONNECT)["livy_token"] == told(play, without, "kernels")["livy_token"] == ""


def test_work_with_a_runtime_role_has_no_way_to_it(play: ClusterPlay) -> None:
    cluster_id = play.create(core=0)
    layout = Layout(play.row(cluster_id), play.nodes(cluster_id))
    task = NodeTask("step", layout.primary, f"{cluster_id}/s-1/step", "steps/s-1")
    tenant = Tenant("o", 300_999, "role-token", "secret", "/tmp/x")
    files = [
        json.loads(task_specification(play.emr.settings, layout, task, {}, who).files["steps/s-1/node.json"])
        for who in (None, tenant)
    ]
    assert [bool(one["livy_token"]) for one in files] == [True, False]


def test_the_password_leads_to_the_cluster_as_its_user(door: Door) -> None:
    answer = door.ask(door.password())
    with door.emr.database.read() as session:
        secret = session.get_one(Cluster, door.cluster_id).secret
    assert (answer.uri, answer.upstream.partition(":")[2]) == ("/sessions?from=1", "8998")
    shown = base64.b64decode(answer.headers["Authorization"].removeprefix("Basic ")).decode()
    assert shown.rpartition(":")[2] == livy_token(secret)
    assert shown.partition(":")[0]
    assert answer.headers["Cookie"] == DELETE


def test_what_the_edge_refuses(door: Door) -> None:
    password = door.password()
    other = door.emr.cluster(bind_ip="127.31.0.11", uid=300_911)
    # In the middle: the last bits of the last character are nobody's.
    wrong = password[:20] + ("B" if password[20] == "A" else "A") + password[21:]
    assert door.ask("").status == door.ask(wrong).status == door.ask(password, other).status == 401
    assert door.ask(password, "j-NONE").status == 401
    assert door.ask(password, origin="http://localhost").status == 403
    door.emr.set_cluster(door.cluster_id, state="TERMINATING", target="TERMINATED")
    assert door.ask(password).status == 503
    door.emr.set_cluster(door.cluster_id, state="WAITING", target="RUNNING")
    assert door.ask(password).status == 200
    door.emr.clock.advance(12 * 3600 + 1)
    assert door.ask(password).status == 401


def test_a_password_for_kernels_is_none_for_livy(door: Door) -> None:
    from emr_studio.clusters.sessions.credentials import GatewayClaims, seal

    sealer = Sealer.load(door.emr.settings.keys_dir)
    assert door.ask(seal(sealer, GatewayClaims(door.cluster_id, expires=2**40))).status == 401


def test_who_may_not_has_no_password(door: Door) -> None:
    nobody = door.emr.user("nobody", statement("elasticmapreduce:DescribeCluster"))
    with pytest.raises(AccessDenied):
        door.password(nobody)
    action = "elasticmapreduce:GetClusterSessionCredentials"
    someone = door.emr.user("someone", statement(action))
    assert door.ask(door.password(someone)).status == 200
