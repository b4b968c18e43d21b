"""OIDC providers and AssumeRoleWithWebIdentity, with an issuer on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from joserfc.jwk import ECKey

from tests.support.iam_api import ACCOUNT, OTHER, IamWorld, OffsetClock, allow, error_of, policy, served_iam
from tests.support.oidc_issuer import DISCOVERY, Issuer, critical, issuer, unsigned

ROLE = f"arn:aws:iam::{ACCOUNT}:role/pod"
ACTIONS = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
AUDIENCE = "sts.amazonaws.com"


class Play:
    """A world with an issuer, its provider and a role that trusts it."""

    def __init__(self, world: IamWorld, made: Issuer, clock: OffsetClock) -> None:
        self.world, self.issuer, self.clock = world, made, clock
        self.iam = world.client("iam")
        self.name = made.url.removeprefix("http://")
        self.provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.name}"
        self.iam.create_open_id_connect_provider(Url=made.url, ClientIDList=[AUDIENCE])
        self.trust({"StringEquals": {f"{self.name}:aud": AUDIENCE}})
        self.iam.put_role_policy(RoleName="pod", PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:List*"))))
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, parameter_validation=False)
        self.sts = boto3.client("sts", endpoint_url=world.endpoint, region_name="us-east-1", config=config)

    def trust(self, condition: dict[str, Any]) -> None:
        principal = {"Federated": self.provider}
        statement = {"Effect": "Allow", "Principal": principal, "Action": ACTIONS, "Condition": condition}
        document = json.dumps(policy(statement))
        try:
            self.iam.update_assume_role_policy(RoleName="pod", PolicyDocument=document)
        except self.iam.exceptions.NoSuchEntityException:
            self.iam.create_role(RoleName="pod", AssumeRolePolicyDocument=document)

    def assume(self, token: str, **more: Any) -> Any:
        arguments = {"RoleArn": ROLE, "RoleSessionName": "s1", "WebIdentityToken": token, **more}
        return self.sts.assume_role_with_web_identity(**arguments)

    def refused(self, token: str, **more: Any) -> tuple[str, int, str]:
        return error_of(self.assume, token=token, **more)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    clock = OffsetClock()
    with served_iam(tmp_path, clock) as world, issuer() as made:
        yield Play(world, made, clock)


def test_a_token_becomes_a_session(play: Play) -> None:
    made = play.assume(play.issuer.token())
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/pod/s1"
    assert (made["SubjectFromWebIdentityToken"], made["Audience"]) == ("repo:team/app", AUDIENCE)
    assert made["Provider"] == play.provider
    assert play.world.session(made["Credentials"], "iam").list_users()["Users"]
    assert play.assume(play.issuer.token(), Policy=json.dumps(policy(allow("iam:ListRoles"))))["PackedPolicySize"] > 0
    assert play.assume(play.issuer.token(aud=["x", AUDIENCE]))["Audience"] == AUDIENCE
    assert play.assume(play.issuer.token(aud="backend", azp=AUDIENCE))["Audience"] == AUDIENCE
    assert len(play.issuer.asked) == 2
    play.issuer.new_key("k2", ECKey)
    play.clock.seconds += 11
    assert play.assume(play.issuer.token("ES256"))["Credentials"]
    assert "MaxSessionDuration" in play.refused(play.issuer.token("ES256"), DurationSeconds=3601)[2]


def test_conditions_tags_and_source_identity(play: Play) -> None:
    condition = {
        "StringLike": {f"{play.name}:sub": "repo:team/*", "aws:RequestTag/team": "*"},
        "ForAnyValue:StringEquals": {f"{play.name}:amr": "authenticated"},
    }
    play.trust(condition)
    same = {"StringEquals": {"aws:PrincipalTag/team": "data", "aws:FederatedProvider": play.provider}}
    document = json.dumps(policy(allow("iam:ListUsers", Condition=same)))
    play.iam.put_role_policy(RoleName="pod", PolicyName="p", PolicyDocument=document)
    tags = {"principal_tags": {"team": ["data"]}, "transitive_tag_keys": ["team"]}
    claims: dict[str, Any] = {"amr": ["authenticated"], "https://aws.amazon.com/tags": tags}
    source = "https://aws.amazon.com/source_identity"
    made = play.assume(play.issuer.token(**claims | {source: "ann"}))
    assert made["SourceIdentity"] == "ann"
    assert play.world.session(made["Credentials"], "iam").list_users()["Users"]
    assert play.refused(play.issuer.token(**(claims | {"sub": "repo:other/app"}))) == (
        "AccessDenied",
        403,
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    )
    assert play.refused(play.issuer.token(amr=["unauthenticated"]))[0] == "AccessDenied"
    odd = play.issuer.token(**claims | {source: "not good!"})
    assert play.refused(odd)[:2] == ("IDPRejectedClaim", 403)


def test_tokens_that_are_not_good(play: Play) -> None:
    now = int(time.time())
    other = Issuer(play.issuer.url)
    other.new_key("k1")
    secret = play.issuer.token()
    claims = {"iss": play.issuer.url, "sub": "s", "aud": AUDIENCE, "exp": now + 300}
    two: Any = {"https://aws.amazon.com/tags": {"principal_tags": {"a": ["1", "2"]}}}
    tampered = secret.split(".")
    tampered[1] = unsigned(claims).split(".")[1]
    for token, code, words in (
        ("only.two", "InvalidIdentityToken", "not a valid JWT"),
        ("a.b.c", "InvalidIdentityToken", "not a valid JWT"),
        ("x" * 50, "InvalidIdentityToken", "not a valid JWT"),
        (unsigned(claims), "InvalidIdentityToken", "algorithm"),
        (".".join(tampered), "InvalidIdentityToken", "signature"),
        (other.token(), "InvalidIdentityToken", "signature"),
        (play.issuer.token(aud="elsewhere"), "InvalidIdentityToken", "Incorrect token audience"),
        (play.issuer.token(aud=AUDIENCE, azp="elsewhere"), "InvalidIdentityToken", "Incorrect token audience"),
        (play.issuer.token(iss="https://evil.example.com"), "InvalidIdentityToken", "No OpenIDConnect provider found"),
        (play.issuer.token(exp=now - 1), "ExpiredTokenException", "Token expired: current date/time"),
        (play.issuer.token(exp=None), "InvalidIdentityToken", "expires"),
        (play.issuer.token(exp="soon"), "InvalidIdentityToken", "no time"),
        (play.issuer.token(nbf=now + 300), "InvalidIdentityToken", "not valid yet"),
        (play.issuer.token(iat=now + 300), "InvalidIdentityToken", "not valid yet"),
        (play.issuer.token(sub=None), "InvalidIdentityToken", "no subject"),
        (play.issuer.token(**two), "InvalidIdentityToken", "one value"),
        (critical(play.issuer), "InvalidIdentityToken", "signature"),
    ):
        found = play.refused(token)
        assert found[0] == code, (words, found)
        assert words in found[2], (words, found)
    assert play.refused(secret, ProviderId="www.amazon.com")[0] == "InvalidParameterValue"
    elsewhere = ROLE.replace(ACCOUNT, OTHER)
    assert "No OpenIDConnect provider found in your account" in play.refused(secret, RoleArn=elsewhere)[2]
    nobody = play.refused(secret, RoleArn=ROLE.replace("pod", "nobody"))
    assert nobody[2] == "Not authorized to perform sts:AssumeRoleWithWebIdentity"


def test_an_issuer_that_does_not_answer_well(play: Play) -> None:
    good = play.issuer.token()
    bad = "Couldn't retrieve verification key from your identity provider"
    for answer, code, words in (
        ((500, {}, b""), "IDPCommunicationError", "not able"),
        ((404, {}, b""), "InvalidIdentityToken", bad),
        ((302, {"Location": "http://127.0.0.1:1/x"}, b""), "InvalidIdentityToken", bad),
        ((200, {}, b"[" * 100_000), "InvalidIdentityToken", bad),
        ((200, {}, b" " * 300_000), "InvalidIdentityToken", bad),
        ((200, {}, json.dumps({"issuer": "https://evil.example.com"}).encode()), "InvalidIdentityToken", bad),
        ((200, {}, _discovery(play, "http://127.0.0.1:1/keys")), "InvalidIdentityToken", bad),
        ((200, {}, _discovery(play, "http://169.254.169.254/latest")), "InvalidIdentityToken", bad),
        ((200, {}, _discovery(play, "file:///etc/passwd")), "InvalidIdentityToken", bad),
    ):
        play.issuer.answers[DISCOVERY] = answer
        found = play.refused(good)
        assert found[0] == code, (answer, found)
        assert words in found[2]
        asked = len(play.issuer.asked)
        # It is not asked again at once.
        assert play.refused(good)[0] == "IDPCommunicationError"
        assert len(play.issuer.asked) == asked
        play.clock.seconds += 11
    play.issuer.answers.clear()
    assert play.assume(good)["Credentials"]
    asked = len(play.issuer.asked)
    for _ in range(3):
        assert play.refused(play.issuer.token(header={"kid": "unknown"}))[0] == "InvalidIdentityToken"
    assert len(play.issuer.asked) == asked
    play.clock.seconds += 3601
    play.issuer.hold = None
    play.refused(good)
    assert len(play.issuer.asked) == asked + 2


def _discovery(play: Play, address: str) -> bytes:
    return json.dumps({"issuer": play.issuer.url, "jwks_uri": address}).encode()


def test_life_of_a_provider(play: Play) -> None:
    iam = play.iam
    tags = [{"Key": "team", "Value": "data"}]
    print_ = "A" * 40
    made = iam.create_open_id_connect_provider(
        Url="https://oidc.example.com/id/1", ClientIDList=["one", "one", "two"], ThumbprintList=[print_], Tags=tags
    )
    arn = made["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com/id/1"
    again = error_of(iam.create_open_id_connect_provider, Url="https://oidc.example.com/id/1")
    assert again[:2] == ("EntityAlreadyExists", 409)
    for url in (
        "http://oidc.example.com",
        "ftp://x",
        "oidc.example.com",
        "https://a@b.example.com",
        "https://x/?q=1",
        "https://",
    ):
        assert error_of(iam.create_open_id_connect_provider, Url=url)[0] == "InvalidInput", url
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="three")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="one")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["b" * 40])
    assert (
        error_of(
            iam.update_open_id_connect_provider_thumbprint, OpenIDConnectProviderArn=arn, ThumbprintList=["z" * 40]
        )[0]
        == "InvalidInput"
    )
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["Url"], found["ClientIDList"]) == ("oidc.example.com/id/1", ["two", "three"])
    assert (found["ThumbprintList"], found["Tags"]) == (["b" * 40], tags)
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "x", "Value": "y"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["team"])
    listed = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"]
    assert listed == [{"Key": "x", "Value": "y"}]
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert error_of(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)[:2] == ("NoSuchEntity", 404)
    token = play.issuer.token()
    assert play.assume(token)["Credentials"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=play.provider)
    assert "No OpenIDConnect provider found" in play.refused(token)[2]


def test_an_issuer_that_hangs_holds_nobody_up(play: Play) -> None:
    """No transaction is open while it is waited for, and it is waited for five seconds."""
    play.issuer.hold = threading.Event()
    try:
        # On a loaded machine a user may take as long; one who waits for the end of a transaction always would.
        assert any(_is_made_meanwhile(play, f"meanwhile-{number}") for number in range(5))
    finally:
        play.issuer.hold.set()


def _is_made_meanwhile(play: Play, name: str) -> bool:
    """Whether a user was made while the issuer was waited for."""
    token, found = play.issuer.token(), list[tuple[str, int, str]]()
    play.issuer.was_asked.clear()
    waiting = threading.Thread(target=lambda: found.append(play.refused(token)))
    waiting.start()
    assert play.issuer.was_asked.wait(60)
    play.iam.create_user(UserName=name)
    is_made = waiting.is_alive()
    waiting.join(60)
    assert found[0][0] == "IDPCommunicationError"
    play.clock.seconds += 11  # then it is asked again
    return is_made


def test_claims_that_are_too_large(play: Play) -> None:
    token = play.issuer.token(amr=["x" * 100] * 90)
    assert play.refused(token)[2] == "The claims of the identity provider are too large for a session."
    assert play.refused(play.issuer.token(), RoleSessionName="añn")[0] == "ValidationError"
