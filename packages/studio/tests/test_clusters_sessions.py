"""Spark Connect sessions: the five operations, the controller's steps, and what ends them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from emr_studio.aws.errors import AccessDenied
from emr_studio.clusters.sessions import tokens
from emr_studio.clusters.sessions.controller import LONGEST, START_SECONDS, SessionReconciler
from emr_studio.clusters.sessions.edge import PROXY_TOKEN, SparkEdge
from emr_studio.clusters.sessions.model import SparkSession, session_owner
from emr_studio.clusters.sessions.operations import connect_url
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.model import RoleGrant
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.network.model import Address
from emr_studio.runtime.contract import ProcessSpec, WorkloadState
from emr_studio.runtime.inprocess import Stage
from emr_studio.settings import Settings
from tests.support.cluster_play import PROFILE, ClusterPlay
from tests.support.emr_world import ACCOUNT, OTHER_ACCOUNT, emr_world, statement
from tests.support.runtime_roles import DATA, NODES, allow_runtime_roles, let_nodes_assume


@dataclass
class Load:
    """What Spark would say."""

    busy: dict[str, bool | None] = field(default_factory=dict)
    memory: int = 64_000
    kernels_now: int | None = 0

    def is_busy(self, row: SparkSession) -> bool | None:
        return self.busy.get(row.id, False)

    def kernels(self, row: SparkSession) -> int | None:
        return self.kernels_now

    def free_memory(self) -> int:
        return self.memory


class Sessions:
    """A cluster with sessions enabled, and their controller."""

    def __init__(self, play: ClusterPlay, core: int = 2, **changes: Any) -> None:
        self.play, self.emr = play, play.emr
        self.probe = Load()
        self.controller = SessionReconciler(
            self.emr.database, self.emr.clock, play.runtime, self.emr.settings, self.probe
        )
        self.sealer = Sealer.load(self.emr.settings.keys_dir)
        self.edge = SparkEdge(self.emr.database, self.emr.clock, self.sealer)
        self.cluster_id = play.create(core=core, **({"SessionEnabled": True} | changes))
        play.settle(self.cluster_id)

    def start(self, **more: Any) -> str:
        return str(self.emr.call("StartSession", ClusterId=self.cluster_id, **more)["Id"])

    def up(self, **more: Any) -> str:
        """A session that takes connections."""
        session_id = self.start(**more)
        self.turn(session_id)
        assert self.state(session_id) == "STARTED"
        return session_id

    def turn(self, session_id: str, times: int = 6) -> None:
        for _ in range(times):
            if self.controller.reconcile(session_id) is None:
                return

    def get(self, session_id: str) -> dict[str, Any]:
        answer = self.emr.call("GetSession", ClusterId=self.cluster_id, SessionId=session_id)
        return dict(answer["Session"])

    def state(self, session_id: str) -> str:
        return str(self.get(session_id)["State"])

    def row(self, session_id: str) -> SparkSession:
        with self.emr.database.read() as session:
            return session.get_one(SparkSession, session_id)

    def specification(self, session_id: str) -> tuple[ProcessSpec, dict[str, Any]]:
        spec = self.play.runtime.workloads[f"{session_id}/connect"].spec
        assert isinstance(spec, ProcessSpec)
        return spec, json.loads(spec.files["connect/node.json"])

    def token(self, session_id: str) -> str:
        answer = self.emr.call("GetSessionEndpoint", ClusterId=self.cluster_id, SessionId=session_id)
        return str(answer["AuthToken"])

    def call(self, **headers: str) -> EdgeAnswer:
        """A gRPC call at the edge."""
        uri = "/spark.connect.SparkConnectService/ExecutePlan"
        return self.edge(EdgeRequest("POST", uri, "localhost:1", Headers(headers), "127.0.0.1"))

    def refused(self, **request: Any) -> str:
        code, message = self.play.refused("StartSession", ClusterId=self.cluster_id, **request)
        assert code == "InvalidRequestException"
        return message

    def is_gone(self, session_id: str) -> bool:
        """No process, address, grant or folder is left of it."""
        with self.emr.database.read() as session:
            owner = session_owner(session_id)
            left = session.query(Address).filter_by(owner=owner).count()
            left += session.query(RoleGrant).filter_by(owner=owner).count()
        absent = self.play.runtime.state(f"{session_id}/connect") is WorkloadState.ABSENT
        return absent and not left and not (self.emr.settings.clusters_dir / session_id).exists()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


@pytest.fixture
def sessions(play: ClusterPlay) -> Sessions:
    return Sessions(play)


@pytest.fixture
def scoped(play: ClusterPlay) -> Sessions:
    """A cluster with runtime roles, and a role `data` that its instance profile may assume."""
    return Sessions(play, core=0, **allow_runtime_roles(play))


# A life.


def test_a_session_from_start_to_end(sessions: Sessions) -> None:
    answer = sessions.emr.call("StartSession", ClusterId=sessions.cluster_id, Name="etl")
    session_id = answer["Id"]
    arn = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:cluster/{sessions.cluster_id}/session/{session_id}"
    assert answer == {
        "Id": session_id,
        "ClusterId": sessions.cluster_id,
        "Arn": arn,
        "AccountId": ACCOUNT,
        "State": "SUBMITTED",
    }
    assert ("session", session_id) in sessions.emr.wakes.seen
    sessions.turn(session_id, 1)
    assert sessions.state(session_id) == "STARTING"
    sessions.turn(session_id)
    found = sessions.get(session_id)
    assert found["State"] == "STARTED"
    assert found["StartedAt"] == sessions.emr.clock.now()
    assert (found["Name"], found["ReleaseLabel"], found["SessionIdleTimeoutInMinutes"]) == ("etl", "emr-8.0.0", 60)
    assert "ExecutionRoleArn" not in found
    assert "IdleSince" not in found
    ended = sessions.emr.call("TerminateSession", ClusterId=sessions.cluster_id, SessionId=session_id)
    assert ended == {"ClusterId": sessions.cluster_id, "SessionId": session_id, "State": "TERMINATING"}
    sessions.turn(session_id)
    found = sessions.get(session_id)
    assert (found["State"], found["StateChangeReason"]) == ("TERMINATED", "Terminated by user request")
    assert found["EndedAt"] == sessions.emr.clock.now()
    assert sessions.is_gone(session_id)
    again = sessions.emr.call("TerminateSession", ClusterId=sessions.cluster_id, SessionId=session_id)
    assert again["State"] == "TERMINATED"


def test_its_spark_is_its_own(sessions: Sessions) -> None:
    conf = [{"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "3"}}]
    one, two = sessions.up(EngineConfigurations=conf), sessions.up()
    (spec, node), (other, other_node) = sessions.specification(one), sessions.specification(two)
    cluster = sessions.play.row(sessions.cluster_id)
    assert len({spec.uid, other.uid, cluster.uid}) == 3
    assert len({spec.folder, other.folder, str(sessions.emr.settings.clusters_dir / cluster.id)}) == 3
    for name in ("secret", "connect_token", "ui_key", "address"):
        assert node[name] != other_node[name], name
    for secret in (cluster.secret, cluster.connect_token, cluster.gateway_token, cluster.role_token):
        assert secret not in json.dumps([spec.files, spec.environment], default=dict)
    assert node["master_url"] == "local-cluster[2,1,1024]"
    assert node["spark_defaults"] == {"spark.sql.shuffle.partitions": "3"}
    token = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    assert len({spec.environment[token], other.environment[token], cluster.role_token}) == 3
    with sessions.emr.database.read() as session:
        (grant,) = session.query(RoleGrant).filter_by(owner=session_owner(one))
    assert (grant.role_arn, grant.session_name) == (NODES, one)
    assert "Deny" in (grant.session_policy or "")


def test_a_client_request_token_starts_one_session(sessions: Sessions) -> None:
    first = sessions.start(ClientRequestToken="t")
    assert sessions.start(ClientRequestToken="t") == first
    assert sessions.start(ClientRequestToken="u") != first


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"SessionIdleTimeoutInMinutes": -1}, "between 1 and 1440"),
        ({"SessionIdleTimeoutInMinutes": 1441}, "between 1 and 1440"),
        ({"EngineConfigurations": [{"Classification": "spark-env"}]}, "spark-env is no runtime configuration"),
        ({"MonitoringConfiguration": {"S3LoggingConfiguration": {"Enabled": True}}}, "MonitoringConfiguration"),
        ({"Tags": [{"Key": "aws:x"}]}, "reserved"),
        ({"ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/{PROFILE}"}, "Runtime roles are not enabled"),
    ],
)
def test_bad_requests(sessions: Sessions, request_: dict[str, Any], part: str) -> None:
    assert part in sessions.refused(**request_)
    assert sessions.emr.call("ListSessions", ClusterId=sessions.cluster_id) == {"Sessions": []}


def test_only_clusters_that_are_up_and_say_so_have_sessions(play: ClusterPlay) -> None:
    plain = Sessions(play, SessionEnabled=None)
    assert "Sessions are not enabled" in plain.refused()
    coming = play.create(SessionEnabled=True)
    _, message = play.refused("StartSession", ClusterId=coming)
    assert "is STARTING" in message
    assert play.describe(coming)["SessionEnabled"] is True
    assert play.refused("StartSession", ClusterId="j-NONE")[1] == "Cluster id 'j-NONE' is not valid."


# What ends one.


def test_an_idle_session_ends_and_a_used_one_does_not(sessions: Sessions) -> None:
    idle, used = sessions.up(SessionIdleTimeoutInMinutes=2), sessions.up(SessionIdleTimeoutInMinutes=2)
    token = sessions.token(used)
    for _ in range(4):
        sessions.emr.clock.advance(40)
        assert sessions.call(authorization=f"Bearer {token}").upstream
        for one in (idle, used):
            sessions.turn(one)
    assert (sessions.state(idle), sessions.state(used)) == ("TERMINATED", "IDLE")
    assert sessions.get(idle)["StateChangeReason"] == "The session was idle for 2 minutes."
    assert sessions.is_gone(idle)


def test_a_running_job_is_never_idle(sessions: Sessions) -> None:
    session_id = sessions.up(SessionIdleTimeoutInMinutes=1)
    for busy in (True, None):
        sessions.probe.busy[session_id] = busy
        sessions.emr.clock.advance(600)
        sessions.turn(session_id)
        assert sessions.state(session_id) == "BUSY"
    sessions.probe.busy[session_id] = False
    sessions.turn(session_id)
    # Its rest begins when the job has ended.
    assert sessions.get(session_id)["IdleSince"] == sessions.emr.clock.now()
    sessions.emr.clock.advance(59)
    sessions.turn(session_id)
    assert sessions.state(session_id) == "IDLE"
    sessions.emr.clock.advance(1)
    sessions.turn(session_id)
    assert sessions.state(session_id) == "TERMINATED"


def test_a_session_ends_after_a_day(sessions: Sessions) -> None:
    session_id = sessions.up()
    sessions.probe.busy[session_id] = True
    sessions.emr.clock.advance(LONGEST.total_seconds())
    sessions.turn(session_id)
    assert sessions.state(session_id) == "TERMINATED"


def test_its_server_dies(sessions: Sessions) -> None:
    session_id = sessions.up()
    sessions.play.runtime.crash(f"{session_id}/connect")
    sessions.turn(session_id)
    found = sessions.get(session_id)
    assert found["State"] == "FAILED"
    assert "killed by signal 9" in found["StateChangeReason"]
    assert sessions.is_gone(session_id)


def test_its_server_does_not_start(sessions: Sessions) -> None:
    sessions.play.runtime.fail(Stage.START, "ss-", reason="no Java")
    session_id = sessions.start()
    sessions.turn(session_id)
    assert sessions.state(session_id) == "FAILED"
    assert "no Java" in sessions.get(session_id)["StateChangeReason"]


def test_its_server_never_answers(sessions: Sessions) -> None:
    session_id = sessions.start()
    sessions.turn(session_id, 1)
    sessions.play.runtime.hold()
    sessions.turn(session_id, 1)
    sessions.emr.clock.advance(START_SECONDS + 1)
    sessions.turn(session_id, 1)
    sessions.play.runtime.hold(False)
    sessions.turn(session_id)
    assert "did not answer after" in sessions.get(session_id)["StateChangeReason"]
    assert sessions.is_gone(session_id)


def test_there_is_no_memory(sessions: Sessions) -> None:
    sessions.probe.memory = 500
    session_id = sessions.start()
    sessions.turn(session_id)
    assert "too little memory: a session needs about 2300 MB" in sessions.get(session_id)["StateChangeReason"]
    assert sessions.is_gone(session_id)


@pytest.mark.parametrize("stage", [Stage.LAUNCH, Stage.LAUNCHED, Stage.OBSERVE])
def test_an_agent_that_is_away_or_was_killed(sessions: Sessions, stage: Stage) -> None:
    sessions.play.runtime.fail(stage, "ss-")
    session_id = sessions.start()
    sessions.turn(session_id, 10)
    assert sessions.state(session_id) == "STARTED"
    assert [name for name, _ in sessions.play.runtime.calls if name == "launch"].count("launch") >= 1


def test_sessions_end_with_their_cluster_which_waits_for_them(sessions: Sessions) -> None:
    session_id = sessions.up()
    sessions.emr.call("TerminateJobFlows", JobFlowIds=[sessions.cluster_id])
    for _ in range(8):
        sessions.play.turn(sessions.cluster_id)
    assert sessions.play.state(sessions.cluster_id) == "TERMINATING"
    sessions.turn(session_id)
    sessions.play.settle(sessions.cluster_id)
    assert sessions.play.state(sessions.cluster_id) == "TERMINATED"
    assert sessions.get(session_id)["StateChangeReason"] == f"The cluster {sessions.cluster_id} is TERMINATING."
    assert sessions.play.nothing_left()


def test_a_cluster_with_a_session_is_not_idle(play: ClusterPlay) -> None:
    sessions = Sessions(play, AutoTerminationPolicy={"IdleTimeout": 60})
    session_id = sessions.up(SessionIdleTimeoutInMinutes=10)
    for _ in range(5):
        play.emr.clock.advance(60)
        play.turn(sessions.cluster_id)
    assert play.state(sessions.cluster_id) == "WAITING"
    play.emr.clock.advance(600)
    sessions.turn(session_id)
    play.turn(sessions.cluster_id)
    play.emr.clock.advance(61)
    play.settle(sessions.cluster_id)
    assert play.state(sessions.cluster_id) == "TERMINATED"


def test_the_sweep_knows_whose_workloads_are_orphans(sessions: Sessions) -> None:
    session_id = sessions.up()
    assert sessions.controller.owner_exists(session_owner(session_id)) is True
    assert sessions.controller.owner_exists(session_owner("ss-NONE")) is False
    assert sessions.controller.owner_exists("cluster/j-X") is None
    assert sessions.controller.pending() == [session_id]


# Lists, tags, permissions.


def test_lists(sessions: Sessions) -> None:
    made = []
    for number in range(5):
        sessions.emr.clock.advance(1)
        made.append(sessions.start(Name=str(number)))
    first = sessions.emr.call("ListSessions", ClusterId=sessions.cluster_id, MaxResults=3)
    rest = sessions.emr.call("ListSessions", ClusterId=sessions.cluster_id, MaxResults=3, NextToken=first["NextToken"])
    assert [one["Id"] for one in (*first["Sessions"], *rest["Sessions"])] == made[::-1]
    assert "NextToken" not in rest
    sessions.turn(made[0])
    found = sessions.emr.call("ListSessions", ClusterId=sessions.cluster_id, SessionStates=["STARTED"])
    assert [one["Id"] for one in found["Sessions"]] == [made[0]]
    code, _ = sessions.play.refused("ListSessions", ClusterId=sessions.cluster_id, NextToken="x")
    assert code == "InvalidRequestException"


def test_a_session_of_another_cluster_or_account_is_not_there(sessions: Sessions) -> None:
    session_id = sessions.up()
    other = sessions.play.create(SessionEnabled=True)
    for operation in ("GetSession", "GetSessionEndpoint", "TerminateSession"):
        _, message = sessions.play.refused(operation, ClusterId=other, SessionId=session_id)
        assert message == f"Session id '{session_id}' is not valid."
    stranger = sessions.emr.user("eve", account_id=OTHER_ACCOUNT)
    with pytest.raises(Exception, match="is not valid"):
        sessions.emr.call("GetSession", stranger, ClusterId=sessions.cluster_id, SessionId=session_id)


def test_tags_and_permissions_by_them(sessions: Sessions) -> None:
    session_id = sessions.up(Tags=[{"Key": "team", "Value": "red"}])
    sessions.emr.call("AddTags", ResourceId=session_id, Tags=[{"Key": "more", "Value": "1"}])
    tags = {"Key": "team", "Value": "red"}, {"Key": "more", "Value": "1"}
    assert sessions.get(session_id)["Tags"] == list(tags)
    of_red = {"elasticmapreduce:ResourceTag/team": "red"}
    red = sessions.emr.user("red", statement("elasticmapreduce:GetSession", StringEquals=of_red))
    blue = sessions.emr.user(
        "blue", statement("elasticmapreduce:GetSession", StringEquals={"aws:ResourceTag/team": "blue"})
    )
    wanted = {"ClusterId": sessions.cluster_id, "SessionId": session_id}
    assert sessions.emr.call("GetSession", red, **wanted)["Session"]["Id"] == session_id
    with pytest.raises(AccessDenied):
        sessions.emr.call("GetSession", blue, **wanted)
    by_tag = {"aws:RequestTag/team": "red"}
    starter = sessions.emr.user("start", statement("elasticmapreduce:StartSession", StringEquals=by_tag))
    sessions.emr.call("StartSession", starter, ClusterId=sessions.cluster_id, Tags=[tags[0]])
    with pytest.raises(AccessDenied):
        sessions.emr.call("StartSession", starter, ClusterId=sessions.cluster_id)


# Runtime roles.


def test_a_runtime_role_must_be_the_instance_profiles_to_assume(scoped: Sessions) -> None:
    assert "is not authorized to perform sts:AssumeRole" in scoped.refused(ExecutionRoleArn=DATA)
    let_nodes_assume(scoped.play, DATA)
    session_id = scoped.up(ExecutionRoleArn=DATA)
    assert scoped.get(session_id)["ExecutionRoleArn"] == DATA
    with scoped.emr.database.read() as session:
        (grant,) = session.query(RoleGrant).filter_by(owner=session_owner(session_id))
    assert (grant.role_arn, grant.session_name) == (DATA, session_id)
    _, node = scoped.specification(session_id)
    assert node["master_url"] == "local[*]"
    missing = f"arn:aws:iam::{ACCOUNT}:role/none"
    assert "ExecutionRoleArn" in scoped.refused(ExecutionRoleArn=missing)
    untrusting = scoped.emr.role("closed", statement("s3:*"))
    let_nodes_assume(scoped.play, untrusting)
    assert "trust policy" in scoped.refused(ExecutionRoleArn=untrusting)


def test_a_role_that_was_withdrawn_meanwhile(scoped: Sessions) -> None:
    let_nodes_assume(scoped.play, DATA)
    session_id = scoped.start(ExecutionRoleArn=DATA)
    let_nodes_assume(scoped.play, "arn:aws:iam::1:role/other")
    scoped.turn(session_id)
    assert scoped.state(session_id) == "FAILED"
    assert "sts:AssumeRole" in scoped.get(session_id)["StateChangeReason"]


def test_who_may_use_which_role(scoped: Sessions) -> None:
    let_nodes_assume(scoped.play, DATA)
    key = {"elasticmapreduce:ExecutionRoleArn": DATA}
    user = scoped.emr.user("ann", statement("elasticmapreduce:StartSession", StringEquals=key))
    scoped.emr.call("StartSession", user, ClusterId=scoped.cluster_id, ExecutionRoleArn=DATA)
    with pytest.raises(AccessDenied):
        scoped.emr.call("StartSession", user, ClusterId=scoped.cluster_id)


# At the edge.


def test_the_edge_passes_a_call_to_the_sessions_own_server(sessions: Sessions) -> None:
    one, two = sessions.up(), sessions.up()
    for headers in ({"authorization": f"Bearer {sessions.token(one)}"}, {"x-aws-proxy-auth": sessions.token(one)}):
        answer = sessions.call(**headers)
        row = sessions.row(one)
        assert answer.upstream == f"{row.bind_ip}:15002"
        wanted = {"Authorization": f"Bearer {row.connect_token}", PROXY_TOKEN: DELETE, "Cookie": DELETE}
        assert answer.headers == wanted
    assert sessions.call(authorization=f"Bearer {sessions.token(two)}").upstream != answer.upstream


def status_of(answer: EdgeAnswer) -> tuple[str, str]:
    assert answer.final
    assert not answer.upstream
    assert (answer.status, answer.content_type) == (200, "application/grpc")
    return answer.response_headers["Grpc-Status"], answer.response_headers["Grpc-Message"]


def test_what_the_edge_refuses(sessions: Sessions, tmp_path: Path) -> None:
    session_id = sessions.up()
    token = sessions.token(session_id)
    foreign, _ = tokens.issue(Sealer.load(tmp_path / "other"), session_id, sessions.emr.clock.now())
    for wrong in ("", "x", "ü", token[:-1], token + "A", foreign):
        assert status_of(sessions.call(authorization=f"Bearer {wrong}"))[0] == "16", wrong
    assert status_of(sessions.call())[0] == "16"
    sessions.emr.clock.advance(tokens.LIFETIME.total_seconds())
    sessions.turn(session_id, 0)
    assert status_of(sessions.call(authorization=f"Bearer {token}"))[1].startswith("The token has expired")
    token = sessions.token(session_id)
    sessions.emr.call("TerminateSession", ClusterId=sessions.cluster_id, SessionId=session_id)
    assert status_of(sessions.call(authorization=f"Bearer {token}")) == (
        "16",
        f"The session {session_id} is TERMINATING.",
    )
    code, message = sessions.play.refused("GetSessionEndpoint", ClusterId=sessions.cluster_id, SessionId=session_id)
    assert (code, "it must be STARTED" in message) == ("InvalidRequestException", True)


def test_tokens_fit_into_pysparks_connection_string() -> None:
    sealer, now = Sealer(b"k" * 32), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    token, expires = tokens.issue(sealer, "ss-X", now)
    assert not set(token) & set("=;/&? ")
    assert (tokens.read(sealer, token).session, expires) == ("ss-X", now + tokens.LIFETIME)
    with pytest.raises(BadSeal):
        tokens.read(sealer, "A" * 5000)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"port": 9}, "sc://localhost:9/"),
        ({"domain": "s.example.com", "scheme": "https"}, "sc://s.example.com:443/;use_ssl=true"),
        ({"domain": "s.example.com:8443", "scheme": "https"}, "sc://s.example.com:8443/;use_ssl=true"),
    ],
)
def test_the_endpoint(tmp_path: Path, settings: dict[str, Any], url: str) -> None:
    assert connect_url(Settings(data_dir=tmp_path, **settings)) == url
