"""Tables of the network and what other domains may ask of it.

A default VPC with three subnets in three Availability Zones and the two security groups of a Studio
exist for every account from the start (emr-studio.md section 4: port 18888 from the Workspace to the
engine, no way into a Workspace, 443 out of it for Git).

Instances are addresses of their subnet. On one machine an address is bound as a loopback address,
so the two last octets are unique in the whole installation, whichever account or VPC they are in.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ForeignKey, Index, delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio import ids
from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base
from emr_studio.settings import Settings

EMR_MANAGED_TAG = "for-use-with-amazon-emr-managed-policies"
GATEWAY_PORT = 18888
CONNECT_PORT, LIVY_PORT = 15002, 8998
_VPC_CIDR = "172.31.0.0/16"
_SUBNET_PREFIX = 20
_ZONES = "abc"
_ENGINE_GROUP = "DefaultEngineSecurityGroup"
_GIT_GROUP, _NO_GIT_GROUP = "DefaultWorkspaceSecurityGroupGit", "DefaultWorkspaceSecurityGroupWithoutGit"
OUTBOUND = ("nat", "igw", "none")
"""How a subnet's routes lead to the internet: a NAT, an internet gateway (a public subnet), not at all."""
# AWS keeps the first four addresses of a subnet (network, router, DNS, future use) and the last one.
_RESERVED_AT_START = 4
_RANDOM_TRIES = 16


class Vpc(Base):
    """A virtual private cloud."""

    __tablename__ = "vpcs"
    __table_args__ = (
        # One default VPC in a region, also when two processes make it at once.
        Index(
            "ux_vpcs_default",
            "account_id",
            "region",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(index=True)
    region: Mapped[str]
    cidr_block: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=False)
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)


class Subnet(Base):
    """A subnet: an address block in one Availability Zone."""

    __tablename__ = "subnets"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(index=True)
    region: Mapped[str]
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id"), index=True)
    cidr_block: Mapped[str]
    availability_zone: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=False)
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    outbound: Mapped[str] = mapped_column(default="nat", server_default="nat")
    """One of `OUTBOUND`. A Workspace has a private address only, for which an internet gateway does nothing."""


class SecurityGroup(Base):
    """A security group; its rules are rows of their own."""

    __tablename__ = "security_groups"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(index=True)
    region: Mapped[str]
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id"), index=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)


class SecurityGroupRule(Base):
    """One permission of a security group: from or to a block of addresses or another group."""

    __tablename__ = "security_group_rules"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    region: Mapped[str]
    group_id: Mapped[str] = mapped_column(ForeignKey("security_groups.id", ondelete="CASCADE"), index=True)
    egress: Mapped[bool]
    protocol: Mapped[str] = mapped_column(default="tcp")
    """`tcp`, `udp`, `icmp`, or `-1` for all."""
    from_port: Mapped[int]
    to_port: Mapped[int]
    cidr: Mapped[str | None] = mapped_column(default=None)
    peer_group_id: Mapped[str | None] = mapped_column(default=None)


class Address(Base):
    """An address that is in use."""

    __tablename__ = "addresses"
    __table_args__ = (Index("ux_addresses_host_part", "host_part", unique=True),)

    ip: Mapped[str] = mapped_column(primary_key=True)
    host_part: Mapped[str]
    """The two last octets: what tells instances apart where addresses are loopback addresses."""
    subnet_id: Mapped[str] = mapped_column(ForeignKey("subnets.id"), index=True)
    owner: Mapped[str] = mapped_column(index=True)


@dataclass(frozen=True)
class DefaultNetwork:
    """Ids of an account's default network."""

    vpc_id: str
    subnet_ids: tuple[str, ...]
    engine_security_group_id: str
    workspace_security_group_id: str
    """The one with Git."""
    workspace_security_group_without_git_id: str


def ensure_default_network(session: Session, settings: Settings, account_id: str) -> DefaultNetwork:
    """Return the account's default network in the installation's region; make it if it is not there."""
    vpc = session.scalar(
        select(Vpc).where(Vpc.account_id == account_id, Vpc.region == settings.region, Vpc.is_default.is_(True))
    )
    vpc = vpc or _create_default(session, settings.region, account_id)
    _ensure_group_without_git(session, vpc)
    return _describe_default(session, vpc)


def _describe_default(session: Session, vpc: Vpc) -> DefaultNetwork:
    subnets = session.scalars(select(Subnet).where(Subnet.vpc_id == vpc.id, Subnet.is_default.is_(True)))
    groups = {g.name: g.id for g in session.scalars(select(SecurityGroup).where(SecurityGroup.vpc_id == vpc.id))}
    return DefaultNetwork(
        vpc_id=vpc.id,
        subnet_ids=tuple(s.id for s in sorted(subnets, key=lambda s: s.availability_zone)),
        engine_security_group_id=groups[_ENGINE_GROUP],
        workspace_security_group_id=groups[_GIT_GROUP],
        workspace_security_group_without_git_id=groups[_NO_GIT_GROUP],
    )


