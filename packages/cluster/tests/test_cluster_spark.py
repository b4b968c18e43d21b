"""What a node's Java programs are told."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emr_studio_cluster import node, spark, tools
from emr_studio_cluster.config import NODE_FILE, NodeConfig, read_config


@pytest.fixture
def config() -> NodeConfig:
    return NodeConfig(
        cluster_id="j-1",
        address="127.31.1.2",
        primary_address="127.31.1.1",
        local_mode=False,
        secret="the-secret",
        connect_token="the-token",
    )


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests run in the studio's environment, which has no pyspark.
    monkeypatch.setattr(spark, "spark_home", lambda: Path("/opt/spark"))
    monkeypatch.setattr(spark, "java", lambda: "/usr/bin/java")


def changed(config: NodeConfig, **members: Any) -> NodeConfig:
    return replace(config, **members)


def test_members_of_a_newer_studio_are_ignored(tmp_path: Path, config: NodeConfig) -> None:
    (tmp_path / NODE_FILE).write_text(json.dumps(config.__dict__ | {"newer": 1}))
    assert read_config(tmp_path) == config


@pytest.mark.parametrize("make", [spark.master_command, spark.worker_command, spark.connect_command])
def test_secrets_stand_in_a_private_file_only(tmp_path: Path, config: NodeConfig, make: object) -> None:
    assert callable(make)
    command = " ".join(make(config, tmp_path))
    assert "the-secret" not in command
    assert "the-token" not in command
    properties = tmp_path / "spark.properties"
    assert "spark.authenticate.secret the-secret\n" in properties.read_text()
    assert properties.stat().st_mode & 0o077 == 0


def test_everything_binds_to_the_nodes_own_address(tmp_path: Path, config: NodeConfig) -> None:
    found = spark.connect_properties(config, tmp_path)
    addresses = ("spark.driver.host", "spark.driver.bindAddress", "spark.connect.grpc.binding.address")
    assert {found[name] for name in addresses} == {"127.31.1.2"}
    assert found["spark.master"] == "spark://127.31.1.1:7077"
    assert "--host 127.31.1.2" in " ".join(spark.worker_command(config, tmp_path))


def test_one_node_computes_by_itself(tmp_path: Path, config: NodeConfig) -> None:
    alone = changed(config, local_mode=True)
    assert spark.connect_properties(alone, tmp_path)["spark.master"] == "local[*]"
    # Who computes is worth compiling well.
    assert "-XX:TieredStopAtLevel=1" not in spark.connect_command(alone, tmp_path)
    assert "-XX:TieredStopAtLevel=1" in spark.connect_command(config, tmp_path)


def test_what_computes_is_optimised_once_it_is_hot(tmp_path: Path, config: NodeConfig) -> None:
    own = "spark.executor.defaultJavaOptions"
    flags = spark.connect_properties(config, tmp_path)[own].split()
    # Java knows them all: it ends with an error else.
    told = subprocess.run([spark.java(), *flags, "-version"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert set(flags) < set(spark.connect_command(changed(config, local_mode=True), tmp_path))
    assert tools.submit_properties(config, tmp_path)["spark.driver.defaultJavaOptions"].split() == flags
    assert tools.submit_properties(changed(config, spark_defaults={own: "-Da=b"}), tmp_path)[own] == "-Da=b"


def test_spark_defaults_win_over_ours_but_not_over_what_must_be(tmp_path: Path, config: NodeConfig) -> None:
    given = {"spark.sql.shuffle.partitions": "3", "spark.authenticate.secret": "x", "spark.driver.host": "0.0.0.0"}
    found = spark.connect_properties(changed(config, spark_defaults=given), tmp_path)
    assert found["spark.sql.shuffle.partitions"] == "3"
    assert found["spark.authenticate.secret"] == "the-secret"
    assert found["spark.driver.host"] == "127.31.1.2"


def test_s3_paths_need_the_jars(tmp_path: Path, config: NodeConfig) -> None:
    with_folder = changed(config, jars_dir=str(tmp_path), s3_endpoint="http://127.0.0.1:8080")
    assert spark.s3_properties(with_folder, tmp_path) == {}
    (tmp_path / "hadoop-aws.jar").touch()
    found = spark.s3_properties(with_folder, tmp_path)
    assert found["spark.hadoop.fs.s3.impl"] == found["spark.hadoop.fs.s3n.impl"]
    assert found["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:8080"
    assert found["spark.hadoop.fs.s3a.aws.credentials.provider"].endswith("ContainerCredentialsProvider")


def test_tables_are_kept_in_the_data_catalog_where_their_data_can_be_in_s3(tmp_path: Path, config: NodeConfig) -> None:
    (tmp_path / "hadoop-aws.jar").touch()
    whole = changed(config, jars_dir=str(tmp_path), warehouse_dir="s3://bucket/warehouse")
    found = spark.connect_properties(whole, tmp_path)
    assert found["spark.hadoop.hive.metastore.uris"] == "thrift://127.31.1.1:9083"
    assert found["spark.sql.warehouse.dir"] == "s3://bucket/warehouse"
    for other in (
        changed(whole, jars_dir=""),
        changed(whole, warehouse_dir="/somewhere"),
        changed(whole, spark_defaults={"spark.sql.catalogImplementation": "in-memory"}),
    ):
        assert not other.has_catalog
        found = spark.connect_properties(other, tmp_path)
        assert "spark.hadoop.hive.metastore.uris" not in found
        assert not found["spark.sql.warehouse.dir"].startswith("s3")


def test_event_logs_are_written_where_the_studio_looks(tmp_path: Path, config: NodeConfig) -> None:
    assert spark.event_log_properties(config) == {}
    found = spark.event_log_properties(changed(config, events_dir=str(tmp_path / "events")))
    assert found["spark.eventLog.dir"] == (tmp_path / "events").as_uri()
    assert (tmp_path / "events").is_dir()


def test_a_history_server_asks_for_tokens(tmp_path: Path, config: NodeConfig) -> None:
    shown = changed(config, events_dir=str(tmp_path), history_port=18080, ui_key="a-key")
    command = " ".join(spark.history_command(shown, tmp_path))
    assert "-Dspark.ui.proxyBase=/shs" in command
    assert "a-key" not in command
    properties = (tmp_path / "spark.properties").read_text()
    assert "spark.history.ui.port 18080\n" in properties
    assert "JWSFilter.param.secretKey a-key\n" in properties


def test_archives_are_used_only_if_there(tmp_path: Path, config: NodeConfig) -> None:
    here = changed(config, archives_dir=str(tmp_path))
    assert not any("jsa" in word for word in spark.master_command(here, tmp_path))
    (tmp_path / "master.jsa").touch()
    assert f"-XX:SharedArchiveFile={tmp_path}/master.jsa" in spark.master_command(here, tmp_path)
    recording = changed(here, record_archives=True)
    assert f"-XX:ArchiveClassesAtExit={tmp_path}/worker.jsa" in spark.worker_command(recording, tmp_path)


def test_properties_survive_javas_format(tmp_path: Path, config: NodeConfig) -> None:
    spark.connect_command(changed(config, cluster_id=" a\\b\nc", spark_defaults={"spark.a b": "x=y"}), tmp_path)
    text = (tmp_path / "spark.properties").read_text()
    assert "spark.app.name \\ a\\\\b\\nc\n" in text
    assert "spark.a\\ b x=y\n" in text


def test_no_java_is_said(
    tmp_path: Path, config: NodeConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> str:
        raise spark.NoJava("Java was not found: install Java 17")

    monkeypatch.setattr(spark, "java", missing)
    # It is a process of its own; here it must not change this one's.
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    monkeypatch.chdir(tmp_path)
    (tmp_path / NODE_FILE).write_text(json.dumps(config.__dict__))
    assert node.main(["master", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "Java was not found: install Java 17.\n"
    assert node.main(["nonsense"]) == 2
