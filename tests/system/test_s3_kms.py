"""Objects sealed with KMS keys: who writes, who reads, what lies on the disk, what a disabled key does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.db import Database
from emr_studio.iam.services import grant_role
from emr_studio.storage.mirror import Mirror, MirrorError
from emr_studio.storage.s3 import role_client
from tests.support.plane_rig import Plane, plane
from tests.support.studio import until

BUCKET = "sealed-with-kms"
MARK = b"a sentence that nobody without the key shall read; "


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message", "")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with plane(tmp_path_factory.mktemp("kms")) as running:
        yield running


@pytest.fixture(scope="module")
def kms(rig: Plane) -> Any:
    return rig.client("kms")


@pytest.fixture(scope="module")
def s3(rig: Plane) -> Any:
    client = rig.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="module")
def key(kms: Any) -> str:
    arn: str = kms.create_key(Description="for objects")["KeyMetadata"]["Arn"]
    return arn


def keyed(key: str) -> dict[str, str]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def test_an_object_is_sealed_with_the_named_key(rig: Plane, s3: Any, key: str) -> None:
    body = MARK * 1000
    made = s3.put_object(Bucket=BUCKET, Key="a/one", Body=body, **keyed(key))
    assert (made["ServerSideEncryption"], made["SSEKMSKeyId"]) == ("aws:kms", key)
    head = s3.head_object(Bucket=BUCKET, Key="a/one")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert s3.get_object(Bucket=BUCKET, Key="a/one")["Body"].read() == body
    part = s3.get_object(Bucket=BUCKET, Key="a/one", Range="bytes=51-101")["Body"].read()
    assert part == body[51:102]
    # What cannot be made smaller: the store compresses texts.
    sealed, plain = os.urandom(500), os.urandom(500)
    s3.put_object(Bucket=BUCKET, Key="a/two", Body=sealed, ContentType="image/png", **keyed(key))
    s3.put_object(Bucket=BUCKET, Key="a/plain", Body=plain, ContentType="image/png")
    until("the test looks at the right place", lambda: _on_disk(rig.settings.store_dir, plain[:100]))
    assert not _on_disk(rig.settings.store_dir, sealed[:100])


def _on_disk(folder: Path, data: bytes) -> bool:
    return any(data in _read(path) for path in folder.rglob("*"))


def _read(path: Path) -> bytes:
    """A file of the store; what it has put away or written anew meanwhile is empty."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def test_by_alias_by_id_and_by_default(kms: Any, s3: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/objects", TargetKeyId=key)
    for name in ("alias/objects", key.rpartition("/")[2]):
        assert s3.put_object(Bucket=BUCKET, Key="by", Body=b"1", **keyed(name))["SSEKMSKeyId"] == key
    made = s3.put_object(Bucket=BUCKET, Key="default", Body=b"1", ServerSideEncryption="aws:kms")
    own = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (made["SSEKMSKeyId"], own["KeyManager"]) == (own["Arn"], "AWS")
    assert s3.get_object(Bucket=BUCKET, Key="default")["Body"].read() == b"1"


def test_large_objects_and_copies(s3: Any, key: str) -> None:
    parts = [os.urandom(5 << 20), os.urandom(1 << 20)]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="large", **keyed(key))["UploadId"]
    place = {"Bucket": BUCKET, "Key": "large", "UploadId": upload}
    done = [
        {"PartNumber": n, "ETag": s3.upload_part(**place, PartNumber=n, Body=part)["ETag"]}
        for n, part in enumerate(parts, 1)
    ]
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": done})
    got = s3.get_object(Bucket=BUCKET, Key="large")
    assert (got["SSEKMSKeyId"], got["Body"].read()) == (key, b"".join(parts))
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/a/one", **keyed(key))
    assert s3.head_object(Bucket=BUCKET, Key="copy")["SSEKMSKeyId"] == key
    s3.copy_object(Bucket=BUCKET, Key="opened", CopySource=f"{BUCKET}/a/one")
    assert s3.get_object(Bucket=BUCKET, Key="opened")["Body"].read().startswith(MARK)


