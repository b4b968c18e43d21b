"""AWS inside a Workspace's terminal: the role of the attached cluster's code, nothing while detached."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from emr_studio.clock import SystemClock
from emr_studio.db import Database
from emr_studio.iam.services import grant_role, revoke_grants
from emr_studio.runtime.contract import Gateway
from emr_studio.storage.store import read_ports
from emr_studio.workspaces.model import Editor
from tests.support.agent_rig import AgentRig, Workspace, until
from tests.support.plane_rig import Plane, plane

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a Workspace a network of its own"),
]
BUCKET = "another-teams"


@dataclass
class Inside:
    """A Workspace, and the studio around it."""

    rig: Plane
    agent: AgentRig
    workspace: Workspace
    database: Database

    def attach(self, token: str) -> None:
        self.agent.runtime.set_gateway(self.workspace.id, Gateway("127.0.0.1:1", "t", "j-1", token))

    def grant(self) -> str:
        with self.database.write() as session:
            return grant_role(
                session,
                account_id=self.rig.settings.account_id,
                role_arn="EMR_EC2_DefaultRole",
                session_name="i-1",
                owner="cluster/j-1",
            )


def known_workspace(editor_id: str, account_id: str) -> Editor:
    """The row of a Workspace: connections to one that the control plane does not know are closed."""
    now = SystemClock().now()
    names = ("name", "studio_id", "s3_location", "service_role_arn", "subnet_id", "availability_zone")
    return Editor(
        id=editor_id,
        account_id=account_id,
        region="us-east-1",
        creator_user_id="AIDAEXAMPLE",
        creation_time=now,
        last_modified_time=now,
        status="Ready",
        target="Ready",
        uid=412399,
        **dict.fromkeys(names, "-"),
    )


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    folder = tmp_path_factory.mktemp("inside")
    with plane(folder) as rig:
        (folder / "emr-studio.toml").write_text(f"port = {rig.settings.port}\n")
        agent, database = AgentRig(folder), Database(rig.settings.sqlalchemy_url)
        agent.start()
        with database.write() as session:
            session.add(known_workspace("e-CREDENTIALS", rig.settings.account_id))
        try:
            region = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
            yield Inside(rig, agent, agent.launch("e-CREDENTIALS", 412399, environment=region), database)
        finally:
            agent.close()
            database.dispose()


def test_a_terminal_has_what_the_kernels_have(inside: Inside) -> None:
    shell = inside.workspace.shell
    bucket = f"emr-studio-{inside.rig.settings.account_id}-us-east-1"
    s3 = inside.rig.client("s3")
    for name in (bucket, BUCKET):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="x", Body=b"data of a team")
    until(lambda: "credentials" in shell("aws sts get-caller-identity 2>&1").lower())
    inside.attach(inside.grant())
    until(lambda: "Arn" in shell("aws sts get-caller-identity 2>&1"))
    who = json.loads(shell("aws sts get-caller-identity --output json"))
    assert who["Arn"].endswith(":assumed-role/EMR_EC2_DefaultRole/i-1")
    assert shell(f"aws s3 cp s3://{bucket}/x -") == "data of a team"
    assert "AccessDenied" in shell(f"aws s3api get-object --bucket {BUCKET} --key x /tmp/x 2>&1")
    inside.agent.runtime.set_gateway(inside.workspace.id, None)
    until(lambda: "Arn" not in shell("aws sts get-caller-identity 2>&1"))


def test_they_end_with_the_cluster(inside: Inside) -> None:
    inside.attach(inside.grant())
    token = "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN"
    fetch = f'curl -s -H "{token}" $AWS_CONTAINER_CREDENTIALS_FULL_URI'
    until(lambda: "AccessKeyId" in inside.workspace.shell(fetch))
    with inside.database.write() as session:
        revoke_grants(session, "cluster/j-1")
    assert "AccessDenied" in inside.workspace.shell(fetch)
    assert "AccessDenied" in inside.workspace.shell("curl -s $AWS_CONTAINER_CREDENTIALS_FULL_URI")


def test_the_way_leads_to_the_edge_and_nowhere_else(inside: Inside) -> None:
    settings = inside.rig.settings
    for port in (*read_ports(settings).values(), 4599, settings.port):
        assert inside.workspace.shell(f"(echo > /dev/tcp/127.0.0.1/{port}) 2> /dev/null || echo shut") == "shut", port
    assert inside.workspace.shell("(echo > /dev/tcp/192.0.2.1/443) 2> /dev/null || echo shut") == "shut"
    reached = inside.workspace.shell("curl -s -o /dev/null -w '%{http_code}' $AWS_ENDPOINT_URL/_edge/s3")
    assert reached == "404"
    forged = "curl -s -o /dev/null -w '%{http_code}' -H 'X-Emr-Studio-Question: 1' $AWS_ENDPOINT_URL/_edge/workspace"
    assert inside.workspace.shell(forged) == "404"
    for path in (settings.api_socket, settings.keys_dir, settings.store_dir):
        assert "No such file" in inside.workspace.shell(f"ls {path} 2>&1")
