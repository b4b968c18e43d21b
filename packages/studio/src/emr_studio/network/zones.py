"""Availability Zones that an administrator has declared impaired, to rehearse a failover or to empty a zone.

Nothing new is started there; what runs goes on, and says so where it is described.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base
from emr_studio.network.model import Subnet

CODE = "ZONE_IMPAIRED"


class ImpairedZone(Base):
    """A zone in which nothing is started at present."""

    __tablename__ = "impaired_zones"

    zone: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(default="")
    since: Mapped[dt.datetime]


def zones(session: Session) -> list[str]:
    """All zones in which there are subnets."""
    return sorted(session.scalars(select(Subnet.availability_zone).distinct()))


def impaired(session: Session) -> list[ImpairedZone]:
    """The impaired ones, by name."""
    return list(session.scalars(select(ImpairedZone).order_by(ImpairedZone.zone)))


def impair(session: Session, zone: str, now: dt.datetime, reason: str = "") -> None:
    """Start nothing in `zone` from now on; one that is impaired already stays so, with this reason.

    Raises:
        InvalidRequest: there is no such zone.
    """
    if zone not in (known := zones(session)):
        raise InvalidRequest(f"There is no Availability Zone '{zone}'. There are: {', '.join(known)}.")
    row = session.get(ImpairedZone, zone)
    if row is None:
        session.add(ImpairedZone(zone=zone, reason=reason, since=now))
    else:
        row.reason = reason or row.reason


def restore(session: Session, zone: str) -> bool:
    """Start things there again; False if it was not impaired."""
    row = session.get(ImpairedZone, zone)
    if row is not None:
        session.delete(row)
    return row is not None


def trouble_of(session: Session, zone: str) -> str:
    """What to tell of a resource in `zone`; empty while that is well."""
    row = session.get(ImpairedZone, zone)
    if row is None:
        return ""
    return f"Availability Zone {zone} is impaired{f' ({row.reason})' if row.reason else ''}: nothing new starts there."


def healthy(session: Session, subnets: Sequence[Subnet]) -> list[Subnet]:
    """Those of `subnets` (at least one) where something can be started.

    Raises:
        InvalidRequest: all are in impaired zones.
    """
    bad = {row.zone for row in impaired(session)}
    good = [subnet for subnet in subnets if subnet.availability_zone not in bad]
    if not good:
        raise InvalidRequest(trouble_of(session, subnets[0].availability_zone))
    return good
