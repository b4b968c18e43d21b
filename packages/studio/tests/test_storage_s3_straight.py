"""Reads past the store's S3, beside the store's S3: the same answers, from the real store."""

from __future__ import annotations

import hashlib
import io
import random
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from emr_studio.lane.straight import Look
from emr_studio.loopback import certificates
from emr_studio.storage import store
from tests.support.s3_door import REGION, Door

NOT_COMPARED = {"date", "x-amz-request-id", "server", "content-security-policy", "x-content-type-options"}
LARGE = random.Random(7).randbytes(21 << 20)
NOISE = LARGE[:50_000]


@pytest.fixture(scope="module")
def s3(door: Door) -> Any:
    return door.client(door.admin)


@pytest.fixture
def bucket(s3: Any) -> str:
    """One of its own: for a moment nothing is looked for where an object was not plain."""
    name = f"straight-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name)
    return name


Said = tuple[int, dict[str, str], bytes]


def through(door: Door, method: str, target: str, headers: Mapping[str, str]) -> tuple[Said, Look | None]:
    """The door's answer, and the look that it took for it, if any."""
    url, known = f"{door.url}{target}", len(door.straight.looks)
    request = AWSRequest(method, url, headers=dict(headers))
    S3SigV4Auth(Credentials(*door.admin), "s3", REGION).add_auth(request)
    with httpx.Client(timeout=60, verify=certificates()) as client:
        said = ask(client, method, url, dict(request.headers.items()))
    return said, door.straight.looks[-1] if len(door.straight.looks) > known else None


def ask(client: httpx.Client, method: str, target: str, headers: Mapping[str, str]) -> Said:
    """Status, headers that speak of the object, and the body as sent."""
    with client.stream(method, target, headers=headers) as answer:
        body = b"".join(answer.iter_raw())
        if not answer.is_success:  # the door tells the reasons in its own words
            return answer.status_code, {}, b""
        kept = {name: value for name, value in answer.headers.items() if name not in NOT_COMPARED}
        return answer.status_code, {k: v for k, v in kept.items() if not k.startswith("seaweed-")}, body


HOWS: list[dict[str, str]] = [
    {},
    {"X-Amz-Checksum-Mode": "ENABLED"},
    {"Accept-Encoding": "gzip, deflate, br, zstd"},
    {"Range": "bytes=0-"},
    {"Range": "bytes=3-40"},
    {"Range": "bytes=3-40", "X-Amz-Checksum-Mode": "ENABLED"},
    {"Range": "bytes=0-", "X-Amz-Checksum-Mode": "ENABLED"},
    {"Range": "bytes=4194000-8400000"},
    {"Range": "bytes=-7"},
    {"Range": "bytes=99999999-"},
    {"Range": "bytes=9-3"},
    {"Range": "lines=1-2"},
    {"If-None-Match": '"nothing"'},
    {"If-Match": '"nothing"'},
    {"If-Modified-Since": "Fri, 27 Nov 2099 21:00:00 GMT"},
]


def _objects() -> dict[str, dict[str, Any]]:
    rich = {"CacheControl": "max-age=3", "ContentDisposition": 'attachment; filename="a"', "ContentLanguage": "de"}
    return {
        "noise": {"Body": NOISE},
        "empty": {"Body": b""},
        "text.txt": {"Body": b"hello world " * 4000},
        "page": {"Body": b"<html><body>hello</body></html>"},
        "page.html": {"Body": b"<html><body>hello</body></html>"},
        "data.parquet": {"Body": NOISE, "ContentType": "application/vnd.apache.parquet"},
        "rich": {
            "Body": NOISE,
            **rich,
            "Metadata": {"Two-Words": "v  w", "x": ""},
            "Expires": "Fri, 27 Nov 2026 21:52:03 GMT",
        },
        "gzip": {"Body": NOISE, "ContentEncoding": "gzip", "ContentType": "text/csv; charset=latin-1"},
        "umlaut": {"Body": NOISE, "Metadata": {"who": "=?UTF-8?B?w7w=?="}},
        "year=2024/part 1+2@a,b(c)!~'*;:&$.bin": {"Body": NOISE},
        "grüße/日本": {"Body": NOISE},
        "sum-sha256": {"Body": NOISE, "ChecksumAlgorithm": "SHA256"},
        "sum-sha1": {"Body": NOISE, "ChecksumAlgorithm": "SHA1"},
        "tagged": {"Body": NOISE, "Tagging": "a=b"},
        "cold": {"Body": NOISE, "StorageClass": "STANDARD_IA"},
        "sealed": {"Body": NOISE, "ServerSideEncryption": "AES256"},
    }


