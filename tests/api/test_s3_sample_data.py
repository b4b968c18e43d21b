"""S3 of a whole studio: the sample data, seen with the keys of its users and nothing else."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.support.studio import Studio


def test_the_analyst_reads_the_data_and_writes_none(studio: Studio) -> None:
    client = studio.client("s3", "sample")
    bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
    listed = client.list_objects_v2(Bucket=bucket, Prefix="data/flights/parquet/")["Contents"]
    assert len(listed) == 4
    head = client.get_object(Bucket=bucket, Key="data/flights/csv/flights.csv", Range="bytes=0-3")["Body"].read()
    assert head == b"year"
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket=bucket, Key="data/flights/csv/flights.csv", Body=b"")
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    with pytest.raises(ClientError) as error:
        client.delete_objects(Bucket="not-there", Delete={"Objects": [{"Key": "x"}]})
    assert error.value.response["Error"]["Code"] == "NoSuchBucket"


def test_many_deletions_at_once_pass_the_same_policies(studio: Studio) -> None:
    admin, analyst = studio.client("s3"), studio.client("s3", "sample")
    bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
    for key in ("scratch/a", "scratch/b"):
        admin.put_object(Bucket=bucket, Key=key, Body=b"x")
    wanted = {"Objects": [{"Key": "scratch/a"}, {"Key": "scratch/b"}]}
    assert [item["Code"] for item in analyst.delete_objects(Bucket=bucket, Delete=wanted)["Errors"]] == [
        "AccessDenied"
    ] * 2
    assert len(admin.delete_objects(Bucket=bucket, Delete=wanted)["Deleted"]) == 2
