"""Records: who called, what is elided, what is bounded, what goes into which account's trail."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied, AuthError, AuthFailure, InvalidRequest, UnknownOperation
from emr_studio.aws.models import service_model
from emr_studio.aws.pipeline import Call
from emr_studio.aws.protocols import protocol_of
from emr_studio.aws.sigv4 import Signature
from emr_studio.aws.wire import WireRequest
from emr_studio.trail import identity
from emr_studio.trail.api_record import ApiRecords
from emr_studio.trail.elements import HIDDEN, Elements
from emr_studio.trail.lines import Line
from emr_studio.trail.resources import named_resources
from emr_studio.trail.signin_record import ConsoleSignIn, sign_in_line

ACCOUNT, OTHER = "123456789012", "210987654321"
NOW = dt.datetime(2026, 3, 9, 15, 4, 5, 678000, dt.UTC)
ANN = Caller(
    ACCOUNT, "user", f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:user/ann", "AIDAANN", "ann",
    access_key_id="AKIAANN",
)  # fmt: skip
SESSION = Caller(
    ACCOUNT,
    "role-session",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/analyst/work",
    f"arn:aws:iam::{ACCOUNT}:role/team/analyst",
    "AROAX:work",
    role_name="analyst",
    session_name="work",
    access_key_id="ASIAX",
    token_issued_at=NOW,
    source_identity="ann",
)
_PROTOCOLS = {name: protocol_of(service_model(name)) for name in ("emr", "iam", "sts", "cloudtrail")}


def call(service: str, name: str, caller: Caller | None = ANN, **members: Any) -> Call:
    """A call as the pipeline hands it over."""
    protocol = _PROTOCOLS[service]
    headers = {"user-agent": "aws-cli/1", "host": "localhost:8080"}
    made = Call(WireRequest("POST", "/", "", headers, source_ip="10.0.0.7"), "request-1", NOW, "us-east-1")
    made.protocol, made.model, made.caller = protocol, protocol.model.operation_model(name), caller
    for member, value in members.items():
        setattr(made, member, value)
    return made


def lines(made: Call) -> list[Line]:
    records = ApiRecords(ACCOUNT)
    return records.lines(made, records.party(made))


def event(made: Call) -> dict[str, Any]:
    (line,) = lines(made)
    found: dict[str, Any] = json.loads(line.event)
    return found


def test_the_members_of_a_record() -> None:
    made = call("emr", "CreateStudio", input={"Name": "s", "SubnetIds": ["subnet-1"]}, output={"StudioId": "es-1"})
    found = event(made)
    assert len(found.pop("eventID")) == 36
    assert found == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAANN",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/ann",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAANN",
            "userName": "ann",
        },
        "eventTime": "2026-03-09T15:04:05Z",
        "eventSource": "elasticmapreduce.amazonaws.com",
        "eventName": "CreateStudio",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "10.0.0.7",
        "userAgent": "aws-cli/1",
        "requestParameters": {"name": "s", "subnetIds": ["subnet-1"]},
        "responseElements": {"studioId": "es-1"},
        "requestID": "request-1",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


def test_describe_studio_is_elided() -> None:
    made = call("emr", "DescribeStudio", input={"StudioId": "es-1"}, output={"Studio": {"StudioId": "es-1"}})
    found = event(made)
    assert found["responseElements"] is None
    assert found["readOnly"] is True


@pytest.mark.parametrize(
    ("caller", "wanted"),
    [
        (
            Caller(ACCOUNT, "root", f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT),
            {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT},
        ),
        (Caller("", "service", "elasticmapreduce.amazonaws.com", "", ""),
         {"type": "AWSService", "invokedBy": "elasticmapreduce.amazonaws.com"}),
        (
            SESSION,
            {
                "type": "AssumedRole",
                "principalId": "AROAX:work",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/analyst/work",
                "accountId": ACCOUNT,
                "accessKeyId": "ASIAX",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "principalId": "AROAX",
                        "arn": f"arn:aws:iam::{ACCOUNT}:role/team/analyst",
                        "accountId": ACCOUNT,
                        "userName": "analyst",
                    },
                    "attributes": {"creationDate": "2026-03-09T15:04:05Z", "mfaAuthenticated": "false"},
                    "sourceIdentity": "ann",
                },
            },
        ),
        (
            Caller(
                ACCOUNT, "federated-user", f"arn:aws:sts::{ACCOUNT}:federated-user/bob", "", "x", access_key_id="ASIAB",
                token_issued_at=NOW, mfa_at=NOW, federating_user="AIDAANN",
                federating_user_arn=f"arn:aws:iam::{ACCOUNT}:user/ann",
            ),
            {
                "type": "FederatedUser",
                "principalId": f"{ACCOUNT}:bob",
                "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
                "accountId": ACCOUNT,
                "accessKeyId": "ASIAB",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "IAMUser",
                        "principalId": "AIDAANN",
                        "arn": f"arn:aws:iam::{ACCOUNT}:user/ann",
                        "accountId": ACCOUNT,
                        "userName": "ann",
                    },
                    "attributes": {"creationDate": "2026-03-09T15:04:05Z", "mfaAuthenticated": "true"},
                },
            },
        ),
    ],
    ids=["root", "service", "role", "federated"],
)  # fmt: skip
def test_user_identity(caller: Caller, wanted: dict[str, Any]) -> None:
    assert identity.user_identity(caller) == wanted


def test_the_console_and_web_identities() -> None:
    at_console = Caller(ACCOUNT, "user", "a", "a", "AIDA", "ann", console=True)
    found = event(call("emr", "ListStudios", at_console))
    assert found["sessionCredentialFromConsole"] == "true"
    assert found["userIdentity"]["sessionContext"]["attributes"] == {"mfaAuthenticated": "false"}
    keys = {"aws:FederatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp", "idp:sub": "s", "idp:aud": "a"}
    web = Caller(ACCOUNT, "role-session", "arn", "parn", "AROA:s", role_name="r", session_name="s", session_keys=keys)
    assert identity.user_identity(web)["sessionContext"]["webIdFederationData"] == {
        "federatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp",
        "attributes": {"idp:sub": "s", "idp:aud": "a"},
    }


def test_unsigned_calls_are_of_whom_the_provider_names() -> None:
    anonymous = Caller("", "anonymous", "", "", "")
    given = {"RoleArn": f"arn:aws:iam::{OTHER}:role/r", "RoleSessionName": "s", "WebIdentityToken": "eyJhbGciOi"}
    answer = {"SubjectFromWebIdentityToken": "sub", "Provider": "idp", "Audience": "aud"}
    (line,) = lines(call("sts", "AssumeRoleWithWebIdentity", anonymous, input=given, output=answer))
    found = json.loads(line.event)
    assert line.account_id == OTHER
    assert line.username == "sub"
    assert found["userIdentity"] == {
        "type": "WebIdentityUser",
        "principalId": "idp:aud:sub",
        "userName": "sub",
        "identityProvider": "idp",
    }
    assert found["requestParameters"]["webIdentityToken"] == HIDDEN
    given = {"RoleArn": f"arn:aws:iam::{OTHER}:role/r", "PrincipalArn": "p", "SAMLAssertion": "PHNhbWw"}
    answer = {"Subject": "sub", "NameQualifier": "q", "Issuer": "https://idp"}
    found = event(call("sts", "AssumeRoleWithSAML", anonymous, input=given, output=answer))
    assert found["readOnly"] is True
    assert found["userIdentity"]["type"] == "SAMLUser"
    assert "PHNhbWw" not in json.dumps(found)


def test_a_role_assumed_across_accounts_is_in_both_trails() -> None:
    given = {"RoleArn": f"arn:aws:iam::{OTHER}:role/r", "RoleSessionName": "s"}
    secret = {"AccessKeyId": "ASIA1", "SecretAccessKey": "very+secret", "SessionToken": "token", "Expiration": NOW}
    made = call("sts", "AssumeRole", input=given, output={"Credentials": secret})
    mine, theirs = lines(made)
    own, other = json.loads(mine.event), json.loads(theirs.event)
    assert (mine.account_id, theirs.account_id) == (ACCOUNT, OTHER)
    assert own["sharedEventID"] == other["sharedEventID"]
    assert own["eventID"] != other["eventID"]
    assert other["recipientAccountId"] == OTHER
    assert other["userIdentity"] == {"type": "AWSAccount", "principalId": "AIDAANN", "accountId": ACCOUNT}
    assert own["responseElements"]["credentials"] == {"accessKeyId": "ASIA1", "expiration": "Mar 9, 2026, 3:04:05 PM"}
    assert own["resources"] == [{"accountId": OTHER, "type": "AWS::IAM::Role", "ARN": f"arn:aws:iam::{OTHER}:role/r"}]
    made.error = AccessDenied("no")
    assert [line.account_id for line in lines(made)] == [ACCOUNT]


def test_errors() -> None:
    denied = call("emr", "DeleteStudio", input={"StudioId": "es-1"}, error=AccessDenied("may not", "details"))
    (line,) = lines(denied)
    found = json.loads(line.event)
    assert (found["errorCode"], found["errorMessage"]) == ("AccessDeniedException", "may not")
    assert (line.is_denied, line.authorization) == (1, "details")
    assert "details" not in line.event
    assert event(call("iam", "ListUsers", error=AccessDenied("no")))["errorCode"] == "AccessDenied"
    failed = event(call("emr", "DescribeStudio", input={"StudioId": "x"}, error=InvalidRequest("y" * 5000)))
    assert failed["errorCode"] == "InvalidRequestException"
    assert len(failed["errorMessage"]) == 1024
    assert failed["requestParameters"] == {"studioId": "x"}


def test_callers_who_are_not_proven() -> None:
    signature = Signature.__new__(Signature)
    object.__setattr__(signature, "access_key_id", "AKIAQ")
    wrong = AuthError(AuthFailure.SIGNATURE)
    wrong.claimed = OTHER
    made = call("iam", "ListUsers", None, signature=signature, error=wrong)
    (line,) = lines(made)
    assert (line.account_id, line.access_key_id) == (OTHER, "AKIAQ")
    found = json.loads(line.event)
    assert found["userIdentity"] == {
        "type": "Unknown", "principalId": "", "accountId": OTHER, "accessKeyId": "AKIAQ",
    }  # fmt: skip
    assert found["errorCode"] == "SignatureDoesNotMatch"
    unknown = call("iam", "ListUsers", None, signature=signature, error=AuthError(AuthFailure.UNKNOWN_KEY))
    assert [line.account_id for line in lines(unknown)] == [ACCOUNT]
    assert not ApiRecords(ACCOUNT).party(unknown).is_proven
    nothing = call("iam", "ListUsers", None, error=AuthError(AuthFailure.MISSING))
    nothing.model = None
    assert lines(nothing) == []
    assert lines(call("iam", "ListUsers", None, error=UnknownOperation("ListUsers"))) == []


@pytest.mark.parametrize(
    ("service", "operation", "given", "secret"),
    [
        ("iam", "CreateLoginProfile", {"UserName": "a", "Password": "hunter22"}, "hunter22"),
        ("iam", "ChangePassword", {"OldPassword": "hunter22", "NewPassword": "x"}, "hunter22"),
        ("sts", "GetSessionToken", {"SerialNumber": "s", "TokenCode": "123456"}, "123456"),
        ("iam", "EnableMFADevice", {"UserName": "a", "AuthenticationCode1": "111222"}, "111222"),
        ("secretsmanager", "CreateSecret", {"Name": "n", "SecretString": "hunter22"}, "hunter22"),
        ("secretsmanager", "PutSecretValue", {"SecretId": "n", "SecretBinary": b"hunter22"}, "aHVudGVyMjI"),
    ],
)
def test_secrets_are_elided_in_requests(service: str, operation: str, given: dict[str, Any], secret: str) -> None:
    shape = service_model(service).operation_model(operation).input_shape
    assert shape is not None
    assert not set(given) - set(shape.members), "no such member"
    written = json.dumps(Elements().request(shape, given))
    assert secret not in written
    assert HIDDEN in written


def test_secrets_are_elided_in_answers() -> None:
    model = service_model("iam").operation_model("CreateAccessKey")
    answer = {"AccessKey": {"AccessKeyId": "AKIA", "SecretAccessKey": "very+secret", "UserName": "a", "Status": "x"}}
    written = Elements().response("CreateAccessKey", model.output_shape, answer)
    assert written == {"accessKey": {"accessKeyId": "AKIA", "userName": "a", "status": "x"}}
    model = service_model("emr").operation_model("CreateStudioPresignedUrl")
    written = Elements().response(model.name, model.output_shape, {"Url": "http://x?token=y", "Expiration": NOW})
    assert written == {"url": HIDDEN, "expiration": HIDDEN}


def test_every_secret_name_of_every_served_model_is_known() -> None:
    """A structure's member that is called a password or a secret never gets through."""
    for service in ("emr", "iam", "sts", "cloudtrail", "secretsmanager", "emr-containers", "kms"):
        model = service_model(service)
        for name in model.operation_names:
            for shape in (model.operation_model(name).input_shape, model.operation_model(name).output_shape):
                for member in shape.members if shape is not None else ():
                    named = member.endswith(("Password", "SecretString", "SecretBinary", "SAMLAssertion"))
                    if named and member != "AllowUsersToChangePassword":
                        written = Elements().request(shape, {member: "hunter22"})
                        assert "hunter22" not in json.dumps(written), (service, name, member)


