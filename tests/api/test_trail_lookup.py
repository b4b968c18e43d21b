"""The trail through stock clients: every call in it, every filter, pages, and what nobody may see."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.trail_api import ACCOUNT, OTHER, TrailApi, served_trail

ALLOW_STS = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], "Resource": "*"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrailApi]:
    with served_trail(tmp_path_factory.mktemp("trail")) as made:
        yield made


def refused(call: Any, **arguments: Any) -> str:
    """The code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


def lookup(api: TrailApi, key: str, value: str, **more: Any) -> list[dict[str, Any]]:
    attributes = [{"AttributeKey": key, "AttributeValue": value}]
    found: list[dict[str, Any]] = api.client("cloudtrail").lookup_events(LookupAttributes=attributes, **more)["Events"]
    return found


def test_allowed_denied_and_failed_calls_are_found_at_once(api: TrailApi) -> None:
    key = api.user("ana", {"Effect": "Allow", "Action": "elasticmapreduce:DescribeStudio", "Resource": "*"})
    emr = api.client("emr", *key)
    assert refused(emr.describe_studio, StudioId="es-NOTHERE") == "InvalidRequestException"
    assert refused(emr.list_studios) == "AccessDeniedException"
    api.client("sts", *key).get_caller_identity()
    found = lookup(api, "Username", "ana")
    shown = [(event["EventName"], json.loads(event["CloudTrailEvent"]).get("errorCode")) for event in found]
    assert shown == [
        ("GetCallerIdentity", None),
        ("ListStudios", "AccessDeniedException"),
        ("DescribeStudio", "InvalidRequestException"),
    ]
    first = found[-1]
    event = json.loads(first["CloudTrailEvent"])
    assert first["EventId"] == event["eventID"]
    assert first["EventSource"] == event["eventSource"] == "elasticmapreduce.amazonaws.com"
    assert first["AccessKeyId"] == event["userIdentity"]["accessKeyId"] == key[0]
    assert first["ReadOnly"] == "true"
    assert first["Resources"] == [{"ResourceType": "AWS::EMR::Studio", "ResourceName": "es-NOTHERE"}]
    assert event["requestParameters"] == {"studioId": "es-NOTHERE"}
    assert event["sourceIPAddress"] == "127.0.0.1"
    assert event["userAgent"].startswith("Boto3/")


def test_every_filter(api: TrailApi) -> None:
    key = api.user("filters", {"Effect": "Allow", "Action": "iam:*", "Resource": "*"})
    iam = api.client("iam", *key)
    iam.create_group(GroupName="group-of-filters")
    iam.list_users()
    (made,) = lookup(api, "EventName", "CreateGroup")
    for attribute, value in (
        ("EventId", made["EventId"]),
        ("EventName", "CreateGroup"),
        ("ResourceName", "group-of-filters"),
        ("ResourceType", "AWS::IAM::Group"),
    ):
        assert [event["EventId"] for event in lookup(api, attribute, value)] == [made["EventId"]], attribute
    for attribute, value in (("Username", "filters"), ("AccessKeyId", key[0])):
        assert [event["EventName"] for event in lookup(api, attribute, value)] == ["ListUsers", "CreateGroup"]
    sources = {event["EventSource"] for event in lookup(api, "EventSource", "iam.amazonaws.com")}
    assert sources == {"iam.amazonaws.com"}
    for wanted in ("true", "false"):
        shown = {event["ReadOnly"] for event in lookup(api, "ReadOnly", wanted)}
        assert shown == {wanted}
    assert lookup(api, "Username", "nobody") == []


def test_times(api: TrailApi) -> None:
    api.client("sts").get_caller_identity()
    cloudtrail = api.client("cloudtrail")
    now = dt.datetime.now(dt.UTC)
    hour = dt.timedelta(hours=1)
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "GetCallerIdentity"}]

    def found(**times: Any) -> int:
        return len(cloudtrail.lookup_events(LookupAttributes=attributes, **times)["Events"])

    assert found(StartTime=now - hour, EndTime=now + hour) >= 1
    assert found(StartTime=now + hour) == 0
    assert found(EndTime=now - hour) == 0
    last = cloudtrail.lookup_events(LookupAttributes=attributes)["Events"][0]["EventTime"]
    assert found(StartTime=last, EndTime=last) >= 1
    code = refused(cloudtrail.lookup_events, StartTime=now, EndTime=now - hour)
    assert code == "InvalidTimeRangeException"


