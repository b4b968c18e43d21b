"""Security configurations and block public access: what they may say, and what it means for new clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio import ids
from emr_studio.aws.errors import AccessDenied, InvalidRequest
from emr_studio.clusters.security.documents import read_document, unhonoured
from emr_studio.clusters.security.model import is_permitted
from emr_studio.network.model import SecurityGroupRule
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import ACCOUNT, OTHER_ACCOUNT, emr_world, statement

RUNTIME_ROLES = {
    "AuthorizationConfiguration": {
        "IAMConfiguration": {
            "EnableApplicationScopedIAMRole": True,
            "ApplicationScopedIAMRoleConfiguration": {"PropagateSourceIdentity": True},
        }
    }
}
METADATA = {
    "InstanceMetadataServiceConfiguration": {
        "MinimumInstanceMetadataServiceVersion": 2,
        "HttpPutResponseHopLimit": 1,
    }
}
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
PEM = {"TLSCertificateConfiguration": {"CertificateProviderType": "PEM", "S3Object": "s3://b/certs.zip"}}
IN_TRANSIT = {"EnableInTransitEncryption": True, "InTransitEncryptionConfiguration": PEM}
S3 = {"S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS", "AwsKmsKey": KEY}}
DISK = {"LocalDiskEncryptionConfiguration": {"EncryptionKeyProviderType": "AwsKms", "AwsKmsKey": KEY}}
KDC = {"Provider": "ClusterDedicatedKdc", "ClusterDedicatedKdcConfiguration": {"TicketLifetimeInHours": 24}}
EXTERNAL_KDC = {
    "Provider": "ExternalKdc",
    "ExternalKdcConfiguration": {"KdcServerType": "Single", "AdminServer": "k:749", "KdcServer": "k:88"},
}
MAPPING = {"Role": "arn:aws:iam::1:role/r", "IdentifierType": "User", "Identifiers": ["ann"]}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def create(play: ClusterPlay, document: Any, name: str = "sc") -> dict[str, Any]:
    text = document if isinstance(document, str) else json.dumps(document)
    return play.emr.call("CreateSecurityConfiguration", Name=name, SecurityConfiguration=text)


def encryption(**members: Any) -> dict[str, Any]:
    return {"EncryptionConfiguration": {"EnableInTransitEncryption": False, **members}}


def at_rest(part: Any) -> dict[str, Any]:
    return encryption(EnableAtRestEncryption=True, AtRestEncryptionConfiguration=part)


def authentication(kerberos: Any) -> dict[str, Any]:
    return {"AuthenticationConfiguration": {"KerberosConfiguration": kerberos}}


def authorization(**members: Any) -> dict[str, Any]:
    return {"AuthorizationConfiguration": members}


# Security configurations.


def test_from_creation_to_deletion(play: ClusterPlay) -> None:
    text = json.dumps(RUNTIME_ROLES, indent=3)
    made = create(play, text)
    assert made == {"Name": "sc", "CreationDateTime": play.emr.clock.now()}
    found = play.emr.call("DescribeSecurityConfiguration", Name="sc")
    assert found == made | {"SecurityConfiguration": text}
    assert play.emr.call("ListSecurityConfigurations") == {"SecurityConfigurations": [made]}
    play.emr.call("DeleteSecurityConfiguration", Name="sc")
    gone = ("InvalidRequestException", "Security configuration with name 'sc' does not exist.")
    assert play.refused("DescribeSecurityConfiguration", Name="sc") == gone
    assert play.refused("DeleteSecurityConfiguration", Name="sc") == gone


def test_names_are_unique_in_an_account(play: ClusterPlay) -> None:
    create(play, METADATA)
    taken = ("InvalidRequestException", "Security configuration with name 'sc' already exists.")
    text = json.dumps(RUNTIME_ROLES)
    assert play.refused("CreateSecurityConfiguration", Name="sc", SecurityConfiguration=text) == taken
    assert json.loads(play.emr.call("DescribeSecurityConfiguration", Name="sc")["SecurityConfiguration"]) == METADATA
    other = play.emr.user("eve", account_id=OTHER_ACCOUNT)
    play.emr.call("CreateSecurityConfiguration", other, Name="sc", SecurityConfiguration=text)
    play.emr.call("DeleteSecurityConfiguration", other, Name="sc")
    assert play.emr.call("DescribeSecurityConfiguration", Name="sc")
    for name in ("", "n" * 257):
        assert "1 to 256" in play.refused("CreateSecurityConfiguration", Name=name, SecurityConfiguration=text)[1]


def test_pages(play: ClusterPlay) -> None:
    for number in range(51):
        create(play, METADATA, f"n{number:02}")
    first = play.emr.call("ListSecurityConfigurations")
    second = play.emr.call("ListSecurityConfigurations", Marker=first["Marker"])
    names = [one["Name"] for page in (first, second) for one in page["SecurityConfigurations"]]
    assert (names, "Marker" in second) == ([f"n{number:02}" for number in range(51)], False)
    assert play.refused("ListSecurityConfigurations", Marker="x")[0] == "InvalidRequestException"


@pytest.mark.parametrize(
    ("document", "part"),
    [
        (RUNTIME_ROLES | METADATA, None),
        (encryption(EnableAtRestEncryption=False), None),
        (encryption(EnableAtRestEncryption=False, AtRestEncryptionConfiguration=S3), None),
        (encryption(EnableAtRestEncryption=False) | {"EncryptionConfiguration": IN_TRANSIT}, "InTransitEncryption"),
        (at_rest(DISK), "LocalDiskEncryptionConfiguration"),
        (at_rest(S3), "S3EncryptionConfiguration"),
        (at_rest(S3 | DISK), "LocalDiskEncryptionConfiguration"),
        (authentication(KDC), "AuthenticationConfiguration.KerberosConfiguration"),
        (authentication(EXTERNAL_KDC), "AuthenticationConfiguration.KerberosConfiguration"),
        (authorization(EmrFsConfiguration={"RoleMappings": [MAPPING]}), "EmrFsConfiguration"),
        (authorization(LakeFormationConfiguration={"AuthorizedSessionTagValue": "Amazon EMR"}), "LakeFormation"),
        (authorization(RangerConfiguration={}), "RangerConfiguration"),
        (
            {"AuthenticationConfiguration": {"IdentityCenterConfiguration": {"EnableIdentityCenter": True}}},
            "IdentityCenterConfiguration",
        ),
    ],
)
def test_documents_that_are_valid(play: ClusterPlay, document: Any, part: str | None) -> None:
    """They are kept; a cluster can have those that this installation honours, others are refused by their part."""
    create(play, document)
    path = unhonoured(read_document(json.dumps(document)))
    if part is None:
        assert path is None
        assert play.describe(play.create(SecurityConfiguration="sc"))["SecurityConfiguration"] == "sc"
        return
    assert path is not None
    assert part in path
    refused = play.refused("RunJobFlow", **play.request(SecurityConfiguration="sc"))
    assert refused == (
        "ValidationException",
        f"SecurityConfiguration 'sc': {path} is not supported by this installation.",
    )


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "The security configuration"),
        ("[]", "Expected `object`"),
        ("{}", "it configures nothing"),
        ({"EncryptionConfigurations": {}}, "unknown field `EncryptionConfigurations`"),
        (encryption(EnableInTransitEncryption="yes"), "Expected `bool`, got `str`"),
        (encryption(EnableInTransitEncryption=True), "needs InTransitEncryptionConfiguration"),
        (encryption(EnableAtRestEncryption=True), "needs AtRestEncryptionConfiguration"),
        (at_rest({}), "needs S3EncryptionConfiguration or LocalDiskEncryptionConfiguration"),
        (at_rest({"S3EncryptionConfiguration": {"EncryptionMode": "AES"}}), "Invalid enum value 'AES'"),
        (at_rest({"S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS"}}), "SSE-KMS needs AwsKmsKey"),
        (at_rest({"S3EncryptionConfiguration": {"EncryptionMode": "CSE-Custom"}}), "CSE-Custom needs S3Object"),
        (at_rest({"LocalDiskEncryptionConfiguration": {"EncryptionKeyProviderType": "AwsKms"}}), "AwsKms needs"),
        (authentication({"Provider": "ExternalKdc"}), "needs ExternalKdcConfiguration"),
        (authentication({"Provider": "ClusterDedicatedKdc"}), "needs ClusterDedicatedKdcConfiguration"),
        (authorization(EmrFsConfiguration={"RoleMappings": []}), "length >= 1"),
        ({"InstanceMetadataServiceConfiguration": {}}, "MinimumInstanceMetadataServiceVersion"),
        (
            {"InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": 3}},
            "Invalid enum value 3",
        ),
    ],
)
def test_documents_that_are_not(document: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_document(document if isinstance(document, str) else json.dumps(document))
    assert says in caught.value.message


def test_a_cluster_keeps_what_its_configuration_said(play: ClusterPlay) -> None:
    create(play, RUNTIME_ROLES)
    cluster_id = play.create(SecurityConfiguration="sc")
    play.emr.call("DeleteSecurityConfiguration", Name="sc")
    assert play.row(cluster_id).security == RUNTIME_ROLES
    assert play.describe(cluster_id)["SecurityConfiguration"] == "sc"
    assert "SecurityConfiguration" not in play.describe(play.create())
    missing = play.refused("RunJobFlow", **play.request(SecurityConfiguration="sc"))
    assert (missing[0], "name 'sc' does not exist" in missing[1]) == ("ValidationException", True)


def test_who_may(play: ClusterPlay) -> None:
    create(play, METADATA)
    reader = play.emr.user("reader", statement("elasticmapreduce:DescribeSecurityConfiguration"))
    assert play.emr.call("DescribeSecurityConfiguration", reader, Name="sc")
    with pytest.raises(AccessDenied):
        play.emr.call("DeleteSecurityConfiguration", reader, Name="sc")
    with pytest.raises(AccessDenied):
        play.emr.call("PutBlockPublicAccessConfiguration", reader, BlockPublicAccessConfiguration={})


# Block public access.


def block(play: ClusterPlay, on: bool, *ranges: dict[str, int]) -> None:
    configuration = {"BlockPublicSecurityGroupRules": on, "PermittedPublicSecurityGroupRuleRanges": list(ranges)}
    play.emr.call("PutBlockPublicAccessConfiguration", BlockPublicAccessConfiguration=configuration)


def open_to(play: ClusterPlay, cidr: str, first: int, last: int, *, protocol: str = "tcp", egress: bool = False) -> str:
    """Let these addresses into the engine's security group; its id."""
    group_id = play.emr.network.engine_security_group_id
    rule = SecurityGroupRule(
        id=ids.ec2_id("sgr"),
        account_id=ACCOUNT,
        region="us-east-1",
        group_id=group_id,
        egress=egress,
        protocol=protocol,
        from_port=first,
        to_port=last,
        cidr=cidr,
    )
    with play.emr.database.write() as session:
        session.add(rule)
    return group_id


