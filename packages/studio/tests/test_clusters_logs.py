"""Logs of clusters on their way to S3: what is read of somebody else's folder, what goes where, what is forgotten."""

from __future__ import annotations

import datetime as dt
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.app import load_tables
from emr_studio.clock import SystemClock
from emr_studio.clusters.logs.appinfo import AppInfo, StoreFailed
from emr_studio.clusters.logs.archive import LogArchive, program_log
from emr_studio.clusters.logs.controller import LogPusher
from emr_studio.clusters.logs.owned_files import owned_files
from emr_studio.clusters.model import Cluster
from emr_studio.clusters.nodes import folder_of, logs_of
from emr_studio.clusters.ui_keys import livy_token, ui_key
from emr_studio.db import Base, Database
from emr_studio.settings import Settings
from emr_studio.storage.buckets import owner_of
from tests.support.appinfo import MemoryAppInfo
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

EVENT_LOG = "eventlogs/eventlog_v2_app-1/events_1_app-1.zstd"


class RoleClient:
    """S3 as a cluster's role."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[f"{Bucket}/{Key}"] = gzip.decompress(Body)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


@pytest.fixture
def bucket() -> MemoryAppInfo:
    return MemoryAppInfo()


@pytest.fixture
def archive(play: ClusterPlay, bucket: MemoryAppInfo) -> LogArchive:
    found = LogArchive(play.emr.settings, bucket)
    play.controller._archive = found
    return found


def running(play: ClusterPlay, **changes: Any) -> Cluster:
    cluster_id = play.create(core=1, **changes)
    play.settle(cluster_id)
    return play.row(cluster_id)


def write(play: ClusterPlay, cluster: Cluster, name: str, text: str = "text") -> Path:
    path = folder_of(play.emr.settings, cluster.id) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if os.geteuid() == 0:
        for one in (path, *path.parents[: len(Path(name).parts)]):
            os.chown(one, cluster.uid, cluster.uid)
    return path


def test_only_plain_files_of_the_cluster_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("ours")
    folder = tmp_path / "cluster" / "logs"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "events_1").write_text("fine")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "odd name").write_text("x")
    (folder / ".hidden").write_text("x")
    os.mkfifo(folder / "pipe")
    found = {file.name: file.read() for file in owned_files(tmp_path, ("cluster", "logs"), os.geteuid())}
    assert found == {"app/events_1": b"fine"}
    assert list(owned_files(tmp_path, ("cluster", "logs"), os.geteuid() + 1)) == []
    assert list(owned_files(tmp_path, ("cluster", "none"), os.geteuid())) == []
    assert list(owned_files(tmp_path, ("cluster", "logs", "folder"), os.geteuid())) == []


def test_a_file_that_becomes_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("ours")
    (tmp_path / "logs").mkdir()
    victim = tmp_path / "logs" / "events"
    victim.write_text("fine")
    for file in owned_files(tmp_path, ("logs",), os.geteuid()):
        victim.unlink()
        victim.symlink_to(tmp_path / "secret")
        with pytest.raises(OSError, match="symbolic"):
            file.read()


def test_event_logs_are_sent_once_for_each_change(
    play: ClusterPlay, archive: LogArchive, bucket: MemoryAppInfo
) -> None:
    cluster = running(play)
    path = write(play, cluster, EVENT_LOG)
    assert archive.push(cluster, play.nodes(cluster.id))
    assert archive.push(cluster, play.nodes(cluster.id))
    key = f"{cluster.account_id}/{cluster.id}/eventlog_v2_app-1/events_1_app-1.zstd"
    assert (bucket.objects, bucket.puts) == ({key: b"text"}, 1)
    path.write_text("more text")
    assert archive.push(cluster, play.nodes(cluster.id))
    assert bucket.objects[key] == b"more text"


def test_the_last_of_them_is_sent_before_the_cluster_is_gone(
    play: ClusterPlay, archive: LogArchive, bucket: MemoryAppInfo
) -> None:
    cluster = running(play)
    write(play, cluster, EVENT_LOG)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster.id])
    play.settle(cluster.id)
    assert play.state(cluster.id) == "TERMINATED"
    assert len(bucket.objects) == 1


def test_a_store_that_stays_away_keeps_no_cluster_from_its_end(
    play: ClusterPlay, archive: LogArchive, bucket: MemoryAppInfo
) -> None:
    cluster = running(play)
    write(play, cluster, EVENT_LOG)
    bucket.away = True
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster.id])
    for _ in range(20):
        play.turn(cluster.id)
    assert play.state(cluster.id) == "TERMINATING"
    play.emr.clock.advance(61)
    play.settle(cluster.id)
    assert play.state(cluster.id) == "TERMINATED"


def test_a_store_that_gives_no_bucket_is_not_waited_for(
    play: ClusterPlay, archive: LogArchive, bucket: MemoryAppInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = running(play)
    write(play, cluster, EVENT_LOG)

    def refuse(*_arguments: object) -> None:
        raise StoreFailed("not of this name", final=True)

    monkeypatch.setattr(bucket, "put", refuse)
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster.id])
    play.settle(cluster.id)
    assert play.state(cluster.id) == "TERMINATED"


def test_log_uri_has_emrs_layout(play: ClusterPlay, archive: LogArchive) -> None:
    cluster = running(play, LogUri="s3n://team/logs/")
    primary, core = play.nodes(cluster.id)
    client = archive._clients[cluster.id] = RoleClient()
    logs = logs_of(play.emr.settings, cluster.id)
    logs.mkdir(parents=True)
    for name in (f"{primary.id}-master.log", f"{primary.id}-gateway.log", f"{core.id}-worker.log.1"):
        (logs / name).write_text(name)
    (logs / f"{primary.id}-bootstrap.log").write_text("brings its own")
    write(play, cluster, f"{core.id}/worker/work/app-2026-0001/0/stderr", "of an executor")
    write(play, cluster, f"{core.id}/worker/work/app-2026-0001/0/some.jar", "not a log")
    assert archive.push(cluster, play.nodes(cluster.id))
    base = f"team/logs/{cluster.id}"
    assert client.objects == {
        f"{base}/node/{primary.ec2_id}/applications/spark/spark-master.log.gz": f"{primary.id}-master.log".encode(),
        f"{base}/node/{primary.ec2_id}/applications/gateway/gateway.log.gz": f"{primary.id}-gateway.log".encode(),
        f"{base}/node/{core.ec2_id}/applications/spark/spark-worker.log.1.gz": f"{core.id}-worker.log.1".encode(),
        f"{base}/containers/app-2026-0001/{core.ec2_id}_0/stderr.gz": b"of an executor",
    }


def test_no_secret_goes_there(play: ClusterPlay, archive: LogArchive, tmp_path: Path) -> None:
    cluster = running(play, LogUri="s3://team/logs/")
    client = archive._clients[cluster.id] = RoleClient()
    logs = logs_of(play.emr.settings, cluster.id)
    logs.mkdir(parents=True)
    told = (
        cluster.secret,
        cluster.role_token,
        cluster.gateway_token,
        livy_token(cluster.secret),
        ui_key(cluster.secret),
    )
    assert all(told)
    (logs / f"{play.nodes(cluster.id)[0].id}-gateway.log").write_text(" ".join(told))
    assert archive.push(cluster, play.nodes(cluster.id))
    step = write(play, cluster, "steps/s-1/stderr", f"{cluster.role_token} a-token-of-its-own short")
    tenant = {"uid": step.stat().st_uid, "role_token": "a-token-of-its-own", "secret": "short"}
    archive.push_step(cluster, "s-1", folder_of(play.emr.settings, cluster.id), tenant)
    assert sorted(client.objects.values()) == [b"**** **** **** **** ****", b"**** **** short"]


def test_names_of_programs() -> None:
    assert program_log("connect", ".1") == "applications/spark/spark-connect.log.1.gz"
    assert program_log("livy") == "applications/livy/livy.log.gz"


def test_what_is_too_old_is_forgotten(play: ClusterPlay, archive: LogArchive, bucket: MemoryAppInfo) -> None:
    cluster = running(play)
    write(play, cluster, EVENT_LOG)
    pusher = LogPusher(play.emr.database, play.emr.clock, archive)
    assert pusher.pending() == [cluster.id]
    pusher.reconcile(cluster.id)
    assert len(bucket.objects) == 1
    # Not again at once.
    assert pusher.pending() == []
    play.emr.call("TerminateJobFlows", JobFlowIds=[cluster.id])
    play.settle(cluster.id)
    play.emr.clock.advance(dt.timedelta(days=31).total_seconds())
    later = LogPusher(play.emr.database, play.emr.clock, archive)
    assert later.pending() == [cluster.id]
    later.reconcile(cluster.id)
    assert bucket.objects == {}


def test_the_studios_bucket(store_settings: Settings, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    load_tables()
    Base.metadata.create_all(database.engine)
    appinfo = AppInfo(store_settings, database, SystemClock())
    assert appinfo.names("1/j-1") == []
    appinfo.put("1/j-1", "log/events_1_app-1.zstd", b"one")
    appinfo.put("1/j-1", "log/events_2_app-1.zstd", b"two")
    appinfo.put("1/j-10", "other", b"three")
    assert appinfo.fetch("1/j-1", tmp_path / "fetched") == 2
    assert (tmp_path / "fetched" / "log" / "events_2_app-1.zstd").read_bytes() == b"two"
    assert (tmp_path / "fetched" / "log").stat().st_mode & 0o005 == 0o005
    appinfo.remove("1/j-1")
    assert (appinfo.names("1/j-1"), appinfo.names("1/j-10")) == ([], ["other"])
    # It belongs to nobody: no account lists or owns it.
    with database.read() as session:
        assert owner_of(session, appinfo.bucket) == "studio"
    database.dispose()
