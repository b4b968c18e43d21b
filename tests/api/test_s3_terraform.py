"""Terraform's `aws_s3_*` resources: apply, an empty second plan, a change, import, destroy.

Runs where `terraform` and a mirror of its AWS provider are installed (`EMR_STUDIO_TF_PLUGINS`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.s3_rig import Rig, clean_environment, s3_rig

PLUGINS = Path(os.environ.get("EMR_STUDIO_TF_PLUGINS", "/usr/share/terraform/plugins"))
CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" {}
variable "team" { default = "data" }
provider "aws" {
  region = "us-east-1"
  skip_metadata_api_check = true
  s3_use_path_style = true
  endpoints {
    s3 = var.endpoint
    iam = var.endpoint
    sts = var.endpoint
  }
}
data "aws_caller_identity" "me" {}
resource "aws_s3_bucket" "lake" {
  bucket = "tf-lake"
  force_destroy = true
  tags = { team = var.team, "with space" = "a+b" }
}
resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule { object_ownership = "BucketOwnerPreferred" }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}
resource "aws_s3_bucket_public_access_block" "lake" {
  bucket = aws_s3_bucket.lake.id
  block_public_acls = true
  ignore_public_acls = true
  block_public_policy = var.team == "data"
  restrict_public_buckets = true
}
resource "aws_s3_bucket_policy" "lake" {
  bucket = aws_s3_bucket.lake.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid = "Read it", Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket"],
    Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" },
    Resource = [aws_s3_bucket.lake.arn, "${aws_s3_bucket.lake.arn}/*"]
  }] })
}
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    id = "old"
    status = "Enabled"
    filter { prefix = "tmp/" }
    expiration { days = 7 }
  }
}
resource "aws_s3_bucket_cors_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://page.example"]
    allowed_headers = ["*"]
    expose_headers = ["ETag"]
    max_age_seconds = 60
  }
}
resource "aws_s3_object" "page" {
  bucket = aws_s3_bucket.lake.id
  key = "folder/a b+c.txt"
  content = "hello ${var.team}"
  content_type = "text/plain"
  tags = { kind = "sample" }
}
"""
KINDS = (
    "versioning", "ownership_controls", "server_side_encryption_configuration", "public_access_block", "policy",
    "lifecycle_configuration", "cors_configuration",
)  # fmt: skip


class Terraform:
    """A folder with a configuration, against a running S3."""

    def __init__(self, folder: Path, rig: Rig) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "main.tf").write_text(CONFIGURATION)
        (folder / "rc").write_text(f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}\n')
        self._environment = clean_environment() | {
            "AWS_ACCESS_KEY_ID": rig.admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": rig.admin.secret_access_key,
            "TF_CLI_CONFIG_FILE": str(folder / "rc"),
            "TF_VAR_endpoint": rig.url,
            "CHECKPOINT_DISABLE": "1",
        }

    def __call__(self, *arguments: str) -> str:
        run = subprocess.run(
            ["terraform", *arguments],
            cwd=self._folder,
            env=self._environment | {"TF_CLI_ARGS": "-no-color"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert run.returncode == 0, f"{arguments}: {run.stdout[-3000:]}"
        return run.stdout


@pytest.mark.skipif(not (shutil.which("terraform") and PLUGINS.is_dir()), reason="no terraform with its provider here")
@pytest.mark.timeout(900)
def test_terraform_manages_buckets(tmp_path: Path) -> None:
    with s3_rig(tmp_path / "s3") as rig:
        terraform = Terraform(tmp_path / "tf", rig)
        terraform("init")
        terraform("apply", "-auto-approve")
        terraform("plan", "-detailed-exitcode")
        client = rig.client()
        assert client.get_object(Bucket="tf-lake", Key="folder/a b+c.txt")["Body"].read() == b"hello data"
        changed = ("-var", "team=other")
        terraform("apply", "-auto-approve", *changed)
        terraform("plan", "-detailed-exitcode", *changed)
        assert client.get_object(Bucket="tf-lake", Key="folder/a b+c.txt")["Body"].read() == b"hello other"
        assert {"Key": "team", "Value": "other"} in client.get_bucket_tagging(Bucket="tf-lake")["TagSet"]
        addresses = [*(f"aws_s3_bucket_{kind}.lake" for kind in KINDS), "aws_s3_bucket.lake"]
        terraform("state", "rm", *addresses)
        for address in addresses:
            terraform("import", *changed, address, "tf-lake")
        # `force_destroy` is no property of the bucket: an import cannot know it. Nothing else may differ.
        plan = json.loads(_plan(terraform, changed))
        differing = {
            change["address"]: sorted(
                name
                for name, value in change["change"]["after"].items()
                if change["change"]["before"].get(name) != value
            )
            for change in plan["resource_changes"]
            if change["change"]["actions"] != ["no-op"]
        }
        assert differing == {"aws_s3_bucket.lake": ["force_destroy"]}
        terraform("apply", "-auto-approve", *changed)
        terraform("destroy", "-auto-approve", *changed)
        assert client.list_buckets()["Buckets"] == []


def _plan(terraform: Terraform, changed: tuple[str, ...]) -> str:
    terraform("plan", "-out", "plan.bin", *changed)
    return terraform("show", "-json", "plan.bin")
