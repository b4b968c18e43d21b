"""The sample data set in a real store."""

from __future__ import annotations

import io

import pyarrow.parquet

from emr_studio.settings import Settings
from emr_studio.storage import dataset, s3, store


def test_seed_puts_all_flights_once(store_settings: Settings) -> None:
    client = s3.unsigned_client(f"http://{store.store_address(store_settings)}", "us-east-1")
    client.create_bucket(Bucket="samples")
    assert dataset.seed(client, "samples")
    assert not dataset.seed(client, "samples")
    listed = client.list_objects_v2(Bucket="samples", Prefix="data/flights/")["Contents"]
    keys = [item["Key"] for item in listed]
    assert "data/flights/csv/flights.csv" in keys
    parts = [key for key in keys if key.endswith(".parquet")]
    bodies = [client.get_object(Bucket="samples", Key=key)["Body"].read() for key in parts]
    tables = [pyarrow.parquet.read_table(io.BytesIO(body)) for body in bodies]
    assert sum(table.num_rows for table in tables) == 336_776
    schema = tables[0].schema
    assert str(schema.field("dep_delay").type) == "int64"
    assert str(schema.field("time_hour").type).startswith("timestamp[us")
    assert (
        client.get_object(Bucket="samples", Key="data/flights/csv/flights.csv")["Body"].read().count(b"\n") >= 336_776
    )
