"""STS through what people have: the AWS CLI, and the profiles that boto3 itself resolves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import AssumeRoleProvider
from botocore.session import Session as BotocoreSession

from emr_studio.iam import authorization_message
from tests.api.test_sts_mfa import Phone, Play
from tests.support.iam_api import ACCOUNT, IamWorld, OffsetClock, allow, policy, served_iam
from tests.support.oidc_issuer import Issuer, issuer
from tests.support.saml_idp import Idp

ROLE = f"arn:aws:iam::{ACCOUNT}:role"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("clients"), OffsetClock()) as made:
        yield made


@pytest.fixture(scope="module")
def oidc() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


def make_role(world: IamWorld, name: str, principal: dict[str, str], action: str, condition: dict[str, Any]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    document = json.dumps(policy(statement | ({"Condition": condition} if condition else {})))
    world.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return f"{ROLE}/{name}"


def phone_of(world: IamWorld, user: str) -> Phone:
    """An enabled device of a user."""
    assert isinstance(world.clock, OffsetClock)
    phone = Play(world, world.clock).phone(user)
    codes = {"AuthenticationCode1": phone.code(-1), "AuthenticationCode2": phone.code()}
    world.client("iam").enable_mfa_device(UserName=user, SerialNumber=phone.serial, **codes)
    return phone


@pytest.fixture
def configure(tmp_path: Path, world: IamWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write `~/.aws`: the administrator's keys as `base`, and more profiles."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    admin = world.sample.admin
    folder = tmp_path / ".aws"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.endpoint)
    monkeypatch.setenv("AWS_PAGER", "")

    def write(profiles: str) -> None:
        keys = f"aws_access_key_id = {admin.access_key_id}\naws_secret_access_key = {admin.secret_access_key}\n"
        (folder / "config").write_text(f"[profile base]\nregion = us-east-1\n{keys}\n{profiles}")

    return write


def identity(profile: str, session: BotocoreSession | None = None) -> str:
    made = boto3.Session(profile_name=profile, botocore_session=session)
    return str(made.client("sts").get_caller_identity()["Arn"])


def test_a_profile_that_assumes_a_role_with_an_external_id(world: IamWorld, configure: Callable[[str], None]) -> None:
    role = make_role(world, "partner", {"AWS": ACCOUNT}, "sts:AssumeRole", {"StringEquals": {"sts:ExternalId": "x-1"}})
    last = make_role(world, "last", {"AWS": role}, "sts:AssumeRole", {})
    configure(
        f"[profile partner]\nregion = us-east-1\nsource_profile = base\nrole_arn = {role}\nexternal_id = x-1\n"
        "role_session_name = ann\nduration_seconds = 900\n"
        f"[profile last]\nregion = us-east-1\nsource_profile = partner\nrole_arn = {last}\n"
        "role_session_name = chained\n"
    )
    assert identity("partner") == f"arn:aws:sts::{ACCOUNT}:assumed-role/partner/ann"
    assert identity("last") == f"arn:aws:sts::{ACCOUNT}:assumed-role/last/chained"


def test_a_profile_that_shows_a_code(world: IamWorld, configure: Callable[[str], None]) -> None:
    phone = phone_of(world, "admin")
    role = make_role(
        world, "careful", {"AWS": ACCOUNT}, "sts:AssumeRole", {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    )
    configure(
        f"[profile careful]\nregion = us-east-1\nsource_profile = base\nrole_arn = {role}\n"
        f"mfa_serial = {phone.serial}\nrole_session_name = ann\n"
    )
    session = BotocoreSession(profile="careful")
    for provider in session.get_component("credential_provider").providers:
        if isinstance(provider, AssumeRoleProvider):
            provider._prompter = lambda _prompt: phone.next_code()
    assert identity("careful", session) == f"arn:aws:sts::{ACCOUNT}:assumed-role/careful/ann"


def test_a_profile_with_a_token_in_a_file(
    world: IamWorld, oidc: Issuer, configure: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = world.client("iam").create_open_id_connect_provider(Url=oidc.url, ClientIDList=["sts.amazonaws.com"])
    name = oidc.url.removeprefix("http://")
    role = make_role(
        world,
        "pod",
        {"Federated": arn["OpenIDConnectProviderArn"]},
        "sts:AssumeRoleWithWebIdentity",
        {"StringEquals": {f"{name}:sub": "repo:team/app"}},
    )
    file = tmp_path / "token"
    file.write_text(oidc.token())
    configure(
        f"[profile pod]\nregion = us-east-1\nrole_arn = {role}\nweb_identity_token_file = {file}\n"
        "role_session_name = pod-1\n"
    )
    assert identity("pod") == f"arn:aws:sts::{ACCOUNT}:assumed-role/pod/pod-1"
    # As in a pod: nothing but the environment.
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "pod-2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert boto3.Session().client("sts").get_caller_identity()["Arn"].endswith(":assumed-role/pod/pod-2")


def test_every_operation_by_the_aws_cli(world: IamWorld, oidc: Issuer, configure: Callable[[str], None]) -> None:
    configure("")

    def aws(*arguments: str, profile: str = "base") -> dict[str, Any]:
        program = str(Path(sys.executable).with_name("aws"))
        command = [program, *arguments, "--profile", profile, "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)) if done.stdout.strip() else {}

    assert aws("sts", "get-caller-identity")["Account"] == ACCOUNT
    assert aws("sts", "get-session-token", "--duration-seconds", "900")["Credentials"]["SessionToken"]
    document = json.dumps(policy(allow("s3:*")))
    federated = aws("sts", "get-federation-token", "--name", "bob", "--policy", document, "--tags", "Key=a,Value=b")
    assert federated["FederatedUser"]["FederatedUserId"] == f"{ACCOUNT}:bob"
    key = world.sample.admin.access_key_id
    assert aws("sts", "get-access-key-info", "--access-key-id", key)["Account"] == ACCOUNT
    message = authorization_message.encode(world.sealer, ACCOUNT, {"allowed": False})
    decoded = aws("sts", "decode-authorization-message", "--encoded-message", message)
    assert json.loads(decoded["DecodedMessage"]) == {"allowed": False}
    role = make_role(world, "cli", {"AWS": ACCOUNT}, "sts:AssumeRole", {})
    assumed = aws("sts", "assume-role", "--role-arn", role, "--role-session-name", "s1")
    assert assumed["AssumedRoleUser"]["Arn"].endswith(":assumed-role/cli/s1")
    idp = Idp("https://cli.example.com")
    provider = aws("iam", "create-saml-provider", "--name", "Cli", "--saml-metadata-document", idp.metadata())
    saml = provider["SAMLProviderArn"]
    by_saml = make_role(world, "cli-saml", {"Federated": saml}, "sts:AssumeRoleWithSAML", {})
    says = idp.says(world.clock.now(), Role=f"{by_saml},{saml}", RoleSessionName="ann")
    made = aws(
        *("sts", "assume-role-with-saml", "--role-arn", by_saml, "--principal-arn", saml),
        *("--saml-assertion", idp.encoded(says)),
    )
    assert made["Subject"] == "ann@example.com"
    listed = aws("iam", "list-open-id-connect-providers")["OpenIDConnectProviderList"]
    if not listed:
        url = ("--url", oidc.url, "--client-id-list", "sts.amazonaws.com")
        listed = [{"Arn": aws("iam", "create-open-id-connect-provider", *url)["OpenIDConnectProviderArn"]}]
    by_token = make_role(world, "cli-oidc", {"Federated": listed[0]["Arn"]}, "sts:AssumeRoleWithWebIdentity", {})
    web = aws(
        *("sts", "assume-role-with-web-identity", "--role-arn", by_token, "--role-session-name", "s1"),
        *("--web-identity-token", oidc.token()),
    )
    assert web["SubjectFromWebIdentityToken"] == "repo:team/app"
