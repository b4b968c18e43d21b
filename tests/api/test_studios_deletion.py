"""What is left of a Studio that is deleted: its Workspaces and their files, in the real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from emr_studio.aws.models import data_path
from emr_studio.clock import SystemClock
from emr_studio.db import Database
from emr_studio.iam.bootstrap_policies import service_role_policy, trust_policy
from emr_studio.network.model import ensure_default_network
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.controller import WorkspaceReconciler
from tests.support.emr_api import until
from tests.support.s3_rig import REGION, Rig

BUCKET = ROLE = "left-by-studios"
FILES = {"first.ipynb": b'{"cells": []}', "checkpoints/first.ipynb": b"{}", "data/x.csv": b"a,b\n1,2\n"}


@pytest.fixture
def emr(s3: Rig) -> Any:
    """The administrator's client, with the operations of Workspaces."""
    session = boto3.Session(s3.admin.access_key_id, s3.admin.secret_access_key, region_name=REGION)
    session._loader.search_paths.insert(0, str(data_path()))
    return session.client("emr", endpoint_url=s3.url)


@pytest.fixture
def database(s3: Rig) -> Iterator[Database]:
    made = Database(s3.settings.sqlalchemy_url)
    yield made
    made.dispose()


@contextmanager
def place(s3: Rig) -> Iterator[None]:
    """A bucket, and a service role for it."""
    iam, store, account = s3.client(service="iam"), s3.client(), s3.settings.account_id
    store.create_bucket(Bucket=BUCKET)
    trust = trust_policy("elasticmapreduce.amazonaws.com", account, "aws")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
    policy = json.dumps(service_role_policy(BUCKET, "aws"))
    iam.put_role_policy(RoleName=ROLE, PolicyName="own", PolicyDocument=policy)
    yield
    iam.delete_role_policy(RoleName=ROLE, PolicyName="own")
    iam.delete_role(RoleName=ROLE)
    for key in stored(s3):
        store.delete_object(Bucket=BUCKET, Key=key)
    store.delete_bucket(Bucket=BUCKET)


def create_studio(emr: Any, s3: Rig, database: Database) -> str:
    with database.write() as session:
        network = ensure_default_network(session, s3.settings, s3.settings.account_id)
    made = emr.create_studio(
        Name="ends",
        AuthMode="IAM",
        VpcId=network.vpc_id,
        SubnetIds=list(network.subnet_ids),
        ServiceRole=ROLE,
        WorkspaceSecurityGroupId=network.workspace_security_group_id,
        EngineSecurityGroupId=network.engine_security_group_id,
        DefaultS3Location=f"s3://{BUCKET}/studio",
    )
    return str(made["StudioId"])


def stored(s3: Rig) -> dict[str, bytes]:
    store = s3.client()
    keys = [one["Key"] for one in store.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return {key: store.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


@pytest.mark.capability("ST-17")
def test_a_deleted_studio_leaves_workspaces_and_files(s3: Rig, emr: Any, database: Database) -> None:
    runtime = InProcessRuntime(instant=True)
    controller = WorkspaceReconciler(database, SystemClock(), runtime, s3.settings, identity_public_key="PEM")

    def listed(**of: str) -> dict[str, str]:
        for editor_id in controller.pending():
            controller.reconcile(editor_id)
        found = emr.list_editors(**of)["Editors"]
        return {one["EditorId"]: one["Status"] for one in found if one["EditorId"] in made}

    with place(s3):
        studio_id = create_studio(emr, s3, database)
        made = [emr.create_editor(StudioId=studio_id, Name=name)["EditorId"] for name in ("one", "two")]
        until(lambda: listed() == dict.fromkeys(made, "Ready"))
        files = {f"studio/{editor_id}/{name}": body for editor_id in made for name, body in FILES.items()}
        for key, body in files.items():
            s3.client().put_object(Bucket=BUCKET, Key=key, Body=body)
        emr.delete_studio(StudioId=studio_id)
        assert studio_id not in [one["StudioId"] for one in emr.list_studios()["Studios"]]
        assert listed() == listed(StudioId=studio_id) == dict.fromkeys(made, "Ready")
        for editor_id in made:
            location = emr.describe_editor(EditorId=editor_id)["Editor"]["S3Location"]
            assert location == f"s3://{BUCKET}/studio/{editor_id}/"
        assert stored(s3) == files
        for editor_id in made:
            emr.delete_editor(EditorId=editor_id)
        until(lambda: listed() == {})
        assert stored(s3) == files
