"""Application UIs: links, history servers' lives, who may pass the edge. The in-process runtime stands for the host."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from emr_studio.clusters.history import model, operations
from emr_studio.clusters.history.controller import HistoryReconciler
from emr_studio.clusters.history.model import HistoryServer, ServerState, server_id
from emr_studio.clusters.tools import Tools
from emr_studio.clusters.ui_keys import token_for
from emr_studio.runtime.contract import ProcessSpec, WorkloadState
from tests.support.appinfo import MemoryAppInfo
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

REGISTERED = operations
"""Importing it registered the operations."""


class Play(ClusterPlay):
    """Clusters and their history servers."""

    bucket: MemoryAppInfo
    history: HistoryReconciler

    def begin(self) -> None:
        emr = self.emr
        self.bucket = MemoryAppInfo()
        tools = Tools(emr.database, emr.clock, self.runtime, emr.settings, self.probe)
        self.history = HistoryReconciler(tools, self.bucket)

    def running(self) -> str:  # type: ignore[override]
        cluster_id = self.create(core=0)
        self.settle(cluster_id)
        return cluster_id

    def arn(self, cluster_id: str) -> str:
        return str(self.describe(cluster_id)["ClusterArn"])

    def create_ui(self, cluster_id: str) -> str:
        answer = self.emr.call("CreatePersistentAppUI", TargetResourceArn=self.arn(cluster_id))
        assert answer["RuntimeRoleEnabledCluster"] is False
        return str(answer["PersistentAppUIId"])

    def server(self, cluster_id: str) -> HistoryServer:
        with self.emr.database.read() as session:
            return session.get_one(HistoryServer, server_id(cluster_id))

    def work(self, cluster_id: str, turns: int = 20) -> None:
        for _ in range(turns):
            if self.history.reconcile(server_id(cluster_id)) is None:
                return
        raise AssertionError("the history server did not settle")

    def spec(self, cluster_id: str) -> tuple[ProcessSpec, dict[str, Any]]:
        spec = self.runtime.workloads[f"{server_id(cluster_id)}/history"].spec
        assert isinstance(spec, ProcessSpec)
        return spec, json.loads(spec.files["node.json"])

    def link(self, ui: str, **more: Any) -> str:
        answer = self.emr.call("GetPersistentAppUIPresignedURL", PersistentAppUIId=ui, **more)
        assert answer["PresignedURLReady"] == ("PresignedURL" in answer)
        return str(answer.get("PresignedURL", ""))


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        made = Play(emr)
        made.begin()
        yield made


def test_a_server_without_pages_is_waited_for(play: Play) -> None:
    cluster_id = play.running()
    ui, server = play.create_ui(cluster_id), server_id(cluster_id)
    play.probe.pages = False
    for _ in range(20):
        assert play.history.reconcile(server) is not None
    assert play.link(ui) == ""
    play.probe.pages = True
    play.work(cluster_id)
    assert play.link(ui).endswith("landing=/shs/")


def test_a_link_is_there_once_the_server_runs(play: Play) -> None:
    cluster_id = play.running()
    ui = play.create_ui(cluster_id)
    assert play.link(ui) == ""
    assert play.history.pending() == [server_id(cluster_id)]
    play.work(cluster_id)
    assert play.history.pending() == []
    described = play.emr.call("DescribePersistentAppUI", PersistentAppUIId=ui)["PersistentAppUI"]
    assert described["PersistentAppUIStatus"] == "RUNNING"
    assert play.link(ui).endswith("landing=/shs/")
    assert play.link(ui, ApplicationId="app-1").endswith("landing=/shs/history/app-1/jobs/")
    spec, config = play.spec(cluster_id)
    assert config["events_dir"].endswith(f"{cluster_id}/eventlogs")
    assert config["events_dir"] in spec.readable
    assert config["secret"] == config["connect_token"] == ""


def test_a_person_has_one_ui_of_a_cluster(play: Play) -> None:
    cluster_id = play.running()
    assert play.create_ui(cluster_id) == play.create_ui(cluster_id)


def test_the_end_of_the_cluster_moves_it_to_what_s3_has(play: Play) -> None:
    cluster_id = play.running()
    ui = play.create_ui(cluster_id)
    play.work(cluster_id)
    first, _ = play.spec(cluster_id)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    play.settle(cluster_id)
    play.bucket.objects[f"{play.row(cluster_id).account_id}/{cluster_id}/events"] = b"log"
    assert play.history.pending() == [server_id(cluster_id)]
    # The server that still shows the living cluster is about to go: no link leads there.
    assert play.server(cluster_id).state == "RUNNING"
    assert play.link(ui) == ""
    play.history.reconcile(server_id(cluster_id))
    assert play.server(cluster_id).state == "STARTING"
    play.work(cluster_id)
    _, config = play.spec(cluster_id)
    assert (Path(config["events_dir"]) / "events").read_bytes() == b"log"
    assert play.server(cluster_id).archived
    assert play.link(ui)
    assert play.refused("GetOnClusterAppUIPresignedURL", ClusterId=cluster_id)[0] == "InvalidRequestException"
    assert first.workload_id == f"{server_id(cluster_id)}/history"


def test_nobody_looks_and_it_stops_and_its_files_go(play: Play) -> None:
    cluster_id = play.running()
    ui = play.create_ui(cluster_id)
    play.work(cluster_id)
    play.emr.clock.advance(model.IDLE.total_seconds() + 1)
    assert play.history.pending() == [server_id(cluster_id)]
    play.work(cluster_id)
    assert play.server(cluster_id).state == ServerState.STOPPED
    assert play.runtime.state(f"{server_id(cluster_id)}/history") is WorkloadState.ABSENT
    assert not (play.emr.settings.history_dir / server_id(cluster_id)).exists()
    # The next use starts it again.
    assert play.link(ui) == ""
    play.work(cluster_id)
    assert play.link(ui)


def test_one_that_is_gone_without_a_word_is_started_again(play: Play) -> None:
    cluster_id = play.running()
    ui = play.create_ui(cluster_id)
    play.work(cluster_id)
    first, _ = play.spec(cluster_id)
    play.runtime.workloads.clear()
    play.begin()
    assert play.history.pending() == [server_id(cluster_id)]
    play.work(cluster_id)
    second, _ = play.spec(cluster_id)
    assert play.link(ui)
    assert second.ready_address != first.ready_address


def test_a_store_that_is_away_is_said_and_in_the_end_given_up(play: Play) -> None:
    cluster_id = play.running()
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    play.settle(cluster_id)
    play.bucket.away = True
    ui = play.create_ui(cluster_id)
    play.work(cluster_id)
    described = play.emr.call("DescribePersistentAppUI", PersistentAppUIId=ui)["PersistentAppUI"]
    assert described["PersistentAppUIStatus"] == "FAILED"
    assert "history server" in described["LastStateChangeReason"]


def test_too_little_memory_is_said(play: Play) -> None:
    cluster_id = play.running()
    ui = play.create_ui(cluster_id)
    play.probe.memory = 100
    play.work(cluster_id)
    described = play.emr.call("DescribePersistentAppUI", PersistentAppUIId=ui)["PersistentAppUI"]
    assert "too little memory" in described["LastStateChangeReason"]


@pytest.mark.capability("DB-06")
def test_the_fifty_first_active_ui_is_refused(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = play.running(), play.running()
    assert model.MOST_ACTIVE == 50
    monkeypatch.setattr(model, "MOST_ACTIVE", 1)
    play.create_ui(first)
    code, message = play.refused("CreatePersistentAppUI", TargetResourceArn=play.arn(second))
    assert (code, "limit of 1" in message) == ("InvalidRequestException", True)
    assert play.create_ui(first)


def test_after_thirty_days_it_is_gone(play: Play) -> None:
    cluster_id = play.running()
    ui = play.create_ui(cluster_id)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
    play.settle(cluster_id)
    play.emr.clock.advance(dt.timedelta(days=31).total_seconds())
    refused = play.refused("GetPersistentAppUIPresignedURL", PersistentAppUIId=ui)
    assert refused[0] == "InvalidRequestException"
    assert play.refused("CreatePersistentAppUI", TargetResourceArn=play.arn(cluster_id))[0] == refused[0]


def test_on_the_cluster(play: Play) -> None:
    cluster_id = play.create(core=0)
    assert play.refused("GetOnClusterAppUIPresignedURL", ClusterId=cluster_id)[0] == "InvalidRequestException"
    play.settle(cluster_id)

    def ask(**more: Any) -> dict[str, Any]:
        return dict(play.emr.call("GetOnClusterAppUIPresignedURL", ClusterId=cluster_id, **more))

    assert ask()["PresignedURL"].endswith("landing=/")
    assert ask(DryRun=True) == {"PresignedURLReady": True}
    assert ask(OnClusterAppUIType="SparkHistoryServer") == {"PresignedURLReady": False}
    play.work(cluster_id)
    assert ask(ApplicationId="app-1")["PresignedURL"].endswith("landing=/shs/history/app-1/jobs/")
    for kind in ("ResourceManager", "TezUI", "YarnTimelineService", "JobHistoryServer"):
        code, _ = play.refused("GetOnClusterAppUIPresignedURL", ClusterId=cluster_id, OnClusterAppUIType=kind)
        assert code == "InvalidRequestException"
    code, _ = play.refused("GetOnClusterAppUIPresignedURL", ClusterId=cluster_id, ApplicationId="../x")
    assert code == "InvalidRequestException"


def test_tokens_are_signed_with_the_servers_own_key_and_soon_end() -> None:
    now = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
    key = model.new_key()
    claims = jwt.decode(token_for(key, now), OctKey.import_key(base64.urlsafe_b64decode(key))).claims
    assert claims == {"exp": int(now.timestamp()) + 60}
