"""obstore: Rust's object_store, which Polars, DataFusion and Lance stand on too."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, PreconditionError
from obstore.store import S3Store

from tests.support.s3_play import play
from tests.support.s3_play.play import BUCKET, MANY, MANY_BUCKET


def store_of(bucket: str, **more: Any) -> S3Store:
    return S3Store(
        bucket,
        endpoint=play.URL,
        region=play.REGION,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        **more,
    )


store = store_of(BUCKET)


def upload() -> None:
    obstore.put(store, "dir/ä b+c.txt", b"hello", attributes={"Content-Type": "text/x-own", "name": "value"})
    found = obstore.get(store, "dir/ä b+c.txt")
    assert bytes(found.bytes()) == b"hello"
    assert found.attributes["Content-Type"] == "text/x-own"
    obstore.copy(store, "dir/ä b+c.txt", "copied")
    obstore.rename(store, "copied", "renamed")
    assert bytes(obstore.get(store, "renamed").bytes()) == b"hello"
    assert obstore.head(store, "renamed")["size"] == 5


def checksummed() -> None:
    """Each part with a SHA-256 of its own."""
    summed = store_of(BUCKET, checksum_algorithm="SHA256")
    obstore.put(summed, "summed", os.urandom(9 << 20), chunk_size=5 << 20, use_multipart=True)
    assert obstore.head(summed, "summed")["size"] == 9 << 20


def unsigned_payload() -> None:
    plain = store_of(BUCKET, unsigned_payload=True)
    obstore.put(plain, "unsigned", b"not hashed")
    assert bytes(obstore.get(plain, "unsigned").bytes()) == b"not hashed"


def multipart() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, digest = play.large_file(folder)
        obstore.put(store, "large", Path(path), chunk_size=8 << 20, max_concurrency=4)
        with open(path + "2", "wb") as file:
            for piece in obstore.get(store, "large").stream(min_chunk_size=4 << 20):
                file.write(piece)
        assert play.sha256(path + "2") == digest


def ranged_read() -> None:
    body = os.urandom(100_000)
    obstore.put(store, "range", body)
    assert bytes(obstore.get_range(store, "range", start=10, end=20)) == body[10:20]
    ranges = obstore.get_ranges(store, "range", starts=[0, 50_000], ends=[5, 50_100])
    assert [bytes(piece) for piece in ranges] == [body[:5], body[50_000:50_100]]


def listing() -> None:
    found = [item["path"] for page in obstore.list(store_of(MANY_BUCKET), prefix="many") for item in page]
    assert found == [f"many/{number:05}" for number in range(MANY)]
    assert obstore.list_with_delimiter(store_of(MANY_BUCKET))["common_prefixes"] == ["many"]


def tagging() -> None:
    obstore.put(store, "tagged", b"", tags={"team": "a"})


def conditional_put() -> None:
    tag = obstore.put(store, "once", b"1", mode="create")["e_tag"]
    try:
        obstore.put(store, "once", b"2", mode="create")
    except AlreadyExistsError:
        pass
    else:
        raise AssertionError("it was written again")
    obstore.put(store, "once", b"3", mode={"e_tag": tag})
    try:
        obstore.put(store, "once", b"4", mode={"e_tag": tag})
    except PreconditionError:
        pass
    else:
        raise AssertionError("it was written over a newer one")
    assert bytes(obstore.get(store, "once").bytes()) == b"3"


def presigned() -> None:
    minute = dt.timedelta(minutes=1)
    assert play.http("PUT", obstore.sign(store, "PUT", "by link", minute), b"linked")[0] == 200
    assert play.http("GET", obstore.sign(store, "GET", "by link", minute))[:2] == (200, b"linked")


def denied() -> None:
    obstore.put(store, "not his", b"")
    bob = store_of(BUCKET, access_key_id=play.BOB[0], secret_access_key=play.BOB[1])
    try:
        obstore.get(bob, "not his")
    except PermissionDeniedError:
        return
    raise AssertionError("Bob may read it")


def delete_many() -> None:
    names = [f"to go/{number}" for number in range(30)]
    for name in names:
        obstore.put(store, name, b"")
    obstore.delete(store, names)
    assert not [item for page in obstore.list(store, prefix="to go") for item in page]


if __name__ == "__main__":
    play.run(upload, checksummed, unsigned_payload, multipart, ranged_read, listing, tagging, conditional_put,
             presigned, denied, delete_many)  # fmt: skip
