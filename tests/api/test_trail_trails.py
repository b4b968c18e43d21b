"""Trails through boto3: made, changed, tagged, started, with AWS's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.trail_api import ACCOUNT, BUCKET, TrailApi, served_trail

ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrailApi]:
    with served_trail(tmp_path_factory.mktemp("trails")) as made:
        made.bucket()
        yield made


@pytest.fixture
def cloudtrail(api: TrailApi) -> Iterator[Any]:
    client = api.client("cloudtrail")
    yield client
    for trail in client.describe_trails()["trailList"]:
        client.delete_trail(Name=trail["Name"])


def refused(call: Any, **arguments: Any) -> str:
    """The code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


def test_a_trail_from_its_beginning_to_its_end(cloudtrail: Any) -> None:
    made = cloudtrail.create_trail(
        Name="main", S3BucketName=BUCKET, S3KeyPrefix="", EnableLogFileValidation=True, IsMultiRegionTrail=True,
        TagsList=[{"Key": "team", "Value": "a"}],
    )  # fmt: skip
    made.pop("ResponseMetadata")
    assert made == {
        "Name": "main",
        "S3BucketName": BUCKET,
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "TrailARN": f"{ARN}main",
        "LogFileValidationEnabled": True,
        "IsOrganizationTrail": False,
    }
    described = made | {"HomeRegion": "us-east-1", "HasCustomEventSelectors": False, "HasInsightSelectors": False}
    assert cloudtrail.describe_trails()["trailList"] == [described]
    assert cloudtrail.describe_trails(trailNameList=[f"{ARN}main", "missing"])["trailList"] == [described]
    assert cloudtrail.get_trail(Name=f"{ARN}main")["Trail"] == described
    assert cloudtrail.list_trails()["Trails"] == [{"TrailARN": f"{ARN}main", "Name": "main", "HomeRegion": "us-east-1"}]
    assert cloudtrail.get_trail_status(Name="main")["IsLogging"] is False
    cloudtrail.start_logging(Name="main")
    status = cloudtrail.get_trail_status(Name="main")
    assert status["IsLogging"] is True
    assert status["StartLoggingTime"].tzinfo is not None
    cloudtrail.stop_logging(Name="main")
    status = cloudtrail.get_trail_status(Name="main")
    assert (status["IsLogging"], "StopLoggingTime" in status) == (False, True)
    changed = cloudtrail.update_trail(Name="main", EnableLogFileValidation=False)
    assert (changed["LogFileValidationEnabled"], changed["IsMultiRegionTrail"]) == (False, True)
    cloudtrail.delete_trail(Name="main")
    assert cloudtrail.describe_trails()["trailList"] == []
    assert refused(cloudtrail.get_trail, Name="main") == "TrailNotFoundException"


def test_refusals(api: TrailApi, cloudtrail: Any) -> None:
    cloudtrail.create_trail(Name="first", S3BucketName=BUCKET)
    create = cloudtrail.create_trail
    assert refused(create, Name="first", S3BucketName=BUCKET) == "TrailAlreadyExistsException"
    for name in ("ab", "x" * 129, "a--b", "-ab", "ab-", "a b c", "192.168.5.4", "a._b"):
        assert refused(create, Name=name, S3BucketName=BUCKET) == "InvalidTrailNameException", name
    assert refused(create, Name="two", S3BucketName="no-such-bucket") == "S3BucketDoesNotExistException"
    assert refused(create, Name="two", S3BucketName="No_Bucket") == "InvalidS3BucketNameException"
    assert refused(create, Name="two", S3BucketName=BUCKET, S3KeyPrefix="x" * 201) == "InvalidS3PrefixException"
    # The policy speaks of keys without a prefix.
    assert refused(create, Name="two", S3BucketName=BUCKET, S3KeyPrefix="p") == "InsufficientS3BucketPolicyException"
    closed = api.bucket("closed-bucket", {"Version": "2012-10-17", "Statement": []})
    assert refused(create, Name="two", S3BucketName=closed) == "InsufficientS3BucketPolicyException"
    code = refused(create, Name="two", S3BucketName=BUCKET, IsMultiRegionTrail=True, IncludeGlobalServiceEvents=False)
    assert code == "InvalidParameterCombinationException"
    assert refused(create, Name="two", S3BucketName=BUCKET, SnsTopicName="t") == "InvalidSnsTopicNameException"
    assert (
        refused(create, Name="two", S3BucketName=BUCKET, IsOrganizationTrail=True) == "OrganizationsNotInUseException"
    )
    for number in range(2, 6):
        create(Name=f"trail-{number}", S3BucketName=BUCKET)
    assert refused(create, Name="trail-6", S3BucketName=BUCKET) == "MaximumNumberOfTrailsExceededException"
    for call in (cloudtrail.start_logging, cloudtrail.delete_trail, cloudtrail.get_trail_status):
        assert refused(call, Name="missing") == "TrailNotFoundException"
        assert refused(call, Name="arn:aws:cloudtrail:nonsense") == "CloudTrailARNInvalidException"
        theirs = f"arn:aws:cloudtrail:us-east-1:{'9' * 12}:trail/x"
        assert refused(call, Name=theirs) in {"AccessDeniedException", "TrailNotFoundException"}


