"""Out of a Workspace: Git over 443 as the security group allows, and not one address more.

A terminal in a real Workspace, the real control plane, and a Git server with TLS on "another machine".
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import delete, select

from emr_studio import ids
from emr_studio.clock import SystemClock
from emr_studio.db import Database
from emr_studio.network.model import SecurityGroup, SecurityGroupRule, Subnet, ensure_default_network, set_outbound
from emr_studio.settings import Settings
from emr_studio.studios.model import Studio
from emr_studio.workspaces.model import Editor
from tests.support.agent_rig import AgentRig, Workspace
from tests.support.far_away import FarAway, git_server
from tests.support.plane_rig import plane

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a Workspace a network of its own")
STUDIO = "es-NETWORK"
MINE, OTHER = "e-MINE", "e-OTHER"


@dataclass
class Scene:
    """Two Workspaces of one Studio, and a machine outside."""

    mine: Workspace
    other: Workspace
    far: FarAway
    database: Database
    group_id: str
    agent: AgentRig
    port: int

    def clone(self, name: str, port: int = 443) -> str:
        """Clone into a new folder; what Git says, or the file."""
        url = f"https://{self.far.address}:{port}/project.git"
        command = f"git -c http.sslCAInfo=/home/work/authority.pem clone -q {url} {name} 2>&1; cat {name}/README.md"
        return self.mine.shell(command)

    def asked(self, *places: str) -> str:
        """What the proxy answers to CONNECT, one line a place. (Curl leaves some places to itself.)"""
        script = (
            "import os, socket\nfrom urllib.parse import urlsplit\nproxy = urlsplit(os.environ['https_proxy'])\n"
            f"for place in {places!r}:\n"
            "    s = socket.create_connection((proxy.hostname, proxy.port), 20)\n"
            "    s.sendall(f'CONNECT {place} HTTP/1.1\\r\\n\\r\\n'.encode())\n"
            "    head, _, body = s.makefile('rb').read().decode().partition('\\r\\n\\r\\n')\n"
            "    print(head.split(' ')[1], body.strip())\n"
        )
        _write(self, "asks.py", script)
        return self.mine.shell("stty cols 1000; python3 asks.py")

    def revoke(self) -> None:
        """RevokeSecurityGroupEgress of all that leads outside."""
        with self.database.write() as session:
            outside = SecurityGroupRule.group_id == self.group_id, SecurityGroupRule.cidr.is_not(None)
            session.execute(delete(SecurityGroupRule).where(*outside))

    def authorize(self, cidr: str, port: int) -> None:
        """AuthorizeSecurityGroupEgress."""
        with self.database.write() as session:
            group = session.get_one(SecurityGroup, self.group_id)
            where = {"account_id": group.account_id, "region": group.region, "group_id": group.id, "cidr": cidr}
            session.add(
                SecurityGroupRule(
                    id=ids.ec2_id("sgr"), egress=True, protocol="tcp", from_port=port, to_port=port, **where
                )
            )


def _rows(database: Database, settings: Settings, now: dt.datetime) -> str:
    """A Studio in the default network and its two Workspaces; its Workspace security group."""
    with database.write() as session:
        group_id = ensure_default_network(session, settings, settings.account_id).workspace_security_group_id
        common = {
            "account_id": settings.account_id,
            "region": "us-east-1",
            "creation_time": now,
            "service_role_arn": "-",
        }
        places = {"vpc_id": "-", "engine_security_group_id": "-", "workspace_security_group_id": group_id}
        rest = dict.fromkeys(("service_role", "default_s3_location", "url"), "-")
        session.add(Studio(id=STUDIO, name="s", auth_mode="IAM", subnet_ids=[], **common, **places, **rest))
        names = dict.fromkeys(("name", "s3_location", "subnet_id", "availability_zone"), "-")
        for number, editor_id in enumerate((MINE, OTHER)):
            people = {"creator_user_id": "AIDAEXAMPLE", "last_modified_time": now, "uid": 412_700 + number}
            state = {"status": "Ready", "target": "Ready"}
            session.add(Editor(id=editor_id, studio_id=STUDIO, **common, **names, **people, **state))
    return group_id


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("network")
    with git_server(tmp_path_factory.mktemp("far")) as far, plane(folder) as rig:
        (folder / "emr-studio.toml").write_text(f"port = {rig.settings.port}\n")
        agent, database = AgentRig(folder), Database(rig.settings.sqlalchemy_url)
        agent.start()
        try:
            group_id = _rows(database, rig.settings, SystemClock().now())
            mine, other = (agent.launch(name, 412_700 + number) for number, name in enumerate((MINE, OTHER)))
            (folder / "workspaces" / MINE / "files" / "authority.pem").write_text(far.certificate)
            os.chmod(folder / "workspaces" / MINE / "files" / "authority.pem", 0o644)
            yield Scene(mine, other, far, database, group_id, agent, rig.settings.port)
        finally:
            agent.close()
            database.dispose()


@pytest.mark.capability("NW-02")
def test_git_goes_out_over_443_while_the_group_allows_it(scene: Scene) -> None:
    assert scene.clone("one") == "from far away"
    scene.revoke()
    try:
        refused = scene.clone("two")
        assert "403" in refused
        assert "README.md: No such file" in refused
        assert f"Security group {scene.group_id} does not let" in scene.asked(f"{scene.far.address}:443")
        scene.authorize(f"{scene.far.address}/32", 443)
        assert scene.clone("three") == "from far away"
        assert "403" in scene.clone("four", 8443)
        scene.revoke()
        scene.authorize("203.0.113.0/24", 443)
        assert "403" in scene.clone("five")
    finally:
        scene.revoke()
        scene.authorize("0.0.0.0/0", 443)


@pytest.mark.capability("NW-06")
def test_git_needs_a_private_subnet_with_a_nat(scene: Scene) -> None:
    def lead(way: str) -> None:
        with scene.database.write() as session:
            editor = session.get_one(Editor, MINE)
            editor.subnet_id = session.scalars(select(Subnet.id).order_by(Subnet.id)).first() or ""
            set_outbound(session, editor.subnet_id, way)

    try:
        for way in ("igw", "none"):
            lead(way)
            assert "403" in scene.clone(f"by-{way}")
            assert "Use a private subnet with a NAT." in scene.asked(f"{scene.far.address}:443")
    finally:
        lead("nat")
    assert scene.clone("by-nat") == "from far away"


def test_whatever_the_rules_allow_nothing_of_this_machine_is_reached(scene: Scene) -> None:
    for port in (scene.port, 22, 80):
        scene.authorize("0.0.0.0/0", port)
    inside = (
        *(f"127.0.0.1:{scene.port}", "127.0.0.1:22", "127.31.0.9:443", f"{scene.far.near}:443", "0.0.0.0:443"),
        *("169.254.169.254:443", "169.254.169.254:80", "localhost:443", f"localhost:{scene.port}", "[::1]:443"),
        *("2130706433:443", "0x7f000001:443", "127.1:443", "[::ffff:127.0.0.1]:443", "[fe80::1]:443"),
        *("[fd00:ec2::254]:443", "255.255.255.255:443", "224.0.0.1:443"),
    )
    answers = scene.asked(*inside).split("\n")
    assert len(answers) == len(inside)
    assert [line for line in answers if not line.startswith("403 ")] == []


def test_it_reaches_no_socket_of_its_neighbours_and_there_is_no_other_way(scene: Scene) -> None:
    _write(
        scene,
        "direct.py",
        "import socket, sys\ns = socket.socket()\ns.settimeout(5)\n"
        f"print(s.connect_ex(({scene.far.address!r}, 443)))\n",
    )
    # No route leads out of its network: 101 is ENETUNREACH.
    assert scene.mine.shell("python3 direct.py") == "101"
    assert "Permission denied" in scene.mine.shell("ls /run/emr-studio 2>&1")
    elsewhere = scene.agent.settings.workspace_run_dir(OTHER)
    assert "No such file" in scene.mine.shell(f"ls {elsewhere}/n.sock {scene.agent.settings.api_socket} 2>&1")
    # A port of one's own is one's own: the neighbour's loopback is another one.
    listening = (
        "import socket, os; s = socket.socket(); s.bind(('127.0.0.1', 8080)); s.listen(); os.system('sleep 600')"
    )
    scene.other.shell(f'(python3 -c "{listening}" >/dev/null 2>&1 &) ; true')
    _write(scene, "scan.py", "import socket\nprint(socket.socket().connect_ex(('127.0.0.1', 8080)))\n")
    assert scene.mine.shell("python3 scan.py") == "111"


def test_what_is_not_tls_is_refused(scene: Scene) -> None:
    answer = scene.mine.shell("curl -s -m 100 -x $https_proxy http://example.com/")
    assert "by TLS alone" in answer


def _write(scene: Scene, name: str, text: str) -> None:
    with scene.mine.client() as client:
        body = {"type": "file", "format": "text", "content": text}
        client.put(f"/api/contents/{name}", json=body).raise_for_status()
