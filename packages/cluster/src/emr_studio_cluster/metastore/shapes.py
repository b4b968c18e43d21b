"""Hive's databases, tables and partitions as Glue's, and back. Glue's were made after Hive's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from emr_studio_cluster.metastore.interface import HIVE

Json = dict[str, Any]
_TYPES = {"USER": 1, "ROLE": 2, "GROUP": 3}


def _given(values: Mapping[str, Any]) -> Json:
    # Glue takes no empty texts.
    return {name: value for name, value in values.items() if value not in (None, "")}


def _seconds(moment: datetime | None) -> int:
    return int(moment.timestamp()) if moment else 0


def database_input(database: Any) -> Json:
    """`DatabaseInput` of a Hive database. Who owns it has no place of its own in Glue."""
    return _given(
        {
            "Name": database.name,
            "Description": database.description,
            "LocationUri": database.locationUri,
            "Parameters": dict(database.parameters or {}),
        }
    )


def hive_database(found: Mapping[str, Any]) -> Any:
    """A Hive database of Glue's."""
    return HIVE.Database(
        name=found["Name"],
        description=found.get("Description", ""),
        locationUri=found.get("LocationUri", ""),
        parameters=dict(found.get("Parameters", {})),
        ownerName="",
        ownerType=_TYPES["USER"],
    )


def _columns(fields: Sequence[Any] | None) -> list[Json]:
    return [_given({"Name": one.name, "Type": one.type, "Comment": one.comment}) for one in fields or ()]


def _fields(columns: Sequence[Mapping[str, Any]] | None) -> list[Any]:
    return [HIVE.FieldSchema(one["Name"], one.get("Type"), one.get("Comment")) for one in columns or ()]


def storage_descriptor(sd: Any) -> Json:
    """`StorageDescriptor` of a Hive one."""
    serde = sd.serdeInfo
    return _given(
        {
            "Columns": _columns(sd.cols),
            "Location": sd.location,
            "InputFormat": sd.inputFormat,
            "OutputFormat": sd.outputFormat,
            "Compressed": bool(sd.compressed),
            "NumberOfBuckets": sd.numBuckets or 0,
            "SerdeInfo": serde
            and _given(
                {
                    "Name": serde.name,
                    "SerializationLibrary": serde.serializationLib,
                    "Parameters": dict(serde.parameters or {}),
                }
            ),
            "BucketColumns": list(sd.bucketCols or ()),
            "SortColumns": [{"Column": one.col, "SortOrder": one.order} for one in sd.sortCols or ()],
            "Parameters": dict(sd.parameters or {}),
            "StoredAsSubDirectories": bool(sd.storedAsSubDirectories),
        }
    )


def hive_storage(found: Mapping[str, Any]) -> Any:
    """A Hive storage descriptor of Glue's."""
    serde = found.get("SerdeInfo", {})
    return HIVE.StorageDescriptor(
        cols=_fields(found.get("Columns")),
        location=found.get("Location"),
        inputFormat=found.get("InputFormat"),
        outputFormat=found.get("OutputFormat"),
        compressed=found.get("Compressed", False),
        numBuckets=found.get("NumberOfBuckets", 0),
        serdeInfo=HIVE.SerDeInfo(
            serde.get("Name"), serde.get("SerializationLibrary"), dict(serde.get("Parameters", {}))
        ),
        bucketCols=list(found.get("BucketColumns", ())),
        sortCols=[HIVE.Order(one["Column"], one["SortOrder"]) for one in found.get("SortColumns", ())],
        parameters=dict(found.get("Parameters", {})),
        skewedInfo=HIVE.SkewedInfo([], []),
        storedAsSubDirectories=found.get("StoredAsSubDirectories", False),
    )


def table_input(table: Any) -> Json:
    """`TableInput` of a Hive table."""
    return _given(
        {
            "Name": table.tableName,
            "Owner": table.owner or None,
            "Retention": table.retention or 0,
            "StorageDescriptor": table.sd and storage_descriptor(table.sd),
            "PartitionKeys": _columns(table.partitionKeys),
            "ViewOriginalText": table.viewOriginalText,
            "ViewExpandedText": table.viewExpandedText,
            "TableType": table.tableType,
            "Parameters": dict(table.parameters or {}),
        }
    )


def hive_table(found: Mapping[str, Any]) -> Any:
    """A Hive table of Glue's."""
    return HIVE.Table(
        tableName=found["Name"],
        dbName=found["DatabaseName"],
        owner=found.get("Owner", ""),
        createTime=_seconds(found.get("CreateTime")),
        lastAccessTime=0,
        retention=found.get("Retention", 0),
        sd=hive_storage(found.get("StorageDescriptor", {})),
        partitionKeys=_fields(found.get("PartitionKeys")),
        parameters=dict(found.get("Parameters", {})),
        viewOriginalText=found.get("ViewOriginalText"),
        viewExpandedText=found.get("ViewExpandedText"),
        tableType=found.get("TableType", "EXTERNAL_TABLE"),
        temporary=False,
    )


def partition_input(partition: Any) -> Json:
    """`PartitionInput` of a Hive partition."""
    return {
        "Values": list(partition.values),
        "StorageDescriptor": storage_descriptor(partition.sd),
        "Parameters": dict(partition.parameters or {}),
    }


def hive_partition(found: Mapping[str, Any]) -> Any:
    """A Hive partition of Glue's."""
    return HIVE.Partition(
        values=list(found["Values"]),
        dbName=found["DatabaseName"],
        tableName=found["TableName"],
        createTime=_seconds(found.get("CreationTime")),
        lastAccessTime=0,
        sd=hive_storage(found.get("StorageDescriptor", {})),
        parameters=dict(found.get("Parameters", {})),
    )


def partition_name(keys: Sequence[Any], values: Sequence[str]) -> str:
    """Hive's name of a partition: `year=2020/month=1`."""
    return "/".join(f"{key.name}={quote(value, safe=' ,()<>|-._~')}" for key, value in zip(keys, values, strict=True))


def partition_values(name: str) -> list[str]:
    """The values in a partition's name."""
    return [unquote(part.partition("=")[2]) for part in name.split("/")]
