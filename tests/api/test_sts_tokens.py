"""GetCallerIdentity, GetSessionToken, GetFederationToken, GetAccessKeyInfo, DecodeAuthorizationMessage."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clock import SystemClock
from tests.support.iam_api import ACCOUNT, OTHER, IamWorld, allow, error_of, policy, served_iam

FEDERATED = f"arn:aws:sts::{ACCOUNT}:federated-user"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("sts"), SystemClock()) as made:
        yield made


def test_get_caller_identity_cannot_be_denied_and_can_be_presigned(world: IamWorld) -> None:
    everything = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    key = world.new_user("nobody", policy(everything))
    sts = world.client("sts", *key)
    assert sts.get_caller_identity()["Arn"].endswith(":user/nobody")
    url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    assert url.startswith(world.endpoint)
    with urllib.request.urlopen(url) as response:
        assert b":user/nobody</Arn>" in response.read()


def test_session_token_is_the_user_without_iam(world: IamWorld) -> None:
    key = world.new_user("worker", policy(allow(["iam:*", "sts:*", "elasticmapreduce:*"])))
    made = world.client("sts", *key).get_session_token(DurationSeconds=900)["Credentials"]
    assert made["AccessKeyId"].startswith("ASIA")
    sts = world.session(made, "sts")
    assert sts.get_caller_identity()["Arn"].endswith(":user/worker")
    assert error_of(world.session(made, "iam").list_users)[0] == "InvalidClientTokenId"
    for call, arguments in (
        (sts.get_session_token, {}),
        (sts.get_federation_token, {"Name": "bob"}),
        (sts.get_access_key_info, {"AccessKeyId": made["AccessKeyId"]}),
        (sts.decode_authorization_message, {"EncodedMessage": "x"}),
    ):
        assert error_of(call, **arguments)[0] == "AccessDenied"
    iam = world.client("iam")
    document = policy(
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    )
    iam.create_role(RoleName="goal", AssumeRolePolicyDocument=json.dumps(document))
    tags = [{"Key": "team", "Value": "data"}]
    start = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/goal", "RoleSessionName": "s1"}
    role = sts.assume_role(**start, Tags=tags)["Credentials"]
    session = world.session(role, "sts")
    assert error_of(session.get_session_token)[2] == "Cannot call GetSessionToken with session credentials"
    assert (
        error_of(session.get_federation_token, Name="bob")[2]
        == "Cannot call GetFederationToken with session credentials"
    )
    for name in ("AccessKeyId",):
        iam.delete_access_key(UserName="worker", AccessKeyId=key[0])
        assert sts.get_caller_identity()[("Arn")].endswith(":user/worker"), name
    iam.delete_user_policy(UserName="worker", PolicyName="p")
    iam.delete_user(UserName="worker")
    assert error_of(sts.get_caller_identity)[0] == "InvalidClientTokenId"


def test_root_gets_an_hour_and_no_iam(world: IamWorld) -> None:
    made = world.client("sts", *world.other_root).get_session_token(DurationSeconds=43_200)["Credentials"]
    sts = world.session(made, "sts")
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{OTHER}:root"
    assert error_of(world.session(made, "iam").list_users)[0] == "InvalidClientTokenId"
    assert 3500 < (made["Expiration"] - world.clock.now()).total_seconds() <= 3600


def test_federated_user_has_what_both_policies_allow(world: IamWorld) -> None:
    allowed = ["sts:GetFederationToken", "iam:*", "sts:GetAccessKeyInfo", "sts:TagSession"]
    key = world.new_user("broker", policy(allow(allowed)))
    sts = world.client("sts", *key)
    wide = json.dumps(policy(allow(["iam:*", "sts:*"])))
    made = sts.get_federation_token(Name="bob", Policy=wide, DurationSeconds=900)
    assert made["FederatedUser"] == {"FederatedUserId": f"{ACCOUNT}:bob", "Arn": f"{FEDERATED}/bob"}
    assert made["PackedPolicySize"] > 0
    bob = world.session(made["Credentials"], "sts")
    identity = bob.get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (f"{FEDERATED}/bob", f"{ACCOUNT}:bob")
    assert error_of(world.session(made["Credentials"], "iam").list_users)[0] == "InvalidClientTokenId"
    assert error_of(bob.get_access_key_info, AccessKeyId=key[0])[0] == "AccessDenied"
    assert error_of(bob.get_session_token)[0] == "AccessDenied"


def test_federation_is_a_permission_of_its_own(world: IamWorld) -> None:
    key = world.new_user("half", policy(allow("sts:GetFederationToken", f"{FEDERATED}/bob")))
    sts = world.client("sts", *key)
    assert sts.get_federation_token(Name="bob")["Credentials"]
    assert error_of(sts.get_federation_token, Name="eve")[2].startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/half is not authorized to perform: sts:GetFederationToken on resource: "
        f"{FEDERATED}/eve"
    )
    tags = [{"Key": "team", "Value": "data"}]
    assert "sts:TagSession" in error_of(sts.get_federation_token, Name="bob", Tags=tags)[2]
    assert error_of(world.client("sts", checked=False).get_federation_token, Name="x" * 33)[0] == "ValidationError"


def test_key_info_of_long_and_temporary_keys(world: IamWorld) -> None:
    sts = world.client("sts")
    assert sts.get_access_key_info(AccessKeyId=world.other_root[0])["Account"] == OTHER
    made = world.client("sts", *world.other_root).get_session_token()["Credentials"]
    assert sts.get_access_key_info(AccessKeyId=made["AccessKeyId"])["Account"] == OTHER
    assert error_of(sts.get_access_key_info, AccessKeyId="ASIA" + "A" * 16)[0] == "ValidationError"
    assert error_of(sts.get_access_key_info, AccessKeyId="ASIA" + "1" * 16)[0] == "ValidationError"


def test_a_denial_is_decoded_for_its_own_account_only(world: IamWorld) -> None:
    key = world.new_user("curious", policy(allow("iam:GetUser"), allow("sts:DecodeAuthorizationMessage")))
    message = _message_of_a_denial(world.client("iam", *key))
    decoded = json.loads(
        world.client("sts", *key).decode_authorization_message(EncodedMessage=message)["DecodedMessage"]
    )
    assert (decoded["allowed"], decoded["explicitDeny"]) == (False, False)
    assert decoded["context"]["action"] == "iam:ListUsers"
    assert decoded["context"]["principal"]["arn"].endswith(":user/curious")
    assert {"matchedStatements", "failures"} <= decoded.keys()
    stranger = world.client("sts", *world.other_root)
    for text in (message, message[:-4], "junk", base64.urlsafe_b64encode(b"x" * 99).decode()):
        found = error_of(stranger.decode_authorization_message, EncodedMessage=text)
        assert found[:2] == ("InvalidAuthorizationMessageException", 400)
    nosy = world.client("sts", *world.new_user("nosy"))
    assert error_of(nosy.decode_authorization_message, EncodedMessage=message)[0] == "AccessDenied"


def _message_of_a_denial(client: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client.list_users()
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    return str(headers["x-emr-studio-authorization-message"])
