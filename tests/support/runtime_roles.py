"""Roles that work on a cluster may have: a security configuration that allows them, and who assumes them."""

from __future__ import annotations

import json
from typing import Any

from emr_studio.iam import writing
from emr_studio.iam.entities import resolve_role
from tests.support.cluster_play import PROFILE, ClusterPlay
from tests.support.emr_world import ACCOUNT, statement

SCOPED = {"AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}}}
NODES = f"arn:aws:iam::{ACCOUNT}:role/{PROFILE}"
DATA = f"arn:aws:iam::{ACCOUNT}:role/data"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}
"""Who of the account may assume the role is for that account's policies."""


def allow_runtime_roles(play: ClusterPlay) -> dict[str, Any]:
    """Make the role `data`, which nobody may assume yet; what a cluster with runtime roles is created with."""
    play.emr.call("CreateSecurityConfiguration", Name="scoped", SecurityConfiguration=json.dumps(SCOPED))
    play.emr.role("data", statement("s3:GetObject"), trust=TRUST)
    let_nodes_assume(play, f"{DATA}-of-others")
    return {"SecurityConfiguration": "scoped"}


def let_nodes_assume(play: ClusterPlay, role_arn: str) -> None:
    """Let the instance profile's role assume this role, and no other."""
    document = {"Version": "2012-10-17", "Statement": [statement("sts:AssumeRole", role_arn)]}
    with play.emr.database.write() as session:
        role = resolve_role(session, ACCOUNT, PROFILE)
        writing.put_inline(session, ACCOUNT, role.id, "own", json.dumps(document))
