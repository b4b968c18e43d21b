"""What a trail takes, and what requests to S3 are called in it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from starlette.datastructures import Headers

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied, AuthError, AuthFailure
from emr_studio.aws.sigv4 import Signature
from emr_studio.edge.decisions import EdgeRequest
from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import S3Request, understand
from emr_studio.trail.s3_record import S3Records, event_name
from emr_studio.trail.selectors import takes, takes_data

ACCOUNT, OTHER = "123456789012", "210987654321"
READ = {"eventCategory": "Management", "readOnly": True, "eventSource": "iam.amazonaws.com", "eventName": "ListUsers"}
WRITE = READ | {"readOnly": False, "eventName": "CreateUser", "errorCode": "AccessDenied"}
PUT = {
    "eventCategory": "Data",
    "readOnly": False,
    "eventName": "PutObject",
    "resources": [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::lake/ann/x"}],
}
LIST = PUT | {"readOnly": True, "resources": [{"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::lake/"}]}


def objects(*values: str) -> list[dict[str, Any]]:
    return [{"DataResources": [{"Type": "AWS::S3::Object", "Values": list(values)}]}]


@pytest.mark.parametrize(
    ("selectors", "taken"),
    [
        (None, [READ, WRITE]),
        ([{"ReadWriteType": "ReadOnly"}], [READ]),
        ([{"ReadWriteType": "WriteOnly"}], [WRITE]),
        ([{"IncludeManagementEvents": False}], []),
        ([{"ExcludeManagementEventSources": ["iam.amazonaws.com"]}], []),
        (objects("arn:aws:s3"), [READ, WRITE, PUT, LIST]),
        (objects("arn:aws:s3:::lake/"), [READ, WRITE, PUT, LIST]),
        (objects("arn:aws:s3:::lake/ann/"), [READ, WRITE, PUT]),
        (objects("arn:aws:s3:::other/"), [READ, WRITE]),
    ],
)
def test_basic_selectors(selectors: Any, taken: list[dict[str, Any]]) -> None:
    assert [event for event in (READ, WRITE, PUT, LIST) if takes(selectors, None, event)] == taken


def fields(**wanted: Any) -> list[dict[str, Any]]:
    return [{"FieldSelectors": [{"Field": name.replace("_", "."), **how} for name, how in wanted.items()]}]


@pytest.mark.parametrize(
    ("selectors", "taken"),
    [
        (fields(eventCategory={"Equals": ["Management"]}), [READ, WRITE]),
        (fields(eventCategory={"Equals": ["Management"]}, readOnly={"Equals": ["false"]}), [WRITE]),
        (fields(eventCategory={"Equals": ["Management"]}, eventName={"StartsWith": ["List"]}), [READ]),
        (fields(eventCategory={"Equals": ["Management"]}, eventName={"NotEndsWith": ["User"]}), [READ]),
        (fields(eventCategory={"Equals": ["Management"]}, errorCode={"Equals": ["AccessDenied"]}), [WRITE]),
        (
            fields(eventCategory={"Equals": ["Data"]}, resources_ARN={"StartsWith": ["arn:aws:s3:::lake/"]}),
            [PUT, LIST],
        ),
        (
            fields(eventCategory={"Equals": ["Data"]}, resources_ARN={"NotStartsWith": ["arn:aws:s3:::lake/ann"]}),
            [LIST],
        ),
    ],
)
def test_advanced_selectors(selectors: Any, taken: list[dict[str, Any]]) -> None:
    assert [event for event in (READ, WRITE, PUT, LIST) if takes(None, selectors, event)] == taken


def test_who_wants_data() -> None:
    assert not takes_data(None, None)
    assert takes_data(objects("arn:aws:s3"), None)
    assert takes_data(None, fields(eventCategory={"Equals": ["Data"]}))
    assert not takes_data(None, fields(eventCategory={"Equals": ["Management"]}))


@pytest.mark.parametrize(
    ("method", "target", "name", "is_data"),
    [
        ("GET", "/", "ListBuckets", False),
        ("PUT", "/lake", "CreateBucket", False),
        ("DELETE", "/lake", "DeleteBucket", False),
        ("PUT", "/lake?policy", "PutBucketPolicy", False),
        ("GET", "/lake?location", "GetBucketLocation", False),
        ("PUT", "/lake?publicAccessBlock", "PutBucketPublicAccessBlock", False),
        ("GET", "/lake?object-lock", "GetObjectLockConfiguration", False),
        ("GET", "/lake?list-type=2&prefix=x", "ListObjects", True),
        ("HEAD", "/lake", "HeadBucket", True),
        ("POST", "/lake?delete", "DeleteObjects", True),
        ("GET", "/lake/key", "GetObject", True),
        ("HEAD", "/lake/key", "HeadObject", True),
        ("PUT", "/lake/key", "PutObject", True),
        ("PUT", "/lake/key?tagging", "PutObjectTagging", True),
        ("POST", "/lake/key?uploads", "CreateMultipartUpload", True),
        ("PUT", "/lake/key?uploadId=u&partNumber=1", "UploadPart", True),
        ("POST", "/lake/key?uploadId=u", "CompleteMultipartUpload", True),
        ("DELETE", "/lake/key?uploadId=u", "AbortMultipartUpload", True),
    ],
)
def test_names_of_requests(method: str, target: str, name: str, is_data: bool) -> None:
    path, _, query = target.partition("?")
    assert event_name(understand(method, path, query), copies=False) == (name, is_data)


def test_names_of_copies() -> None:
    assert event_name(S3Request("PUT", "b", "k", "", {}), copies=True) == ("CopyObject", True)
    assert event_name(S3Request("PUT", "b", "k", "", {"uploadId": "u"}), copies=True) == ("UploadPartCopy", True)


def s3_call(**members: Any) -> S3Call:
    asked = EdgeRequest("GET", "/lake/x?X-Amz-Signature=secret", "localhost:8080", Headers({}), "10.0.0.7")
    made = S3Call(asked, "R1", dt.datetime(2026, 3, 9, tzinfo=dt.UTC), request=understand("GET", "/lake/x", ""))
    for member, value in members.items():
        setattr(made, member, value)
    return made


def events_of(call: S3Call) -> list[tuple[str, dict[str, Any]]]:
    records = S3Records(ACCOUNT, "us-east-1", "aws", False)
    parties = records.parties(call)
    lines = [
        records.line(call, event, party) for event, party in zip(records.events(call, parties), parties, strict=True)
    ]
    return [(line.account_id, json.loads(line.event)) for line in lines]


def test_a_bucket_of_another_account_is_in_both_trails() -> None:
    caller = Caller(ACCOUNT, "user", "arn", "arn", "AIDA", "ann", access_key_id="AKIA")
    call = s3_call(caller=caller, owner=OTHER)
    call.refuse(AccessDenied("no", "details"))
    (mine, own), (theirs, other) = events_of(call)
    assert (mine, theirs) == (ACCOUNT, OTHER)
    assert own["sharedEventID"] == other["sharedEventID"]
    assert other["userIdentity"] == {"type": "AWSAccount", "principalId": "AIDA", "accountId": ACCOUNT}
    assert own["errorCode"] == "AccessDenied"
    assert "secret" not in json.dumps([own, other])


def test_strangers_at_a_bucket() -> None:
    unsigned = s3_call(owner=OTHER)
    unsigned.refuse(AuthError(AuthFailure.MISSING))
    ((account, event),) = events_of(unsigned)
    assert (account, event["userIdentity"]["accountId"]) == (OTHER, "anonymous")
    signature = Signature.__new__(Signature)
    object.__setattr__(signature, "access_key_id", "AKIAQ")
    forged = s3_call(signature=signature)
    forged.refuse(AuthError(AuthFailure.SIGNATURE, claimed=OTHER))
    ((account, event),) = events_of(forged)
    assert (account, event["errorCode"]) == (OTHER, "SignatureDoesNotMatch")
    assert event["userIdentity"] == {
        "type": "Unknown", "principalId": "", "accountId": OTHER, "accessKeyId": "AKIAQ",
    }  # fmt: skip


def test_requests_that_cannot_be_read_are_recorded_too() -> None:
    call = s3_call(request=None)
    call.asked = EdgeRequest("GET", "/lake/%2e%2e/etc%00", "localhost:8080", Headers({}), "10.0.0.7")
    call.refuse(AuthError(AuthFailure.MISSING))
    ((_, event),) = events_of(call)
    assert event["eventName"] == "GetObject"
    assert event["requestParameters"]["bucketName"] == "lake"
