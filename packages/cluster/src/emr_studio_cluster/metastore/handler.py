"""Hive's calls, answered from the Data Catalog."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from emr_studio_cluster.metastore import data
from emr_studio_cluster.metastore.interface import HIVE
from emr_studio_cluster.metastore.shapes import (
    database_input,
    hive_database,
    hive_partition,
    hive_table,
    partition_input,
    partition_name,
    partition_values,
    table_input,
)

T = TypeVar("T")
DEFAULT = "default"
"""The database that every catalog has."""
_MANAGED = "MANAGED_TABLE"
_BATCH = 100
_NO_RENAME = "The name of a table cannot be changed in the Data Catalog: create the new table from the old one."
_ERRORS = {"EntityNotFoundException": "NoSuchObjectException", "AlreadyExistsException": "AlreadyExistsException"}
_ERRORS |= {"InvalidInputException": "InvalidObjectException"}


def _hive(*raised: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Turn Glue's errors into those of Hive's that the call may raise; all others into MetaException."""

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        @wraps(function)
        def call(*arguments: Any) -> T:
            try:
                return function(*arguments)
            except ClientError as error:
                found = error.response["Error"]
                name = _ERRORS.get(found["Code"], "")
                kind = getattr(HIVE, name if name in raised else "MetaException")
                raise kind(f"{found['Code']}: {found.get('Message', '')}") from error
            except BotoCoreError as error:
                raise HIVE.MetaException(f"The Data Catalog does not answer: {error}") from error

        return call

    return decorate


class Databases:
    """Databases, functions, and what is asked when a connection opens."""

    def __init__(self) -> None:
        self._session = botocore.session.Session()
        self._made: Any = None

    @property
    def _glue(self) -> Any:
        """The Data Catalog, with the region and the credentials of the program that this one serves.

        Found when they are first needed: a warm spare has no role yet.
        """
        if self._made is None:
            config = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=30)
            self._made = self._session.create_client("glue", config=config)
        return self._made

    def set_ugi(self, user_name: str, group_names: list[str]) -> list[str]:
        return [user_name]

    def getMetaConf(self, key: str) -> str:
        return ""

    def setMetaConf(self, key: str, value: str) -> None:
        return None

    def get_config_value(self, name: str, default: str) -> str:
        return default

    def get_functions(self, database: str, pattern: str) -> list[str]:
        return []

    def get_function(self, database: str, name: str) -> Any:
        raise HIVE.NoSuchObjectException(f"Function {database}.{name} does not exist")

    def get_all_functions(self) -> Any:
        return HIVE.GetAllFunctionsResponse([])

    @_hive()
    def get_all_databases(self) -> list[str]:
        pages = self._glue.get_paginator("get_databases").paginate()
        return [one["Name"] for page in pages for one in page["DatabaseList"]]

    def get_databases(self, pattern: str) -> list[str]:
        return list(_matching(self.get_all_databases(), pattern))

    @_hive("NoSuchObjectException")
    def get_database(self, name: str) -> Any:
        return hive_database(self._glue.get_database(Name=name)["Database"])

    @_hive("AlreadyExistsException", "InvalidObjectException")
    def create_database(self, database: Any) -> None:
        self._glue.create_database(DatabaseInput=database_input(database))

    @_hive("NoSuchObjectException")
    def alter_database(self, name: str, database: Any) -> None:
        self._glue.update_database(Name=name, DatabaseInput=database_input(database))

    @_hive("NoSuchObjectException")
    def drop_database(self, name: str, delete_data: bool, cascade: bool) -> None:
        if name.lower() == DEFAULT:
            raise HIVE.MetaException("Can not drop default database")
        found = self._glue.get_database(Name=name)["Database"]
        tables = list(self._tables(name))
        if tables and not cascade:
            raise HIVE.InvalidOperationException(f"Database {name} is not empty. One or more tables exist.")
        self._glue.delete_database(Name=name)
        for table in tables if delete_data else ():
            _delete_data(table)
        if delete_data and found.get("LocationUri"):
            data.delete_folder(found["LocationUri"])

    def _tables(self, database: str) -> Iterator[dict[str, Any]]:
        for page in self._glue.get_paginator("get_tables").paginate(DatabaseName=database):
            yield from page["TableList"]


