"""Terraform's `aws_emr_*` resources: apply, an empty second plan, a Studio replaced, import of all, destroy.

Runs where `terraform` and a mirror of its AWS provider are installed (`EMR_STUDIO_TF_PLUGINS`). The
configuration is `tests/support/emr_terraform.tf`. The provider looks at clusters every half minute, so all of
them come and go together.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emr_studio import app
from emr_studio.clock import SystemClock
from emr_studio.clusters.controller import ClusterReconciler
from emr_studio.network.model import SecurityGroup
from tests.api.test_iam_terraform import PLUGINS, Terraform
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_api import EmrApi, served_emr
from tests.support.emr_world import ACCOUNT, BUCKET

CONFIGURATION = Path(__file__).parents[1] / "support" / "emr_terraform.tf"
_TURN_SECONDS = 0.05


@contextmanager
def controlled(play: ClusterPlay) -> Iterator[None]:
    """Let a clusters' controller work by the real clock."""
    world, done = play.emr, threading.Event()
    controller = ClusterReconciler(world.database, SystemClock(), play.runtime, world.settings, play.probe)

    def work() -> None:
        while not done.wait(_TURN_SECONDS):
            for cluster_id in dict.fromkeys(controller.pending()):
                controller.reconcile(cluster_id)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join()


def prepare(folder: Path, api: EmrApi) -> Terraform:
    folder.mkdir()
    shutil.copy(CONFIGURATION, folder / "main.tf")
    (folder / "rc").write_text(f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}\n')
    key_id, secret = api.key("admin")
    network = api.world.network
    variables = {
        "endpoint": api.endpoint,
        "vpc": network.vpc_id,
        "subnet": network.subnet_ids[0],
        "engine": network.engine_security_group_id,
        "workspace": network.workspace_security_group_id,
        "bucket": BUCKET,
    }
    own = {
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "TF_CLI_CONFIG_FILE": str(folder / "rc"),
        "CHECKPOINT_DISABLE": "1",
    }
    return Terraform(folder, os.environ | own | {f"TF_VAR_{name}": value for name, value in variables.items()})


def import_id(address: str, values: dict[str, Any]) -> str:
    """What `terraform import` takes for this resource."""
    if address.startswith(("aws_emr_instance_group.", "aws_emr_instance_fleet.")):
        return f"{values['cluster_id']}/{values['id']}"
    return "current" if "block_public_access" in address else str(values["id"])


def forget_and_import(terraform: Terraform) -> None:
    """Take all out of the state and import it again, which must change nothing."""
    state = terraform.state()
    terraform("state", "rm", *state)
    blocks = [f'import {{\n  to = {one}\n  id = "{import_id(one, values)}"\n}}\n' for one, values in state.items()]
    (terraform.folder / "imports.tf").write_text("".join(blocks))
    shown = terraform("apply", "-auto-approve")
    assert f"{len(state)} imported, 0 added" in shown, shown[-4000:]
    assert "0 destroyed" in shown
    (terraform.folder / "imports.tf").unlink()


def check_studio(terraform: Terraform, emr: Any) -> str:
    """The outputs are those of the only Studio; returns its id."""
    (studio,) = emr.list_studios()["Studios"]
    arn = emr.describe_studio(StudioId=studio["StudioId"])["Studio"]["StudioArn"]
    shown = json.JSONDecoder().raw_decode(terraform("output", "-json", "studio"))[0]
    assert shown == {"id": studio["StudioId"], "arn": arn, "url": studio["Url"]}
    return str(studio["StudioId"])


def replace_studio(terraform: Terraform, api: EmrApi, emr: Any) -> None:
    """What UpdateStudio cannot change takes a new Studio, and nothing else."""
    before, group = check_studio(terraform, emr), another_group(api)
    terraform.environment |= {"TF_VAR_workspace": group}
    shown = terraform("apply", "-auto-approve")
    assert "1 added, 0 changed, 1 destroyed" in shown, shown[-4000:]
    after = check_studio(terraform, emr)
    assert after != before
    assert emr.describe_studio(StudioId=after)["Studio"]["WorkspaceSecurityGroupId"] == group


def another_group(api: EmrApi) -> str:
    """A security group of the VPC beside those of the Studio."""
    own = {"account_id": ACCOUNT, "region": "us-east-1", "vpc_id": api.world.network.vpc_id}
    with api.world.database.write() as session:
        session.add(SecurityGroup(id="sg-0123456789abcdef0", name="other", tags={}, **own))
    return "sg-0123456789abcdef0"


@pytest.mark.capability("ST-25")
@pytest.mark.skipif(not (shutil.which("terraform") and PLUGINS.is_dir()), reason="no terraform with its provider here")
@pytest.mark.timeout(900)
def test_terraform_manages_clusters(tmp_path: Path) -> None:
    app.load_operations()
    with served_emr(tmp_path / "emr") as api:
        play = ClusterPlay(api.world, api.runtime)
        terraform, emr = prepare(tmp_path / "tf", api), api.client("emr", *api.key("admin"))
        with controlled(play):
            terraform("init")
            terraform("apply", "-auto-approve")
            terraform("plan", "-detailed-exitcode")
            labels = emr.list_release_labels()["ReleaseLabels"]
            assert json.loads(terraform("output", "-json", "labels").partition("\n")[0]) == labels
            clusters = {one["Name"]: one["Id"] for one in emr.list_clusters(ClusterStates=["WAITING"])["Clusters"]}
            assert sorted(clusters) == ["tf-fleets", "tf-groups"]
            replace_studio(terraform, api, emr)
            forget_and_import(terraform)
            terraform("plan", "-detailed-exitcode")
            terraform("destroy", "-auto-approve")
        assert not emr.list_clusters(ClusterStates=["STARTING", "RUNNING", "WAITING", "TERMINATING"])["Clusters"]
        assert not emr.list_studios()["Studios"]
        assert not emr.list_security_configurations()["SecurityConfigurations"]
        assert play.nothing_left()
