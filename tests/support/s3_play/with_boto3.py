"""boto3, oldest and newest alike."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.s3_play import play
from tests.support.s3_play.play import BUCKET, MANY, MANY_BUCKET


def client(keys: tuple[str, str] | None = None, **config: Any) -> Any:
    chosen = Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"max_attempts": 0}, **config)
    more = {"aws_access_key_id": keys[0], "aws_secret_access_key": keys[1]} if keys else {}
    return boto3.client("s3", endpoint_url=play.URL, region_name=play.REGION, config=chosen, **more)


s3 = client()


def refused(code: str, call: Any, *arguments: Any, **named: Any) -> None:
    """`call` is refused with this code."""
    found = "no refusal"
    try:
        call(*arguments, **named)
    except ClientError as error:
        found = error.response["Error"]["Code"]
    assert found == code


def put_if(header: str, value: str, **named: Any) -> Any:
    """PutObject with a condition; old models do not know the parameter, so it is put in as a header."""
    own = client()
    own.meta.events.register("before-call.s3.PutObject", lambda params, **_: params["headers"].update({header: value}))
    return own.put_object(Bucket=BUCKET, **named)


def upload() -> None:
    key = "dir/ä b+c&d='(1)~!*;,:@$.txt"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"hello", ContentType="text/x-own", Metadata={"name": "value"},
                  CacheControl="max-age=5")  # fmt: skip
    found = s3.get_object(Bucket=BUCKET, Key=key)
    assert found["Body"].read() == b"hello"
    assert (found["ContentType"], found["CacheControl"]) == ("text/x-own", "max-age=5")
    assert {name.lower(): value for name, value in found["Metadata"].items()} == {"name": "value"}
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == 5
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="dir/")["Contents"]] == [key]
    s3.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": key})
    assert s3.get_object(Bucket=BUCKET, Key="copied")["Body"].read() == b"hello"
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    assert s3.get_object(Bucket=BUCKET, Key="empty")["Body"].read() == b""
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="not there")
    refused("404", s3.head_object, Bucket=BUCKET, Key="not there")


def multipart() -> None:
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=16 << 20, max_concurrency=4)
    with tempfile.TemporaryDirectory() as folder:
        path, digest = play.large_file(folder)
        s3.upload_file(path, BUCKET, "large", Config=config)
        head = s3.head_object(Bucket=BUCKET, Key="large")
        assert head["ContentLength"] == play.MEGABYTES << 20
        assert head["ETag"].strip('"').endswith(f"-{-(-play.MEGABYTES // 16)}"), head["ETag"]
        s3.download_file(BUCKET, "large", path + "2", Config=config)
        assert play.sha256(path + "2") == digest
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key="other")["UploadId"]
    where = {"Bucket": BUCKET, "Key": "other", "UploadId": upload_id}
    source = {"Bucket": BUCKET, "Key": "large"}
    part = s3.upload_part_copy(**where, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=0-{(6 << 20) - 1}")
    last = s3.upload_part(**where, PartNumber=2, Body=b"end")
    assert [item["Size"] for item in s3.list_parts(**where)["Parts"]] == [6 << 20, 3]
    assert upload_id in [item["UploadId"] for item in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]]
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}, {"PartNumber": 2, "ETag": last["ETag"]}]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=BUCKET, Key="other")["ContentLength"] == (6 << 20) + 3
    gone = s3.create_multipart_upload(Bucket=BUCKET, Key="gone")["UploadId"]
    s3.abort_multipart_upload(Bucket=BUCKET, Key="gone", UploadId=gone)
    refused("NoSuchUpload", s3.upload_part, Bucket=BUCKET, Key="gone", UploadId=gone, PartNumber=1, Body=b"x")


def ranged_read() -> None:
    s3.put_object(Bucket=BUCKET, Key="range", Body=bytes(range(256)) * 40)
    for wanted, expected in (("0-9", bytes(range(10))), ("-3", b"\xfd\xfe\xff"), ("10230-", bytes(range(246, 256)))):
        found = s3.get_object(Bucket=BUCKET, Key="range", Range=f"bytes={wanted}")
        assert found["Body"].read() == expected
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert found["ContentRange"].endswith("/10240")
    refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="range", Range="bytes=20000-20001")


def listing() -> None:
    for operation in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(operation).paginate(Bucket=MANY_BUCKET, Prefix="many/")
        keys = [item["Key"] for page in pages for item in page["Contents"]]
        assert keys == [f"many/{number:05}" for number in range(MANY)], (operation, len(keys))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=MANY_BUCKET, Delimiter="/", PaginationConfig={})
    assert {item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])} == {"many/"}
    after = s3.list_objects_v2(Bucket=MANY_BUCKET, Prefix="many/", StartAfter="many/09997")
    assert [item["Key"] for item in after["Contents"]] == ["many/09998", "many/09999"]


def versioning() -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    first = s3.put_object(Bucket=BUCKET, Key="versioned", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=BUCKET, Key="versioned", Body=b"2")["VersionId"]
    assert s3.get_object(Bucket=BUCKET, Key="versioned", VersionId=first)["Body"].read() == b"1"
    marker = s3.delete_object(Bucket=BUCKET, Key="versioned")
    assert marker["DeleteMarker"]
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="versioned")
    found = s3.list_object_versions(Bucket=BUCKET, Prefix="versioned")
    assert {item["VersionId"] for item in found["Versions"]} == {first, second}
    assert [item["VersionId"] for item in found["DeleteMarkers"]] == [marker["VersionId"]]
    s3.delete_object(Bucket=BUCKET, Key="versioned", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=BUCKET, Key="versioned")["Body"].read() == b"2"
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def tagging() -> None:
    tags = [{"Key": "team", "Value": "a b"}, {"Key": "x", "Value": ""}]
    s3.put_object(Bucket=BUCKET, Key="tagged", Body=b"", Tagging="one=1&two=2%20")
    assert {tag["Key"] for tag in s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"]} == {"one", "two"}
    s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": tags})
    found = s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"]
    assert sorted(found, key=lambda tag: tag["Key"]) == tags
    s3.delete_object_tagging(Bucket=BUCKET, Key="tagged")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"] == []
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags[:1]})
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tags[:1]
    s3.delete_bucket_tagging(Bucket=BUCKET)


def conditional_put() -> None:
    tag = put_if("If-None-Match", "*", Key="once", Body=b"1")["ETag"]
    refused("PreconditionFailed", put_if, "If-None-Match", "*", Key="once", Body=b"2")
    assert s3.get_object(Bucket=BUCKET, Key="once")["Body"].read() == b"1"
    refused("PreconditionFailed", put_if, "If-Match", '"0123456789abcdef0123456789abcdef"', Key="once", Body=b"3")
    put_if("If-Match", tag, Key="once", Body=b"4")
    assert s3.get_object(Bucket=BUCKET, Key="once")["Body"].read() == b"4"
    refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="once", IfMatch=tag)
    now = s3.head_object(Bucket=BUCKET, Key="once")["ETag"]
    refused("304", s3.get_object, Bucket=BUCKET, Key="once", IfNoneMatch=now)


def presigned() -> None:
    place = {"Bucket": BUCKET, "Key": "by link/ü"}
    put = s3.generate_presigned_url("put_object", Params=place, ExpiresIn=60)
    assert play.http("PUT", put, b"by link")[0] == 200
    get = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=60)
    assert play.http("GET", get)[:2] == (200, b"by link")
    named = {"ResponseContentDisposition": 'attachment; filename="x"', "ResponseContentType": "text/x-y"}
    status, _, headers = play.http("GET", s3.generate_presigned_url("get_object", Params=place | named))
    assert (status, headers["content-type"]) == (200, "text/x-y")
    assert headers["content-disposition"] == 'attachment; filename="x"'
    assert play.http("PUT", get, b"other")[0] == 403


def presigned_post() -> None:
    conditions = [{"acl": "private"}, ["content-length-range", 1, 100]]
    form = s3.generate_presigned_post(
        BUCKET, "posted/${filename}", Fields={"acl": "private"}, Conditions=conditions, ExpiresIn=60
    )
    assert _post(form["url"], form["fields"], b"from a form")[0] in {200, 204}
    assert s3.get_object(Bucket=BUCKET, Key="posted/a.txt")["Body"].read() == b"from a form"
    status, body, _ = _post(form["url"], form["fields"], b"x" * 101)
    assert (status, b"EntityTooLarge" in body) == (400, True), body
    status, body, _ = _post(form["url"], form["fields"] | {"key": "elsewhere"}, b"x")
    assert (status, b"AccessDenied" in body) == (403, True), body


def _post(url: str, fields: dict[str, str], content: bytes) -> tuple[int, bytes, Mapping[str, str]]:
    line = "----------------------------7b1d"
    body = "".join(
        f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    body += f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    data = body.encode() + b"Content-Type: text/plain\r\n\r\n" + content + f"\r\n--{line}--\r\n".encode()
    return play.http("POST", url, data, {"Content-Type": f"multipart/form-data; boundary={line}"})


def bucket_policy() -> None:
    bob = client(play.BOB)
    s3.put_object(Bucket=BUCKET, Key="bobs/x", Body=b"for bob")
    s3.put_object(Bucket=BUCKET, Key="others/x", Body=b"")
    refused("AccessDenied", bob.get_object, Bucket=BUCKET, Key="bobs/x")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=play.policy_for_bob("bobs/"))
    assert "bobs/*" in s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert bob.get_object(Bucket=BUCKET, Key="bobs/x")["Body"].read() == b"for bob"
    refused("AccessDenied", bob.get_object, Bucket=BUCKET, Key="others/x")
    refused("MalformedPolicy", s3.put_bucket_policy, Bucket=BUCKET, Policy='{"Version": "2012-10-17"}')
    s3.delete_bucket_policy(Bucket=BUCKET)
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=BUCKET)
    refused("AccessDenied", bob.get_object, Bucket=BUCKET, Key="bobs/x")


def cors() -> None:
    rule = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": [play.ORIGIN], "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}  # fmt: skip
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})
    found = s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"]
    assert [rule["AllowedOrigins"] for rule in found] == [[play.ORIGIN]]
    status, headers = play.preflight(f"/{BUCKET}/cors")
    assert status == 200
    assert headers["access-control-allow-origin"] == play.ORIGIN
    # The store answers 200 where S3 says 403; a browser goes by the header.
    assert "DELETE" not in play.preflight(f"/{BUCKET}/cors", "DELETE")[1].get("access-control-allow-methods", "")
    s3.put_object(Bucket=BUCKET, Key="cors", Body=b"")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "cors"})
    assert play.http("GET", link, headers={"Origin": play.ORIGIN})[2]["access-control-allow-origin"] == play.ORIGIN
    s3.delete_bucket_cors(Bucket=BUCKET)
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=BUCKET)


def delete_many() -> None:
    keys = [f"to go/{number} ü<&>" for number in range(30)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    done = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    assert sorted(item["Key"] for item in done["Deleted"]) == sorted(keys)
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="to go/")["KeyCount"] == 0


if __name__ == "__main__":
    play.run(upload, multipart, ranged_read, listing, versioning, tagging, conditional_put, presigned, presigned_post,
             bucket_policy, cors, delete_many)  # fmt: skip