def test_recursive_shapes_maps_and_times() -> None:
    shape = service_model("emr").operation_model("RunJobFlow").input_shape
    given = {
        "Name": "n",
        "Configurations": [
            {"Classification": "a", "Properties": {"Some.Key": "v"}, "Configurations": [{"Classification": "b"}]}
        ],
    }
    assert Elements().request(shape, given) == {
        "name": "n",
        "configurations": [
            {"classification": "a", "properties": {"Some.Key": "v"}, "configurations": [{"classification": "b"}]}
        ],
    }
    shape = service_model("cloudtrail").operation_model("LookupEvents").input_shape
    midnight = NOW.replace(hour=0)
    assert Elements().request(shape, {"StartTime": midnight}) == {"startTime": "Mar 9, 2026, 12:04:05 AM"}


def test_what_is_too_large_is_left_out() -> None:
    found = event(call("emr", "CreateStudio", input={"Name": "x" * 200_000}))
    assert found["requestParameters"]["omitted"] is True
    assert found["requestParameters"]["originalSize"] > 200_000


def test_texts_that_no_database_takes() -> None:
    made = call("iam", "GetUser", input={"UserName": "a\x00b"})
    made.request.headers = {"user-agent": "agent\x00\udc80"}
    (line,) = lines(made)
    assert line.resources == [("AWS::IAM::User", "ab")]
    assert json.loads(line.event)["userAgent"] == "agent"


