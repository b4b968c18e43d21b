"""The metastore beside Spark, without Spark: Hive's calls over Thrift, kept in the Data Catalog that IAM guards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from thriftpy2.rpc import make_client

from emr_studio_cluster.config import PRACTICE
from emr_studio_cluster.metastore import server
from emr_studio_cluster.metastore.interface import HIVE
from emr_studio_cluster.metastore.shapes import partition_name, partition_values
from tests.support.iam_api import allow, policy
from tests.support.keys_api import KeysWorld, served_keys
from tests.support.studio import until


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeysWorld]:
    with served_keys(tmp_path_factory.mktemp("metastore")) as served:
        yield served


def serving(world: KeysWorld, keys: tuple[str, str]) -> Iterator[int]:
    """A metastore in a process of its own, with these keys; its port."""
    own = {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    yield from serving_with(own | {"AWS_ENDPOINT_URL": world.endpoint, "AWS_DEFAULT_REGION": "us-east-1"})


def serving_with(own: dict[str, str], folder: Path | None = None) -> Iterator[int]:
    """The same, by its environment, at work in `folder`."""
    code = "from emr_studio_cluster.metastore import server; print(server.start('127.0.0.1', 0), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | own,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="module")
def port(world: KeysWorld) -> Iterator[int]:
    yield from serving(world, world.new_user("spark", policy(allow("glue:*"))))


@pytest.fixture
def hive(port: int, tmp_path: Path) -> Iterator[Any]:
    client = make_client(HIVE.ThriftHiveMetastore, "127.0.0.1", port, timeout=60_000)
    client.create_database(HIVE.Database("sales", "d", tmp_path.as_uri(), {"a": "b"}))
    yield client
    client.drop_database("sales", True, True)
    client.close()


def a_table(folder: Path, **members: Any) -> Any:
    serde = HIVE.SerDeInfo("", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", {"serialization.format": "1"})
    columns = [HIVE.FieldSchema("id", "int", None), HIVE.FieldSchema("name", "string", "n")]
    sd = HIVE.StorageDescriptor(
        cols=columns, location=(folder / "t").as_uri(), inputFormat="in", outputFormat="out", compressed=False,
        numBuckets=-1, serdeInfo=serde, bucketCols=["id"], sortCols=[HIVE.Order("id", 1)], parameters={"p": "q"},
    )  # fmt: skip
    keys = [HIVE.FieldSchema("year", "int", None), HIVE.FieldSchema("k", "string", None)]
    made = {"tableName": "T", "dbName": "sales", "owner": "o", "sd": sd, "partitionKeys": keys}
    made |= {"parameters": {"x": "y"}, "tableType": "MANAGED_TABLE", "retention": 0}
    return HIVE.Table(**made | members)


def test_databases(hive: Any) -> None:
    assert "sales" in hive.get_all_databases()
    assert hive.get_databases("sa*|x") == ["sales"]
    found = hive.get_database("SALES")
    assert (found.name, found.description, found.parameters) == ("sales", "d", {"a": "b"})
    with pytest.raises(HIVE.NoSuchObjectException):
        hive.get_database("none")
    with pytest.raises(HIVE.AlreadyExistsException):
        hive.create_database(HIVE.Database("sales", "", "", {}))
    with pytest.raises(HIVE.MetaException, match="default"):
        hive.drop_database("default", True, True)


def test_a_table_comes_back_as_it_was_given(hive: Any, tmp_path: Path) -> None:
    given = a_table(tmp_path)
    hive.create_table_with_environment_context(given, None)
    assert (tmp_path / "t").is_dir()
    found = hive.get_table_req(HIVE.GetTableRequest("sales", "t")).table
    assert (found.tableName, found.dbName, found.owner, found.tableType) == ("t", "sales", "o", "MANAGED_TABLE")
    assert found.partitionKeys == given.partitionKeys
    assert found.parameters == given.parameters
    for member in ("cols", "location", "inputFormat", "bucketCols", "sortCols", "parameters", "numBuckets"):
        assert getattr(found.sd, member) == getattr(given.sd, member), member
    assert found.sd.serdeInfo.serializationLib == given.sd.serdeInfo.serializationLib
    assert found.sd.serdeInfo.parameters == given.sd.serdeInfo.parameters
    assert hive.get_tables("sales", "*") == ["t"]
    assert hive.get_tables_by_type("sales", "*", "VIRTUAL_VIEW") == []
    assert [one.name for one in hive.get_schema("sales", "t")] == ["id", "name", "year", "k"]
    with pytest.raises(HIVE.AlreadyExistsException):
        hive.create_table(given)
    with pytest.raises(HIVE.NoSuchObjectException):
        hive.get_table("sales", "none")
    hive.alter_table("sales", "t", a_table(tmp_path, parameters={"new": "1"}))
    assert hive.get_table("sales", "t").parameters == {"new": "1"}
    with pytest.raises(HIVE.InvalidOperationException, match="name of a table"):
        hive.alter_table("sales", "t", a_table(tmp_path, tableName="other"))


def test_dropping_deletes_the_data_of_managed_tables_alone(hive: Any, tmp_path: Path) -> None:
    for kind, stays in (("MANAGED_TABLE", False), ("EXTERNAL_TABLE", True)):
        hive.create_table(a_table(tmp_path, tableType=kind))
        (tmp_path / "t" / "part-0").write_text("rows")
        hive.drop_table("sales", "t", True)
        assert (tmp_path / "t" / "part-0").exists() == stays
        with pytest.raises(HIVE.NoSuchObjectException):
            hive.drop_table("sales", "t", True)


def test_partitions(hive: Any, tmp_path: Path) -> None:
    hive.create_table(a_table(tmp_path))
    table = hive.get_table("sales", "t")

    def partition(*values: str) -> Any:
        sd = a_table(tmp_path).sd
        sd.location = None
        return HIVE.Partition(list(values), "sales", "t", 0, 0, sd, {})

    many = [partition(str(year), "a b") for year in range(2000, 2150)]
    hive.add_partitions_req(HIVE.AddPartitionsRequest("sales", "t", many, False, True))
    with pytest.raises(HIVE.AlreadyExistsException):
        hive.add_partitions_req(HIVE.AddPartitionsRequest("sales", "t", many[:1], False, True))
    hive.add_partitions_req(HIVE.AddPartitionsRequest("sales", "t", many[:1], True, True))
    found = hive.get_partitions("sales", "t", -1)
    assert [one.values[0] for one in found] == [str(year) for year in range(2000, 2150)]
    assert found[0].sd.location == f"{table.sd.location}/year=2000/k=a b"
    assert len(hive.get_partitions("sales", "t", 7)) == 7
    assert hive.get_partition_names("sales", "t", 1) == ["year=2000/k=a b"]
    assert len(hive.get_partitions_ps("sales", "t", ["", "a b"], -1)) == 150
    assert [one.values for one in hive.get_partitions_ps_with_auth("sales", "t", ["2001"], -1, "u", [])] == [
        ["2001", "a b"]
    ]
    assert hive.get_partition_by_name("sales", "t", "year=2002/k=a b").values == ["2002", "a b"]
    assert len(hive.get_partitions_by_names("sales", "t", ["year=2003/k=a b", "year=1/k=x"])) == 1
    changed = hive.get_partition("sales", "t", ["2004", "a b"])
    changed.parameters = {"rows": "3"}
    hive.alter_partitions("sales", "t", [changed])
    assert hive.get_partition("sales", "t", ["2004", "a b"]).parameters == {"rows": "3"}
    assert hive.drop_partition_with_environment_context("sales", "t", ["2004", "a b"], True, None)
    assert not (tmp_path / "t" / "year=2004" / "k=a b").exists()
    with pytest.raises(HIVE.NoSuchObjectException):
        hive.get_partition("sales", "t", ["2004", "a b"])


def test_names_of_partitions_survive_odd_values() -> None:
    keys = [HIVE.FieldSchema("a", "string", None), HIVE.FieldSchema("b", "string", None)]
    values = ["x/y=z", "50% ü:\\"]
    assert partition_values(partition_name(keys, values)) == values


def test_there_are_no_permanent_functions(hive: Any) -> None:
    assert hive.get_all_functions().functions == []
    with pytest.raises(HIVE.NoSuchObjectException):
        hive.get_function("default", "f")


def test_it_comes_back_when_it_dies_and_ends_with_its_program(world: KeysWorld) -> None:
    serve = serving(world, world.new_user("mortal", policy(allow("glue:*"))))
    port = next(serve)
    (worker, *_rest) = until("its server is made", lambda: _made_by_the_other(port))
    family = [worker, worker.parent()]
    worker.kill()
    client = make_client(HIVE.ThriftHiveMetastore, "127.0.0.1", port, timeout=60_000)
    assert isinstance(client.get_all_databases(), list)
    client.close()
    list(serve)
    _gone, alive = psutil.wait_procs([one for one in family if one], timeout=60)
    assert alive == []


def _made_by_the_other(port: int) -> list[psutil.Process]:
    """Of the two processes that hold the port, the one that serves."""
    holders = [one for one in psutil.Process().children(recursive=True) if port in _ports(one)]
    try:
        return [one for one in holders if one.parent() in holders and "metastore.server" in " ".join(one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _ports(process: psutil.Process) -> set[int]:
    try:
        return {one.laddr.port for one in process.net_connections() if one.laddr}
    except psutil.NoSuchProcess:
        return set()


def test_what_iam_denies_is_said(world: KeysWorld) -> None:
    serve = serving(world, world.new_user("poor", policy(allow("glue:GetDatabases"))))
    client = make_client(HIVE.ThriftHiveMetastore, "127.0.0.1", next(serve), timeout=60_000)
    assert isinstance(client.get_all_databases(), list)
    with pytest.raises(HIVE.MetaException, match="not authorized to perform: glue:GetDatabase"):
        client.get_database("default")
    client.close()
    list(serve)


def test_spark_practises_without_a_role_and_leaves_nothing(tmp_path: Path) -> None:
    """As in a warm spare: nobody gives it credentials, and there is no catalog that it could ask."""
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_DEFAULT_REGION": "us-east-1"}
    serve = serving_with(nowhere | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}, tmp_path)
    client = make_client(HIVE.ThriftHiveMetastore, "127.0.0.1", next(serve), timeout=60_000)
    # What Spark asks first of all; it would make one that is not there.
    assert client.get_database("default").name == "default"
    place = client.get_database(PRACTICE).locationUri
    assert place == (tmp_path / "practice").as_uri()
    given = a_table(tmp_path, dbName=PRACTICE, tableName="t")
    client.create_table(given)
    client.alter_table(PRACTICE, "t", a_table(tmp_path, dbName=PRACTICE, tableName="t", parameters={"new": "1"}))
    assert client.get_table(PRACTICE, "t").parameters == {"new": "1"}
    assert client.get_tables(PRACTICE, "*") == ["t"]
    with pytest.raises(HIVE.MetaException, match="does not answer"):
        client.get_all_databases()
    (tmp_path / "practice").mkdir()
    client.drop_table(PRACTICE, "t", True)
    with pytest.raises(HIVE.NoSuchObjectException):
        client.get_table(PRACTICE, "t")
    assert not (tmp_path / "practice").exists()
    client.close()
    list(serve)


def test_the_practice_database_is_in_no_list(hive: Any) -> None:
    assert hive.get_database(PRACTICE).name == PRACTICE
    assert PRACTICE not in hive.get_all_databases()


def test_the_other_end_of_a_connection_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_INET6) as java:
        java.connect((f"::ffff:{listener.getsockname()[0]}", listener.getsockname()[1]))
        connection, _ = listener.accept()
        with connection:
            assert server.owner_of_peer(connection) == os.getuid()
