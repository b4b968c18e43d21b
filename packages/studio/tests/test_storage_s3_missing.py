"""Whether a key is there is told to those who may list the bucket, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from emr_studio.db import Database
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.services import grant_role
from emr_studio.storage.s3 import role_client
from tests.support.s3_door import BUCKET, REGION, Door, user


def code(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def reader(door: Door) -> Any:
    """She may read every object of the bucket, and list nothing."""
    read = {"Effect": "Allow", "Action": "s3:GetObject*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    database: Database = door.database
    with database.write() as session:
        keys = user(
            session,
            Sealer.load(door.settings.keys_dir),
            door.settings.account_id,
            "reader",
            {"Version": "2012-10-17", "Statement": [read]},
        )
    return door.client(keys, signature_version="s3v4")


def test_who_may_not_list_is_denied_what_is_not_there(door: Door, reader: Any) -> None:
    where = {"Bucket": BUCKET, "Key": "nothing/is here"}
    with pytest.raises(ClientError, match="is not authorized to perform: s3:ListBucket on resource") as error:
        reader.get_object(**where)
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert code(reader.head_object, **where) == ("403", 403)
    link = reader.generate_presigned_url("get_object", Params=where)
    assert httpx.get(link, timeout=60).status_code == 403
    door.client(door.admin).put_object(**where, Body=b"now")
    assert reader.get_object(**where)["Body"].read() == b"now"
    assert httpx.get(link, timeout=60).content == b"now"


def test_who_may_list_is_told_the_truth(door: Door) -> None:
    admin, alice = door.client(door.admin), door.client(door.alice)
    for client, key in ((admin, "nothing"), (alice, "alice/nothing")):
        assert code(client.get_object, Bucket=BUCKET, Key=key) == ("NoSuchKey", 404)
        assert code(client.head_object, Bucket=BUCKET, Key=key) == ("404", 404)
    assert code(admin.get_object, Bucket=BUCKET, Key="n", VersionId="none") in (
        ("NoSuchVersion", 404),
        ("NoSuchKey", 404),
    )


def test_keys_of_a_role_are_no_other(door: Door) -> None:
    """Its session token was taken away for the store, when the store says 404."""
    account, role = door.settings.account_id, "EMRStudio_ServiceRole"
    with door.database.write() as session:
        token = grant_role(session, account_id=account, role_arn=role, session_name="s", owner="e-9")
    bucket = f"emr-studio-{account}-{REGION}"
    door.client(door.admin).create_bucket(Bucket=bucket)
    client = role_client(door.url, REGION, f"{door.url}/_credentials", token)
    assert code(client.get_object, Bucket=bucket, Key="workspaces/not-there") == ("NoSuchKey", 404)
    assert code(client.head_object, Bucket=bucket, Key="workspaces/not-there") == ("404", 404)


def test_other_answers_of_404_are_the_stores(door: Door) -> None:
    admin = door.client(door.admin)
    parts = {"Bucket": BUCKET, "Key": "k", "UploadId": "none"}
    assert code(admin.list_parts, **parts) == ("NoSuchUpload", 404)
    assert code(admin.get_bucket_lifecycle_configuration, Bucket=BUCKET) == ("NoSuchLifecycleConfiguration", 404)


def test_anonymous_readers_of_a_public_prefix(door: Door) -> None:
    admin = door.client(door.admin)
    admin.create_bucket(Bucket="public-prefix")
    admin.delete_public_access_block(Bucket="public-prefix")
    everybody = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",'
        '"Resource":"arn:aws:s3:::public-prefix/*"}]}'
    )
    admin.put_bucket_policy(Bucket="public-prefix", Policy=everybody)
    admin.put_object(Bucket="public-prefix", Key="there", Body=b"yes")
    assert httpx.get(f"{door.url}/public-prefix/there", timeout=60).content == b"yes"
    answer = httpx.get(f"{door.url}/public-prefix/not-there", timeout=60)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    on_its_host = {"Host": f"public-prefix.s3.{door.settings.host_port}"}
    answer = httpx.get(f"{door.url}/not-there", headers=on_its_host, timeout=60)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    assert httpx.get(f"{door.url}/there", headers=on_its_host, timeout=60).content == b"yes"
