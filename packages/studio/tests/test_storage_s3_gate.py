"""Bucket policies, public access, accounts, anonymous callers: through the real edge."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.s3_door import REGION, STRANGER_ACCOUNT, Door


def code(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(bucket: str, principal: Any, *actions: str, **more: Any) -> dict[str, Any]:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": resources, **more}


@pytest.fixture
def bucket(door: Door, request: pytest.FixtureRequest) -> str:
    name: str = "gate-" + request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    door.client(door.admin).create_bucket(Bucket=name)
    door.client(door.admin).put_object(Bucket=name, Key="a/x", Body=b"secret")
    return name


def open_up(door: Door, bucket: str) -> None:
    door.client(door.admin).delete_public_access_block(Bucket=bucket)


def test_a_policy_is_kept_shown_and_deleted(door: Door, bucket: str) -> None:
    admin = door.client(door.admin)
    assert code(lambda: admin.get_bucket_policy(Bucket=bucket)) == ("NoSuchBucketPolicy", 404)
    assert code(lambda: admin.get_bucket_policy_status(Bucket=bucket)) == ("NoSuchBucketPolicy", 404)
    alice = f"arn:aws:iam::{door.settings.account_id}:user/alice"
    text = policy(allow(bucket, {"AWS": alice}, "s3:GetObject", "s3:ListBucket"))
    admin.put_bucket_policy(Bucket=bucket, Policy=text)
    assert json.loads(admin.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(text)
    assert admin.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    admin.delete_bucket_policy(Bucket=bucket)
    assert code(lambda: admin.get_bucket_policy(Bucket=bucket)) == ("NoSuchBucketPolicy", 404)
    admin.delete_bucket_policy(Bucket=bucket)


def test_a_policy_grants_and_denies_within_the_account(door: Door, bucket: str) -> None:
    admin, alice = door.client(door.admin), door.client(door.alice)
    assert code(lambda: alice.get_object(Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    me = {"AWS": f"arn:aws:iam::{door.settings.account_id}:user/alice"}
    admin.put_bucket_policy(Bucket=bucket, Policy=policy(allow(bucket, me, "s3:GetObject")))
    assert alice.get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"secret"
    assert code(lambda: alice.put_object(Bucket=bucket, Key="a/x", Body=b"")) == ("AccessDenied", 403)
    deny = allow(bucket, "*", "s3:GetObject") | {"Effect": "Deny", "Resource": f"arn:aws:s3:::{bucket}/a/*"}
    admin.put_bucket_policy(Bucket=bucket, Policy=policy(allow(bucket, me, "s3:GetObject"), deny))
    # A deny counts for the administrator too, at once.
    for client in (admin, alice):
        assert code(partial(client.get_object, Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        admin.get_object(Bucket=bucket, Key="a/x")
    quiet = admin.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/x"}], "Quiet": True})
    assert "Errors" not in quiet


def test_another_account_needs_the_policy(door: Door, bucket: str) -> None:
    admin, stranger = door.client(door.admin), door.client(door.stranger)
    assert code(lambda: stranger.get_object(Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    them = {"AWS": STRANGER_ACCOUNT}
    admin.put_bucket_policy(Bucket=bucket, Policy=policy(allow(bucket, them, "s3:GetObject", "s3:PutObject")))
    shown = json.loads(admin.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"]
    assert shown == {"AWS": f"arn:aws:iam::{STRANGER_ACCOUNT}:root"}
    assert stranger.get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"secret"
    stranger.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    assert admin.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"x"
    assert code(lambda: stranger.list_objects_v2(Bucket=bucket)) == ("AccessDenied", 403)
    wrong = {"Bucket": bucket, "Key": "a/x", "ExpectedBucketOwner": STRANGER_ACCOUNT}
    assert code(lambda: stranger.get_object(**wrong)) == ("AccessDenied", 403)
    # A copy out of it needs both buckets.
    stranger.create_bucket(Bucket="strangers-copies")
    stranger.copy_object(Bucket="strangers-copies", Key="x", CopySource=f"{bucket}/a/x")
    admin.delete_bucket_policy(Bucket=bucket)
    copy = {"Bucket": "strangers-copies", "Key": "y", "CopySource": f"{bucket}/a/x"}
    assert code(lambda: stranger.copy_object(**copy)) == ("AccessDenied", 403)
    stranger.delete_object(Bucket="strangers-copies", Key="x")
    stranger.delete_bucket(Bucket="strangers-copies")


def test_public_policies_are_blocked_until_that_is_lifted(door: Door, bucket: str) -> None:
    admin = door.client(door.admin)
    everything = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    assert admin.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == everything
    text = policy(allow(bucket, "*", "s3:GetObject"))
    with pytest.raises(ClientError, match="because public policies are blocked by the BlockPublicPolicy block"):
        admin.put_bucket_policy(Bucket=bucket, Policy=text)
    url = f"{door.url}/{bucket}/a/x"
    assert httpx.get(url, timeout=60).status_code == 403
    lifted = everything | {"BlockPublicPolicy": False}
    admin.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=lifted)
    assert admin.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == lifted
    admin.put_bucket_policy(Bucket=bucket, Policy=text)
    assert admin.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    # RestrictPublicBuckets: still only the owner's account.
    assert httpx.get(url, timeout=60).status_code == 403
    assert code(lambda: door.client(door.stranger).get_object(Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    assert door.client(door.alice).get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"secret"
    admin.delete_public_access_block(Bucket=bucket)
    missing = ("NoSuchPublicAccessBlockConfiguration", 404)
    assert code(lambda: admin.get_public_access_block(Bucket=bucket)) == missing
    assert httpx.get(url, timeout=60).content == b"secret"


def test_anonymous_callers_get_what_a_policy_gives_them(door: Door, bucket: str) -> None:
    admin = door.client(door.admin)
    open_up(door, bucket)
    nobody = boto3.client(
        "s3", region_name=REGION, endpoint_url=door.url,
        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}),
    )  # fmt: skip
    assert code(lambda: nobody.get_object(Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    admin.put_bucket_policy(
        Bucket=bucket, Policy=policy(allow(bucket, "*", "s3:GetObject", "s3:PutBucketPolicy", "s3:DeleteObject"))
    )
    assert nobody.get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"secret"
    assert nobody.head_object(Bucket=bucket, Key="a/x")["ContentLength"] == 6
    with pytest.raises(ClientError) as error:
        nobody.list_objects_v2(Bucket=bucket)
    assert error.value.response["Error"]["Message"] == "Access Denied"
    assert code(lambda: nobody.put_object(Bucket=bucket, Key="y", Body=b"")) == ("AccessDenied", 403)
    # Nobody changes a bucket without a name, whatever its policy says.
    changed = {"Bucket": bucket, "Policy": policy(allow(bucket, "*", "s3:*"))}
    assert code(lambda: nobody.put_bucket_policy(**changed)) == ("AccessDenied", 403)
    deleted = nobody.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/x"}]})
    assert [item["Key"] for item in deleted["Deleted"]] == ["a/x"]
    # Pages and unknown names stay the control plane's.
    assert httpx.get(f"{door.url}/no-such-bucket-here/x", timeout=60).headers.get("x-amz-request-id") is None


def test_root_repairs_a_policy_that_locks_all_out(door: Door, bucket: str) -> None:
    stranger = door.client(door.stranger)
    name = "locked-out"
    stranger.create_bucket(Bucket=name)
    stranger.put_bucket_policy(Bucket=name, Policy=policy(allow(name, "*", "s3:*") | {"Effect": "Deny"}))
    assert code(lambda: stranger.list_objects_v2(Bucket=name)) == ("AccessDenied", 403)
    assert code(lambda: stranger.delete_bucket(Bucket=name)) == ("AccessDenied", 403)
    stranger.get_bucket_policy(Bucket=name)
    stranger.delete_bucket_policy(Bucket=name)
    stranger.delete_bucket(Bucket=name)


def test_conditions_of_a_policy(door: Door, bucket: str) -> None:
    admin, alice = door.client(door.admin), door.client(door.alice)
    me = {"AWS": f"arn:aws:iam::{door.settings.account_id}:user/alice"}
    prefix = {"Condition": {"StringEquals": {"s3:prefix": "a/"}, "NumericLessThanEquals": {"s3:max-keys": "10"}}}
    young = {"Condition": {"NumericLessThan": {"s3:signatureAge": "60000"}}}
    admin.put_bucket_policy(
        Bucket=bucket,
        Policy=policy(
            allow(bucket, me, "s3:ListBucket", **prefix),
            allow(bucket, me, "s3:GetObject", **young),
            allow(bucket, me, "s3:PutObject", Condition={"StringEquals": {"s3:RequestObjectTag/team": "a"}}),
        ),
    )
    assert alice.list_objects_v2(Bucket=bucket, Prefix="a/", MaxKeys=5)["KeyCount"] == 1
    assert code(lambda: alice.list_objects_v2(Bucket=bucket, Prefix="a/")) == ("AccessDenied", 403)
    assert code(lambda: alice.list_objects_v2(Bucket=bucket, Prefix="", MaxKeys=5)) == ("AccessDenied", 403)
    # Only a presigned request has a signature that may be old.
    assert code(lambda: alice.get_object(Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    signer = door.client(door.alice, signature_version="s3v4")
    link = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/x"}, ExpiresIn=300)
    assert httpx.get(link, timeout=60).content == b"secret"
    assert code(lambda: alice.put_object(Bucket=bucket, Key="t", Body=b"")) == ("AccessDenied", 403)


def test_tags_of_an_object_decide(door: Door, bucket: str) -> None:
    admin, alice = door.client(door.admin), door.client(door.alice)
    me = {"AWS": f"arn:aws:iam::{door.settings.account_id}:user/alice"}
    shared = {"Condition": {"StringEquals": {"s3:ExistingObjectTag/share": "yes"}}}
    secret = {"Condition": {"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}, "Effect": "Deny"}
    admin.put_bucket_policy(
        Bucket=bucket,
        Policy=policy(allow(bucket, me, "s3:GetObject", **shared), allow(bucket, "*", "s3:GetObject") | secret),
    )
    assert code(lambda: alice.get_object(Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)
    assert code(lambda: alice.get_object(Bucket=bucket, Key="not-there")) == ("AccessDenied", 403)
    tags = {"TagSet": [{"Key": "share", "Value": "yes"}]}
    admin.put_object_tagging(Bucket=bucket, Key="a/x", Tagging=tags)
    assert alice.get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"secret"
    tags["TagSet"].append({"Key": "secret", "Value": "yes"})
    admin.put_object_tagging(Bucket=bucket, Key="a/x", Tagging=tags)
    for client in (admin, alice):
        assert code(partial(client.get_object, Bucket=bucket, Key="a/x")) == ("AccessDenied", 403)


def test_tags_that_are_put_decide(door: Door, bucket: str) -> None:
    admin, alice = door.client(door.admin), door.client(door.alice)
    me = {"AWS": f"arn:aws:iam::{door.settings.account_id}:user/alice"}
    secret = {"Condition": {"StringEquals": {"s3:RequestObjectTag/secret": "no"}}, "Effect": "Deny"}
    keys = {"Condition": {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["secret", "team"]}}}
    admin.put_bucket_policy(
        Bucket=bucket,
        Policy=policy(
            allow(bucket, me, "s3:PutObjectTagging", **keys), allow(bucket, "*", "s3:PutObjectTagging") | secret
        ),
    )

    def put(client: Any, **tags: str) -> Any:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        return client.put_object_tagging(Bucket=bucket, Key="a/x", Tagging={"TagSet": pairs})

    put(alice, team="a", secret="yes")
    assert len(admin.get_object_tagging(Bucket=bucket, Key="a/x")["TagSet"]) == 2
    for client in (admin, alice):
        assert code(partial(put, client, secret="no")) == ("AccessDenied", 403)
    assert code(partial(put, alice, other="x")) == ("AccessDenied", 403)
    assert len(admin.get_object_tagging(Bucket=bucket, Key="a/x")["TagSet"]) == 2


def test_a_forged_ticket_is_none(door: Door, bucket: str) -> None:
    said = {
        "key": door.admin[0],
        "token": None,
        "request": "x",
        "ip": "127.0.0.1",
        "bucket": "",
        "signed": ["", "", ""],
    }
    ticket = "s3." + base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
    body = b"<Delete><Object><Key>a/x</Key></Object></Delete>"
    for host in (door.settings.host_port, f"s3.{door.settings.host_port}"):
        headers = {"X-Emr-Studio-Identity": ticket, "Host": host}
        url = f"http://127.0.0.1:{door.settings.port}/{bucket}?delete"
        answer = httpx.post(url, headers=headers, content=body, timeout=60)
        assert b"<Deleted>" not in answer.content
    assert door.client(door.admin).get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"secret"


def test_refusals_of_put_bucket_policy(door: Door, bucket: str) -> None:
    admin = door.client(door.admin)
    for text in ("{", policy(allow("other", "*", "s3:*")), policy(allow(bucket, {"AWS": "arn:aws:iam::1:x"}, "s3:*"))):
        assert code(partial(admin.put_bucket_policy, Bucket=bucket, Policy=text)) == ("MalformedPolicy", 400)
    gone = {"AWS": f"arn:aws:iam::{door.settings.account_id}:user/nobody-of-that-name"}
    with pytest.raises(ClientError, match="Invalid principal in policy"):
        admin.put_bucket_policy(Bucket=bucket, Policy=policy(allow(bucket, gone, "s3:*")))
    denied = ("AccessDenied", 403)
    assert code(lambda: door.client(door.alice).put_bucket_policy(Bucket=bucket, Policy="{}")) == denied
    assert code(lambda: admin.put_bucket_policy(Bucket="not-there", Policy="{}")) == ("NoSuchBucket", 404)
    big = policy(allow(bucket, "*", "s3:*", Sid="x" * (5 << 20)))
    assert code(lambda: admin.put_bucket_policy(Bucket=bucket, Policy=big)) == ("MaxMessageLengthExceeded", 400)