def user(rig: Plane, name: str, *statements: dict[str, Any]) -> Any:
    iam = rig.client("iam")
    iam.create_user(UserName=name)
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return rig.client("s3", access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"])


def allow(action: str | list[str], resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_the_rights_to_the_object_are_not_those_to_the_key(rig: Plane, s3: Any, key: str) -> None:
    ann = user(rig, "keyless-ann", allow("s3:*"))
    code, message = refused(ann.get_object, Bucket=BUCKET, Key="a/one")
    assert code == "AccessDenied"
    assert f"is not authorized to perform: kms:Decrypt on resource: {key}" in message
    refusal = refused(ann.copy_object, Bucket=BUCKET, Key="stolen", CopySource=f"{BUCKET}/a/one")
    assert (refusal[0], "kms:Decrypt" in refusal[1]) == ("AccessDenied", True)
    code, message = refused(ann.put_object, Bucket=BUCKET, Key="x", Body=b"1", **keyed(key))
    assert (code, "kms:GenerateDataKey" in message) == ("AccessDenied", True)
    assert ann.head_object(Bucket=BUCKET, Key="a/one")["SSEKMSKeyId"] == key
    assert ann.get_object(Bucket=BUCKET, Key="a/plain")["Body"].read()
    # The account's own key for S3 is for all of the account.
    assert ann.get_object(Bucket=BUCKET, Key="default")["Body"].read() == b"1"


def test_policies_see_service_and_object(rig: Plane, s3: Any, key: str) -> None:
    here = {
        "StringEquals": {
            "kms:ViaService": "s3.us-east-1.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BUCKET}/a/one",
        }
    }
    bob = user(rig, "keyed-bob", allow("s3:*"), allow("kms:Decrypt", key, Condition=here))
    assert bob.get_object(Bucket=BUCKET, Key="a/one")["Body"].read().startswith(MARK)
    assert refused(bob.get_object, Bucket=BUCKET, Key="copy")[0] == "AccessDenied"


def test_a_disabled_key_opens_nothing(kms: Any, s3: Any, key: str) -> None:
    kms.disable_key(KeyId=key)
    refusal = ("KMS.DisabledException", f"{key} is disabled.")
    assert refused(s3.get_object, Bucket=BUCKET, Key="a/one") == refusal
    assert refused(s3.put_object, Bucket=BUCKET, Key="new", Body=b"1", **keyed(key)) == refusal
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=BUCKET, Key="a/one")["Body"].read().startswith(MARK)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused(s3.get_object, Bucket=BUCKET, Key="a/one")[0] == "KMS.KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)


def test_keys_that_are_not_there(s3: Any) -> None:
    missing = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    assert refused(s3.put_object, Bucket=BUCKET, Key="x", Body=b"1", **keyed(missing))[0] == "KMS.NotFoundException"
    code, _ = refused(s3.put_object, Bucket=BUCKET, Key="x", Body=b"1", ServerSideEncryption="aws:kms:dsse")
    assert code == "NotImplemented"


def test_the_stores_own_key_is_good_for_nothing_else(rig: Plane, key: str) -> None:
    own = json.loads((rig.settings.keys_dir / "store-kms.json").read_text())
    for service, call, arguments in (
        ("kms", "encrypt", {"KeyId": key, "Plaintext": b"1"}),
        ("kms", "list_keys", {}),
        ("iam", "list_users", {}),
        ("s3", "list_buckets", {}),
        ("s3", "get_object", {"Bucket": BUCKET, "Key": "a/plain"}),
    ):
        code, _ = refused(getattr(rig.client(service, **own), call), **arguments)
        assert code in {"AccessDenied", "AccessDeniedException", "NoSuchEntity"}, (service, call, code)


def test_a_mirror_saves_and_restores_with_the_key(rig: Plane, kms: Any, s3: Any, tmp_path: Path) -> None:
    """The service role's mirror, with a key whose policy is for that role through S3 and this bucket alone."""
    role = f"arn:aws:iam::{rig.settings.account_id}:role/EMRStudio_ServiceRole"
    place = {
        "kms:ViaService": "s3.us-east-1.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BUCKET}",
    }
    use = allow(["kms:Decrypt", "kms:GenerateDataKey"], Principal={"AWS": role}, Condition={"StringEquals": place})
    manage = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{rig.settings.account_id}:root"})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [manage, use]})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    rights = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*", f"arn:aws:s3:::{BUCKET}*")]})
    rig.client("iam").put_role_policy(RoleName="EMRStudio_ServiceRole", PolicyName="here", PolicyDocument=rights)
    database = Database(rig.settings.sqlalchemy_url)
    with database.write() as session:
        token = grant_role(
            session,
            account_id=rig.settings.account_id,
            role_arn=role,
            session_name="ElasticMapReduceEditorsSession",
            owner="editor/e-1",
        )
    database.dispose()
    url = f"{rig.settings.endpoint_url}/_credentials"

    def mirror(name: str) -> Mirror:
        (tmp_path / name).mkdir()
        client = partial(role_client, rig.settings.endpoint_url, "us-east-1", url, token)
        made = Mirror(tmp_path / name, f"s3://{BUCKET}/studio/e-1/", client, tmp_path / f"{name}.json", os.getuid())
        made.kms_key_id = key
        return made

    first = mirror("first")
    big = os.urandom(9 << 20)
    (tmp_path / "first" / "a.ipynb").write_bytes(MARK)
    (tmp_path / "first" / "big").write_bytes(big)
    first.flush(60)
    for name in ("a.ipynb", "big"):
        head = s3.head_object(Bucket=BUCKET, Key=f"studio/e-1/{name}")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    mirror("second").restore()
    assert (tmp_path / "second" / "a.ipynb").read_bytes() == MARK
    assert (tmp_path / "second" / "big").read_bytes() == big
    kms.disable_key(KeyId=key)
    with pytest.raises(MirrorError, match="is disabled"):
        mirror("third").restore()


