"""Denials as clients see them: codes, words, the sealed message, and who may open it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from emr_studio.aws.models import service_model
from emr_studio.aws.pipeline import MESSAGE_HEADER
from emr_studio.aws.registry import no_check
from tests.support.authorisation import operations
from tests.support.iam_api import allow, policy, trust
from tests.support.trail_api import ACCOUNT, TrailApi, served_trail

ARN = f"arn:aws:iam::{ACCOUNT}:"
STUDIO = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/es-0000000000000000000000000"
DESCRIBE = "elasticmapreduce:DescribeStudio"
NAMES = sorted({(o.service, o.name) for o, _ in operations() if o.checks is not no_check and o.service != "kms"})
ASKS_BY_ITSELF = {("iam", "ChangePassword")}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrailApi]:
    with served_trail(tmp_path_factory.mktemp("denials")) as served:
        yield served


@pytest.fixture(scope="module")
def nobody(api: TrailApi) -> tuple[str, str]:
    return api.user("nobody")


def refusal(call: Callable[..., Any], **request: Any) -> dict[str, Any]:
    """The error of a call that must be denied, with its message opened."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    response: dict[str, Any] = dict(caught.value.response)
    return response


def header(response: dict[str, Any]) -> str:
    return str(response["ResponseMetadata"]["HTTPHeaders"].get(MESSAGE_HEADER, ""))


def decoded(api: TrailApi, text: str) -> dict[str, Any]:
    answer = api.client("sts").decode_authorization_message(EncodedMessage=text)
    found: dict[str, Any] = json.loads(answer["DecodedMessage"])
    return found


# Every operation.


def _plain(name: str, shape: Any) -> Any:
    """A value of a shape that its model accepts."""
    if shape.type_name == "structure":
        return {member: _plain(member, shape.members[member]) for member in shape.required_members}
    if shape.type_name == "list":
        return [_plain(name, shape.member)]
    if shape.type_name == "string":
        arn = f"{ARN}role/x" if name == "RoleArn" else f"{ARN}{name.lower()}/x"
        known = {"ResourceId": "es-1", "RoleSessionName": "s1", "TrailName": "trail"}
        known |= {"AuthenticationCode1": "123456", "AuthenticationCode2": "123456", "UserName": "ana"}
        return known.get(name) or (
            shape.enum[0]
            if shape.enum
            else arn
            if name.endswith(("Arn", "ARN"))
            else "x" * max(20, shape.metadata.get("min", 0))
        )
    return {"integer": 1, "long": 1, "double": 1.0, "boolean": True, "blob": b"x", "timestamp": 0}.get(
        shape.type_name, {}
    )


@pytest.mark.parametrize(("service", "name"), NAMES)
def test_every_operation_is_denied_by_its_protocols_code(
    api: TrailApi, nobody: tuple[str, str], service: str, name: str
) -> None:
    client, model = api.client(service, *nobody), service_model(service)
    shape = model.operation_model(name).input_shape
    request = _plain(name, shape) if shape is not None else {}
    response = refusal(client._make_api_call, operation_name=name, api_params=request)
    error, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
    wanted = ("AccessDenied", 403) if model.protocol == "query" else ("AccessDeniedException", 400)
    if error["Code"] not in ("AccessDenied", "AccessDeniedException"):
        # Something in the request could not even be asked about: still no word of what is there.
        assert error["Code"] in ("InvalidRequestException", "ValidationError", "ValidationException", "InvalidInput")
        return
    assert (error["Code"], status) == wanted
    if (service, name) not in ASKS_BY_ITSELF:
        start = f"User: {ARN}user/nobody is not authorized to perform: {model.signing_name}:{name} on resource: "
        assert error["Message"].startswith(start)
        assert header(response)


# The words, by kind of policy.


def test_nothing_allows(api: TrailApi) -> None:
    key = api.user("empty")
    response = refusal(api.client("emr", *key).describe_studio, StudioId="es-0000000000000000000000000")
    assert response["Error"]["Message"] == (
        f"User: {ARN}user/empty is not authorized to perform: {DESCRIBE} on resource: {STUDIO} "
        f"because no identity-based policy allows the {DESCRIBE} action"
    )


def test_explicit_denies_inline_and_managed(api: TrailApi) -> None:
    iam = api.client("iam")
    deny = {"Sid": "NoStudios", "Effect": "Deny", "Action": "elasticmapreduce:*", "Resource": "*"}
    key = api.user("denied", allow("*"), deny)
    client = api.client("emr", *key)
    response = refusal(client.list_studios)
    start = f"User: {ARN}user/denied is not authorized to perform: elasticmapreduce:ListStudios on resource: * "
    assert response["Error"]["Message"] == start + "with an explicit deny in an identity-based policy"
    opened = decoded(api, header(response))
    assert opened["explicitDeny"] is True
    (matched,) = opened["matchedStatements"]["items"]
    assert matched["sourcePolicyId"] == f"{ARN}user/denied#own"
    assert (matched["statementId"], matched["statement"], matched["effect"]) == ("NoStudios", deny, "DENY")
    assert opened["context"]["action"] == "elasticmapreduce:ListStudios"

    made = iam.create_policy(PolicyName="no-studios", PolicyDocument=json.dumps(policy(deny)))["Policy"]["Arn"]
    iam.delete_user_policy(UserName="denied", PolicyName="own")
    iam.attach_user_policy(UserName="denied", PolicyArn=made)
    message = refusal(client.list_studios)["Error"]["Message"]
    assert message == start + f"with an explicit deny in an identity-based policy: {made}"


