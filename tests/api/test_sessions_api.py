"""Spark Connect sessions and runtime roles through stock boto3 and the AWS CLI."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clock import SystemClock
from emr_studio.clusters.controller import ClusterReconciler
from emr_studio.clusters.sessions.controller import SessionReconciler
from emr_studio.clusters.sessions.model import SparkSession
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_api import EmrApi, served_emr
from tests.support.emr_world import statement
from tests.support.runtime_roles import DATA, allow_runtime_roles, let_nodes_assume


class Quiet:
    """A Spark in which nothing runs."""

    def is_busy(self, row: SparkSession) -> bool | None:
        return False

    def kernels(self, row: SparkSession) -> int | None:
        return 0

    def free_memory(self) -> int:
        return 64_000


class Sessions:
    """A cluster with sessions and runtime roles behind the API, and the sessions' controller."""

    def __init__(self, api: EmrApi) -> None:
        self.api, world, clock = api, api.world, SystemClock()
        self.key = api.key("admin")
        self.emr = api.client("emr", *self.key)
        play = ClusterPlay(world, api.runtime)
        play.controller = ClusterReconciler(world.database, clock, api.runtime, world.settings, play.probe)
        self.controller = SessionReconciler(world.database, clock, api.runtime, world.settings, Quiet())
        scoped = allow_runtime_roles(play)
        let_nodes_assume(play, DATA)
        self.cluster_id = str(self.emr.run_job_flow(**play.request(core=0, SessionEnabled=True, **scoped))["JobFlowId"])
        play.settle(self.cluster_id)

    def settle(self, session_id: str) -> str:
        """Let the controller work; the state."""
        for _ in range(6):
            self.controller.reconcile(session_id)
        return str(self.emr.get_session(ClusterId=self.cluster_id, SessionId=session_id)["Session"]["State"])

    def refused(self, call: str, **arguments: Any) -> tuple[str, int, str]:
        """(code, status, message) of a call that must fail."""
        with pytest.raises(ClientError) as caught:
            getattr(self.emr, call)(ClusterId=self.cluster_id, **arguments)
        found = caught.value.response
        return found["Error"]["Code"], found["ResponseMetadata"]["HTTPStatusCode"], found["Error"]["Message"]

    def cli(self, *arguments: str) -> dict[str, Any]:
        """What the AWS CLI prints."""
        command = [str(Path(sys.executable).with_name("aws")), "emr", *arguments, "--endpoint-url", self.api.endpoint]
        credentials = {"AWS_ACCESS_KEY_ID": self.key[0], "AWS_SECRET_ACCESS_KEY": self.key[1]}
        environment = os.environ | credentials | {"AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    with served_emr(tmp_path_factory.mktemp("emr")) as api:
        yield Sessions(api)


def test_a_session_from_start_to_end(sessions: Sessions) -> None:
    emr, cluster = sessions.emr, {"ClusterId": sessions.cluster_id}
    assert emr.describe_cluster(**cluster)["Cluster"]["SessionEnabled"] is True
    made = emr.start_session(
        **cluster,
        Name="etl",
        ExecutionRoleArn=DATA,
        SessionIdleTimeoutInMinutes=30,
        ClientRequestToken="once",
        Tags=[{"Key": "team", "Value": "red"}],
        EngineConfigurations=[{"Classification": "spark-defaults", "Properties": {"a": "b"}}],
    )
    session_id = made["Id"]
    assert made["State"] == "SUBMITTED"
    assert sessions.refused("get_session_endpoint", SessionId=session_id)[:2] == ("InvalidRequestException", 400)
    assert sessions.settle(session_id) == "STARTED"
    assert emr.start_session(**cluster, ClientRequestToken="once")["Id"] == session_id
    found = emr.get_session(**cluster, SessionId=session_id)["Session"]
    assert (found["Arn"], found["ExecutionRoleArn"], found["Tags"]) == (
        made["Arn"],
        DATA,
        [{"Key": "team", "Value": "red"}],
    )
    assert found["StartedAt"] >= found["CreatedAt"]
    endpoint = emr.get_session_endpoint(**cluster, SessionId=session_id)
    assert endpoint["Endpoint"].startswith("sc://localhost:")
    left = endpoint["AuthTokenExpirationTime"] - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=59) < left <= dt.timedelta(hours=1)
    emr.add_tags(ResourceId=session_id, Tags=[{"Key": "x", "Value": "y"}])
    assert emr.terminate_session(**cluster, SessionId=session_id)["State"] == "TERMINATING"
    assert sessions.settle(session_id) == "TERMINATED"


def test_lists_and_codes(sessions: Sessions) -> None:
    made = [sessions.emr.start_session(ClusterId=sessions.cluster_id, Name=str(i))["Id"] for i in range(3)]
    page = sessions.emr.list_sessions(ClusterId=sessions.cluster_id, MaxResults=2, SessionStates=["SUBMITTED"])
    rest = sessions.emr.list_sessions(
        ClusterId=sessions.cluster_id, MaxResults=2, SessionStates=["SUBMITTED"], NextToken=page["NextToken"]
    )
    assert [one["Id"] for one in (*page["Sessions"], *rest["Sessions"])] == made[::-1]
    invalid = ("InvalidRequestException", 400)
    assert sessions.refused("list_sessions", NextToken="x")[:2] == invalid
    assert sessions.refused("get_session", SessionId="ss-X") == (*invalid, "Session id 'ss-X' is not valid.")
    assert sessions.refused("start_session", ExecutionRoleArn=f"{DATA}2")[:2] == invalid
    assert sessions.refused("start_session", SessionIdleTimeoutInMinutes=5000)[:2] == invalid


def test_the_aws_cli(sessions: Sessions) -> None:
    cluster = ("--cluster-id", sessions.cluster_id)
    session_id = sessions.cli("start-session", *cluster, "--name", "cli")["Id"]
    assert sessions.settle(session_id) == "STARTED"
    own = (*cluster, "--session-id", session_id)
    assert sessions.cli("get-session", *own)["Session"]["Name"] == "cli"
    assert sessions.cli("get-session-endpoint", *own)["AuthToken"]
    assert session_id in str(sessions.cli("list-sessions", *cluster, "--session-states", "STARTED"))
    assert sessions.cli("terminate-session", *own)["State"] == "TERMINATING"
    pair = sessions.cli("get-cluster-session-credentials", *cluster, "--execution-role-arn", DATA)["Credentials"]
    assert set(pair["UsernamePassword"]) == {"Username", "Password"}


def test_denials_name_action_and_session(sessions: Sessions) -> None:
    session_id = sessions.emr.start_session(ClusterId=sessions.cluster_id)["Id"]
    reader = sessions.api.user("reader", statement("elasticmapreduce:GetSession"))
    wanted = {"ClusterId": sessions.cluster_id, "SessionId": session_id}
    assert reader.get_session(**wanted)["Session"]["Id"] == session_id
    for call in ("get_session_endpoint", "terminate_session"):
        with pytest.raises(ClientError, match=f"cluster/{sessions.cluster_id}/session/{session_id}") as caught:
            getattr(reader, call)(**wanted)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
