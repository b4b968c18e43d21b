"""The stock AWS CLI with nothing but AWS_PROFILE, against the front door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from emr_studio.cli.configure_aws import configure_aws
from emr_studio.settings import Settings
from tests.support.api_server import serve
from tests.support.wire_world import ARN, KEY, SECRET, make_application


def test_the_aws_cli_with_a_profile(tmp_path: Path) -> None:
    with serve(make_application(tmp_path)) as endpoint:
        admin = {"access_key_id": KEY, "secret_access_key": SECRET}
        studio = {"endpoint_url": endpoint, "region": "us-east-1", "admin": admin}
        (tmp_path / "studio.json").write_text(json.dumps(studio))
        configure_aws(Settings(data_dir=tmp_path), aws_dir=tmp_path / ".aws")
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = own | {"HOME": str(tmp_path), "AWS_PROFILE": "emr-studio", "AWS_PAGER": ""}

        def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
            program = str(Path(sys.executable).with_name("aws"))
            return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)

        assert json.loads(aws("sts", "get-caller-identity").stdout)["Arn"] == ARN
        made = aws("emr", "create-editor", "--studio-id", "es-1", "--name", "first")
        assert json.loads(made.stdout) == {"EditorId": "first"}
        refused = aws("emr", "describe-studio", "--studio-id", "es-1")
        assert refused.returncode
        assert (
            "(InvalidRequestException) when calling the DescribeStudio operation: Studio does not exist."
            in refused.stderr
        )
        cluster = aws("emr", "create-cluster", "--release-label", "emr-8.0.0", "--instance-type", "m5.xlarge")
        assert cluster.returncode == 0, cluster.stderr
