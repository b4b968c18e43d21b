"""Each way to be refused, in each protocol: code, status and message as AWS gives them (aws-wire.md section 3)."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.pipeline import MAX_BODY, AwsApplication
from emr_studio.aws.wire import WireRequest, WireResponse
from emr_studio.clock import FakeClock
from tests.support.wire_world import (
    ARN,
    EXPIRED_TOKEN,
    TEMPORARY_KEY,
    TEMPORARY_SECRET,
    TOKEN,
    Kept,
    header_of,
    json_call,
    make_application,
    query_call,
    sign,
)

TAGS = "/tags/arn%3Aaws%3Aemr-containers%3Aus-east-1%3A123456789012%3A%2Fvirtualclusters%2F" + 25 * "a"
INVALID = "The security token included in the request is invalid."
SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> AwsApplication:
    return make_application(tmp_path_factory.mktemp("wire"))


def _said(response: WireResponse) -> tuple[str, int, str]:
    """Code, status, message; and that the answer is of its protocol."""
    assert header_of(response, "x-amzn-RequestId")
    if response.content_type == "text/xml":
        text = response.body.decode()
        found = re.search(r"<Code>(.*?)</Code><Message>(.*?)</Message>", text)
        assert text.startswith('<ErrorResponse xmlns="https://')
        assert found
        return found.group(1), response.status, found.group(2).replace("&lt;", "<").replace("&gt;", ">")
    body = json.loads(response.body)
    code = header_of(response, "x-amzn-ErrorType")
    assert code
    if response.content_type.startswith("application/x-amz-json"):
        assert body["__type"] == code
    return code, response.status, body.get("message") or body["Message"]


def _sts() -> WireRequest:
    return query_call("Action=GetCallerIdentity&Version=2011-06-15")


def _emr(body: bytes = b"{}", target: str = "ElasticMapReduce.ListStudios") -> WireRequest:
    return json_call(target, body)


def _containers(path: str = TAGS, method: str = "GET", body: bytes = b"") -> WireRequest:
    return WireRequest(method, path, "", {"host": "localhost:8080", "content-type": "application/json"}, body)


PROTOCOLS = [(_sts, "sts"), (_emr, "elasticmapreduce"), (_containers, "emr-containers")]


def _pick(protocol: str, *expected: Any) -> Any:
    return dict(zip(("sts", "elasticmapreduce", "emr-containers"), expected, strict=True))[protocol]


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_no_authentication(make: Any, service: str, application: AwsApplication) -> None:
    request = make()
    if service == "emr-containers":  # nothing in such a request but its host names the service
        request.headers = {"host": "emr-containers.localhost:8080"}
    assert _said(application.answer(request)) == _pick(
        service,
        ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        ("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
        ("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
    )


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_malformed_header(make: Any, service: str, application: AwsApplication) -> None:
    request = make()
    request.headers |= {"authorization": f"AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{service}/aws4_request"}
    code, status, message = _said(application.answer(request))
    assert (code, status) == _pick(
        service,
        ("IncompleteSignature", 400),
        ("IncompleteSignatureException", 400),
        ("IncompleteSignatureException", 403),
    )
    assert "Authorization header requires 'Signature' parameter." in message


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_unknown_key(make: Any, service: str, application: AwsApplication) -> None:
    response = application.answer(sign(make(), service, key="AKIAUNKNOWN"))
    assert _said(response) == _pick(
        service,
        ("InvalidClientTokenId", 403, INVALID),
        ("UnrecognizedClientException", 400, INVALID),
        ("UnrecognizedClientException", 403, INVALID),
    )


@pytest.mark.parametrize("token", [None, "forged"])
@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_missing_or_wrong_token(make: Any, service: str, token: str | None, application: AwsApplication) -> None:
    response = application.answer(sign(make(), service, key=TEMPORARY_KEY, secret=TEMPORARY_SECRET, token=token))
    expected = _pick(service, "InvalidClientTokenId", "UnrecognizedClientException", "UnrecognizedClientException")
    assert _said(response)[0] == expected


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_token_of_a_long_term_key(make: Any, service: str, application: AwsApplication) -> None:
    response = application.answer(sign(make(), service, token=TOKEN))
    assert _said(response)[2] == INVALID


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_expired_token(make: Any, service: str, application: AwsApplication) -> None:
    signed = sign(make(), service, key=TEMPORARY_KEY, secret=TEMPORARY_SECRET, token=EXPIRED_TOKEN)
    message = "The security token included in the request is expired"
    assert _said(application.answer(signed)) == _pick(
        service,
        ("ExpiredToken", 403, message),
        ("ExpiredTokenException", 400, message),
        ("ExpiredTokenException", 403, message),
    )


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_good_token(make: Any, service: str, application: AwsApplication) -> None:
    signed = sign(make(), service, key=TEMPORARY_KEY, secret=TEMPORARY_SECRET, token=TOKEN)
    assert application.answer(signed).status == 200


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_wrong_signature(make: Any, service: str, application: AwsApplication) -> None:
    assert _said(application.answer(sign(make(), service, secret="not the secret"))) == _pick(
        service,
        ("SignatureDoesNotMatch", 403, SIGNATURE),
        ("InvalidSignatureException", 400, SIGNATURE),
        ("InvalidSignatureException", 403, SIGNATURE),
    )


@pytest.mark.parametrize(("make", "service"), PROTOCOLS)
def test_wrong_clock(make: Any, service: str, tmp_path: Path) -> None:
    application = make_application(tmp_path, FakeClock(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)))
    code, status, message = _said(application.answer(sign(make(), service)))
    assert (code, status) == _pick(
        service, ("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 400), ("InvalidSignatureException", 403)
    )
    assert message.startswith("Signature expired: ")


def test_signed_for_another_service(application: AwsApplication) -> None:
    assert _said(application.answer(sign(_emr(), "sts"))) == (
        "InvalidSignatureException",
        400,
        "Credential should be scoped to correct service: 'elasticmapreduce'.",
    )


def test_signed_for_another_region(application: AwsApplication) -> None:
    message = "Credential should be scoped to a valid region."
    elsewhere = sign(_emr(), "elasticmapreduce", region="eu-west-1")
    assert _said(application.answer(elsewhere)) == ("InvalidSignatureException", 400, message)
    # A region is also part of every ARN that policies are asked about.
    crafted = sign(_emr(), "elasticmapreduce", region="us-east-1:210987654321:editor")
    assert _said(application.answer(crafted)) == ("InvalidSignatureException", 400, message)
    assert _said(application.answer(sign(_sts(), "sts", region="eu-west-1"))) == ("SignatureDoesNotMatch", 403, message)


def test_two_credentials_in_one_header(application: AwsApplication) -> None:
    signed = sign(_sts(), "elasticmapreduce")
    header = signed.headers["authorization"].replace(
        "Credential=", "Credential=A/20260101/us-east-1/sts/aws4_request, Credential="
    )
    signed.headers = dict(signed.headers) | {"authorization": header}
    assert _said(application.answer(signed)) == (
        "SignatureDoesNotMatch",
        403,
        "Credential should be scoped to correct service: 'sts'.",
    )


@pytest.mark.parametrize(
    ("request_", "service", "code", "status"),
    [
        (query_call("Action=DeleteUser&Version=2010-05-08&UserName=bob"), "iam", "AccessDenied", 403),
        (
            _emr(b'{"StudioId": "es-1"}', "ElasticMapReduce.DeleteStudio"),
            "elasticmapreduce",
            "AccessDeniedException",
            400,
        ),
        (_containers("/virtualclusters/abc", "DELETE"), "emr-containers", "AccessDeniedException", 403),
    ],
)
def test_denied_by_policy(
    request_: WireRequest, service: str, code: str, status: int, application: AwsApplication
) -> None:
    assert _said(application.answer(sign(request_, service))) == (
        code,
        status,
        f"User: {ARN} is not authorized to perform: elasticmapreduce:DeleteStudio on resource: * "
        "because no identity-based policy allows the elasticmapreduce:DeleteStudio action",
    )


def test_an_operation_whose_checks_ask_nothing_is_refused(application: AwsApplication) -> None:
    request = _emr(b'{"ClusterId": "j-1"}', "ElasticMapReduce.ListSteps")
    assert _said(application.answer(sign(request, "elasticmapreduce")))[:2] == ("AccessDeniedException", 400)


@pytest.mark.parametrize(
    ("request_", "service", "expected"),
    [
        (
            _emr(target="ElasticMapReduce.GetAutoTerminationPolicy"),
            "elasticmapreduce",
            ("UnknownOperationException", 400, "Could not find operation GetAutoTerminationPolicy"),
        ),
        (
            _emr(target="ElasticMapReduce.NoSuch"),
            "elasticmapreduce",
            ("UnknownOperationException", 400, "Could not find operation NoSuch"),
        ),
        (
            query_call("Action=NoSuch&Version=2010-05-08"),
            "iam",
            ("InvalidAction", 400, "Could not find operation NoSuch for version 2010-05-08"),
        ),
        (
            _containers("/nosuch"),
            "emr-containers",
            ("UnknownOperationException", 404, "Could not find operation GET /nosuch"),
        ),
        (
            json_call("DynamoDB_20120810.ListTables"),
            "dynamodb",
            ("UnknownOperationException", 400, "Could not find operation ListTables"),
        ),
    ],
)
def test_unknown_operations(request_: WireRequest, service: str, expected: Any, application: AwsApplication) -> None:
    assert _said(application.answer(sign(request_, service))) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "Start of list found where not expected"),
        (b'"text"', "STRING_VALUE can not be converted to a structure"),
        (b'{"StudioId": 1}', "NUMBER_VALUE can not be converted to String"),
        (b'{"StudioId": true}', "TRUE_VALUE can not be converted to String"),
        (b'{"StudioId": {}}', "Start of structure or map found where not expected."),
        (b'{"StudioId": "x", "Tags": "y"}', "STRING_VALUE can not be converted to a list"),
        (b'{"StudioId": "x", "Tags": [[]]}', "Start of list found where not expected"),
        (b'{"a":' * 100_000, "not valid JSON"),
    ],
)
def test_json_of_the_wrong_form_or_type(body: bytes, message: str, application: AwsApplication) -> None:
    request = sign(_emr(body, "ElasticMapReduce.CreateEditor"), "elasticmapreduce")
    code, status, said = _said(application.answer(request))
    assert (code, status) == ("SerializationException", 400)
    assert message in said


def test_recursive_shapes_nested_too_deep(application: AwsApplication) -> None:
    inner = b'{"Configurations": [' * 400 + b"]}" * 400
    request = sign(
        _emr(b'{"Name": "x", "Configurations": [' + inner + b"]}", "ElasticMapReduce.RunJobFlow"), "elasticmapreduce"
    )
    response = application.answer(request)
    assert response.status == 400


def test_constraints_in_the_words_of_aws(application: AwsApplication) -> None:
    def answer(body: dict[str, Any], target: str = "CreateEditor") -> tuple[str, int, str]:
        request = _emr(json.dumps(body).encode(), f"ElasticMapReduce.{target}")
        return _said(application.answer(sign(request, "elasticmapreduce")))

    must = "failed to satisfy constraint: Member must"
    assert answer({}) == (
        "ValidationException",
        400,
        f"2 validation errors detected: Value null at 'studioId' {must} not be null; "
        f"Value null at 'name' {must} not be null",
    )
    assert (
        answer({"StudioId": None, "Name": "x"})[2]
        == f"1 validation error detected: Value null at 'studioId' {must} not be null"
    )
    assert answer({"StudioId": "s" * 257, "Name": "x"})[2].endswith(
        f"at 'studioId' {must} have length less than or equal to 256"
    )
    engine = {"Id": "j-1", "Type": "SPARK"}
    assert answer({"StudioId": "s", "Name": "x", "ExecutionEngine": engine})[2] == (
        f"1 validation error detected: Value 'SPARK' at 'executionEngine.type' {must} satisfy enum value set: [EMR]"
    )
    assert (
        "at 'name' " + must + " satisfy regular expression pattern: [\\u0020-"
        in answer({"StudioId": "s", "Name": "\0"})[2]
    )


def test_constraints_of_a_query_service(application: AwsApplication) -> None:
    request = query_call("Action=DeleteUser&Version=2010-05-08")
    assert _said(application.answer(sign(request, "iam"))) == (
        "ValidationError",
        400,
        "1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null",
    )
    tags = "Action=CreateUser&Version=2010-05-08&UserName=a%20b&Tags.member.1.Key=k"
    assert _said(application.answer(sign(query_call(tags), "iam")))[2] == (
        "2 validation errors detected: Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: [\\w+=,.@-]+; Value null at 'tags.1.member.value' failed to satisfy constraint: "
        "Member must not be null"
    )


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"Action=GetCallerIdentity&Version=2011-06-15&X=%ff", b"a=1&" * 30_000],
)
def test_forms_that_are_none(body: bytes, application: AwsApplication) -> None:
    response = application.answer(sign(query_call(body), "sts"))
    assert _said(response)[:2] == ("MalformedInput", 400)


def test_wrong_types_in_a_form(application: AwsApplication) -> None:
    request = query_call("Action=GetSessionToken&Version=2011-06-15&DurationSeconds=soon")
    assert _said(application.answer(sign(request, "sts")))[:2] == ("MalformedInput", 400)


def test_the_services_own_errors(application: AwsApplication) -> None:
    user = application.answer(sign(query_call("Action=GetUser&Version=2010-05-08&UserName=bob"), "iam"))
    # The model's status, and the code on the wire rather than the shape's name.
    assert _said(user) == ("NoSuchEntity", 404, "The user with name <bob> cannot be found.")
    assert b"<Type>Sender</Type>" in user.body
    studio = application.answer(
        sign(_emr(b'{"StudioId": "es-1"}', "ElasticMapReduce.DescribeStudio"), "elasticmapreduce")
    )
    assert _said(studio) == ("InvalidRequestException", 400, "Studio does not exist.")
    assert b'"Message"' in studio.body


@pytest.mark.parametrize(
    ("request_", "service"),
    [
        (
            _emr(
                json.dumps(
                    {
                        "Name": "x",
                        "AuthMode": "IAM",
                        "VpcId": "v",
                        "SubnetIds": ["s"],
                        "ServiceRole": "r",
                        "WorkspaceSecurityGroupId": "g",
                        "EngineSecurityGroupId": "g",
                        "DefaultS3Location": "s3://b",
                    }
                ).encode(),
                "ElasticMapReduce.CreateStudio",
            ),
            "elasticmapreduce",
        ),
        (query_call("Action=GetSessionToken&Version=2011-06-15"), "sts"),
    ],
)
def test_a_fault_of_ours_tells_nothing(
    request_: WireRequest, service: str, application: AwsApplication, caplog: pytest.LogCaptureFixture
) -> None:
    response = application.answer(sign(request_, service))
    assert _said(response) == ("InternalFailure", 500, "Internal server error")
    assert b"secret" not in response.body
    assert str(header_of(response, "x-amzn-RequestId")) in caplog.text


def test_too_large_a_body(application: AwsApplication) -> None:
    assert _said(application.answer(_emr(b" " * (MAX_BODY + 1))))[:2] == ("RequestEntityTooLarge", 413)


def test_void_operations_answer_with_nothing(application: AwsApplication) -> None:
    emr = application.answer(sign(_emr(b'{"StudioId": "es-1"}', "ElasticMapReduce.UpdateStudio"), "elasticmapreduce"))
    assert (emr.status, emr.body) == (200, b"")
    assert header_of(emr, "x-amzn-RequestId")


def test_unknown_and_null_members_are_as_absent(application: AwsApplication) -> None:
    body = b'{"StudioId": "es-1", "Name": "n", "Description": null, "Tomorrow": {"a": [1]}}'
    response = application.answer(sign(_emr(body, "ElasticMapReduce.CreateEditor"), "elasticmapreduce"))
    assert json.loads(response.body) == {"EditorId": "n"}


def test_calls_that_need_no_signature(application: AwsApplication) -> None:
    role = "arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr"
    form = (
        f"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}&RoleSessionName=ann&WebIdentityToken=abcd"
    )
    response = application.answer(query_call(form))
    assert response.status == 200


@pytest.mark.parametrize(
    ("cookie", "csrf", "status"),
    [
        ("__Host-emr-studio=good", "csrf", 200),
        ("__Host-emr-studio=good", "", 400),
        ("__Host-emr-studio=bad", "csrf", 400),
    ],
)
def test_console_sessions(cookie: str, csrf: str, status: int, application: AwsApplication) -> None:
    request = _emr()
    request.headers = dict(request.headers) | {"cookie": cookie, "x-csrf-token": csrf}
    assert application.answer(request).status == status


def test_every_call_is_recorded_once_with_its_outcome(tmp_path: Path) -> None:
    kept = Kept()
    application = make_application(tmp_path, recorder=kept)
    application.answer(sign(_emr(), "elasticmapreduce"))
    application.answer(_emr())
    good, bad = kept.calls
    assert good.caller is not None
    assert (good.caller.arn, good.error, good.region) == (ARN, None, "us-east-1")
    assert bad.error is not None
    assert bad.error.message == ""
    assert good.request_id != bad.request_id
