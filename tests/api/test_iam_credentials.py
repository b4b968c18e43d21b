"""Passwords and users' other credentials, server certificates: through stock boto3."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import NameOID

from emr_studio.clock import SystemClock
from tests.api.test_iam_api import error_of
from tests.support.iam_api import ACCOUNT, IamWorld, allow, policy, served_iam

_PEM = serialization.Encoding.PEM


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def iam(world: IamWorld) -> Any:
    return world.client("iam")


def certificate(name: str = "example.org") -> tuple[str, str]:
    """A self-signed certificate and its key, as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(_PEM).decode(), secret.decode()


def ssh_key(bits: int = 2048) -> str:
    return _openssh(rsa.generate_private_key(65537, bits).public_key())


def _openssh(key: Any) -> str:
    return str(key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode())


# The password policy


def test_password_policy(iam: Any) -> None:
    missing = ("NoSuchEntity", 404, f"The Password Policy with domain name {ACCOUNT} cannot be found.")
    assert error_of(iam.get_account_password_policy) == missing
    assert error_of(iam.delete_account_password_policy) == missing
    iam.update_account_password_policy(RequireSymbols=True, MaxPasswordAge=90, PasswordReusePrevention=2)
    assert iam.get_account_password_policy()["PasswordPolicy"] == {
        "MinimumPasswordLength": 6,
        "RequireSymbols": True,
        "RequireNumbers": False,
        "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": True,
        "MaxPasswordAge": 90,
        "PasswordReusePrevention": 2,
        "HardExpiry": False,
    }
    # There are no partial updates.
    iam.update_account_password_policy(MinimumPasswordLength=12)
    found = iam.get_account_password_policy()["PasswordPolicy"]
    assert (found["MinimumPasswordLength"], found["ExpirePasswords"], "MaxPasswordAge" in found) == (12, False, False)
    iam.delete_account_password_policy()
    assert error_of(iam.get_account_password_policy)[0] == "NoSuchEntity"


@pytest.mark.parametrize(
    ("asked", "weak", "message"),
    [
        ({"MinimumPasswordLength": 10}, "Aa1!Aa1!x", "Password should have a minimum length of 10"),
        ({"RequireUppercaseCharacters": True}, "aaaaaa1!", "Password should have at least one uppercase letter"),
        ({"RequireLowercaseCharacters": True}, "AAAAAA1!", "Password should have at least one lowercase letter"),
        ({"RequireNumbers": True}, "AAAAAAa!", "Password should have at least one number"),
        ({"RequireSymbols": True}, "AAAAAAa1", "Password should have at least one symbol"),
    ],
)
def test_a_policy_is_enforced(iam: Any, asked: dict[str, Any], weak: str, message: str) -> None:
    iam.update_account_password_policy(**asked)
    name = "weak" + next(iter(asked))
    iam.create_user(UserName=name)
    assert error_of(iam.create_login_profile, UserName=name, Password=weak) == ("PasswordPolicyViolation", 400, message)
    iam.create_login_profile(UserName=name, Password="Aa1!Aa1!Aa1!")
    assert error_of(iam.update_login_profile, UserName=name, Password=weak)[2] == message
    iam.delete_account_password_policy()


def test_reuse_and_who_may_change(world: IamWorld, iam: Any) -> None:
    iam.update_account_password_policy(PasswordReusePrevention=2, AllowUsersToChangePassword=True)
    anyone = world.client("iam", *world.new_user("anyone"))
    iam.create_login_profile(UserName="anyone", Password="first-one")
    anyone.change_password(OldPassword="first-one", NewPassword="second-one")
    assert error_of(anyone.change_password, OldPassword="second-one", NewPassword="first-one")[0] == (
        "PasswordPolicyViolation"
    )
    assert error_of(iam.update_login_profile, UserName="anyone", Password="second-one")[0] == "PasswordPolicyViolation"
    anyone.change_password(OldPassword="second-one", NewPassword="third-one")
    anyone.change_password(OldPassword="third-one", NewPassword="first-one")
    denied = {"Effect": "Deny", "Action": "iam:ChangePassword", "Resource": "*"}
    barred = world.client("iam", *world.new_user("barred", policy(denied)))
    iam.create_login_profile(UserName="barred", Password="first-one")
    assert error_of(barred.change_password, OldPassword="first-one", NewPassword="second-one")[0] == "AccessDenied"
    iam.delete_account_password_policy()
    code, _, message = error_of(anyone.change_password, OldPassword="first-one", NewPassword="Fourth-one-4")
    assert (code, "iam:ChangePassword" in message) == ("AccessDenied", True)
    assert error_of(anyone.change_password, OldPassword="wrong", NewPassword="Fourth-one-4")[0] == "AccessDenied"


# SSH public keys