OBJECTS = _objects()
STRAIGHT = {"noise", "empty", "data.parquet", "rich", "gzip", "umlaut", "sum-sha256", "grüße/日本", "copy", "large"}


def compared(door: Door, bucket: str, key: str) -> Iterator[tuple[Any, Any, Look | None]]:
    target = httpx.URL(scheme="http", host="x", path=f"/{bucket}/{key}").raw_path.decode()
    with store.store_client(door.settings) as bare:
        for method in ("GET", "HEAD"):
            for how in HOWS:
                ours, look = through(door, method, target, how)
                yield (method, how, ours), (method, how, ask(bare, method, target, how)), look


@pytest.mark.parametrize("key", [*OBJECTS, "copy", "large"])
def test_the_same_is_said_of(door: Door, s3: Any, bucket: str, key: str) -> None:
    if key == "copy":
        s3.put_object(Bucket=bucket, Key="source", Body=NOISE, Metadata={"of": "source"})
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": "source"})
    elif key == "large":
        parts = TransferConfig(multipart_threshold=9 << 20, multipart_chunksize=9 << 20)
        s3.upload_fileobj(io.BytesIO(LARGE), bucket, key, {"ContentType": "application/x-large"}, Config=parts)
    else:
        s3.put_object(Bucket=bucket, Key=key, **OBJECTS[key])
    looks = []
    for ours, theirs, look in compared(door, bucket, key):
        assert ours == theirs
        looks.append(look is not None and look.found is not None)
    if key in STRAIGHT:
        # Whole, with checksums, three ways of a range (whole to the end, within, across pieces).
        assert looks[:2] == [True, True]
        assert looks[len(HOWS)]
    if key in {"tagged", "cold", "sealed", "text.txt"}:
        assert not any(looks)


def test_a_read_sees_the_write_before_it(s3: Any, door: Door, bucket: str) -> None:
    for number in range(30):
        body = b"%d " % number * (number % 7 + 1) * 1000
        s3.put_object(Bucket=bucket, Key="changing", Body=body, ContentType="application/x-noise")
        found = s3.get_object(Bucket=bucket, Key="changing")
        assert (found["Body"].read(), found["ETag"]) == (body, f'"{hashlib.md5(body).hexdigest()}"')
        assert door.straight.looks[-1].found is not None
    s3.delete_object(Bucket=bucket, Key="changing")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="changing")
    assert error.value.response["Error"]["Code"] == "NoSuchKey"


def test_versions_are_never_passed_by(s3: Any, door: Door, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    for _ in range(2):
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"
        assert door.straight.looks[-1].found is not None
    assert not door.straight.looks[-1].asks_bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"second")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"third")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"third"
    s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="k")


def test_a_bucket_with_object_lock_keeps_versions(s3: Any) -> None:
    bucket = f"straight-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_a_folder_shows_nothing_of_what_is_in_it(s3: Any, door: Door, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="folder/secret", Body=b"x")
    for ours, theirs, look in compared(door, bucket, "folder"):
        assert ours == theirs
        assert look is None or look.found is None
        assert b"secret" not in ours[2][2]