def _create_default(session: Session, region: str, account_id: str) -> Vpc:
    tags = {EMR_MANAGED_TAG: "true"}
    common = {"account_id": account_id, "region": region}
    vpc = Vpc(id=ids.ec2_id("vpc"), cidr_block=_VPC_CIDR, is_default=True, tags=dict(tags), **common)
    session.add(vpc)
    session.flush()
    blocks = ipaddress.ip_network(_VPC_CIDR).subnets(new_prefix=_SUBNET_PREFIX)
    for zone, block in zip(_ZONES, blocks, strict=False):
        session.add(
            Subnet(
                id=ids.ec2_id("subnet"),
                vpc_id=vpc.id,
                cidr_block=str(block),
                availability_zone=region + zone,
                is_default=True,
                tags=dict(tags),
                **common,
            )
        )
    _create_default_groups(session, vpc)
    session.flush()
    return vpc


def _create_default_groups(session: Session, vpc: Vpc) -> None:
    engine = _new_group(vpc, _ENGINE_GROUP, "EMR Studio: compute")
    workspace = _new_group(vpc, _GIT_GROUP, "EMR Studio: Workspaces, with Git over HTTPS")
    session.add_all([engine, workspace])
    session.flush()
    session.add_all(
        [
            _new_rule(engine, GATEWAY_PORT, egress=False, peer_group_id=workspace.id),
            _new_rule(workspace, GATEWAY_PORT, egress=True, peer_group_id=engine.id),
            _new_rule(workspace, 443, egress=True, cidr="0.0.0.0/0"),
        ]
    )


def _ensure_group_without_git(session: Session, vpc: Vpc) -> None:
    """Installations from before there was one get it too."""
    groups = {g.name: g for g in session.scalars(select(SecurityGroup).where(SecurityGroup.vpc_id == vpc.id))}
    if _NO_GIT_GROUP in groups:
        return
    engine, workspace = groups[_ENGINE_GROUP], _new_group(vpc, _NO_GIT_GROUP, "EMR Studio: Workspaces, without Git")
    session.add(workspace)
    session.flush()
    session.add_all(
        [
            _new_rule(engine, GATEWAY_PORT, egress=False, peer_group_id=workspace.id),
            _new_rule(workspace, GATEWAY_PORT, egress=True, peer_group_id=engine.id),
        ]
    )
    session.flush()


def _new_group(vpc: Vpc, name: str, description: str) -> SecurityGroup:
    return SecurityGroup(
        id=ids.ec2_id("sg"),
        account_id=vpc.account_id,
        region=vpc.region,
        vpc_id=vpc.id,
        name=name,
        description=description,
        tags={EMR_MANAGED_TAG: "true"},
    )


def _new_rule(
    group: SecurityGroup, port: int, *, egress: bool, cidr: str | None = None, peer_group_id: str | None = None
) -> SecurityGroupRule:
    return SecurityGroupRule(
        id=ids.ec2_id("sgr"),
        account_id=group.account_id,
        region=group.region,
        group_id=group.id,
        egress=egress,
        from_port=port,
        to_port=port,
        cidr=cidr,
        peer_group_id=peer_group_id,
    )


def find_vpc(session: Session, account_id: str, vpc_id: str) -> Vpc:
    """Return the account's VPC.

    Raises:
        InvalidRequest: if the account has none of that id.
    """
    vpc = session.get(Vpc, vpc_id)
    if vpc is None or vpc.account_id != account_id:
        raise InvalidRequest(f"VpcId '{vpc_id}' does not exist.")
    return vpc


def get_subnets(session: Session, account_id: str, ids: Sequence[str]) -> list[Subnet]:
    """Return the account's subnets of those ids, in that order.

    Raises:
        InvalidRequest: naming the first id that the account does not have.
    """
    found = {s.id: s for s in session.scalars(select(Subnet).where(Subnet.id.in_(ids)))}
    for subnet_id in ids:
        if subnet_id not in found or found[subnet_id].account_id != account_id:
            raise InvalidRequest(f"Subnet '{subnet_id}' does not exist.")
    return [found[i] for i in ids]


def get_security_groups(session: Session, account_id: str, ids: Sequence[str]) -> list[SecurityGroup]:
    """Return the account's security groups of those ids, in that order.

    Raises:
        InvalidRequest: naming the first id that the account does not have.
    """
    found = {g.id: g for g in session.scalars(select(SecurityGroup).where(SecurityGroup.id.in_(ids)))}
    for group_id in ids:
        if group_id not in found or found[group_id].account_id != account_id:
            raise InvalidRequest(f"Security group '{group_id}' does not exist.")
    return [found[i] for i in ids]


