"""`aws iam …` as an administrator types it, with the stock AWS CLI."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clock import SystemClock
from tests.support.iam_api import ACCOUNT, IamWorld, allow, policy, served_iam, trust

ARN = f"arn:aws:iam::{ACCOUNT}"
PROGRAM = str(Path(sys.executable).with_name("aws"))


class Cli:
    """The AWS CLI with the administrator's keys."""

    def __init__(self, world: IamWorld, folder: Path) -> None:
        admin = world.sample.admin
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._environment = own | {
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": admin.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": world.endpoint,
            "AWS_PAGER": "",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [PROGRAM, "iam", *arguments]
        return subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def error(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("iam")
    with served_iam(folder, SystemClock()) as world:
        yield Cli(world, folder)


def test_a_person_from_beginning_to_end(aws: Cli) -> None:
    made = aws("create-user", "--user-name", "ann", "--path", "/team/", "--tags", "Key=team,Value=data")
    assert made["User"]["Arn"] == f"{ARN}:user/team/ann"
    key = aws("create-access-key", "--user-name", "ann")["AccessKey"]["AccessKeyId"]
    assert aws("get-access-key-last-used", "--access-key-id", key)["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    asked = ("--minimum-password-length", "10", "--require-numbers", "--max-password-age", "9")
    aws("update-account-password-policy", *asked)
    weak = ("create-login-profile", "--user-name", "ann", "--password", "no-digits-here", "--password-reset-required")
    assert "(PasswordPolicyViolation)" in aws.error(*weak)
    aws(*weak[:-2], "with-1-digit", "--password-reset-required")
    own = json.dumps(policy(allow("s3:*")))
    aws("put-user-policy", "--user-name", "ann", "--policy-name", "p", "--policy-document", own)
    source = ("--policy-source-arn", f"{ARN}:user/team/ann")
    simulated = aws("simulate-principal-policy", *source, "--action-names", "s3:PutObject")
    assert simulated["EvaluationResults"][0]["EvalDecision"] == "allowed"
    details = aws("get-account-authorization-details", "--filter", "User")
    assert [one["UserName"] for one in details["UserDetailList"]] == ["admin", "analyst", "ann"]
    assert "must delete login profile first" in aws.error("delete-user", "--user-name", "ann")
    aws("delete-login-profile", "--user-name", "ann")
    aws("delete-access-key", "--user-name", "ann", "--access-key-id", key)
    aws("delete-user-policy", "--user-name", "ann", "--policy-name", "p")
    aws("delete-user", "--user-name", "ann")
    aws("delete-account-password-policy")
    assert "(NoSuchEntity) when calling the GetUser operation" in aws.error("get-user", "--user-name", "ann")


def test_a_role_with_its_profile(aws: Cli) -> None:
    document = trust({"Service": "ec2.amazonaws.com"})
    aws("create-role", "--role-name", "node", "--assume-role-policy-document", document)
    aws("attach-role-policy", "--role-name", "node", "--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    aws("create-instance-profile", "--instance-profile-name", "node")
    aws("add-role-to-instance-profile", "--instance-profile-name", "node", "--role-name", "node")
    # The CLI's own waiter looks for it.
    aws("wait", "instance-profile-exists", "--instance-profile-name", "node")
    shown = aws("get-role", "--role-name", "node")["Role"]
    assert shown["AssumeRolePolicyDocument"] == json.loads(document)
    assert aws("list-instance-profiles-for-role", "--role-name", "node")["InstanceProfiles"]
    wrong = trust({"AWS": f"{ARN}:user/nobody"})
    refused = aws.error("update-assume-role-policy", "--role-name", "node", "--policy-document", wrong)
    assert f'Invalid principal in policy: "AWS":"{ARN}:user/nobody"' in refused


def test_reports(aws: Cli) -> None:
    assert aws("generate-credential-report")["State"] == "STARTED"
    report = base64.b64decode(aws("get-credential-report")["Content"]).decode()
    assert report.startswith("user,arn,user_creation_time,password_enabled,")
    assert f"admin,{ARN}:user/admin," in report
    job = aws("generate-service-last-accessed-details", "--arn", f"{ARN}:user/admin")["JobId"]
    found = aws("get-service-last-accessed-details", "--job-id", job)["ServicesLastAccessed"]
    assert "LastAuthenticated" in {one["ServiceNamespace"]: one for one in found}["iam"]
    assert aws("get-account-summary")["SummaryMap"]["Users"] == 2


def test_a_service_linked_role(aws: Cli) -> None:
    name = "AWSServiceRoleForAmazonEMRContainers"
    aws("create-service-linked-role", "--aws-service-name", "emr-containers.amazonaws.com")
    refused = aws.error("delete-role", "--role-name", name)
    assert "(UnmodifiableEntity)" in refused
    task = aws("delete-service-linked-role", "--role-name", name)["DeletionTaskId"]
    assert aws("get-service-linked-role-deletion-status", "--deletion-task-id", task) == {"Status": "SUCCEEDED"}
