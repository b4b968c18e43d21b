"""A Workspace attached with a runtime role: whose rights its kernels have, what its page says, who may use it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PATIENCE
from tests.chaos.test_kill_parts import cluster_state, editor_status
from tests.support.lab import Lab, link, show, write_notebook
from tests.support.studio import Studio, until

LONG = 240_000
NAME, ROLE = "role.ipynb", "panel-reader"
SCOPED = {"AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}}}
WHO = """import boto3
from pyspark.sql.functions import udf
def who(_):
    import boto3
    return boto3.client("sts").get_caller_identity()["Arn"].split("/")[1]
print("kernel", who(0), "executors", spark.range(1).select(udf(who, "string")("id")).first()[0])
def read(name):
    for reader in (lambda: boto3.client("s3").get_object(Bucket="{bucket}", Key="role/" + name)["Body"].read().decode(),
                   lambda: spark.read.text("s3://{bucket}/role/" + name).first()[0]):
        try:
            yield reader()
        except Exception as error:
            yield "refused" if "AccessDenied" in str(error) or "403" in str(error) else str(error)
print(*read("own.txt"), *read("other.txt"), "end")"""


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Roles:
    """A cluster that allows runtime roles, a Workspace of the sample user, and a role that she may take there."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.emr, self.admin = studio, studio.client("emr", "sample"), studio.client("emr")
        self.iam, self.s3 = studio.client("iam"), studio.client("s3")
        self.bucket = studio.json["s3"]["default_location"].removeprefix("s3://").partition("/")[0]
        self.user = str(studio.json["sample"]["user_name"])
        self.role_arn = self._role()
        self.admin.create_security_configuration(Name=ROLE, SecurityConfiguration=json.dumps(SCOPED))
        self.cluster_id = self._cluster()
        created = self.emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="with-a-role")
        self.editor_id = str(created["EditorId"])
        until("the Workspace is ready", lambda: editor_status(self.emr, self.editor_id) == "Ready")
        write_notebook(self.emr, self.editor_id, NAME, WHO.replace("{bucket}", self.bucket))
        until("the cluster waits", lambda: cluster_state(self.emr, self.cluster_id) == "WAITING", 400)

    def _role(self) -> str:
        for name in ("own", "other"):
            self.s3.put_object(Bucket=self.bucket, Key=f"role/{name}.txt", Body=f"of-{name}".encode())
        nodes = f"arn:aws:iam::{self.studio.json['account_id']}:role/EMR_EC2_DefaultRole"
        trust = {"Effect": "Allow", "Principal": {"AWS": nodes}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        arn = self.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        bucket = f"arn:aws:s3:::{self.bucket}"
        own = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{bucket}/role/own.txt"}
        # Spark lists what it reads.
        there = {"StringLike": {"s3:prefix": ["role/own.txt", "role/own.txt/*"]}}
        listed = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket, "Condition": there}
        self.iam.put_role_policy(RoleName=ROLE, PolicyName="own", PolicyDocument=_policy(own, listed))
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn}
        self.iam.put_role_policy(RoleName="EMR_EC2_DefaultRole", PolicyName=ROLE, PolicyDocument=_policy(assume))
        take = {
            "Effect": "Allow",
            "Action": "elasticmapreduce:GetClusterSessionCredentials",
            "Resource": "*",
            "Condition": {"StringEquals": {"elasticmapreduce:ExecutionRoleArn": arn}},
        }
        self.iam.put_user_policy(UserName=self.user, PolicyName=ROLE, PolicyDocument=_policy(take))
        return str(arn)

    def _cluster(self) -> str:
        answer = self.admin.run_job_flow(
            Name="with-roles",
            ReleaseLabel="emr-8.0.0",
            Applications=[{"Name": name} for name in ("Spark", "Livy", "JupyterEnterpriseGateway")],
            ServiceRole="EMR_DefaultRole_V2",
            JobFlowRole="EMR_EC2_DefaultRole",
            SecurityConfiguration=ROLE,
            Instances={
                "InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}],
                "Ec2SubnetId": self.studio.json["network"]["subnet_ids"][1],
                "KeepJobFlowAliveWhenNoSteps": True,
            },
        )
        return str(answer["JobFlowId"])

    def clean(self) -> None:
        self.emr.delete_editor(EditorId=self.editor_id)
        self.admin.terminate_job_flows(JobFlowIds=[self.cluster_id])
        self.admin.delete_security_configuration(Name=ROLE)
        self.iam.delete_user_policy(UserName=self.user, PolicyName=ROLE)
        self.iam.delete_role_policy(RoleName="EMR_EC2_DefaultRole", PolicyName=ROLE)
        self.iam.delete_role_policy(RoleName=ROLE, PolicyName="own")
        self.iam.delete_role(RoleName=ROLE)


@pytest.fixture
def roles(studio: Studio) -> Iterator[Roles]:
    made = Roles(studio)
    yield made
    made.clean()


@pytest.fixture
def lab(roles: Roles, browser: Browser) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    no_kernel = page.locator(".jp-Dialog").filter(has_text="Kernel").locator("button.jp-mod-accept")
    page.add_locator_handler(no_kernel, lambda button: button.click(), no_wait_after=True)
    yield Lab(page, roles.emr, roles.editor_id, NAME)
    context.close()


@pytest.mark.capability("CL-15", "CL-16", "EX-05")
def test_with_a_runtime_role_a_workspace_is_one_persons_alone(roles: Roles, lab: Lab, artifacts: Path) -> None:
    page = lab.page
    compute = show(page, "Compute")
    compute.get_by_text("Attach with a runtime role").click()
    compute.get_by_label("Runtime role").fill(roles.role_arn)
    compute.get_by_role("button", name="Attach with-roles").click()
    expect(compute).to_contain_text("Attached to with-roles", timeout=LONG)
    expect(compute).to_contain_text(f"Runtime role: {roles.role_arn}")
    page.screenshot(path=artifacts / "role-compute.png")
    lab.has_kernel()
    lab.run(0)
    # By boto3 and by Spark: what the role may read, and what only the cluster's own could.
    until("the cell has run", lambda: "end\n" in lab.outputs(0) + "\n" or "Error" in lab.outputs(0), 400)
    assert "of-own of-own refused refused end" in lab.outputs(0), lab.outputs(0)
    assert f"kernel {ROLE} executors {ROLE}" in lab.outputs(0)

    explorer = show(page, "SQL explorer")
    expect(explorer).to_contain_text("Not with a runtime role")
    expect(explorer).to_contain_text("Use %%sql in a PySpark notebook")
    expect(explorer.locator("button, input, select, summary, a")).to_have_count(0)
    page.screenshot(path=artifacts / "role-sql.png")
    collaboration = show(page, "Collaboration")
    expect(collaboration).to_contain_text("Not while it is attached with a runtime role")
    expect(collaboration.get_by_role("switch")).to_be_disabled()
    page.screenshot(path=artifacts / "role-collaboration.png")
    with pytest.raises(ClientError, match=r"\(AccessDeniedException\).* did not attach .* with its runtime role"):
        link(roles.admin, roles.editor_id)

    show(page, "Compute").get_by_role("button", name="Detach").click()
    expect(compute).to_contain_text("No compute attached")
    expect(show(page, "Collaboration").get_by_role("switch")).to_be_enabled()
