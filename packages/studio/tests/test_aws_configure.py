"""`configure-aws`: the files, and stock clients that then know the overlay with AWS_PROFILE alone."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emr_studio.cli.configure_aws import configure_aws
from emr_studio.settings import Settings

CONFIG = """# my own words
[default]
region = eu-west-1

[profile emr-studio]
output = json
s3 =
    max_concurrent_requests = 3

[profile other]
region = ap-south-1
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    studio = {
        "endpoint_url": "http://localhost:8080",
        "region": "us-west-2",
        "admin": {"access_key_id": "AKIAADMIN", "secret_access_key": "hidden"},
    }
    (tmp_path / "studio.json").write_text(json.dumps(studio))
    return Settings(data_dir=tmp_path)


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(path)
    return parser


def test_profiles_of_others_stay(settings: Settings, tmp_path: Path) -> None:
    aws = tmp_path / ".aws"
    aws.mkdir()
    (aws / "config").write_text(CONFIG)
    (aws / "credentials").write_text("[default]\naws_access_key_id = AKIAMINE\n")
    configure_aws(settings, aws_dir=aws)
    text = (aws / "config").read_text()
    assert text.startswith("# my own words\n[default]\nregion = eu-west-1\n\n[profile emr-studio]\n")
    config, credentials = _read(aws / "config"), _read(aws / "credentials")
    profile = config["profile emr-studio"]
    assert (profile["region"], profile["endpoint_url"], profile["output"]) == (
        "us-west-2",
        "http://localhost:8080",
        "json",
    )
    assert profile["s3"].strip() == "addressing_style = path"
    assert profile["cli_follow_urlparam"] == "false"
    assert config["profile other"]["region"] == "ap-south-1"
    assert credentials["default"]["aws_access_key_id"] == "AKIAMINE"
    assert credentials["emr-studio"]["aws_secret_access_key"] == "hidden"
    before = {path: path.read_text() for path in (aws / "config", aws / "credentials")}
    configure_aws(settings, aws_dir=aws)
    assert {path: path.read_text() for path in before} == before


def test_secrets_are_for_the_owner_only(settings: Settings, tmp_path: Path) -> None:
    aws = tmp_path / ".aws"
    configure_aws(settings, "default", aws)
    assert (aws / "credentials").stat().st_mode & 0o777 == 0o600
    assert _read(aws / "config")["default"]["region"] == "us-west-2"


def test_somebody_elses_model_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    theirs = tmp_path / ".aws" / "models" / "emr" / "2009-03-31" / "service-2.sdk-extras.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("{}")
    assert theirs not in configure_aws(settings, aws_dir=tmp_path / ".aws")
    assert theirs.read_text() == "{}"


def test_stock_clients_know_the_overlay(settings: Settings, tmp_path: Path) -> None:
    configure_aws(settings, aws_dir=tmp_path / ".aws")
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = own | {"HOME": str(tmp_path), "AWS_PROFILE": "emr-studio"}
    boto3 = "import boto3; c = boto3.client('emr'); print(c.meta.endpoint_url, c.can_paginate('list_editors'))"
    told = subprocess.run([sys.executable, "-c", boto3], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["http://localhost:8080", "True"]
    aws = [str(Path(sys.executable).with_name("aws")), "emr", "create-editor", "--generate-cli-skeleton"]
    told = subprocess.run(aws, env=environment, capture_output=True, text=True, check=True)
    assert {"StudioId", "Name", "ExecutionEngine"} <= json.loads(told.stdout).keys()
