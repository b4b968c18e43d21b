"""The tables of security configurations and of block public access."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base
from emr_studio.network.model import SecurityGroupRule

SSH = 22
_EVERYONE = ("0.0.0.0/0", "::/0")
_ALL_PORTS = (0, 65535)


class SecurityConfiguration(Base):
    """A named document. Clusters keep a copy of what it said when they were created."""

    __tablename__ = "cluster_security_configurations"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[str]
    """The JSON as it was given."""
    creation_time: Mapped[dt.datetime]


class BlockPublicAccess(Base):
    """What an account has decided for a region; no row: `default_ranges`."""

    __tablename__ = "cluster_block_public_access"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    blocked: Mapped[bool]
    permitted: Mapped[list[Any]]
    """`PermittedPublicSecurityGroupRuleRanges` of the API."""
    creation_time: Mapped[dt.datetime]
    created_by: Mapped[str]
    """ARN of who put it."""


def default_ranges() -> list[dict[str, int]]:
    """What is permitted where nobody has decided anything: SSH (and the rest is blocked)."""
    return [{"MinRange": SSH, "MaxRange": SSH}]


def find_configuration(session: Session, account_id: str, region: str, name: str) -> SecurityConfiguration:
    """The account's security configuration of that name.

    Raises:
        InvalidRequest: "Security configuration with name 'x' does not exist." (Terraform reads these words)
    """
    found = session.get(SecurityConfiguration, (account_id, region, name))
    if found is None:
        raise InvalidRequest(f"Security configuration with name '{name}' does not exist.")
    return found


def first_public_group(session: Session, account_id: str, region: str, group_ids: Iterable[str]) -> str | None:
    """The first of these security groups with a rule that lets everyone in at a port that is not permitted."""
    row = session.get(BlockPublicAccess, (account_id, region))
    if row is not None and not row.blocked:
        return None
    permitted = default_ranges() if row is None else row.permitted
    wanted = list(group_ids)
    rules = session.scalars(
        select(SecurityGroupRule).where(
            SecurityGroupRule.group_id.in_(wanted),
            SecurityGroupRule.egress.is_(False),
            SecurityGroupRule.cidr.in_(_EVERYONE),
        )
    )
    public = {rule.group_id for rule in rules if not is_permitted(_ports(rule), permitted)}
    return next((group_id for group_id in wanted if group_id in public), None)


def _ports(rule: SecurityGroupRule) -> tuple[int, int]:
    return _ALL_PORTS if rule.protocol == "-1" else (rule.from_port, rule.to_port)


def is_permitted(ports: tuple[int, int], ranges: Sequence[Any]) -> bool:
    """True if one of the ranges holds all of these ports."""
    return any(one["MinRange"] <= ports[0] and ports[1] <= one.get("MaxRange", one["MinRange"]) for one in ranges)