def test_boundaries(api: TrailApi) -> None:
    iam = api.client("iam")
    key = api.user("bounded", allow("*"))
    boundary = json.dumps(policy(allow("s3:*")))
    made = iam.create_policy(PolicyName="bounds", PolicyDocument=boundary)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=made)
    response = refusal(api.client("emr", *key).list_studios)
    assert response["Error"]["Message"].endswith(
        "because no permissions boundary allows the elasticmapreduce:ListStudios action"
    )
    assert decoded(api, header(response))["layer"] == "boundary"
    deny = policy(allow("*"), {"Effect": "Deny", "Action": "elasticmapreduce:*", "Resource": "*"})
    iam.create_policy_version(PolicyArn=made, PolicyDocument=json.dumps(deny), SetAsDefault=True)
    response = refusal(api.client("emr", *key).list_studios)
    assert response["Error"]["Message"].endswith(f"with an explicit deny in a permissions boundary: {made}")
    assert decoded(api, header(response))["matchedStatements"]["items"][0]["sourcePolicyType"] == "boundary"


def test_sessions(api: TrailApi) -> None:
    iam, sts = api.client("iam"), api.client("sts")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust({"AWS": f"{ARN}root"}), Path="/team/")
    iam.put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=json.dumps(policy(allow("*"))))
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1"

    def client(*statements: dict[str, Any]) -> Any:
        made = sts.assume_role(
            RoleArn=f"{ARN}role/team/worker", RoleSessionName="s1", Policy=json.dumps(policy(*statements))
        )["Credentials"]
        return api.client("emr", made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    start = f"User: {session} is not authorized to perform: elasticmapreduce:ListStudios on resource: * "
    response = refusal(client(allow("s3:*")).list_studios)
    assert response["Error"]["Message"] == (
        start + "because no session policy allows the elasticmapreduce:ListStudios action"
    )
    deny = {"Effect": "Deny", "Action": "elasticmapreduce:*", "Resource": "*"}
    response = refusal(client(allow("*"), deny).list_studios)
    assert response["Error"]["Message"] == start + "with an explicit deny in a session policy"
    (matched,) = decoded(api, header(response))["matchedStatements"]["items"]
    assert (matched["sourcePolicyType"], matched["statement"]) == ("session", deny)


def test_a_role_is_passed_with_temporary_credentials_of_a_user(api: TrailApi) -> None:
    """They call no IAM without an MFA code; `iam:PassRole` is no call."""
    made = api.client("sts", *api.user("passer", allow("*"))).get_session_token()["Credentials"]
    key = made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]
    assert refusal(api.client("iam", *key).list_users)["Error"]["Code"] == "InvalidClientTokenId"
    response = refusal(
        lambda: api.client("emr", *key).create_studio(
            Name="s", AuthMode="IAM", VpcId="vpc-1", SubnetIds=["subnet-1"], ServiceRole=f"{ARN}role/none",
            WorkspaceSecurityGroupId="sg-1", EngineSecurityGroupId="sg-2", DefaultS3Location="s3://b/x",
        )
    )  # fmt: skip
    assert response["Error"]["Code"] == "InvalidRequestException", response


def test_trust(api: TrailApi) -> None:
    iam = api.client("iam")
    document = json.dumps(
        policy(
            {"Effect": "Allow", "Principal": {"AWS": f"{ARN}root"}, "Action": "sts:AssumeRole"},
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:username": "stranger"}},
            },
        )
    )
    iam.create_role(RoleName="guarded", AssumeRolePolicyDocument=document)
    key = api.user("stranger", allow("sts:AssumeRole"))
    sts = api.client("sts", *key)
    start = f"User: {ARN}user/stranger is not authorized to perform: sts:AssumeRole on resource: {ARN}role/"
    message = refusal(sts.assume_role, RoleArn=f"{ARN}role/guarded", RoleSessionName="s1")["Error"]["Message"]
    assert message == start + "guarded with an explicit deny in the role trust policy"
    # Nobody learns from the answer whether a role exists.
    message = refusal(sts.assume_role, RoleArn=f"{ARN}role/no-such", RoleSessionName="s1")["Error"]["Message"]
    assert message == start + "no-such"
    closed = trust({"Service": "ec2.amazonaws.com"})
    iam.create_role(RoleName="closed", AssumeRolePolicyDocument=closed)
    message = refusal(sts.assume_role, RoleArn=f"{ARN}role/closed", RoleSessionName="s1")["Error"]["Message"]
    assert message == start + "closed"


# The sealed message.


