"""What the store would pass over in silence is refused or done at the door; checksums reach it in every form."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support.s3_door import BUCKET, REGION, Door

BODY = b"as SDKs send it over TLS"


def code(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def s3(door: Door) -> Any:
    return door.client(door.admin)


def test_an_append_does_not_replace(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="log", Body=b"first")
    for offset in (0, 5):
        more = {"Bucket": BUCKET, "Key": "log", "Body": b"more", "WriteOffsetBytes": offset}
        assert code(s3.put_object, **more) == ("NotImplemented", 501)
    assert s3.get_object(Bucket=BUCKET, Key="log")["Body"].read() == b"first"


def test_a_condition_of_directory_buckets_deletes_nothing(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="sized", Body=b"x")
    where = {"Bucket": BUCKET, "Key": "sized"}
    assert code(s3.delete_object, **where, IfMatchSize=9) == ("NotImplemented", 501)
    assert code(s3.delete_object, **where, IfMatchLastModifiedTime=1) == ("NotImplemented", 501)
    refused = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "sized", "Size": 9}]})["Errors"]
    assert [(item["Key"], item["Code"]) for item in refused] == [("sized", "NotImplemented")]
    s3.head_object(**where)


def test_many_are_deleted_only_if_their_etags_are_as_said(s3: Any) -> None:
    tags = {key: s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())["ETag"] for key in ("if/ä 1", "if/2", "if/3")}
    wanted = [{"Key": "if/ä 1", "ETag": tags["if/ä 1"]}, {"Key": "if/2", "ETag": tags["if/3"]}, {"Key": "if/3"}]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": wanted})
    assert sorted(item["Key"] for item in answer["Deleted"]) == ["if/3", "if/ä 1"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [("if/2", "PreconditionFailed")]
    left = s3.list_objects_v2(Bucket=BUCKET, Prefix="if/")["Contents"]
    assert [item["Key"] for item in left] == ["if/2"]
    quiet = {"Objects": [{"Key": "if/2", "ETag": tags["if/2"]}], "Quiet": True}
    assert "Deleted" not in s3.delete_objects(Bucket=BUCKET, Delete=quiet)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="if/")


def test_a_deletion_on_a_condition_leaves_a_marker_where_there_are_versions(s3: Any) -> None:
    s3.create_bucket(Bucket="if-versions")
    s3.put_bucket_versioning(Bucket="if-versions", VersioningConfiguration={"Status": "Enabled"})
    tag = s3.put_object(Bucket="if-versions", Key="k", Body=b"1")["ETag"]
    (gone,) = s3.delete_objects(Bucket="if-versions", Delete={"Objects": [{"Key": "k", "ETag": tag}]})["Deleted"]
    (marker,) = s3.list_object_versions(Bucket="if-versions")["DeleteMarkers"]
    assert (gone["DeleteMarker"], gone["DeleteMarkerVersionId"]) == (True, marker["VersionId"])


def test_metadata_has_two_kilobytes(s3: Any) -> None:
    put = {"Bucket": BUCKET, "Key": "metadata", "Body": b""}
    s3.put_object(**put, Metadata={"name": "v" * 2044})
    assert code(s3.put_object, **put, Metadata={"name": "v" * 2045}) == ("MetadataTooLarge", 400)


@pytest.mark.parametrize("value", ["\0", "a\nb", "a\r\nX-A: b", "\x7f"])
def test_a_header_that_none_can_be_is_not_asked_for(s3: Any, value: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="asked", Body=b"x")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=BUCKET, Key="asked", ResponseContentType=value)
    assert refused.value.response["Error"]["Code"] == "InvalidArgument"


def test_parts_are_numbered_from_1_to_10000(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "parts"}
    place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
    for number in (0, 10_001, 10**30):
        part = place | {"PartNumber": number, "Body": b"x"}
        assert code(s3.upload_part, **part) == ("InvalidArgument", 400)
    s3.upload_part(**place, PartNumber=10_000, Body=b"x")
    s3.abort_multipart_upload(**place)


def test_an_md5_that_is_none(s3: Any) -> None:
    put = {"Bucket": BUCKET, "Key": "md5", "Body": BODY}
    for odd in ("junk", "AAAA", ""):
        assert code(s3.put_object, **put, ContentMD5=odd) == ("InvalidDigest", 400)
    assert code(s3.put_object, **put, ContentMD5="A" * 22 + "==") == ("BadDigest", 400)
    s3.put_object(**put, ContentMD5=base64.b64encode(hashlib.md5(BODY).digest()).decode())


def test_the_stores_own_notes_stay_inside(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="noted", Body=b"x")
    headers = s3.head_object(Bucket=BUCKET, Key="noted")["ResponseMetadata"]["HTTPHeaders"]
    assert not [name for name in headers if "seaweed" in name or name == "server"]


def _crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "big")


def _crc64nvme(body: bytes) -> bytes:
    """As the NVM Express base specification gives it (reflected polynomial); its check value is tested below."""
    register = 2**64 - 1
    for byte in body:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x9A6C9329AC4BC9B5 if register & 1 else 0)
    return (register ^ 2**64 - 1).to_bytes(8, "big")


class _Trailing(S3SigV4Auth):
    def payload(self, request: AWSRequest) -> str:
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def _put_with_trailer(door: Door, key: str, algorithm: str, checksum: bytes) -> httpx.Response:
    """One upload whose checksum comes after the body, as SDKs send it over TLS."""
    name, url = f"x-amz-checksum-{algorithm}", f"{door.settings.endpoint_url}/{BUCKET}/{key}"
    value = base64.b64encode(checksum).decode()
    framed = b"%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n" % (len(BODY), BODY, name.encode(), value.encode())
    sent = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(BODY)),
        "x-amz-sdk-checksum-algorithm": algorithm.upper(),
        "x-amz-trailer": name,
    }
    request = AWSRequest("PUT", url, headers=sent)
    _Trailing(Credentials(*door.admin), "s3", REGION).add_auth(request)
    return httpx.put(url, content=framed, headers=dict(request.headers.items()), timeout=60)


@pytest.mark.parametrize(("algorithm", "checksum"), [("crc32", _crc32), ("crc64nvme", _crc64nvme)])
def test_a_checksum_in_the_trailer(door: Door, s3: Any, algorithm: str, checksum: Callable[[bytes], bytes]) -> None:
    assert _crc64nvme(b"123456789").hex() == "ae8b14860a799888"
    key, good = f"trailer-{algorithm}", checksum(BODY)
    bad = _put_with_trailer(door, key, algorithm, bytes(len(good)))
    assert bad.status_code == 400
    assert code(s3.head_object, Bucket=BUCKET, Key=key) == ("404", 404)
    assert _put_with_trailer(door, key, algorithm, good).status_code == 200
    found = s3.get_object(Bucket=BUCKET, Key=key)
    assert (found["Body"].read(), found.get("ContentEncoding")) == (BODY, None)
    head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm.upper()}"] == base64.b64encode(good).decode()


def test_crc64nvme_in_a_header(s3: Any) -> None:
    put = {"Bucket": BUCKET, "Key": "crc64", "Body": BODY}
    wrong = base64.b64encode(bytes(8)).decode()
    assert code(s3.put_object, **put, ChecksumCRC64NVME=wrong) == ("BadDigest", 400)
    right = base64.b64encode(_crc64nvme(BODY)).decode()
    assert s3.put_object(**put, ChecksumCRC64NVME=right)["ChecksumCRC64NVME"] == right