def test_the_default_and_what_is_put(play: ClusterPlay) -> None:
    found = play.emr.call("GetBlockPublicAccessConfiguration")
    assert found["BlockPublicAccessConfiguration"] == {
        "BlockPublicSecurityGroupRules": True,
        "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 22, "MaxRange": 22}],
    }
    assert found["BlockPublicAccessConfigurationMetadata"] == {
        "CreationDateTime": play.emr.clock.now(),
        "CreatedByArn": "arn:aws:iam::123456789012:root",
    }
    play.emr.clock.advance(60)
    block(play, True, {"MinRange": 80}, {"MinRange": 100, "MaxRange": 101})
    block(play, True, {"MinRange": 80}, {"MinRange": 100, "MaxRange": 101})
    found = play.emr.call("GetBlockPublicAccessConfiguration")
    ranges = found["BlockPublicAccessConfiguration"]["PermittedPublicSecurityGroupRuleRanges"]
    assert ranges == [{"MinRange": 80, "MaxRange": 80}, {"MinRange": 100, "MaxRange": 101}]
    assert found["BlockPublicAccessConfigurationMetadata"] == {
        "CreationDateTime": play.emr.clock.now(),
        "CreatedByArn": play.emr.admin.arn,
    }
    wrong = {
        "BlockPublicSecurityGroupRules": True,
        "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 9, "MaxRange": 8}],
    }
    refused = play.refused("PutBlockPublicAccessConfiguration", BlockPublicAccessConfiguration=wrong)
    assert (refused[0], "MinRange 9 is above MaxRange 8" in refused[1]) == ("InvalidRequestException", True)


