"""Who works on a resource: a row for each, taken by compare-and-set, so that one worker of all processes has it."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import delete, or_, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from emr_studio.clock import Clock
from emr_studio.db import Base, Database

LEASE_SECONDS = 30.0
Key = tuple[str, str]
"""A resource's kind and id."""


class Lease(Base):
    """Who works on a resource at present; no row: nobody."""

    __tablename__ = "controller_leases"

    kind: Mapped[str] = mapped_column(primary_key=True)
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[dt.datetime]


class Leases:
    """The leases that one process takes, as `owner`."""

    def __init__(self, database: Database, clock: Clock, owner: str | None = None) -> None:
        self._database = database
        self._clock = clock
        self.owner = owner or f"{_process(os.getpid())}/{secrets.token_hex(4)}"

    def acquire(self, key: Key) -> bool:
        """Take the lease; False while somebody else holds it.

        That of a process which was killed on this machine is taken over at once.
        """
        if self._take(key):
            return True
        with self._database.read() as session:
            lease = session.get(Lease, key)
        if lease is None or not is_gone(lease.owner):
            return False
        with self._database.write() as session:
            session.execute(
                delete(Lease).where(Lease.kind == key[0], Lease.resource_id == key[1], Lease.owner == lease.owner)
            )
        return self._take(key)

    def _take(self, key: Key) -> bool:
        now = self._clock.now()
        try:
            with self._database.write() as session:
                changed = session.execute(
                    update(Lease)
                    .where(Lease.kind == key[0], Lease.resource_id == key[1])
                    .where(or_(Lease.until <= now, Lease.owner == self.owner))
                    .values(owner=self.owner, until=_end(now))
                )
                assert isinstance(changed, CursorResult)
                if changed.rowcount == 0:
                    session.add(Lease(kind=key[0], resource_id=key[1], owner=self.owner, until=_end(now)))
        except IntegrityError:  # the row is there, and not ours to take
            return False
        return True

    def renew(self, keys: Iterable[Key]) -> None:
        """Prolong leases that are still ours."""
        now = self._clock.now()
        with self._database.write() as session:
            for kind, resource_id in keys:
                session.execute(
                    update(Lease)
                    .where(Lease.kind == kind, Lease.resource_id == resource_id, Lease.owner == self.owner)
                    .values(until=_end(now))
                )

    def release(self, key: Key) -> None:
        """Give the lease back, if it is still ours."""
        with self._database.write() as session:
            session.execute(
                delete(Lease).where(Lease.kind == key[0], Lease.resource_id == key[1], Lease.owner == self.owner)
            )


def _process(pid: int) -> str:
    """`<machine and boot>/<pid namespace>/<pid>/<start time>`; without a start time if it is gone.

    A process id alone may be another machine's, another container's, or used again.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:  # no /proc: only time tells
        return f"{socket.gethostname()}/?/{pid}/?"
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = ""
    return f"{boot}/{space}/{pid}/{started}"


def is_gone(owner: str) -> bool:
    """True if the process that named itself `owner` surely does not run any more."""
    parts = owner.split("/")
    if len(parts) != 5 or not parts[2].isdigit() or not parts[3].isdigit():
        return False
    now = _process(int(parts[2])).split("/")
    return now[:2] == parts[:2] and now[3] != "?" and now[3] != parts[3]


def _end(now: dt.datetime) -> dt.datetime:
    return now + dt.timedelta(seconds=LEASE_SECONDS)