def test_ssh_public_keys(iam: Any) -> None:
    iam.create_user(UserName="ssh")
    body = ssh_key()
    made = iam.upload_ssh_public_key(UserName="ssh", SSHPublicKeyBody=body)["SSHPublicKey"]
    assert made["SSHPublicKeyId"].startswith("APKA")
    assert (made["Status"], len(made["Fingerprint"])) == ("Active", 47)
    key = {"UserName": "ssh", "SSHPublicKeyId": made["SSHPublicKeyId"]}
    assert iam.get_ssh_public_key(**key, Encoding="SSH")["SSHPublicKey"]["SSHPublicKeyBody"] == body
    pem = iam.get_ssh_public_key(**key, Encoding="PEM")["SSHPublicKey"]["SSHPublicKeyBody"]
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert error_of(iam.upload_ssh_public_key, UserName="ssh", SSHPublicKeyBody=pem)[0] == "DuplicateSSHPublicKey"
    iam.update_ssh_public_key(**key, Status="Inactive")
    assert iam.list_ssh_public_keys(UserName="ssh")["SSHPublicKeys"][0]["Status"] == "Inactive"
    assert error_of(iam.delete_user, UserName="ssh")[2] == "Cannot delete entity, must delete SSH public keys first."
    for _ in range(4):
        iam.upload_ssh_public_key(UserName="ssh", SSHPublicKeyBody=ssh_key())
    assert error_of(iam.upload_ssh_public_key, UserName="ssh", SSHPublicKeyBody=ssh_key()) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for SSHPublicKeysPerUser: 5",
    )
    for one in iam.list_ssh_public_keys(UserName="ssh")["SSHPublicKeys"]:
        iam.delete_ssh_public_key(UserName="ssh", SSHPublicKeyId=one["SSHPublicKeyId"])
    iam.delete_user(UserName="ssh")
    assert error_of(iam.delete_ssh_public_key, **key)[0] == "NoSuchEntity"


def test_ssh_public_keys_that_are_none(iam: Any) -> None:
    iam.create_user(UserName="nossh")
    short = ssh_key(1024)
    other = _openssh(ed25519.Ed25519PrivateKey.generate().public_key())
    for body, code in (
        ("ssh-rsa AAAA", "UnrecognizedPublicKeyEncoding"),
        ("nothing", "UnrecognizedPublicKeyEncoding"),
        (short, "InvalidPublicKey"),
        (other, "InvalidPublicKey"),
    ):
        assert error_of(iam.upload_ssh_public_key, UserName="nossh", SSHPublicKeyBody=body)[:2] == (code, 400), body


# Signing certificates


def test_signing_certificates(world: IamWorld, iam: Any) -> None:
    iam.create_user(UserName="signer")
    body, _ = certificate()
    made = iam.upload_signing_certificate(UserName="signer", CertificateBody=body)["Certificate"]
    assert (len(made["CertificateId"]), made["CertificateBody"]) == (32, body)
    again = error_of(iam.upload_signing_certificate, UserName="signer", CertificateBody=body)
    assert again[:2] == ("DuplicateCertificate", 409)
    assert error_of(iam.upload_signing_certificate, UserName="signer", CertificateBody="none")[:2] == (
        "MalformedCertificate",
        400,
    )
    iam.upload_signing_certificate(UserName="signer", CertificateBody=certificate()[0])
    assert error_of(iam.upload_signing_certificate, UserName="signer", CertificateBody=certificate()[0])[2] == (
        "Cannot exceed quota for CertificatesPerUser: 2"
    )
    iam.update_signing_certificate(UserName="signer", CertificateId=made["CertificateId"], Status="Inactive")
    found = iam.list_signing_certificates(UserName="signer")["Certificates"]
    assert sorted(one["Status"] for one in found) == ["Active", "Inactive"]
    for one in found:
        iam.delete_signing_certificate(UserName="signer", CertificateId=one["CertificateId"])
    iam.delete_user(UserName="signer")


# Service-specific credentials


