"""AssumeRoleWithSAML with an identity provider of other people: samlp, by Auth0."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from emr_studio.clock import SystemClock
from tests.support.iam_api import ACCOUNT, error_of, policy, served_iam
from tests.support.saml_idp import Idp

PEER = Path(__file__).parents[1] / "peers" / "saml"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/samlp"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/fed"


@dataclass
class Peer:
    url: str
    private_key: str

    def get(self, path: str) -> str:
        return httpx.get(self.url + path, timeout=60).text


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    node = shutil.which("node")
    if node is None or not (PEER / "node_modules").exists():
        pytest.skip("samlp is not installed: deploy/install.sh browser")
    folder, owner = tmp_path_factory.mktemp("samlp"), Idp()
    pem = owner.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    (folder / "cert.pem").write_bytes(owner.certificate.public_bytes(Encoding.PEM))
    command = [node, "idp.cjs", str(folder / "key.pem"), str(folder / "cert.pem"), f"{ROLE},{PROVIDER}"]
    with subprocess.Popen(command, cwd=PEER, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1]
        yield Peer(f"http://127.0.0.1:{port}", pem.decode())
        process.kill()


@pytest.fixture
def sts(tmp_path: Path, peer: Peer) -> Iterator[tuple[Any, Any]]:
    """An STS client of nobody, and an administrator's of IAM, in a world that trusts samlp."""
    with served_iam(tmp_path, SystemClock()) as world:
        iam = world.client("iam")
        iam.create_saml_provider(Name="samlp", SAMLMetadataDocument=peer.get("/metadata"))
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
            "Condition": {"StringEquals": {"aws:RequestTag/team": "data", "saml:sub_type": "persistent"}},
        }
        iam.create_role(RoleName="fed", AssumeRolePolicyDocument=json.dumps(policy(statement)))
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
        yield boto3.client("sts", endpoint_url=world.endpoint, region_name="us-east-1", config=config), iam


def arguments(assertion: str) -> dict[str, str]:
    return {"RoleArn": ROLE, "PrincipalArn": PROVIDER, "SAMLAssertion": assertion}


@pytest.mark.parametrize("sign", ["assertion", "response"])
def test_its_responses_are_taken(peer: Peer, sts: tuple[Any, Any], sign: str) -> None:
    made = sts[0].assume_role_with_saml(**arguments(peer.get(f"/sso?sign={sign}")))
    assert made["AssumedRoleUser"]["Arn"].endswith(":assumed-role/fed/ann@example.com")
    assert made["Issuer"] == "urn:idp.example.com"
    weak = error_of(sts[0].assume_role_with_saml, **arguments(peer.get(f"/sso?sign={sign}&digest=sha1")))
    assert weak == ("InvalidIdentityToken", 400, "Response signature invalid")


def test_its_encrypted_assertions(peer: Peer, sts: tuple[Any, Any]) -> None:
    client, iam = sts
    secret = peer.get("/sso?sign=assertion&encrypt=gcm")
    assert "no private key" in error_of(client.assume_role_with_saml, **arguments(secret))[2]
    iam.update_saml_provider(
        SAMLProviderArn=PROVIDER,
        AddPrivateKey=Idp().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )
    assert "could not be decrypted" in error_of(client.assume_role_with_saml, **arguments(secret))[2]
    iam.update_saml_provider(
        SAMLProviderArn=PROVIDER, AddPrivateKey=peer.private_key, AssertionEncryptionMode="Required"
    )
    assert client.assume_role_with_saml(**arguments(secret))["Subject"] == "ann@example.com"
    for good in ("response&encrypt=gcm", "response&encrypt=cbc"):
        assert client.assume_role_with_saml(**arguments(peer.get(f"/sso?sign={good}")))["Credentials"]
    plain = error_of(client.assume_role_with_saml, **arguments(peer.get("/sso?sign=response")))
    assert plain[2] == "The provider requires encrypted assertions."
    # Nothing says who wrote what AES-CBC hides, unless the response is signed.
    loose = error_of(client.assume_role_with_saml, **arguments(peer.get("/sso?sign=assertion&encrypt=cbc")))
    assert "not supported here" in loose[2]
    found = iam.get_saml_provider(SAMLProviderArn=PROVIDER)
    assert (found["AssertionEncryptionMode"], len(found["PrivateKeyList"])) == ("Required", 2)
    assert peer.private_key not in str(found)
    iam.update_saml_provider(SAMLProviderArn=PROVIDER, RemovePrivateKey=found["PrivateKeyList"][0]["KeyId"])
    assert len(iam.get_saml_provider(SAMLProviderArn=PROVIDER)["PrivateKeyList"]) == 1
