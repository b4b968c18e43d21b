"""s3fs, as pandas and Dask use it."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import s3fs

from tests.support.s3_play import play
from tests.support.s3_play.play import BUCKET, MANY, MANY_BUCKET


def filesystem(**more: Any) -> Any:
    client = {"endpoint_url": play.URL, "region_name": play.REGION}
    return s3fs.S3FileSystem(client_kwargs=client, skip_instance_cache=True, use_listings_cache=False, **more)


fs = filesystem()


def upload() -> None:
    fs.pipe_file(f"{BUCKET}/dir/ä b+c.txt", b"hello", ContentType="text/x-own")
    assert fs.cat_file(f"{BUCKET}/dir/ä b+c.txt") == b"hello"
    assert fs.info(f"{BUCKET}/dir/ä b+c.txt")["size"] == 5
    with fs.open(f"{BUCKET}/dir/lines", "w") as file:
        file.write("one\ntwo\n")
    with fs.open(f"{BUCKET}/dir/lines") as file:
        assert file.readlines() == [b"one\n", b"two\n"]
    fs.mv(f"{BUCKET}/dir/lines", f"{BUCKET}/dir/moved")
    assert sorted(fs.ls(f"{BUCKET}/dir")) == [f"{BUCKET}/dir/moved", f"{BUCKET}/dir/ä b+c.txt"]
    assert not fs.exists(f"{BUCKET}/dir/lines")


def multipart() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, digest = play.large_file(folder)
        fs.put_file(path, f"{BUCKET}/large", chunksize=8 << 20)
        assert fs.info(f"{BUCKET}/large")["size"] == play.MEGABYTES << 20
        fs.get_file(f"{BUCKET}/large", path + "2")
        assert play.sha256(path + "2") == digest
        with fs.open(f"{BUCKET}/streamed", "wb", block_size=5 << 20) as target, open(path, "rb") as source:
            while piece := source.read(3 << 20):
                target.write(piece)
        fs.get_file(f"{BUCKET}/streamed", path + "3")
        assert play.sha256(path + "3") == digest


def ranged_read() -> None:
    body = os.urandom(100_000)
    fs.pipe_file(f"{BUCKET}/range", body)
    assert fs.cat_file(f"{BUCKET}/range", start=10, end=20) == body[10:20]
    assert fs.cat_file(f"{BUCKET}/range", start=-7) == body[-7:]
    with fs.open(f"{BUCKET}/range", block_size=4096) as file:
        file.seek(50_000)
        assert file.read(100) == body[50_000:50_100]


def listing() -> None:
    assert len(fs.find(f"{MANY_BUCKET}/many")) == MANY
    assert fs.ls(MANY_BUCKET) == [f"{MANY_BUCKET}/many"]
    assert fs.glob(f"{MANY_BUCKET}/many/0999*") == [f"{MANY_BUCKET}/many/0999{n}" for n in range(10)]


def versioning() -> None:
    aware = filesystem(version_aware=True)
    aware.make_bucket_versioned(BUCKET)
    aware.pipe_file(f"{BUCKET}/versioned", b"1")
    first = aware.info(f"{BUCKET}/versioned")["VersionId"]
    aware.pipe_file(f"{BUCKET}/versioned", b"2")
    assert aware.cat_file(f"{BUCKET}/versioned", version_id=first) == b"1"
    assert aware.cat_file(f"{BUCKET}/versioned") == b"2"
    assert len(aware.object_version_info(f"{BUCKET}/versioned")) == 2


def tagging() -> None:
    fs.pipe_file(f"{BUCKET}/tagged", b"")
    fs.put_tags(f"{BUCKET}/tagged", {"team": "a b"})
    assert fs.get_tags(f"{BUCKET}/tagged") == {"team": "a b"}


def conditional_put() -> None:
    fs.pipe_file(f"{BUCKET}/once", b"1", mode="create")
    refused = ""
    try:
        fs.pipe_file(f"{BUCKET}/once", b"2", mode="create")
    except OSError as error:
        refused = str(error)
    assert "pre-conditions" in refused
    assert fs.cat_file(f"{BUCKET}/once") == b"1"


def presigned() -> None:
    fs = filesystem(config_kwargs={"signature_version": "s3v4"})
    fs.pipe_file(f"{BUCKET}/by link", b"linked")
    assert play.http("GET", fs.url(f"{BUCKET}/by link", expires=60))[:2] == (200, b"linked")
    put = fs.url(f"{BUCKET}/by link", expires=60, client_method="put_object")
    assert play.http("PUT", put, b"anew")[0] == 200
    assert fs.cat_file(f"{BUCKET}/by link") == b"anew"


def bucket_policy() -> None:
    bob = filesystem(key=play.BOB[0], secret=play.BOB[1])
    fs.pipe_file(f"{BUCKET}/bobs/x", b"for bob")
    try:
        bob.cat_file(f"{BUCKET}/bobs/x")
    except PermissionError:
        pass
    else:
        raise AssertionError("Bob read before he might")
    fs.call_s3("put_bucket_policy", Bucket=BUCKET, Policy=play.policy_for_bob("bobs/"))
    assert bob.cat_file(f"{BUCKET}/bobs/x") == b"for bob"
    fs.call_s3("delete_bucket_policy", Bucket=BUCKET)


def delete_many() -> None:
    for number in range(30):
        fs.pipe_file(f"{BUCKET}/to go/{number}", b"")
    fs.rm(f"{BUCKET}/to go", recursive=True)
    assert not fs.exists(f"{BUCKET}/to go")


if __name__ == "__main__":
    play.run(upload, multipart, ranged_read, listing, versioning, tagging, conditional_put, presigned, bucket_policy,
             delete_many)  # fmt: skip
