"""Terraform's `aws_kms_*` and `aws_secretsmanager_*`: apply, an empty second plan, a change, import, destroy.

Runs where `terraform` and a mirror of its AWS provider are installed (`EMR_STUDIO_TF_PLUGINS`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.keys_api import KeysWorld, served_keys

PLUGINS = Path(os.environ.get("EMR_STUDIO_TF_PLUGINS", "/usr/share/terraform/plugins"))
CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" {}
variable "value" { default = "one" }
provider "aws" {
  region = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    iam = var.endpoint
    kms = var.endpoint
    secretsmanager = var.endpoint
    sts = var.endpoint
  }
}
resource "aws_kms_key" "k" {
  description = "of ${var.value}"
  enable_key_rotation = true
  rotation_period_in_days = 180
  deletion_window_in_days = 7
  tags = { team = var.value }
}
resource "aws_kms_alias" "a" {
  name = "alias/tf/main"
  target_key_id = aws_kms_key.k.key_id
}
data "aws_kms_alias" "a" {
  name = aws_kms_alias.a.name
}
resource "aws_secretsmanager_secret" "s" {
  name = "emr-studio-tf"
  description = "of ${var.value}"
  kms_key_id = aws_kms_key.k.arn
  tags = { for-use-with-amazon-emr-managed-policies = "true" }
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Deny", Principal = "*", Action = "secretsmanager:PutSecretValue", Resource = "*",
      Condition = { StringEquals = { "aws:PrincipalTag/x" = "y" } } }] })
}
resource "aws_secretsmanager_secret_version" "v" {
  secret_id = aws_secretsmanager_secret.s.id
  secret_string = jsonencode({ gitUsername = "u", gitPassword = var.value })
}
data "aws_secretsmanager_secret_version" "v" {
  secret_id = aws_secretsmanager_secret_version.v.secret_id
}
output "value" {
  value = data.aws_secretsmanager_secret_version.v.secret_string
  sensitive = true
}
output "alias" { value = data.aws_kms_alias.a.target_key_arn == aws_kms_key.k.arn }
"""
pytestmark = pytest.mark.skipif(
    shutil.which("terraform") is None or not PLUGINS.is_dir(), reason="terraform and its AWS provider are not installed"
)


class Terraform:
    """Terraform in a folder, against a served world."""

    def __init__(self, folder: Path, world: KeysWorld) -> None:
        self.folder = folder
        admin = world.sample.admin
        rc = folder / "terraform.rc"
        rc.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}\n')
        self.environment = os.environ | {
            "TF_CLI_CONFIG_FILE": str(rc),
            "TF_VAR_endpoint": world.endpoint,
            "AWS_ACCESS_KEY_ID": admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": admin.secret_access_key,
            "CHECKPOINT_DISABLE": "1",
        }
        (folder / "main.tf").write_text(CONFIGURATION)

    def run(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expect, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.mark.timeout(900)
def test_keys_and_secrets(tmp_path: Path) -> None:
    with served_keys(tmp_path / "world") as world:
        folder = tmp_path / "tf"
        folder.mkdir()
        terraform = Terraform(folder, world)
        terraform.run("init", "-input=false")
        terraform.run("apply", "-auto-approve", "-input=false")
        terraform.run("plan", "-detailed-exitcode", "-input=false")
        assert '"gitPassword":"one"' in terraform.run("output", "-raw", "value")
        assert terraform.run("output", "-raw", "alias") == "true"
        terraform.run("apply", "-auto-approve", "-input=false", "-var", "value=two")
        terraform.run("plan", "-detailed-exitcode", "-input=false", "-var", "value=two")
        key = world.client("kms").describe_key(KeyId="alias/tf/main")["KeyMetadata"]
        assert key["Description"] == "of two"
        secret = world.client("secretsmanager").describe_secret(SecretId="emr-studio-tf")["ARN"]
        for name, known_as in (("aws_kms_key.k", key["KeyId"]), ("aws_secretsmanager_secret.s", secret)):
            terraform.run("state", "rm", name)
            terraform.run("import", "-input=false", "-var", "value=two", name, known_as)
        # What only the configuration knows (windows, `force_…`) is written to the state once.
        terraform.run("apply", "-auto-approve", "-input=false", "-var", "value=two")
        terraform.run("plan", "-detailed-exitcode", "-input=false", "-var", "value=two")
        terraform.run("destroy", "-auto-approve", "-input=false", "-var", "value=two")
        assert world.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
        assert not world.client("secretsmanager").list_secrets()["SecretList"]