def test_what_almost_allowed(api: TrailApi) -> None:
    key = api.user(
        "almost",
        allow(DESCRIBE, STUDIO.replace("es-0", "es-1"), Sid="OtherStudio"),
        allow(DESCRIBE, "*", Sid="Tagged", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}}),
        allow("s3:*", Sid="Unrelated"),
    )
    response = refusal(api.client("emr", *key).describe_studio, StudioId="es-0000000000000000000000000")
    opened = decoded(api, header(response))
    assert (opened["explicitDeny"], opened["matchedStatements"]["items"]) == (False, [])
    failures = {one["statementId"]: one["reason"] for one in opened["failures"]["items"]}
    assert failures == {"OtherStudio": "resource", "Tagged": "condition"}
    keys = {item["key"] for item in opened["context"]["conditions"]["items"]}
    assert {"aws:userid", "aws:SourceIp", "aws:username"} <= keys


def test_only_those_of_the_account_who_may_read_it(api: TrailApi, nobody: tuple[str, str]) -> None:
    response = refusal(api.client("emr", *nobody).list_studios)
    text, request_id = header(response), response["ResponseMetadata"]["RequestId"]
    reader = api.client("sts", *api.user("reader", allow("sts:DecodeAuthorizationMessage")))
    opened = json.loads(reader.decode_authorization_message(EncodedMessage=text)["DecodedMessage"])
    assert opened["context"]["principal"]["arn"] == f"{ARN}user/nobody"
    # By the request's id, and by that of its record in the trail.
    (record,) = [one for one in api.events("Username", "nobody") if one["requestID"] == request_id]
    for name in (request_id, record["eventID"]):
        again = json.loads(reader.decode_authorization_message(EncodedMessage=name)["DecodedMessage"])
        assert again == opened
    denied = refusal(api.client("sts", *nobody).decode_authorization_message, EncodedMessage=text)
    assert denied["Error"]["Code"] == "AccessDenied"
    strangers = api.client("sts", *api.other_root)
    for name in (text, request_id, record["eventID"], text[:-8] + "AAAAAAAA", "x"):
        refused = refusal(strangers.decode_authorization_message, EncodedMessage=name)
        assert refused["Error"]["Code"] == "InvalidAuthorizationMessageException"


def test_as_the_console_asks(api: TrailApi) -> None:
    """By the session's cookie and CSRF token: the denial's header, and STS by the query protocol, unsigned."""
    iam, name, password = api.client("iam"), "console-user", "Console-pass-1"
    api.user(name)
    iam.create_login_profile(UserName=name, Password=password)
    host = api.settings.host_port
    with httpx.Client(base_url=api.endpoint, headers={"Host": host, "Origin": f"http://{host}"}, timeout=60) as browser:
        signed_in = browser.post("/_signin", json={"userName": name, "password": password})
        assert signed_in.status_code == 200, signed_in.text
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        browser.headers.update({"Cookie": cookie, "X-Csrf-Token": signed_in.json()["csrfToken"]})
        target = {"X-Amz-Target": "ElasticMapReduce.ListStudios", "Content-Type": "application/x-amz-json-1.1"}
        denied = browser.post("/", headers=target, content="{}")
        assert (denied.status_code, denied.json()["__type"]) == (400, "AccessDeniedException")
        form = {
            "Action": "DecodeAuthorizationMessage",
            "Version": "2011-06-15",
            "EncodedMessage": denied.headers[MESSAGE_HEADER],
        }
        refused = browser.post("/", data=form)
        assert (refused.status_code, "sts:DecodeAuthorizationMessage" in refused.text) == (403, True)
        document = json.dumps(policy(allow("sts:DecodeAuthorizationMessage")))
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        opened = browser.post("/", data=form)
        assert (opened.status_code, "<DecodedMessage>" in opened.text) == (200, True)


def test_a_message_never_outgrows_what_sts_takes(api: TrailApi) -> None:
    conditions = {"StringEquals": {f"aws:RequestTag/{number}": "e" * 180 + str(number) for number in range(8)}}
    statements = [allow("elasticmapreduce:CreateStudio", Sid=f"S{n}", Condition=conditions) for n in range(1)]
    iam = api.client("iam")
    key = api.user("wordy")
    for number in range(9):
        body = json.dumps(policy(*statements))
        made = iam.create_policy(PolicyName=f"wordy{number}", PolicyDocument=body)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="wordy", PolicyArn=made)
    tags = [{"Key": f"k{n}{'q' * 100}", "Value": f"{n}" * 120} for n in range(50)]
    network = {"VpcId": "vpc-1", "SubnetIds": ["subnet-1"], "DefaultS3Location": "s3://b/p", "ServiceRole": "r"}
    groups = {"WorkspaceSecurityGroupId": "sg-1", "EngineSecurityGroupId": "sg-2"}
    response = refusal(api.client("emr", *key).create_studio, Name="x", AuthMode="IAM", Tags=tags, **network, **groups)
    assert 0 < len(header(response)) <= 10_240
    assert decoded(api, header(response))["context"]["action"] == "elasticmapreduce:CreateStudio"