def test_resources() -> None:
    assert named_resources("emr", {"ClusterId": "j-1", "Name": "x"}, {"StudioId": "es-1"}) == [
        ("AWS::EMR::Cluster", "j-1"), ("AWS::EMR::Studio", "es-1"),
    ]  # fmt: skip
    assert named_resources("emr", {"ResourceId": "e-1"}) == [("AWS::EMR::Editor", "e-1")]
    assert named_resources("cloudtrail", {"Name": "t"}, None) == [("AWS::CloudTrail::Trail", "t")]
    assert named_resources("emr", {"JobFlowIds": [f"j-{n}" for n in range(100)]}) == [
        ("AWS::EMR::Cluster", f"j-{n}") for n in range(20)
    ]


def test_sign_ins() -> None:
    attempt = ConsoleSignIn(NOW, ACCOUNT, "http://localhost", "10.0.0.7", "firefox", caller=ANN)
    line = sign_in_line(attempt, "us-east-1")
    found = json.loads(line.event)
    assert (found["eventName"], found["eventType"], found["eventSource"]) == (
        "ConsoleLogin", "AwsConsoleSignIn", "signin.amazonaws.com",
    )  # fmt: skip
    assert found["responseElements"] == {"ConsoleLogin": "Success"}
    assert found["userIdentity"]["userName"] == line.username == "ann"
    failed = ConsoleSignIn(NOW, ACCOUNT, "http://localhost", "10.0.0.7", "firefox")
    found = json.loads(sign_in_line(failed, "us-east-1").event)
    assert found["userIdentity"]["userName"] == HIDDEN
    assert found["responseElements"] == {"ConsoleLogin": "Failure"}
    assert found["errorMessage"] == "Failed authentication"
