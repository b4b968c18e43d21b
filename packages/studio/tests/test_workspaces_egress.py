"""Whether a Workspace may go out is what its Studio's Workspace security group says at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete
from starlette.datastructures import Headers

from emr_studio import ids
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.network.model import SecurityGroupRule, set_outbound
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.studios.model import Studio
from emr_studio.workspaces.egress import EgressGate
from emr_studio.workspaces.model import Editor
from tests.support.emr_world import ACCOUNT, emr_world
from tests.support.workspace_play import Play


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        yield Play(emr, InProcessRuntime(instant=True), emr.studio())


def ask(play: Play, path: str) -> EdgeAnswer:
    return EgressGate(play.emr.database)(EdgeRequest("GET", path, "control-plane", Headers({}), "127.0.0.1"))


def group_of(play: Play) -> str:
    with play.emr.database.read() as session:
        return session.get_one(Studio, play.studio_id).workspace_security_group_id


def revoke(play: Play) -> None:
    """RevokeSecurityGroupEgress of what leads outside."""
    with play.emr.database.write() as session:
        session.execute(delete(SecurityGroupRule).where(SecurityGroupRule.cidr.is_not(None)))


def authorize(play: Play, cidr: str, first: int, last: int, protocol: str = "tcp", *, egress: bool = True) -> None:
    """AuthorizeSecurityGroupEgress."""
    rule = SecurityGroupRule(
        id=ids.ec2_id("sgr"),
        account_id=ACCOUNT,
        region="us-east-1",
        group_id=group_of(play),
        egress=egress,
        protocol=protocol,
        from_port=first,
        to_port=last,
        cidr=cidr,
    )
    with play.emr.database.write() as session:
        session.add(rule)


def test_443_is_allowed_by_the_default_group_and_nothing_else(play: Play) -> None:
    editor_id = play.ready()
    assert ask(play, f"/{editor_id}/140.82.112.3/443").status == 204
    refused = ask(play, f"/{editor_id}/140.82.112.3/22")
    assert refused.status == 403
    assert group_of(play) in refused.body.decode()
    assert "port 22" in refused.body.decode()
    # No rule names an IPv6 block.
    assert ask(play, f"/{editor_id}/2606:50c0:8000::153/443").status == 403


def test_a_public_subnet_leads_nowhere_whatever_the_group_allows(play: Play) -> None:
    editor_id = play.ready()
    with play.emr.database.write() as session:
        subnet_id = session.get_one(Editor, editor_id).subnet_id
        set_outbound(session, subnet_id, "igw")
    refused = ask(play, f"/{editor_id}/140.82.112.3/443")
    assert (refused.status, subnet_id in refused.body.decode()) == (403, True)
    assert "private subnet with a NAT" in refused.body.decode()
    with play.emr.database.write() as session:
        set_outbound(session, subnet_id, "nat")
    assert ask(play, f"/{editor_id}/140.82.112.3/443").status == 204


def test_revoked_it_is_refused_and_a_narrow_rule_allows_its_block_only(play: Play) -> None:
    editor_id = play.ready()
    revoke(play)
    assert ask(play, f"/{editor_id}/140.82.112.3/443").status == 403
    authorize(play, "140.82.112.0/20", 443, 443)
    authorize(play, "0.0.0.0/0", 8443, 8443, egress=False)
    authorize(play, "0.0.0.0/0", 53, 53, "udp")
    assert ask(play, f"/{editor_id}/140.82.112.3/443").status == 204
    for place in ("10.0.0.1/443", "140.82.112.3/8443", "140.82.112.3/53"):
        assert ask(play, f"/{editor_id}/{place}").status == 403, place
    authorize(play, "::/0", 0, 0, "-1")
    assert ask(play, f"/{editor_id}/2606:50c0:8000::153/8443").status == 204


def test_a_workspace_that_does_not_run_or_has_lost_its_studio_has_no_way_out(play: Play) -> None:
    editor_id = play.ready()
    with play.emr.database.write() as session:
        session.get_one(Editor, editor_id).studio_id = "es-GONE"
    assert "Studio no longer exists" in ask(play, f"/{editor_id}/140.82.112.3/443").body.decode()
    play.call("StopEditor", EditorId=editor_id)
    assert ask(play, f"/{editor_id}/140.82.112.3/443").status == 403
    for path in ("/e-NONE/140.82.112.3/443", "/e-1/x/443", "/", "/e-1/140.82.112.3/443/5", "/e-1/1.2.3.4/x"):
        assert ask(play, path).status == 403, path
