"""Terraform's `aws_iam_*` resources: apply, an empty second plan, a change, destroy.

Runs where `terraform` and a mirror of its AWS provider are installed (`EMR_STUDIO_TF_PLUGINS`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from emr_studio.clock import SystemClock
from tests.support.iam_api import served_iam

PLUGINS = Path(os.environ.get("EMR_STUDIO_TF_PLUGINS", "/usr/share/terraform/plugins"))
CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" {}
provider "aws" {
  region = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    iam = var.endpoint
    sts = var.endpoint
  }
}
data "aws_caller_identity" "me" {}
resource "aws_iam_user" "u" {
  name = "tfuser"
  path = "/tf/"
  tags = { a = "b" }
  force_destroy = true
}
resource "aws_iam_access_key" "k" { user = aws_iam_user.u.name }
resource "aws_iam_user_login_profile" "l" { user = aws_iam_user.u.name }
resource "aws_iam_user_policy" "up" {
  name = "p"
  user = aws_iam_user.u.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = ["s3:Get*"], Resource = "*" }
  ] })
}
resource "aws_iam_group" "g" { name = "tfgroup" }
resource "aws_iam_group_policy" "gp" {
  group = aws_iam_group.g.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = ["s3:Get*"], Resource = "*" }
  ] })
}
resource "aws_iam_user_group_membership" "m" {
  user = aws_iam_user.u.name
  groups = [aws_iam_group.g.name]
}
resource "aws_iam_group_policy_attachment" "ga" {
  group = aws_iam_group.g.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
resource "aws_iam_role" "r" {
  name = "tfrole"
  description = "x + y % z"
  max_session_duration = 7200
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Principal = { Service = "elasticmapreduce.amazonaws.com" }, Action = "sts:AssumeRole" },
    { Effect = "Allow", Principal = { AWS = aws_iam_user.u.arn }, Action = "sts:AssumeRole" }] })
  tags = { team = "data" }
}
resource "aws_iam_role_policy" "rp" {
  role = aws_iam_role.r.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = ["s3:Get+*"], Resource = "arn:aws:s3:::a%b/*" }
  ] })
}
resource "aws_iam_policy" "p" {
  name = "tfpolicy"
  description = "d"
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = [var.action], Resource = "*" }
  ] })
  tags = { a = "b" }
}
variable "action" { default = "s3:List*" }
resource "aws_iam_role_policy_attachment" "rpa" {
  role = aws_iam_role.r.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_iam_user_policy_attachment" "upa" {
  user = aws_iam_user.u.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_iam_instance_profile" "ip" {
  name = "tfprofile"
  role = aws_iam_role.r.name
}
"""


@pytest.mark.skipif(not (shutil.which("terraform") and PLUGINS.is_dir()), reason="no terraform with its provider here")
@pytest.mark.timeout(600)
def test_terraform_manages_identities(tmp_path: Path) -> None:
    folder = tmp_path / "tf"
    folder.mkdir()
    (folder / "main.tf").write_text(CONFIGURATION)
    (folder / "rc").write_text(f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}\n')
    with served_iam(tmp_path / "iam", SystemClock()) as world:
        admin = world.sample.admin
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": admin.secret_access_key,
            "TF_CLI_CONFIG_FILE": str(folder / "rc"),
            "TF_VAR_endpoint": world.endpoint,
            "CHECKPOINT_DISABLE": "1",
        }

        def terraform(*arguments: str) -> None:
            run = subprocess.run(
                ["terraform", *arguments, "-no-color"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )
            assert run.returncode == 0, f"{arguments}: {run.stdout[-3000:]}"

        changed = ("-var", "action=s3:Put*")
        terraform("init")
        terraform("apply", "-auto-approve")
        terraform("plan", "-detailed-exitcode")
        terraform("apply", "-auto-approve", *changed)
        terraform("plan", "-detailed-exitcode", *changed)
        terraform("destroy", "-auto-approve", *changed)
        left = world.client("iam").list_users(PathPrefix="/tf/")["Users"]
        assert left == []
