"""The Data Catalog through stock boto3: databases, tables, partitions; whose they are and who may use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.test_keys_api import refused
from tests.support.iam_api import ACCOUNT, allow, policy
from tests.support.keys_api import KeysWorld, served_keys

PARQUET = {
    "Columns": [{"Name": "id", "Type": "bigint"}, {"Name": "g", "Type": "string", "Comment": "group"}],
    "Location": "s3://bucket/warehouse/t",
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "SerdeInfo": {"SerializationLibrary": "parquet", "Parameters": {"serialization.format": "1"}},
}
TABLE = {
    "Name": "T",
    "TableType": "MANAGED_TABLE",
    "StorageDescriptor": PARQUET,
    "PartitionKeys": [{"Name": "year", "Type": "int"}],
    "Parameters": {"spark.sql.sources.provider": "parquet"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeysWorld]:
    with served_keys(tmp_path_factory.mktemp("glue")) as served:
        yield served


@pytest.fixture(scope="module")
def glue(world: KeysWorld) -> Any:
    return world.client("glue")


@pytest.fixture
def table(glue: Any) -> Iterator[dict[str, str]]:
    glue.create_database(DatabaseInput={"Name": "sales"})
    glue.create_table(DatabaseName="sales", TableInput=TABLE)
    yield {"DatabaseName": "sales", "TableName": "t"}
    glue.delete_database(Name="sales")


def test_a_database(glue: Any) -> None:
    given = {"Description": "d", "LocationUri": "s3://bucket/warehouse", "Parameters": {"a": "b"}}
    glue.create_database(DatabaseInput={"Name": "Logs", **given})
    found = glue.get_database(Name="LOGS")["Database"]
    assert {name: found[name] for name in given} == given
    assert (found["Name"], found["CatalogId"]) == ("logs", ACCOUNT)
    refused(glue.create_database, "AlreadyExistsException", DatabaseInput={"Name": "logs"})
    glue.update_database(Name="logs", DatabaseInput={"Name": "logs", "Description": "other"})
    assert "LocationUri" not in glue.get_database(Name="logs")["Database"]
    assert [one["Name"] for one in glue.get_databases()["DatabaseList"]] == ["logs"]
    glue.delete_database(Name="logs")
    assert refused(glue.get_database, "EntityNotFoundException", Name="logs") == "Database logs not found."
    refused(glue.create_database, "InvalidInputException", DatabaseInput={"Name": "a/b"})
    refused(glue.get_database, "EntityNotFoundException", Name="logs", CatalogId="111122223333")


def test_a_table(glue: Any, table: dict[str, str]) -> None:
    found = glue.get_table(DatabaseName="sales", Name="T")["Table"]
    assert {name: found[name] for name in TABLE} == TABLE | {"Name": "t"}
    assert (found["DatabaseName"], found["VersionId"]) == ("sales", "0")
    refused(glue.create_table, "AlreadyExistsException", DatabaseName="sales", TableInput={"Name": "t"})
    refused(glue.create_table, "EntityNotFoundException", DatabaseName="none", TableInput={"Name": "t"})
    changed = TABLE | {"Parameters": {"x": "y"}}
    glue.update_table(DatabaseName="sales", TableInput=changed, VersionId="0")
    assert glue.get_table(DatabaseName="sales", Name="t")["Table"]["Parameters"] == {"x": "y"}
    old = {"DatabaseName": "sales", "TableInput": changed, "VersionId": "0"}
    refused(glue.update_table, "ConcurrentModificationException", **old)
    glue.create_table(DatabaseName="sales", TableInput={"Name": "other"})
    pages = glue.get_paginator("get_tables").paginate(DatabaseName="sales", PaginationConfig={"PageSize": 1})
    assert [one["Name"] for page in pages for one in page["TableList"]] == ["other", "t"]
    found = glue.get_tables(DatabaseName="sales", Expression="o*")["TableList"]
    assert [one["Name"] for one in found] == ["other"]
    refused(glue.get_tables, "InvalidInputException", DatabaseName="sales", Expression="(a+)+$")
    refused(glue.get_tables, "InvalidInputException", DatabaseName="sales", NextToken="nonsense")
    answer = glue.batch_delete_table(DatabaseName="sales", TablesToDelete=["other", "none"])
    assert [one["TableName"] for one in answer["Errors"]] == ["none"]
    glue.delete_table(DatabaseName="sales", Name="t")
    assert refused(glue.get_table, "EntityNotFoundException", DatabaseName="sales", Name="t") == "Table t not found."


def test_partitions(glue: Any, table: dict[str, str]) -> None:
    years = [{"Values": [str(year)], "StorageDescriptor": {"Location": f"s3://b/{year}"}} for year in range(2000, 2050)]
    assert glue.batch_create_partition(**table, PartitionInputList=years)["Errors"] == []
    errors = glue.batch_create_partition(**table, PartitionInputList=[*years[:1], {"Values": ["1", "2"]}])["Errors"]
    assert [one["ErrorDetail"]["ErrorCode"] for one in errors] == ["AlreadyExistsException", "InvalidInputException"]
    pages = glue.get_paginator("get_partitions").paginate(**table, PaginationConfig={"PageSize": 20})
    found = [one for page in pages for one in page["Partitions"]]
    assert sorted(one["Values"][0] for one in found) == [str(year) for year in range(2000, 2050)]
    one = glue.get_partition(**table, PartitionValues=["2001"])["Partition"]
    assert one["StorageDescriptor"]["Location"] == "s3://b/2001"
    moved = {"Values": ["1999"], "StorageDescriptor": {"Location": "s3://b/1999"}}
    glue.update_partition(**table, PartitionValueList=["2001"], PartitionInput=moved)
    message = refused(glue.get_partition, "EntityNotFoundException", **table, PartitionValues=["2001"])
    assert message == "Cannot find partition."
    asked = [{"Values": ["1999"]}, {"Values": ["1"]}]
    assert len(glue.batch_get_partition(**table, PartitionsToGet=asked)["Partitions"]) == 1
    glue.delete_partition(**table, PartitionValues=["1999"])
    answer = glue.batch_delete_partition(**table, PartitionsToDelete=[{"Values": ["2002"]}, {"Values": ["1999"]}])
    assert [one["PartitionValues"] for one in answer["Errors"]] == [["1999"]]
    refused(glue.create_partition, "AlreadyExistsException", **table, PartitionInput=years[5])


def test_who_may_what(world: KeysWorld, glue: Any, table: dict[str, str]) -> None:
    places = [f"arn:aws:glue:us-east-1:{ACCOUNT}:{name}" for name in ("catalog", "database/sales", "table/sales/t")]
    keys = world.new_user("tina", policy({"Effect": "Allow", "Action": "glue:GetTable", "Resource": places}))
    tina = world.client("glue", *keys)
    assert tina.get_table(DatabaseName="sales", Name="t")["Table"]["Name"] == "t"
    glue.create_table(DatabaseName="sales", TableInput={"Name": "secret"})
    denied = refused(tina.get_table, "AccessDeniedException", DatabaseName="sales", Name="secret")
    assert "table/sales/secret" in denied
    refused(tina.delete_table, "AccessDeniedException", DatabaseName="sales", Name="t")
    half = world.new_user("hal", policy(allow("glue:GetTable", places[2])))
    refused(world.client("glue", *half).get_table, "AccessDeniedException", DatabaseName="sales", Name="t")


def test_another_account_has_its_own(world: KeysWorld, table: dict[str, str]) -> None:
    other = world.client("glue", *world.other_root)
    assert other.get_databases()["DatabaseList"] == []
    refused(other.get_table, "EntityNotFoundException", DatabaseName="sales", Name="t")
