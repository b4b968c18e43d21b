"""Terraform's `aws_iam_*` resources: apply, an empty second plan, changes, import of all, destroy.

Runs where `terraform` and a mirror of its AWS provider are installed (`EMR_STUDIO_TF_PLUGINS`). The
configuration is `tests/support/iam_terraform.tf`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clock import SystemClock
from tests.api.test_iam_credentials import certificate, ssh_key
from tests.support.iam_api import ACCOUNT, IamWorld, served_iam
from tests.support.saml_idp import Idp

PLUGINS = Path(os.environ.get("EMR_STUDIO_TF_PLUGINS", "/usr/share/terraform/plugins"))
CONFIGURATION = Path(__file__).parents[1] / "support" / "iam_terraform.tf"
ARN = f"arn:aws:iam::{ACCOUNT}"
CHANGE = ("-var", "action=s3:Put*", "-var", "word=second")
NO_IMPORT = {
    "aws_iam_group_membership": "the provider has none",
    "aws_iam_policy_attachment": "the provider has none",
    "aws_iam_security_token_service_preferences": "the provider has none",
    "aws_iam_user_login_profile": "the provider knows no password then and wants a new one",
}


@dataclass
class Terraform:
    """One working folder."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        run = subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert run.returncode == 0, f"{arguments}: {run.stdout[-6000:]}"
        return run.stdout

    def state(self) -> dict[str, dict[str, Any]]:
        """Attributes of every managed resource by address."""
        found = json.loads(self("show", "-json").partition("\n")[0])
        resources = found["values"]["root_module"]["resources"]
        return {one["address"]: one["values"] for one in resources if one["mode"] == "managed"}


def import_id(address: str, values: dict[str, Any]) -> str:
    """What `terraform import` takes for this resource."""
    kind = address.partition(".")[0]
    forms = {
        "aws_iam_access_key": "{id}",
        "aws_iam_user_policy": "{user}:{name}",
        "aws_iam_group_policy": "{group}:{name}",
        "aws_iam_role_policy": "{role}:{name}",
        "aws_iam_user_policy_attachment": "{user}/{policy_arn}",
        "aws_iam_group_policy_attachment": "{group}/{policy_arn}",
        "aws_iam_role_policy_attachment": "{role}/{policy_arn}",
        "aws_iam_user_ssh_key": "{username}:{ssh_public_key_id}:{encoding}",
        "aws_iam_user_policies_exclusive": "{user_name}",
        "aws_iam_group_policies_exclusive": "{group_name}",
        "aws_iam_role_policies_exclusive": "{role_name}",
        "aws_iam_user_policy_attachments_exclusive": "{user_name}",
        "aws_iam_group_policy_attachments_exclusive": "{group_name}",
        "aws_iam_role_policy_attachments_exclusive": "{role_name}",
        "aws_iam_server_certificate": "{name}",
    }
    if kind == "aws_iam_user_group_membership":
        return "/".join([values["user"], *values["groups"]])
    return forms.get(kind, "{id}").format_map(values)


def prepare(folder: Path, world: IamWorld) -> Terraform:
    """A folder with the configuration and the files that it reads."""
    folder.mkdir()
    shutil.copy(CONFIGURATION, folder / "main.tf")
    (folder / "rc").write_text(f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}\n')
    (folder / "key.pub").write_text(ssh_key())
    (folder / "signing.pem").write_text(certificate("signer")[0])
    body, key = certificate("server")
    (folder / "server.pem").write_text(body)
    (folder / "server.key").write_text(key)
    (folder / "saml.xml").write_text(Idp().metadata())
    admin = world.sample.admin
    return Terraform(
        folder,
        os.environ
        | {
            "AWS_ACCESS_KEY_ID": admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": admin.secret_access_key,
            "TF_CLI_CONFIG_FILE": str(folder / "rc"),
            "TF_VAR_endpoint": world.endpoint,
            "CHECKPOINT_DISABLE": "1",
        },
    )


def kinds(addresses: Iterable[str]) -> set[str]:
    """Kinds of resources: `aws_iam_user` of `aws_iam_user.u`."""
    return {address.partition(".")[0] for address in addresses}


def forget_and_import(terraform: Terraform) -> list[str]:
    """Take all that can be imported out of the state and import it again; returns the addresses."""
    state = terraform.state()
    wanted = {address: values for address, values in state.items() if address.partition(".")[0] not in NO_IMPORT}
    terraform("state", "rm", *wanted)
    blocks = [
        f'import {{\n  to = {address}\n  id = "{import_id(address, values)}"\n}}\n'
        for address, values in wanted.items()
    ]
    (terraform.folder / "imports.tf").write_text("".join(blocks))
    shown = terraform("apply", "-auto-approve", *CHANGE)
    assert f"{len(wanted)} imported, 0 added" in shown, shown[-4000:]
    assert "0 destroyed" in shown
    (terraform.folder / "imports.tf").unlink()
    return list(wanted)


def leftovers(iam: Any) -> dict[str, list[Any]]:
    """What a destroy must not leave."""
    return {
        "users": iam.list_users(PathPrefix="/tf/")["Users"],
        "groups": iam.list_groups()["Groups"],
        "roles": [one for one in iam.list_roles()["Roles"] if one["RoleName"].startswith(("tf", "AWSServiceRole"))],
        "policies": [one for one in iam.list_policies(Scope="Local")["Policies"] if one["PolicyName"].startswith("tf")],
        "profiles": iam.list_instance_profiles(PathPrefix="/tf/")["InstanceProfiles"],
        "certificates": iam.list_server_certificates()["ServerCertificateMetadataList"],
        "saml": iam.list_saml_providers()["SAMLProviderList"],
        "oidc": iam.list_open_id_connect_providers()["OpenIDConnectProviderList"],
        "mfa": iam.list_virtual_mfa_devices()["VirtualMFADevices"],
        "aliases": iam.list_account_aliases()["AccountAliases"],
    }


@pytest.mark.skipif(not (shutil.which("terraform") and PLUGINS.is_dir()), reason="no terraform with its provider here")
@pytest.mark.timeout(900)
def test_terraform_manages_identities(tmp_path: Path) -> None:
    with served_iam(tmp_path / "iam", SystemClock()) as world:
        terraform = prepare(tmp_path / "tf", world)
        terraform("init")
        terraform("apply", "-auto-approve")
        terraform("plan", "-detailed-exitcode")
        found = json.loads(terraform("output", "-json", "found").partition("\n")[0])
        assert found == {
            "attached": "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2",
            "roles": ["tfrole"],
            "users": ["tf-first", "tfuser"],
            "members": ["tfuser"],
            "alias": "tf-alias",
            "profile": "tfplain",
            "keys": 1,
            "issuer": f"{ARN}:user/admin",
            "simulated": {"s3:GetObject": "allowed", "s3:PutObject": "implicitDeny"},
            "thumbprint": ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
        }
        terraform("apply", "-auto-approve", *CHANGE)
        terraform("plan", "-detailed-exitcode", *CHANGE)
        imported = forget_and_import(terraform)
        assert kinds(terraform.state()) - kinds(imported) == set(NO_IMPORT)
        terraform("plan", "-detailed-exitcode", *CHANGE)
        terraform("state", "rm", "aws_iam_role.r")
        terraform("import", *CHANGE, "aws_iam_role.r", "tfrole")
        terraform("plan", "-detailed-exitcode", *CHANGE)
        terraform("destroy", "-auto-approve", *CHANGE)
        left = leftovers(world.client("iam"))
        assert left == {kind: [] for kind in left}
