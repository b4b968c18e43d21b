"""A Studio's own KMS key on the files of its Workspaces: made with it, changed while one runs, and without one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.runtime import disks
from tests.support.studio import Studio, until

ACTIONS = ["kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DescribeKey"]


def new_key(studio: Studio) -> str:
    """A key as AWS's guide has it: for the Studio's service role, through S3, for objects of the bucket."""
    found = studio.json
    account, bucket = found["account_id"], found["s3"]["default_location"].split("/")[2]
    context = {
        "kms:CallerAccount": account,
        "kms:ViaService": f"s3.{found['region']}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}",
    }
    admins = {"AWS": f"arn:aws:iam::{account}:root"}
    statements = [
        {"Effect": "Allow", "Principal": admins, "Action": "kms:*", "Resource": "*"},
        {
            "Effect": "Allow",
            "Principal": {"AWS": found["service_role_arn"]},
            "Action": ACTIONS,
            "Resource": "*",
            "Condition": {"StringEquals": context},
        },
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    arn: str = studio.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return arn


class Saved:
    """A Workspace, and what S3 tells of its files."""

    def __init__(self, studio: Studio, name: str, key: str | None) -> None:
        self._studio, self._emr, self._s3 = studio, studio.client("emr"), studio.client("s3")
        found, network = studio.json, studio.json["network"]
        more = {"EncryptionKeyArn": key} if key else {}
        self.studio_id = self._emr.create_studio(
            Name=name,
            AuthMode="IAM",
            VpcId=network["vpc_id"],
            SubnetIds=network["subnet_ids"],
            ServiceRole=found["service_role_arn"],
            WorkspaceSecurityGroupId=network["workspace_security_group_id"],
            EngineSecurityGroupId=network["engine_security_group_id"],
            DefaultS3Location=f"{found['s3']['default_location']}/{name}",
            **more,
        )["StudioId"]
        self.bucket, _, prefix = found["s3"]["default_location"].removeprefix("s3://").partition("/")
        self.id = self._emr.create_editor(Name="work", StudioId=self.studio_id)["EditorId"]
        self.prefix = f"{prefix}/{name}/{self.id}"
        until("the Workspace is ready", lambda: self.status() == "Ready")

    def status(self) -> str:
        status: str = self._emr.describe_editor(EditorId=self.id)["Editor"]["Status"]
        return status

    def write(self, name: str, text: str) -> None:
        """As the Workspace's own user would."""
        folder = self._studio.settings.workspaces_dir / self.id / "files"
        owner = folder.stat().st_uid
        (folder / name).write_text(text)
        os.chown(folder / name, owner, owner)

    def head(self, name: str) -> dict[str, Any]:
        """What S3 says of a file; empty while it is not there."""
        try:
            answer: dict[str, Any] = self._s3.head_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")
        except ClientError:
            return {}
        return answer

    def close(self) -> None:
        self._emr.delete_editor(EditorId=self.id)
        until("the Workspace is gone", self._is_gone)
        self._emr.delete_studio(StudioId=self.studio_id)

    def _is_gone(self) -> bool:
        try:
            self._emr.describe_editor(EditorId=self.id)
        except ClientError:
            return True
        return False


@pytest.fixture
def keyed(studio: Studio) -> Iterator[Saved]:
    saved = Saved(studio, "sealed", new_key(studio))
    yield saved
    saved.close()


@pytest.mark.capability("EN-02", "ST-14")
def test_the_studios_key_and_its_next(studio: Studio, keyed: Saved) -> None:
    first = studio.client("emr").describe_studio(StudioId=keyed.studio_id)["Studio"]["EncryptionKeyArn"]
    until("the notebook is saved", lambda: keyed.head("work.ipynb"))
    head = keyed.head("work.ipynb")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", first)
    _needs_the_key(studio, keyed, first)
    second = new_key(studio)
    studio.client("emr").update_studio(StudioId=keyed.studio_id, EncryptionKeyArn=second)
    count = iter(range(1000))

    def follows() -> bool:
        keyed.write("later.txt", f"written {next(count)} times")
        return keyed.head("later.txt").get("SSEKMSKeyId") == second

    until("what is saved now has the new key", follows)
    assert keyed.head("work.ipynb")["SSEKMSKeyId"] == first
    _stop_and_start(studio, keyed)
    folder = studio.settings.workspaces_dir / keyed.id / "files"
    assert (folder / "later.txt").read_text().startswith("written")
    assert (folder / "work.ipynb").exists()


def _needs_the_key(studio: Studio, keyed: Saved, key: str) -> None:
    iam = studio.client("iam")
    iam.create_user(UserName="reader-without-key")
    reads = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    iam.put_user_policy(UserName="reader-without-key", PolicyName="p", PolicyDocument=json.dumps(reads))
    made = iam.create_access_key(UserName="reader-without-key")["AccessKey"]
    keys = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
    with pytest.raises(ClientError) as caught:
        studio.client("s3", **keys).get_object(Bucket=keyed.bucket, Key=f"{keyed.prefix}/work.ipynb")
    error = caught.value.response["Error"]
    assert (error["Code"], f"kms:Decrypt on resource: {key}" in error["Message"]) == ("AccessDenied", True)


def _stop_and_start(studio: Studio, keyed: Saved) -> None:
    emr = studio.client("emr")
    emr.stop_editor(EditorId=keyed.id)
    until("it is idle", lambda: keyed.status() == "Idle")
    # Its disk, if it has one of its own, is there only while it runs.
    base = studio.settings.workspaces_dir / keyed.id
    disks.open_disk(base, 0)
    for path in (base / "files").iterdir():
        if path.is_file():
            path.unlink()
    disks.close_disk(base)
    emr.start_editor(EditorId=keyed.id)
    until("it is ready again", lambda: keyed.status() == "Ready")


@pytest.mark.capability("EN-01")
def test_without_a_key_s3_seals_with_its_own(studio: Studio) -> None:
    saved = Saved(studio, "unkeyed", None)
    until("the notebook is saved", lambda: saved.head("work.ipynb"))
    assert saved.head("work.ipynb")["ServerSideEncryption"] == "AES256"
    saved.close()


@pytest.mark.capability("ST-07")
def test_a_key_that_the_role_may_not_use(studio: Studio) -> None:
    foreign: str = studio.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError) as caught:
        Saved(studio, "refused", foreign)
    message = caught.value.response["Error"]["Message"]
    assert "'ServiceRole' does not have permission to access the 'S3 Location' or associated KMS key(s)" in message
    assert f"kms:Decrypt on {foreign}" in message
