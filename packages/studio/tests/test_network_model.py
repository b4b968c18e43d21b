"""The default network, addresses and the rules between the two security groups."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base, Database
from emr_studio.network import model
from emr_studio.settings import Settings

ACCOUNT = "123456789012"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


def test_default_network_has_three_zones_and_is_made_once(database: Database, settings: Settings) -> None:
    with database.write() as session:
        first = model.ensure_default_network(session, settings, ACCOUNT)
    with database.write() as session:
        assert model.ensure_default_network(session, settings, ACCOUNT) == first
        other = model.ensure_default_network(session, settings, "210987654321")
    assert other.vpc_id != first.vpc_id
    with database.read() as session:
        subnets = model.get_subnets(session, ACCOUNT, first.subnet_ids)
        vpc = model.find_vpc(session, ACCOUNT, first.vpc_id)
    assert [s.availability_zone for s in subnets] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert [s.cidr_block for s in subnets] == ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"]
    assert vpc.tags == {model.EMR_MANAGED_TAG: "true"}
    assert all(s.tags == vpc.tags for s in subnets)


def test_default_groups_let_only_the_gateway_port_through(database: Database, settings: Settings) -> None:
    with database.write() as session:
        network = model.ensure_default_network(session, settings, ACCOUNT)
        engine, workspace = network.engine_security_group_id, network.workspace_security_group_id
        assert model.connection_allowed(session, workspace, engine, 18888)
        assert not model.connection_allowed(session, workspace, engine, 22)
        assert not model.connection_allowed(session, engine, workspace, 18888)


@pytest.mark.capability("NW-03")
def test_the_default_groups_have_these_rules_and_no_others(database: Database, settings: Settings) -> None:
    with database.write() as session:
        network = model.ensure_default_network(session, settings, ACCOUNT)
        groups = {group.id: group for group in session.query(model.SecurityGroup)}
        names = {group_id: group.name for group_id, group in groups.items()}
        rules = sorted(
            (names[r.group_id], r.egress, r.protocol, r.from_port, r.to_port, r.cidr or names[r.peer_group_id or ""])
            for r in session.query(model.SecurityGroupRule)
        )
    engine, git = "DefaultEngineSecurityGroup", "DefaultWorkspaceSecurityGroupGit"
    without = "DefaultWorkspaceSecurityGroupWithoutGit"
    assert rules == [
        (engine, False, "tcp", 18888, 18888, git),
        (engine, False, "tcp", 18888, 18888, without),
        (git, True, "tcp", 443, 443, "0.0.0.0/0"),
        (git, True, "tcp", 18888, 18888, engine),
        (without, True, "tcp", 18888, 18888, engine),
    ]
    assert all(group.tags == {"for-use-with-amazon-emr-managed-policies": "true"} for group in groups.values())
    assert all(group.vpc_id == network.vpc_id for group in groups.values())
    assert names[network.workspace_security_group_without_git_id] == without


def test_a_network_from_before_gets_the_group_without_git(database: Database, settings: Settings) -> None:
    with database.write() as session:
        group_id = model.ensure_default_network(session, settings, ACCOUNT).workspace_security_group_without_git_id
        session.query(model.SecurityGroupRule).filter_by(group_id=group_id).delete()
        session.query(model.SecurityGroupRule).filter_by(peer_group_id=group_id).delete()
        session.query(model.SecurityGroup).filter_by(id=group_id).delete()
    with database.write() as session:
        network = model.ensure_default_network(session, settings, ACCOUNT)
        again, engine = network.workspace_security_group_without_git_id, network.engine_security_group_id
        assert again != group_id
        assert model.connection_allowed(session, again, engine, 18888)
        assert not model.egress_allowed(session, again, ipaddress.ip_address("140.82.112.3"), 443)


def test_a_subnet_without_a_nat_leads_nowhere(database: Database, settings: Settings) -> None:
    with database.write() as session:
        subnet_id = model.ensure_default_network(session, settings, ACCOUNT).subnet_ids[0]
        assert model.no_way_out(session, subnet_id) == ""
        for way, said in (("igw", "is public"), ("none", "has no NAT")):
            model.set_outbound(session, subnet_id, way)
            assert said in model.no_way_out(session, subnet_id)
        model.set_outbound(session, subnet_id, "nat")
        assert model.no_way_out(session, subnet_id) == ""
        with pytest.raises(InvalidRequest, match="one of nat, igw, none"):
            model.set_outbound(session, subnet_id, "vpn")
        with pytest.raises(InvalidRequest, match="does not exist"):
            model.set_outbound(session, "subnet-0", "nat")


def test_another_accounts_network_is_unknown(database: Database, settings: Settings) -> None:
    with database.write() as session:
        network = model.ensure_default_network(session, settings, ACCOUNT)
        with pytest.raises(InvalidRequest, match=r"Subnet 'subnet-.*' does not exist"):
            model.get_subnets(session, "210987654321", network.subnet_ids)
        with pytest.raises(InvalidRequest, match="Security group"):
            model.get_security_groups(session, "210987654321", [network.engine_security_group_id])
        with pytest.raises(InvalidRequest, match="VpcId"):
            model.find_vpc(session, "210987654321", network.vpc_id)


def test_addresses_are_unique_and_given_back(database: Database, settings: Settings) -> None:
    with database.write() as session:
        network = model.ensure_default_network(session, settings, ACCOUNT)
    taken: list[str] = []

    def take(owner: str) -> None:
        for _ in range(20):
            with database.write() as session:
                taken.append(model.allocate_address(session, network.subnet_ids[1], owner))

    threads = [threading.Thread(target=take, args=(f"ci-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 80
    assert all(16 <= int(ip.split(".")[2]) < 32 for ip in taken)
    with database.write() as session:
        for number in range(4):
            model.release_addresses(session, f"ci-{number}")
        assert session.query(model.Address).count() == 0


def test_a_full_subnet_says_so(database: Database, settings: Settings) -> None:
    with database.write() as session:
        network = model.ensure_default_network(session, settings, ACCOUNT)
        small = session.get(model.Subnet, network.subnet_ids[0])
        assert small is not None
        small.cidr_block = "172.31.0.0/28"
        ips = {model.allocate_address(session, small.id, "ci-1") for _ in range(11)}
        assert ips == {f"172.31.0.{n}" for n in range(4, 15)}
        with pytest.raises(InvalidRequest, match="no free address"):
            model.allocate_address(session, small.id, "ci-1")


def test_loopback_address(settings: Settings) -> None:
    assert model.loopback_address(settings, "172.31.20.7") == "127.31.20.7"
