"""Makes keys and aliases, turns to new material, and does what time brings: rotations and ends."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from emr_studio.keys.model import KeyMaterial, KmsAlias, KmsKey
from emr_studio.keys.ring import KeyRing


def new_key(
    session: Session,
    ring: KeyRing,
    *,
    account_id: str,
    region: str,
    policy: str,
    now: dt.datetime,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> KmsKey:
    """Make a key with its first material."""
    key = KmsKey(
        id=str(uuid.uuid4()),
        account_id=account_id,
        region=region,
        description=description,
        policy=policy,
        manager="CUSTOMER",
        created=now,
        rotated=now,
        enabled=True,
        current_version=1,
        tags=dict(tags or {}),
    )
    session.add(key)
    session.flush()
    _add_material(session, ring, key, 1, now, on_demand=False)
    return key


def new_alias(session: Session, key: KmsKey, name: str, now: dt.datetime) -> KmsAlias:
    """Name a key."""
    alias = KmsAlias(account_id=key.account_id, region=key.region, name=name, key_id=key.id, created=now, updated=now)
    session.add(alias)
    session.flush()
    return alias


def rotate(session: Session, ring: KeyRing, key: KmsKey, now: dt.datetime, *, on_demand: bool) -> None:
    """Turn to new material; the old opens what it sealed."""
    _add_material(session, ring, key, key.current_version + 1, now, on_demand=on_demand)
    key.current_version += 1
    if not on_demand:
        key.rotated = now


def _add_material(
    session: Session, ring: KeyRing, key: KmsKey, version: int, now: dt.datetime, *, on_demand: bool
) -> None:
    wrapped = ring.new_material(key.id, version)
    session.add(KeyMaterial(key_id=key.id, version=version, wrapped=wrapped, created=now, on_demand=on_demand))
    session.flush()


def materials_of(session: Session, key: KmsKey) -> list[KeyMaterial]:
    """All generations of a key's material, oldest first."""
    found = select(KeyMaterial).where(KeyMaterial.key_id == key.id).order_by(KeyMaterial.version)
    return list(session.scalars(found))


def keep(session: Session, ring: KeyRing, now: dt.datetime) -> None:
    """What is due: destroy keys whose waiting time is over, rotate, wrap with the present master."""
    for key in session.scalars(select(KmsKey).where(KmsKey.deletion_date.is_not(None), KmsKey.deletion_date <= now)):
        destroy(session, ring, key)
    due = select(KmsKey).where(KmsKey.next_rotation.is_not(None), KmsKey.next_rotation <= now)
    for key in session.scalars(due.where(KmsKey.enabled, KmsKey.deletion_date.is_(None))):
        rotate(session, ring, key, now, on_demand=False)
        key.next_rotation = now + dt.timedelta(days=key.rotation_days or 365)
    for material in session.scalars(select(KeyMaterial).where(func.substr(KeyMaterial.wrapped, 1, 1) != ring.mark)):
        ring.rewrap(material)


def destroy(session: Session, ring: KeyRing, key: KmsKey) -> None:
    """End a key: without its material nothing that it sealed can ever be opened."""
    for table in (KeyMaterial, KmsAlias):
        session.execute(delete(table).where(table.key_id == key.id))
    session.delete(key)
    ring.forget(key.id)