def test_pages(api: TrailApi) -> None:
    key = api.user("pages")
    sts = api.client("sts", *key)
    for _ in range(7):
        sts.get_caller_identity()
    cloudtrail = api.client("cloudtrail")
    asked = {"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "pages"}], "MaxResults": 3}
    pages, token = [], None
    while True:
        page = cloudtrail.lookup_events(**asked, **({"NextToken": token} if token else {}))
        pages.append([event["EventId"] for event in page["Events"]])
        if not (token := page.get("NextToken")):
            break
        other = {"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "admin"}]}
        assert refused(cloudtrail.lookup_events, **other, NextToken=token) == "InvalidNextTokenException"
    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({event for page in pages for event in page}) == 7
    assert refused(cloudtrail.lookup_events, NextToken="forged") == "InvalidNextTokenException"


def test_what_is_refused(api: TrailApi) -> None:
    cloudtrail = api.client("cloudtrail")
    two = [{"AttributeKey": "EventName", "AttributeValue": "A"}, {"AttributeKey": "Username", "AttributeValue": "B"}]
    assert refused(cloudtrail.lookup_events, LookupAttributes=two) == "InvalidLookupAttributesException"
    wrong = [{"AttributeKey": "ReadOnly", "AttributeValue": "maybe"}]
    assert refused(cloudtrail.lookup_events, LookupAttributes=wrong) == "InvalidLookupAttributesException"
    null = [{"AttributeKey": "Username", "AttributeValue": "a\0b"}]
    assert refused(cloudtrail.lookup_events, LookupAttributes=null) == "InvalidLookupAttributesException"
    assert cloudtrail.lookup_events(EventCategory="insight")["Events"] == []
    key = api.user("blind")
    assert refused(api.client("cloudtrail", *key).lookup_events) == "AccessDeniedException"


@pytest.mark.capability("AD-01", "AD-02")
def test_studio_operations_are_audited(api: TrailApi) -> None:
    """Every Studio operation has its record; DescribeStudio's answer is not in it."""
    emr, iam = api.client("emr"), api.client("iam")
    iam.create_role(
        RoleName="studio-service", AssumeRolePolicyDocument=json.dumps({
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "elasticmapreduce.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        }),
    )  # fmt: skip
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_role_policy(RoleName="studio-service", PolicyName="p", PolicyDocument=json.dumps(everything))
    api.bucket("studio-files")
    studio_id = emr.create_studio(**_studio(api))["StudioId"]
    emr.describe_studio(StudioId=studio_id)
    emr.list_studios()
    emr.update_studio(StudioId=studio_id, Name="renamed")
    emr.create_studio_presigned_url(StudioId=studio_id)
    emr.add_tags(ResourceId=studio_id, Tags=[{"Key": "a", "Value": "b"}])
    emr.remove_tags(ResourceId=studio_id, TagKeys=["a"])
    emr.delete_studio(StudioId=studio_id)
    found = {event["eventName"]: event for event in api.events("ResourceName", studio_id)}
    assert set(found) == {
        "CreateStudio", "DescribeStudio", "UpdateStudio", "CreateStudioPresignedUrl", "AddTags", "RemoveTags",
        "DeleteStudio",
    }  # fmt: skip
    for event in [*found.values(), *api.events("EventName", "ListStudios")]:
        assert event["eventSource"] == "elasticmapreduce.amazonaws.com"
        assert event["eventType"] == "AwsApiCall"
        assert event["recipientAccountId"] == ACCOUNT
        assert {"eventVersion", "eventTime", "awsRegion", "userAgent", "requestID", "eventID"} <= set(event)
    assert found["DescribeStudio"]["responseElements"] is None
    assert found["DescribeStudio"]["requestParameters"] == {"studioId": studio_id}
    assert found["CreateStudio"]["responseElements"]["studioId"] == studio_id
    assert found["CreateStudio"]["requestParameters"]["defaultS3Location"] == "s3://studio-files/x"
    assert "token" not in json.dumps(found["CreateStudioPresignedUrl"]["responseElements"])


def _studio(api: TrailApi) -> dict[str, Any]:
    from emr_studio.network.model import ensure_default_network

    with api.database.write() as session:
        network = ensure_default_network(session, api.settings, ACCOUNT)
    return {
        "Name": "audited",
        "AuthMode": "IAM",
        "VpcId": network.vpc_id,
        "SubnetIds": list(network.subnet_ids),
        "ServiceRole": "studio-service",
        "WorkspaceSecurityGroupId": network.workspace_security_group_id,
        "EngineSecurityGroupId": network.engine_security_group_id,
        "DefaultS3Location": "s3://studio-files/x",
    }


def test_roles_across_accounts_and_source_identity(api: TrailApi) -> None:
    other = api.client("iam", *api.other_root)
    trusts = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ALLOW_STS["Action"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": trusts})
    arn = other.create_role(RoleName="visitor", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    sts = api.client("sts", *api.user("traveller", ALLOW_STS))
    made = sts.assume_role(RoleArn=arn, RoleSessionName="trip", SourceIdentity="traveller")["Credentials"]
    visitor = api.client("sts", made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    visitor.get_caller_identity()
    (mine,) = api.events("EventName", "AssumeRole")
    theirs = api.client("cloudtrail", *api.other_root).lookup_events()["Events"]
    events = {event["EventName"]: json.loads(event["CloudTrailEvent"]) for event in theirs}
    assert mine["sharedEventID"] == events["AssumeRole"]["sharedEventID"]
    assert events["AssumeRole"]["userIdentity"]["type"] == "AWSAccount"
    assert events["AssumeRole"]["recipientAccountId"] == OTHER
    who = events["GetCallerIdentity"]["userIdentity"]
    assert who["type"] == "AssumedRole"
    assert who["sessionContext"]["sourceIdentity"] == "traveller"
    assert who["sessionContext"]["sessionIssuer"]["userName"] == "visitor"
    assert events["CreateRole"]["userIdentity"]["type"] == "Root"
    assert all(made[name] not in json.dumps([mine, events]) for name in ("SecretAccessKey", "SessionToken"))
    assert not {event["recipientAccountId"] for event in api.events()} - {ACCOUNT}


def test_secrets_are_nowhere_in_the_trail(api: TrailApi) -> None:
    iam = api.client("iam")
    iam.create_user(UserName="secretive")
    iam.create_login_profile(UserName="secretive", Password="Correct-horse-7")
    key = iam.create_access_key(UserName="secretive")["AccessKey"]
    text = json.dumps(api.events("ResourceName", "secretive"))
    assert "CreateLoginProfile" in text
    assert key["AccessKeyId"] in text
    assert "Correct-horse-7" not in text
    assert key["SecretAccessKey"] not in text


def test_calls_that_nobody_signed_rightly(api: TrailApi) -> None:
    key, _ = api.user("forged")
    assert refused(api.client("iam", key, "wrong").list_users) == "SignatureDoesNotMatch"
    assert refused(api.client("iam", "AKIAQQQQQQQQQQQQQQQQ", "wrong").list_users) == "InvalidClientTokenId"
    (forged,) = api.events("AccessKeyId", key)
    assert (forged["errorCode"], forged["userIdentity"]["type"]) == ("SignatureDoesNotMatch", "Unknown")
    own_key, own_secret = api.other_root
    made = api.client("iam", own_key, own_secret).create_access_key()["AccessKey"]
    keys = api.client("iam", own_key, own_secret)
    keys.update_access_key(AccessKeyId=made["AccessKeyId"], Status="Inactive")
    inactive = api.client("sts", made["AccessKeyId"], made["SecretAccessKey"])
    assert refused(inactive.get_caller_identity) == "InvalidClientTokenId"
    asked = [{"AttributeKey": "AccessKeyId", "AttributeValue": made["AccessKeyId"]}]
    theirs = api.client("cloudtrail", own_key, own_secret).lookup_events(LookupAttributes=asked)["Events"]
    assert [event["EventName"] for event in theirs] == ["GetCallerIdentity"], "in its own account's trail"
    (unknown,) = api.events("AccessKeyId", "AKIAQQQQQQQQQQQQQQQQ")
    assert unknown["errorCode"] == "InvalidClientTokenId"


def test_sign_ins_at_the_console(api: TrailApi) -> None:
    iam = api.client("iam")
    iam.create_user(UserName="visitor-ann")
    iam.create_login_profile(UserName="visitor-ann", Password="Correct-horse-7")

    def sign_in(name: str, password: str) -> int:
        headers = {"Host": api.settings.host_port, "Origin": api.settings.endpoint_url, "User-Agent": "firefox"}
        body = {"userName": name, "password": password}
        return httpx.post(f"{api.endpoint}/_signin", json=body, headers=headers, timeout=90).status_code

    assert sign_in("visitor-ann", "wrong") == 401
    assert sign_in("Correct-horse-7", "typed into the wrong field") == 401
    assert sign_in("visitor-ann", "Correct-horse-7") == 200
    good, mistyped, wrong = api.events("EventName", "ConsoleLogin")
    assert good["responseElements"] == {"ConsoleLogin": "Success"}
    assert good["userIdentity"]["userName"] == wrong["userIdentity"]["userName"] == "visitor-ann"
    assert mistyped["userIdentity"]["userName"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert "Correct-horse-7" not in json.dumps([good, mistyped, wrong])
    for event in (good, mistyped, wrong):
        assert (event["eventType"], event["eventSource"]) == ("AwsConsoleSignIn", "signin.amazonaws.com")
        assert event["userAgent"] == "firefox"
    assert [event["eventName"] for event in api.events("Username", "visitor-ann")] == ["ConsoleLogin"] * 2


def test_a_password_changed_at_the_sign_in(api: TrailApi) -> None:
    iam = api.client("iam")
    iam.create_user(UserName="newcomer")
    iam.create_login_profile(UserName="newcomer", Password="Correct-horse-7", PasswordResetRequired=True)
    iam.attach_user_policy(UserName="newcomer", PolicyArn="arn:aws:iam::aws:policy/IAMUserChangePassword")
    headers = {"Host": api.settings.host_port, "Origin": api.settings.endpoint_url}
    body = {"userName": "newcomer", "password": "Correct-horse-7", "newPassword": "Another-horse-8"}
    assert httpx.post(f"{api.endpoint}/_signin", json=body, headers=headers, timeout=90).status_code == 200
    events = api.events("Username", "newcomer")
    assert [event["eventName"] for event in events] == ["ConsoleLogin", "PasswordUpdated"]
    assert events[1]["responseElements"] == {"PasswordUpdated": "Success"}
    assert "horse" not in json.dumps(events)


def test_a_denial_keeps_its_explanation_where_nobody_reads_it(api: TrailApi) -> None:
    from emr_studio.trail.events import find_denials

    refused(api.client("iam", *api.user("curious")).list_users)
    api.events()
    with api.database.read() as session:
        row = find_denials(session, ACCOUNT, 1)[0]
    assert (row.username, row.event_name) == ("curious", "ListUsers")
    assert row.authorization
    assert row.authorization not in json.dumps(lookup(api, "Username", "curious"), default=str)


def test_the_stock_command_line(api: TrailApi) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ACCESS_KEY_ID": api.admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": api.admin.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": api.endpoint,
        "AWS_CONFIG_FILE": "/dev/null",
    }
    api.user("by-cli")
    argv = [
        *(str(Path(sys.executable).with_name("aws")), "cloudtrail", "lookup-events", "--output", "json"),
        *("--lookup-attributes", "AttributeKey=ResourceName,AttributeValue=by-cli", "--page-size", "1"),
    ]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=90)
    names = [event["EventName"] for event in json.loads(done.stdout)["Events"]]
    assert names == ["CreateAccessKey", "CreateUser"]
