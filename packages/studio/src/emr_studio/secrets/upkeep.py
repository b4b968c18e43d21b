"""What time brings: the ends of recovery windows, and the days on which values were read."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from emr_studio.secrets.model import Secret, SecretVersion
from emr_studio.secrets.values import write_accesses


def keep(session: Session, now: dt.datetime) -> None:
    """Do what is due."""
    for secret in session.scalars(select(Secret).where(Secret.purge_at.is_not(None), Secret.purge_at <= now)):
        destroy(session, secret)
    write_accesses(session)


def destroy(session: Session, secret: Secret) -> None:
    """End a secret with all its values."""
    session.execute(delete(SecretVersion).where(SecretVersion.secret_id == secret.id))
    session.delete(secret)
    session.flush()
