"""SAML providers and AssumeRoleWithSAML, with a provider that signs as real ones do."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from emr_studio.clock import SystemClock
from emr_studio.iam.operations.sts.saml import name_qualifier
from tests.support.iam_api import ACCOUNT, IamWorld, OffsetClock, allow, error_of, policy, served_iam
from tests.support.saml_idp import SIGN_IN, Idp, Says

PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/Corp"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
ACTIONS = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"]


class Play:
    """A world with a provider and a role that trusts it."""

    def __init__(self, world: IamWorld, idp: Idp) -> None:
        self.world, self.idp = world, idp
        self.iam = world.client("iam")
        self.iam.create_saml_provider(Name="Corp", SAMLMetadataDocument=idp.metadata())
        self.role("fed", {"StringEquals": {"SAML:aud": SIGN_IN}})
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
        self.sts = boto3.client("sts", endpoint_url=world.endpoint, region_name="us-east-1", config=config)

    def role(self, name: str, condition: dict[str, Any]) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": ACTIONS,
            "Condition": condition,
        }
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy(statement)))
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:List*"))))

    def says(self, role: str = "fed", **more: str | list[str]) -> Says:
        pair = f"{ROLE}/{role},{PROVIDER}"
        return self.idp.says(self.world.clock.now(), **{"Role": pair, "RoleSessionName": "ann", **more})

    def arguments(self, assertion: str, role: str = "fed", **more: Any) -> dict[str, Any]:
        return {"RoleArn": f"{ROLE}/{role}", "PrincipalArn": PROVIDER, "SAMLAssertion": assertion, **more}

    def assume(self, says: Says, sign: str = "assertion", role: str = "fed", **more: Any) -> Any:
        return self.sts.assume_role_with_saml(**self.arguments(self.idp.encoded(says, sign), role, **more))

    def refused(self, says: Says, sign: str = "assertion", role: str = "fed", **more: Any) -> tuple[str, int, str]:
        return self.refused_text(self.idp.encoded(says, sign), role, **more)

    def refused_text(self, assertion: str, role: str = "fed", **more: Any) -> tuple[str, int, str]:
        return error_of(self.sts.assume_role_with_saml, **self.arguments(assertion, role, **more))


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    with served_iam(tmp_path_factory.mktemp("saml"), SystemClock()) as world:
        yield Play(world, Idp())


@pytest.mark.parametrize("sign", ["assertion", "response", "both"])
def test_a_signed_assertion_becomes_a_session(play: Play, sign: str) -> None:
    made = play.assume(play.says(), sign)
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/fed/ann"
    assert (made["Subject"], made["SubjectType"]) == ("ann@example.com", "persistent")
    assert (made["Issuer"], made["Audience"]) == (play.idp.entity_id, SIGN_IN)
    assert made["NameQualifier"] == name_qualifier(play.idp.entity_id, ACCOUNT, "Corp")
    assert play.world.session(made["Credentials"], "iam").list_users()["Users"]


def test_the_pair_of_role_and_provider_in_either_order(play: Play) -> None:
    turned = [f"{PROVIDER}, {ROLE}/other", f"{PROVIDER}, {ROLE}/fed"]
    assert play.assume(play.says(Role=turned))["Credentials"]
    assert play.refused(play.says(Role=f"{ROLE}/other,{PROVIDER}")) == (
        "AccessDenied",
        403,
        "Not authorized to perform sts:AssumeRoleWithSAML",
    )
    nobody = play.says(Role=f"{ROLE}/nobody,{PROVIDER}")
    assert play.refused(nobody, role="nobody")[2] == "Not authorized to perform sts:AssumeRoleWithSAML"


def test_keys_of_the_person_in_trust_policy_and_session(play: Play) -> None:
    play.role(
        "picky",
        {
            "StringEquals": {
                "saml:iss": play.idp.entity_id,
                "saml:sub": "ann@example.com",
                "saml:sub_type": "persistent",
                "saml:doc": f"{ACCOUNT}/Corp",
                "saml:mail": "ann@example.com",
                "sts:RoleSessionName": "ann",
            },
            "ForAnyValue:StringEquals": {"saml:edupersonaffiliation": "staff"},
        },
    )
    keep = {"StringEquals": {"aws:FederatedProvider": PROVIDER, "saml:sub": "ann@example.com"}}
    document = json.dumps(policy(allow("iam:ListUsers", Condition=keep)))
    play.iam.put_role_policy(RoleName="picky", PolicyName="p", PolicyDocument=document)
    says = play.says("picky")
    assert play.refused(says, role="picky")[0] == "AccessDenied"
    says.attributes["urn:oid:0.9.2342.19200300.100.1.3"] = ["ann@example.com"]
    says.attributes["urn:oid:1.3.6.1.4.1.5923.1.1.1.1"] = ["member", "staff"]
    made = play.assume(says, role="picky")
    assert play.world.session(made["Credentials"], "iam").list_users()["Users"]
    says.subject = "bob@example.com"
    assert play.refused(says, role="picky")[0] == "AccessDenied"


def test_tags_source_identity_and_durations(play: Play) -> None:
    play.role("tagged", {"StringEquals": {"aws:RequestTag/team": "data"}})
    document = json.dumps(policy(allow("iam:ListUsers", Condition={"StringEquals": {"aws:PrincipalTag/team": "data"}})))
    play.iam.put_role_policy(RoleName="tagged", PolicyName="p", PolicyDocument=document)
    asked: dict[str, Any] = {"PrincipalTag:team": "data", "TransitiveTagKeys": ["team"], "SourceIdentity": "ann"}
    made = play.assume(play.says("tagged", **asked), role="tagged")
    assert made["SourceIdentity"] == "ann"
    assert made["PackedPolicySize"] > 0
    assert play.world.session(made["Credentials"], "iam").list_users()["Users"]
    wrong = play.says("tagged", **{**asked, "PrincipalTag:team": "ops"})
    assert play.refused(wrong, role="tagged")[0] == "AccessDenied"
    two = play.says("tagged", **{**asked, "PrincipalTag:team": ["data", "ops"]})
    assert play.refused(two, role="tagged")[0] == "InvalidIdentityToken"
    assert "MaxSessionDuration" in play.refused(play.says(), DurationSeconds=3601)[2]
    says = play.says()
    says.session_ends = says.now + dt.timedelta(minutes=20)
    ends = play.assume(says, DurationSeconds=3600)["Credentials"]["Expiration"]
    assert (ends - says.now).total_seconds() <= 1200


def test_session_policies(play: Play) -> None:
    made = play.assume(play.says(), Policy=json.dumps(policy(allow("iam:ListRoles"))))
    session = play.world.session(made["Credentials"], "iam")
    assert session.list_roles()["Roles"]
    assert error_of(session.list_users)[2].endswith("because no session policy allows the iam:ListUsers action")


def test_an_assertion_is_redeemed_once(play: Play) -> None:
    text = play.idp.encoded(play.says())
    # A refused attempt does not use it up.
    assert "MaxSessionDuration" in play.refused_text(text, DurationSeconds=7200)[2]
    assert play.sts.assume_role_with_saml(**play.arguments(text))["Credentials"]
    assert play.refused_text(text) == ("InvalidIdentityToken", 400, "The assertion was redeemed before.")


def test_an_assertion_is_redeemed_once_however_many_try(play: Play) -> None:
    arguments = play.arguments(play.idp.encoded(play.says()))

    def attempt(_number: int) -> str:
        try:
            return str(play.sts.assume_role_with_saml(**arguments)["Subject"])
        except ClientError as error:
            return str(error.response["Error"]["Message"])

    with ThreadPoolExecutor(6) as threads:
        found = sorted(threads.map(attempt, range(6)))
    assert found == [*["The assertion was redeemed before."] * 5, "ann@example.com"]


def test_times_audiences_and_names(play: Play) -> None:
    minute = dt.timedelta(minutes=1)
    for change, code, words in (
        ({"audience": "https://elsewhere.example.com"}, "InvalidIdentityToken", "another audience"),
        ({"recipient": "https://elsewhere.example.com"}, "InvalidIdentityToken", "recipient"),
        ({"destination": "https://elsewhere.example.com"}, "InvalidIdentityToken", "destination"),
        ({"issuer": "https://evil.example.com"}, "InvalidIdentityToken", "Issuer not present in specified provider"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:Requester"}, "InvalidIdentityToken", "succeeded"),
        ({"issued": -6 * minute}, "ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance"),
        ({"issued": 3 * minute}, "InvalidIdentityToken", "in the future"),
        ({"ends": -2 * minute}, "ExpiredTokenException", "expired"),
        ({"not_before": 3 * minute}, "InvalidIdentityToken", "not valid yet"),
        ({"session_ends": -minute}, "ExpiredTokenException", "has ended"),
    ):
        says = play.says()
        for name, value in change.items():
            setattr(says, name, says.now + value if isinstance(value, dt.timedelta) else value)
        found = play.refused(says)
        assert found[0] == code, (change, found)
        assert words in found[2], (change, found)
    for names in (["a"], ["has space"], ["x" * 65], ["ann", "bob"]):
        assert play.refused(play.says(RoleSessionName=names))[0] == "InvalidIdentityToken"
    for text in ("!!!!", "aGVsbG8=", "PGEvPg=="):
        assert play.refused_text(text)[0] == "InvalidIdentityToken"
    own = play.says()
    own.audience = "urn:amazon:webservices"
    assert play.assume(own)["Credentials"]


def test_life_of_a_provider(play: Play) -> None:
    iam = play.iam
    other = Idp("https://other.example.com")
    tags = [{"Key": "team", "Value": "data"}]
    until = other.metadata(' validUntil="2031-01-01T00:00:00Z"')
    arn = iam.create_saml_provider(Name="Other", SAMLMetadataDocument=until, Tags=tags)["SAMLProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:saml-provider/Other"
    found = iam.get_saml_provider(SAMLProviderArn=arn)
    assert (found["SAMLMetadataDocument"], found["Tags"], found["ValidUntil"].year) == (until, tags, 2031)
    assert error_of(iam.create_saml_provider, Name="Other", SAMLMetadataDocument=until)[0] == "EntityAlreadyExists"
    for bad in ("<a/>" + " " * 1000, "x" * 1000, other.metadata().replace("IDPSSODescriptor", "SPSSODescriptor")):
        assert error_of(iam.update_saml_provider, SAMLProviderArn=arn, SAMLMetadataDocument=bad) == (
            "InvalidInput",
            400,
            "Could not parse metadata",
        )
    iam.tag_saml_provider(SAMLProviderArn=arn, Tags=[{"Key": "x", "Value": "y"}])
    iam.untag_saml_provider(SAMLProviderArn=arn, TagKeys=["team"])
    assert iam.list_saml_provider_tags(SAMLProviderArn=arn)["Tags"] == [{"Key": "x", "Value": "y"}]
    assert arn in [provider["Arn"] for provider in iam.list_saml_providers()["SAMLProviderList"]]
    iam.delete_saml_provider(SAMLProviderArn=arn)
    assert error_of(iam.get_saml_provider, SAMLProviderArn=arn)[:2] == ("NoSuchEntity", 404)


def test_a_rolled_over_key_and_a_provider_that_is_gone(tmp_path: Path) -> None:
    with served_iam(tmp_path, OffsetClock()) as world:
        play = Play(world, Idp())
        old, newer = play.idp, Idp(count=100)
        made = play.assume(play.says())
        play.iam.update_saml_provider(SAMLProviderArn=PROVIDER, SAMLMetadataDocument=newer.metadata())
        assert play.refused_text(old.encoded(play.says()))[2] == "Response signature invalid"
        play.idp = newer
        assert play.assume(play.says())["Credentials"]
        play.iam.delete_saml_provider(SAMLProviderArn=PROVIDER)
        assert play.refused(play.says())[2] == "Specified provider doesn't exist"
        # As with AWS, who is in stays in until her session ends or her role is gone.
        assert world.session(made["Credentials"], "iam").list_users()["Users"]


def test_federated_principals_are_providers_or_domains(play: Play) -> None:
    for name in (f"arn:aws:iam::{ACCOUNT}:user/ann", "nonsense", f"arn:aws:iam::{ACCOUNT}:saml-provider/"):
        statement = {"Effect": "Allow", "Principal": {"Federated": name}, "Action": "sts:AssumeRoleWithSAML"}
        document = json.dumps(policy(statement))
        assert error_of(play.iam.create_role, RoleName="odd", AssumeRolePolicyDocument=document) == (
            "MalformedPolicyDocument",
            400,
            "Federated principals must be valid domain names or SAML metadata ARNs",
        )