def test_a_buckets_default_seals_what_names_no_encryption(rig: Plane, s3: Any, key: str) -> None:
    where = {"Bucket": "sealed-by-default"}
    s3.create_bucket(**where)
    s3.put_object(**where, Key="before", Body=b"1")
    by_default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    rule = by_default | {"BucketKeyEnabled": True}
    s3.put_bucket_encryption(**where, ServerSideEncryptionConfiguration={"Rules": [rule]})
    shown = s3.get_bucket_encryption(**where)["ServerSideEncryptionConfiguration"]
    assert shown == {"Rules": [rule]}
    made = s3.put_object(**where, Key="after", Body=MARK)
    assert (made["ServerSideEncryption"], made["SSEKMSKeyId"]) == ("aws:kms", key)
    upload = where | {"Key": "parts"}
    begun = s3.create_multipart_upload(**upload)
    part = s3.upload_part(**upload, UploadId=begun["UploadId"], PartNumber=1, Body=MARK)
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**upload, UploadId=begun["UploadId"], MultipartUpload=done)
    s3.copy_object(**where, Key="copy", CopySource={**where, "Key": "before"})
    for name in ("after", "parts", "copy"):
        head = s3.head_object(**where, Key=name)
        assert (name, head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")) == (name, "aws:kms", key)
    assert s3.get_object(**where, Key="parts")["Body"].read() == MARK
    assert s3.get_object(**where, Key="copy")["Body"].read() == b"1"
    # What names one has that.
    assert (
        s3.put_object(**where, Key="own", Body=b"", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    )
    assert "SSEKMSKeyId" not in s3.head_object(**where, Key="before")
    s3.delete_bucket_encryption(**where)
    assert "SSEKMSKeyId" not in s3.put_object(**where, Key="plain", Body=b"")


def test_defaults_that_are_none(s3: Any, key: str) -> None:
    for default, code in (
        ({"SSEAlgorithm": "aws:kms:dsse"}, "NotImplemented"),
        ({"SSEAlgorithm": "AES256", "KMSMasterKeyID": key}, "InvalidArgument"),
        ({"SSEAlgorithm": "rot13"}, "MalformedXML"),
    ):
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
        assert refused(s3.put_bucket_encryption, Bucket=BUCKET, ServerSideEncryptionConfiguration=rules)[0] == code