@pytest.mark.parametrize("member", ["EmrManagedMasterSecurityGroup", "AdditionalSlaveSecurityGroups"])
def test_a_public_group_is_refused(play: ClusterPlay, member: str) -> None:
    group_id = open_to(play, "::/0", 8088, 8088)
    instances = {member: [group_id] if member.endswith("s") else group_id}
    code, message = play.refused("RunJobFlow", **play.request(Instances=instances))
    assert (code, group_id in message, "block public access" in message) == ("ValidationException", True, True)
    block(play, True, {"MinRange": 8000, "MaxRange": 9000})
    assert play.create(Instances=instances)
    block(play, True)
    assert play.refused("RunJobFlow", **play.request(Instances=instances))[0] == "ValidationException"
    block(play, False)
    assert play.create(Instances=instances)


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (("0.0.0.0/0", 22, 22), False),
        (("0.0.0.0/0", 22, 23), True),
        (("10.0.0.0/8", 8088, 8088), False),
    ],
)
def test_which_rules_are_public(play: ClusterPlay, rule: tuple[str, int, int], refused: bool) -> None:
    request = play.request(Instances={"ServiceAccessSecurityGroup": open_to(play, *rule)})
    if refused:
        assert play.refused("RunJobFlow", **request)[0] == "ValidationException"
    else:
        assert play.emr.call("RunJobFlow", **request)


def test_rules_out_and_rules_for_all_protocols(play: ClusterPlay) -> None:
    group_id = open_to(play, "0.0.0.0/0", 1, 65535, egress=True)
    request = play.request(Instances={"EmrManagedSlaveSecurityGroup": group_id})
    assert play.emr.call("RunJobFlow", **request)
    open_to(play, "0.0.0.0/0", 22, 22, protocol="-1")
    assert play.refused("RunJobFlow", **request)[0] == "ValidationException"


def test_ranges() -> None:
    assert is_permitted((80, 81), [{"MinRange": 22}, {"MinRange": 80, "MaxRange": 90}])
    assert not is_permitted((80, 81), [{"MinRange": 80, "MaxRange": 80}, {"MinRange": 81, "MaxRange": 81}])