class Tables(Databases):
    """Tables and views."""

    @_hive("NoSuchObjectException")
    def get_table(self, database: str, name: str) -> Any:
        return hive_table(self._table(database, name))

    def get_table_req(self, request: Any) -> Any:
        return HIVE.GetTableResult(self.get_table(request.dbName, request.tblName))

    def _table(self, database: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._glue.get_table(DatabaseName=database, Name=name)["Table"]
        return found

    @_hive()
    def get_table_objects_by_name(self, database: str, names: list[str]) -> list[Any]:
        wanted = {name.lower() for name in names}
        return [hive_table(one) for one in self._tables(database) if one["Name"] in wanted]

    def get_table_objects_by_name_req(self, request: Any) -> Any:
        return HIVE.GetTablesResult(self.get_table_objects_by_name(request.dbName, request.tblNames))

    def get_all_tables(self, database: str) -> list[str]:
        return self.get_tables(database, "*")

    def get_tables(self, database: str, pattern: str) -> list[str]:
        return self.get_tables_by_type(database, pattern, "")

    @_hive()
    def get_tables_by_type(self, database: str, pattern: str, kind: str) -> list[str]:
        found = [one["Name"] for one in self._tables(database) if kind in ("", one.get("TableType"))]
        return list(_matching(found, pattern))

    @_hive()
    def get_table_meta(self, databases: str, tables: str, kinds: list[str]) -> list[Any]:
        return [
            HIVE.TableMeta(database, one["Name"], one.get("TableType", ""), one.get("Parameters", {}).get("comment"))
            for database in _matching(self.get_all_databases(), databases)
            for one in self._tables(database)
            if one["Name"] in set(_matching([one["Name"]], tables)) and (not kinds or one.get("TableType") in kinds)
        ]

    @_hive("AlreadyExistsException", "InvalidObjectException", "NoSuchObjectException")
    def create_table(self, table: Any) -> None:
        if table.tableType == _MANAGED and not (table.sd and table.sd.location):
            database = self._glue.get_database(Name=table.dbName)["Database"]
            table.sd.location = f"{database.get('LocationUri', '').rstrip('/')}/{table.tableName.lower()}"
        self._glue.create_table(DatabaseName=table.dbName, TableInput=table_input(table))
        if table.tableType != "VIRTUAL_VIEW" and table.sd and table.sd.location:
            data.make_folder(table.sd.location)

    def create_table_with_environment_context(self, table: Any, context: Any) -> None:
        self.create_table(table)

    @_hive("InvalidOperationException")
    def alter_table(self, database: str, name: str, table: Any) -> None:
        if table.tableName.lower() != name.lower() or table.dbName.lower() != database.lower():
            raise HIVE.InvalidOperationException(_NO_RENAME)
        self._glue.update_table(DatabaseName=database, TableInput=table_input(table))

    def alter_table_with_environment_context(self, database: str, name: str, table: Any, context: Any) -> None:
        self.alter_table(database, name, table)

    @_hive("NoSuchObjectException")
    def drop_table(self, database: str, name: str, delete_data: bool) -> None:
        found = self._table(database, name)
        self._glue.delete_table(DatabaseName=database, Name=name)
        if delete_data:
            _delete_data(found)

    def drop_table_with_environment_context(self, database: str, name: str, delete_data: bool, context: Any) -> None:
        self.drop_table(database, name, delete_data)

    def get_fields(self, database: str, name: str) -> list[Any]:
        return list(self._described(database, name).sd.cols)

    def get_schema(self, database: str, name: str) -> list[Any]:
        found = self._described(database, name)
        return [*found.sd.cols, *found.partitionKeys]

    def _described(self, database: str, name: str) -> Any:
        try:
            return self.get_table(database, name)
        except HIVE.NoSuchObjectException as error:
            raise HIVE.UnknownTableException(error.message) from error


class Handler(Tables):
    """Partitions, and all of the above: what the Thrift server serves."""

    @_hive("NoSuchObjectException")
    def get_partition(self, database: str, table: str, values: list[str]) -> Any:
        named = {"DatabaseName": database, "TableName": table}
        return hive_partition(self._glue.get_partition(**named, PartitionValues=values)["Partition"])

    def get_partition_with_auth(self, database: str, table: str, values: list[str], *_who: Any) -> Any:
        return self.get_partition(database, table, values)

    def get_partition_by_name(self, database: str, table: str, name: str) -> Any:
        return self.get_partition(database, table, partition_values(name))

    @_hive("NoSuchObjectException")
    def get_partitions(self, database: str, table: str, most: int) -> list[Any]:
        pages = self._glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
        found = [hive_partition(one) for page in pages for one in page["Partitions"]]
        found.sort(key=lambda one: list(one.values))
        return found if most < 0 else found[:most]

    def get_partitions_with_auth(self, database: str, table: str, most: int, *_who: Any) -> list[Any]:
        return self.get_partitions(database, table, most)

    def get_partitions_ps(self, database: str, table: str, values: list[str], most: int) -> list[Any]:
        """Those whose first values are these; an empty one stands for any."""
        found = [
            one
            for one in self.get_partitions(database, table, -1)
            if all(wanted in ("", value) for wanted, value in zip(values, one.values, strict=False))
        ]
        return found if most < 0 else found[:most]

    def get_partitions_ps_with_auth(
        self, database: str, table: str, values: list[str], most: int, *_who: Any
    ) -> list[Any]:
        return self.get_partitions_ps(database, table, values, most)

    def get_partitions_by_filter(self, database: str, table: str, text: str, most: int) -> list[Any]:
        """All of them: Spark looks at each again, a filter only spares it some."""
        return self.get_partitions(database, table, most)

    def get_partitions_by_names(self, database: str, table: str, names: list[str]) -> list[Any]:
        wanted = [partition_values(name) for name in names]
        return [one for one in self.get_partitions(database, table, -1) if list(one.values) in wanted]

    def get_partition_names(self, database: str, table: str, most: int) -> list[str]:
        return self.get_partition_names_ps(database, table, [], most)

    def get_partition_names_ps(self, database: str, table: str, values: list[str], most: int) -> list[str]:
        keys = self.get_table(database, table).partitionKeys
        found = self.get_partitions_ps(database, table, values, most)
        return [partition_name(keys, one.values) for one in found]

    @_hive("AlreadyExistsException", "InvalidObjectException")
    def add_partitions_req(self, request: Any) -> Any:
        for parts in _batches(request.parts):
            given = [partition_input(self._placed(one, request.dbName, request.tblName)) for one in parts]
            answer = self._glue.batch_create_partition(
                DatabaseName=request.dbName, TableName=request.tblName, PartitionInputList=given
            )
            _raise_first(answer.get("Errors") or (), ignored="AlreadyExistsException" if request.ifNotExists else "")
            for one in parts:
                data.make_folder(one.sd.location)
        return HIVE.AddPartitionsResult(list(request.parts) if request.needResult is not False else [])

    @_hive("AlreadyExistsException", "InvalidObjectException")
    def add_partition_with_environment_context(self, partition: Any, context: Any) -> Any:
        named = {"DatabaseName": partition.dbName, "TableName": partition.tableName}
        placed = self._placed(partition, partition.dbName, partition.tableName)
        self._glue.create_partition(**named, PartitionInput=partition_input(placed))
        data.make_folder(placed.sd.location)
        return placed

    def _placed(self, partition: Any, database: str, table: str) -> Any:
        """A partition with its folder: below its table's, if it names none."""
        if not partition.sd.location:
            found = self.get_table(database, table)
            name = partition_name(found.partitionKeys, partition.values)
            partition.sd.location = f"{found.sd.location.rstrip('/')}/{name}"
        return partition

    @_hive("InvalidOperationException")
    def alter_partitions(self, database: str, table: str, partitions: list[Any]) -> None:
        for one in partitions:
            self._update(database, table, list(one.values), one)

    def alter_partitions_with_environment_context(
        self, database: str, table: str, partitions: list[Any], context: Any
    ) -> None:
        self.alter_partitions(database, table, partitions)

    def alter_partition_with_environment_context(self, database: str, table: str, partition: Any, context: Any) -> None:
        self.alter_partitions(database, table, [partition])

    @_hive("InvalidOperationException")
    def rename_partition(self, database: str, table: str, values: list[str], partition: Any) -> None:
        self._update(database, table, values, partition)

    def _update(self, database: str, table: str, values: list[str], partition: Any) -> None:
        self._glue.update_partition(
            DatabaseName=database,
            TableName=table,
            PartitionValueList=values,
            PartitionInput=partition_input(partition),
        )

    @_hive("NoSuchObjectException")
    def drop_partition_with_environment_context(
        self, database: str, table: str, values: list[str], delete_data: bool, context: Any
    ) -> bool:
        named = {"DatabaseName": database, "TableName": table}
        found = self._glue.get_partition(**named, PartitionValues=values)["Partition"]
        managed = self._table(database, table).get("TableType") == _MANAGED
        self._glue.delete_partition(**named, PartitionValues=values)
        if delete_data and managed:
            data.delete_folder(found.get("StorageDescriptor", {}).get("Location", ""))
        return True


def _delete_data(table: dict[str, Any]) -> None:
    location = table.get("StorageDescriptor", {}).get("Location")
    if table.get("TableType") == _MANAGED and location:
        data.delete_folder(location)


def _matching(names: Sequence[str], pattern: str) -> Iterator[str]:
    """Hive's patterns: `*` for anything, `|` between alternatives."""
    parts = [".*".join(map(re.escape, part.split("*"))) for part in (pattern or "*").split("|")]
    regex = re.compile("|".join(parts), re.IGNORECASE)
    return (name for name in names if regex.fullmatch(name))


def _batches(parts: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(parts), _BATCH):
        yield parts[start : start + _BATCH]


def _raise_first(errors: Sequence[dict[str, Any]], ignored: str) -> None:
    for error in errors:
        detail = error["ErrorDetail"]
        if detail["ErrorCode"] != ignored:
            kind = getattr(HIVE, _ERRORS.get(detail["ErrorCode"], "MetaException"))
            raise kind(f"{error['PartitionValues']}: {detail.get('ErrorMessage', '')}")
