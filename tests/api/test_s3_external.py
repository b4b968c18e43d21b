"""The studio in front of an S3 of somebody else's: a second SeaweedFS that knows its own keys only."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from emr_studio.cli import parts
from emr_studio.loopback import free_port
from emr_studio.settings import Settings
from emr_studio.storage import external
from tests.support.outside_store import ACCESS_KEY, SECRET, client_of, outside_store
from tests.support.s3_rig import Rig, s3_rig


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a store that asks for signatures."""
    with outside_store(tmp_path_factory.mktemp("outside")) as url:
        client_of(url).create_bucket(Bucket="was-there-before")
        client_of(url).put_object(Bucket="was-there-before", Key="k", Body=b"old")
        yield url


@pytest.fixture(scope="module")
def rig(outside: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("studio")
    keys = folder / "s3-keys.json"
    keys.write_text(json.dumps({"access_key_id": ACCESS_KEY, "secret_access_key": SECRET}))
    with s3_rig(folder, s3_endpoint=outside, s3_credentials_file=keys) as made:
        yield made


def test_no_store_of_ours_runs(rig: Rig) -> None:
    assert "store" not in parts.names(rig.settings)
    assert not (rig.settings.store_dir / "ports.json").exists()


def test_objects_are_there_and_iam_is_ours(rig: Rig, outside: str) -> None:
    admin = rig.client()
    admin.create_bucket(Bucket="lake")
    body = secrets.token_bytes(1 << 20)
    key = "a/ü b+c%2F#.txt"
    admin.put_object(Bucket="lake", Key=key, Body=body, Metadata={"k": "v"})
    assert client_of(outside).get_object(Bucket="lake", Key=key)["Body"].read() == body
    assert admin.get_object(Bucket="lake", Key=key)["Body"].read() == body
    assert admin.list_objects_v2(Bucket="lake", Prefix="a/")["KeyCount"] == 1
    admin.copy_object(Bucket="lake", Key="copy", CopySource={"Bucket": "lake", "Key": key})
    admin.put_object_tagging(Bucket="lake", Key="copy", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert admin.get_object_tagging(Bucket="lake", Key="copy")["TagSet"] == [{"Key": "a", "Value": "b"}]
    weak = rig.user("weak", {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/weak/*"}
    ]})  # fmt: skip
    with pytest.raises(ClientError, match="is not authorized to perform: s3:GetObject"):
        rig.client(weak).get_object(Bucket="lake", Key=key)
    admin.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    assert admin.put_object(Bucket="lake", Key="v", Body=b"1")["VersionId"]
    deleted = admin.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": "copy"}]})
    assert [item["Key"] for item in deleted["Deleted"]] == ["copy"]


def test_multipart_presigned_and_forms(rig: Rig) -> None:
    admin = rig.client(signature_version="s3v4")
    admin.create_bucket(Bucket="ways")
    body = secrets.token_bytes(6 << 20)
    place = {"Bucket": "ways", "Key": "big"}
    upload = place | {"UploadId": admin.create_multipart_upload(**place)["UploadId"]}
    pieces = ((1, body[:-9]), (2, body[-9:]))
    tags = [(number, admin.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]) for number, piece in pieces]
    done = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in tags]}
    admin.complete_multipart_upload(**upload, MultipartUpload=done)
    more = {"ResponseContentDisposition": 'attachment; filename="a b.bin"'}
    answer = httpx.get(admin.generate_presigned_url("get_object", Params=place | more), timeout=60)
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(body).digest()
    assert answer.headers["content-disposition"] == more["ResponseContentDisposition"]
    for key in ("put", "p+l us/ü", "a//b"):
        link = admin.generate_presigned_url("put_object", Params={"Bucket": "ways", "Key": key})
        assert httpx.put(link, content=b"by link", timeout=60).status_code == 200, key
        assert admin.get_object(Bucket="ways", Key=key)["Body"].read() == b"by link"
    host = {"Host": f"ways.s3.{rig.host}"}
    assert httpx.get(f"http://127.0.0.1:{rig.settings.port}/put", headers=host, timeout=60).status_code == 403
    made = admin.generate_presigned_post("ways", "form/${filename}")
    assert httpx.post(made["url"], data=made["fields"], files={"file": ("f", b"form")}, timeout=60).status_code == 204
    assert admin.get_object(Bucket="ways", Key="form/f")["Body"].read() == b"form"


def test_keys_of_our_kms_are_not_the_external_stores(rig: Rig) -> None:
    admin = rig.client()
    admin.create_bucket(Bucket="plain")
    with pytest.raises(ClientError, match="NotImplemented"):
        admin.put_object(Bucket="plain", Key="k", Body=b"", ServerSideEncryption="aws:kms")


def test_a_bucket_that_was_there_before_is_taken_over(rig: Rig) -> None:
    admin = rig.client()
    with pytest.raises(ClientError, match="NoSuchBucket"):
        admin.get_object(Bucket="was-there-before", Key="k")
    admin.create_bucket(Bucket="was-there-before")
    assert admin.get_object(Bucket="was-there-before", Key="k")["Body"].read() == b"old"
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        admin.delete_bucket(Bucket="was-there-before")


def test_what_is_wrong_with_the_settings_is_said(outside: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    settings = Settings(data_dir=tmp_path, s3_endpoint=outside, s3_credentials_file=keys)
    assert "cannot be read" in str(external.problem(settings))
    keys.write_text("{}")
    assert "must be JSON" in str(external.problem(settings))
    keys.write_text(json.dumps({"access_key_id": ACCESS_KEY, "secret_access_key": "wrong"}))
    assert "refuses our keys: SignatureDoesNotMatch" in str(external.problem(settings))
    keys.write_text(json.dumps({"access_key_id": ACCESS_KEY, "secret_access_key": SECRET}))
    assert external.problem(settings) is None
    gone = Settings(data_dir=tmp_path, s3_endpoint=f"http://127.0.0.1:{free_port()}", s3_credentials_file=keys)
    assert "does not answer" in str(external.problem(gone))
    odd = Settings(data_dir=tmp_path, s3_endpoint="s3.example.com", s3_credentials_file=keys)
    assert "must be like" in str(external.problem(odd))