def test_permissions_are_of_the_trail(api: TrailApi, cloudtrail: Any) -> None:
    cloudtrail.create_trail(Name="mine", S3BucketName=BUCKET, TagsList=[{"Key": "team", "Value": "a"}])
    cloudtrail.create_trail(Name="theirs", S3BucketName=BUCKET)
    statement = {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": f"{ARN}mine"}
    tagged = {
        "Effect": "Allow", "Action": "cloudtrail:StartLogging", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}},
    }  # fmt: skip
    limited = api.client("cloudtrail", *api.user("limited", statement))
    limited.start_logging(Name="mine")
    limited.put_event_selectors(TrailName="mine", EventSelectors=[{"ReadWriteType": "WriteOnly"}])
    for call in (limited.start_logging, limited.stop_logging, limited.delete_trail, limited.get_trail):
        assert refused(call, Name="theirs") == "AccessDeniedException"
    assert refused(limited.create_trail, Name="another", S3BucketName=BUCKET) == "AccessDeniedException"
    by_tag = api.client("cloudtrail", *api.user("by-tag", tagged))
    by_tag.start_logging(Name="mine")
    assert refused(by_tag.start_logging, Name="theirs") == "AccessDeniedException"


def test_tags(cloudtrail: Any) -> None:
    cloudtrail.create_trail(Name="tagged", S3BucketName=BUCKET, TagsList=[{"Key": "a", "Value": "1"}])
    arn = f"{ARN}tagged"
    cloudtrail.add_tags(ResourceId=arn, TagsList=[{"Key": "b"}, {"Key": "a", "Value": "2"}])
    cloudtrail.remove_tags(ResourceId=arn, TagsList=[{"Key": "b"}])
    (listed,) = cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    assert listed == {"ResourceId": arn, "TagsList": [{"Key": "a", "Value": "2"}]}
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    assert refused(cloudtrail.add_tags, ResourceId=arn, TagsList=many) == "TagsLimitExceededException"
    reserved = [{"Key": "aws:x", "Value": "v"}]
    assert refused(cloudtrail.add_tags, ResourceId=arn, TagsList=reserved) == "InvalidTagParameterException"
    assert refused(cloudtrail.list_tags, ResourceIdList=[f"{ARN}missing"]) == "ResourceNotFoundException"
    assert refused(cloudtrail.list_tags, ResourceIdList=["tagged"]) == "CloudTrailARNInvalidException"


def test_event_selectors(cloudtrail: Any) -> None:
    cloudtrail.create_trail(Name="choosy", S3BucketName=BUCKET)
    shown = cloudtrail.get_event_selectors(TrailName="choosy")
    assert shown["EventSelectors"][0]["IncludeManagementEvents"] is True
    objects = {"Type": "AWS::S3::Object", "Values": [f"arn:aws:s3:::{BUCKET}/"]}
    put = cloudtrail.put_event_selectors
    put(TrailName="choosy", EventSelectors=[{"ReadWriteType": "WriteOnly", "DataResources": [objects]}])
    assert cloudtrail.get_trail(Name="choosy")["Trail"]["HasCustomEventSelectors"] is True
    advanced = [
        {
            "Name": "objects",
            "FieldSelectors": [
                {"Field": "eventCategory", "Equals": ["Data"]},
                {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
                {"Field": "resources.ARN", "NotStartsWith": ["arn:aws:s3:::secret/"]},
            ],
        }
    ]
    put(TrailName="choosy", AdvancedEventSelectors=advanced)
    shown = cloudtrail.get_event_selectors(TrailName="choosy")
    assert shown["AdvancedEventSelectors"] == advanced
    assert "EventSelectors" not in shown
    for wrong in (
        {},
        {"EventSelectors": [{"DataResources": [{"Type": "AWS::S3::Bucket", "Values": ["arn:aws:s3"]}]}]},
        {"EventSelectors": [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["bucket"]}]}]},
        {"EventSelectors": [{"ReadWriteType": "All"}] * 6},
        {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventName", "Equals": ["x"]}]}]},
        {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "StartsWith": ["Data"]}]}]},
        {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]},
        {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "colour", "Equals": ["red"]}]}]},
    ):
        assert refused(put, TrailName="choosy", **wrong) == "InvalidEventSelectorsException", wrong


def test_public_keys(cloudtrail: Any) -> None:
    (key,) = cloudtrail.list_public_keys()["PublicKeyList"]
    assert len(key["Fingerprint"]) == 32
    assert key["Value"].startswith(b"\x30\x82")
    past = key["ValidityStartTime"].replace(year=2001)
    assert cloudtrail.list_public_keys(StartTime=past, EndTime=past)["PublicKeyList"] == []
