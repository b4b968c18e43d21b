"""S3 through a real edge (Caddy), authorised by the real IAM, kept in the real store."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import emr_studio.storage.model  # noqa: F401
from emr_studio.iam.services import grant_role
from emr_studio.storage import quick, store
from emr_studio.storage.mirror import Mirror
from tests.support.s3_door import BUCKET, REGION, Door


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_boto3_does_what_s3_does(door: Door) -> None:
    client = door.client(door.admin)
    client.put_object(
        Bucket=BUCKET, Key="a/ü b+c%2F#.txt", Body=b"hello", Metadata={"k": "v"}, ContentType="text/plain"
    )
    found = client.get_object(Bucket=BUCKET, Key="a/ü b+c%2F#.txt")
    assert (found["Body"].read(), found["ContentType"]) == (b"hello", "text/plain")
    # Over HTTP/1.1 Caddy writes `X-Amz-Meta-K`.
    assert {name.lower(): value for name, value in found["Metadata"].items()} == {"k": "v"}
    assert client.get_object(Bucket=BUCKET, Key="a/ü b+c%2F#.txt", Range="bytes=1-3")["Body"].read() == b"ell"
    client.copy_object(Bucket=BUCKET, Key="b/copy", CopySource={"Bucket": BUCKET, "Key": "a/ü b+c%2F#.txt"})
    assert client.get_object(Bucket=BUCKET, Key="b/copy")["Body"].read() == b"hello"
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET, Prefix="a/")["Contents"]]
    assert keys == ["a/ü b+c%2F#.txt"]
    client.put_object_tagging(Bucket=BUCKET, Key="b/copy", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    assert client.get_object_tagging(Bucket=BUCKET, Key="b/copy")["TagSet"] == [{"Key": "x", "Value": "y"}]
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket=BUCKET, Key="b/copy", Body=b"", IfNoneMatch="*")
    assert code(error) == ("PreconditionFailed", 412)
    client.delete_object(Bucket=BUCKET, Key="b/copy")
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket=BUCKET, Key="b/copy")
    assert code(error) == ("NoSuchKey", 404)
    assert client.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    client.head_bucket(Bucket=BUCKET)


def test_multipart_and_presigned(door: Door) -> None:
    # For us-east-1 boto3 still presigns by version 2 unless told otherwise; that is not served.
    client = door.client(door.admin, signature_version="s3v4")
    body = secrets.token_bytes(6 << 20)
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="big")["UploadId"]
    place = {"Bucket": BUCKET, "Key": "big", "UploadId": upload}
    tags = [
        client.upload_part(**place, PartNumber=n, Body=part)["ETag"] for n, part in ((1, body[:-9]), (2, body[-9:]))
    ]
    parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    link = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "big"}, ExpiresIn=60)
    answer = httpx.get(link, timeout=60)
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(body).digest()
    link = client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "put"}, ExpiresIn=60)
    assert httpx.put(link, content=b"by link", timeout=60).status_code == 200
    assert client.get_object(Bucket=BUCKET, Key="put")["Body"].read() == b"by link"
    assert httpx.get(link.replace("put?", "other?"), timeout=60).status_code == 403
    tampered = httpx.get(link + "&versionId=1", timeout=60)
    assert (tampered.status_code, b"SignatureDoesNotMatch" in tampered.content) == (403, True)


class _ChunkedAuth(S3SigV4Auth):
    def payload(self, request: AWSRequest) -> str:
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def test_chunks_that_are_signed_one_by_one(door: Door) -> None:
    """What Java's SDK (Spark's S3A) sends over plain HTTP."""
    body = b"x" * 70_000
    chunks = b"".join(
        f"{len(part):x};chunk-signature={'0' * 64}\r\n".encode() + part + b"\r\n"
        for part in (body[:65536], body[65536:], b"")
    )
    request = AWSRequest("PUT", f"{door.url}/{BUCKET}/chunked", headers={"Content-Encoding": "aws-chunked"})
    request.headers["X-Amz-Decoded-Content-Length"] = str(len(body))
    _ChunkedAuth(Credentials(*door.admin), "s3", REGION).add_auth(request)
    answer = httpx.put(
        f"{door.url}/{BUCKET}/chunked", headers=dict(request.headers.items()), content=chunks, timeout=60
    )
    assert answer.status_code == 200, answer.text
    assert door.client(door.admin).get_object(Bucket=BUCKET, Key="chunked")["Body"].read() == body


def test_one_prefix_only(door: Door) -> None:
    admin, alice = door.client(door.admin), door.client(door.alice)
    admin.put_object(Bucket=BUCKET, Key="bob/secret", Body=b"secret")
    alice.put_object(Bucket=BUCKET, Key="alice/x", Body=b"x")
    assert alice.get_object(Bucket=BUCKET, Key="alice/x")["Body"].read() == b"x"
    assert alice.list_objects_v2(Bucket=BUCKET, Prefix="alice/")["KeyCount"] >= 1
    refused: list[Callable[[], Any]] = [
        lambda: alice.get_object(Bucket=BUCKET, Key="bob/secret"),
        lambda: alice.put_object(Bucket=BUCKET, Key="bob/x", Body=b""),
        lambda: alice.delete_object(Bucket=BUCKET, Key="bob/secret"),
        lambda: alice.list_objects_v2(Bucket=BUCKET),
        lambda: alice.list_objects_v2(Bucket=BUCKET, Prefix="bob/"),
        lambda: alice.copy_object(Bucket=BUCKET, Key="alice/y", CopySource=f"{BUCKET}/bob/secret"),
        lambda: alice.create_multipart_upload(Bucket=BUCKET, Key="bob/m"),
        alice.list_buckets,
        lambda: alice.create_bucket(Bucket="alices-own"),
        lambda: alice.delete_bucket(Bucket=BUCKET),
        lambda: alice.get_bucket_cors(Bucket=BUCKET),
    ]
    for call in refused:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == ("AccessDenied", 403)
        assert "is not authorized to perform: s3:" in error.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "path",
    [
        "/lake/alice/../bob/secret", "/lake/alice/%2e%2e/bob/secret", "/lake/alice/..%2fbob/secret",
        "/lake/alice\\..\\bob\\secret", "/lake/alice/%5c..%5c..%5cbob/secret", "/lake/alice%00/../bob/secret",
        "/lake/./bob/secret", "/lake/alice/%252e%252e/bob/secret", "//lake/bob/secret", "/lake//bob/secret",
        "/lake%2fbob%2fsecret", "/lake/alice/x?versionId=../../bob/secret", "/lake?prefix=alice/../bob/",
        "/lake?prefix=alice/&prefix=bob/", "/lake?prefix=bob/&prefix=alice/", "/lake?prefix=alice/%5c..%5c..%5cbob",
        "/lake/alice/x?acl&tagging", "/lake?unknown", "/lake?prefix=alice/;prefix=bob/", "/status", "/healthz",
        "/lake?prefix=alice/&marker=../bob", "/lake?policy&prefix=alice/", "/lake/alice/%zz",
    ],
)  # fmt: skip
def test_no_way_around_by_spelling(door: Door, path: str) -> None:
    door.client(door.admin).put_object(Bucket=BUCKET, Key="bob/secret", Body=b"s3cr3t")
    status, body = door.raw("GET", path, door.alice)
    assert b"s3cr3t" not in body
    assert b"<Key>bob/secret</Key>" not in body
    assert 400 <= status <= 501, body


def test_copy_source_spellings(door: Door) -> None:
    door.client(door.admin).put_object(Bucket=BUCKET, Key="bob/secret", Body=b"s3cr3t")
    sources = [
        "lake/bob/secret", "/lake/bob/secret", "lake%2Fbob%2Fsecret", "lake/alice/../bob/secret",
        "lake/alice/..%2fbob%2fsecret", "lake/alice/%252e%252e/bob/secret", "lake/alice%5c..%5cbob%5csecret",
        "lake/alice/%252e%252e%252fbob/secret", "//lake/bob/secret", "lake//bob/secret",
        "lake/alice/x?versionId=1&versionId=../bob",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/bob/secret",
    ]  # fmt: skip
    for source in sources:
        status, body = door.raw("PUT", "/lake/alice/stolen", door.alice, {"X-Amz-Copy-Source": source})
        assert status in {400, 403, 404}, (source, status, body)


def test_delete_many(door: Door) -> None:
    alice, admin = door.client(door.alice), door.client(door.admin)
    for key in ("alice/1", "alice/<2>&", "alice/kept/3", "bob/4"):
        admin.put_object(Bucket=BUCKET, Key=key, Body=b"")
    objects = [{"Key": key} for key in ("alice/1", "alice/<2>&", "alice/kept/3", "bob/4", "alice/../bob/4")]
    answer = alice.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    assert {item["Key"] for item in answer["Deleted"]} == {"alice/1", "alice/<2>&"}
    refused = {item["Key"]: item["Code"] for item in answer["Errors"]}
    assert refused == {"alice/kept/3": "AccessDenied", "bob/4": "AccessDenied", "alice/../bob/4": "InvalidArgument"}
    left = {
        item["Key"]
        for prefix in ("alice/", "bob/4")
        for item in admin.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    }
    assert {"alice/kept/3", "bob/4"} <= left
    assert not {"alice/1", "alice/<2>&"} & left
    quiet = admin.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "bob/4"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert "Errors" not in quiet


def test_buckets_belong_to_accounts(door: Door) -> None:
    admin, stranger = door.client(door.admin), door.client(door.stranger)
    assert BUCKET in [bucket["Name"] for bucket in admin.list_buckets()["Buckets"]]
    assert BUCKET not in [bucket["Name"] for bucket in stranger.list_buckets()["Buckets"]]
    refused: list[Callable[[], Any]] = [
        lambda: stranger.list_objects_v2(Bucket=BUCKET),
        lambda: stranger.put_object(Bucket=BUCKET, Key="x", Body=b""),
        lambda: stranger.delete_bucket(Bucket=BUCKET),
    ]
    for call in refused:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as error:
        stranger.create_bucket(Bucket=BUCKET)
    assert code(error) == ("BucketAlreadyExists", 409)
    admin.create_bucket(Bucket=BUCKET)
    stranger.create_bucket(Bucket="strangers-own")
    stranger.put_object(Bucket="strangers-own", Key="x", Body=b"")
    with pytest.raises(ClientError) as error:
        stranger.delete_bucket(Bucket="strangers-own")
    assert code(error) == ("BucketNotEmpty", 409)
    stranger.delete_object(Bucket="strangers-own", Key="x")
    stranger.delete_bucket(Bucket="strangers-own")
    assert stranger.list_buckets()["Buckets"] == []
    for name in ("Upper", "a_b", "192.168.0.1", store.PROBE_BUCKET, "status"):
        assert door.raw("PUT", f"/{name}", door.admin)[0] in {400, 409}
    with pytest.raises(ClientError) as error:
        admin.list_objects_v2(Bucket="not-there")
    assert code(error) == ("NoSuchBucket", 404)


def test_a_bucket_by_any_spelling_is_in_the_store_and_in_the_table(door: Door) -> None:
    assert door.raw("PUT", "/spelled/%2F", door.admin)[0] == 200
    admin = door.client(door.admin)
    assert "spelled" in {bucket["Name"] for bucket in admin.list_buckets()["Buckets"]}
    assert door.raw("DELETE", "/spelled/%2F", door.admin)[0] == 204
    assert "spelled" not in {bucket["Name"] for bucket in admin.list_buckets()["Buckets"]}


def test_errors_are_s3s_own(door: Door) -> None:
    cases: list[tuple[tuple[str, str], tuple[str, int]]] = [
        (("AKIAAAAAAAAAAAAAAAAA", door.admin[1]), ("InvalidAccessKeyId", 403)),
        ((door.admin[0], "wrong"), ("SignatureDoesNotMatch", 403)),
    ]
    for keys, expected in cases:
        with pytest.raises(ClientError) as error:
            door.client(keys).list_buckets()
        assert code(error) == expected
    session = boto3.session.Session(*door.admin, "not a token", region_name=REGION)
    with pytest.raises(ClientError) as error:
        session.client("s3", endpoint_url=door.url).list_buckets()
    assert code(error) == ("InvalidToken", 400)
    old = {"X-Amz-Date": "20200101T000000Z"}
    status, body = door.raw("GET", "/lake", door.admin)
    assert status == 200, body
    request = AWSRequest("GET", f"{door.url}/lake", headers=old)
    request.context["timestamp"] = old["X-Amz-Date"]
    auth = S3SigV4Auth(Credentials(*door.admin), "s3", REGION)
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    signed = f"{old['X-Amz-Date'][:8]}/{REGION}/s3/aws4_request"
    header = f"AWS4-HMAC-SHA256 Credential={door.admin[0]}/{signed}, SignedHeaders=host, Signature={signature}"
    answer = httpx.get(
        f"{door.url}/lake", headers=dict(request.headers.items()) | {"Authorization": header}, timeout=60
    )
    assert (answer.status_code, b"<Code>RequestTimeTooSkewed</Code>" in answer.content) == (403, True)
    elsewhere = boto3.session.Session(*door.admin, region_name="eu-west-1")
    with pytest.raises(ClientError) as error:
        elsewhere.client("s3", endpoint_url=door.url).list_buckets()
    assert code(error) == ("AuthorizationHeaderMalformed", 400)
    forged = {
        "X-Emr-Studio-Upstream": "127.0.0.1:1",
        "X-Emr-Studio-Identity": "admin",
        "X-Emr-Studio-Set-Authorization": "x",
    }
    assert door.raw("GET", "/lake/bob/secret", door.alice, forged)[0] == 403


def test_container_credentials_of_a_role(door: Door) -> None:
    """As the agent and clusters use S3: keys fetched by token, renewed by themselves, of the role."""
    with door.database.write() as session:
        token = grant_role(
            session,
            account_id=door.settings.account_id,
            role_arn="EMRStudio_ServiceRole",
            session_name="mirror",
            owner="e-1",
        )
    bucket = f"emr-studio-{door.settings.account_id}-{REGION}"
    door.client(door.admin).create_bucket(Bucket=bucket)
    client = quick.role_client(door.url, REGION, f"{door.url}/_credentials", token)
    client.put_object(Bucket=bucket, Key="workspaces/x", Body=b"x", Metadata={"mode": "0644"})
    assert client.get_object(Bucket=bucket, Key="workspaces/x")["Body"].read() == b"x"
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket=BUCKET, Key="a")
    assert code(error) == ("AccessDenied", 403)


def test_a_mirror_through_the_edge_with_the_service_role(door: Door, tmp_path: Path) -> None:
    """The whole way of a save: folder, agent's client, Caddy, IAM, store; and back into another folder."""
    bucket = f"emr-studio-{door.settings.account_id}-{REGION}"
    with door.database.write() as session:
        token = grant_role(
            session,
            account_id=door.settings.account_id,
            role_arn="EMRStudio_ServiceRole",
            session_name="mirror",
            owner="e-2",
        )
    door.client(door.admin).create_bucket(Bucket=bucket)

    def client() -> Any:
        return quick.role_client(door.url, REGION, f"{door.url}/_credentials", token)

    folder, other = tmp_path / "files", tmp_path / "other"
    (folder / "a b").mkdir(parents=True)
    other.mkdir()
    (folder / "a b" / "ü#.ipynb").write_bytes(b"{}")
    (folder / "run.sh").write_bytes(b"#!/bin/sh")
    (folder / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("run.sh")
    (folder / "big").write_bytes(secrets.token_bytes(9 << 20))
    location = f"s3://{bucket}/workspaces/e-2/"
    mirror = Mirror(folder, location, client, tmp_path / "state", os.getuid())
    mirror.flush()
    restored = Mirror(other, location, client, tmp_path / "other-state", os.getuid())
    restored.restore()
    assert (other / "a b" / "ü#.ipynb").read_bytes() == b"{}"
    assert (other / "run.sh").stat().st_mode & 0o777 == 0o700
    assert os.readlink(other / "link") == "run.sh"
    assert (other / "big").read_bytes() == (folder / "big").read_bytes()
    (folder / "a b" / "ü#.ipynb").unlink()
    mirror.flush()
    listed = door.client(door.admin).list_objects_v2(Bucket=bucket, Prefix="workspaces/e-2/")["Contents"]
    names = {item["Key"].removeprefix("workspaces/e-2/") for item in listed}
    assert names == {"a b/", "run.sh", "link", "big"}


def test_the_stock_aws_cli(door: Door, tmp_path: Any) -> None:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": door.admin[0],
        "AWS_SECRET_ACCESS_KEY": door.admin[1], "AWS_REGION": REGION, "AWS_ENDPOINT_URL": door.url,
    }  # fmt: skip

    def aws(*arguments: str) -> str:
        argv = [sys.executable, "-m", "awscli", "s3", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a b.txt").write_text("a")
    (source / "big.bin").write_bytes(b"z" * (9 << 20))
    aws("cp", "--quiet", "--recursive", str(source), f"s3://{BUCKET}/cli/")
    assert "a b.txt" in aws("ls", f"s3://{BUCKET}/cli/sub/")
    aws("sync", "--quiet", f"s3://{BUCKET}/cli/", str(tmp_path / "target"))
    assert (tmp_path / "target" / "big.bin").read_bytes() == b"z" * (9 << 20)
    aws("rm", "--quiet", "--recursive", f"s3://{BUCKET}/cli/")
    assert door.client(door.admin).list_objects_v2(Bucket=BUCKET, Prefix="cli/")["KeyCount"] == 0
