"""What a bucket has beside objects, made and listed buckets, versions, ACLs, and what is not implemented."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.storage import buckets, expiry_loop
from emr_studio.storage.store import expiry_addresses, read_ports
from tests.support.s3_door import REGION, STRANGER_ACCOUNT, Door
from tests.support.studio import until

NAME = "settled"


def code(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def s3(door: Door) -> Any:
    client = door.client(door.admin)
    client.create_bucket(Bucket=NAME)
    client.put_object(Bucket=NAME, Key="k", Body=b"x")
    return client


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("get_bucket_policy", "NoSuchBucketPolicy"),
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_bucket_tagging", "NoSuchTagSet"),
    ],
)
def test_what_was_never_set_has_its_own_code(s3: Any, operation: str, expected: str) -> None:
    assert code(lambda: getattr(s3, operation)(Bucket=NAME)) == (expected, 404)


def test_what_is_off_says_so(s3: Any) -> None:
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=NAME)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=NAME)
    assert s3.get_bucket_request_payment(Bucket=NAME)["Payer"] == "BucketOwner"
    assert "Status" not in s3.get_bucket_versioning(Bucket=NAME)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=NAME)
    assert s3.get_bucket_location(Bucket=NAME)["LocationConstraint"] is None
    s3.put_bucket_notification_configuration(Bucket=NAME, NotificationConfiguration={})
    s3.put_bucket_request_payment(Bucket=NAME, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    s3.put_bucket_logging(Bucket=NAME, BucketLoggingStatus={})
    s3.delete_bucket_website(Bucket=NAME)
    s3.delete_bucket_replication(Bucket=NAME)


QUEUE = {"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"]}


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_bucket_website", {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}}),
        ("put_bucket_logging", {"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "b", "TargetPrefix": ""}}}),
        ("put_bucket_notification_configuration", {"NotificationConfiguration": {"QueueConfigurations": [QUEUE]}}),
        ("put_bucket_request_payment", {"RequestPaymentConfiguration": {"Payer": "Requester"}}),
        ("put_bucket_accelerate_configuration", {"AccelerateConfiguration": {"Status": "Enabled"}}),
        (
            "put_bucket_ownership_controls",
            {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}},
        ),
        (
            "put_bucket_encryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:fsx"}}]
                }
            },
        ),
        ("put_object", {"Key": "n", "StorageClass": "GLACIER"}),
        ("put_object", {"Key": "n", "WebsiteRedirectLocation": "/x"}),
        ("restore_object", {"Key": "k", "RestoreRequest": {"Days": 1}}),
        ("get_object_torrent", {"Key": "k"}),
    ],
)
def test_what_is_not_implemented_is_said(s3: Any, operation: str, arguments: dict[str, Any]) -> None:
    assert code(lambda: getattr(s3, operation)(Bucket=NAME, **arguments)) == ("NotImplemented", 501)


def test_acls_are_those_of_the_owner(s3: Any) -> None:
    acl = s3.get_bucket_acl(Bucket=NAME)
    (grant,) = acl["Grants"]
    assert grant["Grantee"]["ID"] == acl["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]
    assert (len(acl["Owner"]["ID"]), grant["Permission"]) == (64, "FULL_CONTROL")
    assert s3.get_object_acl(Bucket=NAME, Key="k")["Grants"] == acl["Grants"]
    assert code(lambda: s3.get_object_acl(Bucket=NAME, Key="gone")) == ("NoSuchKey", 404)
    refused = ("AccessControlListNotSupported", 400)
    assert code(lambda: s3.put_object(Bucket=NAME, Key="p", ACL="public-read")) == refused
    assert code(lambda: s3.put_object(Bucket=NAME, Key="p", GrantRead='id="x"')) == refused
    assert code(lambda: s3.put_object_acl(Bucket=NAME, Key="k", ACL="public-read")) == refused
    assert code(lambda: s3.put_bucket_acl(Bucket=NAME, ACL="public-read")) == refused
    s3.put_object(Bucket=NAME, Key="p", ACL="bucket-owner-full-control")
    s3.put_object_acl(Bucket=NAME, Key="k", ACL="bucket-owner-full-control")
    copied = {"Owner": acl["Owner"], "Grants": acl["Grants"]}
    s3.put_object_acl(Bucket=NAME, Key="k", AccessControlPolicy=copied)
    copied["Grants"] = [grant | {"Permission": "READ"}]
    assert code(lambda: s3.put_object_acl(Bucket=NAME, Key="k", AccessControlPolicy=copied)) == refused


def test_ownership_controls(s3: Any) -> None:
    def rules() -> Any:
        return s3.get_bucket_ownership_controls(Bucket=NAME)["OwnershipControls"]["Rules"]

    assert rules() == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    preferred = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket=NAME, OwnershipControls=preferred)
    assert rules() == preferred["Rules"]
    s3.put_bucket_acl(Bucket=NAME, ACL="private")
    s3.delete_bucket_ownership_controls(Bucket=NAME)
    assert code(rules) == ("OwnershipControlsNotFoundError", 404)


def test_default_encryption_is_really_done(s3: Any) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=NAME, ServerSideEncryptionConfiguration={"Rules": [rule]})
    kept = s3.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert kept["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.put_object(Bucket=NAME, Key="sealed", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=NAME, Key="sealed")["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket=NAME, Key="sealed")["Body"].read() == b"x"
    s3.delete_bucket_encryption(Bucket=NAME)
    missing = ("ServerSideEncryptionConfigurationNotFoundError", 404)
    assert code(lambda: s3.get_bucket_encryption(Bucket=NAME)) == missing


def test_versions(s3: Any, door: Door) -> None:
    bucket = "versioned"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket=bucket, Key="v", Body=body)["VersionId"] for body in (b"1", b"2"))
    marker = s3.delete_object(Bucket=bucket, Key="v")
    assert marker["DeleteMarker"]
    assert code(lambda: s3.get_object(Bucket=bucket, Key="v")) == ("NoSuchKey", 404)
    assert s3.get_object(Bucket=bucket, Key="v", VersionId=first)["Body"].read() == b"1"
    listed = s3.list_object_versions(Bucket=bucket)
    assert [item["VersionId"] for item in listed["Versions"]] == [second, first]
    assert [item["VersionId"] for item in listed["DeleteMarkers"]] == [marker["VersionId"]]
    s3.delete_object(Bucket=bucket, Key="v", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="v")["Body"].read() == b"2"
    objects = [{"Key": "v", "VersionId": second}]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert s3.get_object(Bucket=bucket, Key="v")["Body"].read() == b"1"
    assert code(lambda: s3.get_object(Bucket=bucket, Key="v", VersionId="nothing")) == ("NoSuchVersion", 404)
    assert code(lambda: s3.delete_bucket(Bucket=bucket)) == ("BucketNotEmpty", 409)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"
    s3.put_object(Bucket=bucket, Key="v", Body=b"null version")
    left = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert {item["VersionId"] for item in left} == {"null", first}
    for item in left:
        s3.delete_object(Bucket=bucket, Key="v", VersionId=item["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def test_tags_lifecycle_cors_and_locks_are_the_stores(s3: Any) -> None:
    tags = [{"Key": "team", "Value": "a b"}]
    s3.put_bucket_tagging(Bucket=NAME, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=NAME)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=NAME)
    rule: dict[str, Any] = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"] == [rule]
    moving = {name: value for name, value in rule.items() if name != "Expiration"}
    moving["Transitions"] = [{"Days": 1, "StorageClass": "GLACIER"}]
    wanted = {"Bucket": NAME, "LifecycleConfiguration": {"Rules": [moving]}}
    assert code(lambda: s3.put_bucket_lifecycle_configuration(**wanted)) == ("NotImplemented", 501)
    s3.delete_bucket_lifecycle(Bucket=NAME)


def test_what_a_lifecycle_rule_names_is_really_deleted(s3: Any, door: Door) -> None:
    """By the program that runs beside the store; S3 takes no rule of less than a day, but a date that is past."""
    s3.create_bucket(Bucket="expiring")
    for key in ("tmp/old", "kept"):
        s3.put_object(Bucket="expiring", Key=key, Body=b"x")
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Filter": {"Prefix": "tmp/"},
        "Expiration": {"Date": "2020-01-01T00:00:00Z"},
    }
    s3.put_bucket_lifecycle_configuration(Bucket="expiring", LifecycleConfiguration={"Rules": [rule]})
    loop = [sys.executable, "-I", "-S", expiry_loop.__file__, *expiry_addresses(read_ports(door.settings)), "1"]
    running = subprocess.Popen(loop)
    try:
        until("tmp/old is gone", lambda: "tmp/old" not in str(s3.list_objects_v2(Bucket="expiring")["Contents"]), 120)
        s3.head_object(Bucket="expiring", Key="kept")
    finally:
        running.kill()
        running.wait()


def test_a_locked_object_stays(s3: Any, door: Door) -> None:
    bucket = "locked"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    kept = {"Mode": "GOVERNANCE", "RetainUntilDate": "2035-01-01T00:00:00Z"}
    s3.put_object_retention(Bucket=bucket, Key="k", Retention=kept)
    assert code(lambda: s3.delete_object(Bucket=bucket, Key="k", VersionId=version)) == ("AccessDenied", 403)
    errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": version}]})["Errors"]
    assert [item["Code"] for item in errors] == ["AccessDenied"]
    around = {"Bucket": bucket, "Key": "k", "VersionId": version, "BypassGovernanceRetention": True}
    assert code(lambda: s3.delete_object(**around)) == ("NotImplemented", 501)


def test_buckets_page_by_page(s3: Any, door: Door) -> None:
    names = [f"page-{number}" for number in range(3)]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = list(s3.get_paginator("list_buckets").paginate(Prefix="page-", PaginationConfig={"PageSize": 2}))
    assert [[item["Name"] for item in page["Buckets"]] for page in pages] == [names[:2], names[2:]]
    assert pages[0]["Prefix"] == "page-"
    assert pages[0]["Buckets"][0]["BucketRegion"] == REGION
    assert s3.list_buckets(BucketRegion="eu-west-1")["Buckets"] == []
    for wrong in ("max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=x"):
        status, body = door.send("GET", f"/?{wrong}", door.admin)
        assert (status, b"<Code>InvalidArgument</Code>" in body) == (400, True), wrong


def test_making_buckets(s3: Any, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    constraint = {"LocationConstraint": "eu-west-1"}
    assert code(lambda: s3.create_bucket(Bucket="made", CreateBucketConfiguration=constraint)) == (
        "InvalidLocationConstraint",
        400,
    )
    refused = ("InvalidBucketAclWithObjectOwnership", 400)
    assert code(lambda: s3.create_bucket(Bucket="made", ACL="public-read")) == refused
    writer = {"Bucket": "made", "ObjectOwnership": "ObjectWriter"}
    assert code(lambda: s3.create_bucket(**writer)) == ("NotImplemented", 501)
    made = s3.create_bucket(
        Bucket="made", CreateBucketConfiguration={"Tags": [{"Key": "a", "Value": "b"}]}, ACL="private"
    )
    assert made["Location"] == "/made"
    assert s3.get_bucket_tagging(Bucket="made")["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.create_bucket(Bucket="made")
    assert code(lambda: door.client(door.stranger).create_bucket(Bucket="made")) == ("BucketAlreadyExists", 409)
    head = s3.head_bucket(Bucket="made")
    assert head["BucketRegion"] == REGION
    assert code(lambda: s3.head_bucket(Bucket="never-made")) == ("404", 404)
    assert code(lambda: door.client(door.stranger).head_bucket(Bucket="made")) == ("403", 403)
    wrong = {"Bucket": "made", "ExpectedBucketOwner": STRANGER_ACCOUNT}
    assert code(lambda: s3.head_bucket(**wrong)) == ("403", 403)
    s3.delete_bucket(Bucket="made")
    monkeypatch.setattr(buckets, "MOST_BUCKETS", 1)
    assert code(lambda: s3.create_bucket(Bucket="one-too-many")) == ("TooManyBuckets", 400)


def test_bodies_that_are_not_what_they_should(door: Door, s3: Any) -> None:
    for query in ("policy", "publicAccessBlock", "ownershipControls", "encryption", "logging", "delete"):
        method = "POST" if query == "delete" else "PUT"
        for body in (b"", b"<", b"<a/>", b'<!DOCTYPE x [<!ENTITY e "x">]><Delete>&e;</Delete>', b"\xff\xfe\x00"):
            status, answer = door.send(method, f"/{NAME}?{query}", door.admin, body=body)
            assert status == 400, (query, body, answer)