def connection_allowed(session: Session, source_group_id: str, target_group_id: str, port: int) -> bool:
    """True if TCP from `source_group_id` may leave it and may enter `target_group_id` at `port`.

    Rules that name a block of addresses count only if they allow every address.
    """
    return _allows(session, source_group_id, port, target_group_id, egress=True) and _allows(
        session, target_group_id, port, source_group_id, egress=False
    )


def egress_allowed(
    session: Session, group_id: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> bool:
    """True if an outbound rule of the group names a block with `address`, and TCP at `port`."""
    rules = session.scalars(
        select(SecurityGroupRule).where(
            SecurityGroupRule.group_id == group_id,
            SecurityGroupRule.egress.is_(True),
            SecurityGroupRule.cidr.is_not(None),
        )
    )
    return any(_is_for(rule, port) and address in ipaddress.ip_network(rule.cidr or "", strict=False) for rule in rules)


def set_outbound(session: Session, subnet_id: str, outbound: str) -> None:
    """Say how the subnet's routes lead to the internet.

    Raises:
        InvalidRequest: there is no such subnet, or no such way.
    """
    subnet = session.get(Subnet, subnet_id)
    if subnet is None:
        raise InvalidRequest(f"Subnet '{subnet_id}' does not exist.")
    if outbound not in OUTBOUND:
        raise InvalidRequest(f"A subnet's way out is one of {', '.join(OUTBOUND)}, not '{outbound}'.")
    subnet.outbound = outbound


def no_way_out(session: Session, subnet_id: str) -> str:
    """Why nothing with a private address alone gets from the subnet to the internet; empty if it does."""
    subnet = session.get(Subnet, subnet_id)
    if subnet is None or subnet.outbound == "nat":
        return ""
    what = "is public: its internet gateway serves public addresses only" if subnet.outbound == "igw" else "has no NAT"
    return f"Subnet {subnet_id} {what}, and a Workspace has a private address. Use a private subnet with a NAT."


def _is_for(rule: SecurityGroupRule, port: int) -> bool:
    return rule.protocol == "-1" or (rule.protocol == "tcp" and rule.from_port <= port <= rule.to_port)


def _allows(session: Session, group_id: str, port: int, peer_group_id: str, *, egress: bool) -> bool:
    rules = session.scalars(
        select(SecurityGroupRule).where(SecurityGroupRule.group_id == group_id, SecurityGroupRule.egress.is_(egress))
    )
    return any(_is_for(r, port) and (r.peer_group_id == peer_group_id or r.cidr == "0.0.0.0/0") for r in rules)


def allocate_address(session: Session, subnet_id: str, owner: str) -> str:
    """Take a free address of the subnet for `owner` (an instance id); call in a writing session.

    Safe against a race: the database refuses a second row of the same address, and another is tried.

    Raises:
        InvalidRequest: if the subnet is not there or has no free address.
    """
    subnet = session.get(Subnet, subnet_id)
    if subnet is None:
        raise InvalidRequest(f"Subnet '{subnet_id}' does not exist.")
    block = ipaddress.ip_network(subnet.cidr_block)
    first, count = int(block.network_address) + _RESERVED_AT_START, block.num_addresses - _RESERVED_AT_START - 1
    # A random one first: an address that was just released is not taken again at once.
    for _ in range(_RANDOM_TRIES):
        ip = str(ipaddress.ip_address(first + secrets.randbelow(count)))
        if _take(session, subnet_id, ip, owner):
            return ip
    used = set(session.scalars(select(Address.host_part)))
    for number in range(first, first + count):
        ip = str(ipaddress.ip_address(number))
        if _host_part(ip) not in used and _take(session, subnet_id, ip, owner):
            return ip
    raise InvalidRequest(f"Subnet '{subnet_id}' has no free address left.")


def _take(session: Session, subnet_id: str, ip: str, owner: str) -> bool:
    try:
        with session.begin_nested():
            session.add(Address(ip=ip, host_part=_host_part(ip), subnet_id=subnet_id, owner=owner))
    except IntegrityError:
        return False
    return True


def _host_part(ip: str) -> str:
    return ".".join(ip.split(".")[2:])


def release_addresses(session: Session, owner: str) -> None:
    """Give back all addresses of `owner`."""
    session.execute(delete(Address).where(Address.owner == owner))


def release_address(session: Session, ip: str) -> None:
    """Give back one address; one that is nobody's is fine."""
    session.execute(delete(Address).where(Address.ip == ip))


def loopback_address(settings: Settings, ip: str) -> str:
    """Where an instance's address is really bound on one machine: `127.<octet>.y.z`."""
    return f"127.{settings.loopback_octet}.{_host_part(ip)}"