def test_service_specific_credentials(iam: Any) -> None:
    iam.create_user(UserName="git")
    service = {"UserName": "git", "ServiceName": "codecommit.amazonaws.com"}
    made = iam.create_service_specific_credential(**service)["ServiceSpecificCredential"]
    assert (made["ServiceUserName"], made["ServiceSpecificCredentialId"][:4]) == (f"git-at-{ACCOUNT}", "ACCA")
    second = iam.create_service_specific_credential(**service)["ServiceSpecificCredential"]
    assert second["ServiceUserName"] == f"git+1-at-{ACCOUNT}"
    assert error_of(iam.create_service_specific_credential, **service)[0] == "LimitExceeded"
    key = {"UserName": "git", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    reset = iam.reset_service_specific_credential(**key)["ServiceSpecificCredential"]
    assert reset["ServicePassword"] != made["ServicePassword"]
    iam.update_service_specific_credential(**key, Status="Inactive")
    found = iam.list_service_specific_credentials(UserName="git")["ServiceSpecificCredentials"]
    assert [one["Status"] for one in found] == ["Inactive", "Active"]
    assert "ServicePassword" not in found[0]
    assert len(iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]) == 2
    alias = {"UserName": "git", "ServiceName": "bedrock.amazonaws.com", "CredentialAgeDays": 10}
    key_of_age = iam.create_service_specific_credential(**alias)["ServiceSpecificCredential"]
    assert key_of_age["ServiceCredentialAlias"] == f"BedrockAPIKeygit-at-{ACCOUNT}"
    assert (key_of_age["ExpirationDate"] - key_of_age["CreateDate"]).days == 10
    unknown = {"UserName": "git", "ServiceName": "nothing.amazonaws.com"}
    assert error_of(iam.create_service_specific_credential, **unknown)[:2] == ("NotSupportedService", 404)
    for one in iam.list_service_specific_credentials(UserName="git")["ServiceSpecificCredentials"]:
        one_key = {"UserName": "git", "ServiceSpecificCredentialId": one["ServiceSpecificCredentialId"]}
        iam.delete_service_specific_credential(**one_key)
    iam.delete_user(UserName="git")
    assert error_of(iam.delete_service_specific_credential, **key)[0] == "NoSuchEntity"


# Server certificates


def test_server_certificates(iam: Any) -> None:
    body, key = certificate()
    chain, other_key = certificate("authority")
    upload = {"ServerCertificateName": "site", "CertificateBody": body, "PrivateKey": key}
    assert error_of(iam.upload_server_certificate, **{**upload, "PrivateKey": other_key})[:2] == (
        "KeyPairMismatch",
        400,
    )
    assert error_of(iam.upload_server_certificate, **{**upload, "CertificateBody": "x"})[0] == "MalformedCertificate"
    assert error_of(iam.upload_server_certificate, **{**upload, "PrivateKey": "x"})[0] == "MalformedCertificate"
    made = iam.upload_server_certificate(
        **upload, CertificateChain=chain, Path="/cloudfront/", Tags=[{"Key": "a", "Value": "b"}]
    )
    metadata = made["ServerCertificateMetadata"]
    assert metadata["Arn"] == f"arn:aws:iam::{ACCOUNT}:server-certificate/cloudfront/site"
    assert (metadata["ServerCertificateId"][:4], metadata["Expiration"].year) == ("ASCA", 2035)
    assert error_of(iam.upload_server_certificate, **{**upload, "ServerCertificateName": "SITE"})[0] == (
        "EntityAlreadyExists"
    )
    found = iam.get_server_certificate(ServerCertificateName="site")["ServerCertificate"]
    assert (found["CertificateBody"], found["CertificateChain"]) == (body.strip(), chain.strip())
    iam.tag_server_certificate(ServerCertificateName="site", Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_server_certificate(ServerCertificateName="site", TagKeys=["a"])
    assert iam.list_server_certificate_tags(ServerCertificateName="site")["Tags"] == [{"Key": "c", "Value": "d"}]
    iam.update_server_certificate(ServerCertificateName="site", NewServerCertificateName="moved", NewPath="/")
    assert iam.list_server_certificates(PathPrefix="/cloudfront/")["ServerCertificateMetadataList"] == []
    (listed,) = iam.list_server_certificates()["ServerCertificateMetadataList"]
    assert listed["ServerCertificateName"] == "moved"
    iam.delete_server_certificate(ServerCertificateName="moved")
    assert error_of(iam.get_server_certificate, ServerCertificateName="moved") == (
        "NoSuchEntity",
        404,
        "The Server Certificate with name moved cannot be found.",
    )


def test_credentials_of_another_user_are_out_of_reach(world: IamWorld, iam: Any) -> None:
    own = policy(allow("iam:*SSHPublicKey*", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"))
    client = world.client("iam", *world.new_user("owner", own))
    iam.create_user(UserName="stranger")
    theirs = iam.upload_ssh_public_key(UserName="stranger", SSHPublicKeyBody=ssh_key())["SSHPublicKey"]
    key = theirs["SSHPublicKeyId"]
    assert error_of(client.delete_ssh_public_key, UserName="stranger", SSHPublicKeyId=key)[0] == "AccessDenied"
    # Nor by naming oneself: the key is not his.
    assert error_of(client.delete_ssh_public_key, UserName="owner", SSHPublicKeyId=key)[0] == "NoSuchEntity"
    client.upload_ssh_public_key(UserName="owner", SSHPublicKeyBody=ssh_key())
    assert len(client.list_ssh_public_keys(UserName="owner")["SSHPublicKeys"]) == 1
