"""A mirror's S3 client: obstore for small puts and gets, botocore for the rest, and the same answers from both."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from emr_studio.settings import Settings
from emr_studio.storage import quick, store

BUCKET = "quick-clients"


class Counted:
    """botocore's client, and which of its operations were used."""

    def __init__(self, client: Any) -> None:
        self.client, self.used = client, list[str]()

    def __getattr__(self, name: str) -> Any:
        self.used.append(name)
        return getattr(self.client, name)


@pytest.fixture
def client(store_settings: Settings) -> quick.QuickClient:
    found = quick.unsigned_client(f"http://{store.store_address(store_settings)}", "us-east-1")
    with contextlib.suppress(ClientError):
        found.create_bucket(Bucket=BUCKET)
    return quick.QuickClient(Counted(found._client), found._make_store)


def used(client: quick.QuickClient) -> list[str]:
    found: list[str] = client._client.used
    return found


def test_small_objects_do_not_pass_through_botocore(client: quick.QuickClient) -> None:
    key = "folder/ü b#%41.txt"
    metadata = {"mode": "0644", "mtime": "17.5"}
    put = client.put_object(Bucket=BUCKET, Key=key, Body=b"small", Metadata=metadata, ServerSideEncryption="AES256")
    got = client.get_object(Bucket=BUCKET, Key=key)
    assert used(client) == []
    assert (got["ETag"], got["Metadata"], got["Body"].read()) == (put["ETag"], metadata, b"small")
    slow = client.client.get_object(Bucket=BUCKET, Key=key)
    assert (slow["ETag"], slow["Metadata"], slow["Body"].read()) == (put["ETag"], metadata, b"small")


@pytest.mark.parametrize("key", ["tab\tnew\nline", "folder/", "a//b"])
def test_names_that_obstore_would_change_or_refuse_go_by_botocore(client: quick.QuickClient, key: str) -> None:
    client.put_object(Bucket=BUCKET, Key=key, Body=b"")
    client.get_object(Bucket=BUCKET, Key=key)
    assert used(client) == ["put_object", "get_object"]
    assert client.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == 0


def test_what_is_large_is_streamed_by_botocore(client: quick.QuickClient) -> None:
    body = b"x" * (quick.LARGEST + 1)
    client.client.put_object(Bucket=BUCKET, Key="large", Body=body)
    used(client).clear()
    assert client.get_object(Bucket=BUCKET, Key="large")["Body"].read() == body
    assert used(client) == ["get_object"]


def test_conditions_hold_and_their_refusals_are_botocores(client: quick.QuickClient) -> None:
    client.delete_object(Bucket=BUCKET, Key="held")
    first = client.put_object(Bucket=BUCKET, Key="held", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key="held", Body=b"2", IfNoneMatch="*")
    client.put_object(Bucket=BUCKET, Key="held", Body=b"3", IfMatch=first["ETag"])
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key="held", Body=b"4", IfMatch=first["ETag"])
    assert client.get_object(Bucket=BUCKET, Key="held")["Body"].read() == b"3"
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.get_object(Bucket=BUCKET, Key="nothing")


def test_an_s3_that_is_away_is_not_tried_in_both_ways_with_every_file() -> None:
    client = quick.unsigned_client("http://127.0.0.1:9", "us-east-1")
    tried: list[str] = []

    def make(bucket: str, sealing: Any) -> Any:
        tried.append(bucket)
        return client._make_store(bucket, sealing)

    watched = quick.QuickClient(client._client, make)
    for _ in range(2):
        with pytest.raises(EndpointConnectionError):
            watched.get_object(Bucket=BUCKET, Key="a")
        watched._stores.clear()
    assert tried == [BUCKET]
